/* tests/unit/http/test_url.c: percent-encoding, queries and paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/url.h"

static struct arena arena;

static int setup(void **state)
{
        (void)state;
        arena_init(&arena, 65536);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        arena_finish(&arena);
        return 0;
}

static void escapes_are_decoded_or_refused(void **state)
{
        static const struct {
                struct str text;
                bool plus;
                bool valid;
                struct str decoded;
        } rows[] = {
                {STR_INIT(""), false, true, STR_INIT("")},
                {STR_INIT("abc"), false, true, STR_INIT("abc")},
                {STR_INIT("a%20b"), false, true, STR_INIT("a b")},
                {STR_INIT("a+b"), false, true, STR_INIT("a+b")},
                {STR_INIT("a+b"), true, true, STR_INIT("a b")},
                {STR_INIT("%2b+"), true, true, STR_INIT("+ ")},
                {STR_INIT("%c3%A4"), false, true, STR_INIT("\xc3\xa4")},
                {STR_INIT("%00"), false, true, STR_INIT("\0")},
                {STR_INIT("%2541"), false, true, STR_INIT("%41")},
                {STR_INIT("%"), false, false, STR_INIT("")},
                {STR_INIT("a%4"), false, false, STR_INIT("")},
                {STR_INIT("%4g"), false, false, STR_INIT("")},
                {STR_INIT("%g4"), false, false, STR_INIT("")},
                {STR_INIT("%%41"), false, false, STR_INIT("")},
                {STR_INIT("% 41"), false, false, STR_INIT("")},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str decoded;
                enum err_code code = url_decode(rows[i].text, rows[i].plus, &arena, &decoded);
                assert_int_equal(code, rows[i].valid ? ERR_OK : ERR_INVALID);
                if (rows[i].valid)
                        assert_true(str_eq(decoded, rows[i].decoded));
        }
}

static void what_needs_no_decoding_is_not_copied(void **state)
{
        struct str text = STR("a-b"), decoded;

        (void)state;
        assert_int_equal(url_decode(text, true, &arena, &decoded), ERR_OK);
        assert_ptr_equal(decoded.p, text.p);
        assert_int_equal(arena.used_bytes, 0);
}

static void pairs_come_in_order_with_repeated_and_empty_ones(void **state)
{
        static const struct str expected[][2] = {
                {STR_INIT("a"), STR_INIT("1")},   {STR_INIT("b"), STR_INIT("")},
                {STR_INIT("a"), STR_INIT("2 3")}, {STR_INIT("c d"), STR_INIT("=&")},
                {STR_INIT(""), STR_INIT("only")},
        };
        struct url_pairs pairs = url_pairs_begin(STR("&a=1&&b&a=2+3&c%20d==%26&=only&"), 10);
        struct str name, value;

        (void)state;
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
                assert_int_equal(url_pairs_next(&pairs, &arena, &name, &value), ERR_OK);
                assert_true(str_eq(name, expected[i][0]));
                assert_true(str_eq(value, expected[i][1]));
        }
        assert_int_equal(url_pairs_next(&pairs, &arena, &name, &value), ERR_NOT_FOUND);
        assert_int_equal(url_pairs_next(&pairs, &arena, &name, &value), ERR_NOT_FOUND);
}

static void pairs_are_bounded_and_strict(void **state)
{
        struct url_pairs many = url_pairs_begin(STR("a&b&c"), 2), bad = url_pairs_begin(STR("a=%zz"), 2);
        struct str name, value;

        (void)state;
        assert_int_equal(url_pairs_next(&many, &arena, &name, &value), ERR_OK);
        assert_int_equal(url_pairs_next(&many, &arena, &name, &value), ERR_OK);
        assert_int_equal(url_pairs_next(&many, &arena, &name, &value), ERR_TOO_LARGE);
        assert_int_equal(url_pairs_next(&bad, &arena, &name, &value), ERR_INVALID);
}

static void ambiguous_paths_are_refused(void **state)
{
        static const struct str rows[] = {
                STR_INIT(""),       STR_INIT("*"),       STR_INIT("a"),       STR_INIT("/%"),
                STR_INIT("/a%2Fb"), STR_INIT("/a%2fb"),  STR_INIT("/a%5Cb"),  STR_INIT("/a\\b"),
                STR_INIT("/a%00"),  STR_INIT("/a/../b"), STR_INIT("/.."),     STR_INIT("/."),
                STR_INIT("/a/./b"), STR_INIT("/a/."),    STR_INIT("/%2e%2E"), STR_INIT("/.%2e/a"),
                STR_INIT("/a/%2e"),
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str path;
                assert_int_equal(url_path_normalise(rows[i], &arena, &path), ERR_INVALID);
        }
}

static void other_paths_are_decoded_once(void **state)
{
        static const struct str rows[][2] = {
                {STR_INIT("/"), STR_INIT("/")},
                {STR_INIT("/a/b/"), STR_INIT("/a/b/")},
                {STR_INIT("//a"), STR_INIT("//a")},
                {STR_INIT("/a%20b+c"), STR_INIT("/a b+c")},
                {STR_INIT("/%252e%252e"), STR_INIT("/%2e%2e")},
                {STR_INIT("/..."), STR_INIT("/...")},
                {STR_INIT("/.a/b."), STR_INIT("/.a/b.")},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str path;
                assert_int_equal(url_path_normalise(rows[i][0], &arena, &path), ERR_OK);
                assert_true(str_eq(path, rows[i][1]));
        }
}

static void running_out_of_memory_is_said(void **state)
{
        struct arena small;
        struct str decoded;

        (void)state;
        arena_init(&small, 2);
        assert_int_equal(url_decode(STR("%41%42%43"), false, &small, &decoded), ERR_NO_MEMORY);
        arena_finish(&small);
}

#define url_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                url_test(escapes_are_decoded_or_refused),
                url_test(what_needs_no_decoding_is_not_copied),
                url_test(pairs_come_in_order_with_repeated_and_empty_ones),
                url_test(pairs_are_bounded_and_strict),
                url_test(ambiguous_paths_are_refused),
                url_test(other_paths_are_decoded_once),
                url_test(running_out_of_memory_is_said),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
