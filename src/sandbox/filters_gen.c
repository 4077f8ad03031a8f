/*
 * sandbox/filters_gen.c: writes the seccomp programs as a C array, when Dispatch is built.
 *
 * So the filters are constant data of dispatch-spawn, and libseccomp is a tool of the build alone. A filter
 * is an allow-list. What is not on it answers ENOSYS, so that programs fall back as they do on an older
 * kernel; what is known and refused on purpose answers EPERM. A call by another ABI (i386, x32) kills the
 * process.
 */
#include "wire/fork.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What any process may call. Creating namespaces by clone is cut out below. */
static const char *const common[] = {
        /* files */
        "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup",
        "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat",
        "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
        "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents",
        "getdents64", "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
        "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lremovexattr", "lseek",
        "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat",
        "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead",
        "readlink", "readlinkat", "readv", "removexattr", "rename", "renameat", "renameat2", "rmdir",
        "sendfile", "setxattr", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync",
        "sync_file_range", "syncfs", "tee", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat",
        "utimes", "write", "writev",
        /* memory */
        "brk", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap",
        "mprotect", "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
        "pkey_mprotect", "remap_file_pages",
        /* processes and threads */
        "alarm", "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
        "futex", "futex_waitv", "get_robust_list", "get_thread_area", "getcpu", "getegid", "geteuid",
        "getgid", "getgroups", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
        "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "kill", "pause",
        "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "riscv_flush_icache",
        "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
        "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max",
        "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
        "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam",
        "sched_setscheduler", "sched_yield", "set_robust_list", "set_thread_area", "set_tid_address",
        "setfsgid", "setfsuid", "setgid", "setgroups", "setitimer", "setpgid", "setpriority", "setregid",
        "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setuid", "sigaltstack", "tgkill",
        "times", "tkill", "vfork", "wait4", "waitid",
        /* waiting, time, the rest */
        "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create", "epoll_create1", "epoll_ctl",
        "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "getrandom", "gettimeofday",
        "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "nanosleep", "pipe",
        "pipe2", "poll", "ppoll", "pselect6", "select", "signalfd", "signalfd4", "sysinfo", "time",
        "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
        "timerfd_create", "timerfd_gettime", "timerfd_settime", "uname",
        /* sockets that are there: the channel */
        "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg",
        "sendto", "setsockopt", "shutdown", "socketpair"};

/* Sockets in its own network namespace, or in the host's for a job that fetches. */
static const char *const network[] = {"accept", "accept4", "bind", "connect", "listen"};

/* What a tenant may call besides: IPC in its own IPC namespace. */
static const char *const tenant[] = {"msgctl", "msgget",     "msgrcv", "msgsnd", "semctl", "semget",
                                     "semop",  "semtimedop", "shmat",  "shmctl", "shmdt",  "shmget"};

/* Known and refused: EPERM, as without the right to it. */
static const char *const refused[] = {"acct",
                                      "add_key",
                                      "adjtimex",
                                      "bpf",
                                      "chroot",
                                      "clock_adjtime",
                                      "clock_settime",
                                      "delete_module",
                                      "fanotify_init",
                                      "fanotify_mark",
                                      "finit_module",
                                      "fsconfig",
                                      "fsmount",
                                      "fsopen",
                                      "fspick",
                                      "get_mempolicy",
                                      "init_module",
                                      "ioperm",
                                      "iopl",
                                      "kcmp",
                                      "kexec_file_load",
                                      "kexec_load",
                                      "keyctl",
                                      "lookup_dcookie",
                                      "mbind",
                                      "migrate_pages",
                                      "modify_ldt",
                                      "mount",
                                      "mount_setattr",
                                      "move_mount",
                                      "move_pages",
                                      "name_to_handle_at",
                                      "open_by_handle_at",
                                      "open_tree",
                                      "perf_event_open",
                                      "pidfd_getfd",
                                      "pivot_root",
                                      "process_madvise",
                                      "process_mrelease",
                                      "process_vm_readv",
                                      "process_vm_writev",
                                      "ptrace",
                                      "quotactl",
                                      "quotactl_fd",
                                      "reboot",
                                      "request_key",
                                      "seccomp",
                                      "set_mempolicy",
                                      "set_mempolicy_home_node",
                                      "setdomainname",
                                      "sethostname",
                                      "setns",
                                      "settimeofday",
                                      "swapoff",
                                      "swapon",
                                      "syslog",
                                      "umount2",
                                      "unshare",
                                      "userfaultfd",
                                      "vhangup"};

/* Newer than the library's tables; numbers are the same on every architecture since 5.1. */
static const int common_numbers[] = {452 /* fchmodat2 */, 462 /* mseal */};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void must(int result, const char *what)
{
        if (result >= 0)
                return;
        fprintf(stderr, "filters: %s: %s\n", what, strerror(-result));
        exit(1);
}

/* Names of other architectures resolve to negative pseudo numbers; they have no rule here. */
static void add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int number = seccomp_syscall_resolve_name(names[i]);
                if (number >= 0)
                        must(seccomp_rule_add(ctx, action, number, 0), names[i]);
        }
}

/* The bits of an argument that the mask names are these. */
static struct scmp_arg_cmp bits_are(unsigned arg, uint64_t mask, uint64_t bits)
{
        return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = bits};
}

/* An int: what stands in the upper half of the register does not count. */
static struct scmp_arg_cmp int_is(unsigned arg, uint32_t value)
{
        return bits_are(arg, UINT32_MAX, value);
}

static void add_clone(scmp_filter_ctx ctx)
{
        uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                              CLONE_NEWPID | CLONE_NEWNET;

        must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, bits_are(0, namespaces, 0)), "clone");
        for (unsigned bit = 0; bit < 64; bit++) {
                uint64_t one = 1ULL << bit;
                if (namespaces & one)
                        must(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                              bits_are(0, one, one)),
                             "clone");
        }
        /* clone3 stays on the default, ENOSYS: a filter cannot read its flags; C libraries fall back to
         * clone. */
}

static void add_personality(scmp_filter_ctx ctx)
{
        static const uint32_t allowed[] = {0 /* PER_LINUX */, 8 /* PER_LINUX32 */, 0xffffffff /* ask */};

        for (size_t i = 0; i < COUNT(allowed); i++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, int_is(0, allowed[i])),
                     "personality");
}

static void add_sockets(scmp_filter_ctx ctx)
{
        static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6};

        for (size_t i = 0; i < COUNT(families); i++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, int_is(0, families[i])),
                     "socket");
        /* getifaddrs and getaddrinfo ask which addresses there are. */
        must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, int_is(0, AF_NETLINK),
                              int_is(2, NETLINK_ROUTE)),
             "netlink");
}

enum calls {
        CALLS_BUILD,
        CALLS_FETCH,   /* and the network */
        CALLS_ROOT,    /* and what package tools ask for, of root of a range of ids */
        CALLS_DEBROOT, /* and chroot */
        CALLS_TENANT,  /* and IPC */
        CALLS_FORK     /* of a fork server */
};

/* What a value other than `value` looks like in bits 8 to 15 of an argument, one rule a bit: a comparison
 * would look at the upper half of the register, which the kernel does not. */
static void add_byte_is_not(scmp_filter_ctx ctx, int call, unsigned arg, uint32_t value)
{
        for (unsigned bit = 8; bit < 16; bit++) {
                uint64_t mask = 0xffff & ~((1ULL << bit) - 1);
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
                                      bits_are(arg, mask, (value ^ 1U << bit) & mask)),
                     "all but one");
        }
}

/*
 * A fork server owns the user namespaces of what it forks. Tenant's code may run in it, which can enter one
 * of them by the descriptor that it was given and then has every capability there: so it gets no call by
 * which capabilities over a network namespace reach the kernel's code for networks. What it forks keeps this
 * filter.
 */
static void add_fork_network(scmp_filter_ctx ctx)
{
        static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6};
        static const uint32_t types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
        static const uint32_t levels[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_UDP};
        /* Those that read. */
        static const uint32_t requests[] = {SIOCATMARK,  FIOGETOWN,     SIOCGPGRP,      SIOCGIFNAME,
                                            SIOCGIFCONF, SIOCGIFFLAGS,  SIOCGIFADDR,    SIOCGIFDSTADDR,
                                            SIOCGIFMTU,  SIOCGIFHWADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK,
                                            SIOCGIFINDEX};

        for (size_t f = 0; f < COUNT(families); f++) {
                for (size_t t = 0; t < COUNT(types); t++)
                        must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                              int_is(0, families[f]), bits_are(1, 0xf, types[t])),
                             "socket");
                must(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2, int_is(0, families[f]),
                                      bits_are(1, 0xf, SOCK_RAW)),
                     "socket");
        }
        must(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2, int_is(0, AF_NETLINK),
                              int_is(2, NETLINK_ROUTE)),
             "netlink");
        for (size_t i = 0; i < COUNT(levels); i++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 1, int_is(1, levels[i])),
                     "setsockopt");
        /* From 64 on there are tables of packet filters, and routing of multicasts. */
        for (uint32_t level = 0; level <= IPPROTO_IPV6; level += IPPROTO_IPV6)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, int_is(1, level),
                                      bits_are(2, UINT32_MAX & ~63U, 0)),
                     "setsockopt");
        for (uint32_t option = IPV6_RECVTCLASS; option <= IPV6_FREEBIND; option++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, int_is(1, IPPROTO_IPV6),
                                      int_is(2, option)),
                     "setsockopt");
        add_byte_is_not(ctx, SCMP_SYS(ioctl), 1, 0x8900);
        for (size_t i = 0; i < COUNT(requests); i++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, int_is(1, requests[i])),
                     "ioctl");
}

/* True for what a fork server has by rules of its own. */
static bool is_fork_own(const char *name)
{
        static const char *const names[] = {"setns", "setsockopt", "ioctl"};

        for (size_t i = 0; i < COUNT(names); i++) {
                if (strcmp(name, names[i]) == 0)
                        return true;
        }
        return false;
}

static void add_list(scmp_filter_ctx ctx, enum calls calls, uint32_t action, const char *const *names,
                     size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (calls != CALLS_FORK || !is_fork_own(names[i]))
                        add_names(ctx, action, &names[i], 1);
        }
}

static scmp_filter_ctx filter_make(enum calls calls)
{
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

        if (ctx == NULL)
                must(-ENOMEM, "init");
        must(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture");
        must(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
        add_list(ctx, calls, SCMP_ACT_ALLOW, common, COUNT(common));
        for (size_t i = 0; i < COUNT(refused); i++)
                add_list(ctx, calls,
                         calls == CALLS_DEBROOT && strcmp(refused[i], "chroot") == 0 ? SCMP_ACT_ALLOW
                                                                                     : SCMP_ACT_ERRNO(EPERM),
                         &refused[i], 1);
        for (size_t i = 0; i < COUNT(common_numbers); i++)
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, common_numbers[i], 0), "number");
        add_clone(ctx);
        if (calls >= CALLS_FETCH) {
                add_names(ctx, SCMP_ACT_ALLOW, network, COUNT(network));
                if (calls != CALLS_FORK)
                        add_sockets(ctx);
        }
        if (calls == CALLS_FORK) {
                add_fork_network(ctx);
                must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setns), 1, int_is(1, FORK_NAMESPACES)),
                     "setns");
        }
        if (calls >= CALLS_ROOT)
                add_personality(ctx);
        if (calls >= CALLS_TENANT)
                add_names(ctx, SCMP_ACT_ALLOW, tenant, COUNT(tenant));
        return ctx;
}

static void filter_print(scmp_filter_ctx ctx, const char *name)
{
        struct {
                uint16_t code;
                uint8_t jt, jf;
                uint32_t k;
        } op;
        FILE *program = tmpfile();

        if (program == NULL)
                must(-errno, "temporary file");
        must(seccomp_export_bpf(ctx, fileno(program)), "export");
        rewind(program);
        printf("static const struct sock_filter filter_%s[] = {\n", name);
        while (fread(&op, sizeof(op), 1, program) == 1)
                printf("        {0x%02x, %u, %u, 0x%08x},\n", op.code, op.jt, op.jf, op.k);
        printf("};\n");
        fclose(program);
        seccomp_release(ctx);
}

int main(void)
{
        printf("/* Made by filters_gen. */\n#include <linux/filter.h>\n");
        filter_print(filter_make(CALLS_TENANT), "default");
        filter_print(filter_make(CALLS_FORK), "fork");
        filter_print(filter_make(CALLS_BUILD), "build");
        filter_print(filter_make(CALLS_FETCH), "fetch");
        filter_print(filter_make(CALLS_ROOT), "root");
        filter_print(filter_make(CALLS_DEBROOT), "debroot");
        return 0;
}
