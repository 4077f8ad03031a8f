/* tests/unit/base/test_roff.c: what could be taken for a request is escaped, and lines are filled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/roff.h"

static void nothing_in_a_text_is_a_request(void **state)
{
        own_buf struct buf out = {.max = 4096};
        struct roff roff = {.out = &out};

        (void)state;
        roff_text(&roff, ".so /etc/passwd\n'br\n\\fBbold\\fP - x\n\n.next");
        assert_int_equal(roff.code, ERR_OK);
        assert_string_equal(buf_text(&out), "\\&.so /etc/passwd 'br \\efBbold\\efP \\- x\n.PP\n\\&.next\n");
        buf_clear(&out);
        roff_example(&roff, "  a  b\n.c\n'd");
        assert_string_equal(buf_text(&out), ".nf\n.RS 4\n  a  b\n\\&.c\n\\&'d\n.RE\n.fi\n");
}

static void lines_are_filled(void **state)
{
        own_buf struct buf out = {.max = 4096};
        struct roff roff = {.out = &out};

        (void)state;
        for (int i = 0; i < 30; i++)
                roff_text(&roff, "word word word word word word word word word word word word word word word "
                                 "word word");
        for (const char *line = buf_text(&out), *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
                assert_in_range(end - line, 1, 80);
}

static void a_page_has_title_headings_and_items(void **state)
{
        own_buf struct buf out = {.max = 4096};
        struct roff roff = {.out = &out};
        char date[ROFF_DATE_LEN];

        (void)state;
        setenv("SOURCE_DATE_EPOCH", "951782400", 1);
        roff_date(date);
        roff_title(&roff, "a-b", 1, date, "Manual");
        roff_heading(&roff, "NAME");
        roff_item(&roff, "-x, --y TEXT", "help");
        assert_string_equal(buf_text(&out), ".TH A\\-B 1 \"2000-02-29\" \"dispatch " DISPATCH_VERSION
                                            "\" \"Manual\"\n.SH NAME\n.TP\n.B \\-x, \\-\\-y TEXT\nhelp\n");
}

static void a_full_buffer_is_told(void **state)
{
        own_buf struct buf out = {.max = 10};
        struct roff roff = {.out = &out};

        (void)state;
        roff_text(&roff, "more than ten bytes");
        roff_text(&roff, "and more");
        assert_int_equal(roff.code, ERR_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_in_a_text_is_a_request),
                cmocka_unit_test(lines_are_filled),
                cmocka_unit_test(a_page_has_title_headings_and_items),
                cmocka_unit_test(a_full_buffer_is_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
