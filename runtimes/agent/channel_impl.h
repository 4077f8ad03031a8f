/*
 * runtimes/agent/channel_impl.h: what the files of the channel share.
 *
 * channel.c hands requests on, channel_in.c takes frames in, channel_out.c replies and logs, channel_start.c
 * reads the specialisation.
 */
#ifndef DISPATCH_AGENT_CHANNEL_IMPL_H
#define DISPATCH_AGENT_CHANNEL_IMPL_H

#include "runtimes/agent/transport.h"
#include "wire/ring.h"

enum {
        IN_MAX = FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX + RING_BYTES,
        OUT_MAX = 4 * (FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX),
        LOG_PIECE = 32768,
        STREAMS_MAX = 128, /* begun and not yet replied to; more where the concurrency is higher */
        CONCURRENCY_MAX = 1000,
        SECRETS_MAX = 4 << 20,
        REST_MAX = 1 << 30, /* of a reply; reply-bytes-max is lower */
        CREDIT_STEP = FRAME_WINDOW / 2
};

struct stream {
        struct stream *next;
        uint32_t id;
        struct buf head; /* what the fields point into */
        struct frame_field *fields;
        size_t field_count;
        struct buf body, secrets;
        uint32_t credit_due;
        uint64_t window; /* bytes that may be sent */
        bool complete, too_large;
        bool gone;      /* reset by the server */
        bool told;      /* ... and the language knows */
        bool confirmed; /* ... and the server knows that we do */
        /* A reply that the window did not let go at once: what is left of its body, then the END. */
        struct buf rest;
        size_t rest_sent;
        struct frame_usage usage;
};

struct channel {
        struct transport base;
        struct ring ring;
        int file_fd;           /* of the rings: kept for its number, which a fork server's child needs */
        int read_fd, write_fd; /* of the pipes: what wakes us, and what wakes the server */
        struct buf in, out, log_piece;
        struct stream *first;   /* begun by the server, in that order */
        struct stream *running; /* in hand */
        struct stream *sending; /* replied to, but not all of it is sent */
        struct stream *dropped; /* reset before it was in hand; the server is to be told */
        size_t stream_count, streams_max;
        bool confirms; /* a reset is to be confirmed */
        bool resets;   /* a stream in hand is gone that the agent was not told of */
        uint32_t last_id;
        bool looked;              /* whether something came, at least once: from then on the pipe says so */
        bool closed, specialised; /* closed also means that the ring is not to be touched */
        struct buf start; /* payload of SPECIALISE, what the strings of the specialisation point into */
        struct buf secrets;
};

static inline struct channel *channel_of(struct transport *t)
{
        return (struct channel *)t;
}

/* channel_in.c */
void stream_destroy(struct stream *stream); /* takes NULL */
void streams_destroy(struct stream **list);
/* Takes it off the list that it is on. */
void stream_remove(struct stream **list, struct stream *stream);
/* On the list, or NULL. */
struct stream *stream_in(struct stream *list, uint32_t id);
/* Takes in what is there, without waiting. ERR_CANCELLED: closed; ERR_INVALID: not what a server sends. */
enum err_code channel_receive(struct channel *ch, struct err *err);
/* Waits for bytes first, and for SIGTERM where `interruptible` (ERR_CANCELLED too). */
enum err_code channel_wait(struct channel *ch, bool interruptible, struct err *err);

/* channel_out.c: all with the lock held. */
enum err_code channel_send(struct channel *ch, struct err *err);
/* Makes room for one more frame of the largest size. */
enum err_code channel_room(struct channel *ch, struct err *err);
/* What is due: credit, resets, and what windows let go of replies. */
enum err_code channel_flush(struct channel *ch, struct err *err);
enum err_code channel_reply(struct transport *t, uint32_t request, const struct agent_reply *reply,
                            const struct frame_usage *usage, struct err *err);
void channel_log(struct transport *t, uint32_t request, int stream, struct str text);

/* channel_start.c */
enum err_code channel_specialise(struct transport *t, struct specialisation *ret, struct err *err);

#endif
