/*
 * dns/upstream.h: the resolvers of the host, from its resolv.conf(5), read again when the file changes, and
 * the addresses that the host has now.
 */
#ifndef DISPATCH_DNS_UPSTREAM_H
#define DISPATCH_DNS_UPSTREAM_H

#include "base/ipv4.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

enum { UPSTREAM_SERVERS_MAX = 4, UPSTREAM_LOCAL_MAX = 256, UPSTREAM_FRESH_MS = 1000 };

struct upstream {
        const char *path;
        uint64_t looked_ms, local_ms; /* when; 0: never */
        struct timespec changed;
        size_t count;
        struct sockaddr_storage servers[UPSTREAM_SERVERS_MAX];
        size_t local_count;
        uint32_t local[UPSTREAM_LOCAL_MAX];
};

/* path stays the caller's. Reads nothing yet. */
void upstream_init(struct upstream *upstream, const char *path);

/* The server for that try, the first for 0. A host without any is its own (127.0.0.1), as for its C library.
 */
const struct sockaddr *upstream_server(struct upstream *upstream, unsigned attempt, socklen_t *ret_len);

/* Whether the address is one of the host's. True for all when they cannot be read. */
bool upstream_is_local(struct upstream *upstream, uint32_t address);

/* The servers that a text of that format names; exposed for its fuzz target. */
size_t upstream_parse(struct str text, struct sockaddr_storage servers[UPSTREAM_SERVERS_MAX]);

#endif
