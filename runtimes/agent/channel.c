/*
 * runtimes/agent/channel.c: the invocation channel over a stream socket.
 *
 * The server may open several streams at once; the agent gathers them all and runs them one after the other,
 * in the order in which they began. A stream's body is taken in as it comes and credit is given back, so only
 * AGENT_BODY_MAX bounds it; replies wait for the server's credit.
 */
#include "runtimes/agent/transport.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

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

static struct channel *channel_of(struct transport *t)
{
        return (struct channel *)t;
}

static void stream_destroy(struct stream *stream)
{
        if (stream == NULL)
                return;
        buf_finish(&stream->head);
        buf_finish(&stream->body);
        if (stream->secrets.data != NULL)
                explicit_bzero(stream->secrets.data, stream->secrets.len);
        buf_finish(&stream->secrets);
        free(stream->fields);
        free(stream);
}

static struct stream *stream_find(struct channel *ch, uint32_t id)
{
        if (ch->current != NULL && ch->current->id == id)
                return ch->current;
        for (struct stream *s = ch->first; s != NULL; s = s->next) {
                if (s->id == id)
                        return s;
        }
        return NULL;
}

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
        if (ch->stream_count == STREAMS_MAX)
                return err_set(err, ERR_INVALID, "more than %d streams at once", STREAMS_MAX);
        struct stream *stream = calloc(1, sizeof(*stream));
        if (stream == NULL)
                return err_nomem(err);
        stream->id = frame->stream;
        stream->window = FRAME_WINDOW;
        buf_init(&stream->body, AGENT_BODY_MAX);
        buf_init(&stream->secrets, FRAME_PAYLOAD_MAX);
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

/* The caller is gone: a stream that waits is dropped, the one that runs goes on unheard. */
static void on_reset(struct channel *ch, struct stream *stream)
{
        stream->gone = true;
        if (stream == ch->current)
                return;
        for (struct stream **at = &ch->first; *at != NULL; at = &(*at)->next) {
                if (*at == stream) {
                        *at = stream->next;
                        break;
                }
        }
        stream_destroy(stream);
        ch->stream_count--;
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

static enum err_code on_frame(struct channel *ch, const struct frame *frame, struct err *err)
{
        switch (frame->type) {
        case FRAME_SPECIALISE:
                if (ch->specialised)
                        return err_set(err, ERR_INVALID, "specialised twice");
                ch->specialised = true;
                return buf_append(&ch->start, frame->payload.p, frame->payload.len) == ERR_OK
                               ? ERR_OK
                               : err_nomem(err);
        case FRAME_HEAD:
                return ch->specialised ? on_head(ch, frame, err)
                                       : err_set(err, ERR_INVALID, "a request before SPECIALISE");
        case FRAME_DATA:
        case FRAME_END:
        case FRAME_RESET:
        case FRAME_CREDIT:
        case FRAME_SECRETS:
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

/* Keeps the descriptor that came with a message; a second one is not expected and closed. */
static void take_descriptors(struct channel *ch, struct msghdr *msg)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (ch->passed_fd < 0)
                                ch->passed_fd = fd;
                        else
                                close(fd);
                }
        }
}

/* Reads what is there, without waiting. */
static enum err_code receive(struct channel *ch, struct err *err)
{
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];

        if (buf_reserve(&ch->in, READ_SIZE) != ERR_OK)
                return err_nomem(err);
        struct iovec bytes = {ch->in.data + ch->in.len, READ_SIZE};
        struct msghdr msg = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};

        ssize_t n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return ERR_OK;
        if (n <= 0) {
                ch->closed = true;
                return err_set(err, ERR_CANCELLED, "the channel is closed");
        }
        take_descriptors(ch, &msg);
        ch->in.len += (size_t)n;
        return take_frames(ch, err);
}

/* Waits for bytes, and for SIGTERM where `interruptible`. */
static enum err_code wait_and_receive(struct channel *ch, bool interruptible, struct err *err)
{
        struct pollfd fds[2] = {{.fd = ch->fd, .events = POLLIN}, {.fd = ch->base.wake_fd, .events = POLLIN}};

        if (poll(fds, interruptible ? 2 : 1, -1) < 0)
                return errno == EINTR ? ERR_OK : err_sys(err, "poll");
        if (fds[0].revents != 0)
                return receive(ch, err);
        return interruptible && fds[1].revents != 0 ? err_set(err, ERR_CANCELLED, "told to end") : ERR_OK;
}

/* The secrets' JSON object from the descriptor that came along; the object is checked by its user. */
static enum err_code read_secrets(struct channel *ch, struct err *err)
{
        own_fd int fd = take_fd(&ch->passed_fd);
        struct stat st;

        if (fd < 0)
                return ERR_OK;
        if (fstat(fd, &st) < 0 || st.st_size > SECRETS_MAX)
                return err_set(err, ERR_INVALID, "the secrets' descriptor is no memfd of at most %d bytes",
                               SECRETS_MAX);
        if (buf_reserve(&ch->secrets, (size_t)st.st_size) != ERR_OK)
                return err_nomem(err);
        while (ch->secrets.len < (size_t)st.st_size) {
                ssize_t n = pread(fd, ch->secrets.data + ch->secrets.len,
                                  (size_t)st.st_size - ch->secrets.len, (off_t)ch->secrets.len);
                if (n <= 0)
                        return err_sys(err, "read secrets");
                ch->secrets.len += (size_t)n;
        }
        return ERR_OK;
}

static enum err_code set_variable(struct str name, struct str value, struct err *err)
{
        own_mem char *key = strndup(name.p, name.len), *text = strndup(value.p, value.len);

        if (key == NULL || text == NULL)
                return err_nomem(err);
        return setenv(key, text, 1) < 0 ? err_sys(err, "setenv '%s'", key) : ERR_OK;
}

/* A field as a string that lives as long as the channel: the copy follows the payload in `start`. */
static const char *field_text(struct channel *ch, struct str value)
{
        const char *text = ch->start.data + ch->start.len;

        if (value.p == NULL)
                return "";
        if (buf_append(&ch->start, value.p, value.len) != ERR_OK || buf_append(&ch->start, "", 1) != ERR_OK)
                return NULL;
        return text;
}

static uint64_t field_number(const struct frame_field *fields, size_t count, struct str name,
                             uint64_t otherwise)
{
        uint64_t value;

        return str_to_u64(frame_field_get(fields, count, name), &value) ? value : otherwise;
}

static enum err_code read_specialisation(struct channel *ch, struct specialisation *ret, struct err *err)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count = 0;

        /* No text moves any more once twice the payload is reserved. */
        if (buf_reserve(&ch->start, ch->start.len + 2) != ERR_OK)
                return err_nomem(err);
        enum err_code code =
                frame_parse_fields((struct str){ch->start.data, ch->start.len}, fields, &count, err);
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                if (str_starts(fields[i].name, STR("env-")))
                        code = set_variable(str_slice(fields[i].name, 4, fields[i].name.len), fields[i].value,
                                            err);
        }
        if (code == ERR_OK)
                code = read_secrets(ch, err);
        if (code != ERR_OK)
                return code;
        *ret = (struct specialisation){
                .function = field_text(ch, frame_field_get(fields, count, STR("function"))),
                .handler = field_text(ch, frame_field_get(fields, count, STR("handler"))),
                .timeout_ms = field_number(fields, count, STR("timeout-ms"), 0),
                .log_bytes_max = field_number(fields, count, STR("log-bytes-max"), AGENT_LOG_MAX),
                .reply_bytes_max = field_number(fields, count, STR("reply-bytes-max"), AGENT_REPLY_MAX),
                .secrets = {ch->secrets.data, ch->secrets.len},
        };
        return ret->function != NULL && ret->handler != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code channel_specialise(struct transport *t, struct specialisation *ret, struct err *err)
{
        struct channel *ch = channel_of(t);

        while (!ch->specialised) {
                enum err_code code = wait_and_receive(ch, true, err);
                if (code != ERR_OK)
                        return code;
        }
        return read_specialisation(ch, ret, err);
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

static enum err_code channel_next(struct transport *t, struct agent_request *ret, struct err *err)
{
        struct channel *ch = channel_of(t);
        struct stream *stream;

        assert(ch->current == NULL);
        while ((stream = take_complete(ch)) == NULL) {
                pthread_mutex_lock(t->lock);
                enum err_code code = flush_credit(ch, err);
                pthread_mutex_unlock(t->lock);
                if (code == ERR_OK)
                        code = wait_and_receive(ch, true, err);
                if (code != ERR_OK)
                        return code;
        }
        pthread_mutex_lock(t->lock);
        ch->current = stream;
        pthread_mutex_unlock(t->lock);
        *ret = (struct agent_request){
                .stream = stream->id,
                .fields = stream->fields,
                .field_count = stream->field_count,
                .body = {stream->body.data, stream->body.len},
                .body_too_large = stream->too_large,
                .secrets = {stream->secrets.data, stream->secrets.len},
        };
        return ERR_OK;
}

static void channel_log(struct transport *t, int stream, struct str text)
{
        struct channel *ch = channel_of(t);
        uint32_t id = ch->current != NULL ? ch->current->id : 0;
        char which = (char)stream;

        if (ch->closed || (ch->current != NULL && ch->current->gone))
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
                        code = wait_and_receive(ch, false, err);
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

        if (receive(ch, NULL) != ERR_OK)
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
