/* tests/unit/cli/subprocess_test.c: programs that do as they should, and such that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/subprocess.h"

enum { PATIENCE_MS = 60000, LARGE = 1 << 20 };

static enum err_code run(const char *script, struct str input, int timeout_ms, struct buf *out, int *ret_exit,
                         struct err *err)
{
        char *const argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};

        return subprocess_run(argv, input, timeout_ms, out, ret_exit, err);
}

static void output_and_exit_status_arrive(void **state)
{
        own_buf struct buf out = {.max = 100};
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_int_equal(run("cat; echo lost >&2; exit 7", STR("text"), PATIENCE_MS, &out, &status, &err),
                         ERR_OK);
        assert_int_equal(status, 7);
        assert_string_equal(buf_text(&out), "text");
        assert_int_equal(run("kill -9 $$", STR(""), PATIENCE_MS, &out, &status, &err), ERR_OK);
        assert_int_equal(status, 128 + SIGKILL);
}

static void large_texts_go_both_ways_at_once(void **state)
{
        own_buf struct buf out = {.max = LARGE};
        own_mem char *text = malloc(LARGE);
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_non_null(text);
        memset(text, 'x', LARGE);
        assert_int_equal(run("cat", (struct str){text, LARGE}, PATIENCE_MS, &out, &status, &err), ERR_OK);
        assert_int_equal(out.len, LARGE);
        assert_memory_equal(out.data, text, LARGE);
}

static void a_program_that_does_not_read_is_no_error(void **state)
{
        own_buf struct buf out = {.max = 100};
        own_mem char *text = calloc(1, LARGE);
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_non_null(text);
        assert_int_equal(run("exit 0", (struct str){text, LARGE}, PATIENCE_MS, &out, &status, &err), ERR_OK);
        assert_int_equal(status, 0);
}

static void too_much_output_ends_it(void **state)
{
        own_buf struct buf out = {.max = 100};
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_int_equal(run("while :; do echo more; done", STR(""), PATIENCE_MS, &out, &status, &err),
                         ERR_TOO_LARGE);
        assert_string_equal(err.text, "sh: its output is larger than 100 bytes");
        assert_int_equal(out.len, 0);
}

static void what_hangs_is_killed(void **state)
{
        own_buf struct buf out = {.max = 100};
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_int_equal(run("exec sleep 1000", STR(""), 50, &out, &status, &err), ERR_TIMEOUT);
        assert_string_equal(err.text, "sh: it has not ended in time");
        /* Also one that has closed its output, and so looks done. */
        assert_int_equal(run("exec sleep 1000 >&-", STR(""), 50, &out, &status, &err), ERR_TIMEOUT);
        assert_int_equal(status, -1);
}

static void a_program_that_is_not_there_is_told(void **state)
{
        char *const argv[] = {"no-such-program-here", NULL};
        own_buf struct buf out = {.max = 100};
        struct err err = {0};
        int status = -1;

        (void)state;
        assert_int_equal(subprocess_run(argv, STR(""), PATIENCE_MS, &out, &status, &err), ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(output_and_exit_status_arrive),
                cmocka_unit_test(large_texts_go_both_ways_at_once),
                cmocka_unit_test(a_program_that_does_not_read_is_no_error),
                cmocka_unit_test(too_much_output_ends_it),
                cmocka_unit_test(what_hangs_is_killed),
                cmocka_unit_test(a_program_that_is_not_there_is_told),
        };
        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
