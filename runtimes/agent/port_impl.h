/* runtimes/agent/port_impl.h: what the files of the port share: port.c is the transport, port_loop.c its
 * connections. */
#ifndef DISPATCH_AGENT_PORT_IMPL_H
#define DISPATCH_AGENT_PORT_IMPL_H

#include "runtimes/agent/peer.h"
#include "runtimes/agent/transport.h"

struct port {
        struct transport base;
        int epoll, listener; /* listener: -1 once draining */
        struct peer *peers, *current;
        size_t peer_count;
        uint64_t order;
        uint32_t last_request;   /* number of the one that was in hand last */
        uint64_t drain_until_ms; /* 0: not draining */
        bool message_api;        /* every request is a message (CONTRACT 8.2) */
        uint64_t log_bytes_max;
        struct buf logs[2]; /* of the request at hand, where its reply carries them */
        bool keep_logs;
        int originals[2]; /* what descriptors 1 and 2 were */
};

static inline struct port *port_of(struct transport *t)
{
        return (struct port *)t;
}

static inline bool port_draining(const struct port *port)
{
        return port->drain_until_ms != 0;
}

bool port_watch(struct port *port, int fd, void *what);
void port_drop(struct port *port, struct peer *peer);
/* SIGTERM may have come while the handler ran. */
void port_notice_sigterm(struct port *port);
/* Answers what needs no handler; a request for the handler gets its place in the order. False: the connection
 * is over. */
bool port_answer(struct port *port, struct peer *peer);
/* Waits for up to timeout_ms (-1: for ever) and handles what came. */
enum err_code port_step(struct port *port, int timeout_ms, struct err *err);

#endif
