/* spawn/rootjob.c: takes a range, makes the disk, and turns what is on it into a layer. */
#include "spawn/rootjob.h"

#include "base/clock.h"
#include "base/own.h"
#include "sandbox/overlay.h"
#include "spawn/layers.h"
#include "spawn/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char layer_folder[] = "layer", links_folder[] = "links";

static bool slot_take(struct spawn *spawn, unsigned *ret)
{
        for (unsigned slot = 0; slot < STATE_ROOT_JOBS; slot++) {
                if (!(spawn->root_jobs_taken & (1U << slot))) {
                        spawn->root_jobs_taken |= 1U << slot;
                        *ret = slot;
                        return true;
                }
        }
        return false;
}

static enum err_code folders_make(const struct rootjob *job, struct err *err)
{
        own_fd int fd = open(job->disk.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || mkdirat(fd, "upper", 0755) < 0 || fchownat(fd, "upper", job->uid, job->uid, 0) < 0 ||
            fchmodat(fd, "upper", 0755, 0) < 0 || mkdirat(fd, "work", 0700) < 0)
                return err_disk(err, "make the folders of a build");
        return ERR_OK;
}

enum err_code rootjob_open(struct spawn *spawn, const char *staging, uint32_t disk_mib, uint32_t files_max,
                           struct rootjob *ret, struct err *err)
{
        char file[PATH_MAX], where[PATH_MAX - 64];

        *ret = (struct rootjob){.open = false};
        if (!slot_take(spawn, &ret->slot))
                return err_set(err, ERR_LIMIT, "at most %d builds with root rights run at once",
                               STATE_ROOT_JOBS);
        ret->open = true;
        ret->uid = spawn->state.root_uid_first + ret->slot * STATE_UID_BLOCK;
        ret->rules = (struct flatten_rules){.uid_first = ret->uid,
                                            .uid_count = STATE_UID_BLOCK,
                                            .bytes_max = (uint64_t)disk_mib << 20,
                                            .files_max = files_max,
                                            .begun = (time_t)clock_wall_s()};
        int len = snprintf(where, sizeof(where), "%s/mnt/disk-%u", spawn->state.path, ret->slot);
        if (len >= (int)sizeof(where) || (size_t)snprintf(file, sizeof(file), "%s/staging/%s/disk",
                                                          spawn->state.path, staging) >= sizeof(file))
                return err_set(err, ERR_INVALID, "the path of the state directory is too long");
        enum err_code code = disk_attach(file, where, disk_mib, files_max, &ret->disk, err);
        return code == ERR_OK ? folders_make(ret, err) : code;
}

void rootjob_close(struct spawn *spawn, struct rootjob *job)
{
        if (!job->open)
                return;
        disk_detach(&job->disk);
        spawn->root_jobs_taken &= ~(1U << job->slot);
        job->open = false;
}

enum err_code rootjob_image_open(struct spawn *spawn, const struct rootjob *job, const int *layer_fds,
                                 size_t layer_count, int *ret_fd, struct err *err)
{
        char upper[PATH_MAX], work[PATH_MAX], where[PATH_MAX];
        struct overlay_spec spec = {.layer_fds = layer_fds,
                                    .layer_count = layer_count,
                                    .upper = upper,
                                    .work = work,
                                    .where = where,
                                    .root = job->uid};

        snprintf(upper, sizeof(upper), "%s/upper", job->disk.path);
        snprintf(work, sizeof(work), "%s/work", job->disk.path);
        snprintf(where, sizeof(where), "%s/mnt", spawn->state.path);
        return overlay_open_writable(&spec, ret_fd, err);
}

enum err_code rootjob_out_open(const struct rootjob *job, int *ret_fd, struct err *err)
{
        char upper[PATH_MAX];

        snprintf(upper, sizeof(upper), "%s/upper", job->disk.path);
        own_fd int fd = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? err_sys(err, "open the folder of a build") : mounts_open_programs(fd, ret_fd, err);
}

static enum err_code folder_make(int dir_fd, const char *name, int *ret_fd, struct err *err)
{
        if (mkdirat(dir_fd, name, 0755) < 0)
                return err_disk(err, "make a folder for the layer");
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_sys(err, "open a folder for the layer");
        *ret_fd = fd;
        return ERR_OK;
}

enum err_code rootjob_commit(const struct worker_task *task, struct err *err)
{
        const struct rootjob *job = task->rootjob;
        struct worker_task commit = *task;
        char upper[PATH_MAX];
        own_fd int staging_fd = -1, from_fd = -1, to_fd = -1, links_fd = -1;

        assert(job != NULL && job->open);
        snprintf(upper, sizeof(upper), "%s/upper", job->disk.path);
        from_fd = open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        staging_fd = openat(task->staging_fd, task->from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (from_fd < 0 || staging_fd < 0)
                return err_sys(err, "open what was built");
        enum err_code code = folder_make(staging_fd, layer_folder, &to_fd, err);
        if (code == ERR_OK)
                code = folder_make(staging_fd, links_folder, &links_fd, err);
        if (code == ERR_OK)
                code = flatten(from_fd, to_fd, links_fd, &job->rules, err);
        if (code != ERR_OK)
                return code;
        if ((size_t)snprintf(commit.from, sizeof(commit.from), "%s/%s", task->from, layer_folder) >=
            sizeof(commit.from))
                return err_set(err, ERR_INVALID, "the name of a staging folder is too long");
        return layers_commit(&commit, err);
}
