/*
 * tests/hostile/attack.c: what a tenant's own program tries, started from a function of each language. Built
 * static by test_attacks.py. Prints one line for each attempt: NAME OUTCOME, where OUTCOME is "done" or the
 * name of the error.
 *
 *      attack                 every attempt that leaves the instance usable
 *      attack NAME [NUMBER]   one that does not
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Each returns what a system call does: below 0 and errno, or success. */

static long mount_tmpfs(void)
{
        return mount("none", "/tmp", "tmpfs", 0, NULL);
}
static long mount_proc(void)
{
        return mount("proc", "/tmp", "proc", 0, NULL);
}
static long mount_bind(void)
{
        return mount("/", "/tmp", NULL, MS_BIND, NULL);
}
static long mount_again(void)
{
        return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}
static long unmount_proc(void)
{
        return umount2("/proc", MNT_DETACH);
}
static long new_mount(void)
{
        return syscall(SYS_fsopen, "tmpfs", 0);
}
static long clone_tree(void)
{
        return syscall(SYS_open_tree, AT_FDCWD, "/", 1);
}
static long change_mount(void)
{
        return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, NULL, 0);
}
static long pivot(void)
{
        return syscall(SYS_pivot_root, "/tmp", "/tmp");
}
static long change_root(void)
{
        return chroot("/tmp");
}

static long namespace_user(void)
{
        return unshare(CLONE_NEWUSER);
}
static long namespace_mount(void)
{
        return unshare(CLONE_NEWNS);
}
static long namespace_net(void)
{
        return unshare(CLONE_NEWNET);
}
static long namespace_pid(void)
{
        return unshare(CLONE_NEWPID);
}
static long namespace_clone(void)
{
        return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}
static long namespace_clone3(void)
{
        return syscall(SYS_clone3, NULL, 0);
}
static long namespace_join(void)
{
        int fd = open("/proc/self/ns/net", O_RDONLY);

        return fd < 0 ? fd : setns(fd, 0);
}
static long namespace_join_pidfd(void)
{
        int fd = (int)syscall(SYS_pidfd_open, 1, 0);

        return fd < 0 ? fd : setns(fd, CLONE_NEWNS | CLONE_NEWNET);
}

static long trace_init(void)
{
        return ptrace(PTRACE_ATTACH, 1, 0, 0);
}
static long trace_me(void)
{
        return ptrace(PTRACE_TRACEME, 0, 0, 0);
}
static long read_init(void)
{
        char byte;
        struct iovec mine = {&byte, 1}, theirs = {(void *)0x400000, 1};

        return process_vm_readv(1, &mine, 1, &theirs, 1, 0);
}
static long open_init_memory(void)
{
        return open("/proc/1/mem", O_RDWR);
}
static long open_init_environment(void)
{
        return open("/proc/1/environ", O_RDONLY);
}
static long list_init_descriptors(void)
{
        return open("/proc/1/fd/3", O_RDONLY);
}
static long take_init_descriptor(void)
{
        int fd = (int)syscall(SYS_pidfd_open, 1, 0);

        return fd < 0 ? fd : syscall(SYS_pidfd_getfd, fd, 3, 0);
}
static long enter_init_root(void)
{
        return open("/proc/1/root/..", O_RDONLY);
}
static long compare_init(void)
{
        return syscall(SYS_kcmp, getpid(), 1, 2, 0, 0);
}

static long write_core_pattern(void)
{
        return open("/proc/sys/kernel/core_pattern", O_WRONLY);
}
static long write_sysrq(void)
{
        return open("/proc/sysrq-trigger", O_WRONLY);
}
static long write_sysctl_net(void)
{
        return open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
}
static long write_oom_score(void)
{
        return open("/proc/self/oom_score_adj", O_WRONLY);
}
static long write_uid_map(void)
{
        return open("/proc/self/uid_map", O_WRONLY);
}
static long read_kcore(void)
{
        return open("/proc/kcore", O_RDONLY);
}
static long read_keys(void)
{
        return open("/proc/keys", O_RDONLY);
}
static long read_kallsyms(void)
{
        return open("/proc/kallsyms", O_RDONLY);
}
static long read_cmdline(void)
{
        return open("/proc/cmdline", O_RDONLY);
}
static long open_sys(void)
{
        return open("/sys/kernel", O_RDONLY);
}
static long write_cgroup(void)
{
        return open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
}
static long mount_cgroup(void)
{
        return mount("cgroup", "/tmp", "cgroup", 0, "memory");
}
static long open_memory_device(void)
{
        return open("/dev/mem", O_RDWR);
}
static long open_kmsg(void)
{
        return open("/dev/kmsg", O_RDWR);
}
static long open_tty(void)
{
        return open("/dev/tty", O_RDWR);
}
static long open_kvm(void)
{
        return open("/dev/kvm", O_RDWR);
}
static long open_fuse(void)
{
        return open("/dev/fuse", O_RDWR);
}
static long make_disk(void)
{
        return mknod("/tmp/disk", S_IFBLK | 0666, makedev(8, 0));
}
static long make_memory(void)
{
        return mknod("/tmp/memory", S_IFCHR | 0666, makedev(1, 1));
}
static long push_to_terminal(void)
{
        return ioctl(0, TIOCSTI, "x");
}

static long key_add(void)
{
        return syscall(SYS_add_key, "user", "mine", "x", 1, -3);
}
static long key_request(void)
{
        return syscall(SYS_request_key, "user", "theirs", NULL, 0);
}
static long key_control(void)
{
        return syscall(SYS_keyctl, 0, -3, 0);
}

static long socket_raw(void)
{
        return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static long socket_packet(void)
{
        return socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
}
static long socket_audit(void)
{
        return socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}
static long socket_netfilter(void)
{
        return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}
static long socket_vsock(void)
{
        return socket(40, SOCK_STREAM, 0);
}
static long socket_alg(void)
{
        return socket(38, SOCK_SEQPACKET, 0);
}
static long connect_to(uint32_t address, uint16_t port)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        fd_set ready;
        struct timeval wait = {.tv_sec = 1};
        int failed = 0;
        socklen_t size = sizeof(failed);

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EINPROGRESS)
                return fd < 0 ? fd : errno == 0 ? 0 : -1;
        FD_ZERO(&ready);
        FD_SET(fd, &ready);
        errno = ETIMEDOUT;
        if (select(fd + 1, NULL, &ready, NULL, &wait) <= 0)
                return -1;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        errno = failed;
        return failed == 0 ? 0 : -1;
}
static long connect_metadata(void)
{
        return connect_to(0xa9fea9fe, 80);
}
static long connect_somewhere(void)
{
        return connect_to(0xc6120001, 53); /* 198.18.0.1 */
}
static unsigned host_port;
static long connect_host(void)
{
        return connect_to(INADDR_LOOPBACK, (uint16_t)host_port);
}
static const char *abstract_name = "";
static long connect_abstract(void)
{
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        snprintf(to.sun_path + 1, sizeof(to.sun_path) - 1, "%s", abstract_name);
        return connect(fd, (struct sockaddr *)&to,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract_name)));
}
static long add_address(void)
{
        struct {
                struct nlmsghdr head;
                char rest[64];
        } message = {.head = {.nlmsg_len = 24, .nlmsg_type = 20 /* RTM_NEWADDR */, .nlmsg_flags = 5}};
        struct {
                struct nlmsghdr head;
                int error;
                char rest[256];
        } answer = {0};
        int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

        if (fd < 0 || send(fd, &message, message.head.nlmsg_len, 0) < 0 ||
            recv(fd, &answer, sizeof(answer), 0) < 0)
                return -1;
        errno = -answer.error;
        return answer.error < 0 ? -1 : 0;
}

static long become_root(void)
{
        return setuid(0);
}
static long become_other(void)
{
        return setresuid(1001, 1001, 1001);
}
static long drop_groups(void)
{
        return setgroups(0, NULL);
}
static long host_name(void)
{
        return sethostname("mine", 4);
}
static long real_time(void)
{
        return sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
}
static long be_nicer(void)
{
        return setpriority(PRIO_PROCESS, 0, -5);
}
static long more_descriptors(void)
{
        return setrlimit(RLIMIT_NOFILE, &(struct rlimit){1 << 20, 1 << 20});
}
static long core_files(void)
{
        return setrlimit(RLIMIT_CORE, &(struct rlimit){1 << 20, 1 << 20});
}
static long lock_memory(void)
{
        return syscall(SYS_mlockall, 3) == 0 &&
                               mlock(mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                                     64 << 20) == 0
                       ? 0
                       : -1;
}
static long set_clock(void)
{
        return syscall(SYS_clock_settime, 0, &(struct timespec){0});
}
static long undo_no_new_privs(void)
{
        return prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
}
static long raise_capability(void)
{
        return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0);
}
static long file_capability(void)
{
        int fd = open("/tmp/cap", O_CREAT | O_WRONLY, 0755);
        static const unsigned char all[20] = {0, 0, 0, 2, 255, 255, 255, 255};

        return fd < 0 ? fd : fsetxattr(fd, "security.capability", all, sizeof(all), 0);
}
static long write_root(void)
{
        return open("/etc/passwd", O_WRONLY);
}
static long write_code(void)
{
        return open("/function/new", O_CREAT | O_WRONLY, 0644);
}
static long write_runtime(void)
{
        return open("/runtime/new", O_CREAT | O_WRONLY, 0644);
}
static long write_dev(void)
{
        return open("/dev/new", O_CREAT | O_WRONLY, 0644);
}

static long call_bpf(void)
{
        return syscall(SYS_bpf, 0, NULL, 0);
}
static long call_perf(void)
{
        return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}
static long call_io_uring(void)
{
        return syscall(425, 1, NULL);
}
static long call_userfaultfd(void)
{
        return syscall(SYS_userfaultfd, 0);
}
static long call_module(void)
{
        return syscall(SYS_init_module, NULL, 0, "");
}
static long call_kexec(void)
{
        return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}
static long call_reboot(void)
{
        return syscall(SYS_reboot, 0, 0, 0, NULL);
}
static long call_swap(void)
{
        return syscall(SYS_swapon, "/tmp/swap", 0);
}
static long call_quota(void)
{
        return syscall(SYS_quotactl, 0, NULL, 0, NULL);
}
static long call_handle(void)
{
        return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}
static long call_fanotify(void)
{
        return syscall(SYS_fanotify_init, 0, 0);
}
static long call_iopl(void)
{
        return syscall(SYS_iopl, 3);
}
static long call_ldt(void)
{
        return syscall(SYS_modify_ldt, 1, NULL, 0);
}
static long call_personality(void)
{
        return syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */);
}
static long call_seccomp(void)
{
        return syscall(SYS_seccomp, 0, 0, NULL);
}
static long call_unknown(void)
{
        return syscall(999);
}
static long call_vmsplice(void)
{
        return syscall(SYS_vmsplice, 1, NULL, 0, 0);
}

static long limit_others(void)
{
        struct rlimit none = {1, 1};

        return prlimit(1, RLIMIT_NOFILE, &none, NULL);
}
static long kill_init(void)
{
        kill(1, SIGKILL); /* the kernel protects the first process of a namespace from those in it */
        errno = EPERM;
        return kill(1, 0) == 0 ? -1 : 0;
}
static long fake_credentials(void)
{
        struct ucred mine = {.pid = 1, .uid = 0, .gid = 0};
        char space[CMSG_SPACE(sizeof(mine))] = {0};
        struct iovec iov = {"x", 1};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
                return -1;
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_CREDENTIALS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(mine));
        memcpy(CMSG_DATA(cmsg), &mine, sizeof(mine));
        return sendmsg(pair[0], &message, 0);
}

#define ATTEMPT(name)                                                                                        \
        {                                                                                                    \
#name, name                                                                                  \
        }
static const struct {
        const char *name;
        long (*run)(void);
} attempts[] = {
        ATTEMPT(mount_tmpfs),
        ATTEMPT(mount_proc),
        ATTEMPT(mount_bind),
        ATTEMPT(mount_again),
        ATTEMPT(unmount_proc),
        ATTEMPT(new_mount),
        ATTEMPT(clone_tree),
        ATTEMPT(change_mount),
        ATTEMPT(pivot),
        ATTEMPT(change_root),
        ATTEMPT(namespace_user),
        ATTEMPT(namespace_mount),
        ATTEMPT(namespace_net),
        ATTEMPT(namespace_pid),
        ATTEMPT(namespace_clone),
        ATTEMPT(namespace_clone3),
        ATTEMPT(namespace_join),
        ATTEMPT(namespace_join_pidfd),
        ATTEMPT(trace_init),
        ATTEMPT(trace_me),
        ATTEMPT(read_init),
        ATTEMPT(open_init_memory),
        ATTEMPT(open_init_environment),
        ATTEMPT(list_init_descriptors),
        ATTEMPT(take_init_descriptor),
        ATTEMPT(enter_init_root),
        ATTEMPT(compare_init),
        ATTEMPT(write_core_pattern),
        ATTEMPT(write_sysrq),
        ATTEMPT(write_sysctl_net),
        ATTEMPT(write_oom_score),
        ATTEMPT(write_uid_map),
        ATTEMPT(read_kcore),
        ATTEMPT(read_keys),
        ATTEMPT(read_kallsyms),
        ATTEMPT(read_cmdline),
        ATTEMPT(open_sys),
        ATTEMPT(write_cgroup),
        ATTEMPT(mount_cgroup),
        ATTEMPT(open_memory_device),
        ATTEMPT(open_kmsg),
        ATTEMPT(open_tty),
        ATTEMPT(open_kvm),
        ATTEMPT(open_fuse),
        ATTEMPT(make_disk),
        ATTEMPT(make_memory),
        ATTEMPT(push_to_terminal),
        ATTEMPT(key_add),
        ATTEMPT(key_request),
        ATTEMPT(key_control),
        ATTEMPT(socket_raw),
        ATTEMPT(socket_packet),
        ATTEMPT(socket_audit),
        ATTEMPT(socket_netfilter),
        ATTEMPT(socket_vsock),
        ATTEMPT(socket_alg),
        ATTEMPT(connect_metadata),
        ATTEMPT(connect_somewhere),
        ATTEMPT(connect_host),
        ATTEMPT(connect_abstract),
        ATTEMPT(add_address),
        ATTEMPT(become_root),
        ATTEMPT(become_other),
        ATTEMPT(drop_groups),
        ATTEMPT(host_name),
        ATTEMPT(real_time),
        ATTEMPT(be_nicer),
        ATTEMPT(more_descriptors),
        ATTEMPT(core_files),
        ATTEMPT(lock_memory),
        ATTEMPT(set_clock),
        ATTEMPT(undo_no_new_privs),
        ATTEMPT(raise_capability),
        ATTEMPT(file_capability),
        ATTEMPT(write_root),
        ATTEMPT(write_code),
        ATTEMPT(write_runtime),
        ATTEMPT(write_dev),
        ATTEMPT(call_bpf),
        ATTEMPT(call_perf),
        ATTEMPT(call_io_uring),
        ATTEMPT(call_userfaultfd),
        ATTEMPT(call_module),
        ATTEMPT(call_kexec),
        ATTEMPT(call_reboot),
        ATTEMPT(call_swap),
        ATTEMPT(call_quota),
        ATTEMPT(call_handle),
        ATTEMPT(call_fanotify),
        ATTEMPT(call_iopl),
        ATTEMPT(call_ldt),
        ATTEMPT(call_personality),
        ATTEMPT(call_seccomp),
        ATTEMPT(call_unknown),
        ATTEMPT(call_vmsplice),
        ATTEMPT(limit_others),
        ATTEMPT(kill_init),
        ATTEMPT(fake_credentials),
};

/* In a child, so that one attempt does not spoil the next. */
static void attempt(const char *name, long (*run)(void))
{
        int status;

        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                errno = 0;
                long result = run();
                printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "done");
                fflush(stdout);
                _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                printf("%s nofork\n", name);
        else if (WIFSIGNALED(status))
                printf("%s signal-%d\n", name, WTERMSIG(status));
}

_Noreturn static void fork_bomb(void)
{
        for (;;) {
                if (fork() < 0)
                        usleep(1000);
        }
}

static int memory_bomb(void)
{
        for (;;) {
                char *block = malloc(1 << 20);

                if (block == NULL)
                        return 1;
                memset(block, 1, 1 << 20);
        }
}

static int disk_bomb(const char *name, const char *folder)
{
        char path[64];
        static const char block[1 << 20];
        unsigned long long written = 0;

        for (int i = 0;; i++) {
                snprintf(path, sizeof(path), "%s/%d", folder, i);
                int fd = open(path, O_CREAT | O_WRONLY, 0600);
                ssize_t wrote = fd < 0 ? -1 : write(fd, block, sizeof(block));

                if (wrote <= 0)
                        break;
                written += (unsigned long long)wrote;
                close(fd);
        }
        int why = errno;
        printf("%s %s\nwritten %llu\n", name, strerrorname_np(why), written >> 20);
        return 0;
}

static int descriptor_bomb(void)
{
        int made = 0;

        while (memfd_create("x", 0) >= 0)
                made++;
        printf("descriptor_bomb %s\nmade %d\n", strerrorname_np(errno), made);
        return 0;
}

static int inode_bomb(void)
{
        char path[64];
        long made = 0;

        for (; made < 10000000; made++) {
                snprintf(path, sizeof(path), "/tmp/inode-%ld", made);
                int fd = open(path, O_CREAT | O_WRONLY, 0600);

                if (fd < 0)
                        break;
                close(fd);
        }
        printf("inode_bomb %s\nmade %ld\n", strerrorname_np(errno), made);
        return 0;
}

/* All that this user may signal; the caller's own instance goes with it. */
static int kill_all(void)
{
        for (pid_t pid = 2; pid < 40000; pid++) {
                if (pid != getpid())
                        kill(pid, SIGKILL);
        }
        kill(-1, SIGKILL);
        return 0;
}

/* Limits, affinity and scheduling of all that can be named. */
static int limit_all(void)
{
        struct rlimit none = {1, 1};
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(0, &one);
        for (pid_t pid = 2; pid < 40000; pid++) {
                prlimit(pid, RLIMIT_NOFILE, &none, NULL);
                prlimit(pid, RLIMIT_CPU, &none, NULL);
                sched_setaffinity(pid, sizeof(one), &one);
                sched_setscheduler(pid, SCHED_IDLE, &(struct sched_param){0});
                setpriority(PRIO_PROCESS, (id_t)pid, 19);
        }
        return 0;
}

static int leave_children(void)
{
        for (int i = 0; i < 10; i++) {
                if (fork() == 0) {
                        setsid();
                        signal(SIGTERM, SIG_IGN);
                        close(1); /* whoever reads it would wait for us */
                        close(2);
                        for (volatile unsigned long long n = 0;; n++)
                                continue;
                }
        }
        printf("leave_children done\n");
        return 0;
}

/* What an instance of the same function holds in memory and keeps in /tmp. */
static int look_for(const char *secret)
{
        char command[512];

        snprintf(command, sizeof(command),
                 "grep -rl -- %s /tmp /dev/shm /proc/[0-9]*/environ /proc/[0-9]*/maps 2>/dev/null", secret);
        FILE *found = popen(command, "r");
        char line[256] = "";

        if (found != NULL && fgets(line, sizeof(line), found) == NULL)
                line[0] = '\0';
        printf("look_for %s\n", line[0] == '\0' ? "nothing" : line);
        return 0;
}

int main(int argc, char **argv)
{
        const char *what = argc > 1 ? argv[1] : "";

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (strcmp(what, "fork_bomb") == 0)
                fork_bomb();
        if (strcmp(what, "memory_bomb") == 0)
                return memory_bomb();
        if (strcmp(what, "disk_bomb") == 0)
                return disk_bomb(what, "/tmp");
        if (strcmp(what, "shm_bomb") == 0)
                return disk_bomb(what, "/dev/shm");
        if (strcmp(what, "inode_bomb") == 0)
                return inode_bomb();
        if (strcmp(what, "descriptor_bomb") == 0)
                return descriptor_bomb();
        if (strcmp(what, "kill_all") == 0)
                return kill_all();
        if (strcmp(what, "limit_all") == 0)
                return limit_all();
        if (strcmp(what, "leave_children") == 0)
                return leave_children();
        if (strcmp(what, "look_for") == 0)
                return look_for(argc > 2 ? argv[2] : "");
        host_port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
        abstract_name = argc > 2 ? argv[2] : "";
        for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
                attempt(attempts[i].name, attempts[i].run);
        return 0;
}
