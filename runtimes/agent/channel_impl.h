/*
 * runtimes/agent/channel_impl.h: what the files of the channel share.
 *
 * channel.c replies and logs, channel_in.c takes frames in, channel_start.c reads the specialisation.
 */
#ifndef DISPATCH_AGENT_CHANNEL_IMPL_H
#define DISPATCH_AGENT_CHANNEL_IMPL_H

#include "runtimes/agent/transport.h"

enum {
        READ_SIZE = 65536,
        IN_MAX = FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX + READ_SIZE,
        OUT_MAX = 4 * (FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX),
        LOG_PIECE = 32768,
        STREAMS_MAX = 128, /* begun and not yet replied to */
        SECRETS_MAX = 4 << 20,
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
        bool complete, gone, too_large;
};

struct channel {
        struct transport base;
        int fd, passed_fd;
        struct buf in, out, log_piece;
        struct stream *first, *current;
        size_t stream_count;
        uint32_t last_id;
        bool closed, specialised;
        struct buf start; /* payload of SPECIALISE, what the strings of the specialisation point into */
        struct buf secrets;
};

static inline struct channel *channel_of(struct transport *t)
{
        return (struct channel *)t;
}

/* channel_in.c */
void stream_destroy(struct stream *stream); /* takes NULL */
/* Takes in what is there, without waiting. ERR_CANCELLED: closed; ERR_INVALID: not what a server sends. */
enum err_code channel_receive(struct channel *ch, struct err *err);
/* Waits for bytes first, and for SIGTERM where `interruptible` (ERR_CANCELLED too). */
enum err_code channel_wait(struct channel *ch, bool interruptible, struct err *err);

/* channel_start.c */
enum err_code channel_specialise(struct transport *t, struct specialisation *ret, struct err *err);

#endif
