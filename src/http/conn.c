/*
 * http/conn.c: the life of a connection: its states, who moves it through them, and its end.
 */
#include "http/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TO(state) (1u << CONN_##state)

static const struct {
        const char *name;
        uint32_t next; /* bit set of the states reachable in one move */
} states[] = {
        [CONN_HANDSHAKE] = {"handshake", TO(IDLE) | TO(FINISHING) | TO(CLOSED)},
        [CONN_IDLE] = {"idle", TO(HEAD) | TO(FINISHING) | TO(CLOSED)},
        [CONN_HEAD] = {"head", TO(BUSY) | TO(FINISHING) | TO(CLOSED)},
        [CONN_BUSY] = {"busy", TO(FINISHING) | TO(CLOSED)},
        [CONN_FINISHING] = {"finishing", TO(IDLE) | TO(LINGER) | TO(CLOSED)},
        [CONN_LINGER] = {"linger", TO(CLOSED)},
        [CONN_CLOSED] = {"closed", 0},
};

void conn_move(struct http_conn *conn, enum conn_state state)
{
        assert(states[conn->state].next & 1u << state);
        conn->state = state;
}

static void conn_on_ready(void *arg, int events);

struct http_conn *conn_create(struct http_server *server, int fd, bool tls)
{
        struct http_conn *conn = calloc(1, sizeof(*conn));

        if (conn == NULL)
                return NULL;
        conn->poll = loop_poll_create(server->loop, fd, conn_on_ready, conn);
        if (conn->poll == NULL) {
                free(conn);
                return NULL;
        }
        conn->server = server;
        conn->transport.fd = fd;
        conn->state = tls ? CONN_HANDSHAKE : CONN_IDLE;
        conn->fresh = true;
        conn->timer = tls ? CONN_TIMER_HANDSHAKE : CONN_TIMER_HEAD;
        conn->since_ms = loop_now_ms(server->loop);
        http_parser_init(&conn->parser, HTTP_PARSE_REQUEST, server->fields, server->limits.header_count_max,
                         server->limits.header_bytes_max);
        conn_timer_join(conn);
        server->conn_count++;
        server_tick_start(server);
        conn->wanted = LOOP_READABLE;
        loop_poll_want(conn->poll, conn->wanted);
        return conn;
}

void conn_enter(struct http_conn *conn)
{
        conn->depth++;
}

void conn_leave(struct http_conn *conn)
{
        assert(conn->depth > 0);
        if (--conn->depth == 0 && conn->state == CONN_CLOSED)
                free(conn);
}

static void exchange_release(struct http_conn *conn)
{
        buf_finish(&conn->exchange.body);
        conn->exchange = (struct http_exchange){0};
        free(conn->head_memory);
        conn->head_memory = NULL;
        conn->in.floor = 0;
        conn_arena_release(conn);
}

static void conn_poll_end(struct http_conn *conn)
{
        loop_poll_destroy(conn->poll);
        conn->poll = NULL;
}

void conn_close(struct http_conn *conn)
{
        struct http_server *server = conn->server;

        assert(conn->depth > 0);
        if (conn->state == CONN_IDLE && !conn->broken && !conn->blocked && conn->out.len == 0)
                transport_end(&conn->transport); /* an end between messages is a proper one */
        conn_move(conn, CONN_CLOSED);
        conn_timer_leave(conn);
        conn_poll_end(conn);
        transport_finish(&conn->transport);
        close(conn->transport.fd);
        exchange_release(conn);
        out_finish(&conn->out);
        conn->in.pos = conn->in.len;
        conn_input_release(conn);
        server_conn_gone(server);
}

void conn_end(struct http_conn *conn)
{
        struct http_exchange *exchange = &conn->exchange;

        conn_enter(conn);
        if (conn->state == CONN_BUSY && exchange->aborted != NULL)
                exchange->aborted(exchange, exchange->aborted_arg);
        conn_close(conn);
        conn_leave(conn);
}

void conn_lost(struct http_conn *conn)
{
        if (conn->state != CONN_BUSY) {
                conn_close(conn);
                return;
        }
        if (conn->exchange.aborted != NULL) {
                conn->exchange.aborted(&conn->exchange, conn->exchange.aborted_arg);
                conn_close(conn);
                return;
        }
        conn->broken = true;
        conn->blocked = false;
        conn_poll_end(conn);
        out_finish(&conn->out);
        if (body_wanted(conn) || conn->exchange.body_paused)
                body_fail(conn, ERR_CANCELLED);
        else
                conn_timer_choose(conn);
}

void conn_out_result(struct http_conn *conn, enum out_result result)
{
        conn->blocked = result == OUT_BLOCKED;
        if (result == OUT_BROKEN) {
                conn->broken = true;
                out_finish(&conn->out);
        }
}

void conn_refuse(struct http_conn *conn, int status, const char *text)
{
        conn->close_after = conn->linger = conn->body_failed = true;
        reply_refusal(conn, status, text);
        conn_exchange_end(conn);
}

/* The parser's fields are every connection's in turn; those of an exchange must last. */
static bool exchange_keep_fields(struct http_conn *conn)
{
        struct http_fields *fields = &conn->parser.request.fields;
        struct http_field *copy = arena_alloc(&conn->arena, fields->count * sizeof(*copy));

        if (copy == NULL)
                return false;
        if (fields->count > 0)
                memcpy(copy, fields->items, fields->count * sizeof(*copy));
        fields->items = copy;
        return true;
}

static void exchange_begin(struct http_conn *conn)
{
        const struct http_request *request = &conn->parser.request;
        struct http_server *server = conn->server;
        struct str piece;
        size_t used;

        conn_move(conn, CONN_BUSY);
        conn_arena_take(conn);
        conn->exchange = (struct http_exchange){.conn = conn};
        conn->fresh = false;
        conn->close_after = !conn->parser.keep_alive;
        if (request->content_length == 0)
                conn->body_complete = http_parser_next(&conn->parser, STR(""), &used, &piece) == HTTP_END;
        if (!exchange_keep_fields(conn)) {
                conn_refuse(conn, 500, "out of memory");
        } else if (request->content_length > 0 &&
                   (uint64_t)request->content_length > server->limits.body_bytes_max) {
                char text[128];
                snprintf(text, sizeof(text),
                         "the body of the request is over the limit of %llu bytes "
                         "(request-bytes-max, source-bytes-max)",
                         (unsigned long long)server->limits.body_bytes_max);
                conn_refuse(conn, 413, text);
        } else {
                server->handler.on_request(server->handler.ctx, &conn->exchange);
        }
}

static bool step_head(struct http_conn *conn)
{
        struct str in = conn_input(conn), piece;
        size_t used;

        /* Replies that the client does not take hold up its further requests. */
        if (in.len == 0 || conn->blocked || conn->broken)
                return false;
        if (conn->state == CONN_IDLE)
                conn_move(conn, CONN_HEAD);
        switch (http_parser_next(&conn->parser, in, &used, &piece)) {
        case HTTP_HEAD:
                conn_input_use(conn, used);
                conn->in.floor = conn->in.pos;
                exchange_begin(conn);
                return true;
        case HTTP_ERROR:
                conn_refuse(conn, conn->parser.status, conn->parser.reason);
                return true;
        case HTTP_MORE:
        case HTTP_DATA:
        case HTTP_END:
                break;
        }
        return false;
}

void conn_exchange_end(struct http_conn *conn)
{
        bool lost = conn->poll == NULL;

        conn_move(conn, CONN_FINISHING);
        exchange_release(conn);
        conn->thrown = 0;
        if (!conn->body_complete && conn->body_failed)
                conn->close_after = conn->linger = true;
        if (lost)
                conn_close(conn);
        else
                conn_advance(conn);
}

static void message_next(struct http_conn *conn)
{
        http_parser_reset(&conn->parser, false);
        conn->body_complete = conn->body_failed = conn->linger = false;
        conn_move(conn, CONN_IDLE);
        conn_input_release(conn);
        if (conn->server->draining && conn->server->grace == NULL && conn_input(conn).len == 0 &&
            conn->out.len == 0)
                conn_close(conn);
        else
                conn_timer_restart(conn, CONN_TIMER_IDLE);
        server_accept_again(conn->server);
}

static void linger_or_close(struct http_conn *conn)
{
        /* A close with unread input resets the connection, which can destroy the reply (RFC 9112
         * section 9.6). */
        if (!conn->linger && conn_input(conn).len == 0) {
                conn_close(conn);
                return;
        }
        conn_move(conn, CONN_LINGER);
        conn->thrown = 0;
        conn->in.pos = conn->in.len = 0;
        shutdown(conn->transport.fd, SHUT_WR);
}

static bool step_finishing(struct http_conn *conn)
{
        if (conn->out.len > 0 && !conn->blocked && (conn->close_after || conn->out.len > CONN_CORK_MAX))
                conn_out_result(conn, out_flush(&conn->out, &conn->transport));
        if (conn->broken)
                conn_close(conn);
        else if (conn->blocked)
                return false;
        else if (conn->close_after && !transport_ended(&conn->transport))
                conn_out_result(conn, transport_end(&conn->transport));
        else if (conn->close_after)
                linger_or_close(conn);
        else if (!conn->body_complete)
                return body_discard(conn);
        else
                message_next(conn);
        return true;
}

/* True: something happened, and perhaps more can. */
static bool conn_step(struct http_conn *conn)
{
        switch (conn->state) {
        case CONN_IDLE:
        case CONN_HEAD:
                return step_head(conn);
        case CONN_HANDSHAKE:
        case CONN_BUSY:
                return body_pump(conn);
        case CONN_FINISHING:
                return step_finishing(conn);
        case CONN_LINGER:
        case CONN_CLOSED:
                break;
        }
        return false;
}

void conn_settle(struct http_conn *conn)
{
        if (conn->state == CONN_CLOSED || conn->poll == NULL)
                return;
        if (conn->out.len > 0 && !conn->blocked)
                conn_out_result(conn, out_flush(&conn->out, &conn->transport));
        /* READABLE stays set until it turns out to be in vain: most clients send nothing before the reply. */
        int wanted = conn->wanted;
        if (conn_read_wanted(conn) || conn->broken)
                wanted |= LOOP_READABLE;
        wanted = conn->blocked ? wanted | LOOP_WRITABLE : wanted & ~LOOP_WRITABLE;
        conn->wanted = wanted;
        loop_poll_want(conn->poll, wanted);
        conn_timer_choose(conn);
        conn_read_again(conn);
}

void conn_advance(struct http_conn *conn)
{
        if (conn->advancing || conn->state == CONN_CLOSED)
                return; /* the outer call goes on */
        conn_enter(conn);
        conn->advancing = true;
        while (conn_step(conn))
                ;
        conn->advancing = false;
        conn_settle(conn);
        conn_leave(conn);
}

static void conn_on_writable(struct http_conn *conn)
{
        size_t before = conn->out.len + transport_waiting(&conn->transport);

        conn_out_result(conn, out_flush(&conn->out, &conn->transport));
        if (conn->broken) {
                conn_lost(conn);
                return;
        }
        if (conn->timer == CONN_TIMER_WRITE && conn->out.len + transport_waiting(&conn->transport) < before)
                conn_timer_restart(conn, CONN_TIMER_WRITE);
        reply_writable(conn);
        conn_advance(conn);
}

static void conn_on_ready(void *arg, int events)
{
        struct http_conn *conn = arg;

        conn_enter(conn);
        if (conn->broken)
                conn_lost(conn);
        else if (events & LOOP_WRITABLE && conn->blocked)
                conn_on_writable(conn);
        if (events & LOOP_READABLE && conn->state != CONN_CLOSED && !conn->broken) {
                if (conn_read_wanted(conn)) {
                        conn_read(conn);
                } else {
                        conn->wanted &= ~LOOP_READABLE;
                        loop_poll_want(conn->poll, conn->wanted);
                }
        }
        conn_leave(conn);
}

void conn_eof(struct http_conn *conn)
{
        switch (conn->state) {
        case CONN_HANDSHAKE:
                conn_close(conn);
                break;
        case CONN_IDLE:
        case CONN_HEAD:
                if (!conn->blocked) {
                        conn_close(conn);
                        break;
                }
                conn_move(conn, CONN_FINISHING); /* replies are still on their way */
                conn->close_after = true;
                conn->in.pos = conn->in.len;
                break;
        case CONN_FINISHING:
                conn->close_after = true;
                conn->linger = false;
                conn->in.pos = conn->in.len;
                conn_advance(conn);
                break;
        case CONN_BUSY:
                conn_lost(conn);
                break;
        case CONN_LINGER:
                conn_close(conn);
                break;
        case CONN_CLOSED:
                break;
        }
}
