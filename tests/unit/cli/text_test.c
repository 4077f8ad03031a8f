/* tests/unit/cli/text_test.c: safe texts, widths, times and system errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/text.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>

static void is_safe(const char *text, const char *expected)
{
        own_buf struct buf out = {.max = 4096};

        assert_int_equal(text_append_safe(&out, str_of(text)), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

static void control_characters_are_escaped(void **state)
{
        (void)state;
        is_safe("plain \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80",
                "plain \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80");
        is_safe("a\x1b[31mb\x07\r\n\t\x7f", "a\\x1b[31mb\\x07\\x0d\\n\\t\\x7f");
        is_safe("\xc2\x9b"
                "31m",
                "\\u009b31m");
        is_safe("\xe2\x80\xae"
                "txt.exe",
                "\\u202etxt.exe");
        is_safe("\xff\xc3", "\\xff\\xc3");
        is_safe("\xe2\x82", "\\xe2\\x82");
}

static void several_lines_become_one(void **state)
{
        own_buf struct buf out = {.max = 4096};

        (void)state;
        assert_int_equal(text_append_line(&out, STR("\nTraceback:\n  File \"x\"\r\n\n    y = 1\x1b\n")),
                         ERR_OK);
        assert_string_equal(buf_text(&out), "Traceback: / File \"x\" / y = 1\\x1b");
}

static void widths_count_columns(void **state)
{
        (void)state;
        if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
                skip();
        assert_int_equal(text_width(STR("abc")), 3);
        assert_int_equal(text_width(STR("\xc3\xbc\xe2\x82\xac")), 2);
        assert_int_equal(text_width(STR("\xe6\xbc\xa2\xe5\xad\x97")), 4);
        assert_int_equal(text_width(STR("a\nb")), 2);
}

static void shows(int64_t seconds, const char *zone, const char *expected)
{
        char text[TEXT_TIME_MAX];

        setenv("TZ", zone, 1);
        tzset();
        text_time(seconds, text);
        assert_string_equal(text, expected);
}

static void times_are_in_gos_layout_and_the_local_zone(void **state)
{
        (void)state;
        shows(1538689412, "UTC", "Thu Oct  4 21:43:32 UTC 2018");
        shows(0, "UTC", "Thu Jan  1 00:00:00 UTC 1970");
        shows(1538689412, "CET-1CEST,M3.5.0,M10.5.0/3", "Thu Oct  4 23:43:32 CEST 2018");
        shows(1545000000, "EST5EDT,M3.2.0,M11.1.0", "Sun Dec 16 17:40:00 EST 2018");
        shows(INT64_MAX, "UTC", "9223372036854775807");
}

static void system_errors_begin_small(void **state)
{
        char text[TEXT_ERRNO_MAX];

        (void)state;
        assert_string_equal(text_errno(ENOENT, text), "no such file or directory");
        assert_string_equal(text_errno(ECONNREFUSED, text), "connection refused");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(control_characters_are_escaped),
                cmocka_unit_test(several_lines_become_one),
                cmocka_unit_test(widths_count_columns),
                cmocka_unit_test(times_are_in_gos_layout_and_the_local_zone),
                cmocka_unit_test(system_errors_begin_small),
        };

        return cmocka_run_group_tests_name("cli text", tests, NULL, NULL);
}
