/* tests/unit/http/test_client.c: the client against the server, and against peers that misbehave. */
#include "harness.h"

#include "http/client.h"

#include <stdlib.h>

enum { BLOCK = 50000 };

struct result {
        int done;
        enum err_code code;
        char text[ERR_TEXT_MAX];
        int status;
        struct buf body;
        int heads, chunks, writable;
        bool cancel_in_chunk;
        bool pause_in_chunk;
        struct http_call *call;
};

static struct http_client *client;
static struct http_target target;
static struct result result;
static int listener;

static void on_done(struct http_call *call, void *arg, const struct err *err,
                    const struct http_response *response, struct str body)
{
        struct result *into = arg;

        assert_ptr_equal(call, into->call);
        into->done++;
        into->code = err->code;
        snprintf(into->text, sizeof(into->text), "%s", err->code != ERR_OK ? err->text : "");
        into->status = response != NULL ? response->status : 0;
        assert_int_equal(buf_append(&into->body, body.p, body.len), ERR_OK);
}

static void on_head(struct http_call *call, void *arg, const struct http_response *response)
{
        struct result *into = arg;

        (void)call;
        into->heads++;
        into->status = response->status;
}

static void on_chunk(struct http_call *call, void *arg, struct str bytes)
{
        struct result *into = arg;

        into->chunks++;
        assert_int_equal(buf_append(&into->body, bytes.p, bytes.len), ERR_OK);
        if (into->pause_in_chunk)
                http_call_pause(call);
        if (into->cancel_in_chunk)
                http_call_cancel(call);
}

static void on_writable(struct http_call *call, void *arg)
{
        struct result *into = arg;

        (void)call;
        into->writable++;
}

static struct http_call_spec spec_of(const char *method, const char *path)
{
        return (struct http_call_spec){
                .target = &target,
                .method = str_of(method),
                .path = str_of(path),
                .host = STR("a"),
                .reply_bytes_max = 1 << 24,
                .arg = &result,
                .done = on_done,
        };
}

static void result_clear(void)
{
        buf_finish(&result.body);
        result = (struct result){0};
        buf_init(&result.body, 1 << 24);
}

static void start(const struct http_call_spec *spec)
{
        result_clear();
        assert_int_equal(http_call_start(client, spec, &result.call, NULL), ERR_OK);
        assert_int_equal(result.done, 0);
}

static bool body_is(const char *text)
{
        return str_eq((struct str){result.body.data, result.body.len}, str_of(text));
}

static int client_setup_with(void **state, struct http_client_limits limits)
{
        static struct harness harness;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(address);

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(listener >= 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(listener, 16), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        assert_int_equal(http_target_tcp("127.0.0.1", ntohs(address.sin_port), &target, NULL), ERR_OK);
        harness = (struct harness){.limits = http_limits_default};
        harness_open(&harness, &listener, 1);
        assert_int_equal(http_client_create(harness.loop, &limits, &client, NULL), ERR_OK);
        *state = &harness;
        return 0;
}

static int client_setup(void **state)
{
        return client_setup_with(state, http_client_limits_default);
}

static int client_teardown(void **state)
{
        http_client_destroy(client);
        harness_teardown(state);
        close(listener);
        buf_finish(&result.body);
        return 0;
}

/* Puts a connection into the pool whose other end is the test itself. */
static void adopt_raw(struct harness *harness)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(http_client_adopt(client, &target, fds[1], NULL), ERR_OK);
        harness_connect_fd(harness, fds[0]);
}

static void a_connection_is_used_again(void **state)
{
        struct harness *harness = *state;
        char first[64];
        struct http_call_spec spec = spec_of("GET", "/peer");

        start(&spec);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_OK);
        assert_int_equal(result.status, 200);
        snprintf(first, sizeof(first), "%s", buf_text(&result.body));
        assert_true(str_starts(str_of(first), STR("127.0.0.1:")));
        start(&spec);
        run_until(harness, result.done == 1);
        assert_true(body_is(first));
}

static void calls_at_once_have_a_connection_each(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hold");
        struct http_call *held;

        start(&spec);
        held = result.call;
        run_until(harness, harness->held != NULL);
        spec = spec_of("GET", "/hello");
        start(&spec);
        run_until(harness, result.done == 1);
        assert_true(body_is("hello"));
        http_call_cancel(held);
        harness_quiet(harness);
        http_reply(harness->held, 200, (struct http_fields){0}, STR(""));
}

static void a_body_and_fields_are_sent(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("POST", "/echo");
        const struct http_field fields[] = {{STR("X-A"), STR("b")},
                                            {STR("content-length"), STR("1")},
                                            {STR("Expect"), STR("100-continue")}};
        own_buf struct buf body;

        buf_init(&body, 1 << 24);
        while (body.len < 5000000)
                buf_append_text(&body, "0123456789");
        spec.fields = (struct http_fields){fields, 3};
        spec.body = (struct str){body.data, body.len};
        start(&spec);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_OK);
        assert_int_equal(result.body.len, body.len);
        assert_memory_equal(result.body.data, body.data, body.len);
}

static void a_reply_over_the_bound_is_too_large(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hello");

        spec.reply_bytes_max = 4;
        start(&spec);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_TOO_LARGE);
        spec.reply_bytes_max = 5;
        start(&spec);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_OK);
}

static void head_has_no_body_and_keeps_the_connection(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("HEAD", "/hello");

        for (int i = 0; i < 2; i++) {
                start(&spec);
                run_until(harness, result.done == 1);
                assert_int_equal(result.status, 200);
                assert_int_equal(result.body.len, 0);
        }
}

static void bodies_are_streamed_both_ways(void **state)
{
        struct harness *harness = *state;

        for (int chunked = 0; chunked < 2; chunked++) {
                struct http_call_spec spec = spec_of("POST", "/duplex");
                spec.stream = true;
                spec.body_length = chunked ? HTTP_CALL_CHUNKED : 6;
                spec.head = on_head;
                spec.chunk = on_chunk;
                start(&spec);
                assert_true(http_call_write(result.call, STR("abc")));
                run_until(harness, result.heads == 1 && body_is("abc"));
                assert_int_equal(result.done, 0);
                assert_true(http_call_write(result.call, STR("def")));
                http_call_end(result.call);
                run_until(harness, result.done == 1);
                assert_int_equal(result.code, ERR_OK);
                assert_true(body_is("abcdef"));
        }
}

static void a_server_that_does_not_read_holds_up_a_streamed_body(void **state)
{
        struct harness *harness = *state;
        static const char block[BLOCK];
        struct http_call_spec spec = spec_of("POST", "/hold");
        size_t sent = BLOCK;

        spec.stream = true;
        spec.body_length = HTTP_CALL_CHUNKED;
        spec.writable = on_writable;
        start(&spec);
        while (http_call_write(result.call, (struct str){block, BLOCK}))
                sent += BLOCK;
        run_until(harness, harness->held != NULL);
        for (int i = 0; i < 20; i++) {
                while (result.writable > 0 && http_call_write(result.call, (struct str){block, BLOCK}))
                        sent += BLOCK;
                loop_step(harness->loop, false);
        }
        assert_true(sent < 10 << 20);
        int writable = result.writable;
        http_read(harness->held, harness_chunk, harness);
        run_until(harness, result.writable > writable);
        http_call_end(result.call);
        run_until(harness, harness->read_last);
        assert_true(harness->read_bytes >= sent);
        http_reply(harness->held, 200, (struct http_fields){0}, STR("all"));
        run_until(harness, result.done == 1);
        assert_true(body_is("all"));
}

static void a_paused_call_holds_up_the_server(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hold");

        spec.chunk = on_chunk;
        start(&spec);
        run_until(harness, harness->held != NULL);
        result.pause_in_chunk = true;
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, harness_writable, harness);
        http_reply_write(harness->held, STR("one"));
        run_until(harness, result.chunks == 1);
        http_reply_write(harness->held, STR("two"));
        harness_quiet(harness);
        assert_int_equal(result.chunks, 1);
        result.pause_in_chunk = false;
        http_call_resume(result.call);
        http_reply_end(harness->held);
        run_until(harness, result.done == 1);
        assert_true(body_is("onetwo"));
}

static void a_call_may_be_cancelled_from_its_own_callback(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hello");

        spec.chunk = on_chunk;
        start(&spec);
        result.cancel_in_chunk = true;
        run_until(harness, result.chunks == 1);
        harness_quiet(harness);
        assert_int_equal(result.done, 0);
}

static void a_cancelled_call_tells_the_server(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hold");

        harness->watch_abort = true;
        start(&spec);
        run_until(harness, harness->held != NULL);
        http_call_cancel(result.call);
        run_until(harness, harness->aborted == 1);
        assert_int_equal(result.done, 0);
}

static void nobody_listening_is_unavailable(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/");
        struct http_target nobody;
        struct err err;

        assert_int_equal(http_target_unix("/nonexistent/socket", &nobody, NULL), ERR_OK);
        spec.target = &nobody;
        assert_int_equal(http_call_start(client, &spec, &result.call, &err), ERR_UNAVAILABLE);

        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(address);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        assert_int_equal(http_target_tcp("127.0.0.1", ntohs(address.sin_port), &nobody, NULL), ERR_OK);
        result_clear();
        enum err_code code = http_call_start(client, &spec, &result.call, &err);
        if (code == ERR_OK) {
                run_until(harness, result.done == 1);
                code = result.code;
        }
        assert_int_equal(code, ERR_UNAVAILABLE);
        close(fd);
}

static void a_unix_socket_is_a_target_too(void **state)
{
        struct harness *harness = *state;
        char directory[] = "/tmp/http-client-XXXXXX";
        struct http_call_spec spec = spec_of("GET", "/peer");
        struct http_target local;
        char path[64];

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/s", directory);
        assert_int_equal(http_target_unix(path, &local, NULL), ERR_OK);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(fd, &local.address.any, local.len), 0);
        assert_int_equal(listen(fd, 4), 0);
        struct http_server *server;
        struct http_handler handler = {.ctx = harness, .on_request = harness_on_request};
        assert_int_equal(http_server_create(harness->loop, &fd, 1, NULL, &handler, &server, NULL), ERR_OK);
        spec.target = &local;
        start(&spec);
        run_until(harness, result.done == 1);
        assert_true(body_is("unix"));
        http_server_destroy(server);
        close(fd);
        unlink(path);
        rmdir(directory);
}

static void a_stale_connection_is_replaced_for_an_idempotent_request(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hello");

        adopt_raw(harness);
        start(&spec); /* goes to the adopted connection, */
        run_until(harness, harness_has(harness, "GET /hello"));
        harness_disconnect(harness); /* which ends without a reply */
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_OK);
        assert_true(body_is("hello"));
}

static void other_requests_are_not_sent_twice(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("POST", "/hello");

        adopt_raw(harness);
        start(&spec);
        run_until(harness, harness_has(harness, "POST /hello"));
        harness_disconnect(harness);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_BAD_REPLY);
        assert_int_equal(harness->requests, 0);
}

static void a_connection_known_to_be_over_is_not_used(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("POST", "/hello");

        adopt_raw(harness);
        harness_disconnect(harness);
        start(&spec);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_OK);
}

static void a_reply_that_began_is_not_asked_for_again(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hello");

        adopt_raw(harness);
        start(&spec);
        run_until(harness, harness_has(harness, "GET /hello"));
        harness_send(harness, STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"));
        harness_quiet(harness);
        harness_disconnect(harness);
        run_until(harness, result.done == 1);
        assert_int_equal(result.code, ERR_BAD_REPLY);
        assert_int_equal(harness->requests, 0);
}

static void answer(struct harness *harness, struct str reply, bool then_close)
{
        struct http_call_spec spec = spec_of("GET", "/");

        adopt_raw(harness);
        start(&spec);
        run_until(harness, harness_has(harness, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        harness_send(harness, reply);
        if (then_close)
                shutdown(harness->client, SHUT_WR);
        run_until(harness, result.done == 1);
}

static void interim_replies_are_passed_over(void **state)
{
        struct harness *harness = *state;

        answer(harness,
               STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nab"),
               false);
        assert_int_equal(result.status, 201);
        assert_true(body_is("ab"));
        harness_disconnect(harness);
}

static void a_reply_until_the_close_is_complete_with_it(void **state)
{
        struct harness *harness = *state;

        answer(harness, STR("HTTP/1.0 200 OK\r\n\r\nall of it"), true);
        assert_int_equal(result.code, ERR_OK);
        assert_true(body_is("all of it"));
        run_until(harness, harness->client_eof);
        harness_disconnect(harness);
}

static void what_is_no_reply_is_an_error(void **state)
{
        struct harness *harness = *state;
        static const struct str replies[] = {
                STR_INIT("SSH-2.0-x\r\n"),
                STR_INIT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
                STR_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
                STR_INIT("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        };

        for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
                answer(harness, replies[i], false);
                assert_int_equal(result.code, ERR_BAD_REPLY);
                run_until(harness, harness->client_eof);
                harness_disconnect(harness);
        }
        answer(harness, STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), true);
        assert_int_equal(result.code, ERR_BAD_REPLY);
        harness_disconnect(harness);
}

static void bytes_behind_a_reply_end_the_connection(void **state)
{
        struct harness *harness = *state;

        answer(harness, STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n"), false);
        assert_true(body_is("ab"));
        run_until(harness, harness->client_eof);
        harness_disconnect(harness);
}

static void a_reply_before_the_request_was_sent_ends_the_connection(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("POST", "/");

        adopt_raw(harness);
        spec.stream = true;
        spec.body_length = HTTP_CALL_CHUNKED;
        start(&spec);
        run_until(harness, harness_has(harness, "chunked\r\n\r\n"));
        harness_send(harness, STR("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n"));
        run_until(harness, result.done == 1 && harness->client_eof);
        assert_int_equal(result.status, 413);
        harness_disconnect(harness);
}

static void a_reply_that_takes_too_long_times_out(void **state)
{
        struct harness *harness = *state;
        struct http_client_limits limits = http_client_limits_default;
        struct http_call_spec spec = spec_of("GET", "/hold");

        client_teardown(state);
        limits.reply_timeout_ms = limits.body_timeout_ms = limits.idle_timeout_ms = 60;
        client_setup_with(state, limits);
        harness->watch_abort = true;
        start(&spec);
        run_until(harness, result.done == 1 && harness->aborted == 1);
        assert_int_equal(result.code, ERR_TIMEOUT);

        start(&spec);
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, 5, NULL, NULL);
        http_reply_write(harness->held, STR("ab"));
        run_until(harness, result.done == 1 && harness->aborted == 2);
        assert_int_equal(result.code, ERR_TIMEOUT);
}

static void an_idle_connection_leaves_the_pool_in_time(void **state)
{
        struct harness *harness = *state;
        struct http_client_limits limits = http_client_limits_default;

        client_teardown(state);
        limits.idle_timeout_ms = 60;
        client_setup_with(state, limits);
        adopt_raw(harness);
        run_until(harness, harness->client_eof);
        harness_disconnect(harness);
}

static void the_pool_is_bounded(void **state)
{
        struct harness *harness = *state;
        struct http_client_limits limits = http_client_limits_default;
        struct http_call_spec spec = spec_of("GET", "/hold");
        struct http_call *call;

        client_teardown(state);
        limits.connections_max = 1;
        client_setup_with(state, limits);
        start(&spec);
        assert_int_equal(http_call_start(client, &spec, &call, NULL), ERR_LIMIT);
        run_until(harness, harness->held != NULL);
        http_reply(harness->held, 200, (struct http_fields){0}, STR(""));
        run_until(harness, result.done == 1);
}

static void the_end_of_the_client_cancels_calls(void **state)
{
        struct harness *harness = *state;
        struct http_call_spec spec = spec_of("GET", "/hold");

        harness->watch_abort = true;
        start(&spec);
        run_until(harness, harness->held != NULL);
        http_client_destroy(client);
        client = NULL;
        assert_int_equal(result.done, 1);
        assert_int_equal(result.code, ERR_CANCELLED);
        run_until(harness, harness->aborted == 1);
}

static void malformed_requests_are_not_sent(void **state)
{
        struct http_call_spec spec = spec_of("GET", "/");
        const struct http_field bad = {STR("A"), STR("b\r\nC: d")};

        (void)state;
        spec.fields = (struct http_fields){&bad, 1};
        assert_int_equal(http_call_start(client, &spec, &result.call, NULL), ERR_INVALID);
        spec = spec_of("GET", "/a b");
        assert_int_equal(http_call_start(client, &spec, &result.call, NULL), ERR_INVALID);
        spec = spec_of("G T", "/");
        assert_int_equal(http_call_start(client, &spec, &result.call, NULL), ERR_INVALID);
}

#define client_test(name) cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                client_test(a_connection_is_used_again),
                client_test(calls_at_once_have_a_connection_each),
                client_test(a_body_and_fields_are_sent),
                client_test(a_reply_over_the_bound_is_too_large),
                client_test(head_has_no_body_and_keeps_the_connection),
                client_test(bodies_are_streamed_both_ways),
                client_test(a_server_that_does_not_read_holds_up_a_streamed_body),
                client_test(a_paused_call_holds_up_the_server),
                client_test(a_call_may_be_cancelled_from_its_own_callback),
                client_test(a_cancelled_call_tells_the_server),
                client_test(nobody_listening_is_unavailable),
                client_test(a_unix_socket_is_a_target_too),
                client_test(a_stale_connection_is_replaced_for_an_idempotent_request),
                client_test(other_requests_are_not_sent_twice),
                client_test(a_connection_known_to_be_over_is_not_used),
                client_test(a_reply_that_began_is_not_asked_for_again),
                client_test(interim_replies_are_passed_over),
                client_test(a_reply_until_the_close_is_complete_with_it),
                client_test(what_is_no_reply_is_an_error),
                client_test(bytes_behind_a_reply_end_the_connection),
                client_test(a_reply_before_the_request_was_sent_ends_the_connection),
                client_test(a_reply_that_takes_too_long_times_out),
                client_test(an_idle_connection_leaves_the_pool_in_time),
                client_test(the_pool_is_bounded),
                client_test(the_end_of_the_client_cancels_calls),
                client_test(malformed_requests_are_not_sent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
