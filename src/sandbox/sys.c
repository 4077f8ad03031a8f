/* sandbox/sys.c: raw system calls behind sys.h. */
#include "sandbox/sys.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

int sys_capabilities_set(uint64_t capabilities)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        memset(data, 0, sizeof(data));
        for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
                data[i].effective = data[i].permitted = (uint32_t)(capabilities >> 32 * i);
        return (int)syscall(SYS_capset, &head, data);
}

static int file_write(pid_t pid, const char *name, const char *text)
{
        char path[48];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        own_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static int userns_of(pid_t pid, const char *map)
{
        char path[48];

        if (file_write(pid, "gid_map", map) < 0 || file_write(pid, "uid_map", map) < 0)
                return -1;
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
        return open(path, O_RDONLY | O_CLOEXEC);
}

int sys_userns_open(const char *map)
{
        struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
        pid_t pid = sys_clone3(&args);

        if (pid == 0) {
                /* It is there for its namespace alone. */
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        if (pid < 0)
                return -1;
        int fd = userns_of(pid, map);
        int saved = errno;
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        errno = saved;
        return fd;
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
