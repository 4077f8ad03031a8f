/* tests/unit/http/test_limits.c: the server against clients that are slow, greedy, broken or gone. */
#include "harness.h"

#include "base/clock.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

enum { BLOCK = 65536 };

static struct http_limits limits_with(uint32_t *slot, uint32_t value, struct http_limits *limits)
{
        *slot = value;
        return *limits;
}

/* harness_reopen with one limit changed. */
#define reopen_with(harness, field, value)                                                                   \
        do {                                                                                                 \
                struct http_limits changed = http_limits_default;                                            \
                harness_reopen(harness, limits_with(&changed.field, value, &changed));                       \
        } while (0)

static void a_body_over_the_limit_is_refused_before_the_handler(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->requests, 0);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 413 ")));
        assert_true(harness_has(harness, "the limit of 10485760 bytes"));
}

static void a_body_over_the_handlers_limit_is_too_large(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /collect10 HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->body_code, ERR_TOO_LARGE);
        assert_true(harness_has(harness, "HTTP/1.1 413 "));

        harness_reopen(harness, http_limits_default);
        harness_send(harness, STR("POST /collect10 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->body_code, ERR_TOO_LARGE);

        harness_reopen(harness, http_limits_default);
        harness_send(harness,
                     STR("POST /collect10 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"));
        run_until(harness, harness_ends(harness, "0123456789"));
}

static void a_streamed_body_over_the_limit_is_too_large(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.body_bytes_max = 10;
        harness_reopen(harness, limits);
        harness_send(harness, STR("POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "b\r\nabcdefghijk\r\n0\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->body_code, ERR_TOO_LARGE);
}

static void heads_over_their_limits_are_refused(void **state)
{
        struct harness *harness = *state;
        own_buf struct buf in;

        buf_init(&in, 1 << 20);
        buf_printf(&in, "GET /%070000d HTTP/1.1\r\n", 0);
        harness_send(harness, (struct str){in.data, in.len});
        run_until(harness, harness->client_eof);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 414 ")));

        harness_reopen(harness, http_limits_default);
        buf_clear(&in);
        buf_printf(&in, "GET / HTTP/1.1\r\nHost: a\r\nA: %070000d\r\n", 0);
        harness_send(harness, (struct str){in.data, in.len});
        run_until(harness, harness->client_eof);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 431 ")));

        harness_reopen(harness, http_limits_default);
        buf_clear(&in);
        buf_append_text(&in, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 0; i < 100; i++)
                buf_append_text(&in, "A: b\r\n");
        harness_send(harness, (struct str){in.data, in.len});
        run_until(harness, harness->client_eof);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 431 ")));
}

static void a_head_of_60_kib_is_taken(void **state)
{
        struct harness *harness = *state;
        own_buf struct buf in;

        buf_init(&in, 1 << 20);
        buf_printf(&in, "GET /target HTTP/1.1\r\nHost: a\r\nA: %060000d\r\n\r\n", 0);
        harness_send(harness, (struct str){in.data, in.len});
        harness_send(harness, (struct str){in.data, in.len});
        run_until(harness, harness_count(harness, "\r\n\r\n/target") == 2);
}

/* Sends one byte each time the loop comes around. */
static void trickle(struct harness *harness, char byte)
{
        while (!harness->client_eof) {
                harness_send(harness, (struct str){&byte, 1});
                loop_step(harness->loop, true);
        }
}

static void a_head_that_trickles_in_is_refused_in_time(void **state)
{
        struct harness *harness = *state;

        reopen_with(harness, header_timeout_ms, 100);
        uint64_t start = clock_mono_ms();
        harness_send(harness, STR("GET /hello HTTP/1.1\r\nHost: a\r\nA: "));
        loop_step(harness->loop, true);
        assert_false(harness->client_eof);
        /* Not so many that the head becomes too large before it is too late. */
        for (int sent = 0; !harness_has(harness, "HTTP/1.1 408 "); sent++) {
                assert_false(harness->client_eof);
                if (sent < 20000)
                        harness_send(harness, STR("b"));
                loop_step(harness->loop, true);
        }
        assert_true(clock_mono_ms() - start >= 90);
        assert_int_equal(harness->requests, 0);
}

static void a_body_that_trickles_in_times_out(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.body_timeout_ms = 60;
        limits.body_rate_min = 1 << 30;
        harness_reopen(harness, limits);
        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"));
        trickle(harness, 'x');
        assert_int_equal(harness->body_code, ERR_TIMEOUT);
        assert_true(harness_has(harness, "HTTP/1.1 408 "));
}

static void a_body_that_keeps_its_rate_may_take_its_time(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.body_timeout_ms = 40;
        limits.body_rate_min = 0;
        harness_reopen(harness, limits);
        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
        uint64_t start = clock_mono_ms();
        int sent = 0;
        while (clock_mono_ms() - start < 200) {
                harness_send(harness, STR("x"));
                sent++;
                loop_step(harness->loop, true);
        }
        assert_false(harness->client_eof);
        for (; sent < 100000; sent++)
                harness_send(harness, STR("x"));
        run_until(harness, harness_has(harness, "HTTP/1.1 200 "));
}

static void a_body_that_stops_times_out(void **state)
{
        struct harness *harness = *state;

        reopen_with(harness, body_timeout_ms, 60);
        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->body_code, ERR_TIMEOUT);
}

static void a_handler_has_all_the_time_it_wants(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.body_timeout_ms = limits.idle_timeout_ms = limits.header_timeout_ms = limits.write_timeout_ms =
                20;
        harness_reopen(harness, limits);
        harness->watch_abort = true;
        harness_send(harness, STR(GET("/hold")));
        uint64_t start = clock_mono_ms();
        run_until(harness, clock_mono_ms() - start > 150);
        assert_int_equal(harness->aborted, 0);
        http_reply(harness->held, 200, (struct http_fields){0}, STR("late"));
        run_until(harness, harness_ends(harness, "late"));
}

static void an_idle_connection_is_closed_silently(void **state)
{
        struct harness *harness = *state;

        reopen_with(harness, idle_timeout_ms, 60);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        buf_clear(&harness->received);
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->received.len, 0);
}

static void a_connection_that_says_nothing_is_closed_silently(void **state)
{
        struct harness *harness = *state;

        reopen_with(harness, header_timeout_ms, 60);
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->received.len, 0);
}

static void a_connection_that_was_idle_still_works(void **state)
{
        struct harness *harness = *state;
        struct http_limits limits = http_limits_default;

        limits.write_timeout_ms = 20; /* the tick is a quarter of it */
        harness_reopen(harness, limits);
        for (int i = 0; i < 3; i++) {
                buf_clear(&harness->received);
                harness_send(harness, STR(GET("/hello")));
                run_until(harness, harness_ends(harness, "hello"));
                uint64_t start = clock_mono_ms();
                run_until(harness, clock_mono_ms() - start > 40);
        }
        assert_false(harness->client_eof);
}

static void the_handler_is_told_that_the_client_is_gone(void **state)
{
        struct harness *harness = *state;

        harness->watch_abort = true;
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        harness_disconnect(harness);
        run_until(harness, harness->aborted == 1);
        assert_null(harness->held);
}

static void the_handler_is_told_even_when_requests_are_waiting(void **state)
{
        struct harness *harness = *state;

        harness->watch_abort = true;
        harness_send(harness, STR(GET("/hold") GET("/hello")));
        run_until(harness, harness->held != NULL);
        harness_disconnect(harness);
        run_until(harness, harness->aborted == 1);
        assert_int_equal(harness->requests, 1);
}

static void a_handler_that_was_not_told_replies_into_the_void(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        harness_disconnect(harness);
        harness_quiet(harness);
        http_reply(harness->held, 200, (struct http_fields){0}, STR("nobody"));

        harness_connect(harness);
        harness_send(harness, STR(GET("/hold")));
        harness->held = NULL;
        run_until(harness, harness->held != NULL);
        harness_disconnect(harness);
        harness_quiet(harness);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, NULL, NULL);
        assert_true(http_reply_write(harness->held, STR("nobody")));
        http_reply_end(harness->held);
}

static void whoever_asks_too_late_is_told_too(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        harness_disconnect(harness);
        harness_quiet(harness);
        http_on_abort(harness->held, harness_on_abort, harness);
        run_until(harness, harness->aborted == 1);
}

static void a_body_is_cancelled_when_the_client_goes(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"));
        run_until(harness, harness->requests == 1);
        harness_disconnect(harness);
        run_until(harness, harness->body_code == ERR_CANCELLED);
}

/* Streams until the socket and the queue are full; the number of bytes that were written. */
static size_t fill(struct http_exchange *exchange)
{
        static const char block[BLOCK];
        size_t written = BLOCK;

        while (http_reply_write(exchange, (struct str){block, BLOCK}))
                written += BLOCK;
        return written;
}

static void a_client_that_does_not_read_holds_up_the_handler(void **state)
{
        struct harness *harness = *state;

        harness_client_reads(harness, false);
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, harness_writable, harness);
        size_t written = fill(harness->held);
        harness_quiet(harness);
        assert_int_equal(harness->writable, 0);
        assert_true(written < 4 << 20);

        harness_client_reads(harness, true);
        run_until(harness, harness->writable == 1);
        http_reply_end(harness->held);
        run_until(harness, harness_ends(harness, "0\r\n\r\n"));
        assert_true(harness->received.len > written);
        assert_true(harness->received.len < written + written / 100 + 1000);
}

static void a_handler_that_pauses_holds_up_the_client(void **state)
{
        struct harness *harness = *state;
        static const char block[BLOCK];
        size_t sent = 0;

        harness->pause = true;
        harness_send(harness, STR("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n"));
        run_until(harness, harness->held != NULL);
        http_read(harness->held, harness_chunk, harness);
        for (int idle = 0; idle < 20; idle++) {
                ssize_t n = harness_client_send(harness, block, sizeof(block));
                if (n > 0) {
                        sent += (size_t)n;
                        idle = 0;
                }
                loop_step(harness->loop, false);
        }
        assert_int_equal(harness->chunks, 1);
        assert_true(sent < 4000000);

        harness->pause = false;
        http_read_resume(harness->held);
        while (sent < 4000000) {
                size_t len = 4000000 - sent < BLOCK ? 4000000 - sent : BLOCK;
                harness_send(harness, (struct str){block, len});
                sent += len;
        }
        run_until(harness, harness->read_last);
        assert_int_equal(harness->read_bytes, 4000000);
        http_reply(harness->held, 200, (struct http_fields){0}, STR("all"));
        run_until(harness, harness_ends(harness, "all"));
}

static void a_client_that_never_reads_is_given_up(void **state)
{
        struct harness *harness = *state;

        reopen_with(harness, write_timeout_ms, 60);
        harness->watch_abort = true;
        harness_client_reads(harness, false);
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, harness_writable, harness);
        fill(harness->held);
        run_until(harness, harness->aborted == 1);
        assert_int_equal(harness->writable, 0);
}

static void a_slow_reader_that_makes_progress_is_kept(void **state)
{
        struct harness *harness = *state;
        static char block[BLOCK];
        uint64_t start = clock_mono_ms();

        reopen_with(harness, write_timeout_ms, 60);
        harness->watch_abort = true;
        harness_client_reads(harness, false);
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, harness_writable, harness);
        fill(harness->held);
        while (clock_mono_ms() - start < 300) {
                assert_true(harness_client_recv(harness, block, 16000) != 0);
                loop_step(harness->loop, true);
        }
        assert_int_equal(harness->aborted, 0);
        http_abort(harness->held);
}

static void note_drained(void *arg)
{
        struct harness *harness = arg;

        harness->drained++;
}

static void draining_closes_idle_connections_at_once(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        http_server_drain(harness->server, note_drained, harness);
        assert_int_equal(harness->drained, 0);
        run_until(harness, harness->drained == 1 && harness->client_eof);
}

static void draining_lets_busy_connections_finish(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_server_drain(harness->server, note_drained, harness);
        harness_quiet(harness);
        assert_int_equal(harness->drained, 0);
        http_reply(harness->held, 200, (struct http_fields){0}, STR("last"));
        run_until(harness, harness->drained == 1 && harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_true(harness_ends(harness, "last"));
}

static void draining_answers_a_request_that_is_already_there(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello")));
        http_server_drain(harness->server, note_drained, harness);
        run_until(harness, harness->drained == 1 && harness->client_eof);
        assert_true(harness_ends(harness, "hello"));
}

static void one_that_was_replaced_still_answers_on_a_kept_connection_once(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_false(harness_has(harness, "Connection: close\r\n"));
        assert_int_equal(http_server_retire(harness->server, 3600000, note_drained, harness, NULL), ERR_OK);
        harness_quiet(harness);
        assert_false(harness->client_eof);
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness->drained == 1 && harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_true(harness_ends(harness, "hello"));
}

static void a_grace_ends_by_itself_or_when_it_is_told_to(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_int_equal(http_server_retire(harness->server, 3600000, note_drained, harness, NULL), ERR_OK);
        http_server_hurry(harness->server);
        run_until(harness, harness->drained == 1 && harness->client_eof);
        http_server_hurry(harness->server); /* nothing is left to end */
}

static void draining_nothing_is_done_soon(void **state)
{
        struct harness *harness = *state;

        harness_disconnect(harness);
        harness_quiet(harness);
        http_server_drain(harness->server, note_drained, harness);
        run_until(harness, harness->drained == 1);
}

static void the_end_of_the_server_aborts_what_is_open(void **state)
{
        struct harness *harness = *state;

        harness->watch_abort = true;
        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_server_destroy(harness->server);
        harness->server = NULL;
        assert_int_equal(harness->aborted, 1);
        run_until(harness, harness->client_eof);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                http_test(a_body_over_the_limit_is_refused_before_the_handler),
                http_test(a_body_over_the_handlers_limit_is_too_large),
                http_test(a_streamed_body_over_the_limit_is_too_large),
                http_test(heads_over_their_limits_are_refused),
                http_test(a_head_of_60_kib_is_taken),
                http_test(a_head_that_trickles_in_is_refused_in_time),
                http_test(a_body_that_trickles_in_times_out),
                http_test(a_body_that_keeps_its_rate_may_take_its_time),
                http_test(a_body_that_stops_times_out),
                http_test(a_handler_has_all_the_time_it_wants),
                http_test(an_idle_connection_is_closed_silently),
                http_test(a_connection_that_says_nothing_is_closed_silently),
                http_test(a_connection_that_was_idle_still_works),
                http_test(the_handler_is_told_that_the_client_is_gone),
                http_test(the_handler_is_told_even_when_requests_are_waiting),
                http_test(a_handler_that_was_not_told_replies_into_the_void),
                http_test(whoever_asks_too_late_is_told_too),
                http_test(a_body_is_cancelled_when_the_client_goes),
                http_test(a_client_that_does_not_read_holds_up_the_handler),
                http_test(a_handler_that_pauses_holds_up_the_client),
                http_test(a_client_that_never_reads_is_given_up),
                http_test(a_slow_reader_that_makes_progress_is_kept),
                http_test(draining_closes_idle_connections_at_once),
                http_test(draining_lets_busy_connections_finish),
                http_test(draining_answers_a_request_that_is_already_there),
                http_test(one_that_was_replaced_still_answers_on_a_kept_connection_once),
                http_test(a_grace_ends_by_itself_or_when_it_is_told_to),
                http_test(draining_nothing_is_done_soon),
                http_test(the_end_of_the_server_aborts_what_is_open),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
