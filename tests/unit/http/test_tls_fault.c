/*
 * tests/unit/http/test_tls_fault.c: TLS when memory runs out: the n-th allocation of OpenSSL fails, for each
 * n until a whole run has fewer. A connection is lost at worst, a context is refused with an error.
 */
#define HARNESS_TLS
#include "harness.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 60, RUNS_MAX = 20000, CONTEXT_STRIDE = 11 /* it reads keys, which takes long */ };

static long allocations, fail_at; /* 0: none fails */
static bool ours;                 /* the server's, not the test's own client */

static bool fails(void)
{
        return fail_at > 0 && ours && ++allocations >= fail_at && allocations < fail_at + 3;
}

static void *faulty_malloc(size_t size, const char *file, int line)
{
        (void)file;
        (void)line;
        return fails() ? NULL : malloc(size);
}

static void *faulty_realloc(void *old, size_t size, const char *file, int line)
{
        (void)file;
        (void)line;
        return fails() ? NULL : realloc(old, size);
}

static void faulty_free(void *old, const char *file, int line)
{
        (void)file;
        (void)line;
        free(old);
}

static struct buf certificate = {.max = 1 << 20}, key = {.max = 1 << 20};

static void a_context_is_whole_or_an_error(void **state)
{
        const struct tls_pair pair = {
                {certificate.data, certificate.len}, {key.data, key.len}, "the.crt", "the.key"};
        long run;
        bool failed = true;

        (void)state;
        for (run = 1; failed && run < RUNS_MAX; run += CONTEXT_STRIDE) {
                struct tls_context *context = NULL;
                struct err err = {.code = ERR_OK};
                allocations = 0;
                fail_at = run;
                ours = true;
                enum err_code code = tls_context_create(&pair, 1, NULL, NULL, &context, &err);
                ours = false;
                failed = allocations >= fail_at;
                assert_true(code == ERR_OK ? context != NULL : context == NULL && err.text[0] != '\0');
                tls_context_unref(context);
        }
        fail_at = 0;
        assert_true(run > 10 && run < RUNS_MAX);
}

static void a_certificate_of_its_own_is_whole_or_an_error(void **state)
{
        const struct str names[] = {STR("localhost"), STR("127.0.0.1")};
        bool failed = true;
        long run;

        (void)state;
        for (run = 1; failed && run < RUNS_MAX; run += 5) {
                own_buf struct buf made = {.max = 1 << 20}, made_key = {.max = 1 << 20};
                allocations = 0;
                fail_at = run;
                ours = true;
                enum err_code code = tls_self_sign(names, 2, &made, &made_key, NULL);
                ours = false;
                failed = allocations >= fail_at;
                assert_true((code == ERR_OK) == (made.len > 0 && made_key.len > 0));
        }
        fail_at = 0;
        assert_true(run > 10 && run < RUNS_MAX);
}

static void step(struct harness *harness)
{
        ours = true;
        loop_step(harness->loop, false);
        ours = false;
}

/* A handshake and a request, as far as they get. */
static void visit(struct harness *harness)
{
        static const char request[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n";
        static const char body[30000];
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        harness->client = fds[0];
        assert_int_equal(http_server_adopt_tls(harness->server, fds[1], NULL), ERR_OK);
        harness_secure(harness);
        int steps = 0;
        while (SSL_do_handshake(harness->ssl) != 1 && steps++ < STEPS)
                step(harness);
        if (SSL_is_init_finished(harness->ssl) && SSL_write(harness->ssl, request, sizeof(request) - 1) > 0)
                SSL_write(harness->ssl, body, sizeof(body));
        for (steps = 0; steps < STEPS; steps++) {
                char sink[4096];
                step(harness);
                (void)SSL_read(harness->ssl, sink, sizeof(sink));
                ERR_clear_error();
        }
        SSL_free(harness->ssl);
        harness->ssl = NULL;
        close(harness->client);
        harness->client = -1;
        for (steps = 0; steps < 5; steps++)
                step(harness);
}

static void a_connection_is_lost_at_worst(void **state)
{
        struct harness *harness = *state;
        bool failed = true;
        long run;

        harness_disconnect(harness);
        for (run = 1; failed && run < RUNS_MAX; run++) {
                allocations = 0;
                fail_at = run;
                visit(harness);
                failed = allocations >= fail_at;
        }
        fail_at = 0;
        assert_true(run > 10 && run < RUNS_MAX);
        harness_connect(harness);
        harness_send(harness, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        run_until(harness, harness_ends(harness, "hello"));
}

int main(void)
{
        const struct str name = STR("localhost");
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_context_is_whole_or_an_error),
                cmocka_unit_test(a_certificate_of_its_own_is_whole_or_an_error),
                http_test(a_connection_is_lost_at_worst),
        };

        if (CRYPTO_set_mem_functions(faulty_malloc, faulty_realloc, faulty_free) != 1 ||
            tls_self_sign(&name, 1, &certificate, &key, NULL) != ERR_OK)
                return 1;
        int failures = cmocka_run_group_tests(tests, NULL, NULL);
        buf_finish(&certificate);
        buf_finish(&key);
        return failures;
}
