/*
 * http/server.c: the server as a whole: listening, taking connections within its limit, draining and the end.
 * What happens in a connection is conn.c's.
 */
#include "http/server.h"

#include "base/clock.h"
#include "http/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        ACCEPTS_MAX = 16, /* for one event */
        TICK_MS_MAX = 1000,
        TICK_MS_MIN = 5,
        REPLY_HEAD_BYTES_MAX = 1 << 20,
};

const struct http_limits http_limits_default = {
        .header_bytes_max = 64 << 10,
        .header_count_max = 100,
        .body_bytes_max = 10 << 20,
        .header_timeout_ms = 30000,
        .body_timeout_ms = 30000,
        .body_rate_min = 240,
        .write_timeout_ms = 60000,
        .idle_timeout_ms = 75000,
        .handshake_timeout_ms = 10000,
        .connections_max = 4096,
};

static void listeners_want(struct http_listener *listeners, size_t count, int events)
{
        for (size_t i = 0; i < count; i++) {
                if (listeners[i].poll != NULL)
                        loop_poll_want(listeners[i].poll, events);
        }
}

static void server_listen(struct http_server *server, bool on)
{
        server->accept_paused = !on;
        listeners_want(server->listeners, server->listen_count, on ? LOOP_READABLE : 0);
        listeners_want(server->tls_listeners, server->tls_listen_count, on ? LOOP_READABLE : 0);
}

/* The connection that has waited longest for a request, to make room for another; NULL when all have one. One
 * that is still in its handshake goes last: it may have just come. */
static struct http_conn *server_oldest_idle(struct http_server *server)
{
        struct http_conn *idle = server->conns[CONN_TIMER_IDLE].first,
                         *silent = server->conns[CONN_TIMER_HEAD].first;

        if (idle != NULL)
                return idle;
        return silent != NULL && silent->state == CONN_IDLE ? silent
                                                            : server->conns[CONN_TIMER_HANDSHAKE].first;
}

/* Without a descriptor for a new connection: the oldest idle one gives back its own. */
static bool server_give_up_idle(struct http_server *server)
{
        struct http_conn *idle = errno == EMFILE || errno == ENFILE ? server_oldest_idle(server) : NULL;

        if (idle != NULL)
                conn_end(idle);
        return idle != NULL;
}

static void server_on_accept(void *arg, int events)
{
        struct http_listener *listener = arg;
        struct http_server *server = listener->server;
        bool gave_up = false;

        (void)events;
        for (int i = 0; i < ACCEPTS_MAX; i++) {
                bool full = server->conn_count >= server->limits.connections_max;
                struct http_conn *idle = full ? server_oldest_idle(server) : NULL;
                if (full && idle == NULL) {
                        server_listen(server, false);
                        return;
                }
                int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return;
                if (fd >= 0 && idle != NULL)
                        conn_end(idle);
                /* One for one: more would be given up in vain where that does not help. */
                if (fd < 0 && !gave_up && (gave_up = server_give_up_idle(server)))
                        continue;
                gave_up = false;
                if (fd < 0 || conn_create(server, fd, listener->tls) == NULL) {
                        /* Out of descriptors or memory: the tick tries again. */
                        if (fd >= 0)
                                close(fd);
                        server_listen(server, false);
                        server_tick_start(server);
                        return;
                }
        }
}

static void server_on_tick(void *arg)
{
        struct http_server *server = arg;

        server->ticking = false;
        server_sweep(server);
        server_accept_again(server);
        if (server->conn_count > 0 || server->accept_paused)
                server_tick_start(server);
        if (server->conn_count == 0 && server->drained != NULL) {
                void (*drained)(void *arg) = server->drained;
                server->drained = NULL;
                drained(server->drained_arg); /* may destroy the server */
        }
}

void server_tick_start(struct http_server *server)
{
        if (server->ticking)
                return;
        server->ticking = true;
        loop_timer_start(server->tick, server->tick_ms);
}

void server_accept_again(struct http_server *server)
{
        if (server->accept_paused && !server->draining)
                server_listen(server, true);
}

void server_conn_gone(struct http_server *server)
{
        server->conn_count--;
        if (server->draining && server->conn_count == 0)
                loop_timer_start(server->tick, 0);
        server_accept_again(server);
}

struct str server_date(struct http_server *server)
{
        int64_t now = clock_wall_s();

        if (now != server->date_s) {
                time_t when = (time_t)now;
                struct tm tm;
                gmtime_r(&when, &tm);
                server->date_len = strftime(server->date, sizeof(server->date),
                                            "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
                server->date_s = now;
        }
        return (struct str){server->date, server->date_len};
}

static uint32_t tick_interval(const struct http_limits *limits)
{
        uint32_t times[] = {limits->header_timeout_ms, limits->body_timeout_ms, limits->write_timeout_ms,
                            limits->idle_timeout_ms, limits->handshake_timeout_ms};
        uint32_t tick = TICK_MS_MAX;

        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
                tick = times[i] / 4 < tick ? times[i] / 4 : tick;
        return tick < TICK_MS_MIN ? TICK_MS_MIN : tick;
}

static enum err_code listener_open(struct http_server *server, struct http_listener *listener, int fd,
                                   struct err *err)
{
        int on = 1;

        /* Accepted connections inherit it; a Unix socket refuses it. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        listener->server = server;
        listener->fd = fd;
        listener->poll = loop_poll_create(server->loop, fd, server_on_accept, listener);
        if (listener->poll == NULL)
                return err_set(err, ERR_SYSTEM, "listen on descriptor %d: it cannot be polled", fd);
        return ERR_OK;
}

enum err_code http_server_create(struct loop *loop, const int *listen_fds, size_t listen_count,
                                 const struct http_limits *limits, const struct http_handler *handler,
                                 struct http_server **ret, struct err *err)
{
        assert(handler->on_request != NULL);
        struct http_server *server = calloc(1, sizeof(*server));

        if (server == NULL)
                return err_nomem(err);
        server->loop = loop;
        server->limits = limits != NULL ? *limits : http_limits_default;
        server->handler = *handler;
        server->tick_ms = tick_interval(&server->limits);
        buf_init(&server->head, REPLY_HEAD_BYTES_MAX);
        server->fields = calloc(server->limits.header_count_max, sizeof(*server->fields));
        server->listeners = calloc(listen_count + 1, sizeof(*server->listeners));
        server->tick = loop_timer_create(loop, server_on_tick, server);
        if (server->fields == NULL || server->listeners == NULL || server->tick == NULL) {
                http_server_destroy(server);
                return err_nomem(err);
        }
        for (size_t i = 0; i < listen_count; i++) {
                enum err_code code = listener_open(server, &server->listeners[i], listen_fds[i], err);
                if (code != ERR_OK) {
                        http_server_destroy(server);
                        return code;
                }
                server->listen_count++;
        }
        server_listen(server, true);
        *ret = server;
        return ERR_OK;
}

enum err_code http_server_listen_tls(struct http_server *server, const int *listen_fds, size_t listen_count,
                                     struct tls_context *tls, struct err *err)
{
        assert(server->tls == NULL && tls != NULL);
        server->tls_listeners = calloc(listen_count + 1, sizeof(*server->tls_listeners));
        if (server->tls_listeners == NULL)
                return err_nomem(err);
        for (size_t i = 0; i < listen_count; i++) {
                enum err_code code = listener_open(server, &server->tls_listeners[i], listen_fds[i], err);
                if (code != ERR_OK)
                        return code;
                server->tls_listeners[i].tls = true;
                server->tls_listen_count++;
        }
        server->tls = tls_context_ref(tls);
        server_listen(server, !server->accept_paused);
        return ERR_OK;
}

void http_server_tls_set(struct http_server *server, struct tls_context *tls)
{
        assert(server->tls != NULL && tls != NULL);
        tls_context_unref(server->tls);
        server->tls = tls_context_ref(tls);
}

static enum err_code adopt(struct http_server *server, int fd, bool tls, struct err *err)
{
        int on = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return conn_create(server, fd, tls) != NULL ? ERR_OK : err_nomem(err);
}

enum err_code http_server_adopt(struct http_server *server, int fd, struct err *err)
{
        return adopt(server, fd, false, err);
}

enum err_code http_server_adopt_tls(struct http_server *server, int fd, struct err *err)
{
        assert(server->tls != NULL);
        return adopt(server, fd, true, err);
}

static void listeners_close(struct http_listener *listeners, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                loop_poll_destroy(listeners[i].poll);
                listeners[i].poll = NULL;
        }
}

static void server_deafen(struct http_server *server)
{
        listeners_close(server->listeners, server->listen_count);
        listeners_close(server->tls_listeners, server->tls_listen_count);
}

/* A request that is already in the socket is still answered. */
static bool request_is_waiting(const struct http_conn *conn)
{
        char byte;

        return transport_has_more(&conn->transport) ||
               recv(conn->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool is_idle(const struct http_conn *conn)
{
        return conn->state == CONN_IDLE || (conn->state == CONN_HANDSHAKE && conn->transport.tls == NULL);
}

static void drain_idle(struct conn_list *list)
{
        struct http_conn *next;

        for (struct http_conn *conn = list->first; conn != NULL; conn = next) {
                next = conn->next;
                if (!is_idle(conn) || request_is_waiting(conn))
                        continue;
                if (conn->fresh && conn->transport.tls != NULL)
                        conn_timer_choose(conn); /* after a handshake, its request is on its way */
                else
                        conn_end(conn);
        }
}

static void drain_begin(struct http_server *server, void (*drained)(void *arg), void *arg)
{
        server->draining = true;
        server->drained = drained;
        server->drained_arg = arg;
        server_deafen(server);
}

static void drain_end(void *arg)
{
        struct http_server *server = arg;

        loop_timer_destroy(server->grace);
        server->grace = NULL;
        drain_idle(&server->conns[CONN_TIMER_IDLE]);
        drain_idle(&server->conns[CONN_TIMER_HEAD]);
        drain_idle(&server->conns[CONN_TIMER_HANDSHAKE]);
        /* Never from within this call. */
        if (server->conn_count == 0)
                loop_timer_start(server->tick, 0);
}

void http_server_drain(struct http_server *server, void (*drained)(void *arg), void *arg)
{
        drain_begin(server, drained, arg);
        drain_end(server);
}

enum err_code http_server_retire(struct http_server *server, uint64_t grace_ms, void (*drained)(void *arg),
                                 void *arg, struct err *err)
{
        assert(server->grace == NULL);
        server->grace = loop_timer_create(server->loop, drain_end, server);
        if (server->grace == NULL)
                return err_nomem(err);
        drain_begin(server, drained, arg);
        loop_timer_start(server->grace, grace_ms);
        if (server->conn_count == 0)
                loop_timer_start(server->tick, 0);
        return ERR_OK;
}

void http_server_hurry(struct http_server *server)
{
        if (server->grace != NULL)
                loop_timer_start(server->grace, 0);
}

void http_server_destroy(struct http_server *server)
{
        if (server == NULL)
                return;
        server_deafen(server);
        server->draining = true;
        for (int i = 0; server->tick != NULL && i < CONN_TIMER_COUNT; i++) {
                while (server->conns[i].first != NULL)
                        conn_end(server->conns[i].first);
        }
        loop_timer_destroy(server->tick);
        loop_timer_destroy(server->grace);
        server_spares_free(server);
        buf_finish(&server->head);
        free(server->fields);
        free(server->listeners);
        free(server->tls_listeners);
        tls_context_unref(server->tls);
        free(server);
}
