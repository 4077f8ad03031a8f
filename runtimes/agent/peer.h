/*
 * runtimes/agent/peer.h: one HTTP/1.1 connection of the Function Runtime API: from bytes to whole requests,
 * and replies.
 *
 * Reading never blocks; writing a reply waits until the other side took it (at most PEER_WRITE_MS without
 * progress), since nothing else runs meanwhile anyway.
 */
#ifndef DISPATCH_AGENT_PEER_H
#define DISPATCH_AGENT_PEER_H

#include "http/parser.h"
#include "runtimes/agent/request.h"

enum {
        PEER_FIELDS_MAX = 100,
        PEER_HEAD_MAX = 65536,
        PEER_IDLE_MS = 75000, /* without a byte: between requests and within one */
        PEER_WRITE_MS = 60000,
        PEER_LINGER_MS = 2000,    /* for a refused sender to read the refusal */
        PEER_LINGER_MAX = 1 << 20 /* bytes of it that are still taken */
};

struct peer {
        struct peer *next;
        int fd;
        struct http_parser parser;
        struct http_field fields[PEER_FIELDS_MAX];
        struct buf in;   /* read and not yet parsed */
        struct buf head; /* of the request at hand, as wire/frame.h's fields */
        struct buf body;
        struct frame_field request_fields[FRAME_FIELDS_MAX];
        size_t request_field_count;
        bool has_head, complete, too_large, keep_alive, health, to_head;
        bool ended;   /* no more bytes will come */
        bool closing; /* refused: what still comes is dropped, for a close with bytes unread would reset the
                         connection under the refusal */
        size_t dropped;
        uint64_t order;     /* in which complete requests are served */
        uint64_t active_ms; /* when the last byte came */
};

struct peer *peer_create(int fd); /* takes the descriptor over; NULL: no memory */
void peer_destroy(struct peer *peer);

/* Reads and parses what is there, up to one whole request. False: the connection is over. What is wrong is
 * answered here. */
bool peer_read(struct peer *peer);
/* Parses what was read beyond the request that has been answered. */
bool peer_parse(struct peer *peer);
/* The request is answered; ready for the next. */
void peer_next(struct peer *peer);
void peer_request(const struct peer *peer, struct agent_request *ret);

struct peer_reply {
        int status;
        struct str content_type; /* p == NULL: none */
        const struct frame_field *fields;
        size_t field_count;
        const char *error; /* Dispatch-Error; NULL: none */
        uint64_t handler_us;
        struct str body;
        bool close;
};
/* False: the connection is over. */
bool peer_write(struct peer *peer, const struct peer_reply *reply);

#endif
