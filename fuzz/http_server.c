/*
 * fuzz/http_server.c: a connection of the server. The property: however the client's bytes are split, the
 * replies are the same, and the connection ends once the client has. (The Date, and 100 Continue, which
 * depends on whether the body is there already, do not count.)
 */
#include "http/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, REPLIES_MAX = 1 << 20, STEPS_MAX = 2000 };

static void collected(struct http_exchange *exchange, void *arg, enum err_code code, struct str body)
{
        (void)arg;
        http_reply(exchange, err_http_status(code), (struct http_fields){0}, body);
}

/* Streams are answered with a sum of their bytes, which does not depend on the pieces. */
static void chunk(struct http_exchange *exchange, void *arg, enum err_code code, struct str bytes, bool last)
{
        char text[64];
        uintptr_t sum = (uintptr_t)http_user(exchange);

        (void)arg;
        if (code != ERR_OK) {
                http_reply(exchange, err_http_status(code), (struct http_fields){0}, STR("bad"));
                return;
        }
        for (size_t i = 0; i < bytes.len; i++)
                sum = sum * 31 + (unsigned char)bytes.p[i];
        http_user_set(exchange, (void *)sum);
        if (!last)
                return;
        int len = snprintf(text, sizeof(text), "%zx", (size_t)sum);
        http_reply_start(exchange, 200, (struct http_fields){0}, len, NULL, NULL);
        http_reply_write(exchange, (struct str){text, (size_t)len});
        http_reply_end(exchange);
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
        const struct http_request *request = http_request(exchange);

        (void)ctx;
        if (str_eq(request->path, STR("/e")))
                http_collect(exchange, 1000, collected, NULL);
        else if (str_eq(request->path, STR("/s")))
                http_read(exchange, chunk, NULL);
        else
                http_reply(exchange, 200, request->fields, request->query);
}

static void receive(int fd, struct buf *replies, bool *eof)
{
        ssize_t n;

        do {
                assert(buf_reserve(replies, 65536) == ERR_OK);
                n = recv(fd, replies->data + replies->len, 65536, MSG_DONTWAIT);
                if (n > 0)
                        replies->len += (size_t)n;
        } while (n > 0);
        *eof = *eof || n == 0;
}

static void strip(struct buf *replies, const char *from, const char *to)
{
        char *at;

        while (replies->len > 0 && (at = memmem(replies->data, replies->len, from, strlen(from))) != NULL) {
                char *rest = at + strlen(from), *last = replies->data + replies->len;
                char *end = memmem(rest, (size_t)(last - rest), to, strlen(to));
                if (end == NULL)
                        return; /* the end of a body that was echoed */
                end += strlen(to);
                memmove(at, end, (size_t)(last - end));
                replies->len -= (size_t)(end - at);
        }
}

static void serve(struct str in, uint32_t seed, struct buf *replies)
{
        struct http_handler handler = {.on_request = on_request};
        struct http_limits limits = http_limits_default;
        struct http_server *server;
        struct loop *loop;
        int fds[2];
        bool eof = false;

        limits.header_bytes_max = 600;
        limits.header_count_max = 10;
        limits.body_bytes_max = 2000;
        assert(loop_create(&loop, NULL) == ERR_OK);
        assert(http_server_create(loop, NULL, 0, &limits, &handler, &server, NULL) == ERR_OK);
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        assert(http_server_adopt(server, fds[1], NULL) == ERR_OK);
        while (in.len > 0) {
                seed = seed * 1664525 + 1013904223;
                size_t step = seed == 1013904223 ? in.len : (seed >> 16) % 97 + 1;
                step = step < in.len ? step : in.len;
                ssize_t n = send(fds[0], in.p, step, MSG_NOSIGNAL);
                if (n < 0)
                        break; /* the server has closed */
                in = str_slice(in, (size_t)n, in.len);
                loop_step(loop, false);
                receive(fds[0], replies, &eof);
        }
        shutdown(fds[0], SHUT_WR);
        for (int i = 0; i < STEPS_MAX && !eof; i++) {
                loop_step(loop, false);
                receive(fds[0], replies, &eof);
        }
        assert(eof);
        close(fds[0]);
        http_server_destroy(server);
        loop_destroy(loop);
        strip(replies, "Date: ", "\r\n");
        strip(replies, "HTTP/1.1 100 Continue\r\n", "\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf whole, split;

        if (size < 1 || size > INPUT_MAX)
                return 0;
        struct str in = {(const char *)data + 1, size - 1};
        buf_init(&whole, REPLIES_MAX);
        buf_init(&split, REPLIES_MAX);
        serve(in, 0, &whole);
        serve(in, data[0] + 1u, &split);
        assert(whole.len == split.len && (whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0));
        buf_finish(&whole);
        buf_finish(&split);
        return 0;
}
