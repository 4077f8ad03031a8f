/*
 * tests/unit/http/harness.h: a server and one raw client of it on the same loop, joined by a socket pair, so
 * that a test is one thread and never sleeps: it sends bytes and runs the loop until something that it names
 * has happened. Compiled with HARNESS_TLS, all of it goes through TLS: what holds for plain HTTP has to hold
 * there too.
 */
#ifndef DISPATCH_TEST_HTTP_HARNESS_H
#define DISPATCH_TEST_HTTP_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/own.h"
#include "http/server.h"

#ifdef HARNESS_TLS
#include "http/tls.h"

#include <openssl/ssl.h>
#endif

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

enum { HARNESS_GUARD_MS = 20000, HARNESS_RECEIVED_MAX = 64 << 20 };

struct harness {
        struct loop *loop;
        struct loop_timer *guard;
        struct http_server *server;
        struct http_limits limits;
        int client; /* descriptor */
        struct loop_poll *client_poll;
        bool client_reads;
        struct buf received;
        bool client_eof;
#ifdef HARNESS_TLS
        SSL_CTX *client_ctx;
        SSL *ssl;
        bool client_truncated; /* it ended without a close_notify */
#endif
        /* the handler's */
        int requests;
        struct http_exchange *held; /* of /hold */
        bool watch_abort;
        int aborted;
        int drained;
        enum err_code body_code;
        int chunks;
        bool pause;
        size_t read_bytes;
        bool read_last;
        int writable;
};

static inline void harness_overdue(void *arg)
{
        (void)arg;
        fprintf(stderr, "nothing happened for too long\n");
        abort();
}

static inline void harness_on_abort(struct http_exchange *exchange, void *arg)
{
        struct harness *harness = arg;

        harness->aborted++;
        if (harness->held == exchange)
                harness->held = NULL;
}

static inline void harness_collected(struct http_exchange *exchange, void *arg, enum err_code code,
                                     struct str body)
{
        struct harness *harness = arg;

        harness->body_code = code;
        if (code == ERR_OK)
                http_reply(exchange, 200, (struct http_fields){0}, body);
        else
                http_reply(exchange, code == ERR_TIMEOUT ? 408 : err_http_status(code),
                           (struct http_fields){0}, str_of(err_name(code)));
}

static inline void harness_writable(struct http_exchange *exchange, void *arg)
{
        struct harness *harness = arg;

        harness->writable++;
        if (harness->held == NULL)
                http_read_resume(exchange);
}

static inline void harness_chunk(struct http_exchange *exchange, void *arg, enum err_code code,
                                 struct str bytes, bool last)
{
        struct harness *harness = arg;

        harness->body_code = code;
        harness->chunks++;
        harness->read_bytes += bytes.len;
        harness->read_last = last;
        if (code != ERR_OK) {
                http_abort(exchange);
                return;
        }
        if (harness->held != NULL) { /* only read; the test replies */
                if (harness->pause)
                        http_read_pause(exchange);
                return;
        }
        if (!http_reply_write(exchange, bytes))
                http_read_pause(exchange);
        if (last)
                http_reply_end(exchange);
}

static inline void harness_on_request(void *ctx, struct http_exchange *exchange)
{
        struct harness *harness = ctx;
        const struct http_request *request = http_request(exchange);

        harness->requests++;
        if (str_eq(request->path, STR("/hello"))) {
                http_reply(exchange, 200, (struct http_fields){0}, STR("hello"));
        } else if (str_eq(request->path, STR("/empty"))) {
                http_reply(exchange, 204, (struct http_fields){0}, STR("not sent"));
        } else if (str_eq(request->path, STR("/target"))) {
                http_reply(exchange, 200, (struct http_fields){0}, request->target);
        } else if (str_eq(request->path, STR("/peer"))) {
                http_reply(exchange, 200, (struct http_fields){0}, http_peer(exchange));
        } else if (str_eq(request->path, STR("/echo"))) {
                http_collect(exchange, UINT64_MAX, harness_collected, harness);
        } else if (str_eq(request->path, STR("/collect10"))) {
                http_collect(exchange, 10, harness_collected, harness);
        } else if (str_eq(request->path, STR("/stream"))) {
                http_read(exchange, harness_chunk, harness);
        } else if (str_eq(request->path, STR("/duplex"))) {
                http_reply_start(exchange, 200, (struct http_fields){0}, -1, harness_writable, harness);
                http_read(exchange, harness_chunk, harness);
        } else if (str_eq(request->path, STR("/hold"))) {
                harness->held = exchange;
                if (harness->watch_abort)
                        http_on_abort(exchange, harness_on_abort, harness);
        } else {
                http_reply(exchange, 404, (struct http_fields){0}, STR(""));
        }
}

/* Like send and recv on the client's socket. */
#ifdef HARNESS_TLS
static inline ssize_t harness_again(struct harness *harness, int returned)
{
        int error = SSL_get_error(harness->ssl, returned);

        if (error == SSL_ERROR_ZERO_RETURN)
                return 0;
        errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
        harness->client_truncated = harness->client_truncated || errno == EPIPE;
        return -1;
}

static inline ssize_t harness_client_send(struct harness *harness, const void *bytes, size_t len)
{
        int n = SSL_write(harness->ssl, bytes, (int)(len < 1 << 30 ? len : 1 << 30));

        return n > 0 ? n : harness_again(harness, n);
}

static inline ssize_t harness_client_recv(struct harness *harness, void *bytes, size_t size)
{
        int n = SSL_read(harness->ssl, bytes, (int)size);

        return n > 0 ? n : harness_again(harness, n);
}
#else
static inline ssize_t harness_client_send(struct harness *harness, const void *bytes, size_t len)
{
        return send(harness->client, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline ssize_t harness_client_recv(struct harness *harness, void *bytes, size_t size)
{
        return recv(harness->client, bytes, size, MSG_DONTWAIT);
}
#endif

static inline void harness_client_ready(void *arg, int events)
{
        struct harness *harness = arg;
        ssize_t n;

        (void)events;
        do {
                assert_int_equal(buf_reserve(&harness->received, 65536), ERR_OK);
                n = harness_client_recv(harness, harness->received.data + harness->received.len, 65536);
                if (n > 0)
                        harness->received.len += (size_t)n;
        } while (n > 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
                harness->client_eof = true;
                loop_poll_want(harness->client_poll, 0);
        }
}

static inline void harness_client_reads(struct harness *harness, bool reads)
{
        loop_poll_want(harness->client_poll, reads ? LOOP_READABLE : 0);
}

static inline void harness_connect_fd(struct harness *harness, int fd)
{
        harness->client = fd;
        harness->client_eof = false;
        harness->client_poll = loop_poll_create(harness->loop, fd, harness_client_ready, harness);
        assert_non_null(harness->client_poll);
        harness_client_reads(harness, true);
}

#ifdef HARNESS_TLS
static inline struct tls_context *harness_context(const char *host)
{
        struct str name = str_of(host);
        own_buf struct buf certificate = {.max = 1 << 20}, key = {.max = 1 << 20};
        struct tls_context *context = NULL;

        assert_int_equal(tls_self_sign(&name, 1, &certificate, &key, NULL), ERR_OK);
        const struct tls_pair pair = {{certificate.data, certificate.len}, {key.data, key.len}, "crt", "key"};
        assert_int_equal(tls_context_create(&pair, 1, NULL, NULL, &context, NULL), ERR_OK);
        return context;
}

static inline void harness_server_tls(struct harness *harness)
{
        struct tls_context *context = harness_context("localhost");

        assert_int_equal(http_server_listen_tls(harness->server, NULL, 0, context, NULL), ERR_OK);
        tls_context_unref(context);
}

static inline void harness_secure(struct harness *harness)
{
        if (harness->client_ctx == NULL)
                harness->client_ctx = SSL_CTX_new(TLS_client_method());
        assert_non_null(harness->client_ctx);
        signal(SIGPIPE, SIG_IGN); /* OpenSSL writes as it likes */
        SSL_CTX_set_mode(harness->client_ctx,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        harness->ssl = SSL_new(harness->client_ctx);
        assert_non_null(harness->ssl);
        assert_int_equal(SSL_set_fd(harness->ssl, harness->client), 1);
        SSL_set_connect_state(harness->ssl);
}

static inline void harness_adopt(struct harness *harness, int fd)
{
        assert_int_equal(http_server_adopt_tls(harness->server, fd, NULL), ERR_OK);
        harness_secure(harness);
        while (SSL_do_handshake(harness->ssl) != 1)
                loop_step(harness->loop, false);
        harness_client_reads(harness, true);
}
#else
static inline void harness_server_tls(struct harness *harness)
{
        (void)harness;
}

static inline void harness_adopt(struct harness *harness, int fd)
{
        assert_int_equal(http_server_adopt(harness->server, fd, NULL), ERR_OK);
}
#endif

/* A new client; the one before is gone. */
static inline void harness_connect(struct harness *harness)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        harness_connect_fd(harness, fds[0]);
#ifdef HARNESS_TLS
        harness_client_reads(harness, false); /* before it is over, the handshake reads */
#endif
        harness_adopt(harness, fds[1]);
}

static inline void harness_disconnect(struct harness *harness)
{
        loop_poll_destroy(harness->client_poll);
        harness->client_poll = NULL;
        if (harness->client >= 0)
                close(harness->client);
        harness->client = -1;
        buf_clear(&harness->received);
#ifdef HARNESS_TLS
        SSL_free(harness->ssl);
        harness->ssl = NULL;
#endif
}

static inline void harness_open(struct harness *harness, const int *listen_fds, size_t listen_count)
{
        struct http_handler handler = {.ctx = harness, .on_request = harness_on_request};

        assert_int_equal(loop_create(&harness->loop, NULL), ERR_OK);
        harness->guard = loop_timer_create(harness->loop, harness_overdue, NULL);
        assert_non_null(harness->guard);
        loop_timer_start(harness->guard, HARNESS_GUARD_MS);
        buf_init(&harness->received, HARNESS_RECEIVED_MAX);
        harness->client = -1;
        assert_int_equal(http_server_create(harness->loop, listen_fds, listen_count, &harness->limits,
                                            &handler, &harness->server, NULL),
                         ERR_OK);
        harness_server_tls(harness);
}

/* With other limits than the default ones. */
static inline void harness_reopen(struct harness *harness, struct http_limits limits);

static inline int harness_setup(void **state)
{
        static struct harness harness;

        harness = (struct harness){.limits = http_limits_default};
        harness_open(&harness, NULL, 0);
        harness_connect(&harness);
        *state = &harness;
        return 0;
}

static inline int harness_teardown(void **state)
{
        struct harness *harness = *state;

        harness_disconnect(harness);
        http_server_destroy(harness->server);
        loop_timer_destroy(harness->guard);
        loop_destroy(harness->loop);
        buf_finish(&harness->received);
#ifdef HARNESS_TLS
        SSL_CTX_free(harness->client_ctx);
        harness->client_ctx = NULL;
#endif
        return 0;
}

static inline void harness_reopen(struct harness *harness, struct http_limits limits)
{
        void *state = harness;

        harness_teardown(&state);
        *harness = (struct harness){.limits = limits};
        harness_open(harness, NULL, 0);
        harness_connect(harness);
}

#define run_until(harness, condition)                                                                        \
        do {                                                                                                 \
                while (!(condition))                                                                         \
                        loop_step((harness)->loop, true);                                                    \
        } while (0)

static inline void harness_send(struct harness *harness, struct str bytes)
{
        while (bytes.len > 0) {
                ssize_t n = harness_client_send(harness, bytes.p, bytes.len);
                if (n < 0) {
                        if (errno != EAGAIN)
                                return; /* refused meanwhile */
                        loop_step(harness->loop, true);
                        continue;
                }
                bytes = str_slice(bytes, (size_t)n, bytes.len);
        }
}

static inline struct str harness_received(struct harness *harness)
{
        return (struct str){harness->received.data, harness->received.len};
}

static inline bool harness_has(struct harness *harness, const char *text)
{
        return harness->received.len > 0 &&
               memmem(harness->received.data, harness->received.len, text, strlen(text)) != NULL;
}

static inline int harness_count(struct harness *harness, const char *text)
{
        struct str rest = harness_received(harness);
        int count = 0;

        while (rest.len > 0) {
                const char *at = memmem(rest.p, rest.len, text, strlen(text));
                if (at == NULL)
                        break;
                count++;
                rest = str_slice(rest, (size_t)(at - rest.p) + 1, rest.len);
        }
        return count;
}

static inline bool harness_ends(struct harness *harness, const char *text)
{
        return str_ends(harness_received(harness), str_of(text));
}

/* All that is on its way has arrived. */
static inline void harness_quiet(struct harness *harness)
{
        for (int i = 0; i < 20; i++)
                loop_step(harness->loop, false);
}

#define http_test(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

#endif
