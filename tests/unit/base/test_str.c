/* tests/unit/base/test_str.c: text views and conversions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"

static void views_are_compared_by_content(void **state)
{
        (void)state;
        assert_true(str_eq(STR("a\0b"), STR("a\0b")));
        assert_false(str_eq(STR("a\0b"), STR("a\0c")));
        assert_true(str_eq((struct str){0}, STR("")));
        assert_true(str_eq_nocase(STR("Content-Type"), STR("cONTENT-tYPE")));
        assert_false(str_eq_nocase(STR("a["), STR("A{")));
        assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
        assert_true(str_starts(STR("abc"), STR("ab")));
        assert_true(str_starts(STR("abc"), STR("")));
        assert_false(str_starts(STR("a"), STR("ab")));
        assert_true(str_ends(STR("abc"), STR("bc")));
        assert_false(str_ends(STR("c"), STR("bc")));
}

static void views_are_trimmed_found_and_cut(void **state)
{
        struct str rest = STR("a,,b");

        (void)state;
        assert_true(str_eq(str_trim(STR(" \ta b\t "), " \t"), STR("a b")));
        assert_int_equal(str_trim(STR("   "), " ").len, 0);
        assert_true(str_eq(str_trim(STR("\0a\0"), " "), STR("\0a\0")));
        assert_int_equal(str_find(STR("abc"), 'c'), 2);
        assert_int_equal(str_find(STR("abc"), 'd'), 3);
        assert_int_equal(str_find((struct str){0}, 'd'), 0);
        assert_true(str_eq(str_cut(&rest, ','), STR("a")));
        assert_true(str_eq(str_cut(&rest, ','), STR("")));
        assert_true(str_eq(str_cut(&rest, ','), STR("b")));
        assert_int_equal(rest.len, 0);
        assert_int_equal(str_cut(&rest, ',').len, 0);
}

static void numbers_are_whole_or_refused(void **state)
{
        static const struct str bad[] = {STR_INIT(""),   STR_INIT(" 1"),  STR_INIT("1 "), STR_INIT("+1"),
                                         STR_INIT("-"),  STR_INIT("--1"), STR_INIT("1a"), STR_INIT("0x1"),
                                         STR_INIT("1."), STR_INIT("1\0")};
        uint64_t u = 7;
        int64_t i = 7;

        (void)state;
        for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
                assert_false(str_to_u64(bad[n], &u));
                assert_false(str_to_i64(bad[n], &i));
        }
        assert_false(str_to_u64(STR("-1"), &u));
        assert_false(str_to_u64(STR("18446744073709551616"), &u));
        assert_false(str_to_i64(STR("9223372036854775808"), &i));
        assert_false(str_to_i64(STR("-9223372036854775809"), &i));
        assert_int_equal(u, 7);
        assert_int_equal(i, 7);
        assert_true(str_to_u64(STR("18446744073709551615"), &u));
        assert_true(u == UINT64_MAX);
        assert_true(str_to_i64(STR("-9223372036854775808"), &i));
        assert_true(i == INT64_MIN);
        assert_true(str_to_i64(STR("-62135596800"), &i));
        assert_true(i == -62135596800);
        assert_true(str_to_u64(STR("007"), &u));
        assert_int_equal(u, 7);
}

static void utf8_is_taken_as_the_standard_says(void **state)
{
        static const struct str good[] = {
                STR_INIT(""),
                STR_INIT("a\0"),
                STR_INIT("\xc2\x80"),
                STR_INIT("\xdf\xbf"),
                STR_INIT("\xe0\xa0\x80"),
                STR_INIT("\xed\x9f\xbf"),
                STR_INIT("\xee\x80\x80"),
                STR_INIT("\xf0\x90\x80\x80"),
                STR_INIT("\xf4\x8f\xbf\xbf"),
        };
        static const struct str bad[] = {
                STR_INIT("\x80"),
                STR_INIT("\xc0\x80"),
                STR_INIT("\xc1\xbf"),
                STR_INIT("\xe0\x9f\xbf"),
                STR_INIT("\xed\xa0\x80"),
                STR_INIT("\xf0\x8f\xbf\xbf"),
                STR_INIT("\xf4\x90\x80\x80"),
                STR_INIT("\xf5\x80\x80\x80"),
                STR_INIT("\xc3"),
                STR_INIT("\xe2\x82"),
                STR_INIT("\xf0\x9f\x98"),
                STR_INIT("\xc3("),
                STR_INIT("\xe2\x82("),
                STR_INIT("\xff"),
        };

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(str_is_utf8(good[i]));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(str_is_utf8(bad[i]));
}

static void base64_encodes_the_vectors_of_rfc_4648(void **state)
{
        static const struct str rows[][2] = {
                {STR_INIT(""), STR_INIT("")},
                {STR_INIT("f"), STR_INIT("Zg==")},
                {STR_INIT("fo"), STR_INIT("Zm8=")},
                {STR_INIT("foo"), STR_INIT("Zm9v")},
                {STR_INIT("foob"), STR_INIT("Zm9vYg==")},
                {STR_INIT("fooba"), STR_INIT("Zm9vYmE=")},
                {STR_INIT("foobar"), STR_INIT("Zm9vYmFy")},
                {STR_INIT("\xfb\xff\xbf"), STR_INIT("+/+/")},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char coded[32], decoded[32];
                size_t len, bad;
                base64_encode(rows[i][0].p, rows[i][0].len, coded);
                assert_int_equal(base64_encoded_len(rows[i][0].len), rows[i][1].len);
                assert_memory_equal(coded, rows[i][1].p, rows[i][1].len);
                assert_true(base64_decode(rows[i][1], decoded, &len, &bad));
                assert_true(str_eq((struct str){decoded, len}, rows[i][0]));
        }
}

static void bad_base64_says_where(void **state)
{
        static const struct {
                struct str text;
                size_t bad;
        } rows[] = {
                {STR_INIT("Zg"), 2},    {STR_INIT("Z"), 1},     {STR_INIT("Zg="), 3},
                {STR_INIT("Zg==="), 4}, {STR_INIT("=Zg="), 0},  {STR_INIT("Z==="), 1},
                {STR_INIT("Z g="), 1},  {STR_INIT("Zm9v!"), 4}, {STR_INIT("Zg==Zg=="), 4},
                {STR_INIT("Zm9-"), 3},  {STR_INIT("Zh=="), 1},  {STR_INIT("Zm9="), 2},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char decoded[32];
                size_t len = 99, bad = 99;
                assert_false(base64_decode(rows[i].text, decoded, &len, &bad));
                assert_int_equal(bad, rows[i].bad);
                assert_int_equal(len, 99);
        }
}

static void base64_may_be_broken_into_lines(void **state)
{
        char decoded[32];
        size_t len, bad;

        (void)state;
        assert_true(base64_decode(STR("\r\nZm\n9v\r\nYg=\r\n=\n"), decoded, &len, &bad));
        assert_true(str_eq((struct str){decoded, len}, STR("foob")));
}

static void hex_goes_both_ways(void **state)
{
        char hex[6];
        unsigned char bytes[3];

        (void)state;
        hex_encode("\x00\xab\xff", 3, hex);
        assert_memory_equal(hex, "00abff", 6);
        assert_true(hex_decode(STR("00ABfF"), bytes));
        assert_memory_equal(bytes, "\x00\xab\xff", 3);
        assert_false(hex_decode(STR("0"), bytes));
        assert_false(hex_decode(STR("0g"), bytes));
        assert_false(hex_decode(STR("@A"), bytes));
        assert_true(hex_decode(STR(""), bytes));
}

static void a_uuid_is_random_and_of_version_4(void **state)
{
        char one[UUID_LEN + 1], two[UUID_LEN + 1];

        (void)state;
        uuid_generate(one);
        uuid_generate(two);
        assert_true(uuid_valid(str_of(one)) && uuid_valid(str_of(two)));
        assert_string_not_equal(one, two);
        assert_int_equal(one[14], '4');
        assert_non_null(strchr("89ab", one[19]));
        assert_false(uuid_valid(STR("")));
        assert_false(uuid_valid(str_slice(str_of(one), 0, UUID_LEN - 1)));
        one[8] = 'a';
        assert_false(uuid_valid(str_of(one)));
        two[0] = 'g';
        assert_false(uuid_valid(str_of(two)));
}

static void an_ordered_uuid_sorts_by_its_time(void **state)
{
        char one[UUID_LEN + 1], two[UUID_LEN + 1];
        int64_t from_us = clock_wall_us();

        (void)state;
        uuid_generate_ordered(one);
        while (clock_wall_us() / 1000 == from_us / 1000 || clock_wall_us() - from_us < 2000)
                continue;
        uuid_generate_ordered(two);
        assert_true(uuid_valid(str_of(one)) && uuid_valid(str_of(two)));
        assert_int_equal(one[14], '7');
        assert_true(strcmp(one, two) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(views_are_compared_by_content),
                cmocka_unit_test(views_are_trimmed_found_and_cut),
                cmocka_unit_test(numbers_are_whole_or_refused),
                cmocka_unit_test(utf8_is_taken_as_the_standard_says),
                cmocka_unit_test(base64_encodes_the_vectors_of_rfc_4648),
                cmocka_unit_test(bad_base64_says_where),
                cmocka_unit_test(base64_may_be_broken_into_lines),
                cmocka_unit_test(hex_goes_both_ways),
                cmocka_unit_test(a_uuid_is_random_and_of_version_4),
                cmocka_unit_test(an_ordered_uuid_sorts_by_its_time),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
