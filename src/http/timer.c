/*
 * http/timer.c: time limits of connections without a timer of the loop each. A connection waits for one kind
 * of thing at a time and stands in the list of that kind. All of a list have the same limit and join at its
 * end, so the oldest are first, and a sweep looks only at what is due.
 */
#include "http/conn.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void list_remove(struct conn_list *list, struct http_conn *conn)
{
        if (conn->previous != NULL)
                conn->previous->next = conn->next;
        else
                list->first = conn->next;
        if (conn->next != NULL)
                conn->next->previous = conn->previous;
        else
                list->last = conn->previous;
        conn->previous = conn->next = NULL;
}

static void list_append(struct conn_list *list, struct http_conn *conn)
{
        conn->previous = list->last;
        conn->next = NULL;
        if (list->last != NULL)
                list->last->next = conn;
        else
                list->first = conn;
        list->last = conn;
}

/* What the kernel holds and the client has not taken; it shrinks long before the socket is writable again. */
static uint64_t unsent_bytes(const struct http_conn *conn)
{
        int queued = 0;

        return ioctl(conn->transport.fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (uint64_t)queued : 0;
}

void conn_timer_join(struct http_conn *conn)
{
        list_append(&conn->server->conns[conn->timer], conn);
}

void conn_timer_leave(struct http_conn *conn)
{
        list_remove(&conn->server->conns[conn->timer], conn);
}

void conn_timer_restart(struct http_conn *conn, enum conn_timer timer)
{
        conn_timer_leave(conn);
        conn->timer = timer;
        conn->since_ms = loop_now_ms(conn->server->loop);
        conn->progress = timer == CONN_TIMER_WRITE ? unsent_bytes(conn) : 0;
        conn_timer_join(conn);
}

static enum conn_timer timer_of(const struct http_conn *conn)
{
        if (conn->state == CONN_HANDSHAKE)
                return CONN_TIMER_HANDSHAKE;
        /* One that is lost is only looked at again when there is somebody to tell. */
        if (conn->broken)
                return conn->poll != NULL || conn->exchange.aborted != NULL ? CONN_TIMER_LOST
                                                                            : CONN_TIMER_NONE;
        if (conn->blocked)
                return CONN_TIMER_WRITE;
        switch (conn->state) {
        case CONN_HANDSHAKE:
                break;
        case CONN_IDLE:
                /* The first request is due sooner than a further one. */
                if (!conn->fresh)
                        return CONN_TIMER_IDLE;
                return conn->server->draining ? CONN_TIMER_LINGER : CONN_TIMER_HEAD;
        case CONN_HEAD:
                return CONN_TIMER_HEAD;
        case CONN_BUSY:
                return body_wanted(conn) ? CONN_TIMER_BODY : CONN_TIMER_NONE;
        case CONN_FINISHING:
                return CONN_TIMER_BODY;
        case CONN_LINGER:
                return CONN_TIMER_LINGER;
        case CONN_CLOSED:
                break;
        }
        return CONN_TIMER_NONE;
}

void conn_timer_choose(struct http_conn *conn)
{
        enum conn_timer timer = timer_of(conn);

        if (timer != conn->timer)
                conn_timer_restart(conn, timer);
}

static uint32_t timeout_ms(const struct http_limits *limits, enum conn_timer timer)
{
        switch (timer) {
        case CONN_TIMER_HANDSHAKE:
                return limits->handshake_timeout_ms;
        case CONN_TIMER_IDLE:
                return limits->idle_timeout_ms;
        case CONN_TIMER_HEAD:
                return limits->header_timeout_ms;
        case CONN_TIMER_BODY:
                return limits->body_timeout_ms;
        case CONN_TIMER_WRITE:
                return limits->write_timeout_ms;
        case CONN_TIMER_LINGER:
                return CONN_LINGER_MS;
        case CONN_TIMER_LOST:
        case CONN_TIMER_NONE:
        case CONN_TIMER_COUNT:
                break;
        }
        return 0;
}

static void body_due(struct http_conn *conn)
{
        const struct http_limits *limits = &conn->server->limits;

        if (conn->progress > 0 &&
            conn->progress * 1000 >= (uint64_t)limits->body_rate_min * limits->body_timeout_ms) {
                conn_timer_restart(conn, CONN_TIMER_BODY);
        } else if (conn->state == CONN_BUSY) {
                body_fail(conn, ERR_TIMEOUT);
                conn_advance(conn);
        } else {
                conn_close(conn);
        }
}

static void conn_due(struct http_conn *conn)
{
        switch (conn->timer) {
        case CONN_TIMER_HANDSHAKE:
        case CONN_TIMER_IDLE:
        case CONN_TIMER_LINGER:
                conn_close(conn);
                break;
        case CONN_TIMER_HEAD:
                if (conn->state == CONN_IDLE) {
                        conn_close(conn);
                        break;
                }
                conn_refuse(conn, 408, "the head of the request took too long");
                conn_advance(conn);
                break;
        case CONN_TIMER_BODY:
                body_due(conn);
                break;
        case CONN_TIMER_WRITE:
                if (unsent_bytes(conn) < conn->progress)
                        conn_timer_restart(conn, CONN_TIMER_WRITE);
                else
                        conn_lost(conn);
                break;
        case CONN_TIMER_LOST:
                conn_lost(conn);
                break;
        case CONN_TIMER_NONE:
        case CONN_TIMER_COUNT:
                break;
        }
}

static void list_sweep(struct http_server *server, enum conn_timer timer, uint64_t now)
{
        struct conn_list *list = &server->conns[timer];
        uint32_t limit = timeout_ms(&server->limits, timer);

        if (limit == 0 && timer != CONN_TIMER_LOST)
                return;
        /* Whoever was due has left the list afterwards, or stands at its end with a new time. */
        while (list->first != NULL && list->first->since_ms + limit <= now) {
                struct http_conn *conn = list->first;
                conn_enter(conn);
                conn_due(conn);
                conn_leave(conn);
        }
}

void server_sweep(struct http_server *server)
{
        uint64_t now = loop_now_ms(server->loop);

        for (int timer = CONN_TIMER_LOST; timer < CONN_TIMER_COUNT; timer++)
                list_sweep(server, (enum conn_timer)timer, now);
}
