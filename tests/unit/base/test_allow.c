/* tests/unit/base/test_allow.c: IPv4 ranges, names of allow-lists, and what is on none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/allow.h"

static bool range(const char *text, struct ipv4_range *ret)
{
        return ipv4_range_parse(str_of(text), ret);
}

static void addresses_and_ranges_are_read_strictly(void **state)
{
        static const char *const bad[] = {
                "",           "1",        "1.2.3",    "1.2.3.4.5",   "1.2.3.",    ".1.2.3",
                "1.2.3.256",  "01.2.3.4", "1.2.3.4/", "1.2.3.4/33",  "1.2.3.4/8", "0.0.0.0/00",
                "0.0.0.0/+1", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4/032", "1.2.3.-4",  "1.2.3.4/32/32",
                "::1"};
        struct ipv4_range found;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(range(bad[i], &found));
        assert_true(range("192.0.2.7", &found));
        assert_true(found.address == 0xc0000207 && found.prefix == 32);
        assert_true(range("192.0.2.0/24", &found));
        assert_true(found.address == 0xc0000200 && found.prefix == 24);
        assert_true(range("0.0.0.0/0", &found));
        assert_true(range("255.255.255.255", &found));
}

static void ranges_hold_what_is_in_them_and_overlap_both_ways(void **state)
{
        struct ipv4_range wide, narrow, other, all;

        (void)state;
        assert_true(range("10.0.0.0/8", &wide) && range("10.7.0.0/16", &narrow) &&
                    range("11.0.0.0/8", &other) && range("0.0.0.0/0", &all));
        assert_true(ipv4_range_has(&wide, 0x0affffff));
        assert_false(ipv4_range_has(&wide, 0x0b000000));
        assert_true(ipv4_range_has(&all, 0xffffffff));
        assert_true(ipv4_ranges_overlap(&wide, &narrow) && ipv4_ranges_overlap(&narrow, &wide));
        assert_false(ipv4_ranges_overlap(&other, &narrow) || ipv4_ranges_overlap(&wide, &other));
        assert_true(ipv4_ranges_overlap(&all, &other));
}

static void ranges_are_written_as_they_are_read(void **state)
{
        struct ipv4_range found;
        char text[IPV4_TEXT_MAX];

        (void)state;
        assert_true(range("203.0.113.128/25", &found));
        ipv4_range_format(&found, text);
        assert_string_equal(text, "203.0.113.128/25");
        ipv4_format(0xffffffff, text);
        assert_string_equal(text, "255.255.255.255");
}

static void host_names_are_letters_digits_and_one_star_in_front(void **state)
{
        static const char *const good[] = {"example.com", "a",           "*.example.com",
                                           "x_1.a-b.org", "EXAMPLE.com", "1a.b2c"};
        static const char *const bad[] = {"",    ".",   "a.",      ".a",     "a..b",        "-a.b", "a-.b",
                                          "a b", "*",   "*.",      "**.a",   "a.*.b",       "*a.b", "1.2.3",
                                          "a.1", "a/b", "1.2.3.4", "a\nb.c", "\xc3\xa4.de", "*.1.2"};
        char label[66];

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(allow_host_valid(str_of(good[i])));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(allow_host_valid(str_of(bad[i])));
        memset(label, 'a', sizeof(label));
        assert_true(allow_host_valid((struct str){label, 63}));
        assert_false(allow_host_valid((struct str){label, 64}));
        assert_false(allow_host_valid((struct str){"a\0b", 3}));
}

static void a_name_matches_itself_and_a_star_what_is_below(void **state)
{
        (void)state;
        assert_true(allow_host_matches(STR("example.com"), STR("EXAMPLE.com")));
        assert_true(allow_host_matches(STR("example.com"), STR("example.com.")));
        assert_false(allow_host_matches(STR("example.com"), STR("a.example.com")));
        assert_false(allow_host_matches(STR("example.com"), STR("xexample.com")));
        assert_true(allow_host_matches(STR("*.example.com"), STR("a.b.Example.COM")));
        assert_false(allow_host_matches(STR("*.example.com"), STR("example.com")));
        assert_false(allow_host_matches(STR("*.example.com"), STR(".example.com")));
        assert_false(allow_host_matches(STR("*.example.com"), STR("xexample.com")));
        assert_false(allow_host_matches(STR("example.com"), STR("")));
}

static void the_host_links_and_metadata_are_on_no_list(void **state)
{
        static const char *const never[] = {
                "127.0.0.1",     "127.255.255.255", "169.254.169.254", "0.0.0.0",         "100.100.100.200",
                "168.63.129.16", "192.0.0.192",     "224.0.0.1",       "255.255.255.255", "240.0.0.1"};
        static const char *const fine[] = {"10.0.0.1",   "172.16.0.1", "192.168.1.1",    "100.64.0.1",
                                           "198.18.0.1", "8.8.8.8",    "223.255.255.255"};
        struct ipv4_range found;

        (void)state;
        for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
                assert_true(range(never[i], &found));
                assert_true(allow_is_never(found.address) && allow_range_is_never(&found));
        }
        for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
                assert_true(range(fine[i], &found));
                assert_false(allow_is_never(found.address) || allow_range_is_never(&found));
        }
        assert_true(range("0.0.0.0/0", &found));
        assert_false(allow_range_is_never(&found)); /* some of it is reached */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_and_ranges_are_read_strictly),
                cmocka_unit_test(ranges_hold_what_is_in_them_and_overlap_both_ways),
                cmocka_unit_test(ranges_are_written_as_they_are_read),
                cmocka_unit_test(host_names_are_letters_digits_and_one_star_in_front),
                cmocka_unit_test(a_name_matches_itself_and_a_star_what_is_below),
                cmocka_unit_test(the_host_links_and_metadata_are_on_no_list),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
