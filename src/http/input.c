/*
 * http/input.c: reading a connection's socket. A head and what comes with it share one buffer and are parsed
 * in place; a longer body gets a window of its own, or is read to where it is collected.
 */
#include "http/conn.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct str conn_input(const struct http_conn *conn)
{
        const struct conn_input *in = &conn->in;

        return in->pos < in->len ? (struct str){in->data + in->pos, in->len - in->pos} : STR("");
}

void conn_input_use(struct http_conn *conn, size_t used)
{
        conn->in.pos += used;
}

static bool input_take(struct http_conn *conn)
{
        struct http_server *server = conn->server;
        char *data = server->spare_input_count > 0 ? server->spare_inputs[--server->spare_input_count]
                                                   : malloc(CONN_INPUT_FIRST);

        if (data == NULL)
                return false;
        conn->in = (struct conn_input){.data = data, .capacity = CONN_INPUT_FIRST};
        return true;
}

void conn_input_release(struct http_conn *conn)
{
        struct http_server *server = conn->server;
        struct conn_input *in = &conn->in;

        if (in->pos < in->len || in->data == NULL)
                return;
        if (in->capacity == CONN_INPUT_FIRST && server->spare_input_count < CONN_SPARES_MAX)
                server->spare_inputs[server->spare_input_count++] = in->data;
        else
                free(in->data);
        *in = (struct conn_input){0};
}

void conn_arena_take(struct http_conn *conn)
{
        struct http_server *server = conn->server;

        if (server->spare_arena_count > 0)
                conn->arena = server->spare_arenas[--server->spare_arena_count];
        else
                arena_init(&conn->arena, CONN_ARENA_BYTES_MAX);
}

void conn_arena_release(struct http_conn *conn)
{
        struct http_server *server = conn->server;

        arena_reset(&conn->arena);
        if (conn->arena.blocks != NULL && server->spare_arena_count < CONN_SPARES_MAX)
                server->spare_arenas[server->spare_arena_count++] = conn->arena;
        else
                arena_finish(&conn->arena);
        conn->arena = (struct arena){0};
}

void server_spares_free(struct http_server *server)
{
        while (server->spare_input_count > 0)
                free(server->spare_inputs[--server->spare_input_count]);
        while (server->spare_arena_count > 0)
                arena_finish(&server->spare_arenas[--server->spare_arena_count]);
}

/* Moves what was not parsed down to the floor. */
static void input_compact(struct conn_input *in)
{
        if (in->pos == in->floor)
                return;
        if (in->pos < in->len)
                memmove(in->data + in->floor, in->data + in->pos, in->len - in->pos);
        in->len -= in->pos - in->floor;
        in->pos = in->floor;
}

static bool input_grow(struct conn_input *in, size_t capacity)
{
        char *data = realloc(in->data, capacity);

        if (data == NULL)
                return false;
        in->data = data;
        in->capacity = capacity;
        return true;
}

/* The head stays where it is, since views point into it. */
static bool input_window(struct http_conn *conn)
{
        struct conn_input *in = &conn->in;
        char *data = malloc(CONN_INPUT_BODY);

        if (data == NULL)
                return false;
        conn->head_memory = in->data;
        *in = (struct conn_input){.data = data, .capacity = CONN_INPUT_BODY};
        return true;
}

/* False: no memory. */
static bool input_make_room(struct http_conn *conn)
{
        struct conn_input *in = &conn->in;
        size_t head_max = conn->server->limits.header_bytes_max;

        if (in->data == NULL)
                return input_take(conn);
        input_compact(in);
        if (conn->state == CONN_IDLE || conn->state == CONN_HEAD) {
                if (in->len < in->capacity || in->capacity >= head_max)
                        return true;
                return input_grow(in, in->capacity * 2 < head_max ? in->capacity * 2 : head_max);
        }
        if (body_wanted(conn) && in->floor > 0 && in->pos == in->len &&
            in->capacity - in->len < CONN_INPUT_ROOM_MIN)
                return input_window(conn);
        return true;
}

bool conn_read_wanted(const struct http_conn *conn)
{
        const struct conn_input *in = &conn->in;

        switch (conn->state) {
        case CONN_HANDSHAKE:
        case CONN_IDLE:
        case CONN_HEAD:
                return !conn->blocked;
        case CONN_BUSY:
                /* Reading ahead, as far as there is room, shows when the client goes away. */
                return body_wanted(conn) || in->len - in->pos < in->capacity - in->floor;
        case CONN_FINISHING:
                return !conn->close_after && !conn->body_complete;
        case CONN_LINGER:
                return true;
        case CONN_CLOSED:
                break;
        }
        return false;
}

static void input_commit(struct http_conn *conn, size_t len, bool direct)
{
        if (conn->timer == CONN_TIMER_BODY)
                conn->progress += len;
        if (direct)
                body_direct_commit(conn, len);
        else
                conn->in.len += len;
        if (conn->state != CONN_LINGER)
                return;
        conn->in.pos = conn->in.len = 0;
        conn->thrown += len;
        if (conn->thrown > CONN_LINGER_MAX)
                conn_close(conn);
}

static enum in_result input_receive(struct http_conn *conn, const struct iovec *room, size_t *ret)
{
        /* What is thrown away need not be decrypted. */
        struct transport raw = {.fd = conn->transport.fd};
        bool thrown = conn->state == CONN_LINGER;
        enum in_result result =
                transport_read(thrown ? &raw : &conn->transport, room->iov_base, room->iov_len, ret);

        /* TLS answers by itself, also to what it cannot take. */
        if (!thrown && !conn->blocked && transport_waiting(&conn->transport) > 0)
                conn_out_result(conn, transport_flush(&conn->transport));
        return conn->broken ? IN_BROKEN : result;
}

/* True if there may be more to read at once. */
static bool input_read_once(struct http_conn *conn)
{
        struct iovec room = body_direct_room(conn);
        bool direct = room.iov_len > 0;
        size_t n;

        if (!direct) {
                if (!input_make_room(conn)) {
                        conn_lost(conn);
                        return false;
                }
                room = (struct iovec){conn->in.data + conn->in.len, conn->in.capacity - conn->in.len};
        }
        if (room.iov_len == 0)
                return false;
        switch (input_receive(conn, &room, &n)) {
        case IN_DONE:
                break;
        case IN_WAIT:
                return false;
        case IN_END:
                conn_eof(conn);
                return false;
        case IN_BROKEN:
                conn_lost(conn);
                return false;
        }
        input_commit(conn, n, direct);
        conn_advance(conn);
        return n == room.iov_len || transport_has_more(&conn->transport);
}

void conn_read(struct http_conn *conn)
{
        conn->reading = true;
        if (conn->state == CONN_HANDSHAKE)
                conn_handshake(conn);
        for (int i = 0; i < CONN_READS_MAX; i++) {
                if (conn->state == CONN_HANDSHAKE || conn->state == CONN_CLOSED || conn->broken ||
                    !conn_read_wanted(conn) || !input_read_once(conn))
                        break;
        }
        conn->reading = false;
        conn_read_again(conn);
}

static void again_run(struct loop_task *task)
{
        struct http_conn *conn =
                (struct http_conn *)(void *)((char *)task - offsetof(struct http_conn, again));

        conn->again_posted = false;
        if (conn->state != CONN_CLOSED && conn->poll != NULL && !conn->broken && conn_read_wanted(conn))
                conn_read(conn);
        conn_leave(conn);
}

void conn_read_again(struct http_conn *conn)
{
        if (conn->state == CONN_CLOSED || conn->reading || conn->again_posted || conn->poll == NULL ||
            !transport_has_more(&conn->transport) || !conn_read_wanted(conn))
                return;
        conn->again_posted = true;
        conn_enter(conn); /* the task holds the struct */
        conn->again.run = again_run;
        loop_post(conn->server->loop, &conn->again);
}
