/*
 * sandbox/cgroup_clear.c: ends what an older process left: kills every process of a tree of cgroups, waits
 * for them, and removes the folders from the leaves up.
 */
#include "sandbox/cgroup_impl.h"

#include "base/clock.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        DEPTH_MAX = 5,       /* tree, organization, function, instance; a sandbox cannot make folders */
        CLEAR_MS_MAX = 5000, /* for all of it */
        RETRY_MS = 2
};

/* Kills one process and waits until it is gone; no such process is fine. */
static void process_end(pid_t pid, uint64_t deadline_ms)
{
        own_fd int fd = pidfd_open(pid, 0);
        struct pollfd gone = {.fd = fd, .events = POLLIN};
        uint64_t now = clock_mono_ms();

        if (fd < 0 || pid == getpid())
                return;
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
        (void)poll(&gone, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
}

static void processes_end(int dir_fd, uint64_t deadline_ms)
{
        own_fd int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        own_file FILE *procs = fd >= 0 ? fdopen(fd, "re") : NULL;
        int pid;

        if (procs == NULL)
                return;
        (void)take_fd(&fd);
        /* Killing the init of a sandbox ends all of it, so most of the rest are gone when their turn comes.
         */
        while (fscanf(procs, "%d", &pid) == 1)
                process_end(pid, deadline_ms);
}

static bool remove_wait(int parent_fd, const char *name, uint64_t deadline_ms)
{
        /* Nobody tells when a cgroup of the first version has become empty, so this asks again. */
        static const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

        while (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0) {
                if (errno == ENOENT)
                        return true;
                if (errno != EBUSY || clock_mono_ms() >= deadline_ms)
                        return false;
                (void)nanosleep(&pause, NULL);
        }
        return true;
}

static void tree_end(int parent_fd, const char *name, unsigned depth, uint64_t deadline_ms)
{
        own_fd int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (dir == NULL)
                return;
        int dir_fd = take_fd(&fd);
        (void)cgroup_write(dir_fd, ".", "pids.max", "0", NULL); /* where it is there: nothing new in it */
        processes_end(dir_fd, deadline_ms);
        while (depth < DEPTH_MAX && (entry = readdir(dir)) != NULL) {
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                        tree_end(dir_fd, entry->d_name, depth + 1, deadline_ms);
        }
        (void)remove_wait(parent_fd, name, deadline_ms);
}

static void thaw(int parent_fd, const char *name, unsigned depth)
{
        own_fd int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (dir == NULL)
                return;
        int dir_fd = take_fd(&fd);
        if (cgroup_write(dir_fd, ".", "freezer.state", "THAWED", NULL) != ERR_OK && errno == ENOENT &&
            depth > 0)
                return; /* no hierarchy of the freezer */
        while (depth < DEPTH_MAX && (entry = readdir(dir)) != NULL) {
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                        thaw(dir_fd, entry->d_name, depth + 1);
        }
}

void cgroup_thaw_below(const char *path)
{
        thaw(AT_FDCWD, path, 0);
}

enum err_code cgroup_clear(const char *path, struct err *err)
{
        struct stat status;

        tree_end(AT_FDCWD, path, 0, clock_mono_ms() + CLEAR_MS_MAX);
        if (stat(path, &status) == 0) {
                errno = EBUSY;
                return err_sys(err, "clear the cgroup %s that an earlier server left", path);
        }
        return ERR_OK;
}
