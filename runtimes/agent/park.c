/* runtimes/agent/park.c: see park.h. */
#include "runtimes/agent/park.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FD_FIRST = 4, FD_LAST = 9, FD_MOVED = 64, PLACED_MAX = 2 + FORK_CHANNEL_MAX };

static bool is_pair(int fd)
{
        int domain = 0, type = 0;
        socklen_t len = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
                return false;
        len = sizeof(int);
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

void park_find(struct park *park)
{
        struct fork_request hello;

        park->fd = -1;
        for (int fd = FD_FIRST; fd <= FD_LAST; fd++) {
                if (!is_pair(fd) || recv(fd, &hello, sizeof(hello), MSG_DONTWAIT) != sizeof(hello) ||
                    hello.op != FORK_HELLO)
                        continue;
                fcntl(fd, F_SETFD, FD_CLOEXEC);
                park->fd = fd;
                park->zygote = hello.zygote != 0;
                return;
        }
}

void park_close(struct park *park)
{
        own_fd_release(&park->fd);
        park->fd = -1;
}

enum err_code park_tell(const struct park *park, struct err *err)
{
        struct fork_answer parked = {.op = FORK_PARKED};

        return send(park->fd, &parked, sizeof(parked), MSG_NOSIGNAL) < 0
                       ? err_set(err, ERR_CANCELLED, "spawn is gone")
                       : ERR_OK;
}

/* What a request brought; in the order of wire/fork.h. */
struct brought {
        int fds[FORK_FDS_MAX];
        size_t count;
};

static void brought_close(struct brought *brought)
{
        while (brought->count > 0)
                close(brought->fds[--brought->count]);
}

static enum err_code request_receive(int fd, struct fork_request *ret, struct brought *brought,
                                     struct err *err)
{
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(FORK_FDS_MAX * sizeof(int))];
        struct iovec iov = {ret, sizeof(*ret)};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return ERR_LIMIT;
        if (got != sizeof(*ret))
                return err_set(err, ERR_CANCELLED, "spawn is gone");
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
                brought->count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(brought->fds, CMSG_DATA(cmsg), brought->count * sizeof(int));
        }
        return ERR_OK;
}

static enum err_code request_await(const struct park *park, int wake_fd, struct fork_request *ret,
                                   struct brought *brought, struct err *err)
{
        for (;;) {
                struct pollfd fds[] = {{.fd = park->fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
                enum err_code code = request_receive(park->fd, ret, brought, err);

                if (code != ERR_LIMIT)
                        return code;
                if (poll(fds, 2, -1) > 0 && fds[1].revents != 0)
                        return err_set(err, ERR_CANCELLED, "told to end");
        }
}

/* Output and channel to their places, where the fork server has its own. */
static enum err_code place(const struct brought *brought, size_t count, struct err *err)
{
        int moved[PLACED_MAX];

        for (size_t i = 0; i < count; i++) {
                moved[i] = fcntl(brought->fds[1 + i], F_DUPFD_CLOEXEC, FD_MOVED);
                if (moved[i] < 0)
                        return err_sys(err, "move a descriptor");
        }
        for (size_t i = 0; i < count; i++) {
                int to = 1 + (int)i;
                if (dup3(moved[i], to, to > 2 ? O_CLOEXEC : 0) < 0)
                        return err_sys(err, "place a descriptor");
                close(moved[i]);
        }
        return ERR_OK;
}

/* In what was forked. A sandbox begins in its root. */
static enum err_code child_begin(struct park *park, struct brought *brought,
                                 const struct fork_request *request, const char *folder, struct err *err)
{
        enum err_code code = place(brought, 2 + request->channel_count, err);

        brought_close(brought);
        park_close(park);
        if (code == ERR_OK && chdir(folder) < 0)
                code = err_sys(err, "the folder '%s'", folder);
        return code;
}

static void hook(const struct agent_runtime *runtime, enum agent_fork when)
{
        runtime->forking(runtime->ctx, when);
}

/* ERR_OK: this is what was forked; ERR_LIMIT: it is the fork server still. */
static enum err_code fork_one(struct park *park, const struct agent_runtime *runtime,
                              const struct fork_request *request, struct brought *brought, const char *folder,
                              struct err *err)
{
        volatile struct fork_answer answer = {.op = FORK_DONE, .id = request->id};
        size_t placed = 1 + 2 + request->channel_count;
        struct park_join join = {.sandbox_fd = brought->fds[0],
                                 .cgroup_fds = brought->fds + placed,
                                 .cgroup_count = request->cgroup_count};

        if (request->op != FORK_START || request->channel_count > FORK_CHANNEL_MAX ||
            placed + request->cgroup_count != brought->count)
                return err_set(err, ERR_INVALID, "spawn asks for nothing that a fork server does");
        hook(runtime, AGENT_FORK_BEFORE);
        if (park_fork(&join, &answer)) {
                enum err_code code = child_begin(park, brought, request, folder, err);
                hook(runtime, AGENT_FORK_CHILD);
                return code;
        }
        hook(runtime, AGENT_FORK_PARENT);
        struct fork_answer told = answer;
        return send(park->fd, &told, sizeof(told), MSG_NOSIGNAL) < 0
                       ? err_set(err, ERR_CANCELLED, "spawn is gone")
                       : ERR_LIMIT;
}

enum err_code park_serve(struct park *park, const struct agent_runtime *runtime, int wake_fd, struct err *err)
{
        char folder[PATH_MAX];
        enum err_code code;

        if (getcwd(folder, sizeof(folder)) == NULL)
                return err_sys(err, "getcwd");
        do {
                struct brought brought = {.count = 0};
                struct fork_request request;

                code = request_await(park, wake_fd, &request, &brought, err);
                if (code == ERR_OK)
                        code = fork_one(park, runtime, &request, &brought, folder, err);
                brought_close(&brought);
        } while (code == ERR_LIMIT);
        return code;
}
