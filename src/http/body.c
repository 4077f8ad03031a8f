/*
 * http/body.c: the body of a request on its way to the handler: collected in place where it came with its
 * head, else in a buffer that the socket is read into directly, or streamed piece by piece; and thrown away
 * where nobody wants it.
 */
#include "http/conn.h"

#include <assert.h>

bool body_wanted(const struct http_conn *conn)
{
        const struct http_exchange *exchange = &conn->exchange;

        return conn->state == CONN_BUSY && !conn->body_complete &&
               (exchange->body_mode == BODY_COLLECT || exchange->body_mode == BODY_STREAM) &&
               !exchange->body_paused;
}

static void body_report(struct http_conn *conn, enum err_code code, struct str bytes, bool last)
{
        struct http_exchange *exchange = &conn->exchange;
        enum body_mode mode = exchange->body_mode;

        if (last || code != ERR_OK)
                exchange->body_mode = BODY_FINISHED;
        if (mode == BODY_COLLECT)
                exchange->collected(exchange, exchange->body_arg, code, bytes);
        else
                exchange->chunk(exchange, exchange->body_arg, code, bytes, last);
}

void body_fail(struct http_conn *conn, enum err_code code)
{
        conn->body_failed = true;
        conn->close_after = conn->linger = true;
        conn->exchange.body_paused = false;
        body_report(conn, code, (struct str){0}, true);
}

/* The rest of a body whose length is known and that does not fit behind its head goes straight to its buffer.
 */
static bool collect_reserve(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;
        int64_t length = conn->parser.request.content_length;

        if (length < 0 || exchange->body.data != NULL)
                return true;
        exchange->body.max = (size_t)length;
        return buf_reserve(&exchange->body, (size_t)length) == ERR_OK;
}

static bool collect_more(struct http_conn *conn)
{
        const struct http_exchange *exchange = &conn->exchange;
        int64_t length = conn->parser.request.content_length;

        if (exchange->body_bytes > 0 || length < 0 || (uint64_t)length <= conn->in.capacity - conn->in.floor)
                return false;
        if (!collect_reserve(conn))
                body_fail(conn, ERR_NO_MEMORY);
        return false;
}

static void collect_add(struct http_conn *conn, struct str piece)
{
        struct http_exchange *exchange = &conn->exchange;
        enum err_code code = ERR_OK;

        if (exchange->body_bytes == 0 && (int64_t)piece.len == conn->parser.request.content_length) {
                /* All of it is in the input buffer, and stays there. */
                exchange->body_bytes = piece.len;
                exchange->body_in_place = piece;
                conn->in.floor = conn->in.pos;
                return;
        }
        if (!collect_reserve(conn))
                code = ERR_NO_MEMORY;
        if (code == ERR_OK)
                code = buf_append(&exchange->body, piece.p, piece.len);
        exchange->body_bytes += piece.len;
        if (code != ERR_OK)
                body_fail(conn, code);
}

static void collect_end(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;
        struct str body = exchange->body_in_place;

        conn->body_complete = true;
        if (body.p == NULL)
                body = (struct str){exchange->body.data, exchange->body.len};
        body_report(conn, ERR_OK, body, true);
}

static void stream_add(struct http_conn *conn, struct str piece)
{
        struct http_exchange *exchange = &conn->exchange;
        int64_t length = conn->parser.request.content_length;
        struct str none;
        size_t used;

        exchange->body_bytes += piece.len;
        if (exchange->body_bytes > conn->server->limits.body_bytes_max) {
                body_fail(conn, ERR_TOO_LARGE);
                return;
        }
        bool last = length >= 0 && exchange->body_bytes == (uint64_t)length;
        if (last)
                conn->body_complete = http_parser_next(&conn->parser, STR(""), &used, &none) == HTTP_END;
        body_report(conn, ERR_OK, piece, last);
}

static void stream_end(struct http_conn *conn)
{
        conn->body_complete = true;
        body_report(conn, ERR_OK, (struct str){0}, true);
}

bool body_pump(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;
        bool collect = exchange->body_mode == BODY_COLLECT;
        struct str piece;
        size_t used;

        if (!body_wanted(conn))
                return false;
        enum http_event event = http_parser_next(&conn->parser, conn_input(conn), &used, &piece);
        conn_input_use(conn, used);
        switch (event) {
        case HTTP_MORE:
                return collect && collect_more(conn);
        case HTTP_DATA:
                if (collect)
                        collect_add(conn, piece);
                else
                        stream_add(conn, piece);
                return true;
        case HTTP_END:
                if (collect)
                        collect_end(conn);
                else
                        stream_end(conn);
                return true;
        case HTTP_ERROR:
                body_fail(conn, ERR_INVALID);
                return true;
        case HTTP_HEAD:
                break;
        }
        return false;
}

bool body_discard(struct http_conn *conn)
{
        struct str piece;
        size_t used;

        switch (http_parser_next(&conn->parser, conn_input(conn), &used, &piece)) {
        case HTTP_DATA:
                conn_input_use(conn, used);
                conn->thrown += piece.len;
                if (conn->thrown > CONN_DISCARD_MAX)
                        conn->close_after = conn->linger = true;
                return true;
        case HTTP_END:
                conn_input_use(conn, used);
                conn->body_complete = true;
                return true;
        case HTTP_ERROR:
                conn->close_after = conn->linger = true;
                return true;
        case HTTP_MORE:
                conn_input_use(conn, used);
                break;
        case HTTP_HEAD:
                break;
        }
        return false;
}

struct iovec body_direct_room(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;
        int64_t length = conn->parser.request.content_length;

        if (!body_wanted(conn) || exchange->body_mode != BODY_COLLECT || length < 0 ||
            exchange->body.data == NULL || conn_input(conn).len > 0)
                return (struct iovec){0};
        return (struct iovec){exchange->body.data + exchange->body.len, (size_t)length - exchange->body.len};
}

void body_direct_commit(struct http_conn *conn, size_t len)
{
        struct buf *body = &conn->exchange.body;
        struct str piece;
        size_t used;

        enum http_event event =
                http_parser_next(&conn->parser, (struct str){body->data + body->len, len}, &used, &piece);
        assert(event == HTTP_DATA && used == len);
        (void)event;
        body->len += len;
        conn->exchange.body_bytes += len;
}

/* What both ways of reading begin with. */
static void body_begin(struct http_exchange *exchange, enum body_mode mode)
{
        struct http_conn *conn = exchange->conn;

        assert(conn->state == CONN_BUSY && exchange->body_mode == BODY_UNREAD);
        exchange->body_mode = mode;
        if (conn->body_complete) {
                body_report(conn, ERR_OK, STR(""), true);
        } else if (conn->broken || conn->body_failed) {
                body_fail(conn, ERR_CANCELLED);
        } else if (mode == BODY_COLLECT && conn->parser.request.content_length > 0 &&
                   (uint64_t)conn->parser.request.content_length > exchange->body.max) {
                body_fail(conn, ERR_TOO_LARGE);
        } else {
                if (conn->parser.expect_continue && conn_input(conn).len == 0)
                        reply_continue(conn);
                conn->parser.expect_continue = false;
                conn_advance(conn);
        }
}

void http_collect(struct http_exchange *exchange, uint64_t bytes_max,
                  void (*done)(struct http_exchange *exchange, void *arg, enum err_code code,
                               struct str body),
                  void *arg)
{
        struct http_conn *conn = exchange->conn;
        uint64_t limit = conn->server->limits.body_bytes_max;

        conn_enter(conn);
        exchange->collected = done;
        exchange->body_arg = arg;
        buf_init(&exchange->body, (size_t)(bytes_max < limit ? bytes_max : limit));
        body_begin(exchange, BODY_COLLECT);
        conn_leave(conn);
}

void http_read(struct http_exchange *exchange,
               void (*chunk)(struct http_exchange *exchange, void *arg, enum err_code code, struct str bytes,
                             bool last),
               void *arg)
{
        struct http_conn *conn = exchange->conn;

        conn_enter(conn);
        exchange->chunk = chunk;
        exchange->body_arg = arg;
        body_begin(exchange, BODY_STREAM);
        conn_leave(conn);
}

void http_read_pause(struct http_exchange *exchange)
{
        exchange->body_paused = exchange->body_mode == BODY_STREAM;
}

void http_read_resume(struct http_exchange *exchange)
{
        struct http_conn *conn = exchange->conn;

        if (!exchange->body_paused)
                return;
        conn_enter(conn);
        exchange->body_paused = false;
        conn_advance(conn);
        conn_leave(conn);
}
