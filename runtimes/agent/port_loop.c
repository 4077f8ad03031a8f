/* runtimes/agent/port_loop.c: the connections of the Function Runtime API: accepting, reading, draining. */
#include "runtimes/agent/port_impl.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PEERS_MAX = 256, EVENTS = 32, DRAIN_MS = 10000 };

bool port_watch(struct port *port, int fd, void *what)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

        return epoll_ctl(port->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void port_drop(struct port *port, struct peer *peer)
{
        assert(peer != port->current);
        for (struct peer **at = &port->peers; *at != NULL; at = &(*at)->next) {
                if (*at == peer) {
                        *at = peer->next;
                        break;
                }
        }
        port->peer_count--;
        peer_destroy(peer);
}

static void accept_all(struct port *port)
{
        for (;;) {
                int fd = accept4(port->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0)
                        return;
                struct peer *peer = port->peer_count < PEERS_MAX ? peer_create(fd) : NULL;
                if (peer == NULL) {
                        if (port->peer_count >= PEERS_MAX)
                                close(fd);
                        continue;
                }
                peer->next = port->peers;
                port->peers = peer;
                port->peer_count++;
                if (!port_watch(port, fd, peer))
                        port_drop(port, peer);
        }
}

bool port_answer(struct port *port, struct peer *peer)
{
        while (peer->complete && peer->health) {
                struct peer_reply reply = {.status = 200,
                                           .content_type = STR("application/json"),
                                           .body = STR("{}"),
                                           .close = port_draining(port)};
                if (!peer_write(peer, &reply))
                        return false;
                peer_next(peer);
                if (!peer_parse(peer))
                        return false;
        }
        if (peer->complete) {
                peer->order = ++port->order;
                epoll_ctl(port->epoll, EPOLL_CTL_DEL, peer->fd, NULL); /* until it is replied to */
        }
        return true;
}

static void on_peer(struct port *port, struct peer *peer)
{
        if (!peer_read(peer) || !port_answer(port, peer))
                port_drop(port, peer);
}

/* Connections without a byte for too long end. */
static void sweep(struct port *port)
{
        uint64_t now = clock_mono_ms();

        for (struct peer *peer = port->peers, *next; peer != NULL; peer = next) {
                next = peer->next;
                bool idle = !peer->has_head && !peer->closing && peer->in.len == 0;
                uint64_t allowed_ms = peer->closing ? PEER_LINGER_MS : PEER_IDLE_MS;

                if (!peer->complete && (now - peer->active_ms > allowed_ms || (port_draining(port) && idle)))
                        port_drop(port, peer);
        }
}

/* SIGTERM: no new connections; what was begun is finished within DRAIN_MS. */
static void start_draining(struct port *port)
{
        if (port_draining(port))
                return;
        epoll_ctl(port->epoll, EPOLL_CTL_DEL, port->base.wake_fd, NULL);
        port->drain_until_ms = clock_mono_ms() + DRAIN_MS;
        accept_all(port);
        own_fd_release(&port->listener);
        port->listener = -1;
        for (struct peer *peer = port->peers, *next; peer != NULL; peer = next) {
                next = peer->next;
                if (!peer->complete)
                        on_peer(port, peer); /* what has arrived already counts as begun */
        }
}

void port_notice_sigterm(struct port *port)
{
        struct pollfd wake = {.fd = port->base.wake_fd, .events = POLLIN};

        if (!port_draining(port) && poll(&wake, 1, 0) == 1)
                start_draining(port);
}

enum err_code port_step(struct port *port, int timeout_ms, struct err *err)
{
        struct epoll_event events[EVENTS];
        int count = epoll_wait(port->epoll, events, EVENTS, timeout_ms);
        bool sigterm = false;

        if (count < 0 && errno != EINTR)
                return err_sys(err, "epoll_wait");
        for (int i = 0; i < count; i++) {
                if (events[i].data.ptr == &port->listener)
                        accept_all(port);
                else if (events[i].data.ptr == &port->base)
                        sigterm = true;
                else
                        on_peer(port, events[i].data.ptr);
        }
        if (sigterm)
                start_draining(port); /* not before: it may drop peers that have events */
        sweep(port);
        return ERR_OK;
}
