/*
 * spawn/build.c: one build job from its frame to the layer in its place.
 *
 *   sandbox ─▶ report ─▶ (a second sandbox, in its image) ─▶ worker puts the layer in its place ─▶ BUILT
 *      └─────────┴──────────────────────┴────────────────────────┴─▶ the staging folder is discarded ─▶
 *                                                                    BUILT with the reason
 *
 * Kind "deps" begins with the second.
 *
 * The helper unpacks archives that anybody sent, so what it reports is as hostile as they are.
 */
#include "spawn/build.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/seqpacket.h"
#include "sandbox/sys.h"
#include "spawn/buildroot.h"
#include "spawn/egress.h"
#include "spawn/layers.h"
#include "spawn/leftovers.h"
#include "spawn/link.h"
#include "spawn/root.h"
#include "spawn/rootjob.h"
#include "spawn/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct build {
        struct instance instance; /* first: what the table holds */
        struct worker worker;
        struct spawn_build asked;
        const struct spawn_kind *of;
        struct spawn_report report;
        int report_fd;
        struct rootjob root; /* of a kind that is root */
        bool inside;         /* this is the second sandbox */
        char staging[32];    /* its folder, by name; "": gone */
};

static struct build *build_of(struct instance *instance)
{
        return OWNER_OF(instance, struct build, instance);
}

/* The last of a job: its folder goes, the server hears, the memory is freed. */
static void build_finish(struct build *build, enum err_code code, const char *text)
{
        struct instance *instance = &build->instance;
        struct spawn *spawn = instance->spawn;
        union spawn_frame frame = {.built = {.head = {.op = SPAWN_BUILT, .id = instance->id}, .code = code}};
        int none = -1;

        if (build->staging[0] != '\0' &&
            state_discard(&spawn->state, spawn->state.staging_fd, build->staging, NULL) == ERR_OK)
                spawn_remover_wake(spawn);
        snprintf(frame.built.text, sizeof(frame.built.text), "%s", text);
        if (code == ERR_OK)
                memcpy(frame.built.layer, build->report.layer, sizeof(frame.built.layer));
        memcpy(frame.built.info, build->report.info, sizeof(frame.built.info));
        if (instance->link != NULL)
                link_send(instance->link, &frame, &none);
        rootjob_close(spawn, &build->root);
        if (build->report_fd >= 0)
                close(build->report_fd);
        if (instance->slot < SPAWN_JOBS_MAX)
                spawn->jobs_taken &= ~(1U << instance->slot);
        instance_free(instance);
}

/* One line without control characters, NUL-terminated. */
static bool text_valid(const char *text, size_t size)
{
        size_t len = strnlen(text, size);

        if (len == size)
                return false;
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

static bool makes_layer(const struct build *build)
{
        return build->of->named || build->of->prefix != NULL;
}

/* A layer that the job names is named by what is in it, within its kind and language. */
static bool layer_valid(const struct build *build, const char *layer)
{
        if (!makes_layer(build))
                return layer[0] == '\0';

        char prefix[SPAWN_NAME_MAX + 16];
        int len = snprintf(prefix, sizeof(prefix), "%s%s%s", build->of->prefix, build->asked.language,
                           build->of->language ? "-" : "");

        return spawn_name_valid(layer, SPAWN_NAME_MAX) && strncmp(layer, prefix, (size_t)len) == 0;
}

static bool report_valid(const struct build *build, const struct spawn_report *report)
{
        return report->code < ERR_CODE_COUNT && report->reserved == 0 &&
               text_valid(report->text, sizeof(report->text)) &&
               text_valid(report->info, sizeof(report->info)) &&
               (report->code != ERR_OK || build->of->named || build->inside ||
                layer_valid(build, report->layer));
}

/* The second sandbox adds nothing to what the first has reported, but its failure. */
static bool report_read(struct build *build)
{
        struct spawn_report report = {0};
        unsigned char bytes[sizeof(report) + 1];
        ssize_t got = seqpacket_recv(build->report_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (got == sizeof(report))
                memcpy(&report, bytes, sizeof(report));
        if (got != sizeof(report) || !report_valid(build, &report)) {
                memset(&build->report, 0, sizeof(build->report));
                return false;
        }
        if (!build->inside || report.code != ERR_OK)
                build->report = report;
        if (build->of->named)
                memcpy(build->report.layer, build->asked.layer, sizeof(build->report.layer));
        return true;
}

static void on_committed(struct worker *worker, enum err_code code)
{
        struct build *build = OWNER_OF(worker, struct build, worker);

        /* What is left of the folder of a job that is root goes with build_finish. */
        if (code == ERR_OK && !build->root.open)
                build->staging[0] = '\0';
        garbage_keep(build->instance.spawn, build->report.layer);
        /* A layer of that name is the same layer: names are digests. */
        if (code == ERR_OK || code == ERR_CONFLICT)
                build_finish(build, ERR_OK, build->report.text);
        else if (code == ERR_TOO_LARGE || code == ERR_UNPROCESSABLE)
                build_finish(build, code,
                             "what was built is more than a layer may hold; see the server's log");
        else if (code == ERR_UNAVAILABLE)
                build_finish(build, code, "there is no room on the host for the new layer");
        else
                build_finish(build, code,
                             "the new layer could not be put in its place; see the server's log");
}

static enum err_code blobs_open(const struct build *build, int *ret_fd, struct err *err);

static void on_many_committed(struct worker *worker, enum err_code code)
{
        struct build *build = OWNER_OF(worker, struct build, worker);
        char text[SPAWN_TEXT_MAX];

        memcpy(text, build->report.text, sizeof(text));
        if (build->report.code != ERR_OK || code == ERR_OK)
                build_finish(build, (enum err_code)build->report.code, text);
        else if (code == ERR_UNAVAILABLE)
                build_finish(build, code, "a layer of the image was removed meanwhile; it is tried again");
        else
                build_finish(build, code,
                             "the new layers could not be put in their places; see the server's log");
}

/* A failure is the report's, and the whole blobs stay all the same. */
static void build_commit_many(struct build *build, enum err_code failed, const char *why)
{
        const struct state *state = &build->instance.spawn->state;
        char mark[SPAWN_MARK_LEN + 1];
        own_fd int blobs_fd = -1;
        struct err err;

        spawn_mark(build->asked.organization, mark);
        if (failed != ERR_OK) {
                build->report.code = failed;
                snprintf(build->report.text, sizeof(build->report.text), "%s", why);
        }
        struct worker_task task = {.run = layers_commit_many,
                                   .layers_fd = state->layers_fd,
                                   .staging_fd = state->staging_fd,
                                   .layer = failed == ERR_OK ? mark : NULL};
        enum err_code code = blobs_open(build, &blobs_fd, &err);

        task.blobs_fd = blobs_fd;
        memcpy(task.from, build->staging, sizeof(task.from));
        if (code == ERR_OK)
                code = worker_start(&build->worker, &build->instance.spawn->events, &task, on_many_committed,
                                    &err);
        if (code != ERR_OK)
                build_finish(build, failed != ERR_OK ? failed : code, failed != ERR_OK ? why : err.text);
}

/* The job is over, without success. */
static void build_fail(struct build *build, enum err_code code, const char *text)
{
        if (build->of->many)
                build_commit_many(build, code, text);
        else
                build_finish(build, code, text);
}

static void build_commit(struct build *build)
{
        const struct state *state = &build->instance.spawn->state;
        struct worker_task task = {.run = build->root.open ? rootjob_commit : layers_commit,
                                   .rootjob = &build->root,
                                   .layers_fd = state->layers_fd,
                                   .staging_fd = state->staging_fd,
                                   .blobs_fd = -1,
                                   .layer = build->report.layer,
                                   .info = build->report.info,
                                   .synced = strcmp(build->asked.kind, "source") == 0 &&
                                             build->asked.layer_count == 0};
        struct err err;

        memcpy(task.from, build->staging, sizeof(task.from));
        if (worker_start(&build->worker, &build->instance.spawn->events, &task, on_committed, &err) != ERR_OK)
                build_finish(build, ERR_SYSTEM, err.text);
}

static void job_running(struct instance *instance)
{
        (void)instance; /* the server hears of its end only */
}

static void job_failed(struct instance *instance, enum err_code code, const char *text)
{
        struct build *build = build_of(instance);

        build->report.code = code;
        snprintf(build->report.text, sizeof(build->report.text), "%s", text);
}

static void build_inside(struct build *build);

static void job_ended(struct instance *instance, const struct instance_end *end)
{
        struct build *build = build_of(instance);
        char text[SPAWN_TEXT_MAX];

        if (instance->failed) {
                snprintf(text, sizeof(text), "%s", build->report.text);
                build_finish(build, (enum err_code)build->report.code, text);
        } else if (instance->killed || instance->link == NULL) {
                build_fail(build, ERR_CANCELLED, "the build was stopped");
        } else if (end->usage.oom_kills > 0) {
                snprintf(text, sizeof(text), "the build needs more than its %u MiB of memory",
                         build->asked.memory_mib);
                build_fail(build, ERR_TOO_LARGE, text);
        } else if (end->by_signal && end->value == SIGKILL && build->root.open) {
                build_finish(build, ERR_UNPROCESSABLE,
                             "the build was killed, by a script of a package or from outside");
        } else if (end->by_signal && end->value == SIGKILL) {
                /* Not for its memory, and not by us: whoever did it, the host's own killer for one, it was
                 * not the archive's doing. */
                build_fail(build, ERR_UNAVAILABLE, "the build was killed from outside; it is tried again");
        } else if (end->by_signal || end->value != 0 || !report_read(build)) {
                snprintf(text, sizeof(text), "the build ended without a report (%s %d)",
                         end->by_signal ? "signal" : "exit status", end->value);
                build_fail(build, ERR_SYSTEM, text);
        } else if (build->report.code != ERR_OK) {
                memcpy(text, build->report.text, sizeof(text));
                build_fail(build, (enum err_code)build->report.code, text);
        } else if (build->of->inside && build->asked.layer_count > 0 && !build->inside) {
                build_inside(build);
        } else if (build->of->many) {
                build_commit_many(build, ERR_OK, "");
        } else if (!makes_layer(build)) {
                build_finish(build, ERR_OK, "");
        } else {
                build_commit(build);
        }
}

static const struct instance_kind job_kind = {
        .running = job_running, .failed = job_failed, .ended = job_ended};

/* The names of the organization's layers, for the job: those need not be made again. */
static enum err_code have_write(const struct build *build, struct err *err)
{
        const struct state *state = &build->instance.spawn->state;
        own_fd int staging_fd = sys_open_beneath(state->staging_fd, build->staging, O_RDONLY | O_DIRECTORY);
        own_fd int list_fd = openat(state->layers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = list_fd >= 0 ? fdopendir(list_fd) : NULL;
        int fd = openat(staging_fd, "have", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        own_file FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
        char prefix[SPAWN_MARK_LEN + 8] = "oci-";

        if (dir != NULL)
                (void)take_fd(&list_fd);
        if (dir == NULL || file == NULL) {
                if (file == NULL)
                        own_fd_release(&fd);
                return err_disk(err, "list the layers that are there");
        }
        spawn_mark(build->asked.organization, prefix + 4);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        fprintf(file, "%s\n", entry->d_name);
        }
        return fflush(file) != 0 ? err_disk(err, "list the layers that are there") : ERR_OK;
}

static enum err_code staging_make(struct build *build, struct err *err)
{
        struct spawn *spawn = build->instance.spawn;
        int staging_fd = spawn->state.staging_fd;
        uid_t uid = spawn->state.job_uid_first + build->instance.slot;
        char name[sizeof(build->staging)];

        snprintf(name, sizeof(name), "job-%llu", (unsigned long long)spawn->jobs_started++);
        if (mkdirat(staging_fd, name, 0755) < 0)
                return err_disk(err, "make the staging folder");
        memcpy(build->staging, name, sizeof(name));
        if (fchownat(staging_fd, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(staging_fd, name, 0755, 0) < 0)
                return err_disk(err, "make the staging folder");
        if (!build->of->many)
                return ERR_OK;
        enum err_code code = leftovers_note(staging_fd, name, build->asked.organization, err);
        return code == ERR_OK ? have_write(build, err) : code;
}

static enum err_code host_open(struct spawn *spawn, enum buildroot_kind kind, int *ret_fd, struct err *err)
{
        int *root = &spawn->build_roots[kind];
        char where[PATH_MAX];

        if (*root < 0) {
                snprintf(where, sizeof(where), "%s/mnt", spawn->state.path);
                enum err_code code = buildroot_open(where, kind, root, err);
                if (code == ERR_OK && kind == BUILDROOT_EGRESS)
                        code = egress_files_write(spawn, *root, err);
                if (code != ERR_OK)
                        return code;
        }
        return mounts_open_tree(*root, ret_fd, err);
}

static enum buildroot_kind root_kind(const struct build *build)
{
        if (build->asked.network == SPAWN_NETWORK_EGRESS)
                return BUILDROOT_EGRESS;
        if (build->asked.network == SPAWN_NETWORK_HOST)
                return BUILDROOT_NETWORK;
        /* What is made of the host's packages sees them. */
        return strcmp(build->of->name, "builtin") == 0 || strcmp(build->of->name, "tools") == 0
                       ? BUILDROOT_BUILTIN
                       : BUILDROOT_SOURCE;
}

static void fds_close(int *fds, size_t count)
{
        while (count > 0)
                close(fds[--count]);
}

/* Layer by layer; a stack is one. */
static enum err_code parts_open(struct build *build, struct mounts *mounts, struct err *err)
{
        _Static_assert((int)SPAWN_LAYERS_MAX <= (int)MOUNTS_PARTS_MAX, "each layer has its place");
        const struct spawn_build *asked = &build->asked;
        int fds[MOUNTS_LAYERS_MAX];
        enum err_code code = ERR_OK;

        for (uint32_t i = 0; code == ERR_OK && i < asked->layer_count; i++) {
                size_t count = 0;

                code = layers_open_all(build->instance.spawn->state.layers_fd, &asked->layers[i], 1, fds,
                                       MOUNTS_LAYERS_MAX, &count, err);
                if (code == ERR_OK)
                        code = mounts_open_root(fds, count, build->instance.spawn->state.mnt_fd,
                                                &mounts->part_fds[i], err);
                fds_close(fds, count);
        }
        return code;
}

/* The image of the job, if it has one. */
static enum err_code image_open(struct build *build, struct mounts *mounts, struct err *err)
{
        const struct spawn_build *asked = &build->asked;
        int fds[MOUNTS_LAYERS_MAX];
        size_t count = 0;

        if (build->of->parts)
                return parts_open(build, mounts, err);
        enum err_code code = layers_open_all(build->instance.spawn->state.layers_fd, asked->layers,
                                             asked->layer_count, fds, MOUNTS_LAYERS_MAX - 1, &count, err);
        /* Somewhere to attach what a sandbox brings, where the image is the root. */
        if (code == ERR_OK && count > 0 && build->root.open) {
                fds[count] = fcntl(build->instance.spawn->state.points_fd, F_DUPFD_CLOEXEC, 3);
                code = fds[count] < 0 ? err_sys(err, "dup the folder for mounts") : ERR_OK;
                count += code == ERR_OK;
        }
        /* On top of it, what names are resolved by. */
        if (code == ERR_OK && count > 0 && asked->network == SPAWN_NETWORK_EGRESS) {
                code = egress_files_open(build->instance.spawn, &fds[count], err);
                count += code == ERR_OK;
        }
        if (code == ERR_OK && count > 0 && build->root.open)
                code = rootjob_image_open(build->instance.spawn, &build->root, fds, count, &mounts->root_fd,
                                          err);
        else if (code == ERR_OK && count > 0)
                code = mounts_open_root(fds, count, build->instance.spawn->state.mnt_fd, &mounts->image_fd,
                                        err);
        fds_close(fds, count);
        return code;
}

static enum err_code runtime_open(struct build *build, int *ret_fd, struct err *err)
{
        own_fd int runtime_fd = -1;
        enum err_code code = layers_open(build->instance.spawn->runtime_fd, "runtime", build->asked.language,
                                         &runtime_fd, err);

        if (code == ERR_NOT_FOUND)
                return ERR_OK;
        return code == ERR_OK ? mounts_open_read_only(runtime_fd, ret_fd, err) : code;
}

/* The folder of its organization's blobs, made where it is missing. */
static enum err_code blobs_open(const struct build *build, int *ret_fd, struct err *err)
{
        int blobs_fd = build->instance.spawn->state.blobs_fd;
        const char *name = build->asked.organization;

        if (mkdirat(blobs_fd, name, 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder of blobs of '%s'", name);
        *ret_fd = sys_open_beneath(blobs_fd, name, O_RDONLY | O_DIRECTORY);
        return *ret_fd < 0 ? err_sys(err, "open the folder of blobs of '%s'", name) : ERR_OK;
}

static enum err_code blobs_mount(const struct build *build, int *ret_fd, struct err *err)
{
        own_fd int fd = -1;
        enum err_code code = blobs_open(build, &fd, err);

        return code == ERR_OK ? mounts_open_read_only(fd, ret_fd, err) : code;
}

/* A job that is root stands in the image itself, which it may write to; without one, on the host's programs,
 * and writes to its disk. */
static enum err_code root_mounts_open(struct build *build, struct mounts *mounts, struct err *err)
{
        struct spawn *spawn = build->instance.spawn;
        const struct spawn_build *asked = &build->asked;
        enum err_code code =
                rootjob_open(spawn, build->staging, asked->disk_mib, asked->files_max, &build->root, err);

        if (code == ERR_OK && asked->layer_count > 0)
                code = image_open(build, mounts, err);
        else if (code == ERR_OK)
                code = host_open(spawn, root_kind(build), &mounts->root_fd, err);
        if (code == ERR_OK && asked->layer_count == 0)
                code = rootjob_out_open(&build->root, &mounts->out_fd, err);
        mounts->out_is_root = mounts->out_fd >= 0 && build->of->chroot;
        if (code == ERR_OK && asked->language[0] != '\0')
                code = runtime_open(build, &mounts->runtime_fd, err);
        if (code == ERR_OK)
                code = mounts_open_dev(&spawn->host.mounts, &mounts->dev_fd, err);
        return code;
}

static enum err_code inside_root_open(struct build *build, int *ret_fd, struct err *err)
{
        struct spawn *spawn = build->instance.spawn;
        const struct spawn_build *asked = &build->asked;
        own_fd int top_fd = -1;
        enum err_code code = ERR_OK;

        if (asked->network == SPAWN_NETWORK_EGRESS)
                code = egress_files_open(spawn, &top_fd, err);
        return code == ERR_OK
                       ? root_open(&spawn->state, asked->layers, asked->layer_count, top_fd, ret_fd, err)
                       : code;
}

/* The host's programs as the root, or the image. */
static enum err_code roots_open(struct build *build, struct mounts *mounts, struct err *err)
{
        if (build->inside)
                return inside_root_open(build, &mounts->root_fd, err);

        enum err_code code = host_open(build->instance.spawn, root_kind(build), &mounts->root_fd, err);

        if (code == ERR_OK && !build->of->inside)
                code = image_open(build, mounts, err);
        return code;
}

/* Installers run what they have unpacked; a compiler only writes. */
static enum err_code out_open(const struct build *build, int out_fd, struct mounts *mounts, struct err *err)
{
        if (build->of->inside_only)
                return mounts_open_programs(out_fd, &mounts->code_fd, err);
        return mounts_open_writable(out_fd, build->inside ? &mounts->code_fd : &mounts->out_fd, err);
}

static enum err_code mounts_open(struct build *build, struct mounts *mounts, struct err *err)
{
        struct spawn *spawn = build->instance.spawn;
        own_fd int out_fd = -1;
        enum err_code code;

        if (build->of->root)
                return root_mounts_open(build, mounts, err);
        code = roots_open(build, mounts, err);

        if (code == ERR_OK && build->of->blobs && build->asked.organization[0] != '\0')
                code = blobs_mount(build, &mounts->blobs_fd, err);
        if (code == ERR_OK && build->asked.language[0] != '\0')
                code = runtime_open(build, &mounts->runtime_fd, err);
        if (code == ERR_OK)
                code = layers_open(spawn->state.staging_fd, "staging folder", build->staging, &out_fd, err);
        if (code == ERR_OK)
                code = out_open(build, out_fd, mounts, err);
        if (code == ERR_OK)
                code = mounts_open_dev(&spawn->host.mounts, &mounts->dev_fd, err);
        return code;
}

static void root_spec(const struct build *build, struct sandbox_spec *spec)
{
        spec->uid = build->root.uid;
        spec->uid_count = STATE_UID_BLOCK;
        spec->chroot = build->of->chroot;
        spec->filter = filter_find(build->of->chroot ? "debroot" : "root");
}

/* A tool of an image is as much to be mistrusted as a function that runs in it. */
static const struct filter *filter_of(const struct build *build)
{
        if (build->inside)
                return filter_find("default");
        return filter_find(build->asked.network == SPAWN_NETWORK_NONE ? "build" : "fetch");
}

static enum err_code job_make(struct build *build, struct err *err)
{
        struct instance *instance = &build->instance;
        struct spawn *spawn = instance->spawn;
        struct cgroup_limits limits = {.memory_bytes = (uint64_t)build->asked.memory_mib << 20,
                                       .cpu_millicores = build->asked.cpu_millicores,
                                       .pids_max = build->asked.pids_max};
        const char *organization =
                build->asked.organization[0] != '\0' ? build->asked.organization : "dispatch";
        struct sandbox_spec spec = {.uid = spawn->state.job_uid_first + instance->slot,
                                    .filter = filter_of(build),
                                    .host_network = build->asked.network == SPAWN_NETWORK_HOST,
                                    .tmp_mib = build->asked.tmp_mib,
                                    .file_bytes_max = (uint64_t)build->asked.disk_mib << 20};
        struct mounts mounts;

        mounts_init(&mounts);
        enum err_code code = ERR_OK;
        if (build->asked.network == SPAWN_NETWORK_EGRESS)
                code = egress_link_make(spawn, NULL, &instance->egress, err);
        if (code == ERR_OK)
                code = mounts_open(build, &mounts, err);
        if (code == ERR_OK)
                code = cgroup_create(spawn->cgroups, organization, "build", &limits, &instance->cgroup, err);
        if (code == ERR_OK) {
                if (build->root.open)
                        root_spec(build, &spec);
                spec.mounts = &mounts;
                spec.cgroup = instance->cgroup;
                if (instance->egress != NULL)
                        spec.network = egress_link_network(instance->egress);
                code = sandbox_make(&spawn->host, &spec, &instance->sandbox, err);
        }
        mounts_finish(&mounts);
        return code;
}

static enum err_code job_run(struct build *build, const int *fds, struct err *err)
{
        const struct spawn_build *asked = &build->asked;
        char argv[SPAWN_ARGV_MAX];
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, "make the pair for the report");
        own_fd int theirs = pair[1];
        build->report_fd = pair[0];
        own_fd int none = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (none < 0)
                return err_sys(err, "open /dev/null");
        const struct spawn *spawn = build->instance.spawn;
        /* In an image, whose libraries are its own, only a static program is sure to run. */
        bool in_image = build->root.open && asked->layer_count > 0;
        if (build->inside && spawn->inside_fd < 0)
                return err_set(err, ERR_SYSTEM, "the build needs dispatch-inside beside dispatch-spawn");
        if (in_image && spawn->system_fd < 0)
                return err_set(err, ERR_SYSTEM, "the build needs dispatch-system beside dispatch-spawn");
        int program_fd = build->inside ? spawn->inside_fd : in_image ? spawn->system_fd : spawn->helper_fd;
        bool program = build->inside && asked->program[0] != '\0';
        int len = snprintf(argv, sizeof(argv), "%s%c%s%c%s%c%u%c%u%c%u%c%s",
                           build->inside ? "dispatch-inside" : "dispatch-build", 0, asked->kind, 0,
                           asked->language[0] != '\0' ? asked->language : "-", 0, asked->disk_mib, 0,
                           asked->files_max, 0, asked->memory_mib, 0, asked->program);
        struct sandbox_process process = {.argv = argv,
                                          .argv_len = (size_t)len + 1,
                                          .argc = program         ? 7
                                                  : build->inside ? 6
                                                                  : 5,
                                          .fds = {theirs},
                                          .fd_count = 1,
                                          .program_fd = program_fd};
        for (uint32_t bit = SPAWN_BUILD_INPUT; bit <= SPAWN_BUILD_DATA; bit <<= 1)
                process.fds[process.fd_count++] = fds != NULL && asked->fds & bit ? *fds++ : none;
        return sandbox_start(&build->instance.sandbox, &process, err);
}

static bool slot_take(struct spawn *spawn, unsigned *ret)
{
        for (unsigned slot = 0; slot < SPAWN_JOBS_MAX; slot++) {
                if (!(spawn->jobs_taken & (1U << slot))) {
                        spawn->jobs_taken |= 1U << slot;
                        *ret = slot;
                        return true;
                }
        }
        return false;
}

static enum err_code job_create(struct build *build, const int *fds, struct err *err)
{
        if (!slot_take(build->instance.spawn, &build->instance.slot))
                return err_set(err, ERR_LIMIT, "at most %d builds run at once", SPAWN_JOBS_MAX);
        enum err_code code = staging_make(build, err);
        if (code == ERR_OK)
                code = job_make(build, err);
        if (code == ERR_OK)
                code = job_run(build, fds, err);
        if (code == ERR_OK)
                code = instance_watch(&build->instance, err);
        return code;
}

static void build_init(struct build *build, struct spawn *spawn, struct link *link,
                       const struct spawn_build *asked)
{
        build->instance = (struct instance){.control = {.fd = -1},
                                            .exit = {.fd = -1},
                                            .kind = &job_kind,
                                            .spawn = spawn,
                                            .link = link,
                                            .id = asked->head.id,
                                            .begun_us = clock_mono_us(),
                                            .slot = SPAWN_JOBS_MAX};
        channel_ends_init(&build->instance.channel);
        build->asked = *asked;
        build->of = spawn_kind_find(asked->kind);
        garbage_uses(&build->instance, asked->layers, asked->layer_count, "");
        build->report_fd = -1;
}

/* The second sandbox: it takes over user id, staging folder and what the first has reported. */
static void build_inside(struct build *build)
{
        struct instance *first = &build->instance;
        struct build *second = calloc(1, sizeof(*second));
        struct err err;

        if (second == NULL) {
                build_finish(build, ERR_NO_MEMORY, "out of memory");
                return;
        }
        build_init(second, first->spawn, first->link, &build->asked);
        second->inside = true;
        second->report = build->report;
        second->instance.slot = first->slot;
        memcpy(second->staging, build->staging, sizeof(second->staging));
        close(build->report_fd);
        instance_free(first);
        enum err_code code = job_make(second, &err);
        if (code == ERR_OK)
                code = job_run(second, NULL, &err);
        if (code == ERR_OK)
                code = instance_watch(&second->instance, &err);
        if (code != ERR_OK)
                build_finish(second, code, err.text);
}

void build_refuse(struct link *link, uint64_t id, enum err_code code, const char *text)
{
        union spawn_frame frame = {.built = {.head = {.op = SPAWN_BUILT, .id = id}, .code = code}};
        int none = -1;

        snprintf(frame.built.text, sizeof(frame.built.text), "%s", text);
        link_send(link, &frame, &none);
}

/* A build of a server that is gone, whose blobs are being put away: they need not be fetched again. */
static bool is_putting_away(const struct spawn *spawn, const struct spawn_build *asked)
{
        for (size_t i = 0; i < INSTANCES_BUCKETS; i++) {
                for (struct instance *one = spawn->instances.buckets[i]; one != NULL; one = one->next) {
                        if (one->kind == &job_kind && one->link == NULL && build_of(one)->of->many &&
                            strcmp(build_of(one)->asked.organization, asked->organization) == 0)
                                return true;
                }
        }
        return false;
}

void build_start(struct spawn *spawn, struct link *link, const struct spawn_build *asked, const int *fds)
{
        if (spawn_kind_find(asked->kind)->many && is_putting_away(spawn, asked)) {
                build_refuse(link, asked->head.id, ERR_LIMIT,
                             "what an earlier server fetched is being put away; it is tried again");
                return;
        }

        struct build *build = calloc(1, sizeof(*build));
        struct err err;

        if (build == NULL) {
                build_refuse(link, asked->head.id, ERR_NO_MEMORY, "out of memory");
                return;
        }
        build_init(build, spawn, link, asked);
        build->inside = build->of->inside_only;
        enum err_code code = job_create(build, fds, &err);
        if (code != ERR_OK)
                build_finish(build, code, err.text);
}
