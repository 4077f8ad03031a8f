/* http/client.c: the client as a whole: its pool, its clock and its end. */
#include "http/client.h"

#include "http/call.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS_MAX = 1000, TICK_MS_MIN = 5 };

const struct http_client_limits http_client_limits_default = {
        .header_bytes_max = 64 << 10,
        .header_count_max = 100,
        .connect_timeout_ms = 5000,
        .reply_timeout_ms = 60000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 30000,
        .idle_max = 64,
        .connections_max = 1024,
};

enum err_code http_target_tcp(const char *address, uint16_t port, struct http_target *ret, struct err *err)
{
        struct http_target target;

        memset(&target, 0, sizeof(target));
        if (inet_pton(AF_INET, address, &target.address.v4.sin_addr) == 1) {
                target.address.v4.sin_family = AF_INET;
                target.address.v4.sin_port = htons(port);
                target.len = sizeof(target.address.v4);
        } else if (inet_pton(AF_INET6, address, &target.address.v6.sin6_addr) == 1) {
                target.address.v6.sin6_family = AF_INET6;
                target.address.v6.sin6_port = htons(port);
                target.len = sizeof(target.address.v6);
        } else {
                return err_set(err, ERR_INVALID, "'%s' is no IP address", address);
        }
        *ret = target;
        return ERR_OK;
}

enum err_code http_target_unix(const char *path, struct http_target *ret, struct err *err)
{
        struct http_target target;
        size_t len = strlen(path);

        memset(&target, 0, sizeof(target));
        if (len == 0 || len >= sizeof(target.address.local.sun_path))
                return err_set(err, ERR_INVALID, "'%s' cannot be the path of a socket", path);
        target.address.local.sun_family = AF_UNIX;
        memcpy(target.address.local.sun_path, path, len);
        target.len = sizeof(target.address.local);
        *ret = target;
        return ERR_OK;
}

static void list_sweep(struct link_list *list, uint64_t now)
{
        struct link *next;

        for (struct link *link = list->first; link != NULL; link = next) {
                next = link->next;
                /* What is due may end other calls too: then the rest is looked at by the next tick. */
                if (next != NULL)
                        link_enter(next);
                link_due(link, now);
                bool gone = next != NULL && next->state == LINK_CLOSED;
                if (next != NULL)
                        link_leave(next);
                if (gone)
                        break;
        }
}

static void client_on_tick(void *arg)
{
        struct http_client *client = arg;
        uint64_t now = loop_now_ms(client->loop);

        client->ticking = false;
        list_sweep(&client->used, now);
        list_sweep(&client->idle, now);
        if (client->used.count + client->idle.count > 0)
                client_tick_start(client);
}

void client_tick_start(struct http_client *client)
{
        if (client->ticking)
                return;
        client->ticking = true;
        loop_timer_start(client->tick, client->tick_ms);
}

static uint32_t tick_interval(const struct http_client_limits *limits)
{
        uint32_t times[] = {limits->connect_timeout_ms, limits->reply_timeout_ms, limits->body_timeout_ms,
                            limits->idle_timeout_ms};
        uint32_t tick = TICK_MS_MAX;

        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
                tick = times[i] > 0 && times[i] / 4 < tick ? times[i] / 4 : tick;
        return tick < TICK_MS_MIN ? TICK_MS_MIN : tick;
}

enum err_code http_client_create(struct loop *loop, const struct http_client_limits *limits,
                                 struct http_client **ret, struct err *err)
{
        struct http_client *client = calloc(1, sizeof(*client));

        if (client == NULL)
                return err_nomem(err);
        client->loop = loop;
        client->limits = limits != NULL ? *limits : http_client_limits_default;
        client->tick_ms = tick_interval(&client->limits);
        client->fields = calloc(client->limits.header_count_max, sizeof(*client->fields));
        client->tick = loop_timer_create(loop, client_on_tick, client);
        if (client->fields == NULL || client->tick == NULL) {
                http_client_destroy(client);
                return err_nomem(err);
        }
        *ret = client;
        return ERR_OK;
}

void http_client_destroy(struct http_client *client)
{
        if (client == NULL)
                return;
        client->ending = true;
        while (client->used.first != NULL)
                call_fail(client->used.first->call, ERR_CANCELLED, "the client was ended");
        while (client->idle.first != NULL)
                link_end(client->idle.first);
        loop_timer_destroy(client->tick);
        free(client->fields);
        free(client);
}

enum err_code http_client_adopt(struct http_client *client, const struct http_target *target, int fd,
                                struct err *err)
{
        return link_adopt(client, target, fd, err);
}
