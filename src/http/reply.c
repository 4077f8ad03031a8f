/*
 * http/reply.c: replies. The head is made in one buffer of the server and leaves with the body in one
 * sendmsg; only what the socket does not take is queued. While a connection is being advanced, what a handler
 * writes in pieces, and the replies to pipelined requests, are gathered and leave together.
 */
#include "http/conn.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

enum { NUMBER_LEN_MAX = 20, HEAD_FIXED_MAX = 256 };

static char *put(char *to, struct str text)
{
        if (text.len > 0)
                memcpy(to, text.p, text.len);
        return to + text.len;
}

static char *put_number(char *to, uint64_t number, unsigned base)
{
        char digits[NUMBER_LEN_MAX];
        size_t at = sizeof(digits);

        do {
                digits[--at] = "0123456789abcdef"[number % base];
                number /= base;
        } while (number > 0);
        return put(to, (struct str){digits + at, sizeof(digits) - at});
}

/* Fields that say how the message is framed are the server's business. */
static bool field_is_ours(struct str name)
{
        switch (name.len) {
        case 4:
                return str_eq_nocase(name, STR("Date"));
        case 10:
                return str_eq_nocase(name, STR("Connection")) || str_eq_nocase(name, STR("Keep-Alive"));
        case 14:
                return str_eq_nocase(name, STR("Content-Length"));
        case 17:
                return str_eq_nocase(name, STR("Transfer-Encoding"));
        default:
                return false;
        }
}

static size_t fields_len(struct http_fields fields)
{
        size_t len = 0;

        for (size_t i = 0; i < fields.count; i++)
                len += fields.items[i].name.len + fields.items[i].value.len + 4;
        return len;
}

static char *put_fields(char *to, struct http_fields fields)
{
        for (size_t i = 0; i < fields.count; i++) {
                const struct http_field *field = &fields.items[i];
                assert(http_token_valid(field->name) && http_value_valid(field->value));
                if (field_is_ours(field->name))
                        continue;
                to = put(to, field->name);
                to = put(to, STR(": "));
                to = put(to, field->value);
                to = put(to, STR("\r\n"));
        }
        return to;
}

static char *put_framing(char *to, const struct http_conn *conn, enum reply_mode mode, int64_t content_length)
{
        if (mode == REPLY_CHUNKED)
                to = put(to, STR("Transfer-Encoding: chunked\r\n"));
        if (content_length >= 0) {
                to = put(to, STR("Content-Length: "));
                to = put_number(to, (uint64_t)content_length, 10);
                to = put(to, STR("\r\n"));
        }
        if (conn->close_after)
                to = put(to, STR("Connection: close\r\n"));
        else if (conn->parser.request.minor == 0)
                to = put(to, STR("Connection: keep-alive\r\n"));
        return to;
}

/* Into server->head; content_length < 0 leaves it out. False: no memory, or too long. */
static bool head_make(struct http_conn *conn, int status, struct http_fields fields, enum reply_mode mode,
                      int64_t content_length)
{
        struct http_server *server = conn->server;
        struct str reason = str_of(http_reason(status));

        assert(status >= 200 && status <= 999);
        buf_clear(&server->head);
        if (buf_reserve(&server->head, HEAD_FIXED_MAX + fields_len(fields)) != ERR_OK)
                return false;
        char *to = server->head.data;
        to = put(to, STR("HTTP/1.1 "));
        to = put_number(to, (uint64_t)status, 10);
        to = put(to, STR(" "));
        to = put(to, reason);
        to = put(to, STR("\r\n"));
        to = put(to, server_date(server));
        to = put_fields(to, fields);
        to = put_framing(to, conn, mode, content_length);
        to = put(to, STR("\r\n"));
        server->head.len = (size_t)(to - server->head.data);
        assert(server->head.len <= server->head.capacity);
        return true;
}

/* Before the head says so: what was not read of the body must be certain to come, and worth reading if the
 * reply is the end of it. */
static void close_decide(struct http_conn *conn, bool whole)
{
        bool unread = !conn->body_complete && conn->exchange.body_mode == BODY_UNREAD;
        bool large = conn->parser.request.content_length > CONN_DISCARD_MAX;

        if (unread && (conn->parser.expect_continue || (whole && large)))
                conn->body_failed = true;
        if (conn->body_failed)
                conn->linger = true;
        if (conn->body_failed || conn->server->draining)
                conn->close_after = true;
}

static bool status_has_no_body(int status)
{
        return status == 204 || status == 304;
}

static bool corked(const struct http_conn *conn)
{
        return conn->out.len > 0 || (conn->advancing && conn_input(conn).len > 0 && conn->body_complete);
}

/* Queues what is left of head and body after `sent` bytes; a *take is taken over. */
static enum out_result queue_rest(struct http_conn *conn, struct str body, struct buf *take, size_t sent)
{
        const struct buf *head = &conn->server->head;
        size_t head_sent = sent < head->len ? sent : head->len, body_sent = sent - head_sent;

        if (!out_copy(&conn->out, head->data + head_sent, head->len - head_sent))
                return OUT_BROKEN;
        if (body_sent == body.len)
                return OUT_BLOCKED;
        bool queued = take != NULL && body.len > CONN_INPUT_ROOM_MIN
                              ? out_take(&conn->out, take, body_sent)
                              : out_copy(&conn->out, body.p + body_sent, body.len - body_sent);
        return queued ? OUT_BLOCKED : OUT_BROKEN;
}

static void send_whole(struct http_conn *conn, struct str body, struct buf *take)
{
        struct iovec iov[] = {{conn->server->head.data, conn->server->head.len}, {(void *)body.p, body.len}};
        enum out_result result = OUT_BLOCKED;
        bool direct = !corked(conn);
        size_t sent = 0;

        if (direct)
                result = transport_send(&conn->transport, iov, body.len > 0 ? 2 : 1, &sent);
        if (result == OUT_BLOCKED)
                result = queue_rest(conn, body, take, sent);
        if (direct || result == OUT_BROKEN)
                conn_out_result(conn, result);
}

static void reply_send(struct http_conn *conn, int status, struct http_fields fields, struct str body,
                       struct buf *take, bool to_head)
{
        bool none = status_has_no_body(status);

        if (conn->broken)
                return;
        if (!head_make(conn, status, fields, REPLY_LENGTH, none ? -1 : (int64_t)body.len)) {
                conn_out_result(conn, OUT_BROKEN);
                return;
        }
        send_whole(conn, none || to_head ? STR("") : body, none || to_head ? NULL : take);
}

static bool to_head_request(const struct http_conn *conn)
{
        return str_eq(conn->parser.request.method, STR("HEAD"));
}

static void reply_whole(struct http_exchange *exchange, int status, struct http_fields fields,
                        struct str body, struct buf *take)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY && exchange->reply_mode == REPLY_NONE);
        conn_enter(conn);
        close_decide(conn, true);
        reply_send(conn, status, fields, body, take, to_head_request(conn));
        conn_exchange_end(conn);
        conn_leave(conn);
}

void http_reply(struct http_exchange *exchange, int status, struct http_fields fields, struct str body)
{
        reply_whole(exchange, status, fields, body, NULL);
}

void http_reply_buf(struct http_exchange *exchange, int status, struct http_fields fields, struct buf *body)
{
        own_buf struct buf taken = *body;

        *body = (struct buf){.max = body->max};
        reply_whole(exchange, status, fields, (struct str){taken.data, taken.len}, &taken);
}

void reply_refusal(struct http_conn *conn, int status, const char *text)
{
        static const struct http_field json = {STR_INIT("Content-Type"), STR_INIT("application/json")};
        struct http_handler *handler = &conn->server->handler;
        own_buf struct buf body;

        buf_init(&body, 65536);
        if (handler->on_refusal != NULL)
                handler->on_refusal(handler->ctx, status, text, &body);
        else if (buf_printf(&body, "{\"code\":%d,\"message\":\"%s\"}\n", status, text) != ERR_OK)
                buf_clear(&body);
        reply_send(conn, status, (struct http_fields){&json, 1}, (struct str){body.data, body.len}, NULL,
                   false);
}

void reply_continue(struct http_conn *conn)
{
        struct iovec iov = {(void *)"HTTP/1.1 100 Continue\r\n\r\n", 25};

        conn_out_result(conn, out_write(&conn->out, &conn->transport, &iov, 1));
}

static enum reply_mode reply_mode_of(const struct http_conn *conn, int status, int64_t content_length)
{
        if (status_has_no_body(status) || to_head_request(conn))
                return REPLY_NO_BODY;
        if (content_length >= 0)
                return REPLY_LENGTH;
        return conn->parser.request.minor == 0 ? REPLY_UNTIL_CLOSE : REPLY_CHUNKED;
}

/* Pieces written while the connection is being advanced wait for its end, when they are not large. */
static void send_piece(struct http_conn *conn, struct iovec *iov, int count, size_t len)
{
        enum out_result result = OUT_DONE;

        if (conn->advancing && len < CONN_INPUT_FIRST) {
                for (int i = 0; i < count && result == OUT_DONE; i++) {
                        if (!out_copy(&conn->out, iov[i].iov_base, iov[i].iov_len))
                                result = OUT_BROKEN;
                }
                if (result == OUT_BROKEN)
                        conn_out_result(conn, result);
                return;
        }
        if (conn->out.len > 0 && !conn->blocked)
                conn_out_result(conn, out_flush(&conn->out, &conn->transport));
        if (!conn->broken)
                conn_out_result(conn, out_write(&conn->out, &conn->transport, iov, count));
}

void http_reply_start(struct http_exchange *exchange, int status, struct http_fields fields,
                      int64_t content_length, void (*writable)(struct http_exchange *exchange, void *arg),
                      void *arg)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY && exchange->reply_mode == REPLY_NONE);
        exchange->writable = writable;
        exchange->writable_arg = arg;
        exchange->reply_mode = reply_mode_of(conn, status, content_length);
        exchange->reply_left = content_length >= 0 ? (uint64_t)content_length : 0;
        if (conn->broken)
                return;
        close_decide(conn, false);
        if (exchange->reply_mode == REPLY_UNTIL_CLOSE)
                conn->close_after = true;
        if (!head_make(conn, status, fields, exchange->reply_mode,
                       status_has_no_body(status) ? -1 : content_length)) {
                conn_out_result(conn, OUT_BROKEN);
        } else {
                struct iovec iov = {conn->server->head.data, conn->server->head.len};
                send_piece(conn, &iov, 1, iov.iov_len);
        }
        if (!conn->advancing)
                conn_settle(conn);
}

static void write_chunk(struct http_conn *conn, struct str bytes)
{
        char size[NUMBER_LEN_MAX + 2];
        char *end = put(put_number(size, bytes.len, 16), STR("\r\n"));
        struct iovec iov[] = {
                {size, (size_t)(end - size)}, {(void *)bytes.p, bytes.len}, {(void *)"\r\n", 2}};

        send_piece(conn, iov, 3, bytes.len);
}

static void write_plain(struct http_conn *conn, struct str bytes)
{
        struct iovec iov = {(void *)bytes.p, bytes.len};

        send_piece(conn, &iov, 1, bytes.len);
}

bool http_reply_write(struct http_exchange *exchange, struct str bytes)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY && exchange->reply_mode != REPLY_NONE);
        if (exchange->reply_mode == REPLY_LENGTH) {
                assert(bytes.len <= exchange->reply_left);
                exchange->reply_left -= bytes.len;
        }
        if (conn->broken || bytes.len == 0 || exchange->reply_mode == REPLY_NO_BODY)
                return true;
        if (conn->out.len + bytes.len > CONN_QUEUE_MAX && conn->blocked)
                conn_out_result(conn, OUT_BROKEN);
        else if (exchange->reply_mode == REPLY_CHUNKED)
                write_chunk(conn, bytes);
        else
                write_plain(conn, bytes);
        if (!conn->advancing)
                conn_settle(conn);
        exchange->reply_waits = conn->out.len > CONN_QUEUE_HIGH;
        return !exchange->reply_waits;
}

void http_reply_end(struct http_exchange *exchange)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY && exchange->reply_mode != REPLY_NONE);
        conn_enter(conn);
        if (exchange->reply_mode == REPLY_CHUNKED && !conn->broken) {
                struct iovec iov = {(void *)"0\r\n\r\n", 5};
                send_piece(conn, &iov, 1, 5);
        }
        /* A reply shorter than it said can only be told by closing. */
        if (exchange->reply_mode == REPLY_LENGTH && exchange->reply_left > 0)
                conn->close_after = true;
        conn_exchange_end(conn);
        conn_leave(conn);
}

void reply_writable(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;

        if (conn->state != CONN_BUSY || !exchange->reply_waits || conn->out.len > CONN_QUEUE_LOW)
                return;
        exchange->reply_waits = false;
        if (exchange->writable != NULL)
                exchange->writable(exchange, exchange->writable_arg);
}

void http_abort(struct http_exchange *exchange)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY);
        if (exchange->reply_mode == REPLY_UNTIL_CLOSE) {
                /* Only a reset differs from the proper end of such a reply. */
                struct linger reset = {.l_onoff = 1};
                setsockopt(conn->transport.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        conn_enter(conn);
        conn_close(conn);
        conn_leave(conn);
}
