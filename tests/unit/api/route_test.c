/* Paths, methods, content types: what the head of a request decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/route.h"

#include <string.h>

static const struct path_case {
        const char *method, *path;
        enum err_code code;
        enum api_target target;
        enum model_kind kind;
        enum api_verb verb;
        const char *name;
} path_cases[] = {
        {"GET", "/v1/function", ERR_OK, TARGET_RESOURCE, MODEL_FUNCTION, VERB_LIST, ""},
        {"GET", "/v1/function/", ERR_OK, TARGET_RESOURCE, MODEL_FUNCTION, VERB_LIST, ""},
        {"POST", "/v1/function/", ERR_OK, TARGET_RESOURCE, MODEL_FUNCTION, VERB_CREATE, ""},
        {"GET", "/v1/function/hello", ERR_OK, TARGET_RESOURCE, MODEL_FUNCTION, VERB_GET, "hello"},
        {"PUT", "/v1/image/a", ERR_OK, TARGET_RESOURCE, MODEL_IMAGE, VERB_UPDATE, "a"},
        {"DELETE", "/v1/baseimage/b", ERR_OK, TARGET_RESOURCE, MODEL_BASE_IMAGE, VERB_DELETE, "b"},
        {"GET", "/v1/secret/s", ERR_OK, TARGET_RESOURCE, MODEL_SECRET, VERB_GET, "s"},
        {"POST", "/v1/endpoint", ERR_OK, TARGET_RESOURCE, MODEL_ENDPOINT, VERB_CREATE, ""},
        {"POST", "/v1/runs", ERR_OK, TARGET_RUNS, MODEL_RUN, VERB_CREATE, ""},
        {"GET", "/v1/runs/x", ERR_OK, TARGET_RUNS, MODEL_RUN, VERB_GET, "x"},
        {"GET", "/v1/version", ERR_OK, TARGET_VERSION, MODEL_BASE_IMAGE, VERB_GET, ""},
        {"GET", "/healthz", ERR_OK, TARGET_HEALTH, MODEL_BASE_IMAGE, VERB_GET, ""},
        {"GET", "/healthz/anything", ERR_OK, TARGET_HEALTH, MODEL_BASE_IMAGE, VERB_GET, ""},
        {"GET", "/readyz", ERR_OK, TARGET_READY, MODEL_BASE_IMAGE, VERB_GET, ""},
        {"GET", "/metrics", ERR_OK, TARGET_METRICS, MODEL_BASE_IMAGE, VERB_GET, ""},
        {"GET", "/", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/home", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/v1", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/v1/nothing", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/v2/function", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/v1/function/a/b", ERR_NOT_FOUND, 0, 0, 0, ""},
        {"GET", "/v1/event/subscriptions", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"POST", "/v1/event", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"GET", "/v1/iam/policy/x", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"GET", "/v1/application", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"GET", "/v1/serviceclass", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"GET", "/v1/serviceinstance", ERR_NOT_IMPLEMENTED, 0, 0, 0, ""},
        {"GET", "/v1/api", ERR_OK, TARGET_RESOURCE, MODEL_API, VERB_LIST, ""},
        {"PUT", "/v1/api/a", ERR_OK, TARGET_RESOURCE, MODEL_API, VERB_UPDATE, "a"},
};

static void each_path_names_its_operation(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
                const struct path_case *c = &path_cases[i];
                struct api_route route;

                print_message("%s %s\n", c->method, c->path);
                assert_int_equal(api_route_find(str_of(c->method), str_of(c->path), &route, NULL), c->code);
                if (c->code != ERR_OK)
                        continue;
                assert_int_equal(route.target, c->target);
                assert_int_equal(route.verb, c->verb);
                if (c->target == TARGET_RESOURCE)
                        assert_int_equal(route.kind, c->kind);
                assert_true(str_eq(route.name, str_of(c->name)));
        }
}

static void a_wrong_method_names_the_right_ones(void **state)
{
        static const char *const cases[][3] = {
                {"PATCH", "/v1/function/x", "method PATCH is not allowed, but [GET,PUT,DELETE] are"},
                {"DELETE", "/v1/secret/", "method DELETE is not allowed, but [GET,POST] are"},
                {"PUT", "/v1/image", "method PUT is not allowed, but [GET,POST] are"},
                {"POST", "/v1/image/x", "method POST is not allowed, but [GET,PUT,DELETE] are"},
                {"PUT", "/v1/runs/x", "method PUT is not allowed, but [GET,DELETE] are"},
                {"DELETE", "/v1/runs", "method DELETE is not allowed, but [GET,POST] are"},
                {"POST", "/healthz", "method POST is not allowed, but [GET] are"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct api_route route;
                struct err err;

                assert_int_equal(api_route_find(str_of(cases[i][0]), str_of(cases[i][1]), &route, &err),
                                 ERR_METHOD);
                assert_string_equal(err.text, cases[i][2]);
                assert_true(route.methods[0] != '\0');
        }
}

static void only_json_is_taken_whatever_its_parameters(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(api_content_type_check(STR("application/json"), NULL), ERR_OK);
        assert_int_equal(api_content_type_check(STR("Application/JSON; charset=utf-8"), NULL), ERR_OK);
        assert_int_equal(api_content_type_check(STR("text/plain"), &err), ERR_MEDIA_TYPE);
        assert_string_equal(err.text,
                            "unsupported media type \"text/plain\", only [application/json] are allowed");
        assert_int_equal(api_content_type_check((struct str){NULL, 0}, &err), ERR_MEDIA_TYPE);
        assert_string_equal(
                err.text,
                "unsupported media type \"application/octet-stream\", only [application/json] are allowed");
}

static void a_query_value_is_decoded(void **state)
{
        own_arena struct arena arena;
        struct str value;

        (void)state;
        arena_init(&arena, 4096);
        assert_int_equal(api_query_get(STR("since=-1&functionName=a%20b+c&functionName=d"),
                                       STR("functionName"), &arena, &value),
                         ERR_OK);
        assert_true(str_eq(value, STR("a b c")));
        assert_int_equal(api_query_get(STR("since=1"), STR("functionName"), &arena, &value), ERR_OK);
        assert_int_equal(value.len, 0);
        assert_int_equal(api_query_get(STR("functionName=%zz"), STR("functionName"), &arena, &value),
                         ERR_INVALID);
        assert_int_equal(api_query_get(STR("functionName"), STR("functionName"), &arena, &value), ERR_OK);
        assert_int_equal(value.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_path_names_its_operation),
                cmocka_unit_test(a_wrong_method_names_the_right_ones),
                cmocka_unit_test(only_json_is_taken_whatever_its_parameters),
                cmocka_unit_test(a_query_value_is_decoded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
