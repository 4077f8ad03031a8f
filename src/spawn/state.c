/* spawn/state.c: opens, locks and lays out the state directory. */
#include "spawn/state.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "spawn/root.h"
#include "spawn/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { LOCK_WAIT_S = 3 };

struct ids {
        uint32_t uid, gid;
        bool found;
};

static struct ids ids_look_up(const char *user)
{
        uint64_t number;
        bool is_number = str_to_u64(str_of(user), &number) && number > 0 && number < UINT32_MAX;
        const struct passwd *entry = is_number ? getpwuid((uid_t)number) : getpwnam(user);

        if (entry != NULL)
                return (struct ids){entry->pw_uid, entry->pw_gid, true};
        if (is_number)
                return (struct ids){(uint32_t)number, (uint32_t)number, true};
        return (struct ids){STATE_ID_RESERVED, STATE_ID_RESERVED, false};
}

enum err_code state_user_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
        struct ids ids;
        int ends[2];

        /* In a child: the user database may load libraries (nsswitch.conf), which would stay in memory here.
         */
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");
        own_fd int in = ends[0], out = ends[1];
        pid_t pid = fork();
        if (pid == 0) {
                ids = ids_look_up(user);
                _exit(write(out, &ids, sizeof(ids)) == sizeof(ids) ? 0 : 1);
        }
        close(take_fd(&out));
        ssize_t got = pid < 0 ? -1 : read(in, &ids, sizeof(ids));
        if (pid > 0)
                (void)waitpid(pid, NULL, 0);
        if (got != sizeof(ids))
                return err_set(err, ERR_SYSTEM, "look up the user '%s'", user);
        if (ids.uid == 0)
                return err_set(err, ERR_INVALID,
                               "the server must not run as root: choose another user with --user");
        *ret_uid = ids.uid;
        *ret_gid = ids.gid;
        return ERR_OK;
}

static enum err_code folder_open(const struct state *state, const char *name, uid_t uid, gid_t gid,
                                 int *ret_fd, struct err *err)
{
        const mode_t mode = 0700;

        if (mkdirat(state->fd, name, mode) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder %s/%s", state->path, name);
        own_fd int fd = openat(state->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOTDIR)
                return err_set(err, ERR_INVALID,
                               "%s/%s must be a folder, and neither a file nor a link: move it away",
                               state->path, name);
        if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
                return err_sys(err, "open the folder %s/%s", state->path, name);
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static enum err_code read_only(const char *path, struct err *err)
{
        return err_set(err, ERR_SYSTEM,
                       "the state directory %s is on a read-only file system: mount it writable, or choose "
                       "another with --state-dir",
                       path);
}

static enum err_code path_refused(const char *path, const char *part, struct err *err)
{
        if (errno == EROFS)
                return read_only(path, err);
        if (errno == ENOTDIR)
                return err_set(err, ERR_INVALID,
                               "the state directory %s cannot be made: what is above %s is not a folder; "
                               "choose another with --state-dir",
                               path, part);
        if (errno == ENAMETOOLONG)
                return err_set(err, ERR_INVALID,
                               "a name in the path of the state directory is too long: choose another with "
                               "--state-dir (it is %s)",
                               path);
        return err_disk(err, "make the folder %s for the state directory (--state-dir)", part);
}

/* It was made, or something of that name was there. */
static enum err_code folder_check(const char *path, struct err *err)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return err_sys(
                        err,
                        "the state directory %s is a link that leads nowhere: make what it leads to, or "
                        "choose another with --state-dir",
                        path);
        if (!S_ISDIR(status.st_mode))
                return err_set(err, ERR_INVALID,
                               "the state directory %s is a file: remove it, or choose another with "
                               "--state-dir",
                               path);
        return ERR_OK;
}

/* mkdir -p. */
static enum err_code path_make(const char *path, struct err *err)
{
        own_mem char *copy = strdup(path);

        if (copy == NULL)
                return err_nomem(err);
        for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return path_refused(path, copy, err);
                *slash = '/';
        }
        if (mkdir(copy, 0711) < 0 && errno != EEXIST)
                return path_refused(path, copy, err);
        return folder_check(copy, err);
}

static void on_alarm(int signum)
{
        (void)signum; /* that flock was interrupted is all */
}

/*
 * An older spawn may have been killed a moment ago: its server, which shares the lock, then holds it and the
 * ports until the kernel has ended it. So a lock that is taken is waited for, but not long. The timer
 * repeats, for it may fire before flock waits.
 */
static int lock_wait(int fd)
{
        const struct itimerval off = {{0, 0}, {0, 0}},
                               on = {.it_interval = {.tv_usec = 100000}, .it_value = {.tv_sec = LOCK_WAIT_S}};
        struct sigaction interrupt = {.sa_handler = on_alarm}, before;

        if (sigaction(SIGALRM, &interrupt, &before) < 0 || setitimer(ITIMER_REAL, &on, NULL) < 0)
                return -1;
        int result = flock(fd, LOCK_EX);
        int saved = errno == EINTR ? EWOULDBLOCK : errno;
        (void)setitimer(ITIMER_REAL, &off, NULL);
        (void)sigaction(SIGALRM, &before, NULL);
        errno = saved;
        return result;
}

static enum err_code lock_take(struct state *state, struct err *err)
{
        state->lock_fd = openat(state->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (state->lock_fd < 0)
                return errno == EROFS ? read_only(state->path, err)
                                      : err_disk(err, "open %s/lock", state->path);
        if (flock(state->lock_fd, LOCK_EX | LOCK_NB) == 0 ||
            (errno == EWOULDBLOCK && lock_wait(state->lock_fd) == 0))
                return ERR_OK;
        if (errno == EWOULDBLOCK)
                return err_set(
                        err, ERR_CONFLICT,
                        "another server runs on the state directory %s; stop it, or choose another with "
                        "--state-dir",
                        state->path);
        return err_sys(err, "lock %s/lock", state->path);
}

static enum err_code layout_make(struct state *state, struct err *err)
{
        enum err_code code = folder_open(state, "server", state->uid, state->gid, &state->server_fd, err);

        if (code == ERR_OK)
                code = folder_open(state, "layers", 0, 0, &state->layers_fd, err);
        if (code == ERR_OK)
                code = folder_open(state, "staging", 0, 0, &state->staging_fd, err);
        if (code == ERR_OK)
                code = folder_open(state, "mnt", 0, 0, &state->mnt_fd, err);
        if (code == ERR_OK)
                code = folder_open(state, "blobs", 0, 0, &state->blobs_fd, err);
        if (code == ERR_OK)
                code = folder_open(state, "points", 0, 0, &state->points_fd, err);
        return code == ERR_OK ? root_points_make(state->points_fd, err) : code;
}

/* FNV-1a, 64 bits. */
static uint64_t path_hash(const char *path)
{
        uint64_t hash = 0xcbf29ce484222325;

        for (; *path != '\0'; path++)
                hash = (hash ^ (unsigned char)*path) * 0x100000001b3;
        return hash;
}

static enum err_code state_open_at(const char *path, struct state *state, struct err *err)
{
        enum err_code code = path_make(path, err);

        if (code != ERR_OK)
                return code;
        state->path = realpath(path, NULL);
        if (state->path == NULL)
                return err_sys(err, "open the state directory %s", path);
        state->sandbox_uid_first =
                STATE_UID_FIRST + (uid_t)(path_hash(state->path) % STATE_UID_GROUPS) * STATE_UID_GROUP;
        state->job_uid_first = state->sandbox_uid_first + STATE_UID_BLOCK - STATE_JOB_UIDS;
        state->root_uid_first = state->sandbox_uid_first + STATE_UID_BLOCK;
        state->fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state->fd < 0)
                return err_sys(err, "open the state directory %s", path);
        code = lock_take(state, err);
        if (code != ERR_OK)
                return code;
        if (fchown(state->fd, 0, 0) < 0 || fchmod(state->fd, 0711) < 0)
                return err_sys(err, "take the state directory %s", path);
        return layout_make(state, err);
}

enum err_code state_open(const char *path, uid_t uid, gid_t gid, struct state *ret, struct err *err)
{
        struct state state = {.fd = -1,
                              .lock_fd = -1,
                              .server_fd = -1,
                              .layers_fd = -1,
                              .staging_fd = -1,
                              .mnt_fd = -1,
                              .blobs_fd = -1,
                              .points_fd = -1,
                              .uid = uid,
                              .gid = gid};
        enum err_code code = state_open_at(path, &state, err);

        if (code != ERR_OK) {
                state_finish(&state);
                return code;
        }
        *ret = state;
        return ERR_OK;
}

enum err_code state_generation_next(struct state *state, uint32_t *ret, struct err *err)
{
        uint32_t last = 0, now = (uint32_t)clock_wall_s();

        if (pread(state->lock_fd, &last, sizeof(last), 0) < 0)
                return err_sys(err, "read %s/lock", state->path);
        uint32_t next = last < now ? now : last + 1;
        if (pwrite(state->lock_fd, &next, sizeof(next), 0) != sizeof(next))
                return err_disk(err, "write %s/lock", state->path);
        *ret = next;
        return ERR_OK;
}

void state_finish(struct state *state)
{
        const int fds[] = {state->blobs_fd,  state->points_fd, state->mnt_fd,  state->staging_fd,
                           state->layers_fd, state->server_fd, state->lock_fd, state->fd};

        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
        }
        free(state->path);
        *state = (struct state){.fd = -1,
                                .lock_fd = -1,
                                .server_fd = -1,
                                .layers_fd = -1,
                                .staging_fd = -1,
                                .mnt_fd = -1,
                                .blobs_fd = -1,
                                .points_fd = -1};
}

void state_cgroup_name(const struct state *state, char out[STATE_CGROUP_NAME_MAX])
{
        snprintf(out, STATE_CGROUP_NAME_MAX, "dispatch-%016llx", (unsigned long long)path_hash(state->path));
}

enum err_code state_discard(struct state *state, int dir_fd, const char *name, struct err *err)
{
        char drop[32];

        for (;;) {
                snprintf(drop, sizeof(drop), "drop-%llu", (unsigned long long)state->next_drop++);
                if (renameat2(dir_fd, name, state->staging_fd, drop, RENAME_NOREPLACE) == 0)
                        return ERR_OK;
                if (errno == ENOENT)
                        return err_set(err, ERR_NOT_FOUND, "there is no layer '%s'", name);
                if (errno != EEXIST)
                        return err_sys(err, "discard the layer '%s'", name);
        }
}

/* The next entry of staging whose name begins so. Starts over each time: the folder is being changed. */
static bool entry_find(int staging_fd, const char *prefix, char *out, size_t size)
{
        own_fd int fd = openat(staging_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (dir == NULL)
                return false;
        (void)take_fd(&fd);
        while ((entry = readdir(dir)) != NULL) {
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
                        snprintf(out, size, "%s", entry->d_name);
                        return true;
                }
        }
        return false;
}

enum err_code state_discard_leftovers(struct state *state, struct err *err)
{
        static const char *const prefixes[] = {"job-", ".moved-"};
        char name[256];

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
                while (entry_find(state->staging_fd, prefixes[i], name, sizeof(name))) {
                        enum err_code code = state_discard(state, state->staging_fd, name, err);
                        if (code != ERR_OK)
                                return code;
                }
        }
        return ERR_OK;
}

enum err_code state_discarded_remove(int staging_fd, struct err *err)
{
        char name[256];

        while (entry_find(staging_fd, "drop-", name, sizeof(name))) {
                enum err_code code = tree_remove(staging_fd, name, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}
