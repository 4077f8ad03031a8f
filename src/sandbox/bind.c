/*
 * sandbox/bind.c: binds code into a running sandbox. See bind.h.
 *
 * The mount namespace belongs to the sandbox's user namespace, a child of ours, so our capabilities count in
 * it (user_namespaces(7)). To join a mount namespace a process must not share its root and working directory
 * (setns(2)): hence the child.
 */
#include "sandbox/bind.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024 };

struct bind {
        int pid_fd, code_fd;
        struct mounts_tmpfs tmp;
        const char *volatile step;
        volatile int failed; /* an errno */
};

/* The size of a tmpfs belongs to the file system, not to its mount. */
static int tmp_resize(const struct mounts_tmpfs *size)
{
        int context = fspick(AT_FDCWD, "/tmp", FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW);

        if (context < 0)
                return -1;
        int result = fsconfig(context, FSCONFIG_SET_STRING, "size", size->size, 0);
        if (result == 0)
                result = fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", size->inodes, 0);
        if (result == 0)
                result = fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
        int saved = errno;
        close(context); /* the table of descriptors is the parent's */
        errno = saved;
        return result;
}

static int inside(struct bind *bind)
{
        bind->step = "join its mount namespace";
        if (setns(bind->pid_fd, CLONE_NEWNS) < 0)
                return -1;
        bind->step = "attach /function";
        if (bind->code_fd >= 0 &&
            move_mount(bind->code_fd, "", AT_FDCWD, "/function", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return -1;
        bind->step = "give /tmp its size";
        return tmp_resize(&bind->tmp);
}

/* The child: system calls alone, while its parent waits. */
static int child(void *arg)
{
        struct bind *bind = arg;

        bind->failed = inside(bind) < 0 ? errno : 0;
        return 0;
}

enum err_code sandbox_bind(const struct sandbox *sandbox, int code_fd, uint32_t tmp_mib, struct err *err)
{
        static char stack[STACK_BYTES] __attribute__((aligned(16)));
        struct bind bind = {.pid_fd = sandbox->pid_fd, .code_fd = code_fd, .failed = EINTR};

        assert(sandbox->state == SANDBOX_RUNNING);
        mounts_tmpfs_measure(tmp_mib, &bind.tmp);
        /* Without a signal at its end: nobody but the next line waits for it. */
        int pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES, &bind);
        if (pid < 0)
                return err_sys(err, "clone what binds the code");
        while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
                ;
        if (bind.failed == ESRCH)
                return err_set(err, ERR_UNAVAILABLE, "the sandbox has just ended");
        errno = bind.failed;
        return bind.failed != 0 ? err_sys(err, "bind the code: %s", bind.step) : ERR_OK;
}
