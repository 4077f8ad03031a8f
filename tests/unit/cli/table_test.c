/* tests/unit/cli/table_test.c: the contract's tables, byte for byte, and what it says of widths and wrapping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/table.h"

static struct arena arena;
static struct table table;
static struct buf out;

static int set_up(void **state)
{
        (void)state;
        arena_init(&arena, 16 << 20);
        buf_init(&out, 16 << 20);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        table_finish(&table);
        arena_finish(&arena);
        buf_finish(&out);
        return 0;
}

static void add(const char *text)
{
        assert_int_equal(table_add(&table, str_of(text)), ERR_OK);
}

static void add_two(const char *first, const char *second)
{
        struct str lines[] = {str_of(first), str_of(second)};

        assert_int_equal(table_add_lines(&table, lines, 2), ERR_OK);
}

static void prints(const char *expected)
{
        assert_int_equal(table_print(&table, &out), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

static void the_contracts_functions(void **state)
{
        static const char *const titles[] = {"NAME", "FUNCTIONIMAGE", "STATUS", "CREATED DATE"};

        (void)state;
        table_init(&table, &arena, titles, 4);
        add("hello");
        add("reg/fn:1");
        add("READY");
        add("Thu Oct  4 21:43:32 UTC 2018");
        prints("  NAME  | FUNCTIONIMAGE | STATUS |         CREATED DATE          \n"
               "------------------------------------------------------------\n"
               "  hello | reg/fn:1      | READY  | Thu Oct  4 21:43:32 UTC 2018  \n");
}

static void the_contracts_endpoints(void **state)
{
        static const char *const titles[] = {"NAME",   "FUNCTION", "PROTOCOL", "METHOD",
                                             "DOMAIN", "PATH",     "ENABLED"};

        (void)state;
        table_init(&table, &arena, titles, 7);
        table.dash_rows = true;
        add("ep1");
        add("hello");
        add_two("http", "https");
        add_two("GET", "POST");
        add_two("a.example.com", "b.example.com");
        add_two("/a", "/b");
        add("true");
        prints("  NAME | FUNCTION | PROTOCOL  | METHOD  |           DOMAIN           | PATH | ENABLED  \n"
               "---------------------------------------------------------------------------------------\n"
               "  ep1  | hello    | http      | GET     | a.example.com              | /a   | true     \n"
               "       |          | https     | POST    | b.example.com              | /b   |          \n"
               "---------------------------------------------------------------------------------------\n");
}

static void an_empty_list_is_header_and_dashes(void **state)
{
        static const char *const titles[] = {"NAME", "STATUS"};

        (void)state;
        table_init(&table, &arena, titles, 2);
        prints("  NAME | STATUS  \n--------------\n");
}

static void numbers_are_right_aligned(void **state)
{
        static const char *const titles[] = {"ID", "COUNT"};

        (void)state;
        table_init(&table, &arena, titles, 2);
        add("a");
        add("7");
        add("2");
        add("3.5");
        add("b");
        add("1.2.3");
        prints("  ID | COUNT  \n-----------\n  a  |     7  \n   2 |   3.5  \n  b  | 1.2.3  \n");
}

static void rows_only_has_no_header(void **state)
{
        static const char *const titles[] = {"ID"};

        (void)state;
        table_init(&table, &arena, titles, 1);
        table.rows_only = true;
        add("abc");
        prints("  abc  \n");
}

static void text_with_blanks_wraps_at_30(void **state)
{
        static const char *const titles[] = {"REASON"};

        (void)state;
        table_init(&table, &arena, titles, 1);
        add("the quick brown fox jumps over the lazy dog"); /* 30 columns, then the rest */
        add("this-is-one-word-that-is-longer-than-thirty");
        prints("                    REASON                     \n"
               "---------------------------------------------\n"
               "  the quick brown fox jumps over               \n"
               "  the lazy dog                                 \n"
               "  this-is-one-word-that-is-longer-than-thirty  \n");
}

static void lines_together_count_up_to_the_wrapping_width(void **state)
{
        static const char *const titles[] = {"X"};

        (void)state;
        table_init(&table, &arena, titles, 1);
        add_two("12345678901234567890", "12345678901234567890x");
        assert_int_equal(table.width[0], 30);
}

static void wrapping_can_be_off(void **state)
{
        static const char *const titles[] = {"X"};

        (void)state;
        table_init(&table, &arena, titles, 1);
        table.no_wrap = true;
        add("a text with blanks that is longer than thirty");
        assert_int_equal(table.cells[0].line_count, 1);
}

static void hostile_text_stays_in_its_cell(void **state)
{
        static const char *const titles[] = {"X"};

        (void)state;
        table_init(&table, &arena, titles, 1);
        add("a\nb\x1b[2J\xff");
        prints("         X         \n-----------------\n  a\\nb\\x1b[2J\\xff  \n");
}

static void a_huge_cell_is_cut_and_says_so(void **state)
{
        static const char *const titles[] = {"X"};
        own_buf struct buf huge = {.max = 1 << 20};

        (void)state;
        for (int i = 0; i < TABLE_CELL_MAX + 1; i++)
                buf_append(&huge, "y", 1);
        table_init(&table, &arena, titles, 1);
        add(buf_text(&huge));
        assert_true(str_ends(table.cells[0].lines[0], STR("...(cut)")));
}

static void many_words_do_not_overflow(void **state)
{
        static const char *const titles[] = {"X"};
        own_buf struct buf words = {.max = 1 << 20};

        (void)state;
        for (int i = 0; i < 2000; i++)
                buf_append_text(&words, "w ");
        table_init(&table, &arena, titles, 1);
        add(buf_text(&words));
        assert_int_equal(table_print(&table, &out), ERR_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(the_contracts_functions),
                TEST(the_contracts_endpoints),
                TEST(an_empty_list_is_header_and_dashes),
                TEST(numbers_are_right_aligned),
                TEST(rows_only_has_no_header),
                TEST(text_with_blanks_wraps_at_30),
                TEST(lines_together_count_up_to_the_wrapping_width),
                TEST(wrapping_can_be_off),
                TEST(hostile_text_stays_in_its_cell),
                TEST(a_huge_cell_is_cut_and_says_so),
                TEST(many_words_do_not_overflow),
        };

        return cmocka_run_group_tests_name("cli table", tests, NULL, NULL);
}
