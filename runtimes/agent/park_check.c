/*
 * runtimes/agent/park_check.c: whether a process can be forked from: what an import left that a fork would
 * share with its siblings, or would not have.
 *
 * A tenant's code can hide from all this, to the loss of its own function alone.
 */
#include "runtimes/agent/park.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY_MAJOR = 1, LINK_MAX = 120 };

static bool bit_has(const unsigned char *bits, unsigned long n)
{
        return n < PARK_FD_MAX && (bits[n / 8] & (1U << n % 8)) != 0;
}

/* The next number that names an entry. */
static bool number_next(DIR *dir, unsigned long *ret)
{
        const struct dirent *entry;
        char *end;

        while ((entry = readdir(dir)) != NULL) {
                *ret = strtoul(entry->d_name, &end, 10);
                if (end != entry->d_name && *end == '\0')
                        return true;
        }
        return false;
}

/* Writable memory that forks would share: "ADDRESS rw-s ...". */
static size_t shared_count(char what[LINK_MAX])
{
        own_file FILE *file = fopen("/proc/self/maps", "re");
        own_mem char *line = NULL;
        size_t size = 0, count = 0;

        while (file != NULL && getline(&line, &size, file) > 0) {
                const char *modes = strchr(line, ' ');
                if (modes == NULL || modes[2] != 'w' || modes[4] != 's')
                        continue;
                const char *name = strchr(line, '/');
                snprintf(what, LINK_MAX, "%.*s", name != NULL ? (int)strcspn(name, "\n") : 9,
                         name != NULL ? name : "anonymous");
                count++;
        }
        return count;
}

void park_before(struct park *park)
{
        own_dir DIR *dir = opendir("/proc/self/fd");
        char what[LINK_MAX];
        unsigned long fd;

        while (dir != NULL && number_next(dir, &fd)) {
                if (fd < PARK_FD_MAX && fd != (unsigned long)dirfd(dir))
                        park->before[fd / 8] |= (unsigned char)(1U << fd % 8);
        }
        park->shared_before = shared_count(what);
}

static bool is_kept(const struct park *park, unsigned long fd)
{
        for (size_t i = 0; i < park->kept_count; i++) {
                if ((unsigned long)park->kept[i] == fd)
                        return true;
        }
        return false;
}

/* /dev/null and its like: nobody notices that others have it too. */
static bool is_harmless(int fd)
{
        struct stat status;

        return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && major(status.st_rdev) == MEMORY_MAJOR;
}

static bool why(struct park *park, const char *what, const char *which)
{
        snprintf(park->why, sizeof(park->why), "importing the handler %s%s%s", what,
                 which[0] != '\0' ? ": " : "", which);
        return false;
}

static bool descriptors_sound(struct park *park)
{
        own_dir DIR *dir = opendir("/proc/self/fd");
        char link[32], target[LINK_MAX];
        unsigned long fd;

        while (dir != NULL && number_next(dir, &fd)) {
                if (fd == (unsigned long)dirfd(dir) || bit_has(park->before, fd) || is_kept(park, fd) ||
                    is_harmless((int)fd))
                        continue;
                snprintf(link, sizeof(link), "/proc/self/fd/%lu", fd);
                ssize_t len = readlink(link, target, sizeof(target) - 1);
                target[len > 0 ? len : 0] = '\0';
                return why(park, "leaves a descriptor open", target);
        }
        return dir != NULL || why(park, "leaves nothing of /proc to look at", "");
}

static bool threads_sound(struct park *park)
{
        own_dir DIR *dir = opendir("/proc/self/task");
        unsigned long thread;
        size_t count = 0;
        siginfo_t info;

        while (dir != NULL && number_next(dir, &thread))
                count++;
        if (count != 1)
                return why(park, "starts a thread", "");
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD)
                return why(park, "starts a process", "");
        return true;
}

/* An instance's own are empty when it begins. */
static bool folder_sound(struct park *park, const char *path)
{
        own_dir DIR *dir = opendir(path);
        const struct dirent *entry;
        char which[LINK_MAX];

        while (dir != NULL && (entry = readdir(dir)) != NULL) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                snprintf(which, sizeof(which), "%s/%.80s", path, entry->d_name);
                return why(park, "writes a file", which);
        }
        return true;
}

static bool timers_sound(struct park *park)
{
        static const int timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
        struct itimerval now;

        for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
                if (getitimer((__itimer_which_t)timers[i], &now) == 0 && timerisset(&now.it_value))
                        return why(park, "sets a timer", "");
        }
        return true;
}

static bool memory_sound(struct park *park)
{
        char what[LINK_MAX] = "";

        return shared_count(what) <= park->shared_before || why(park, "shares memory", what);
}

bool park_possible(struct park *park)
{
        return threads_sound(park) && descriptors_sound(park) && memory_sound(park) && timers_sound(park) &&
               folder_sound(park, "/tmp") && folder_sound(park, "/dev/shm");
}
