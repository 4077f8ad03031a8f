/* tests/unit/cli/link_test.c: the next page in a Link field, RFC 8288. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/link.h"

static void next_is(const char *value, const char *expected)
{
        struct str next = link_next(str_of(value));

        assert_true(str_eq(next, str_of(expected)));
        assert_int_equal(next.p == NULL, expected == NULL);
}

static void the_next_page_is_found_among_links(void **state)
{
        (void)state;
        next_is("</v1/runs?cursor=1>; rel=\"next\"", "/v1/runs?cursor=1");
        next_is("</v1/a>;rel=prev , </v1/b>; title=\"x, y \\\" z\"; REL=\"last NEXT\"", "/v1/b");
        next_is("</v1/a>; rel=next, </v1/b>; rel=next", "/v1/a");
        next_is("</v1/a,b>; rel=next", "/v1/a,b");
}

static void what_is_no_page_of_the_api_is_none(void **state)
{
        (void)state;
        next_is("", NULL);
        next_is("</v1/a>", NULL);
        next_is("</v1/a", NULL);
        next_is("</v1/a>; rel=prev; rel=next", NULL);
        next_is("<http://h/v1/a>; rel=next", NULL);
        next_is("</v1/a b>; rel=next", NULL);
        next_is("</home>; rel=next", NULL);
        next_is("</v1/a>; title=\"rel=next", NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_next_page_is_found_among_links),
                cmocka_unit_test(what_is_no_page_of_the_api_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
