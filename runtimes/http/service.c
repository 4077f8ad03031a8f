/* runtimes/http/service.c: waiting, and the connection; see service.h. */
#include "runtimes/http/service.h"

#include "base/clock.h"
#include "base/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum err_code service_wait(struct service *service, int fd, short events, int timeout_ms, short *ret_events,
                           struct err *err)
{
        struct process *process = &service->process;
        struct pollfd fds[] = {
                {.fd = fd, .events = events},
                {.fd = process->output[0], .events = POLLIN},
                {.fd = process->output[1], .events = POLLIN},
                {.fd = process_wake_fd(), .events = POLLIN},
                {.fd = service->in_run ? agent_poll_fd(service->agent) : -1, .events = POLLIN},
        };
        int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), process->ended ? 0 : timeout_ms);

        *ret_events = 0;
        if (ready < 0 && errno != EINTR)
                return err_sys(err, "poll");
        for (size_t i = 0; ready < 0 && i < sizeof(fds) / sizeof(fds[0]); i++)
                fds[i].revents = 0;
        *ret_events = fds[0].revents;
        if ((fds[1].revents | fds[2].revents | fds[3].revents) != 0)
                process_tend(process, service->agent);
        if (fds[4].revents != 0 && !agent_poll(service->agent))
                return err_set(err, ERR_CANCELLED, "the caller is gone");
        /* What it sent before it ended still counts. */
        if (process->ended && *ret_events == 0)
                return err_set(err, ERR_UNAVAILABLE, "the image's process has ended");
        return ERR_OK;
}

void service_disconnect(struct service *service)
{
        own_fd_release(&service->fd);
        service->fd = -1;
        service->used = false;
}

/* True where nothing has come on an idle connection, not even its end. */
static bool is_quiet(int fd)
{
        struct pollfd peek = {.fd = fd, .events = POLLIN};

        return poll(&peek, 1, 0) == 0;
}

static socklen_t address_of(const struct service *service, struct sockaddr_storage *ret)
{
        *ret = (struct sockaddr_storage){0};
        if (service->six) {
                struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
                six->sin6_family = AF_INET6;
                six->sin6_addr = in6addr_loopback;
                six->sin6_port = htons(service->command.port);
                return sizeof(*six);
        }
        struct sockaddr_in *four = (struct sockaddr_in *)ret;
        four->sin_family = AF_INET;
        four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        four->sin_port = htons(service->command.port);
        return sizeof(*four);
}

static enum err_code connect_once(struct service *service, struct err *err)
{
        struct sockaddr_storage address;
        socklen_t len = address_of(service, &address), size = sizeof(int);
        own_fd int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int problem = 0, on = 1;
        short events = 0;

        if (fd < 0)
                return err_set(err, ERR_NOT_FOUND, "socket");
        if (connect(fd, (struct sockaddr *)&address, len) < 0)
                problem = errno;
        while (problem == EINPROGRESS && events == 0) {
                enum err_code code = service_wait(service, fd, POLLOUT, -1, &events, err);
                if (code != ERR_OK)
                        return code;
        }
        if (events != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0)
                problem = errno;
        if (problem != 0)
                return err_set(err, ERR_NOT_FOUND, "nothing listens on port %u", service->command.port);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        service->fd = take_fd(&fd);
        service->used = false;
        service->idle_since_ms = clock_mono_ms();
        return ERR_OK;
}

enum err_code service_connect(struct service *service, struct err *err)
{
        if (service->fd >= 0 && clock_mono_ms() - service->idle_since_ms < KEPT_MS && is_quiet(service->fd))
                return ERR_OK;
        service_disconnect(service);
        enum err_code code = connect_once(service, err);
        if (code == ERR_NOT_FOUND) {
                service->six = !service->six;
                code = connect_once(service, err);
        }
        return code;
}
