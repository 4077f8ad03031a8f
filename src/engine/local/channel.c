/* engine/local/channel.c: the server's end of the rings and pipes between it and one instance. */
#include "engine/local/channel.h"

#include "base/own.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void channel_init(struct channel *channel, size_t in_max, size_t out_max)
{
        *channel = (struct channel){.wake_fd = -1, .peer_fd = -1};
        buf_init(&channel->in, in_max);
        buf_init(&channel->out, out_max);
}

static void wipe(struct channel *channel)
{
        if (channel->secret && channel->out.data != NULL)
                explicit_bzero(channel->out.data, channel->out.capacity);
        channel->secret = false;
}

void channel_close(struct channel *channel)
{
        loop_poll_destroy(channel->poll);
        loop_timer_destroy(channel->again);
        channel->poll = NULL;
        channel->again = NULL;
        ring_unmap(&channel->ring);
        own_fd_release(&channel->wake_fd);
        own_fd_release(&channel->peer_fd);
        wipe(channel);
}

void channel_finish(struct channel *channel)
{
        channel_close(channel);
        buf_finish(&channel->in);
        buf_finish(&channel->out);
}

static void on_wake(void *arg, int events)
{
        struct channel *channel = arg;

        (void)events;
        channel->ready(channel->arg);
}

static void on_again(void *arg)
{
        struct channel *channel = arg;

        channel->ready(channel->arg);
}

static enum err_code watch(struct channel *channel, struct loop *loop, struct err *err)
{
        channel->poll = loop_poll_create(loop, channel->wake_fd, on_wake, channel);
        channel->again = loop_timer_create(loop, on_again, channel);
        if (channel->poll == NULL || channel->again == NULL) {
                channel_close(channel);
                return err_nomem(err);
        }
        loop_poll_want(channel->poll, LOOP_READABLE);
        /* What is there already woke nobody. */
        if (!ring_sleep(&channel->ring, channel->out.len > 0))
                channel_again(channel);
        return ERR_OK;
}

enum err_code channel_open(struct channel *channel, struct loop *loop, int fds[CHANNEL_FDS],
                           void (*ready)(void *arg), void *arg, struct err *err)
{
        own_fd int file = take_fd(&fds[0]);

        assert(!channel_is_open(channel));
        channel->wake_fd = take_fd(&fds[1]);
        channel->peer_fd = take_fd(&fds[2]);
        channel->ready = ready;
        channel->arg = arg;
        channel->broken = ERR_OK;
        enum err_code code = fcntl(channel->peer_fd, F_SETFL, O_NONBLOCK) < 0
                                     ? err_sys(err, "the pipe of a channel")
                                     : ring_map(&channel->ring, file, RING_SERVER, err);
        if (code != ERR_OK) {
                channel_close(channel);
                return code;
        }
        return watch(channel, loop, err);
}

enum err_code channel_move(struct channel *channel, struct channel *from, struct loop *loop, void *arg,
                           struct err *err)
{
        assert(!channel_is_open(channel) && channel_is_open(from));
        loop_poll_destroy(from->poll);
        loop_timer_destroy(from->again);
        from->poll = NULL;
        from->again = NULL;
        channel->ring = from->ring;
        channel->wake_fd = take_fd(&from->wake_fd);
        channel->peer_fd = take_fd(&from->peer_fd);
        channel->ready = from->ready;
        channel->arg = arg;
        channel->broken = from->broken;
        channel->err = from->err;
        from->ring = (struct ring){.map = NULL};
        buf_move(&channel->in, &from->in);
        buf_move(&channel->out, &from->out);
        return watch(channel, loop, err);
}

/* What is wrong is told when somebody reads. */
static void is_broken(struct channel *channel, enum err_code code, const struct err *err)
{
        channel->broken = code;
        channel->err = *err;
        channel_again(channel);
}

static enum err_code wake_agent(struct channel *channel, bool sent, struct err *err)
{
        return !ring_wakes(&channel->ring, sent) || ring_wake_send(channel->peer_fd)
                       ? ERR_OK
                       : err_set(err, ERR_CANCELLED, "it does not listen any more");
}

/* As much as there is room for, once more after saying that we wait for room. */
static enum err_code put_bytes(struct channel *channel, size_t *ret_sent, struct err *err)
{
        bool told = false;

        for (;;) {
                struct str rest = {channel->out.data + *ret_sent, channel->out.len - *ret_sent};
                size_t count = 0;
                enum err_code code = ring_write(&channel->ring, rest, &count, err);
                if (code != ERR_OK)
                        return code;
                *ret_sent += count;
                if (count == rest.len || told)
                        return ERR_OK;
                ring_sleep(&channel->ring, true);
                told = true;
        }
}

static enum err_code put(struct channel *channel, struct err *err)
{
        size_t sent = 0;
        enum err_code code = put_bytes(channel, &sent, err);

        if (code != ERR_OK)
                return code;
        if (sent < channel->out.len) {
                buf_consume(&channel->out, sent);
        } else {
                wipe(channel);
                buf_clear(&channel->out);
        }
        return sent > 0 ? wake_agent(channel, true, err) : ERR_OK;
}

void channel_flush(struct channel *channel)
{
        struct err err;

        if (channel->out.len == 0 || !channel_is_open(channel) || channel->broken != ERR_OK)
                return;
        enum err_code code = put(channel, &err);
        if (code != ERR_OK)
                is_broken(channel, code, &err);
}

enum err_code channel_read(struct channel *channel, struct err *err)
{
        size_t count;

        if (channel->broken != ERR_OK) {
                *err = channel->err;
                return channel->broken;
        }
        enum err_code code = ring_unread(&channel->ring, &count, err);
        if (code == ERR_OK && count == 0)
                return err_set(err, ERR_LIMIT, "nothing to read");
        if (code == ERR_OK && buf_reserve(&channel->in, count) != ERR_OK)
                return err_nomem(err);
        if (code == ERR_OK)
                code = ring_read(&channel->ring, channel->in.data + channel->in.len, count, &count, err);
        if (code != ERR_OK)
                return code;
        channel->in.len += count;
        return wake_agent(channel, false, err);
}

enum err_code channel_rest(struct channel *channel, struct err *err)
{
        enum err_code code = ring_wake_take(&channel->ring, channel->wake_fd, true, err);
        bool closed = code == ERR_CANCELLED;

        if (code != ERR_OK && code != ERR_LIMIT && !closed)
                return code;
        if (!ring_sleep(&channel->ring, channel->out.len > 0))
                return err_set(err, ERR_LIMIT, "there is more");
        return closed ? err_set(err, ERR_CANCELLED, "its other end is closed") : ERR_OK;
}

void channel_again(struct channel *channel)
{
        loop_timer_start(channel->again, 0);
}

static void trim(struct buf *buf, size_t bytes)
{
        if (buf->len == 0 && buf->capacity > bytes)
                buf_finish(buf);
}

void channel_trim(struct channel *channel, size_t bytes)
{
        trim(&channel->in, bytes);
        trim(&channel->out, bytes);
}
