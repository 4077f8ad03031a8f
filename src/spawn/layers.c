/* spawn/layers.c: opens layers, and the tasks that put them in place and remove them. */
#include "spawn/layers.h"

#include "base/own.h"
#include "sandbox/sys.h"
#include "spawn/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum err_code layers_open(int dir_fd, const char *what, const char *name, int *ret_fd, struct err *err)
{
        int fd = sys_open_beneath(dir_fd, name, O_PATH | O_DIRECTORY);

        if (fd < 0 && errno == ENOENT)
                return err_set(err, ERR_NOT_FOUND, "there is no %s '%s'", what, name);
        if (fd < 0)
                return err_sys(err, "open the %s '%s'", what, name);
        *ret_fd = fd;
        return ERR_OK;
}

/* What a build reported stays with what it made, as an attribute that only root can see or set. */
static const char info_attribute[] = "trusted.dispatch.info";

bool layers_exists(int layers_fd, const char *name, char info[SPAWN_INFO_MAX])
{
        own_fd int fd = sys_open_beneath(layers_fd, name, O_RDONLY | O_DIRECTORY);
        ssize_t len = fd >= 0 ? fgetxattr(fd, info_attribute, info, SPAWN_INFO_MAX - 1) : 0;

        info[len > 0 ? len : 0] = '\0';
        if (fd >= 0)
                (void)futimens(fd, NULL); /* wanted now: its age begins anew (garbage.h) */
        return fd >= 0;
}

/* A file system without attributes costs a second build after a crash, no more. */
static int info_keep(int fd, const char *info)
{
        if (fsetxattr(fd, info_attribute, info, strlen(info), 0) == 0 || errno == ENOTSUP)
                return 0;
        return -1;
}

/* A root needs somewhere to attach what a sandbox brings; other layers do not mind. */
static int mount_points_make(int dir_fd)
{
        static const char *const names[] = {"proc", "dev", "tmp", "function", "runtime"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (mkdirat(dir_fd, names[i], 0755) < 0 && errno != EEXIST)
                        return -1;
        }
        return 0;
}

enum err_code layers_commit(const struct worker_task *task, struct err *err)
{
        own_fd int fd = openat(task->staging_fd, task->from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
                return err_sys(err, "open the new layer '%s'", task->layer);
        if (strncmp(task->layer, "builtin-", 8) == 0 && mount_points_make(fd) < 0)
                return err_disk(err, "make folders in the new layer '%s'", task->layer);
        if (info_keep(fd, task->info) < 0)
                return err_disk(err, "keep what was built with the new layer '%s'", task->layer);
        (void)futimens(fd, NULL); /* an archive may have said otherwise */
        /* All that is dirty on the file system would be waited for: a gigabyte that another job unpacks. */
        if ((task->synced ? fsync(fd) : syncfs(fd)) < 0)
                return err_disk(err, "write the new layer '%s' to the disk", task->layer);
        if (renameat2(task->staging_fd, task->from, task->layers_fd, task->layer, RENAME_NOREPLACE) < 0) {
                if (errno == EEXIST) {
                        (void)utimensat(task->layers_fd, task->layer, NULL, AT_SYMLINK_NOFOLLOW);
                        return err_set(err, ERR_CONFLICT, "the layer is there");
                }
                return err_disk(err, "put the new layer '%s' in its place", task->layer);
        }
        if (fsync(task->layers_fd) < 0)
                return err_disk(err, "write the new layer '%s' to the disk", task->layer);
        return ERR_OK;
}

enum err_code layers_remove(const struct worker_task *task, struct err *err)
{
        return state_discarded_remove(task->staging_fd, err);
}
