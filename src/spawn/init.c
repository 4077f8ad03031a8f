/*
 * spawn/init.c: dispatch-init, process 1 of a sandbox. Static and small: there is one for each instance.
 *
 * It holds the sandbox until spawn sends a process to start, starts it (or adopts one that was forked into
 * the sandbox and became its child), reaps whatever its descendants leave behind, reports how it ended and
 * ends itself, with which the kernel kills all that is left in the sandbox. It runs under the tenant's own
 * user id, without any right, behind the tenant's filter.
 */
#include "sandbox/init_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 256 };

struct request {
        struct init_start start;
        int fds[INIT_FDS_MAX];
        int fd_count;
};

static void report(enum init_op op, int value)
{
        struct init_report message = {.op = op, .value = value};

        /* When nobody listens any more there is nobody to be told. */
        (void)!send(INIT_CONTROL_FD, &message, sizeof(message), MSG_NOSIGNAL);
}

static int request_receive(struct request *request)
{
        char space[CMSG_SPACE(INIT_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
        struct iovec iov = {.iov_base = &request->start, .iov_len = sizeof(request->start)};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
        ssize_t got;

        do {
                got = recvmsg(INIT_CONTROL_FD, &message, MSG_CMSG_CLOEXEC);
        } while (got < 0 && errno == EINTR);
        if (got != (ssize_t)sizeof(request->start) || message.msg_flags & MSG_CTRUNC)
                return -1;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        if (cmsg == NULL)
                return 0;
        size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
        memcpy(request->fds, CMSG_DATA(cmsg), bytes);
        request->fd_count = (int)(bytes / sizeof(int));
        return 0;
}

static int argv_split(struct init_start *start, char *argv[ARGS_MAX + 1])
{
        char *at = start->argv;

        if (start->argc > ARGS_MAX)
                return -1;
        for (uint32_t i = 0; i < start->argc; i++) {
                argv[i] = at;
                at += strlen(at) + 1;
        }
        argv[start->argc] = NULL;
        return 0;
}

/*
 * In the child of vfork: nothing but system calls. The descriptors came in as 4 and up in order, above every
 * target, so placing one never closes another that is still to be placed.
 */
static void run(const struct request *request, char *const argv[], int moved[INIT_FDS_MAX])
{
        int placed = request->fd_count - (int)request->start.executable_given;
        int floor = 1 + INIT_FDS_MAX;

        for (int i = 0; i < request->fd_count; i++) {
                moved[i] = fcntl(request->fds[i], F_DUPFD_CLOEXEC, floor);
                if (moved[i] < 0)
                        return;
        }
        for (int i = 0; i < placed; i++) {
                if (dup2(moved[i], 1 + i) < 0)
                        return;
        }
        if (close_range((unsigned)(1 + placed), ~0U, CLOSE_RANGE_CLOEXEC) < 0 || setsid() < 0)
                return;
        if (request->start.executable_given)
                execveat(moved[placed], "", argv, environ, AT_EMPTY_PATH);
        else
                execve(argv[0], argv, environ);
}

/* The process, or -1 when it could not run its program. */
static pid_t process_start(struct request *request)
{
        char *argv[ARGS_MAX + 1];
        int moved[INIT_FDS_MAX];
        volatile int failed = 0; /* shared with the child until it runs its program */

        if (argv_split(&request->start, argv) < 0) {
                report(INIT_NOT_STARTED, E2BIG);
                return -1;
        }
        pid_t pid = vfork();
        if (pid == 0) {
                /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): one thread, and only system calls */
                run(request, argv, moved);
                failed = errno;
                _exit(127);
        }
        if (pid < 0)
                failed = errno;
        if (failed != 0) {
                report(INIT_NOT_STARTED, failed);
                return -1;
        }
        close_range(INIT_CONTROL_FD + 1, ~0U, 0);
        return pid;
}

/* A spawn that died before the signal was asked for; what it had sent may still wait in the pair. */
static bool orphaned(void)
{
        struct pollfd control = {.fd = INIT_CONTROL_FD};

        return poll(&control, 1, 0) > 0 && (control.revents & (POLLHUP | POLLERR)) != 0;
}

/* Of a process that lingers; 0: none. */
static volatile pid_t stoppable;

static void on_term(int number)
{
        (void)number;
        if (stoppable > 0)
                kill(stoppable, SIGKILL);
}

/* With the process's descriptors closed already: what comes in is at its end. */
static void terms_await(void)
{
        struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};

        sigaction(SIGTERM, &action, NULL);
}

/* Ends what the process left behind, which are children of this one by now. */
static void leftovers_end(void)
{
        char list[4096];

        while (waitpid(-1, NULL, WNOHANG | __WALL) >= 0) {
                int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
                ssize_t len = fd >= 0 ? read(fd, list, sizeof(list) - 1) : -1;
                if (fd >= 0)
                        close(fd);
                if (len <= 0)
                        return;
                list[len] = '\0';
                for (char *at = list, *end; *at != '\0'; at = end + strspn(end, " ")) {
                        long pid = strtol(at, &end, 10);
                        if (end == at)
                                break;
                        if (pid > 1)
                                kill((pid_t)pid, SIGKILL);
                }
                while (waitpid(-1, NULL, __WALL) < 0 && errno == EINTR)
                        ;
        }
}

/* There may be sandboxes in this one's pid namespace: spawn knows when it is not needed any more. */
static void linger(void)
{
        char end;

        leftovers_end();
        while (recv(INIT_CONTROL_FD, &end, sizeof(end), 0) < 0 && errno == EINTR)
                ;
}

int main(void)
{
        static struct request request;
        int status = 0;
        pid_t ended;

        /* What is left in the sandbox dies with spawn, and no one in it may look into this process. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
                return 1;
        if (orphaned())
                return 1;
        report(INIT_READY, 0);
        prctl(PR_SET_NAME, "dispatch-init");
        if (request_receive(&request) < 0)
                return 1;

        if (request.start.lingers)
                terms_await();
        pid_t process = request.start.adopt;
        if (process == 0) {
                process = process_start(&request);
                if (process < 0)
                        return 1;
                report(INIT_STARTED, 0);
        }
        if (request.start.lingers)
                stoppable = process;
        do {
                ended = wait4(-1, &status, __WALL, NULL);
        } while (ended != process && (ended >= 0 || errno == EINTR));
        stoppable = 0;
        report(INIT_EXITED, status);
        if (request.start.lingers)
                linger();
        return 0;
}
