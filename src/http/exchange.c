/* http/exchange.c: what a handler may ask of its exchange. */
#include "http/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

const struct http_request *http_request(struct http_exchange *exchange)
{
        return &exchange->conn->parser.request;
}

struct arena *http_arena(struct http_exchange *exchange)
{
        return &exchange->conn->arena;
}

struct loop *http_loop(struct http_exchange *exchange)
{
        return exchange->conn->server->loop;
}

void http_user_set(struct http_exchange *exchange, void *user)
{
        exchange->user = user;
}

void *http_user(struct http_exchange *exchange)
{
        return exchange->user;
}

struct str http_peer(struct http_exchange *exchange)
{
        union {
                struct sockaddr_storage storage;
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } peer = {0};
        socklen_t len = sizeof(peer);
        char text[INET6_ADDRSTRLEN];
        char *name = NULL;

        if (getpeername(exchange->conn->transport.fd, &peer.any, &len) < 0)
                return STR("");
        if (peer.any.sa_family == AF_UNIX)
                return STR("unix");
        if (peer.any.sa_family == AF_INET) {
                inet_ntop(AF_INET, &peer.v4.sin_addr, text, sizeof(text));
                name = arena_printf(&exchange->conn->arena, "%s:%u", text, ntohs(peer.v4.sin_port));
        } else if (peer.any.sa_family == AF_INET6) {
                inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, sizeof(text));
                name = arena_printf(&exchange->conn->arena, "[%s]:%u", text, ntohs(peer.v6.sin6_port));
        }
        return str_of(name != NULL ? name : "");
}

bool http_is_tls(struct http_exchange *exchange)
{
        return exchange->conn->transport.tls != NULL;
}

void http_on_abort(struct http_exchange *exchange, void (*aborted)(struct http_exchange *exchange, void *arg),
                   void *arg)
{
        exchange->aborted = aborted;
        exchange->aborted_arg = arg;
        /* Whoever asks too late is told by the next sweep. */
        if (exchange->conn->broken)
                conn_timer_choose(exchange->conn);
}
