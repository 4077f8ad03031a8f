/* tests/unit/build/test_tool.c: other programs, run and listened to. */
#include "build/tool.h"

#include "base/buf.h"
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { HEARD_MAX = 65536 };

struct heard {
        struct buf lines; /* each with a line feed */
        struct buf bytes;
        size_t bytes_allowed;
};

static void on_line(void *arg, struct str line)
{
        struct heard *heard = arg;

        assert_true(line.len <= TOOL_LINE_MAX);
        assert_int_equal(buf_printf(&heard->lines, "%.*s\n", STR_ARG(line)), ERR_OK);
}

static enum err_code on_data(void *arg, const void *bytes, size_t len, struct err *err)
{
        struct heard *heard = arg;

        if (heard->bytes.len + len > heard->bytes_allowed)
                return err_set(err, ERR_TOO_LARGE, "too much");
        return buf_append(&heard->bytes, bytes, len);
}

static enum err_code run(struct heard *heard, const char *script, bool data, int *status, struct err *err)
{
        const char *argv[] = {"sh", "-c", script, NULL};
        struct tool tool = {.argv = argv, .data = data ? on_data : NULL, .line = on_line, .arg = heard};

        heard->lines.max = heard->bytes.max = HEARD_MAX;
        if (heard->bytes_allowed == 0)
                heard->bytes_allowed = HEARD_MAX;
        return tool_run(&tool, status, err);
}

static void heard_finish(struct heard *heard)
{
        buf_finish(&heard->lines);
        buf_finish(&heard->bytes);
}

static void test_lines_of_both_streams_and_the_status(void **state)
{
        struct heard heard = {.bytes_allowed = 0};
        int status = -1;
        struct err err;

        (void)state;
        assert_int_equal(
                run(&heard, "echo one; echo two >&2; printf 'half\\rlast'; exit 7", false, &status, &err),
                ERR_OK);
        assert_int_equal(status, 7);
        const char *text = buf_text(&heard.lines);
        assert_non_null(strstr(text, "one\n"));
        assert_non_null(strstr(text, "two\n"));
        assert_non_null(strstr(text, "half\n"));
        assert_non_null(strstr(text, "last\n"));
        heard_finish(&heard);
}

static void test_a_line_is_made_printable_and_cut(void **state)
{
        struct heard heard = {.bytes_allowed = 0};
        int status = -1;

        (void)state;
        assert_int_equal(run(&heard,
                             "printf 'a\\033[31mb\\tc\\377\\n'; printf 'caf\\303\\251\\n'; "
                             "head -c 10000 /dev/zero | tr '\\0' x; echo; echo after",
                             false, &status, NULL),
                         ERR_OK);
        const char *text = buf_text(&heard.lines);
        assert_ptr_equal(strstr(text, "a?[31mb c?\n"), text);
        assert_non_null(strstr(text, "caf\303\251\n"));
        assert_int_equal(strspn(strchr(text, 'x'), "x"), TOOL_LINE_MAX);
        assert_non_null(strstr(text, "x\nafter\n"));
        heard_finish(&heard);
}

static void test_bytes_come_whole_beside_lines(void **state)
{
        struct heard heard = {.bytes_allowed = 0};
        int status = -1;

        (void)state;
        assert_int_equal(run(&heard, "printf 'a\\0b\\n'; echo said >&2", true, &status, NULL), ERR_OK);
        assert_int_equal(status, 0);
        assert_int_equal(heard.bytes.len, 4);
        assert_memory_equal(heard.bytes.data, "a\0b\n", 4);
        assert_string_equal(buf_text(&heard.lines), "said\n");
        heard_finish(&heard);
}

static void test_an_error_of_the_reader_ends_the_program(void **state)
{
        struct heard heard = {.bytes_allowed = 100};
        int status = -1;
        struct err err;

        (void)state;
        assert_int_equal(run(&heard, "while :; do echo for ever; done", true, &status, &err), ERR_TOO_LARGE);
        assert_string_equal(err.text, "too much");
        assert_int_equal(status, -1);
        heard_finish(&heard);
}

static void test_what_it_leaves_running_is_not_waited_for(void **state)
{
        struct heard heard = {.bytes_allowed = 0};
        int status = -1;

        (void)state;
        assert_int_equal(run(&heard, "sleep 1000 & echo $!; printf last", false, &status, NULL), ERR_OK);
        assert_int_equal(status, 0);
        const char *text = buf_text(&heard.lines);
        assert_non_null(strstr(text, "\nlast\n"));
        assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
        heard_finish(&heard);
}

static void test_no_such_program_and_a_signal(void **state)
{
        const char *argv[] = {"dispatch-no-such-program", NULL};
        struct tool tool = {.argv = argv};
        struct heard heard = {.bytes_allowed = 0};
        int status = -1;
        struct err err;

        (void)state;
        assert_int_equal(tool_run(&tool, &status, &err), ERR_NOT_FOUND);
        assert_string_equal(err.text, "there is no program 'dispatch-no-such-program'");
        assert_int_equal(run(&heard, "kill -9 $$", false, &status, NULL), ERR_OK);
        assert_int_equal(status, 128 + 9);
        heard_finish(&heard);
}

static void test_it_starts_where_it_is_told_with_no_descriptor_of_ours(void **state)
{
        const char *argv[] = {"/bin/sh", "-c", "pwd; echo $0 $DISPATCH_X; ls /proc/self/fd | wc -l", NULL};
        const char *environment[] = {"DISPATCH_X=given", "PATH=/usr/bin:/bin", NULL};
        struct heard heard = {.lines = {.max = HEARD_MAX}};
        struct place place;
        int status = -1;

        (void)state;
        place_make(&place);
        struct tool tool = {.argv = argv,
                            .environment = environment,
                            .directory_fd = place.fd,
                            .directory_given = true,
                            .line = on_line,
                            .arg = &heard};
        assert_int_equal(tool_run(&tool, &status, NULL), ERR_OK);
        const char *text = buf_text(&heard.lines);
        assert_ptr_equal(strstr(text, place.path), text);
        assert_non_null(strstr(text, "\n/bin/sh given\n"));
        assert_non_null(strstr(text, "\n4\n")); /* 0 to 2, and the folder that ls reads */
        heard_finish(&heard);
        place_clear(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_of_both_streams_and_the_status),
                cmocka_unit_test(test_a_line_is_made_printable_and_cut),
                cmocka_unit_test(test_bytes_come_whole_beside_lines),
                cmocka_unit_test(test_an_error_of_the_reader_ends_the_program),
                cmocka_unit_test(test_what_it_leaves_running_is_not_waited_for),
                cmocka_unit_test(test_no_such_program_and_a_signal),
                cmocka_unit_test(test_it_starts_where_it_is_told_with_no_descriptor_of_ours),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
