/*
 * runtimes/agent/channel.c: the invocation channel over a pair of rings: requests, one after the other or
 * several in hand.
 */
#include "runtimes/agent/channel_impl.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

static enum err_code channel_ready(struct transport *t, const struct buf *error, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct str json = error != NULL     ? (struct str){error->data, error->len}
                          : t->note != NULL ? str_of(t->note)
                                            : STR("");

        if (json.len > FRAME_PAYLOAD_MAX)
                json = STR("{\"type\":\"FunctionError\",\"message\":\"the handler cannot be loaded (and its "
                           "error is too "
                           "long)\",\"stacktrace\":[]}");
        if (frame_put(&ch->out, error != NULL ? FRAME_FAILED : FRAME_READY, 0, json) != ERR_OK)
                return err_nomem(err);
        return channel_send(ch, err);
}

static struct stream *take_complete(struct channel *ch)
{
        struct stream **at = &ch->first;

        while (*at != NULL && !(*at)->complete)
                at = &(*at)->next;
        struct stream *stream = *at;
        if (stream != NULL)
                *at = stream->next;
        return stream;
}

static enum err_code flush_locked(struct channel *ch, struct err *err)
{
        pthread_mutex_lock(ch->base.lock);
        enum err_code code = channel_flush(ch, err);
        pthread_mutex_unlock(ch->base.lock);
        return code;
}

static void begin(struct channel *ch, struct stream *stream, struct agent_request *ret)
{
        pthread_mutex_lock(ch->base.lock);
        stream->next = ch->running;
        ch->running = stream;
        pthread_mutex_unlock(ch->base.lock);
        *ret = (struct agent_request){
                .stream = stream->id,
                .fields = stream->fields,
                .field_count = stream->field_count,
                .body = {stream->body.data, stream->body.len},
                .body_too_large = stream->too_large,
                .secrets = {stream->secrets.data, stream->secrets.len},
        };
}

static enum err_code channel_next(struct transport *t, struct agent_request *ret, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct stream *stream;

        assert(ch->running == NULL);
        while ((stream = take_complete(ch)) == NULL) {
                enum err_code code = flush_locked(ch, err);
                if (code == ERR_OK)
                        code = channel_wait(ch, true, err);
                if (code != ERR_OK)
                        return code;
        }
        begin(ch, stream, ret);
        return ERR_OK;
}

static enum err_code channel_try_next(struct transport *t, struct agent_request *ret, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct stream *stream = take_complete(ch);

        if (stream == NULL) {
                struct pollfd wake = {.fd = t->wake_fd, .events = POLLIN};
                enum err_code code = channel_receive(ch, err);
                if (code == ERR_OK)
                        code = flush_locked(ch, err);
                if (code != ERR_OK)
                        return code;
                stream = take_complete(ch);
                if (stream == NULL)
                        return poll(&wake, 1, 0) == 1 ? err_set(err, ERR_CANCELLED, "told to end")
                                                      : err_set(err, ERR_LIMIT, "no request yet");
        }
        begin(ch, stream, ret);
        return ERR_OK;
}

static int channel_wait_ms(const struct transport *t)
{
        (void)t;
        return -1;
}

static int channel_poll_fd(const struct transport *t)
{
        return ((const struct channel *)t)->read_fd;
}

static bool channel_nothing_yet(struct transport *t)
{
        struct channel *ch = channel_of(t);

        ch->looked = ch->looked || ring_sleep(&ch->ring, false);
        return ch->looked && !ch->specialised;
}

static bool channel_poll(struct transport *t)
{
        struct channel *ch = channel_of(t);

        if (channel_receive(ch, NULL) != ERR_OK)
                return false;
        pthread_mutex_lock(t->lock);
        channel_flush(ch, NULL);
        pthread_mutex_unlock(t->lock);
        return !ch->closed && (ch->running == NULL || !ch->running->gone);
}

static bool channel_closed(const struct transport *t)
{
        return ((const struct channel *)t)->closed;
}

static uint32_t channel_cancelled(struct transport *t)
{
        struct channel *ch = channel_of(t);

        for (struct stream *stream = ch->resets ? ch->running : NULL; stream != NULL; stream = stream->next) {
                if (stream->gone && !stream->told) {
                        stream->told = true;
                        return stream->id;
                }
        }
        ch->resets = false;
        return 0;
}

static void channel_abandon(struct transport *t)
{
        struct channel *ch = channel_of(t);

        own_fd_release(&ch->file_fd);
        own_fd_release(&ch->read_fd);
        own_fd_release(&ch->write_fd);
        ch->ring = (struct ring){.map = NULL}; /* a child does not have it */
        ch->closed = true;
}

static void channel_destroy(struct transport *t)
{
        struct channel *ch = channel_of(t);

        streams_destroy(&ch->first);
        streams_destroy(&ch->running);
        streams_destroy(&ch->sending);
        streams_destroy(&ch->dropped);
        ring_unmap(&ch->ring);
        own_fd_release(&ch->file_fd);
        own_fd_release(&ch->read_fd);
        own_fd_release(&ch->write_fd);
        if (ch->secrets.data != NULL)
                explicit_bzero(ch->secrets.data, ch->secrets.len);
        buf_finish(&ch->secrets);
        buf_finish(&ch->start);
        buf_finish(&ch->in);
        buf_finish(&ch->out);
        buf_finish(&ch->log_piece);
        free(ch);
}

/* Takes over the descriptors. */
static enum err_code channel_open(struct channel *ch, const int fds[CHANNEL_FDS], struct err *err)
{
        ch->file_fd = fds[0];
        ch->read_fd = fds[1];
        ch->write_fd = fds[2];
        for (int i = 0; i < CHANNEL_FDS; i++) {
                if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0 ||
                    (i > 0 && fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0))
                        return err_sys(err, "descriptor %d, of the channel", fds[i]);
        }
        enum err_code code = ring_map(&ch->ring, ch->file_fd, RING_AGENT, err);
        ch->ring.wipe = code == ERR_OK && !ch->specialised;
        return code;
}

/* The fresh channel's descriptors are where the old one's were, whose memory is the parent's alone. */
static enum err_code channel_renew(struct transport *t, struct err *err)
{
        struct channel *ch = channel_of(t);
        const int fds[CHANNEL_FDS] = {ch->file_fd, ch->read_fd, ch->write_fd};

        assert(ch->first == NULL && ch->running == NULL && ch->sending == NULL && ch->dropped == NULL);
        buf_clear(&ch->in);
        buf_clear(&ch->out);
        ch->last_id = 0;
        ch->closed = ch->looked = false;
        return channel_open(ch, fds, err);
}

static const struct transport_ops channel_ops = {
        .several = true,
        .specialise = channel_specialise,
        .ready = channel_ready,
        .next = channel_next,
        .try_next = channel_try_next,
        .wait_ms = channel_wait_ms,
        .log = channel_log,
        .reply = channel_reply,
        .poll_fd = channel_poll_fd,
        .nothing_yet = channel_nothing_yet,
        .poll = channel_poll,
        .cancelled = channel_cancelled,
        .closed = channel_closed,
        .renew = channel_renew,
        .abandon = channel_abandon,
        .destroy = channel_destroy,
};

enum err_code channel_create(const int fds[CHANNEL_FDS], int wake_fd, pthread_mutex_t *lock,
                             struct transport **ret, struct err *err)
{
        struct channel *ch = calloc(1, sizeof(*ch));

        if (ch == NULL)
                return err_nomem(err);
        ch->base = (struct transport){.ops = &channel_ops, .lock = lock, .wake_fd = wake_fd};
        ch->streams_max = STREAMS_MAX;
        buf_init(&ch->in, IN_MAX);
        buf_init(&ch->out, OUT_MAX);
        buf_init(&ch->log_piece, LOG_PIECE + 1);
        buf_init(&ch->start, 4 * (size_t)FRAME_PAYLOAD_MAX);
        buf_init(&ch->secrets, SECRETS_MAX);
        enum err_code code = channel_open(ch, fds, err);
        if (code != ERR_OK) {
                channel_destroy(&ch->base);
                return code;
        }
        *ret = &ch->base;
        return ERR_OK;
}
