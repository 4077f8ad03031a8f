/* tests/unit/http/test_parser.c: requests and responses as the parser takes or refuses them. Each row is
 * parsed in one piece and byte by byte; both must say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/parser.h"

#include <stdio.h>

enum { FIELDS_MAX = 8, HEAD_MAX = 512, TEXT_MAX = 4096 };

struct outcome {
        int status; /* 0: all of it was taken */
        char body[TEXT_MAX];
        size_t body_len;
        int messages; /* that ended */
        bool in_message;
        bool keep_alive;
        struct http_field fields[FIELDS_MAX];
        struct http_parser parser;
};

static void note_event(struct outcome *outcome, enum http_event event, struct str piece)
{
        switch (event) {
        case HTTP_HEAD:
                outcome->in_message = true;
                outcome->keep_alive = outcome->parser.keep_alive;
                break;
        case HTTP_DATA:
                memcpy(outcome->body + outcome->body_len, piece.p, piece.len);
                outcome->body_len += piece.len;
                break;
        case HTTP_END:
                outcome->messages++;
                outcome->in_message = false;
                break;
        case HTTP_ERROR:
                outcome->status = outcome->parser.status;
                assert_non_null(outcome->parser.reason);
                break;
        case HTTP_MORE:
                break;
        }
}

/* Shows the parser `step` bytes more each time it asks. */
static void parse_by(struct outcome *outcome, enum http_parser_kind kind, struct str in, size_t step)
{
        size_t at = 0, seen = 0, used;
        enum http_event event;
        struct str piece = {0};

        memset(outcome, 0, sizeof(*outcome));
        http_parser_init(&outcome->parser, kind, outcome->fields, FIELDS_MAX, HEAD_MAX);
        do {
                event = http_parser_next(&outcome->parser, str_slice(in, at, seen), &used, &piece);
                note_event(outcome, event, piece);
                at += used;
                if (event == HTTP_END && at < in.len)
                        http_parser_reset(&outcome->parser, false);
                else if (event == HTTP_MORE && seen == in.len)
                        return;
                else if (event == HTTP_MORE)
                        seen += step < in.len - seen ? step : in.len - seen;
        } while (event != HTTP_ERROR && !(event == HTTP_END && at == in.len));
}

static void parse_both(struct outcome *whole, enum http_parser_kind kind, struct str in)
{
        static struct outcome bytes;

        parse_by(whole, kind, in, in.len);
        parse_by(&bytes, kind, in, 1);
        assert_int_equal(whole->status, bytes.status);
        assert_int_equal(whole->messages, bytes.messages);
        assert_int_equal(whole->in_message, bytes.in_message);
        assert_int_equal(whole->body_len, bytes.body_len);
        assert_memory_equal(whole->body, bytes.body, whole->body_len);
        assert_ptr_equal(whole->parser.reason, bytes.parser.reason);
}

static struct outcome outcome;

struct refusal {
        const char *rule;
        struct str in;
        int status;
};

#define ROW(rule, in, status)                                                                                \
        {                                                                                                    \
                rule, STR_INIT(in), status                                                                   \
        }
#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void check_rows(enum http_parser_kind kind, const struct refusal *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                parse_both(&outcome, kind, rows[i].in);
                if (outcome.status != rows[i].status)
                        fail_msg("%s: got %d (%s), not %d", rows[i].rule, outcome.status,
                                 outcome.parser.reason != NULL ? outcome.parser.reason : "no error",
                                 rows[i].status);
        }
}

#define check(kind, rows) check_rows(kind, rows, sizeof(rows) / sizeof((rows)[0]))

static void what_could_smuggle_a_request_is_refused(void **state)
{
        static const struct refusal rows[] = {
                ROW("two lengths", POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
                ROW("the same length twice", POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
                ROW("a list of lengths", POST "Content-Length: 1, 1\r\n\r\n", 400),
                ROW("a signed length", POST "Content-Length: +1\r\n\r\n", 400),
                ROW("a negative length", POST "Content-Length: -1\r\n\r\n", 400),
                ROW("a hexadecimal length", POST "Content-Length: 0x1\r\n\r\n", 400),
                ROW("a length with a blank inside", POST "Content-Length: 1 1\r\n\r\n", 400),
                ROW("an empty length", POST "Content-Length:\r\n\r\n", 400),
                ROW("a length over 63 bits", POST "Content-Length: 9223372036854775808\r\n\r\n", 400),
                ROW("a length over 64 bits", POST "Content-Length: 18446744073709551617\r\n\r\n", 400),
                ROW("length and encoding", POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                    400),
                ROW("encoding and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                    400),
                ROW("identity", POST "Transfer-Encoding: identity\r\n\r\n", 400),
                ROW("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
                ROW("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
                ROW("chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                    400),
                ROW("chunked with a parameter", POST "Transfer-Encoding: chunked;q=1\r\n\r\n", 400),
                ROW("an encoding behind a vertical tab", POST "Transfer-Encoding: \vchunked\r\n\r\n", 400),
                ROW("an empty encoding", POST "Transfer-Encoding:\r\n\r\n", 400),
                ROW("encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                ROW("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
                ROW("bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
                ROW("bare LF ends the head", GET "\n", 400),
                ROW("LF CR", GET "\n\r", 400),
                ROW("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("bare CR in a value", GET "A: b\rc\r\n\r\n", 400),
                ROW("bare CR instead of CRLF", GET "A: b\rContent-Length: 5\r\n\r\n", 400),
                ROW("CR before CRLF", GET "A: b\r\r\n\r\n", 400),
                ROW("a line of one CR", GET "\r\r\n\r\n", 400),
                ROW("a folded field", GET "A: b\r\n c\r\n\r\n", 400),
                ROW("a field folded with a tab", GET "A: b\r\n\tc\r\n\r\n", 400),
                ROW("a folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
                ROW("a blank before the colon", POST "Content-Length : 5\r\n\r\n", 400),
                ROW("a tab before the colon", POST "Content-Length\t: 5\r\n\r\n", 400),
                ROW("a field without a colon", GET "A\r\n\r\n", 400),
                ROW("a field without a name", GET ": a\r\n\r\n", 400),
                ROW("a NUL in a value", GET "A: b\0c\r\n\r\n", 400),
                ROW("a NUL in a name", GET "A\0: b\r\n\r\n", 400),
                ROW("a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a control in a value", GET "A: \x01\r\n\r\n", 400),
                ROW("a DEL in a value", GET "A: \x7f\r\n\r\n", 400),
                ROW("a separator in a name", GET "A(b): c\r\n\r\n", 400),
                ROW("a name that is not ASCII", GET "\xc3\xa4: c\r\n\r\n", 400),
        };

        (void)state;
        check(HTTP_PARSE_REQUEST, rows);
}

static void a_request_line_that_is_none_is_refused(void **state)
{
        static const struct refusal rows[] = {
                ROW("no version", "GET /\r\nHost: a\r\n\r\n", 400),
                ROW("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("an empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("two blanks after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a blank after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
                ROW("a blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a tab for a blank", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a blank at the start", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a relative path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("no authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("user information", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
                ROW("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
                ROW("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 505),
                ROW("HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
                ROW("http in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
                ROW("a long minor version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
                ROW("a TLS greeting", "\x16\x03\x01", 400),
                ROW("an LF first", "\n", 400),
                ROW("three empty lines first", "\r\n\r\n\r\n" GET "\r\n", 400),
                ROW("garbage after an empty line", "\r\n\x01", 400),
                ROW("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
                ROW("two Hosts", GET "Host: a\r\n\r\n", 400),
                ROW("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
                ROW("no Host beside an authority", "GET http://a/ HTTP/1.1\r\n\r\n", 400),
                ROW("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
                ROW("a Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
                ROW("another expectation", POST "Expect: a miracle\r\n\r\n", 417),
        };

        (void)state;
        check(HTTP_PARSE_REQUEST, rows);
}

static void broken_chunks_are_refused(void **state)
{
        static const struct refusal rows[] = {
                ROW("no size", CHUNKED "\r\n", 400),
                ROW("a sign", CHUNKED "+1\r\na\r\n0\r\n\r\n", 400),
                ROW("a minus", CHUNKED "-1\r\n", 400),
                ROW("0x", CHUNKED "0x1\r\na\r\n0\r\n\r\n", 400),
                ROW("a blank before", CHUNKED " 1\r\na\r\n", 400),
                ROW("a blank behind", CHUNKED "1 \r\na\r\n", 400),
                ROW("a blank before the extension", CHUNKED "1 ;a\r\na\r\n", 400),
                ROW("no digit", CHUNKED "g\r\n", 400),
                ROW("an extension without a size", CHUNKED ";a\r\n", 400),
                ROW("more than 16 digits", CHUNKED "00000000000000001\r\na\r\n", 400),
                ROW("more than 63 bits", CHUNKED "8000000000000000\r\n", 400),
                ROW("more than 64 bits", CHUNKED "10000000000000000\r\n", 400),
                ROW("a bare LF after the size", CHUNKED "1\na\r\n0\r\n\r\n", 400),
                ROW("a bare CR after the size", CHUNKED "1\ra", 400),
                ROW("a bare LF in an extension", CHUNKED "1;a\nb\r\n", 400),
                ROW("a bare LF after the data", CHUNKED "1\r\na\n", 400),
                ROW("a chunk longer than its size", CHUNKED "1\r\nab\r\n", 400),
                ROW("a chunk shorter than its size", CHUNKED "2\r\na\r\n0\r\n\r\n", 400),
                ROW("a folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 400),
                ROW("a blank in a trailer's name", CHUNKED "0\r\nA : b\r\n\r\n", 400),
                ROW("a trailer without a colon", CHUNKED "0\r\nA\r\n\r\n", 400),
                ROW("a NUL in a trailer", CHUNKED "0\r\nA: \0\r\n\r\n", 400),
                ROW("a bare LF after a trailer", CHUNKED "0\r\nA: b\n\r\n", 400),
                ROW("a bare LF at the end", CHUNKED "0\r\n\n", 400),
                ROW("a bare CR at the end", CHUNKED "0\r\n\rX", 400),
        };

        (void)state;
        check(HTTP_PARSE_REQUEST, rows);
}

static void limits_have_statuses_of_their_own(void **state)
{
        own_buf struct buf in;

        (void)state;
        buf_init(&in, TEXT_MAX);
        buf_printf(&in, "GET /%0600d", 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 414);

        buf_clear(&in);
        buf_printf(&in, GET "A: %0600d\r\n\r\n", 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 431);

        buf_clear(&in);
        buf_append_text(&in, GET);
        for (int i = 0; i < FIELDS_MAX; i++)
                buf_append_text(&in, "A: b\r\n");
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 431);
}

static void a_head_of_exactly_the_maximum_is_taken(void **state)
{
        own_buf struct buf in;

        (void)state;
        buf_init(&in, TEXT_MAX);
        buf_append_text(&in, GET "A: ");
        while (in.len < HEAD_MAX - 4)
                buf_append_text(&in, "b");
        buf_append_text(&in, "\r\n\r\n");
        assert_int_equal(in.len, HEAD_MAX);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.messages, 1);
}

static void chunk_extensions_and_trailers_are_bounded(void **state)
{
        own_buf struct buf in;

        (void)state;
        buf_init(&in, 65536);
        buf_printf(&in, CHUNKED "1;%0*d\r\n", HTTP_CHUNK_EXTENSION_MAX, 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 0);
        buf_clear(&in);
        buf_printf(&in, CHUNKED "1;%0*d\r\n", HTTP_CHUNK_EXTENSION_MAX + 1, 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 400);

        buf_clear(&in);
        buf_append_text(&in, CHUNKED);
        for (int i = 0; i <= HTTP_CHUNK_EXTENSIONS_MAX / 200; i++)
                buf_printf(&in, "1;%0200d\r\na\r\n", 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 400);

        buf_clear(&in);
        buf_printf(&in, CHUNKED "0\r\nA: %0*d\r\n\r\n", HTTP_TRAILER_BYTES_MAX, 0);
        parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in.data, in.len});
        assert_int_equal(outcome.status, 400);
}

static void a_request_is_taken_apart_in_place(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_REQUEST,
                   STR("POST /a/b?c=d?e HTTP/1.1\r\nhOST: x.example:80\r\nA:\t b c \t\r\nEmpty:\r\n"
                       "Content-Length: 3\r\n\r\nabc"));
        const struct http_request *request = &outcome.parser.request;

        assert_int_equal(outcome.messages, 1);
        assert_true(str_eq(request->method, STR("POST")));
        assert_true(str_eq(request->target, STR("/a/b?c=d?e")));
        assert_true(str_eq(request->path, STR("/a/b")));
        assert_true(str_eq(request->query, STR("c=d?e")));
        assert_true(str_eq(request->host, STR("x.example:80")));
        assert_int_equal(request->minor, 1);
        assert_int_equal(request->fields.count, 4);
        assert_true(str_eq(http_field_get(request->fields, STR("a")), STR("b c")));
        assert_int_equal(http_field_get(request->fields, STR("empty")).len, 0);
        assert_non_null(http_field_get(request->fields, STR("empty")).p);
        assert_null(http_field_get(request->fields, STR("none")).p);
        assert_true(request->has_body);
        assert_int_equal(request->content_length, 3);
        assert_memory_equal(outcome.body, "abc", 3);
}

static void chunks_become_one_body_and_trailers_are_dropped(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_REQUEST,
                   STR(CHUNKED
                       "3\r\nabc\r\n000A;x=\"y\";z\r\n0123456789\r\n0\r\nContent-Length: 9\r\nB:\r\n\r\n" GET
                       "\r\n"));
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.messages, 2);
        assert_int_equal(outcome.body_len, 13);
        assert_memory_equal(outcome.body, "abc0123456789", 13);
}

static void pipelined_requests_come_one_after_the_other(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_REQUEST,
                   STR(GET "\r\n" POST "Content-Length: 2\r\n\r\nab\r\n" GET "\r\n\r\n\r\n" GET "\r\n"));
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.messages, 4);
        assert_memory_equal(outcome.body, "ab", 2);
}

static void an_incomplete_request_is_no_error_yet(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_REQUEST, STR("GET / HTTP/1.1\r\nHost: a\r"));
        assert_int_equal(outcome.status, 0);
        assert_false(outcome.in_message);
        parse_both(&outcome, HTTP_PARSE_REQUEST, STR(POST "Content-Length: 5\r\n\r\nab"));
        assert_true(outcome.in_message);
        assert_false(http_parser_eof(&outcome.parser));
}

static void the_forms_of_the_target_are_understood(void **state)
{
        static const struct {
                struct str line, target, path, query, host;
        } rows[] = {
                {STR_INIT("GET http://b.example:81/x?y HTTP/1.1"), STR_INIT("/x?y"), STR_INIT("/x"),
                 STR_INIT("y"), STR_INIT("b.example:81")},
                {STR_INIT("GET HTTPS://b HTTP/1.1"), STR_INIT(""), STR_INIT("/"), STR_INIT(""),
                 STR_INIT("b")},
                {STR_INIT("GET http://[::1]:8?q HTTP/1.1"), STR_INIT("?q"), STR_INIT("/"), STR_INIT("q"),
                 STR_INIT("[::1]:8")},
                {STR_INIT("OPTIONS * HTTP/1.1"), STR_INIT("*"), STR_INIT("*"), STR_INIT(""), STR_INIT("a")},
                {STR_INIT("GET //x/../%2e?%00 HTTP/1.1"), STR_INIT("//x/../%2e?%00"), STR_INIT("//x/../%2e"),
                 STR_INIT("%00"), STR_INIT("a")},
                {STR_INIT("GET /\xc3\xa4{}|\\ HTTP/1.2"), STR_INIT("/\xc3\xa4{}|\\"),
                 STR_INIT("/\xc3\xa4{}|\\"), STR_INIT(""), STR_INIT("a")},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char in[200];
                int len = snprintf(in, sizeof(in), "%.*s\r\nHost: a\r\n\r\n", STR_ARG(rows[i].line));
                parse_both(&outcome, HTTP_PARSE_REQUEST, (struct str){in, (size_t)len});
                const struct http_request *request = &outcome.parser.request;
                assert_int_equal(outcome.status, 0);
                assert_true(str_eq(request->target, rows[i].target));
                assert_true(str_eq(request->path, rows[i].path));
                assert_true(str_eq(request->query, rows[i].query));
                assert_true(str_eq(request->host, rows[i].host));
                assert_int_equal(request->minor, 1);
        }
}

static void the_connection_is_kept_as_version_and_fields_say(void **state)
{
        static const struct {
                struct str in;
                bool keep_alive;
        } rows[] = {
                {STR_INIT(GET "\r\n"), true},
                {STR_INIT(GET "Connection: close\r\n\r\n"), false},
                {STR_INIT(GET "Connection: keep-alive, x , CLOSE\r\n\r\n"), false},
                {STR_INIT(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n"), false},
                {STR_INIT(GET "Connection: closed\r\n\r\n"), true},
                {STR_INIT("GET / HTTP/1.0\r\n\r\n"), false},
                {STR_INIT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                parse_both(&outcome, HTTP_PARSE_REQUEST, rows[i].in);
                assert_int_equal(outcome.status, 0);
                assert_int_equal(outcome.keep_alive, rows[i].keep_alive);
        }
}

static void the_expectation_counts_in_http_1_1_only(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_REQUEST,
                   STR(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"));
        assert_true(outcome.parser.expect_continue);
        parse_both(&outcome, HTTP_PARSE_REQUEST,
                   STR("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
        assert_int_equal(outcome.status, 0);
        assert_false(outcome.parser.expect_continue);
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"

static void responses_that_are_none_are_refused(void **state)
{
        static const struct refusal rows[] = {
                ROW("no status", "HTTP/1.1\r\n\r\n", 400),
                ROW("a short status", "HTTP/1.1 20 OK\r\n\r\n", 400),
                ROW("a long status", "HTTP/1.1 2000 OK\r\n\r\n", 400),
                ROW("a status below 100", "HTTP/1.1 099 OK\r\n\r\n", 400),
                ROW("not HTTP", "SSH-2.0\r\n", 400),
                ROW("an empty line first", "\r\n" OK_LINE "\r\n", 400),
                ROW("HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 505),
                ROW("length and encoding", OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                    400),
                ROW("two lengths", OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
                ROW("gzip, chunked", OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
                ROW("encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                ROW("a folded field", OK_LINE "A: b\r\n c\r\n\r\n", 400),
                ROW("a bare LF", "HTTP/1.1 200 OK\n\n", 400),
                ROW("a control in the reason", "HTTP/1.1 200 \x01\r\n\r\n", 400),
        };

        (void)state;
        check(HTTP_PARSE_RESPONSE, rows);
}

static void bodies_of_responses_end_as_status_and_fields_say(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_RESPONSE,
                   STR("HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 2\r\n\r\nab"
                       "HTTP/1.1 204 \r\n\r\n"
                       "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" OK_LINE
                       "Transfer-Encoding: CHUNKED\r\n\r\n1\r\nc\r\n0\r\n\r\n"));
        assert_int_equal(outcome.status, 0);
        assert_int_equal(outcome.messages, 5);
        assert_int_equal(outcome.body_len, 3);
        assert_memory_equal(outcome.body, "abc", 3);
}

static void a_response_without_a_length_ends_with_the_connection(void **state)
{
        (void)state;
        parse_both(&outcome, HTTP_PARSE_RESPONSE, STR("HTTP/1.1 200\r\n\r\nab" OK_LINE));
        assert_int_equal(outcome.messages, 0);
        assert_int_equal(outcome.body_len, 2 + sizeof(OK_LINE) - 1);
        assert_false(http_parser_delimited(&outcome.parser));
        assert_false(outcome.keep_alive);
        assert_true(http_parser_eof(&outcome.parser));
}

static void a_response_to_head_has_no_body(void **state)
{
        static struct http_field fields[FIELDS_MAX];
        struct http_parser parser;
        struct str in = STR(OK_LINE "Content-Length: 9\r\n\r\n"), piece;
        size_t used;

        (void)state;
        http_parser_init(&parser, HTTP_PARSE_RESPONSE, fields, FIELDS_MAX, HEAD_MAX);
        http_parser_reset(&parser, true);
        assert_int_equal(http_parser_next(&parser, in, &used, &piece), HTTP_HEAD);
        assert_int_equal(used, in.len);
        assert_int_equal(parser.response.content_length, 9);
        assert_int_equal(http_parser_next(&parser, STR(""), &used, &piece), HTTP_END);
        assert_true(parser.keep_alive);
}

static void tokens_and_values_have_the_characters_of_the_standard(void **state)
{
        (void)state;
        for (int c = 0; c < 256; c++) {
                char byte = (char)c;
                bool alphanumeric =
                        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
                bool token = alphanumeric || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
                assert_int_equal(http_token_valid((struct str){&byte, 1}), token);
                assert_int_equal(http_value_valid((struct str){&byte, 1}),
                                 c == '\t' || (c >= ' ' && c != 0x7f));
        }
        assert_false(http_token_valid(STR("")));
        assert_true(http_value_valid(STR("")));
}

static void known_statuses_have_their_reason(void **state)
{
        (void)state;
        assert_string_equal(http_reason(200), "OK");
        assert_string_equal(http_reason(404), "Not Found");
        assert_string_equal(http_reason(599), "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_could_smuggle_a_request_is_refused),
                cmocka_unit_test(a_request_line_that_is_none_is_refused),
                cmocka_unit_test(broken_chunks_are_refused),
                cmocka_unit_test(limits_have_statuses_of_their_own),
                cmocka_unit_test(a_head_of_exactly_the_maximum_is_taken),
                cmocka_unit_test(chunk_extensions_and_trailers_are_bounded),
                cmocka_unit_test(a_request_is_taken_apart_in_place),
                cmocka_unit_test(chunks_become_one_body_and_trailers_are_dropped),
                cmocka_unit_test(pipelined_requests_come_one_after_the_other),
                cmocka_unit_test(an_incomplete_request_is_no_error_yet),
                cmocka_unit_test(the_forms_of_the_target_are_understood),
                cmocka_unit_test(the_connection_is_kept_as_version_and_fields_say),
                cmocka_unit_test(the_expectation_counts_in_http_1_1_only),
                cmocka_unit_test(responses_that_are_none_are_refused),
                cmocka_unit_test(bodies_of_responses_end_as_status_and_fields_say),
                cmocka_unit_test(a_response_without_a_length_ends_with_the_connection),
                cmocka_unit_test(a_response_to_head_has_no_body),
                cmocka_unit_test(tokens_and_values_have_the_characters_of_the_standard),
                cmocka_unit_test(known_statuses_have_their_reason),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
