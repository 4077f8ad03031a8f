/*
 * tests/unit/http/test_fault.c: the server and the client when memory runs out. The linker sends their
 * allocations here; the n-th fails, for each n until a whole run has fewer. Nothing may crash, leak or wait
 * for ever: a connection is lost at worst.
 */
#include "harness.h"

#include "http/client.h"

#include <stdlib.h>

enum { STEPS = 60, RUNS_MAX = 2000 };

static long allocations, fail_at; /* 0: none fails */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
        return fail_at > 0 && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return fails() ? NULL : __real_realloc(old, size);
}

/* Everything that the test itself needs is allocated before the first failure. */
static void prepare(struct harness *harness)
{
        *harness = (struct harness){.limits = http_limits_default, .client = -1};
        assert_int_equal(loop_create(&harness->loop, NULL), ERR_OK);
        buf_init(&harness->received, HARNESS_RECEIVED_MAX);
        assert_int_equal(buf_reserve(&harness->received, 1 << 20), ERR_OK);
        allocations = 0;
}

static void finish(struct harness *harness)
{
        fail_at = 0;
        http_server_destroy(harness->server);
        if (harness->client_poll != NULL)
                harness_disconnect(harness);
        loop_destroy(harness->loop);
        buf_finish(&harness->received);
}

static bool serve(struct harness *harness, int *client)
{
        struct http_handler handler = {.ctx = harness, .on_request = harness_on_request};
        int fds[2];

        if (http_server_create(harness->loop, NULL, 0, NULL, &handler, &harness->server, NULL) != ERR_OK)
                return false;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        *client = fds[0];
        if (http_server_adopt(harness->server, fds[1], NULL) == ERR_OK)
                return true;
        close(fds[0]);
        close(fds[1]);
        return false;
}

static void exchange_bytes(struct harness *harness, int fd)
{
        static char body[100000];
        static const char *const heads[] = {
                "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /target HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
                "POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
                "\r\n0\r\n\r\nPOST / HTTP/1.1\r\n\r\n",
        };

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                ssize_t sent = send(fd, heads[i], strlen(heads[i]), MSG_NOSIGNAL);
                if (i == 1 || i == 2)
                        sent = send(fd, body, sizeof(body), MSG_NOSIGNAL);
                (void)sent; /* the server may have closed */
                for (int step = 0; step < STEPS; step++) {
                        char sink[65536];
                        loop_step(harness->loop, false);
                        while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
                                ;
                }
        }
}

static void the_server_survives_each_failing_allocation(void **state)
{
        static struct harness harness;
        bool failed = true;
        long run;

        (void)state;
        for (run = 1; failed && run < RUNS_MAX; run++) {
                int fd;
                prepare(&harness);
                fail_at = run;
                if (serve(&harness, &fd)) {
                        exchange_bytes(&harness, fd);
                        close(fd);
                }
                failed = allocations >= fail_at;
                finish(&harness);
        }
        assert_true(run > 10 && run < RUNS_MAX);
}

static int calls_done;

static void on_done(struct http_call *call, void *arg, const struct err *err,
                    const struct http_response *response, struct str body)
{
        (void)call;
        (void)arg;
        (void)body;
        assert_true((response != NULL) == (err->code == ERR_OK));
        calls_done++;
}

static int start_calls(struct http_client *client)
{
        static const char body[100000];
        const struct http_field field = {STR("X-A"), STR("b")};
        struct http_target target;
        struct http_call_spec spec = {
                .target = &target, .host = STR("a"), .reply_bytes_max = 1 << 20, .done = on_done};
        struct http_call *call;
        int started = 0;

        assert_int_equal(http_target_unix("/nonexistent", &target, NULL), ERR_OK);
        spec.method = STR("POST");
        spec.path = STR("/echo");
        spec.fields = (struct http_fields){&field, 1};
        spec.body = (struct str){body, sizeof(body)};
        started += http_call_start(client, &spec, &call, NULL) == ERR_OK;
        spec.stream = true;
        spec.body_length = HTTP_CALL_CHUNKED;
        if (http_call_start(client, &spec, &call, NULL) == ERR_OK) {
                started++;
                http_call_write(call, spec.body);
                http_call_end(call);
        }
        return started;
}

/* A connection of the client's pool that leads to the server. */
static void join(struct harness *harness, struct http_client *client)
{
        struct http_target target;
        int fds[2];

        assert_int_equal(http_target_unix("/nonexistent", &target, NULL), ERR_OK);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        if (http_server_adopt(harness->server, fds[1], NULL) != ERR_OK)
                close(fds[1]);
        if (http_client_adopt(client, &target, fds[0], NULL) != ERR_OK)
                close(fds[0]);
}

static void call(struct harness *harness)
{
        struct http_client *client;
        int fd;

        if (!serve(harness, &fd))
                return;
        close(fd);
        if (http_client_create(harness->loop, NULL, &client, NULL) != ERR_OK)
                return;
        join(harness, client);
        join(harness, client);
        calls_done = 0;
        int started = start_calls(client);
        for (int step = 0; step < 10 * STEPS; step++)
                loop_step(harness->loop, false);
        http_client_destroy(client);
        assert_int_equal(calls_done, started);
}

static void the_client_ends_each_call_whatever_allocation_fails(void **state)
{
        static struct harness harness;
        bool failed = true;
        long run;

        (void)state;
        for (run = 1; failed && run < RUNS_MAX; run++) {
                prepare(&harness);
                fail_at = run;
                call(&harness);
                failed = allocations >= fail_at;
                finish(&harness);
        }
        assert_true(run > 10 && run < RUNS_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_server_survives_each_failing_allocation),
                cmocka_unit_test(the_client_ends_each_call_whatever_allocation_fails),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
