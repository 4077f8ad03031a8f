/*
 * runtimes/http/exchange.c: one request and its reply over the service's connection.
 *
 * What answers is the tenant's, and so is this process; the bounds here keep its memory small and its words
 * clear. What the server believes of a reply, it checks itself.
 */
#include "runtimes/http/service.h"

#include "base/clock.h"
#include "base/own.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>

enum { PIECE = 65536, IN_MAX = ANSWER_HEAD_MAX + 2 * PIECE, REQUEST_HEAD_MAX = 1 << 20, END_MS = 250 };

struct exchange {
        struct service *service;
        const struct ask *ask;
        struct answer *answer;
        struct http_parser parser;
        struct buf head, in;
        size_t sent; /* of head and body together */
        bool seen;   /* a byte of the reply has come */
        bool ended, has_head, done;
        unsigned interim;
};

void answer_init(struct answer *answer)
{
        answer->status = 0;
        answer->field_count = 0;
        buf_init(&answer->head, ANSWER_HEAD_MAX);
        buf_init(&answer->body, SIZE_MAX / 4); /* reply_bytes_max bounds it */
}

void answer_finish(struct answer *answer)
{
        buf_finish(&answer->head);
        buf_finish(&answer->body);
}

static bool method_is(const struct ask *ask, struct str method)
{
        return str_eq(ask->method, method);
}

static bool has_length(const struct ask *ask)
{
        return ask->body.len > 0 || method_is(ask, STR("POST")) || method_is(ask, STR("PUT")) ||
               method_is(ask, STR("PATCH"));
}

/* RFC 9110, section 9.2.2. */
static bool is_idempotent(const struct ask *ask)
{
        return method_is(ask, STR("GET")) || method_is(ask, STR("HEAD")) || method_is(ask, STR("PUT")) ||
               method_is(ask, STR("DELETE")) || method_is(ask, STR("OPTIONS"));
}

static enum err_code put_field(struct buf *out, struct str name, struct str value)
{
        enum err_code code = buf_append(out, name.p, name.len);

        if (code == ERR_OK)
                code = buf_append(out, ": ", 2);
        if (code == ERR_OK)
                code = buf_append(out, value.p, value.len);
        return code == ERR_OK ? buf_append(out, "\r\n", 2) : code;
}

static enum err_code put_head(struct exchange *x)
{
        const struct ask *ask = x->ask;
        struct buf *out = &x->head;
        enum err_code code =
                buf_printf(out, "%.*s %.*s HTTP/1.1\r\n", STR_ARG(ask->method), STR_ARG(ask->target));

        if (code == ERR_OK)
                code = put_field(out, STR("Host"), ask->host);
        for (size_t i = 0; i < ask->field_count && code == ERR_OK; i++)
                code = put_field(out, ask->fields[i].name, ask->fields[i].value);
        if (code == ERR_OK && has_length(ask))
                code = buf_printf(out, "Content-Length: %zu\r\n", ask->body.len);
        return code == ERR_OK ? buf_append(out, "\r\n", 2) : code;
}

static bool all_sent(const struct exchange *x)
{
        return x->sent == x->head.len + x->ask->body.len;
}

/* What the socket takes now. A side that reads no more may have answered already: then that counts. */
static void send_some(struct exchange *x)
{
        while (!all_sent(x)) {
                size_t in_head = x->sent < x->head.len ? x->head.len - x->sent : 0;
                struct str rest = in_head > 0
                                          ? (struct str){x->head.data + x->sent, in_head}
                                          : str_slice(x->ask->body, x->sent - x->head.len, x->ask->body.len);
                ssize_t n = send(x->service->fd, rest.p, rest.len,
                                 MSG_NOSIGNAL | MSG_DONTWAIT |
                                         (in_head > 0 && x->ask->body.len > 0 ? MSG_MORE : 0));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        x->sent = x->head.len + x->ask->body.len;
                        return;
                }
                x->sent += (size_t)n;
        }
}

/* Copies the head out of the way of the body; the fields point into the copy. */
static enum err_code keep_head(struct exchange *x, struct str head, struct err *err)
{
        const struct http_response *response = &x->parser.response;
        struct answer *answer = x->answer;

        buf_clear(&answer->head);
        if (buf_append(&answer->head, head.p, head.len) != ERR_OK)
                return err_nomem(err);
        answer->status = response->status;
        answer->field_count = response->fields.count;
        for (size_t i = 0; i < answer->field_count; i++) {
                struct http_field *field = &answer->fields[i];
                field->name.p = answer->head.data + (field->name.p - head.p);
                field->value.p = answer->head.data + (field->value.p - head.p);
        }
        return ERR_OK;
}

static enum err_code too_large(const struct exchange *x, struct err *err)
{
        return err_set(err, ERR_TOO_LARGE, "the reply is larger than reply-bytes-max, %" PRIu64 " bytes",
                       x->service->reply_bytes_max);
}

static enum err_code take_head(struct exchange *x, struct str head, struct err *err)
{
        const struct http_response *response = &x->parser.response;

        if (response->status == 101)
                return err_set(err, ERR_BAD_REPLY, "it switched protocols, which nobody asked for");
        if (response->status < 200 && ++x->interim > ANSWER_INTERIM_MAX)
                return err_set(err, ERR_BAD_REPLY, "more than %d interim replies", ANSWER_INTERIM_MAX);
        if (response->status < 200)
                return ERR_OK;
        if (response->status > 599)
                return err_set(err, ERR_BAD_REPLY, "it has the status %d, which HTTP has not",
                               response->status);
        x->has_head = true;
        if (!method_is(x->ask, STR("HEAD")) && response->content_length > 0 && response->status != 304 &&
            (uint64_t)response->content_length > x->service->reply_bytes_max)
                return too_large(x, err);
        return keep_head(x, head, err);
}

/* One event of the parser. */
static enum err_code take_event(struct exchange *x, enum http_event event, struct str bytes, struct str piece,
                                struct err *err)
{
        switch (event) {
        case HTTP_HEAD:
                return take_head(x, bytes, err);
        case HTTP_DATA:
                if (piece.len > x->service->reply_bytes_max - x->answer->body.len)
                        return too_large(x, err);
                return buf_append(&x->answer->body, piece.p, piece.len) == ERR_OK ? ERR_OK : err_nomem(err);
        case HTTP_END:
                if (x->has_head)
                        x->done = true;
                else
                        http_parser_reset(&x->parser, method_is(x->ask, STR("HEAD")));
                return ERR_OK;
        case HTTP_ERROR:
                return err_set(err, ERR_BAD_REPLY, "%s", x->parser.reason);
        case HTTP_MORE:
                break;
        }
        return ERR_OK;
}

static enum err_code parse(struct exchange *x, struct err *err)
{
        size_t at = 0;
        enum err_code code = ERR_OK;

        while (code == ERR_OK && !x->done) {
                struct str piece = {NULL, 0};
                size_t used = 0;
                struct str rest = {x->in.data + at, x->in.len - at};
                enum http_event event = http_parser_next(&x->parser, rest, &used, &piece);
                if (event == HTTP_MORE) {
                        at += used;
                        break;
                }
                code = take_event(x, event, str_slice(rest, 0, used), piece, err);
                at += used;
        }
        buf_consume(&x->in, at);
        return code;
}

static enum err_code at_end(struct exchange *x, struct err *err)
{
        if (http_parser_eof(&x->parser)) {
                x->done = true;
                return ERR_OK;
        }
        if (!x->seen)
                return err_set(err, ERR_BAD_REPLY, "it closed the connection without a reply");
        return err_set(err, ERR_BAD_REPLY, "it closed the connection within %s",
                       x->has_head ? "the reply's body" : "the reply's head");
}

static enum err_code receive_some(struct exchange *x, struct err *err)
{
        if (buf_reserve(&x->in, PIECE) != ERR_OK)
                return err_nomem(err);
        ssize_t n = recv(x->service->fd, x->in.data + x->in.len, PIECE, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return ERR_OK;
        x->ended = n <= 0;
        if (x->ended)
                return at_end(x, err);
        x->seen = true;
        x->in.len += (size_t)n;
        return parse(x, err);
}

static enum err_code run(struct exchange *x, struct err *err)
{
        enum err_code code = ERR_OK;

        http_parser_init(&x->parser, HTTP_PARSE_RESPONSE, x->answer->fields, ANSWER_FIELDS_MAX,
                         ANSWER_HEAD_MAX);
        http_parser_reset(&x->parser, method_is(x->ask, STR("HEAD")));
        send_some(x);
        while (code == ERR_OK && !x->done) {
                short events = 0, wanted = (short)(POLLIN | (all_sent(x) ? 0 : POLLOUT));
                code = service_wait(x->service, x->service->fd, wanted, -1, &events, err);
                if (code != ERR_OK)
                        break;
                if ((events & POLLOUT) != 0)
                        send_some(x);
                if ((events & (POLLIN | POLLHUP | POLLERR)) != 0)
                        code = receive_some(x, err);
        }
        return code;
}

/* The connection can carry the next exchange: all was sent, all was read, and nothing more came. */
static bool can_be_kept(const struct exchange *x)
{
        bool odd = x->answer->status == 204 && x->parser.response.content_length > 0;

        return x->done && !x->ended && all_sent(x) && x->in.len == 0 && x->parser.keep_alive && !odd;
}

/* It hung up: perhaps because it has ended, of which the news may come a little later. */
static enum err_code hung_up(struct service *service, enum err_code code, struct err *err)
{
        uint64_t until = clock_mono_ms() + END_MS;
        struct err other;
        short events;

        for (uint64_t now = clock_mono_ms(); now < until; now = clock_mono_ms()) {
                enum err_code meanwhile = service_wait(service, -1, 0, (int)(until - now), &events, &other);
                if (meanwhile == ERR_OK)
                        continue;
                *err = other;
                return meanwhile;
        }
        return code;
}

static enum err_code once(struct service *service, const struct ask *ask, struct answer *ret, bool *ret_ended,
                          bool *ret_unseen, struct err *err)
{
        struct exchange x = {.service = service, .ask = ask, .answer = ret};
        enum err_code code = service_connect(service, err);

        if (code != ERR_OK)
                return code;
        buf_init(&x.head, REQUEST_HEAD_MAX);
        buf_init(&x.in, IN_MAX);
        bool again = service->used;
        service->used = true;
        code = put_head(&x) == ERR_OK ? run(&x, err) : err_nomem(err);
        if (code == ERR_OK && can_be_kept(&x))
                service->idle_since_ms = clock_mono_ms();
        else
                service_disconnect(service);
        *ret_ended = x.ended;
        *ret_unseen = again && !x.seen && x.ended;
        buf_finish(&x.head);
        buf_finish(&x.in);
        return code;
}

enum err_code service_exchange(struct service *service, const struct ask *ask, struct answer *ret,
                               struct err *err)
{
        bool ended = false, unseen = false;
        enum err_code code = once(service, ask, ret, &ended, &unseen, err);

        /* A kept connection may be closed just when it is used again. */
        if (code == ERR_BAD_REPLY && unseen && is_idempotent(ask))
                code = once(service, ask, ret, &ended, &unseen, err);
        if (code == ERR_NOT_FOUND) {
                code = err_set(err, ERR_BAD_REPLY, "nothing listens on port %u any more",
                               service->command.port);
                ended = true;
        }
        return code == ERR_BAD_REPLY && ended ? hung_up(service, code, err) : code;
}
