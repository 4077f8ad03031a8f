/*
 * runtimes/agent/park_join.c: from a fork server into a sandbox, as wire/fork.h tells it.
 *
 * A pid namespace is joined by children alone, and a fork copies a whole interpreter's page tables: so the
 * two processes on the way share the fork server's memory (vfork), and only the last is a copy. Between vfork
 * and _exit there is nothing but system calls, and the one fork, which finds what it needs of the C library's
 * state as the fork server left it. The right to all this is the fork server's user id, which owns the
 * sandbox's user namespace: whoever enters that has every capability in it, and gives them up before the
 * fork.
 */
#include "runtimes/agent/park.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SANDBOX_USER = 1000 };

/* On top of the fork server's own filter, which stays: what it may do besides is over. */
static struct sock_filter no_setns[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static int cgroups_enter(const struct park_join *join)
{
        for (size_t i = 0; i < join->cgroup_count; i++) {
                if (write(join->cgroup_fds[i], "0", 1) != 1)
                        return -1;
        }
        return 0;
}

/* The calls themselves: the C library would look for other threads, which a process on the way has not. */
static int user_become(void)
{
        if (syscall(SYS_setgroups, 0, NULL) < 0 ||
            syscall(SYS_setresgid, SANDBOX_USER, SANDBOX_USER, SANDBOX_USER) < 0)
                return -1;
        return (int)syscall(SYS_setresuid, SANDBOX_USER, SANDBOX_USER, SANDBOX_USER);
}

static int capabilities_drop(void)
{
        const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

        memset(none, 0, sizeof(none));
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -1;
        for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
                continue;
        if (errno != EINVAL || prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
                return -1;
        return (int)syscall(SYS_capset, &head, none);
}

/* As sandbox/rights.h has it for what is booted. */
static int rights_drop(void)
{
        struct sock_fprog program = {.len = sizeof(no_setns) / sizeof(no_setns[0]), .filter = no_setns};

        if (user_become() < 0 || capabilities_drop() < 0)
                return -1;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static void failed(volatile struct fork_answer *ret, enum fork_step step)
{
        ret->step = step;
        ret->error = errno != 0 ? errno : EIO;
}

/* The second on the way, the first in the sandbox. True in the one that it forks. */
static bool fork_inside(const struct park_join *join, volatile struct fork_answer *ret)
{
        if (cgroups_enter(join) < 0) {
                failed(ret, FORK_STEP_CGROUP);
                return false;
        }
        if (rights_drop() < 0) {
                failed(ret, FORK_STEP_RIGHTS);
                return false;
        }
        pid_t pid = fork();
        if (pid == 0)
                return true;
        if (pid < 0)
                failed(ret, FORK_STEP_FORK);
        else
                ret->pid = pid;
        return false;
}

static void await(pid_t pid)
{
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

/* In what was forked: as the sandbox's init leaves what it starts. */
static void settle(void)
{
        (void)setsid();
        /* The memory was the fork server's, which nobody may look into. */
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

bool park_fork(const struct park_join *join, volatile struct fork_answer *ret)
{
        ret->step = FORK_STEP_NONE;
        ret->error = 0;
        ret->pid = 0;

        /* NOLINTBEGIN(clang-analyzer-unix.Vfork): see above */
        pid_t first = vfork();
        if (first == 0) {
                if (setns(join->sandbox_fd, FORK_NAMESPACES) < 0) {
                        failed(ret, FORK_STEP_JOIN);
                        _exit(1);
                }
                pid_t second = vfork();
                if (second == 0) {
                        if (!fork_inside(join, ret))
                                _exit(0);
                        settle();
                        return true; /* on a stack of its own by now */
                }
                if (second < 0)
                        failed(ret, FORK_STEP_FORK);
                else
                        await(second);
                _exit(0);
        }
        /* NOLINTEND(clang-analyzer-unix.Vfork) */
        if (first < 0)
                failed(ret, FORK_STEP_FORK);
        else
                await(first);
        /* Killed on the way. */
        if (ret->step == FORK_STEP_NONE && ret->pid <= 0) {
                errno = EIO;
                failed(ret, FORK_STEP_FORK);
        }
        return false;
}
