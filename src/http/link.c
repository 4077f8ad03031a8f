/*
 * http/link.c: the client's connections: made or taken from the pool, read and written for their call, and
 * kept for the next one where the reply allows it.
 */
#include "http/call.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TO(state) (1u << LINK_##state)

static const struct {
        const char *name;
        uint32_t next; /* bit set of the states reachable in one move */
} states[] = {
        [LINK_CONNECTING] = {"connecting", TO(ACTIVE) | TO(CLOSED)},
        [LINK_ACTIVE] = {"active", TO(IDLE) | TO(CLOSED)},
        [LINK_IDLE] = {"idle", TO(ACTIVE) | TO(CLOSED)},
        [LINK_CLOSED] = {"closed", 0},
};

static struct link_list *list_of(struct link *link)
{
        return link->state == LINK_IDLE ? &link->client->idle : &link->client->used;
}

static void list_remove(struct link_list *list, struct link *link)
{
        if (link->previous != NULL)
                link->previous->next = link->next;
        else
                list->first = link->next;
        if (link->next != NULL)
                link->next->previous = link->previous;
        else
                list->last = link->previous;
        link->previous = link->next = NULL;
        list->count--;
}

static void list_append(struct link_list *list, struct link *link)
{
        link->previous = list->last;
        if (list->last != NULL)
                list->last->next = link;
        else
                list->first = link;
        list->last = link;
        list->count++;
}

static void link_move(struct link *link, enum link_state state)
{
        assert(states[link->state].next & 1u << state);
        list_remove(list_of(link), link);
        link->state = state;
        link->since_ms = loop_now_ms(link->client->loop);
        if (state != LINK_CLOSED)
                list_append(list_of(link), link);
}

void link_enter(struct link *link)
{
        link->depth++;
}

void link_leave(struct link *link)
{
        assert(link->depth > 0);
        if (--link->depth == 0 && link->state == LINK_CLOSED)
                free(link);
}

void link_close(struct link *link)
{
        assert(link->depth > 0);
        link_move(link, LINK_CLOSED);
        loop_poll_destroy(link->poll);
        link->poll = NULL;
        close(link->transport.fd);
        out_finish(&link->out);
        buf_finish(&link->in);
        link->call = NULL;
}

void link_end(struct link *link)
{
        link_enter(link);
        link_close(link);
        link_leave(link);
}

void link_keep(struct link *link)
{
        struct http_client *client = link->client;

        link->call = NULL;
        link->reused = true;
        buf_finish(&link->in);
        link->in_at = 0;
        link_move(link, LINK_IDLE);
        loop_poll_want(link->poll, LOOP_READABLE);
        if (client->idle.count > client->limits.idle_max)
                link_end(client->idle.first);
}

void link_settle(struct link *link)
{
        int wanted = link->blocked ? LOOP_WRITABLE : 0;

        if (link->state == LINK_CLOSED)
                return;
        if (link->state == LINK_CONNECTING)
                wanted = LOOP_WRITABLE;
        else if (link->call == NULL || !link->call->paused)
                wanted |= LOOP_READABLE;
        loop_poll_want(link->poll, wanted);
}

/* What could not be sent ends the connection; that is noticed when it is read, since what the server said
 * before is worth having. */
static void link_sent(struct link *link, enum out_result result)
{
        link->blocked = result == OUT_BLOCKED;
        link->since_ms = loop_now_ms(link->client->loop);
        if (result != OUT_BROKEN && link->out.len <= CALL_QUEUE_MAX)
                return;
        link->blocked = false;
        out_finish(&link->out);
        shutdown(link->transport.fd, SHUT_RDWR);
}

void link_send(struct link *link, struct iovec *iov, int count)
{
        enum out_result result = OUT_BLOCKED;

        if (link->state != LINK_CONNECTING) {
                link_sent(link, out_write(&link->out, &link->transport, iov, count));
                return;
        }
        for (int i = 0; i < count; i++) {
                if (!out_copy(&link->out, iov[i].iov_base, iov[i].iov_len))
                        result = OUT_BROKEN;
        }
        link_sent(link, result);
}

static void link_lost(struct link *link)
{
        if (link->call != NULL)
                call_link_lost(link->call);
        else
                link_close(link);
}

void link_process(struct link *link)
{
        if (link->reading)
                return;
        assert(link->depth > 0);
        link->reading = true;
        while (link->call != NULL && !link->call->paused) {
                struct str shown = link->in_at < link->in.len ? (struct str){link->in.data + link->in_at,
                                                                             link->in.len - link->in_at}
                                                              : STR("");
                struct str piece = {0};
                size_t used;
                enum http_event event = http_parser_next(&link->parser, shown, &used, &piece);
                link->in_at += used;
                if (event == HTTP_MORE || !call_event(link->call, event, shown, piece))
                        break;
        }
        link->reading = false;
        if (link->in_at == link->in.len) {
                buf_clear(&link->in);
                link->in_at = 0;
        }
        link_settle(link);
}

static void link_on_end(struct link *link)
{
        if (link->call != NULL && link->call->has_head && http_parser_eof(&link->parser))
                call_event(link->call, HTTP_END, STR(""), STR(""));
        else
                link_lost(link);
}

/* True if there may be more to read at once. */
static bool link_read_once(struct link *link)
{
        ssize_t n;

        if (link->in_at > 0) {
                buf_consume(&link->in, link->in_at);
                link->in_at = 0;
        }
        if (buf_reserve(&link->in, CALL_READ) != ERR_OK) {
                call_fail(link->call, ERR_NO_MEMORY, "out of memory");
                return false;
        }
        do {
                n = recv(link->transport.fd, link->in.data + link->in.len, CALL_READ, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                return false;
        if (n <= 0) {
                link_on_end(link);
                return false;
        }
        link->since_ms = loop_now_ms(link->client->loop);
        link->call->replied = true;
        link->in.len += (size_t)n;
        link_process(link);
        return n == CALL_READ;
}

static void link_on_writable(struct link *link)
{
        link_sent(link, out_flush(&link->out, &link->transport));
        if (link->call != NULL)
                call_writable(link->call);
}

static void link_on_connected(struct link *link)
{
        int error = 0;
        socklen_t len = sizeof(error);

        if (getsockopt(link->transport.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        if (error != 0) {
                char text[100];
                snprintf(text, sizeof(text), "connect: %s", strerror(error));
                call_fail(link->call, ERR_UNAVAILABLE, text);
                return;
        }
        link_move(link, LINK_ACTIVE);
        link_on_writable(link);
}

static void link_on_ready(void *arg, int events)
{
        struct link *link = arg;

        link_enter(link);
        if (link->state == LINK_CONNECTING) {
                link_on_connected(link);
        } else if (link->state == LINK_IDLE) {
                link_close(link); /* an idle connection has nothing to say but its end */
        } else {
                if (events & LOOP_WRITABLE && link->blocked)
                        link_on_writable(link);
                for (int i = 0; events & LOOP_READABLE && i < CALL_READS_MAX; i++) {
                        if (link->state != LINK_ACTIVE || link->call->paused || !link_read_once(link))
                                break;
                }
        }
        link_settle(link);
        link_leave(link);
}

static struct link *link_create(struct http_client *client, const struct http_target *target, int fd,
                                enum link_state state)
{
        struct link *link = calloc(1, sizeof(*link));

        if (link == NULL)
                return NULL;
        link->poll = loop_poll_create(client->loop, fd, link_on_ready, link);
        if (link->poll == NULL) {
                free(link);
                return NULL;
        }
        link->client = client;
        link->target = *target;
        link->transport.fd = fd;
        link->state = state;
        link->since_ms = loop_now_ms(client->loop);
        buf_init(&link->in, client->limits.header_bytes_max + 2 * CALL_READ);
        list_append(list_of(link), link);
        client_tick_start(client);
        return link;
}

enum err_code link_adopt(struct http_client *client, const struct http_target *target, int fd,
                         struct err *err)
{
        struct link *link = link_create(client, target, fd, LINK_IDLE);

        if (link == NULL)
                return err_nomem(err);
        link->reused = true; /* nobody knows how long it has been waiting */
        link_settle(link);
        return ERR_OK;
}

/* A request that cannot be sent twice is not given to a connection whose end is already known to the kernel.
 */
static bool link_is_alive(const struct link *link)
{
        char byte;

        return recv(link->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
               (errno == EAGAIN || errno == EWOULDBLOCK);
}

static struct link *link_find(struct http_client *client, const struct http_call *call)
{
        const struct http_target *target = &call->target;
        bool twice = call->idempotent && !call->spec.stream;

        for (struct link *link = client->idle.last; link != NULL; link = link->previous) {
                if (link->target.len == target->len &&
                    memcmp(&link->target.address, &target->address, target->len) == 0 &&
                    (twice || link_is_alive(link)))
                        return link;
        }
        return NULL;
}

static enum err_code link_connect(struct http_client *client, const struct http_target *target,
                                  struct link **ret, struct err *err)
{
        int on = 1;
        enum link_state state = LINK_ACTIVE;

        if (client->used.count + client->idle.count >= client->limits.connections_max)
                return err_set(err, ERR_LIMIT, "connect: %u connections are open",
                               client->limits.connections_max);
        int fd = socket(target->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_sys(err, "connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (connect(fd, &target->address.any, target->len) < 0) {
                if (errno != EINPROGRESS) {
                        err_set(err, ERR_UNAVAILABLE, "connect: %s", strerror(errno));
                        close(fd);
                        return ERR_UNAVAILABLE;
                }
                state = LINK_CONNECTING;
        }
        *ret = link_create(client, target, fd, state);
        if (*ret == NULL) {
                close(fd);
                return err_nomem(err);
        }
        return ERR_OK;
}

enum err_code link_take(struct http_client *client, struct http_call *call, bool fresh, struct err *err)
{
        struct link *link = fresh ? NULL : link_find(client, call);

        if (link == NULL) {
                enum err_code code = link_connect(client, &call->target, &link, err);
                if (code != ERR_OK)
                        return code;
        } else {
                link_move(link, LINK_ACTIVE);
        }
        http_parser_init(&link->parser, HTTP_PARSE_RESPONSE, client->fields, client->limits.header_count_max,
                         client->limits.header_bytes_max);
        http_parser_reset(&link->parser, call->to_head);
        link->call = call;
        call->link = link;
        call_begin(call);
        link_settle(link);
        return ERR_OK;
}

static uint32_t timeout_of(const struct link *link)
{
        const struct http_client_limits *limits = &link->client->limits;

        if (link->state == LINK_CONNECTING)
                return limits->connect_timeout_ms;
        if (link->state == LINK_IDLE)
                return limits->idle_timeout_ms;
        if (link->call->paused)
                return 0;
        return link->call->has_head ? limits->body_timeout_ms : limits->reply_timeout_ms;
}

void link_due(struct link *link, uint64_t now)
{
        uint32_t timeout = timeout_of(link);

        if (timeout == 0 || link->since_ms + timeout > now)
                return;
        if (link->state == LINK_IDLE)
                link_end(link);
        else
                call_fail(link->call, ERR_TIMEOUT,
                          link->state == LINK_CONNECTING ? "connecting took too long"
                          : link->call->has_head         ? "the body of the reply took too long"
                                                         : "the reply took too long");
}
