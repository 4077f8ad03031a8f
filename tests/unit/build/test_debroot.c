/* tests/unit/build/test_debroot.c: the texts around a root of Debian's packages. */
#include "build/debroot.h"

#include "base/buf.h"
#include "support.h"

#include <string.h>

static void test_date_of_a_release(void **state)
{
        static const char release[] =
                "Origin: Debian\nSuite: oldstable\nDate: Sat, 06 Sep 2025 10:21:07 UTC\nX: y\n";
        uint64_t date = 0;

        (void)state;
        assert_true(debroot_date(STR(release), &date));
        assert_int_equal(date, 1757154067);
        assert_false(debroot_date(STR("Date: Sat, 06 Sep 2025 10:21:07 CET\n"), &date));
        assert_false(debroot_date(STR("Date: soon\n"), &date));
        assert_false(debroot_date(STR("Suite: x\n"), &date));
        assert_false(debroot_date(STR(""), &date));
}

static void test_packages_of_a_manifest(void **state)
{
        struct runtime runtime = {.packages = "python3, mawk | awk, libc6 (>= 2)",
                                  .packages_optional = "tzdata, netbase"};
        struct buf packages = {.max = 4096};

        (void)state;
        assert_int_equal(debroot_packages(&runtime, &packages, NULL), ERR_OK);
        assert_string_equal(buf_text(&packages),
                            "python3,mawk,libc6,?exact-name(tzdata),?exact-name(netbase)");
        buf_finish(&packages);
}

static void test_what_a_tool_gives_as_its_reason(void **state)
{
        struct debroot_why why = {.text = ""};

        (void)state;
        debroot_why_line(&why, STR("Reading package lists..."));
        assert_string_equal(why.text, "");
        debroot_why_line(&why, STR("E: Unable to locate package nonesuch"));
        debroot_why_line(&why, STR("E: mmdebstrap failed to run"));
        assert_string_equal(why.text, "Unable to locate package nonesuch");
        for (int i = 0; i < 100; i++)
                debroot_why_line(&why, STR("E: and so on, and so on"));
        assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

static void test_names_of_suites(void **state)
{
        (void)state;
        assert_true(debroot_suite_valid("bookworm"));
        assert_true(debroot_suite_valid("trixie-backports"));
        assert_false(debroot_suite_valid(""));
        assert_false(debroot_suite_valid("--help"));
        assert_false(debroot_suite_valid("a/../b"));
        assert_false(debroot_suite_valid("Book worm"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_date_of_a_release),
                cmocka_unit_test(test_packages_of_a_manifest),
                cmocka_unit_test(test_what_a_tool_gives_as_its_reason),
                cmocka_unit_test(test_names_of_suites),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
