/*
 * sandbox/child.c: from the clone to the init's first instruction: waits until spawn has mapped its user and
 * moved it into its cgroup, enters its mounts, gives up every right, runs the init.
 */
#include "sandbox/child.h"

#include "sandbox/init_wire.h"
#include "sandbox/rights.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char hostname[] = "sandbox";

_Noreturn static void fail(int control_fd, const char *step)
{
        struct init_report report = {.op = INIT_FAILED, .value = errno};

        snprintf(report.text, sizeof(report.text), "%s", step);
        (void)!send(control_fd, &report, sizeof(report), MSG_NOSIGNAL);
        _exit(1);
}

/* One byte; the end of the pair means that spawn has given up. */
static void go_await(int control_fd)
{
        char go;
        ssize_t got;

        do {
                got = recv(control_fd, &go, sizeof(go), 0);
        } while (got < 0 && errno == EINTR);
        if (got != sizeof(go))
                _exit(1);
}

/* The kernel kills this process when spawn ends; one that ended before it was asked to must be noticed. */
static int die_with_parent(int parent_fd)
{
        struct pollfd ended = {.fd = parent_fd, .events = POLLIN};

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&ended, 1, 0) < 0)
                return -1;
        if (ended.revents != 0)
                _exit(1);
        return 0;
}

static int signals_reset(void)
{
        sigset_t none;

        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int loopback_up(void)
{
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -1;
        int result = ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
        return result;
}

/* In a network of its own, any port is as good as another: images that listen on 80 can. A kernel or a /proc
 * that does not let us leaves the lowest 1024 to nobody. */
static void ports_open(void)
{
        int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        (void)!write(fd, "0", 1);
        close(fd);
}

/*
 * 0 to 2 from the sandbox's own /dev, 3 the control pair, the init's program behind it, nothing else. spawn
 * has more of them open than a tenant may: they are closed here, as none could be opened past the limit.
 */
static int descriptors_arrange(int control_fd, int *init_fd)
{
        if (control_fd == INIT_CONTROL_FD ? fcntl(control_fd, F_SETFD, 0) < 0
                                          : dup2(control_fd, INIT_CONTROL_FD) < 0)
                return -1;
        if (dup3(*init_fd, INIT_CONTROL_FD + 1, O_CLOEXEC) < 0)
                return -1;
        *init_fd = INIT_CONTROL_FD + 1;
        if (close_range(INIT_CONTROL_FD + 2, ~0U, 0) < 0)
                return -1;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                return -1;
        for (int fd = 0; fd < INIT_CONTROL_FD; fd++) {
                if (dup2(null_fd, fd) < 0)
                        return -1;
        }
        return 0;
}

_Noreturn void child_main(const struct sandbox_host *host, const struct sandbox_spec *spec, int control_fd)
{
        static char *const argv[] = {"dispatch-init", NULL};
        static char *const environment[] = {
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
                "TMPDIR=/tmp", "LANG=C.UTF-8", NULL};
        /* With a network that was made for it, it is in that namespace from the start. */
        bool own_network = !spec->host_network && spec->network == NULL;
        const char *step = "";

        if (die_with_parent(host->self_fd) < 0)
                fail(control_fd, "set the parent-death signal");
        go_await(control_fd);
        umask(022);
        if (cgroup_clone_fd(spec->cgroup) < 0 && cgroup_enter(spec->cgroup) < 0)
                fail(control_fd, "enter its cgroup");
        /* In its cgroup by now, which so becomes the top of all that its cgroup namespace shows. */
        if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                    (own_network ? CLONE_NEWNET : 0)) < 0)
                fail(control_fd, "make namespaces");
        if (signals_reset() < 0 || setsid() < 0)
                fail(control_fd, "start a session");
        if (sethostname(hostname, sizeof(hostname) - 1) < 0)
                fail(control_fd, "set the host name");
        if (own_network && loopback_up() < 0)
                fail(control_fd, "bring lo up");
        if (!spec->host_network)
                ports_open();
        bool root = spec->uid_count > 1;
        uid_t user = spec->fork_server ? spec->uid : root ? 0 : SANDBOX_UID;
        if (rights_become(user, user) < 0)
                fail(control_fd, "change the user");
        /* A change of user clears the signal. */
        if (die_with_parent(host->self_fd) < 0)
                fail(control_fd, "set the parent-death signal");
        if (mounts_enter(&host->mounts, spec->mounts, spec->tmp_mib, &step) < 0)
                fail(control_fd, step);
        int init_fd = fcntl(host->init_fd, F_DUPFD_CLOEXEC, INIT_CONTROL_FD + 2);
        if (init_fd < 0 || rights_limit(spec->file_bytes_max) < 0)
                fail(control_fd, "set resource limits");

        /* From here on a report goes over the descriptor at its new place. */
        if (descriptors_arrange(control_fd, &init_fd) < 0)
                fail(control_fd, "arrange descriptors");
        if ((root ? rights_drop_root(spec->filter, spec->chroot) : rights_drop(spec->filter)) < 0)
                fail(INIT_CONTROL_FD, "drop rights");
        sys_execveat(init_fd, argv, environment);
        fail(INIT_CONTROL_FD, "run the init");
}
