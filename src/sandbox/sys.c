/* sandbox/sys.c: raw system calls behind sys.h. */
#include "sandbox/sys.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t sys_clone3(struct clone_args *args)
{
        return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

int sys_open_beneath(int dir_fd, const char *name, int flags)
{
        struct open_how how = {
                .flags = (uint64_t)flags | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };

        return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

int sys_pivot_here(void)
{
        return (int)syscall(SYS_pivot_root, ".", ".");
}

int sys_capabilities_clear(void)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

        memset(none, 0, sizeof(none));
        return (int)syscall(SYS_capset, &head, none);
}

int sys_seccomp(const struct sock_filter *filter, size_t len)
{
        struct sock_fprog program = {.len = (unsigned short)len, .filter = (struct sock_filter *)filter};

        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int sys_keyring_join(void)
{
        return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

int sys_execveat(int fd, char *const argv[], char *const envp[])
{
        return (int)syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
}
