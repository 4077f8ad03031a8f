/* tests/unit/cli/list_test.c: the order of a list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "cli/list.h"

static void sorts_to(const char *list_text, const char *member, const char *expected)
{
        own_json json_t *list = NULL;
        own_buf struct buf names = {.max = 4096};
        struct err err;

        assert_int_equal(json_parse(str_of(list_text), &list, &err), ERR_OK);
        assert_int_equal(list_sort(&list, list_compare_member, member, &err), ERR_OK);
        for (size_t i = 0; i < json_array_size(list); i++) {
                struct str name = json_str(json_array_get(list, i), "n");
                assert_int_equal(buf_append(&names, name.p, name.len), ERR_OK);
        }
        assert_string_equal(names.len > 0 ? buf_text(&names) : "", expected);
}

static void sorting_is_stable_and_takes_any_length(void **state)
{
        (void)state;
        sorts_to("[]", "x", "");
        sorts_to("[{\"n\":\"a\",\"x\":2}]", "x", "a");
        sorts_to("[{\"n\":\"a\",\"x\":2},{\"n\":\"b\",\"x\":1},{\"n\":\"c\",\"x\":2},{\"n\":\"d\",\"x\":1},"
                 "{\"n\":\"e\",\"x\":0}]",
                 "x", "ebdac");
        sorts_to("[{\"n\":\"b\"},{\"n\":\"ab\"},{\"n\":\"a\"}]", "n", "aabb");
}

static void what_lacks_the_member_comes_first_and_texts_last(void **state)
{
        (void)state;
        sorts_to("[{\"n\":\"a\",\"x\":\"1\"},{\"n\":\"b\",\"x\":5},{\"n\":\"c\"},{\"n\":\"d\",\"meta\":{"
                 "\"x\":3}}]",
                 "x", "cdba");
        sorts_to("[{\"n\":\"a\",\"x\":true},{\"n\":\"b\",\"x\":false}]", "x", "ba");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sorting_is_stable_and_takes_any_length),
                cmocka_unit_test(what_lacks_the_member_comes_first_and_texts_last),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
