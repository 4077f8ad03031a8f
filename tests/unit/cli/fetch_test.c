/* tests/unit/cli/fetch_test.c: which words are URLs, and what lies beside one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/fetch.h"

static void urls_have_one_of_three_schemes(void **state)
{
        (void)state;
        assert_true(fetch_is_url("http://h/a.yaml") && fetch_is_url("HTTPS://h") &&
                    fetch_is_url("file:///a"));
        assert_false(fetch_is_url("a.yaml") || fetch_is_url("ftp://h/a") || fetch_is_url("http:/h") ||
                     fetch_is_url("-"));
}

static void beside(const char *url, const char *path, const char *expected)
{
        own_arena struct arena arena = {.max_bytes = 1 << 16};
        const char *found = fetch_beside(&arena, url, path);

        assert_non_null(found);
        assert_string_equal(found, expected);
}

static void a_path_is_resolved_beside_the_file(void **state)
{
        (void)state;
        beside("http://h/d/a.yaml", "src/x.py", "http://h/d/src/x.py");
        beside("http://h/d/a.yaml?raw=a/b#c/d", "x", "http://h/d/x");
        beside("http://h", "x", "http://h/x");
        beside("http://h?a/b", "x", "http://h/x");
        beside("file:///d/a.yaml", "x y%?#.py", "file:///d/x%20y%25%3F%23.py");
}

static void a_path_that_leads_elsewhere_is_refused_before_anything_is_asked(void **state)
{
        static const char *const paths[] = {"/etc/x", "..", "a/../../x", ".x", "a/.x/y", "a\nb", "a\\b"};
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                assert_int_equal(fetch_below("http://127.0.0.1:1/a", paths[i], ".", true, &err), ERR_INVALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(urls_have_one_of_three_schemes),
                cmocka_unit_test(a_path_is_resolved_beside_the_file),
                cmocka_unit_test(a_path_that_leads_elsewhere_is_refused_before_anything_is_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
