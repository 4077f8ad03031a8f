/* The list of packages that may be installed. */
#include "image/package_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool has(const char *list, const char *type, const char *name, const char *version)
{
        assert_int_equal(package_list_check(str_of(list), NULL), ERR_OK);
        return package_list_has(str_of(list), str_of(type), str_of(name), str_of(version));
}

static void names_and_versions_are_compared(void **state)
{
        (void)state;
        assert_true(has("pypi:requests\n", "pypi", "requests", "2.0"));
        assert_true(has("# all of it\n pypi:requests = 2.* # but 3\n", "pypi", "requests", "2.31"));
        assert_true(has("pypi:requests==2.31", "pypi", "requests", "2.31"));
        assert_false(has("pypi:requests=2.*", "pypi", "requests", "3.2.0"));
        assert_false(has("pypi:requests", "npm", "requests", "1"));
        assert_false(has("pypi:request", "pypi", "requests", "1"));
        assert_false(has("", "pypi", "requests", "1"));
}

static void a_star_is_any_text(void **state)
{
        (void)state;
        assert_true(has("npm:@scope/*", "npm", "@scope/thing", "1"));
        assert_false(has("npm:@scope/*", "npm", "@other/thing", "1"));
        assert_true(has("deb:lib*-dev=*deb12*", "deb", "libssl-dev", "3.0-1~deb12u2"));
        assert_true(has("deb:*a*b*c", "deb", "xxaybbzc", "1"));
        assert_false(has("deb:*a*b*c", "deb", "xxaybbz", "1"));
        assert_true(has("deb:*", "deb", "x", "1"));
}

static void names_are_compared_as_their_registries_do(void **state)
{
        (void)state;
        assert_true(has("pypi:Charset_Normalizer", "pypi", "charset-normalizer", "3"));
        assert_true(has("pypi:zope.interface", "pypi", "zope-_interface", "1"));
        assert_false(has("npm:Thing", "npm", "thing", "1"));
        assert_true(has("maven:org.apache.commons:commons-lang3=3.*", "maven",
                        "org.apache.commons/commons-lang3", "3.14.0"));
        assert_false(has("maven:org.apache.commons:commons-lang3", "maven", "org.apache.commons/other", "1"));
}

static void a_line_that_is_none_is_named(void **state)
{
        static const char *const bad[] = {"requests", "cobol:x", "pypi:", "pypi: =1", "pypi:a b"};
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(package_list_check(str_of(bad[i]), &err), ERR_INVALID);
                assert_non_null(strstr(err.text, "line 1"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_versions_are_compared),
                cmocka_unit_test(a_star_is_any_text),
                cmocka_unit_test(names_are_compared_as_their_registries_do),
                cmocka_unit_test(a_line_that_is_none_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
