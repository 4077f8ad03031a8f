/* runtimes/native/leftovers.c: see leftovers.h; proc(5) on /proc/PID/task/TID/children. */
#include "runtimes/native/leftovers.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ROUNDS_MAX = 200, LIST_MAX = 65536 };

void leftovers_adopt(void)
{
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Fills `list` with the children's numbers; its length, or 0. */
static size_t list_children(char *list)
{
        own_fd int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
        size_t len = 0;

        while (fd >= 0 && len < LIST_MAX) {
                ssize_t n = read(fd, list + len, LIST_MAX - len);
                if (n <= 0)
                        break;
                len += (size_t)n;
        }
        return len;
}

static bool no_child(void)
{
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

bool leftovers_kill(void)
{
        static char list[LIST_MAX];

        for (int round = 0; round < ROUNDS_MAX; round++) {
                if (no_child())
                        return true;
                struct str children = {list, list_children(list)};
                while (children.len > 0) {
                        uint64_t pid;
                        /* A child that was not waited for keeps its number, so this can hit nobody else. */
                        if (str_to_u64(str_cut(&children, ' '), &pid) && pid > 1)
                                kill((pid_t)pid, SIGKILL);
                }
                while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
                        ;
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
        }
        return no_child();
}
