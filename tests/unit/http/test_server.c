/* tests/unit/http/test_server.c: requests and replies as a client of the server sees them. */
#include "harness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void a_connection_is_kept_for_the_next_request(void **state)
{
        struct harness *harness = *state;

        for (int i = 0; i < 3; i++) {
                harness_send(harness, STR(GET("/hello")));
                run_until(harness, harness_ends(harness, "\r\n\r\nhello"));
                assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 200 OK\r\nDate: ")));
                assert_true(harness_has(harness, "\r\nContent-Length: 5\r\n"));
                assert_false(harness_has(harness, "Connection:"));
                buf_clear(&harness->received);
        }
        assert_int_equal(harness->requests, 3);
        assert_false(harness->client_eof);
}

static void a_request_may_come_byte_by_byte(void **state)
{
        struct harness *harness = *state;
        struct str bytes = STR(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");

        for (size_t i = 0; i < bytes.len; i++) {
                harness_send(harness, str_slice(bytes, i, i + 1));
                harness_quiet(harness);
        }
        run_until(harness, harness_ends(harness, "\r\n\r\nabc"));
}

static void pipelined_requests_are_answered_in_order(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello") GET("/hold") GET("/empty")));
        run_until(harness, harness->held != NULL && harness_ends(harness, "hello"));
        harness_quiet(harness);
        assert_int_equal(harness->requests, 2);
        http_reply(harness->held, 201, (struct http_fields){0}, STR("held"));
        run_until(harness, harness_has(harness, "204"));
        assert_true(harness_has(harness, "\r\n\r\nheldHTTP/1.1 204 No Content\r\n"));
}

static void many_pipelined_requests_are_answered(void **state)
{
        struct harness *harness = *state;

        for (int i = 0; i < 1000; i++)
                harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_count(harness, "HTTP/1.1 200 OK\r\n") == 1000);
        run_until(harness, harness_ends(harness, "hello"));
}

static void http_1_0_closes_unless_asked_to_keep(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        run_until(harness, harness_ends(harness, "hello"));
        assert_true(harness_has(harness, "\r\nConnection: keep-alive\r\n"));
        harness_send(harness, STR("GET /hello HTTP/1.0\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "\r\nConnection: close\r\n"));
        assert_int_equal(harness_count(harness, "hello"), 2);
}

static void connection_close_is_honoured(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "\r\nConnection: close\r\n"));
        assert_true(harness_ends(harness, "hello"));
}

static void head_has_the_length_but_no_body(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" GET("/empty")));
        run_until(harness, harness_has(harness, "204"));
        assert_true(harness_has(harness, "Content-Length: 5\r\n\r\nHTTP/1.1 204 No Content"));
}

static void a_204_has_neither_length_nor_body(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/empty") GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_int_equal(harness_count(harness, "Content-Length"), 1);
        assert_false(harness_has(harness, "not sent"));
}

static void echo(struct harness *harness, size_t len, bool chunked, size_t split)
{
        own_buf struct buf request, body;

        buf_init(&request, 1 << 24);
        buf_init(&body, 1 << 24);
        buf_printf(&request, "POST /echo HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 0; i < len; i++)
                buf_append(&body, &(char){(char)('a' + i % 26)}, 1);
        if (chunked) {
                buf_append_text(&request, "Transfer-Encoding: chunked\r\n\r\n");
                for (size_t at = 0, size; at < len; at += size) {
                        size = len - at < 5000 ? len - at : 5000;
                        buf_printf(&request, "%zx\r\n", size);
                        buf_append(&request, body.data + at, size);
                        buf_append_text(&request, "\r\n");
                }
                buf_append_text(&request, "0\r\n\r\n");
        } else {
                buf_printf(&request, "Content-Length: %zu\r\n\r\n", len);
                buf_append(&request, body.data, len);
        }
        buf_clear(&harness->received);
        for (size_t at = 0; at < request.len; at += split) {
                size_t end = at + split < request.len ? at + split : request.len;
                harness_send(harness, (struct str){request.data + at, end - at});
                harness_quiet(harness);
        }
        run_until(harness, harness->received.len > len &&
                                   str_ends(harness_received(harness), (struct str){body.data, body.len}));
        harness_quiet(harness);
        assert_true(harness_has(harness, "HTTP/1.1 200"));
        assert_false(harness->client_eof);
}

static void bodies_of_any_size_are_collected_whole(void **state)
{
        struct harness *harness = *state;
        static const size_t sizes[] = {1, 100, 3000, 4096, 5000, 40000, 300000, 5000000};
        static const size_t splits[] = {1 << 24, 4096, 1000};

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                for (size_t j = 0; j < sizeof(splits) / sizeof(splits[0]); j++) {
                        if (sizes[i] / splits[j] > 100)
                                continue;
                        echo(harness, sizes[i], false, splits[j]);
                        echo(harness, sizes[i], true, splits[j]);
                }
        }
}

static void a_request_right_behind_a_body_is_not_lost(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET(
                                      "/target") GET("/target?x")));
        run_until(harness, harness_ends(harness, "/target?x"));
        assert_true(harness_has(harness, "\r\n\r\nabcHTTP"));
        assert_true(harness_has(harness, "\r\n\r\n/targetHTTP"));
}

static void a_body_is_streamed_both_ways(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        run_until(harness, harness_has(harness, "Transfer-Encoding: chunked\r\n\r\n"));
        harness_send(harness, STR("3\r\nabc\r\n"));
        run_until(harness, harness_ends(harness, "3\r\nabc\r\n"));
        harness_send(harness, STR("0\r\n\r\n"));
        run_until(harness, harness_ends(harness, "3\r\nabc\r\n0\r\n\r\n"));
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
}

static void the_last_piece_of_a_known_length_says_so(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /duplex HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab"));
        run_until(harness, harness->chunks == 1);
        assert_false(harness->read_last);
        harness_send(harness, STR("cd"));
        run_until(harness, harness->chunks == 2);
        assert_true(harness->read_last);
        run_until(harness, harness_ends(harness, "0\r\n\r\n"));
}

static void http_1_0_gets_a_stream_until_the_close(void **state)
{
        struct harness *harness = *state;

        harness_send(harness,
                     STR("POST /duplex HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc"));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_false(harness_has(harness, "chunked"));
        assert_true(harness_ends(harness, "\r\n\r\nabc"));
}

static void continue_is_sent_when_the_body_is_wanted(void **state)
{
        struct harness *harness = *state;

        harness_send(
                harness,
                STR("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
        run_until(harness, harness_ends(harness, "HTTP/1.1 100 Continue\r\n\r\n"));
        harness_send(harness, STR("abc"));
        run_until(harness, harness_ends(harness, "\r\n\r\nabc"));
        assert_false(harness_has(harness, "close"));
}

static void continue_is_not_sent_when_the_body_is_there(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
                                  "3\r\n\r\nabc"));
        run_until(harness, harness_ends(harness, "\r\n\r\nabc"));
        assert_false(harness_has(harness, "100 Continue"));
}

static void a_body_that_waits_for_continue_in_vain_ends_the_connection(void **state)
{
        struct harness *harness = *state;

        harness_send(
                harness,
                STR("POST /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_true(harness_ends(harness, "hello"));
}

static void an_unread_body_is_thrown_away(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nGET / " GET(
                                      "/target")));
        run_until(harness, harness_ends(harness, "/target"));
        harness_send(harness, STR("POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        harness_quiet(harness);
        harness_send(harness, STR("3\r\nabc\r\n0\r\n\r\n" GET("/target?2")));
        run_until(harness, harness_ends(harness, "/target?2"));
}

static void a_large_unread_body_ends_the_connection(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nabc"));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "Connection: close\r\n"));
        assert_true(harness_ends(harness, "hello"));
}

static void fields_are_sent_without_those_of_the_framing(void **state)
{
        struct harness *harness = *state;
        const struct http_field items[] = {
                {STR("X-Mine"), STR("1")},         {STR("content-length"), STR("99")},
                {STR("Connection"), STR("close")}, {STR("TRANSFER-ENCODING"), STR("chunked")},
                {STR("Date"), STR("today")},       {STR("Content-Type"), STR("text/plain")},
        };

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply(harness->held, 200, (struct http_fields){items, 6}, STR("ab"));
        run_until(harness, harness_ends(harness, "\r\n\r\nab"));
        assert_true(harness_has(harness,
                                "\r\nX-Mine: 1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"));
        assert_int_equal(harness_count(harness, "Date: "), 1);
        assert_false(harness_has(harness, "today"));
}

static void a_buffer_is_taken_over(void **state)
{
        struct harness *harness = *state;
        own_buf struct buf body;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        buf_init(&body, 1 << 23);
        while (body.len < 3000000)
                buf_append_text(&body, "0123456789");
        http_reply_buf(harness->held, 200, (struct http_fields){0}, &body);
        assert_null(body.data);
        run_until(harness, harness_has(harness, "\r\n\r\n") && harness->received.len > 3000000 &&
                                   harness_ends(harness, "789"));
        harness_send(harness, STR(GET("/target")));
        run_until(harness, harness_ends(harness, "/target"));
}

static void a_reply_shorter_than_it_said_ends_the_connection(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, 10, NULL, NULL);
        assert_true(http_reply_write(harness->held, STR("short")));
        http_reply_end(harness->held);
        run_until(harness, harness->client_eof);
        assert_true(harness_ends(harness, "\r\n\r\nshort"));
}

static void an_aborted_stream_has_no_end(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hold")));
        run_until(harness, harness->held != NULL);
        http_reply_start(harness->held, 200, (struct http_fields){0}, -1, NULL, NULL);
        http_reply_write(harness->held, STR("part"));
        http_abort(harness->held);
        run_until(harness, harness->client_eof);
        assert_true(harness_ends(harness, "4\r\npart\r\n"));
}

static void what_is_no_request_is_refused_and_the_connection_closed(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n0\r\n\r\n" GET("/hello")));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->requests, 0);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 400 Bad Request\r\n")));
        assert_true(harness_has(harness, "Content-Type: application/json\r\n"));
        assert_true(harness_has(harness, "{\"code\":400,\"message\":\"there are both"));
        assert_int_equal(harness_count(harness, "HTTP/1.1"), 1);
}

static void requests_before_a_refused_one_are_answered(void **state)
{
        struct harness *harness = *state;

        harness_send(harness, STR(GET("/hello") "GET / HTTP/1.1\r\n\r\n" GET("/target")));
        run_until(harness, harness->client_eof);
        assert_true(harness_has(harness, "helloHTTP/1.1 400"));
        assert_int_equal(harness->requests, 1);
}

static void a_broken_body_is_an_error_and_the_last_request(void **state)
{
        struct harness *harness = *state;

        harness_send(harness,
                     STR("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"
                         "0\r\n\r\n" GET("/hello")));
        run_until(harness, harness->client_eof);
        assert_int_equal(harness->body_code, ERR_INVALID);
        assert_true(str_starts(harness_received(harness), STR("HTTP/1.1 400 Bad Request\r\n")));
        assert_int_equal(harness->requests, 1);
}

#ifndef HARNESS_TLS /* these have clients of their own */
static int listen_on(struct sockaddr *address, socklen_t len)
{
        int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, address, len), 0);
        assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static int connect_to(int listener)
{
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);

        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
        return fd;
}

static void tcp_and_unix_listeners_serve_side_by_side(void **state)
{
        struct harness *harness = *state;
        struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_un local = {.sun_family = AF_UNIX}; /* the kernel picks an abstract name */
        int fds[2] = {listen_on((struct sockaddr *)&tcp, sizeof(tcp)),
                      listen_on((struct sockaddr *)&local, sizeof(sa_family_t))};
        int on = 0;
        socklen_t len = sizeof(on);

        harness_teardown(state);
        *harness = (struct harness){.limits = http_limits_default};
        harness_open(harness, fds, 2);
        harness_connect_fd(harness, connect_to(fds[0]));
        harness_send(harness, STR(GET("/peer")));
        run_until(harness, harness_has(harness, "\r\n\r\n127.0.0.1:"));
        assert_int_equal(getsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_int_equal(on, 1);
        harness_disconnect(harness);

        harness_connect_fd(harness, connect_to(fds[1]));
        harness_send(harness, STR(GET("/peer")));
        run_until(harness, harness_ends(harness, "\r\n\r\nunix"));
        harness_reopen(harness, http_limits_default);
        close(fds[0]);
        close(fds[1]);
}

/* The harness with a TCP listener and room for one connection. */
static int reopen_for_one(struct harness *harness)
{
        struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = listen_on((struct sockaddr *)&tcp, sizeof(tcp));
        void *state = harness;

        harness_teardown(&state);
        *harness = (struct harness){.limits = http_limits_default};
        harness->limits.connections_max = 1;
        harness_open(harness, &listener, 1);
        return listener;
}

static void no_more_requests_than_the_limit_are_taken(void **state)
{
        struct harness *harness = *state;
        int listener = reopen_for_one(harness);
        own_fd int first = connect_to(listener);

        assert_true(write(first, GET("/hold"), sizeof(GET("/hold")) - 1) > 0);
        run_until(harness, harness->held != NULL);
        harness_connect_fd(harness, connect_to(listener));
        harness_send(harness, STR(GET("/hello")));
        harness_quiet(harness);
        assert_int_equal(harness->requests, 1);
        http_reply(harness->held, 200, (struct http_fields){0}, STR(""));
        close(take_fd(&first));
        run_until(harness, harness_ends(harness, "hello"));
        harness_reopen(harness, http_limits_default);
        close(listener);
}

static void a_connection_without_a_request_makes_room(void **state)
{
        struct harness *harness = *state;
        int listener = reopen_for_one(harness);
        own_fd int silent = connect_to(listener);
        char byte;

        harness_quiet(harness);
        harness_connect_fd(harness, connect_to(listener));
        harness_send(harness, STR(GET("/hello")));
        run_until(harness, harness_ends(harness, "hello"));
        assert_int_equal(recv(silent, &byte, 1, 0), 0);

        own_fd int next = connect_to(listener);
        assert_true(next >= 0);
        run_until(harness, harness->client_eof);
        harness_reopen(harness, http_limits_default);
        close(listener);
}

#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                http_test(a_connection_is_kept_for_the_next_request),
                http_test(a_request_may_come_byte_by_byte),
                http_test(pipelined_requests_are_answered_in_order),
                http_test(many_pipelined_requests_are_answered),
                http_test(http_1_0_closes_unless_asked_to_keep),
                http_test(connection_close_is_honoured),
                http_test(head_has_the_length_but_no_body),
                http_test(a_204_has_neither_length_nor_body),
                http_test(bodies_of_any_size_are_collected_whole),
                http_test(a_request_right_behind_a_body_is_not_lost),
                http_test(a_body_is_streamed_both_ways),
                http_test(the_last_piece_of_a_known_length_says_so),
                http_test(http_1_0_gets_a_stream_until_the_close),
                http_test(continue_is_sent_when_the_body_is_wanted),
                http_test(continue_is_not_sent_when_the_body_is_there),
                http_test(a_body_that_waits_for_continue_in_vain_ends_the_connection),
                http_test(an_unread_body_is_thrown_away),
                http_test(a_large_unread_body_ends_the_connection),
                http_test(fields_are_sent_without_those_of_the_framing),
                http_test(a_buffer_is_taken_over),
                http_test(a_reply_shorter_than_it_said_ends_the_connection),
                http_test(an_aborted_stream_has_no_end),
                http_test(what_is_no_request_is_refused_and_the_connection_closed),
                http_test(requests_before_a_refused_one_are_answered),
                http_test(a_broken_body_is_an_error_and_the_last_request),
#ifndef HARNESS_TLS
                http_test(tcp_and_unix_listeners_serve_side_by_side),
                http_test(no_more_requests_than_the_limit_are_taken),
                http_test(a_connection_without_a_request_makes_room),
#endif
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
