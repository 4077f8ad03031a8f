/*
 * runtimes/agent/channel.c: the invocation channel over a stream socket: requests one after the other, logs
 * and replies.
 *
 * Credit for bodies is given back as they are taken in; replies wait for the server's credit.
 */
#include "runtimes/agent/channel_impl.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static enum err_code send_out(struct channel *ch, struct err *err)
{
        size_t sent = 0;

        while (sent < ch->out.len && !ch->closed) {
                ssize_t n =
                        send(ch->fd, ch->out.data + sent, ch->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0) {
                        sent += (size_t)n;
                } else if (errno == EAGAIN) {
                        struct pollfd wait = {.fd = ch->fd, .events = POLLOUT};
                        poll(&wait, 1, -1);
                } else if (errno != EINTR) {
                        ch->closed = true;
                }
        }
        buf_clear(&ch->out);
        return ch->closed ? err_set(err, ERR_CANCELLED, "the channel is closed") : ERR_OK;
}

/* Makes room for one more frame of the largest size. */
static enum err_code out_room(struct channel *ch, struct err *err)
{
        return ch->out.max - ch->out.len < FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX ? send_out(ch, err) : ERR_OK;
}

static enum err_code give_credit(struct channel *ch, struct stream *stream, struct err *err)
{
        if (stream->credit_due < CREDIT_STEP || stream->complete)
                return ERR_OK;
        uint32_t due = stream->credit_due;
        stream->credit_due = 0;
        enum err_code code = out_room(ch, err);
        if (code == ERR_OK && frame_put_credit(&ch->out, stream->id, due) != ERR_OK)
                code = err_nomem(err);
        return code;
}

/* With the lock held. */
static enum err_code flush_credit(struct channel *ch, struct err *err)
{
        for (struct stream *s = ch->first; s != NULL; s = s->next) {
                enum err_code code = give_credit(ch, s, err);
                if (code != ERR_OK)
                        return code;
        }
        return ch->out.len > 0 ? send_out(ch, err) : ERR_OK;
}

static enum err_code channel_ready(struct transport *t, const struct buf *error, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct str json = error != NULL ? (struct str){error->data, error->len} : STR("");

        if (json.len > FRAME_PAYLOAD_MAX)
                json = STR("{\"type\":\"FunctionError\",\"message\":\"the handler cannot be loaded (and its "
                           "error is too "
                           "long)\",\"stacktrace\":[]}");
        if (frame_put(&ch->out, error != NULL ? FRAME_FAILED : FRAME_READY, 0, json) != ERR_OK)
                return err_nomem(err);
        return send_out(ch, err);
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

static enum err_code flush_credit_locked(struct channel *ch, struct err *err)
{
        pthread_mutex_lock(ch->base.lock);
        enum err_code code = flush_credit(ch, err);
        pthread_mutex_unlock(ch->base.lock);
        return code;
}

static void begin(struct channel *ch, struct stream *stream, struct agent_request *ret)
{
        pthread_mutex_lock(ch->base.lock);
        ch->current = stream;
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

        assert(ch->current == NULL);
        while ((stream = take_complete(ch)) == NULL) {
                enum err_code code = flush_credit_locked(ch, err);
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

        assert(ch->current == NULL);
        if (stream == NULL) {
                struct pollfd wake = {.fd = t->wake_fd, .events = POLLIN};
                enum err_code code = channel_receive(ch, err);
                if (code == ERR_OK)
                        code = flush_credit_locked(ch, err);
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

static void channel_log(struct transport *t, int stream, struct str text)
{
        struct channel *ch = channel_of(t);
        const struct stream *run = t->outside ? NULL : ch->current;
        uint32_t id = run != NULL ? run->id : 0;
        char which = (char)stream;

        if (ch->closed || (run != NULL && run->gone))
                return;
        while (text.len > 0) {
                size_t piece = text.len < LOG_PIECE ? text.len : LOG_PIECE;
                buf_clear(&ch->log_piece);
                if (buf_append(&ch->log_piece, &which, 1) != ERR_OK ||
                    buf_append(&ch->log_piece, text.p, piece) != ERR_OK || out_room(ch, NULL) != ERR_OK ||
                    frame_put(&ch->out, FRAME_LOG, id, (struct str){ch->log_piece.data, ch->log_piece.len}) !=
                            ERR_OK)
                        return;
                text = str_slice(text, piece, text.len);
        }
        send_out(ch, NULL);
}

static enum err_code put_reply_head(struct channel *ch, const struct agent_reply *reply, struct err *err)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count = 0;
        char status[16];

        snprintf(status, sizeof(status), "%d", reply->status);
        fields[count++] = (struct frame_field){STR(":status"), str_of(status)};
        if (reply->content_type.p != NULL)
                fields[count++] = (struct frame_field){STR("content-type"), reply->content_type};
        if (reply->error != NULL)
                fields[count++] = (struct frame_field){STR("dispatch-error"), str_of(reply->error)};
        for (size_t i = 0; i < reply->field_count && count < FRAME_FIELDS_MAX; i++)
                fields[count++] = reply->fields[i];

        if (ch->base.last && count < FRAME_FIELDS_MAX)
                fields[count++] = (struct frame_field){STR("dispatch-last"), STR("1")};
        if (ch->base.refused != NULL && count < FRAME_FIELDS_MAX)
                fields[count++] = (struct frame_field){STR("dispatch-bad-reply"), str_of(ch->base.refused)};

        enum err_code code = out_room(ch, err);
        if (code == ERR_OK &&
            frame_put_fields(&ch->out, FRAME_HEAD, ch->current->id, fields, count) != ERR_OK)
                code = err_nomem(err);
        return code;
}

/* Sends what is queued and waits until the server lets us send more. */
static enum err_code wait_for_credit(struct channel *ch, struct err *err)
{
        enum err_code code = send_out(ch, err);

        while (code == ERR_OK && ch->current->window == 0 && !ch->current->gone) {
                code = flush_credit(ch, err);
                if (code == ERR_OK)
                        code = channel_wait(ch, false, err);
        }
        return code;
}

static enum err_code put_body(struct channel *ch, struct str body, struct err *err)
{
        struct stream *stream = ch->current;

        while (body.len > 0 && !stream->gone) {
                enum err_code code = stream->window == 0 ? wait_for_credit(ch, err) : out_room(ch, err);
                if (code != ERR_OK)
                        return code;
                size_t piece = body.len < FRAME_PAYLOAD_MAX ? body.len : FRAME_PAYLOAD_MAX;
                if (piece > stream->window)
                        piece = (size_t)stream->window;
                if (frame_put_data(&ch->out, stream->id, str_slice(body, 0, piece)) != ERR_OK)
                        return err_nomem(err);
                stream->window -= piece;
                body = str_slice(body, piece, body.len);
        }
        return ERR_OK;
}

static enum err_code channel_reply(struct transport *t, const struct agent_reply *reply,
                                   const struct frame_usage *usage, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct stream *stream = ch->current;
        enum err_code code = ERR_OK;

        assert(stream != NULL);
        if (!stream->gone) {
                code = put_reply_head(ch, reply, err);
                if (code == ERR_OK)
                        code = put_body(ch, reply->body, err);
        }
        if (code == ERR_OK && !stream->gone) {
                code = out_room(ch, err);
                if (code == ERR_OK && frame_put_usage(&ch->out, stream->id, usage) != ERR_OK)
                        code = err_nomem(err);
        }
        if (code == ERR_OK)
                code = send_out(ch, err);
        ch->current = NULL;
        ch->stream_count--;
        stream_destroy(stream);
        return code;
}

static int channel_poll_fd(const struct transport *t)
{
        return ((const struct channel *)t)->fd;
}

static bool channel_poll(struct transport *t)
{
        struct channel *ch = channel_of(t);

        if (channel_receive(ch, NULL) != ERR_OK)
                return false;
        pthread_mutex_lock(t->lock);
        flush_credit(ch, NULL);
        pthread_mutex_unlock(t->lock);
        return !ch->closed && (ch->current == NULL || !ch->current->gone);
}

static void channel_abandon(struct transport *t)
{
        struct channel *ch = channel_of(t);

        close(ch->fd);
        ch->fd = -1;
        ch->closed = true;
}

static void channel_destroy(struct transport *t)
{
        struct channel *ch = channel_of(t);

        stream_destroy(ch->current);
        while (ch->first != NULL) {
                struct stream *stream = ch->first;
                ch->first = stream->next;
                stream_destroy(stream);
        }
        own_fd_release(&ch->fd);
        own_fd_release(&ch->passed_fd);
        if (ch->secrets.data != NULL)
                explicit_bzero(ch->secrets.data, ch->secrets.len);
        buf_finish(&ch->secrets);
        buf_finish(&ch->start);
        buf_finish(&ch->in);
        buf_finish(&ch->out);
        buf_finish(&ch->log_piece);
        free(ch);
}

static const struct transport_ops channel_ops = {
        .specialise = channel_specialise,
        .ready = channel_ready,
        .next = channel_next,
        .try_next = channel_try_next,
        .wait_ms = channel_wait_ms,
        .log = channel_log,
        .reply = channel_reply,
        .poll_fd = channel_poll_fd,
        .poll = channel_poll,
        .abandon = channel_abandon,
        .destroy = channel_destroy,
};

enum err_code channel_create(int fd, int wake_fd, pthread_mutex_t *lock, struct transport **ret,
                             struct err *err)
{
        struct channel *ch = calloc(1, sizeof(*ch));

        if (ch == NULL)
                return err_nomem(err);
        ch->base = (struct transport){.ops = &channel_ops, .lock = lock, .wake_fd = wake_fd};
        ch->fd = fd;
        ch->passed_fd = -1;
        buf_init(&ch->in, IN_MAX);
        buf_init(&ch->out, OUT_MAX);
        buf_init(&ch->log_piece, LOG_PIECE + 1);
        buf_init(&ch->start, 4 * (size_t)FRAME_PAYLOAD_MAX);
        buf_init(&ch->secrets, SECRETS_MAX);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        *ret = &ch->base;
        return ERR_OK;
}
