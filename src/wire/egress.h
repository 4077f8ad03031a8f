/*
 * wire/egress.h: what sandboxes with a network may never reach, and what spawn and dispatch-dns, which
 * answers their questions for names, say to each other over a SOCK_SEQPACKET pair (descriptor 3 of the
 * latter). Both ends are one build. dispatch-dns reads foreign bytes, so spawn trusts none of what it says:
 * it looks for the client among the sandboxes, and takes no address that nobody may reach.
 *
 * dispatch-dns: 3 is the pair, 4 a datagram socket and 5 a listening stream socket on the router's address.
 */
#ifndef DISPATCH_WIRE_EGRESS_H
#define DISPATCH_WIRE_EGRESS_H

#include "base/allow.h"

#include <stddef.h>
#include <stdint.h>

/* The option --network-range. */
#define NETWORK_RANGE_DEFAULT_TEXT "100.64.0.0/10" /* RFC 6598: addresses that are between networks only */
enum {
        NETWORK_RANGE_DEFAULT = 0x64400000,
        NETWORK_RANGE_DEFAULT_PREFIX = 10,
        NETWORK_RANGE_PREFIX_MIN = 8,
        NETWORK_RANGE_PREFIX_MAX = 26
};

enum {
        EGRESS_CONTROL_FD = 3,
        EGRESS_DATAGRAM_FD = 4,
        EGRESS_STREAM_FD = 5,
        EGRESS_NAMES_MAX = ALLOW_BYTES_MAX, /* names with a NUL behind each */
        EGRESS_ADDRESSES_MAX = 32,          /* of one answer */
        EGRESS_TTL_MAX_S = 3600             /* for which they are opened */
};

enum egress_op {
        /* spawn to dispatch-dns */
        EGRESS_POOL = 1, /* struct egress_pool, first */
        EGRESS_CLIENT,   /* struct egress_client: a sandbox that may ask */
        EGRESS_GONE,     /* struct egress_client, names empty: it may not any more */
        EGRESS_OPENED,   /* struct egress_open: an answer to it; count is 0 when it was refused */
        /* dispatch-dns to spawn */
        EGRESS_OPEN /* struct egress_open: let the client reach these for so long */
};

struct egress_pool {
        uint32_t op;
        uint32_t address, prefix; /* of the sandboxes */
};

struct egress_client {
        uint32_t op;
        uint32_t address;
        uint32_t restricted; /* 1: it gets answers for these names alone */
        char names[EGRESS_NAMES_MAX];
};

struct egress_open {
        uint32_t op;
        uint32_t id;
        uint32_t client;
        uint32_t ttl_s;
        uint32_t count;
        uint32_t addresses[EGRESS_ADDRESSES_MAX];
};

union egress_frame {
        uint32_t op;
        struct egress_pool pool;
        struct egress_client client;
        struct egress_open open;
};

/* The size of a frame of that operation; 0 for an unknown one. */
size_t egress_frame_size(uint32_t op);

#endif
