/*
 * engine/local/channel.h: the server's end of an instance's invocation channel: bytes in, bytes out, and when
 * to look. What the bytes say is exchange.c's business. The agent at the other end is hostile: whatever it
 * does to the shared memory or to the pipes comes out here as one of the codes below.
 *
 * One descriptor for what the agent wakes us with, one for what wakes it, none for the memory.
 */
#ifndef DISPATCH_ENGINE_LOCAL_CHANNEL_H
#define DISPATCH_ENGINE_LOCAL_CHANNEL_H

#include "base/buf.h"
#include "base/loop.h"
#include "wire/ring.h"

enum { CHANNEL_FDS = 3 /* the rings' file, our pipe's read end, the agent's pipe's write end */ };

struct channel {
        struct ring ring; /* no map: not open */
        int wake_fd, peer_fd;
        struct loop_poll *poll;
        struct loop_timer *again;
        void (*ready)(void *arg);
        void *arg;
        struct buf in, out; /* from the agent, not yet frames; for the agent, not yet in the ring */
        bool secret;        /* what is in `out` is not to be left in memory */
        enum err_code broken;
        struct err err;
};

/* Not open; the buffers hold at most so much. */
void channel_init(struct channel *channel, size_t in_max, size_t out_max);
/* Closes it; takes what channel_init made. */
void channel_finish(struct channel *channel);

/* Takes the descriptors over (they become -1), in case of an error too. `ready(arg)` is called on the loop,
 * never from within a call to the channel, when there may be something to read or room for what is in `out`.
 */
enum err_code channel_open(struct channel *channel, struct loop *loop, int fds[CHANNEL_FDS],
                           void (*ready)(void *arg), void *arg, struct err *err);
static inline bool channel_is_open(const struct channel *channel)
{
        return channel->ring.map != NULL;
}
/* Closed, but its buffers stay. */
void channel_close(struct channel *channel);
/* Moves an open channel into one that is not open, with a new `arg`. ERR_NO_MEMORY: both are closed. */
enum err_code channel_move(struct channel *channel, struct channel *from, struct loop *loop, void *arg,
                           struct err *err);

/* Puts what fits of `out` into the ring. What the agent has done wrong is told by the next channel_read, for
 * which `ready` is called. */
void channel_flush(struct channel *channel);
/* Appends what is there to `in`, at most a ring full. ERR_LIMIT: nothing. ERR_INVALID: no agent does that;
 * ERR_NO_MEMORY; ERR_CANCELLED: the agent does not listen any more. */
enum err_code channel_read(struct channel *channel, struct err *err);
/* After `ready` has read everything: whatever comes next calls it again. ERR_LIMIT: something has come
 * meanwhile. ERR_CANCELLED: its other end is closed, and nothing is left to read. Else as channel_read. */
enum err_code channel_rest(struct channel *channel, struct err *err);
/* `ready` is to be called again without anything happening: it has done enough for once. */
void channel_again(struct channel *channel);
/* Gives back what the buffers hold more than `bytes`, where nothing is in them. */
void channel_trim(struct channel *channel, size_t bytes);

#endif
