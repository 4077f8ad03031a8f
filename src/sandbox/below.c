/*
 * sandbox/below.c: see below.h. The kernel makes a pid namespace only below that of the caller itself, so a
 * helper is there for a moment: it shares this process's memory and descriptors, is in the fork server's pid
 * namespace, and makes its child this process's.
 */
#include "sandbox/below.h"

#include "base/own.h"
#include "sandbox/child.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

struct below {
        const struct sandbox_host *host;
        const struct sandbox_spec *spec;
        struct clone_args *args;
        const int *pair;
        int error;
};

/* A user namespace belongs to the effective user of who makes it. All capabilities stay. */
static int owner_become(uid_t owner)
{
        uid_t self = getuid();

        if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 ||
            setresuid((uid_t)-1, owner, owner) < 0)
                return -1;
        /* Files are still opened as before: the child's way into its cgroup, which asks for the saved one
         * too. */
        (void)setfsuid(self);
        return 0;
}

/* The helper. */
static int below_run(void *arg)
{
        struct below *below = arg;
        pid_t pid = owner_become(below->spec->owner) == 0 ? sys_clone3(below->args) : -1;

        if (pid == 0) {
                close(below->pair[0]); /* see sandbox_make */
                child_main(below->host, below->spec, below->pair[1]);
        }
        below->error = pid < 0 ? errno : 0;
        return 0;
}

/* The helper's number for it would be another. */
static pid_t number_of(int pid_fd)
{
        char path[48], line[64];
        int pid = -1;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pid_fd);
        own_file FILE *file = fopen(path, "re");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
                if (sscanf(line, "Pid: %d", &pid) == 1)
                        break;
        }
        return pid > 0 ? pid : -1;
}

static int helper_run(struct below *below)
{
        static char stack[STACK_BYTES] __attribute__((aligned(16)));
        int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
        pid_t helper = clone(below_run, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD,
                             below);

        if (helper < 0)
                return -1;
        while (waitpid(helper, NULL, __WALL) < 0 && errno == EINTR)
                ;
        /* The change of user was the helper's, but the memory is ours. */
        (void)prctl(PR_SET_DUMPABLE, dumpable == 1, 0, 0, 0);
        errno = below->error;
        return below->error != 0 ? -1 : 0;
}

pid_t below_clone(const struct sandbox_host *host, const struct sandbox_spec *spec, struct clone_args *args,
                  const int pair[2], int *pid_fd)
{
        struct below below = {.host = host, .spec = spec, .args = args, .pair = pair, .error = EIO};

        args->flags |= CLONE_PARENT;
        args->exit_signal = 0; /* the helper's */
        if (setns(spec->below->pid_fd, CLONE_NEWPID) < 0)
                return -1;
        int result = helper_run(&below), saved = errno;
        if (setns(host->self_fd, CLONE_NEWPID) < 0)
                abort(); /* all further sandboxes would be in there */
        pid_t pid = result == 0 ? number_of(*pid_fd) : -1;
        if (result == 0 && pid < 0) {
                siginfo_t info;
                saved = ESRCH;
                (void)pidfd_send_signal(*pid_fd, SIGKILL, NULL, 0);
                (void)waitid(P_PIDFD, (id_t)*pid_fd, &info, WEXITED);
        }
        if (pid < 0 && *pid_fd >= 0)
                close(take_fd(pid_fd));
        errno = saved;
        return pid;
}
