/*
 * runtimes/agent/channel_out.c: what leaves on the channel: logs, replies, credit.
 *
 * A reply waits for the server's credit. Where others are in hand meanwhile, what cannot leave at once is
 * kept with its stream and leaves as credit comes.
 */
#include "runtimes/agent/channel_impl.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>

enum { ROOM_WAIT_MS = 100 /* then the server may be gone */ };

/* The server has gone: its end of the pipe hangs up. */
static bool hung_up(const struct channel *ch)
{
        struct pollfd pipe = {.fd = ch->read_fd};

        return poll(&pipe, 1, 0) == 1 && (pipe.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* One piece, as large as there is room for; waits where there is none. */
static enum err_code send_piece(struct channel *ch, struct str bytes, size_t *ret_count, struct err *err)
{
        enum err_code code = ring_write(&ch->ring, bytes, ret_count, err);

        if (code == ERR_OK && *ret_count > 0 && ring_wakes(&ch->ring, true) && !ring_wake_send(ch->write_fd))
                code = ERR_CANCELLED;
        if (code == ERR_OK && *ret_count == 0) {
                ring_room_wait(&ch->ring, ROOM_WAIT_MS);
                code = hung_up(ch) ? ERR_CANCELLED : ERR_OK;
        }
        return code;
}

enum err_code channel_send(struct channel *ch, struct err *err)
{
        size_t sent = 0, count;
        enum err_code code = ERR_OK;

        while (sent < ch->out.len && !ch->closed && code == ERR_OK) {
                code = send_piece(ch, (struct str){ch->out.data + sent, ch->out.len - sent}, &count, err);
                if (code == ERR_OK)
                        sent += count;
                else if (code == ERR_CANCELLED)
                        ch->closed = true;
        }
        buf_clear(&ch->out);
        return ch->closed ? err_set(err, ERR_CANCELLED, "the channel is closed") : code;
}

enum err_code channel_room(struct channel *ch, struct err *err)
{
        return ch->out.max - ch->out.len < FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX ? channel_send(ch, err)
                                                                                : ERR_OK;
}

static enum err_code give_credit(struct channel *ch, struct stream *stream, struct err *err)
{
        if (stream->credit_due < CREDIT_STEP || stream->complete)
                return ERR_OK;
        uint32_t due = stream->credit_due;
        stream->credit_due = 0;
        enum err_code code = channel_room(ch, err);
        if (code == ERR_OK && frame_put_credit(&ch->out, stream->id, due) != ERR_OK)
                code = err_nomem(err);
        return code;
}

/* The server waits to hear that a stream that it reset is over. */
static enum err_code put_reset(struct channel *ch, const struct stream *stream, struct err *err)
{
        enum err_code code = channel_room(ch, err);

        if (code == ERR_OK && frame_put(&ch->out, FRAME_RESET, stream->id, (struct str){NULL, 0}) != ERR_OK)
                code = err_nomem(err);
        return code;
}

static enum err_code put_end(struct channel *ch, const struct stream *stream, struct err *err)
{
        enum err_code code = channel_room(ch, err);

        if (code == ERR_OK && frame_put_usage(&ch->out, stream->id, &stream->usage) != ERR_OK)
                code = err_nomem(err);
        return code;
}

/* Queues what the window lets go; *ret_left is what it does not. */
static enum err_code put_allowed(struct channel *ch, struct stream *stream, struct str body,
                                 struct str *ret_left, struct err *err)
{
        while (body.len > 0 && stream->window > 0) {
                enum err_code code = channel_room(ch, err);
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
        *ret_left = body;
        return ERR_OK;
}

/* More of the replies that are kept; those that are sent are over. */
static enum err_code flush_replies(struct channel *ch, struct err *err)
{
        struct stream *next;

        for (struct stream *stream = ch->sending; stream != NULL; stream = next) {
                struct str rest = {stream->rest.data + stream->rest_sent,
                                   stream->rest.len - stream->rest_sent};
                struct str left;
                next = stream->next;
                enum err_code code = put_allowed(ch, stream, rest, &left, err);
                if (code != ERR_OK)
                        return code;
                stream->rest_sent = stream->rest.len - left.len;
                if (left.len > 0)
                        continue;
                code = put_end(ch, stream, err);
                if (code != ERR_OK)
                        return code;
                stream_remove(&ch->sending, stream);
                stream_destroy(stream);
                ch->stream_count--;
        }
        return ERR_OK;
}

static enum err_code flush_resets(struct channel *ch, struct err *err)
{
        while (ch->dropped != NULL) {
                struct stream *stream = ch->dropped;
                enum err_code code = put_reset(ch, stream, err);
                if (code != ERR_OK)
                        return code;
                ch->dropped = stream->next;
                stream_destroy(stream);
                ch->stream_count--;
        }
        return ERR_OK;
}

/* Whoever has a run in hand that was reset is at work: a process that hangs does not get here. */
static enum err_code confirm_resets(struct channel *ch, struct err *err)
{
        enum err_code code = ERR_OK;

        for (struct stream *s = ch->confirms ? ch->running : NULL; s != NULL && code == ERR_OK; s = s->next) {
                if (!s->gone || s->confirmed)
                        continue;
                s->confirmed = true;
                code = channel_room(ch, err);
                if (code == ERR_OK && frame_put_credit(&ch->out, s->id, 0) != ERR_OK)
                        code = err_nomem(err);
        }
        ch->confirms = false;
        return code;
}

enum err_code channel_flush(struct channel *ch, struct err *err)
{
        enum err_code code = flush_resets(ch, err);

        if (code == ERR_OK)
                code = confirm_resets(ch, err);

        for (struct stream *s = ch->first; s != NULL && code == ERR_OK; s = s->next)
                code = give_credit(ch, s, err);
        if (code == ERR_OK)
                code = flush_replies(ch, err);
        return code == ERR_OK && ch->out.len > 0 ? channel_send(ch, err) : code;
}

void channel_log(struct transport *t, uint32_t request, int stream, struct str text)
{
        struct channel *ch = channel_of(t);
        const struct stream *run = request != 0 ? stream_in(ch->running, request) : NULL;
        char which = (char)stream;

        if (ch->closed || (request != 0 && (run == NULL || run->gone)))
                return;
        while (text.len > 0) {
                size_t piece = text.len < LOG_PIECE ? text.len : LOG_PIECE;
                buf_clear(&ch->log_piece);
                if (buf_append(&ch->log_piece, &which, 1) != ERR_OK ||
                    buf_append(&ch->log_piece, text.p, piece) != ERR_OK || channel_room(ch, NULL) != ERR_OK ||
                    frame_put(&ch->out, FRAME_LOG, request,
                              (struct str){ch->log_piece.data, ch->log_piece.len}) != ERR_OK)
                        return;
                text = str_slice(text, piece, text.len);
        }
        channel_send(ch, NULL);
}

static enum err_code put_reply_head(struct channel *ch, const struct stream *stream,
                                    const struct agent_reply *reply, struct err *err)
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

        enum err_code code = channel_room(ch, err);
        if (code == ERR_OK && frame_put_fields(&ch->out, FRAME_HEAD, stream->id, fields, count) != ERR_OK)
                code = err_nomem(err);
        return code;
}

/* Sends what is queued and waits until the server lets us send more. */
static enum err_code wait_for_credit(struct channel *ch, struct stream *stream, struct err *err)
{
        enum err_code code = channel_send(ch, err);

        while (code == ERR_OK && stream->window == 0 && !stream->gone) {
                code = channel_flush(ch, err);
                if (code != ERR_OK)
                        break;
                /* What comes in may have to do with the lock; other threads may log meanwhile. */
                pthread_mutex_unlock(ch->base.lock);
                code = channel_wait(ch, false, err);
                pthread_mutex_lock(ch->base.lock);
        }
        return code;
}

static enum err_code put_body(struct channel *ch, struct stream *stream, struct str body, struct err *err)
{
        while (body.len > 0 && !stream->gone) {
                enum err_code code = put_allowed(ch, stream, body, &body, err);
                if (code == ERR_OK && body.len > 0)
                        code = wait_for_credit(ch, stream, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* What the window does not let go at once is sent behind the scenes. */
static enum err_code keep_body(struct channel *ch, struct stream *stream, struct str body, struct err *err)
{
        enum err_code code = put_allowed(ch, stream, body, &body, err);

        if (code == ERR_OK && body.len > 0 && buf_append(&stream->rest, body.p, body.len) != ERR_OK)
                code = err_nomem(err);
        return code;
}

static enum err_code put_reply(struct channel *ch, struct stream *stream, const struct agent_reply *reply,
                               struct err *err)
{
        enum err_code code = ERR_OK;

        if (!stream->gone)
                code = put_reply_head(ch, stream, reply, err);
        if (code == ERR_OK && !stream->gone)
                code = ch->base.queues ? keep_body(ch, stream, reply->body, err)
                                       : put_body(ch, stream, reply->body, err);
        if (code != ERR_OK || stream->rest.len > 0)
                return code;
        return stream->gone ? put_reset(ch, stream, err) : put_end(ch, stream, err);
}

enum err_code channel_reply(struct transport *t, uint32_t request, const struct agent_reply *reply,
                            const struct frame_usage *usage, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct stream *stream = stream_in(ch->running, request);

        assert(stream != NULL);
        stream->usage = *usage;
        enum err_code code = put_reply(ch, stream, reply, err);
        if (code == ERR_OK)
                code = channel_send(ch, err);
        stream_remove(&ch->running, stream);
        if (code == ERR_OK && stream->rest.len > 0) {
                stream->next = ch->sending;
                ch->sending = stream;
                return ERR_OK;
        }
        ch->stream_count--;
        stream_destroy(stream);
        return code;
}
