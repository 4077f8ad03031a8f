/*
 * dns/forward.h: answers the questions of sandboxes by asking the host's resolvers.
 *
 * A question by UDP is asked on by UDP, one by TCP by TCP: what does not fit is truncated on both ways. Each
 * question gets a socket, a port and an id of its own, and what comes back counts only from the server that
 * was asked, with that id and that question. There is no cache: the host's resolvers have theirs.
 *
 * Questions for IPv6 addresses are answered with none, for sandboxes have none. An answer that holds an
 * address that nobody may reach (allow.h, the pool, the host's own) is withheld. A restricted client gets
 * answers for names of its list alone; the addresses in them are opened for it in the kernel, by spawn,
 * before the answer leaves.
 *
 * Bounded: FORWARD_QUERIES_MAX questions at a time, FORWARD_CLIENT_MAX of one client; more are dropped, and
 * asked again by whoever asked. One thread; blocks in epoll_wait alone.
 */
#ifndef DISPATCH_DNS_FORWARD_H
#define DISPATCH_DNS_FORWARD_H

#include "base/err.h"
#include "wire/egress.h"

enum {
        FORWARD_QUERIES_MAX = 512,
        FORWARD_STREAMS_MAX = 64,
        FORWARD_CLIENT_MAX = 32,
        FORWARD_CLIENT_STREAMS_MAX = 4,
        FORWARD_TRY_MS = 2000,
        FORWARD_TRIES = 4,
        FORWARD_STREAM_IDLE_MS = 10000,
        FORWARD_TTL_MIN_S = 60, /* programs keep an address a little longer than they may */
        FORWARD_TTL_MAX_S = EGRESS_TTL_MAX_S
};

/* Descriptors of egress.h. Returns when the other end of the control pair is closed. */
enum err_code forward_run(const char *resolv_path, struct err *err);

#endif
