/* Routes: a given host before any, exact before the longest prefix, one owner for each host, path and method.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/route.h"

#include <stdlib.h>

static struct endpoint_entry *endpoint(const char *name, const char *host, const char *path, unsigned methods)
{
        struct endpoint_entry *entry = endpoint_entry_create();

        assert_non_null(entry);
        entry->organization = strdup("org");
        entry->project = strdup("default");
        entry->name = strdup(name);
        entry->function = strdup("f");
        entry->enabled = entry->http = true;
        entry->methods = methods;
        entry->hosts = calloc(1, sizeof(char *));
        entry->hosts[0] = strdup(host);
        entry->host_count = 1;
        entry->paths = calloc(1, sizeof(char *));
        entry->paths[0] = strdup(path);
        entry->path_count = 1;
        return entry;
}

/* Adds it; the trie keeps its own reference. */
static void add(struct hamt *routes, const char *name, const char *host, const char *path, unsigned methods)
{
        struct endpoint_entry *entry = endpoint(name, host, path, methods);

        assert_int_equal(route_add(routes, entry, NULL), ERR_OK);
        endpoint_entry_unref(entry);
}

static const char *find(const struct hamt *routes, const char *host, const char *path, unsigned method)
{
        struct endpoint_entry *entry = NULL;
        unsigned methods = 0;

        switch (route_find(routes, str_of(host), str_of(path), method, &entry, &methods)) {
        case ROUTE_FOUND:
                return entry->name;
        case ROUTE_NO_METHOD:
                return "405";
        case ROUTE_NO_PATH:
                break;
        }
        return "404";
}

static void a_path_matches_exactly(void **state)
{
        struct hamt routes;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "a", "h", "/hello", ROUTE_GET);
        assert_string_equal(find(&routes, "h", "/hello", ROUTE_GET), "a");
        assert_string_equal(find(&routes, "h", "/hello/", ROUTE_GET), "404");
        assert_string_equal(find(&routes, "h", "/hell", ROUTE_GET), "404");
        assert_string_equal(find(&routes, "other", "/hello", ROUTE_GET), "404");
        assert_string_equal(find(&routes, "h", "", ROUTE_GET), "404");
        hamt_finish(&routes);
}

static void the_longest_prefix_wins_and_exact_wins_over_it(void **state)
{
        struct hamt routes;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "root", "h", "/*", ROUTE_GET);
        add(&routes, "a", "h", "/a/*", ROUTE_GET);
        add(&routes, "ab", "h", "/a/b/*", ROUTE_GET);
        add(&routes, "exact", "h", "/a/b/c", ROUTE_GET);
        assert_string_equal(find(&routes, "h", "/a/b/c", ROUTE_GET), "exact");
        assert_string_equal(find(&routes, "h", "/a/b/d", ROUTE_GET), "ab");
        assert_string_equal(find(&routes, "h", "/a/b/", ROUTE_GET), "ab");
        assert_string_equal(find(&routes, "h", "/a/b", ROUTE_GET), "a");
        assert_string_equal(find(&routes, "h", "/ab", ROUTE_GET), "root");
        assert_string_equal(find(&routes, "h", "/", ROUTE_GET), "root");
        hamt_finish(&routes);
}

static void a_prefix_matches_a_path_that_is_longer_than_any_key(void **state)
{
        struct hamt routes;
        char path[20000];

        (void)state;
        memset(path, 'x', sizeof(path) - 1);
        path[0] = path[3] = '/';
        path[sizeof(path) - 1] = '\0';
        hamt_init(&routes, &route_set_ops);
        add(&routes, "files", "h", "/xx/*", ROUTE_GET);
        assert_string_equal(find(&routes, "h", path, ROUTE_GET), "files");
        hamt_finish(&routes);
}

static void a_given_host_is_taken_before_any(void **state)
{
        struct hamt routes;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "any", "*", "/x", ROUTE_GET);
        add(&routes, "mine", "h", "/*", ROUTE_GET);
        assert_string_equal(find(&routes, "h", "/x", ROUTE_GET), "mine");
        assert_string_equal(find(&routes, "other", "/x", ROUTE_GET), "any");
        assert_string_equal(find(&routes, "other", "/y", ROUTE_GET), "404");
        hamt_finish(&routes);
}

static void another_method_is_told_apart_from_no_path(void **state)
{
        struct hamt routes;
        struct endpoint_entry *entry = NULL;
        unsigned methods = 0;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "get", "h", "/x", ROUTE_GET);
        add(&routes, "post", "h", "/x", ROUTE_POST);
        assert_string_equal(find(&routes, "h", "/x", ROUTE_POST), "post");
        assert_string_equal(find(&routes, "h", "/x", ROUTE_HEAD), "get");
        assert_int_equal(route_find(&routes, STR("h"), STR("/x"), ROUTE_PUT, &entry, &methods),
                         ROUTE_NO_METHOD);
        assert_int_equal(methods, ROUTE_GET | ROUTE_HEAD | ROUTE_POST);
        assert_string_equal(find(&routes, "h", "/x", ROUTE_OTHER), "405");
        hamt_finish(&routes);
}

static void two_endpoints_cannot_claim_the_same(void **state)
{
        struct endpoint_entry *second = endpoint("second", "h", "/x", ROUTE_GET | ROUTE_PUT);
        struct hamt routes;
        struct err err;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "first", "h", "/x", ROUTE_GET | ROUTE_POST);
        assert_int_equal(route_check(&routes, second, NULL, &err), ERR_CONFLICT);
        assert_string_equal(err.text, "endpoint second: GET h/x is taken by endpoint first");
        second->methods = ROUTE_PUT;
        assert_int_equal(route_check(&routes, second, NULL, &err), ERR_OK);
        second->methods = ROUTE_GET;
        second->enabled = false;
        assert_int_equal(route_check(&routes, second, NULL, &err), ERR_OK);
        endpoint_entry_unref(second);
        hamt_finish(&routes);
}

static void a_removed_endpoint_leaves_its_neighbours(void **state)
{
        struct endpoint_entry *entry = endpoint("gone", "h", "/x", ROUTE_GET);
        struct hamt routes;

        (void)state;
        hamt_init(&routes, &route_set_ops);
        add(&routes, "stays", "h", "/x", ROUTE_POST);
        assert_int_equal(route_add(&routes, entry, NULL), ERR_OK);
        struct hamt before = hamt_share(&routes);
        assert_int_equal(route_remove(&routes, entry, NULL), ERR_OK);
        assert_string_equal(find(&routes, "h", "/x", ROUTE_GET), "405");
        assert_string_equal(find(&routes, "h", "/x", ROUTE_POST), "stays");
        assert_string_equal(find(&before, "h", "/x", ROUTE_GET), "gone");
        hamt_finish(&before);
        hamt_finish(&routes);
        endpoint_entry_unref(entry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_path_matches_exactly),
                cmocka_unit_test(the_longest_prefix_wins_and_exact_wins_over_it),
                cmocka_unit_test(a_prefix_matches_a_path_that_is_longer_than_any_key),
                cmocka_unit_test(a_given_host_is_taken_before_any),
                cmocka_unit_test(another_method_is_told_apart_from_no_path),
                cmocka_unit_test(two_endpoints_cannot_claim_the_same),
                cmocka_unit_test(a_removed_endpoint_leaves_its_neighbours),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
