/* tests/unit/agent/test_output.c: what leaves the agent: lines within their limit, captured descriptors,
 * messages, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "runtimes/agent/capture.h"
#include "runtimes/agent/json_scan.h"
#include "runtimes/agent/lines.h"
#include "runtimes/agent/message.h"

#include <errno.h>
#include <fcntl.h>

enum { OUT_MAX = 1 << 20 };

/* Each piece that was handed on, as "<stream>text|". */
static void record(void *arg, int stream, struct str text)
{
        struct buf *out = arg;

        assert_int_equal(buf_printf(out, "<%d>%.*s|", stream, STR_ARG(text)), ERR_OK);
}

struct fixture {
        struct lines lines;
        struct buf out;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        buf_init(&f->out, OUT_MAX);
        lines_init(&f->lines, 100, record, &f->out);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        lines_finish(&f->lines);
        buf_finish(&f->out);
        free(f);
        return 0;
}

static void whole_lines_leave_at_once_and_the_rest_at_the_end(void **state)
{
        struct fixture *f = *state;

        lines_put(&f->lines, 1, STR("one\ntwo\nthr"));
        assert_string_equal(buf_text(&f->out), "<1>one\ntwo\n|");
        lines_put(&f->lines, 2, STR("err"));
        lines_put(&f->lines, 1, STR("ee"));
        lines_put(&f->lines, 1, STR("\nfour\nfive"));
        assert_string_equal(buf_text(&f->out), "<1>one\ntwo\n|<1>three\nfour\n|");
        lines_flush(&f->lines);
        assert_string_equal(buf_text(&f->out), "<1>one\ntwo\n|<1>three\nfour\n|<1>five|<2>err|");
        lines_flush(&f->lines);
        assert_string_equal(buf_text(&f->out), "<1>one\ntwo\n|<1>three\nfour\n|<1>five|<2>err|");
}

static void the_limit_counts_both_streams_and_is_marked_once(void **state)
{
        struct fixture *f = *state;
        char sixty[61];

        memset(sixty, 'x', 60);
        sixty[60] = '\0';
        lines_put(&f->lines, 1, str_of(sixty));
        lines_put(&f->lines, 2, str_of(sixty));
        lines_put(&f->lines, 2, STR("more\n"));
        lines_put(&f->lines, 1, STR("more\n"));
        lines_flush(&f->lines);
        char want[400];
        snprintf(want, sizeof(want),
                 "<2>%.40s|<2>\n[log truncated: more than log-bytes-max, 100 bytes, was printed]\n|<1>%s|",
                 sixty, sixty);
        assert_string_equal(buf_text(&f->out), want);

        buf_clear(&f->out);
        lines_put(&f->lines, 1, STR("next run\n"));
        assert_string_equal(buf_text(&f->out), "<1>next run\n|");
}

static void exactly_the_limit_is_not_truncated(void **state)
{
        struct fixture *f = *state;
        char line[101];

        memset(line, 'y', 99);
        line[99] = '\n';
        line[100] = '\0';
        lines_put(&f->lines, 1, str_of(line));
        lines_flush(&f->lines);
        assert_int_equal(f->out.len, 100 + 4);
        assert_null(strstr(buf_text(&f->out), "truncated"));
}

static void a_long_line_leaves_in_parts(void **state)
{
        struct fixture *f = *state;
        own_buf struct buf text;

        lines_finish(&f->lines);
        lines_init(&f->lines, OUT_MAX, record, &f->out);
        buf_init(&text, 3 * LINES_PART_MAX);
        assert_int_equal(buf_reserve(&text, 3 * LINES_PART_MAX), ERR_OK);
        memset(text.data, 'z', 3 * LINES_PART_MAX);
        for (int i = 0; i < 3 * LINES_PART_MAX; i += 1000)
                lines_put(&f->lines, 1, (struct str){text.data, 1000});
        assert_true(f->out.len > 2 * LINES_PART_MAX);
        assert_true(f->lines.part[0].len <= LINES_PART_MAX);
}

static void take(void *arg, struct str text)
{
        assert_int_equal(buf_append(arg, text.p, text.len), ERR_OK);
}

static void what_is_written_to_a_sealed_memfd_is_taken_once(void **state)
{
        (void)state;
        own_fd int fd = fcntl(1, F_DUPFD_CLOEXEC, 10), original = -1;
        struct capture capture;
        own_buf struct buf out;

        buf_init(&out, 2 * (size_t)CAPTURE_SIZE);
        assert_true(fd >= 0);
        assert_int_equal(capture_replace(&capture, fd, &original, NULL), ERR_OK);
        assert_int_equal(write(fd, "one", 3), 3);
        assert_false(capture_take(&capture, take, &out));
        assert_int_equal(write(fd, "two", 3), 3);
        assert_false(capture_take(&capture, take, &out));
        assert_false(capture_take(&capture, take, &out));
        assert_string_equal(buf_text(&out), "onetwo");

        capture_rewind(&capture);
        buf_clear(&out);
        assert_int_equal(write(fd, "three", 5), 5);
        assert_false(capture_take(&capture, take, &out));
        assert_string_equal(buf_text(&out), "three");
}

static void a_full_memfd_says_so(void **state)
{
        (void)state;
        own_fd int fd = fcntl(1, F_DUPFD_CLOEXEC, 10), original = -1;
        struct capture capture;
        own_buf struct buf out;
        char piece[4096] = "";
        ssize_t n;

        buf_init(&out, 2 * (size_t)CAPTURE_SIZE);
        assert_int_equal(capture_replace(&capture, fd, &original, NULL), ERR_OK);
        while ((n = write(fd, piece, sizeof(piece))) > 0)
                ;
        assert_int_equal(errno, EPERM);
        assert_true(capture_take(&capture, take, &out));
        assert_int_equal(out.len, CAPTURE_SIZE);
}

static void other_descriptors_are_left_alone(void **state)
{
        (void)state;
        own_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct capture capture;

        capture_init(&capture, null);
        assert_int_equal(capture.fd, -1);
        assert_false(capture_take(&capture, take, NULL));
        capture_rewind(&capture);
}

static void messages_have_logs_payload_and_error(void **state)
{
        (void)state;
        static const struct {
                struct agent_reply reply;
                struct str log_stdout, log_stderr;
                const char *message;
        } rows[] = {
                {{.content_type = STR_INIT("application/json"), .body = STR_INIT("{\"a\":1}")},
                 STR_INIT("one\r\ntwo"),
                 STR_INIT(""),
                 "{\"context\":{\"logs\":{\"stdout\":[\"one\",\"two\"],\"stderr\":null}},\"payload\":{\"a\":"
                 "1}}"},
                {{.content_type = STR_INIT("text/plain"), .body = STR_INIT("\"t\"")},
                 STR_INIT(""),
                 STR_INIT("\n"),
                 "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":[\"\"]}},\"payload\":\"\\\"t\\\"\"}"},
                {{.content_type = STR_INIT("application/octet-stream"), .body = STR_INIT("\xff")},
                 STR_INIT(""),
                 STR_INIT(""),
                 "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":\"/"
                 "w==\",\"payloadEncoding\":"
                 "\"base64\"}"},
                {{.content_type = STR_INIT("application/json"), .body = STR_INIT("not json")},
                 STR_INIT(""),
                 STR_INIT(""),
                 "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":\"not json\"}"},
                {{.error = "InputError",
                  .content_type = STR_INIT("application/json"),
                  .body = STR_INIT("{\"type\":1}")},
                 STR_INIT(""),
                 STR_INIT(""),
                 "{\"context\":{\"error\":{\"type\":1},\"logs\":{\"stdout\":null,\"stderr\":null}},"
                 "\"payload\":null}"},
                {{.status = 204},
                 STR_INIT(""),
                 STR_INIT(""),
                 "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":null}"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                own_buf struct buf out;
                buf_init(&out, 4096);
                assert_int_equal(message_put(&out, &rows[i].reply, rows[i].log_stdout, rows[i].log_stderr),
                                 ERR_OK);
                assert_string_equal(buf_text(&out), rows[i].message);
        }
}

static void errors_are_json_and_bounded(void **state)
{
        (void)state;
        own_buf struct buf out, huge;
        struct str trace[1000];

        buf_init(&out, AGENT_ERROR_MAX);
        buf_init(&huge, OUT_MAX);
        assert_int_equal(agent_error_put(&out, "InputError", STR("a \"b\""), NULL, 0), ERR_OK);
        assert_string_equal(buf_text(&out),
                            "{\"type\":\"InputError\",\"message\":\"a \\\"b\\\"\",\"stacktrace\":[]}");

        buf_clear(&out);
        assert_int_equal(buf_reserve(&huge, 200000), ERR_OK);
        memset(huge.data, 1, 200000);
        for (size_t i = 0; i < 1000; i++)
                trace[i] = (struct str){huge.data, i == 500 ? 200000 : 20};
        trace[999] = STR("the last line");
        assert_int_equal(agent_error_put(&out, "FunctionError", (struct str){huge.data, 200000}, trace, 1000),
                         ERR_OK);
        assert_int_equal(json_check((struct str){out.data, out.len}, NULL), ERR_OK);
        assert_non_null(strstr(buf_text(&out), "the last line"));
}

static void a_reply_may_not_set_every_field(void **state)
{
        (void)state;
        assert_true(agent_field_valid(STR("X-One"), STR("a b\tc\xc3\xa9")));
        assert_true(agent_field_valid(STR("set-cookie"), STR("")));
        assert_false(agent_field_valid(STR(""), STR("x")));
        assert_false(agent_field_valid(STR("a b"), STR("x")));
        assert_false(agent_field_valid(STR("a\0b"), STR("x")));
        assert_false(agent_field_valid(STR(":status"), STR("200")));
        assert_false(agent_field_valid(STR("a"), STR("x\r\ny: z")));
        assert_false(agent_field_valid(STR("a"), STR("x\0y")));
        assert_false(agent_field_valid(STR("CONTENT-LENGTH"), STR("1")));
        assert_false(agent_field_valid(STR("Transfer-Encoding"), STR("chunked")));
        assert_false(agent_field_valid(STR("Dispatch-Anything"), STR("1")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(whole_lines_leave_at_once_and_the_rest_at_the_end, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(the_limit_counts_both_streams_and_is_marked_once, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(exactly_the_limit_is_not_truncated, setup, teardown),
                cmocka_unit_test_setup_teardown(a_long_line_leaves_in_parts, setup, teardown),
                cmocka_unit_test(what_is_written_to_a_sealed_memfd_is_taken_once),
                cmocka_unit_test(a_full_memfd_says_so),
                cmocka_unit_test(other_descriptors_are_left_alone),
                cmocka_unit_test(messages_have_logs_payload_and_error),
                cmocka_unit_test(errors_are_json_and_bounded),
                cmocka_unit_test(a_reply_may_not_set_every_field),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
