/*
 * runtimes/agent/channel_in.c: the frames that the server sends: streams begin, fill, end and are reset.
 *
 * The server may open several streams at once; they are gathered in the order in which they began. A body is
 * taken in as it comes, so only AGENT_BODY_MAX bounds it.
 */
#include "runtimes/agent/channel_impl.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

void stream_destroy(struct stream *stream)
{
        if (stream == NULL)
                return;
        buf_finish(&stream->head);
        buf_finish(&stream->body);
        if (stream->secrets.data != NULL)
                explicit_bzero(stream->secrets.data, stream->secrets.len);
        buf_finish(&stream->secrets);
        buf_finish(&stream->rest);
        free(stream->fields);
        free(stream);
}

void streams_destroy(struct stream **list)
{
        while (*list != NULL) {
                struct stream *stream = *list;
                *list = stream->next;
                stream_destroy(stream);
        }
}

void stream_remove(struct stream **list, struct stream *stream)
{
        while (*list != stream) {
                assert(*list != NULL);
                list = &(*list)->next;
        }
        *list = stream->next;
        stream->next = NULL;
}

struct stream *stream_in(struct stream *list, uint32_t id)
{
        while (list != NULL && list->id != id)
                list = list->next;
        return list;
}

static struct stream *stream_find(struct channel *ch, uint32_t id)
{
        struct stream *stream = stream_in(ch->running, id);

        if (stream == NULL)
                stream = stream_in(ch->sending, id);
        return stream != NULL ? stream : stream_in(ch->first, id);
}

static enum err_code copy_fields(struct stream *stream, struct str payload, struct err *err)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count;

        buf_init(&stream->head, FRAME_PAYLOAD_MAX);
        if (buf_append(&stream->head, payload.p, payload.len) != ERR_OK)
                return err_nomem(err);
        enum err_code code =
                frame_parse_fields((struct str){stream->head.data, stream->head.len}, fields, &count, err);
        if (code != ERR_OK)
                return code;
        stream->fields = calloc(count + 1, sizeof(*fields));
        if (stream->fields == NULL)
                return err_nomem(err);
        memcpy(stream->fields, fields, count * sizeof(*fields));
        stream->field_count = count;
        return ERR_OK;
}

static enum err_code on_head(struct channel *ch, const struct frame *frame, struct err *err)
{
        if (frame->stream <= ch->last_id)
                return err_set(err, ERR_INVALID, "stream %u begins again", frame->stream);
        if (ch->stream_count >= ch->streams_max)
                return err_set(err, ERR_INVALID, "more than %zu streams at once", ch->streams_max);
        struct stream *stream = calloc(1, sizeof(*stream));
        if (stream == NULL)
                return err_nomem(err);
        stream->id = frame->stream;
        stream->window = FRAME_WINDOW;
        buf_init(&stream->body, AGENT_BODY_MAX);
        buf_init(&stream->secrets, FRAME_PAYLOAD_MAX);
        buf_init(&stream->rest, REST_MAX);
        enum err_code code = copy_fields(stream, frame->payload, err);
        if (code != ERR_OK) {
                stream_destroy(stream);
                return code;
        }

        struct stream **last = &ch->first;
        while (*last != NULL)
                last = &(*last)->next;
        *last = stream;
        ch->stream_count++;
        ch->last_id = frame->stream;
        return ERR_OK;
}

static enum err_code on_data(struct stream *stream, struct str bytes, struct err *err)
{
        stream->credit_due += (uint32_t)bytes.len;
        if (stream->too_large)
                return ERR_OK;
        enum err_code code = buf_append(&stream->body, bytes.p, bytes.len);
        if (code == ERR_TOO_LARGE) {
                stream->too_large = true;
                buf_finish(&stream->body);
                return ERR_OK;
        }
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}

/* The caller is gone: a stream that waits is dropped, and so is the rest of a reply; of one that runs the
 * agent is told. */
static void on_reset(struct channel *ch, struct stream *stream)
{
        pthread_mutex_lock(ch->base.lock);
        stream->gone = true;
        if (stream_in(ch->running, stream->id) != NULL) {
                ch->resets = ch->confirms = true;
        } else {
                stream_remove(stream_in(ch->sending, stream->id) != NULL ? &ch->sending : &ch->first, stream);
                stream->next = ch->dropped;
                ch->dropped = stream;
        }
        pthread_mutex_unlock(ch->base.lock);
}

static enum err_code on_stream_frame(struct channel *ch, const struct frame *frame, struct err *err)
{
        struct stream *stream = stream_find(ch, frame->stream);
        uint32_t credit;

        if (stream == NULL)
                return frame->stream <= ch->last_id
                               ? ERR_OK /* of a stream that is over */
                               : err_set(err, ERR_INVALID, "stream %u did not begin", frame->stream);
        bool input = frame->type == FRAME_DATA || frame->type == FRAME_SECRETS || frame->type == FRAME_END;
        if (input && stream->complete)
                return err_set(err, ERR_INVALID, "stream %u goes on behind its end", frame->stream);
        if (frame->type == FRAME_DATA)
                return on_data(stream, frame->payload, err);
        if (frame->type == FRAME_SECRETS)
                return buf_append(&stream->secrets, frame->payload.p, frame->payload.len) == ERR_OK
                               ? ERR_OK
                               : err_set(err, ERR_INVALID, "secrets of stream %u are too large",
                                         frame->stream);
        if (frame->type == FRAME_END) {
                stream->complete = true;
        } else if (frame->type == FRAME_RESET) {
                on_reset(ch, stream);
        } else if (frame->type == FRAME_CREDIT) {
                enum err_code code = frame_parse_credit(frame->payload, &credit, err);
                if (code != ERR_OK)
                        return code;
                stream->window += credit;
        }
        return ERR_OK;
}

/* Before SPECIALISE. */
static enum err_code on_secrets(struct channel *ch, struct str piece, struct err *err)
{
        if (ch->specialised)
                return err_set(err, ERR_INVALID, "secrets behind SPECIALISE");
        /* It does not grow, so that no part is left behind where it was. */
        if (buf_reserve(&ch->secrets, SECRETS_MAX - ch->secrets.len) != ERR_OK)
                return err_nomem(err);
        return buf_append(&ch->secrets, piece.p, piece.len) == ERR_OK
                       ? ERR_OK
                       : err_set(err, ERR_INVALID, "more than %d bytes of secrets", SECRETS_MAX);
}

static enum err_code on_frame(struct channel *ch, const struct frame *frame, struct err *err)
{
        switch (frame->type) {
        case FRAME_SPECIALISE:
                if (ch->specialised)
                        return err_set(err, ERR_INVALID, "specialised twice");
                ch->specialised = true;
                ch->ring.wipe = false;
                return buf_append(&ch->start, frame->payload.p, frame->payload.len) == ERR_OK
                               ? ERR_OK
                               : err_nomem(err);
        case FRAME_HEAD:
                return ch->specialised ? on_head(ch, frame, err)
                                       : err_set(err, ERR_INVALID, "a request before SPECIALISE");
        case FRAME_SECRETS:
                return frame->stream == 0 ? on_secrets(ch, frame->payload, err)
                                          : on_stream_frame(ch, frame, err);
        case FRAME_DATA:
        case FRAME_END:
        case FRAME_RESET:
        case FRAME_CREDIT:
                return on_stream_frame(ch, frame, err);
        case FRAME_UPGRADE:
        case FRAME_LOG:
        case FRAME_READY:
        case FRAME_FAILED:
                break;
        }
        return err_set(err, ERR_INVALID, "a frame of type %d from the server", (int)frame->type);
}

static enum err_code take_frames(struct channel *ch, struct err *err)
{
        enum err_code code;
        size_t at = 0;

        for (;;) {
                struct frame frame;
                size_t used;

                code = frame_parse((struct str){ch->in.data + at, ch->in.len - at}, &frame, &used, err);
                if (code != ERR_OK)
                        break;
                code = on_frame(ch, &frame, err);
                if (code != ERR_OK)
                        break;
                at += used;
        }
        buf_consume(&ch->in, at);
        return code == ERR_LIMIT ? ERR_OK : code;
}

/* What is in the ring now. */
static enum err_code take_bytes(struct channel *ch, size_t *ret_count, struct err *err)
{
        enum err_code code = ring_unread(&ch->ring, ret_count, err);

        if (code != ERR_OK || *ret_count == 0)
                return code;
        if (buf_reserve(&ch->in, *ret_count) != ERR_OK)
                return err_nomem(err);
        code = ring_read(&ch->ring, ch->in.data + ch->in.len, *ret_count, ret_count, err);
        if (code != ERR_OK)
                return code;
        ch->in.len += *ret_count;
        if (ring_wakes(&ch->ring, false))
                ring_wake_send(ch->write_fd);
        return take_frames(ch, err);
}

/* Takes all that is there. When it returns, whatever comes next makes the pipe readable. */
static enum err_code take_all(struct channel *ch, struct err *err)
{
        size_t count;

        if (ch->closed)
                return err_set(err, ERR_CANCELLED, "the channel is closed");
        do {
                enum err_code code = take_bytes(ch, &count, err);
                if (code != ERR_OK)
                        return code;
        } while (count > 0 || !ring_sleep(&ch->ring, false));
        return ERR_OK;
}

enum err_code channel_receive(struct channel *ch, struct err *err)
{
        enum err_code code = ch->closed ? ERR_CANCELLED : ring_wake_take(&ch->ring, ch->read_fd, false, err);
        bool hung_up = code == ERR_CANCELLED;

        ch->looked = true;
        code = take_all(ch, err);
        if (code == ERR_OK && hung_up) {
                ch->closed = true;
                code = err_set(err, ERR_CANCELLED, "the channel is closed");
        }
        return code;
}

enum err_code channel_wait(struct channel *ch, bool interruptible, struct err *err)
{
        struct pollfd fds[2] = {{.fd = ch->read_fd, .events = POLLIN},
                                {.fd = ch->base.wake_fd, .events = POLLIN}};

        if (!ch->looked)
                return channel_receive(ch, err);
        if (poll(fds, interruptible ? 2 : 1, -1) < 0)
                return errno == EINTR ? ERR_OK : err_sys(err, "poll");
        if (fds[0].revents != 0)
                return channel_receive(ch, err);
        return interruptible && fds[1].revents != 0 ? err_set(err, ERR_CANCELLED, "told to end") : ERR_OK;
}
