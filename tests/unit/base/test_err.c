/* tests/unit/base/test_err.c: the error type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static void an_error_has_its_code_and_text(void **state)
{
        struct err err = {.detail = 601, .sys_errno = 5};

        (void)state;
        assert_int_equal(err_set(&err, ERR_NOT_FOUND, "function %s not found", "x"), ERR_NOT_FOUND);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_int_equal(err.detail, 0);
        assert_int_equal(err.sys_errno, 0);
        assert_string_equal(err.text, "function x not found");
}

static void a_system_error_says_why_and_keeps_errno(void **state)
{
        struct err err;

        (void)state;
        errno = ENOENT;
        assert_int_equal(err_sys(&err, "open '%s'", "f"), ERR_SYSTEM);
        assert_int_equal(err.sys_errno, ENOENT);
        assert_int_equal(errno, ENOENT);
        assert_string_equal(err.text, "open 'f': No such file or directory");
}

static void a_full_disk_is_told_from_other_failures(void **state)
{
        struct err err;

        (void)state;
        errno = ENOSPC;
        assert_int_equal(err_disk(&err, "write '%s'", "f"), ERR_UNAVAILABLE);
        assert_int_equal(err.code, ERR_UNAVAILABLE);
        assert_int_equal(err.sys_errno, ENOSPC);
        assert_int_equal(errno, ENOSPC);
        assert_string_equal(err.text, "write 'f': the disk is full: free some space or inodes");
        errno = EDQUOT;
        assert_int_equal(err_disk(NULL, "x"), ERR_UNAVAILABLE);
        errno = EIO;
        assert_int_equal(err_disk(&err, "write"), ERR_SYSTEM);
        assert_string_equal(err.text, "write: Input/output error");
}

static void wrapping_puts_the_outer_text_before_the_inner(void **state)
{
        struct err err;

        (void)state;
        err_set(&err, ERR_INVALID, "inner");
        assert_int_equal(err_wrap(&err, ERR_CORRUPT, "outer %d", 1), ERR_CORRUPT);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_string_equal(err.text, "outer 1: inner");
}

static void texts_that_are_too_long_are_cut(void **state)
{
        struct err err;

        (void)state;
        err_set(&err, ERR_INVALID, "%0600d", 0);
        assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
        err_wrap(&err, ERR_INVALID, "outer");
        assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
        assert_memory_equal(err.text, "outer: 000", 10);
        err_wrap(&err, ERR_INVALID, "%0600d", 1);
        assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void the_struct_may_be_left_out(void **state)
{
        (void)state;
        assert_int_equal(err_set(NULL, ERR_LIMIT, "x"), ERR_LIMIT);
        assert_int_equal(err_sys(NULL, "x"), ERR_SYSTEM);
        assert_int_equal(err_nomem(NULL), ERR_NO_MEMORY);
        assert_int_equal(err_wrap(NULL, ERR_TIMEOUT, "x"), ERR_TIMEOUT);
}

static void each_code_has_a_status_and_a_name(void **state)
{
        (void)state;
        for (int code = 0; code < ERR_CODE_COUNT; code++) {
                int status = err_http_status((enum err_code)code);
                const char *name = err_name((enum err_code)code);
                assert_true(code == ERR_OK ? status == 200 : status >= 400 && status < 600);
                for (const char *p = name; *p != '\0'; p++)
                        assert_true(islower((unsigned char)*p) || *p == '_');
        }
        assert_int_equal(err_http_status(ERR_LIMIT), 429);
        assert_true(err_retry_helps(ERR_LIMIT));
        assert_false(err_retry_helps(ERR_INVALID));
        assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_error_has_its_code_and_text),
                cmocka_unit_test(a_system_error_says_why_and_keeps_errno),
                cmocka_unit_test(a_full_disk_is_told_from_other_failures),
                cmocka_unit_test(wrapping_puts_the_outer_text_before_the_inner),
                cmocka_unit_test(texts_that_are_too_long_are_cut),
                cmocka_unit_test(the_struct_may_be_left_out),
                cmocka_unit_test(each_code_has_a_status_and_a_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
