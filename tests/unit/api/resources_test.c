/* Images, functions, secrets and endpoints through the API: statuses, bodies, and what the controllers make.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int setup(void **state)
{
        struct fixture *fixture = malloc(sizeof(*fixture));

        fixture_init(fixture);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;

        assert_string_equal(fixture->problem, "");
        fixture_finish(fixture);
        free(fixture);
        return 0;
}

/* The body of an error: CONTRACT 6.1. */
static void expect_error(const struct reply *reply, int status, int code, const char *message)
{
        assert_string_equal(text_of(reply->json, "message"), message);
        assert_int_equal(reply->status, status);
        assert_int_equal(json_integer_value(json_object_get(reply->json, "code")), code);
        assert_string_equal(reply->content_type, "application/json");
}

static void get(struct fixture *fixture, struct reply *reply, const char *target, int status)
{
        call(fixture, reply, "GET", target, NULL);
        assert_int_equal(reply->status, status);
}

static void expect_status(struct fixture *fixture, const char *target, const char *status)
{
        own_reply struct reply reply = {0};

        get(fixture, &reply, target, 200);
        assert_string_equal(text_of(reply.json, "status"), status);
}

static const char *reason_of(const json_t *json, size_t i)
{
        const char *text = json_string_value(json_array_get(json_object_get(json, "reason"), i));

        return text != NULL ? text : "";
}

static size_t count_files(const char *dir)
{
        char command[128], text[16] = "";

        snprintf(command, sizeof(command), "ls -A %s | wc -l", dir);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        assert_non_null(fgets(text, sizeof(text), pipe));
        pclose(pipe);
        return (size_t)strtoul(text, NULL, 10);
}

static const struct error_case {
        const char *method, *target, *fields, *body;
        int status, code;
        const char *message;
} error_cases[] = {
#define JSON "Content-Type: application/json"
        {"POST", "/v1/function", JSON, "{\"image\":\"python3\"}", 422, 602, "name in body is required"},
        {"POST", "/v1/function", JSON, NULL, 422, 602, "body in body is required"},
        {"POST", "/v1/image", JSON, "{\"name\":\"x\"}", 422, 602, "baseImageName in body is required"},
        {"GET", "/v1/function", "X-Dispatch-Org: !!", NULL, 422, 605,
         "X-Dispatch-Org in header should match '^[\\w\\d][\\w\\d\\-]*[\\w\\d]|[\\w\\d]+$'"},
        {"GET", "/v1/image/a%20b", "", NULL, 422, 605, "imageName in path should match '^[\\w\\d\\-]+$'"},
        {"POST", "/v1/function", JSON, "{\"name\":\"a b\",\"image\":\"python3\"}", 422, 605,
         "name should start with letter or number and may only contain letters, numbers, underscores and "
         "dashes"},
        {"GET", "/v1/runs?since=abc", "", NULL, 422, 601, "since in query must be of type int64: \"abc\""},
        {"GET", "/v1/runs/notuuid", "", NULL, 422, 601, "runName in path must be of type uuid: \"notuuid\""},
        {"POST", "/v1/function", JSON, "{", 400, 400,
         "parsing body body from \"\" failed, because unexpected EOF"},
        {"POST", "/v1/secret", JSON, "{", 400, 400,
         "parsing secret body from \"\" failed, because unexpected EOF"},
        {"POST", "/v1/function", "Content-Type: text/plain", "{}", 415, 415,
         "unsupported media type \"text/plain\", only [application/json] are allowed"},
        {"POST", "/v1/function", "Content-Type: application/x-www-form-urlencoded", "{}", 415, 415,
         "unsupported media type \"application/x-www-form-urlencoded\", only [application/json] are allowed"},
        {"PATCH", "/v1/function/x", "", NULL, 405, 405,
         "method PATCH is not allowed, but [GET,PUT,DELETE] are"},
        {"DELETE", "/v1/secret/", JSON, NULL, 405, 405, "method DELETE is not allowed, but [GET,POST] are"},
        {"GET", "/v1/what", "", NULL, 404, 404, "resource does not exist"},
        {"GET", "/home", "", NULL, 404, 404, "resource does not exist"},
        {"GET", "/v1/iam/policy", "", NULL, 501, 501,
         "Endpoint is not implemented in this version of Dispatch"},
        {"GET", "/v1/function/none", "", NULL, 404, 404, "function none not found"},
        {"GET", "/v1/image/none", "", NULL, 404, 404, "image none not found"},
        {"GET", "/v1/baseimage/none", "", NULL, 404, 404, "base image none not found"},
        {"GET", "/v1/secret/none", "", NULL, 404, 404, "secret none not found"},
        {"GET", "/v1/endpoint/none", "", NULL, 404, 404, "endpoint none not found"},
        {"PUT", "/v1/function/none", JSON, "{\"name\":\"none\"}", 404, 404, "function none not found"},
        {"DELETE", "/v1/endpoint/none", JSON, NULL, 404, 404, "endpoint none not found"},
        {"POST", "/v1/runs?functionName=none", JSON, "{\"blocking\":true}", 404, 404,
         "function none not found"},
        {"POST", "/v1/runs", JSON, "{\"blocking\":true}", 400, 400, "Bad Request: No function specified"},
        {"POST", "/v1/runs?functionName=x", JSON, NULL, 422, 602, "body in body is required"},
        {"POST", "/v1/function", JSON, "{\"name\":\"f\",\"source\":\"YQ==\"}", 422, 602,
         "image in body is required"},
        {"POST", "/v1/function", JSON, "{\"name\":\"f\",\"image\":\"none\",\"source\":\"YQ==\"}", 404, 404,
         "image none not found"},
        {"POST", "/v1/function", JSON, "{\"name\":\"f\",\"image\":\"python3\"}", 400, 400,
         "either source or sourceURL must be specified"},
        {"POST", "/v1/function", JSON, "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"%%\"}", 400, 400,
         "parsing body body from \"\" failed, because illegal base64 data at input byte 0"},
        {"POST", "/v1/image", JSON, "{\"name\":\"x\",\"baseImageName\":\"none\"}", 404, 404,
         "base image none not found"},
        {"POST", "/v1/image", JSON, "{\"name\":\"python3\",\"baseImageName\":\"a/b\"}", 409, 409,
         "image python3 already exists"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"network\":{\"mode\":\"egress\","
         "\"allow\":[\"a b\"]}}",
         422, 606,
         "network.allow.0 in body should be a host name, *.DOMAIN, an IPv4 address or a range ADDRESS/PREFIX "
         "without bits behind the prefix"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"concurrency\":2,\"isolation\":\"run\"}",
         422, 422, "concurrency in body must be 1 with isolation run: each run has a process of its own"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"functionImage\":\"r.example/a:1\",\"concurrency\":2}", 422, 422,
         "concurrency in body must be 1 with functionImage: its server gets one request at a time"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"concurrency\":1001}", 422, 606,
         "concurrency in body should be less than or equal to 1000"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"schema\":{\"in\":{\"type\":\"objekt\"}}"
         "}",
         422, 422, "schema.in: #/type: it must match at least one of 2 schemas, and matches none"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"schema\":{\"in\":null,\"out\":"
         "{\"properties\":{\"a\":{\"$ref\":\"other.json\"}}}}}",
         422, 422,
         "schema.out: #/properties/a: $ref: it refers to the document 'other.json', which is not part of the "
         "schema; nothing is fetched: put it under $defs with that $id"},
        {"POST", "/v1/function", JSON,
         "{\"name\":\"f\",\"image\":\"python3\",\"source\":\"YQ==\",\"services\":[\"db\"]}", 422, 422,
         "services is not available in this version of Dispatch"},
        {"POST", "/v1/endpoint", JSON, "{\"name\":\"e\",\"function\":\"f\",\"methods\":[\"FETCH\"]}", 422,
         606, "methods in body should be one of [GET HEAD POST PUT PATCH DELETE OPTIONS]: \"FETCH\""},
        {"POST", "/v1/endpoint", JSON, "{\"name\":\"e\",\"function\":\"f\",\"uris\":[\"/a*b\"]}", 422, 605,
         "uris in body should be a path, with '*' only as its last segment: \"/a*b\""},
#undef JSON
};

static void each_mistake_has_the_contracts_answer(void **state)
{
        struct fixture *fixture = *state;

        make_image(fixture);
        for (size_t i = 0; i < sizeof(error_cases) / sizeof(error_cases[0]); i++) {
                const struct error_case *c = &error_cases[i];
                own_reply struct reply reply = {0};

                print_message("%s %s %s\n", c->method, c->target, c->body != NULL ? c->body : "");
                call_with(fixture, &reply, c->method, c->target, c->fields, c->body);
                expect_error(&reply, c->status, c->code, c->message);
        }
}

static void health_and_version_need_nothing(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call_with(fixture, &reply, "GET", "/healthz", "", NULL);
        assert_string_equal(reply.body, "{\"version\":{\"version\":\"1.2.3\"}}");
        call_with(fixture, &reply, "GET", "/v1/version", "", NULL);
        assert_string_equal(reply.body, "{\"version\":\"1.2.3\"}");
        call_with(fixture, &reply, "GET", "/readyz", "", NULL);
        assert_int_equal(reply.status, 503); /* the server has not said yet that it takes connections */
        api_ready(fixture->api);
        call_with(fixture, &reply, "GET", "/readyz", "", NULL);
        assert_int_equal(reply.status, 200);
        call_with(fixture, &reply, "GET", "/metrics", "", NULL);
        assert_int_equal(reply.status, 200);
}

static void without_skip_auth_nobody_gets_in(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fixture->config.skip_auth = false;
        fixture_restart(fixture);
        call_with(fixture, &reply, "GET", "/v1/function", "Cookie: unset", NULL);
        expect_error(&reply, 401, 401, "unauthenticated for invalid credentials");
        call_with(fixture, &reply, "GET", "/v1/function", "Authorization: Bearer x", NULL);
        assert_int_equal(reply.status, 401);
        call_with(fixture, &reply, "GET", "/v1/version", "", NULL);
        assert_int_equal(reply.status, 200);
}

static void an_image_goes_from_initialized_to_ready(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fake_builder.builtin_held = true;
        call(fixture, &reply, "POST", "/v1/image",
             "{\"name\":\"python3\",\"baseImageName\":\"dispatchframework/"
             "python3-base:0.0.13-knative\",\"groups\":null,"
             "\"reason\":null,\"runtimeDependencies\":{},\"systemDependencies\":{\"packages\":null}}");
        assert_int_equal(reply.status, 201);
        assert_string_equal(text_of(reply.json, "status"), "INITIALIZED");
        assert_string_equal(text_of(reply.json, "kind"), "Image");
        assert_string_equal(text_of(reply.json, "org"), "dispatch-server");
        assert_string_equal(text_of(reply.json, "project"), "default");
        assert_int_equal(strncmp(text_of(reply.json, "imageDestination"), "dispatch/", 9), 0);
        assert_string_equal(reply.etag, "\"1\"");
        expect_status(fixture, "/v1/image/python3", "CREATING");
        fake_builder_release(fixture);
        settle(fixture);
        get(fixture, &reply, "/v1/image/python3", 200);
        assert_string_equal(text_of(reply.json, "status"), "READY");
        assert_string_equal(text_of(reply.json, "language"), "python3");
        get(fixture, &reply, "/v1/image/", 200);
        assert_int_equal(json_array_size(reply.json), 1);
}

static void an_image_this_server_cannot_make_says_why(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/image", "{\"name\":\"a\",\"baseImageName\":\"example.com/x:1\"}");
        assert_int_equal(reply.status, 201);
        settle(fixture);
        get(fixture, &reply, "/v1/image/a", 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_true(strlen(reason_of(reply.json, 0)) > 0);

        call(fixture, &reply, "POST", "/v1/image",
             "{\"name\":\"b\",\"baseImageName\":\"builtin:python3\",\"runtimeDependencies\":{\"manifest\":"
             "\"requests\"}}");
        settle(fixture);
        get(fixture, &reply, "/v1/image/b", 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");

        fake_builder.builtin_code = ERR_SYSTEM;
        fake_builder.text = "python3 is not installed";
        call(fixture, &reply, "POST", "/v1/image", "{\"name\":\"c\",\"baseImageName\":\"builtin:python3\"}");
        settle(fixture);
        get(fixture, &reply, "/v1/image/c", 200);
        assert_string_equal(reason_of(reply.json, 0), "python3 is not installed");
}

static void an_image_waits_for_its_base_image_and_a_function_for_its_image(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fake_builder.builtin_held = true;
        call(fixture, &reply, "POST", "/v1/baseimage",
             "{\"name\":\"base\",\"dockerUrl\":\"builtin:python3\",\"groups\":null,\"language\":\"\","
             "\"reason\":null}");
        assert_int_equal(reply.status, 201);
        assert_string_equal(text_of(reply.json, "dockerUrl"), "builtin:python3");
        assert_string_equal(text_of(reply.json, "imageURL"), "builtin:python3");
        call(fixture, &reply, "POST", "/v1/image", "{\"name\":\"python3\",\"baseImageName\":\"base\"}");
        assert_int_equal(reply.status, 201);
        make_function(fixture, "hello");
        expect_status(fixture, "/v1/baseimage/base", "CREATING");
        expect_status(fixture, "/v1/image/python3", "INITIALIZED");
        expect_status(fixture, "/v1/function/hello", "INITIALIZED");
        fake_builder_release(fixture);
        settle(fixture);
        expect_status(fixture, "/v1/baseimage/base", "READY");
        expect_status(fixture, "/v1/image/python3", "READY");
        expect_status(fixture, "/v1/function/hello", "READY");
}

static void what_failed_for_want_of_an_image_is_tried_again(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/image",
             "{\"name\":\"python3\",\"baseImageName\":\"example.com/x:1\"}");
        make_function(fixture, "hello");
        get(fixture, &reply, "/v1/function/hello", 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_int_equal(strncmp(reason_of(reply.json, 0), "image python3 is in ERROR: ", 27), 0);
        call(fixture, &reply, "PUT", "/v1/image/python3", "{\"baseImageName\":\"builtin:python3\"}");
        assert_int_equal(reply.status, 200);
        settle(fixture);
        expect_status(fixture, "/v1/image/python3", "READY");
        expect_status(fixture, "/v1/function/hello", "READY");
}

static void a_function_is_built_booted_and_ready(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        fake_builder.source_held = true;
        call(fixture, &reply, "POST", "/v1/function",
             "{\"name\":\"hello\",\"source\":\"c291cmNl\",\"image\":\"python3\",\"schema\":{\"in\":null,"
             "\"out\":null}}");
        assert_int_equal(reply.status, 201);
        assert_string_equal(text_of(reply.json, "status"), "INITIALIZED");
        assert_null(json_object_get(reply.json, "source"));
        assert_int_equal(
                strncmp(text_of(reply.json, "sourceURL"), "file:///store/dispatch-server/default/", 38), 0);
        assert_int_equal(strncmp(text_of(reply.json, "functionImageURL"), "dispatch/", 9), 0);
        assert_int_equal(count_files(fixture->sources), 1);
        expect_status(fixture, "/v1/function/hello", "CREATING");
        fake_builder_release(fixture);
        settle(fixture);
        get(fixture, &reply, "/v1/function/hello", 200);
        assert_string_equal(text_of(reply.json, "status"), "READY");
        assert_string_equal(text_of(reply.json, "revision"), "1");
        assert_string_equal(fixture->engine.last_handler, "hello.handle");
        assert_string_equal(fixture->engine.last_layer, "base-python3");
        const json_t *condition = json_array_get(json_object_get(reply.json, "conditions"), 0);
        assert_string_equal(text_of(condition, "type"), "Ready");
        assert_string_equal(text_of(condition, "status"), "True");

        call(fixture, &reply, "POST", "/v1/function",
             "{\"name\":\"hello\",\"source\":\"c291cmNl\",\"image\":\"python3\"}");
        expect_error(&reply, 409, 409, "function hello already exists");
}

static void a_function_whose_handler_does_not_load_shows_message_and_trace(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        fixture->engine.deploy_code = ERR_UNPROCESSABLE;
        fixture->engine.deploy_text = "the handler did not load";
        fixture->engine.deploy_trace = "{\"type\":\"FunctionError\",\"message\":\"invalid syntax\","
                                       "\"stacktrace\":[\"File hello.py, line 1\",\"  def\"]}";
        make_function(fixture, "hello");
        get(fixture, &reply, "/v1/function/hello", 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_string_equal(reason_of(reply.json, 0), "FunctionError: invalid syntax");
        assert_string_equal(reason_of(reply.json, 2), "  def");
        call(fixture, &reply, "POST", "/v1/runs?functionName=hello", "{\"blocking\":true}");
        assert_int_equal(reply.status, 409);
        assert_non_null(strstr(text_of(reply.json, "message"), "invalid syntax"));
}

static void a_source_without_a_default_handler_asks_for_one(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        fake_builder.info = "{\"files\":2}";
        make_function(fixture, "hello");
        get(fixture, &reply, "/v1/function/hello", 200);
        assert_int_equal(strncmp(reason_of(reply.json, 0), "handler is required", 19), 0);
        call(fixture, &reply, "PUT", "/v1/function/hello",
             "{\"image\":\"python3\",\"handler\":\"a.handle\"}");
        assert_int_equal(reply.status, 200);
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "READY");
        assert_string_equal(fixture->engine.last_handler, "a.handle");
}

static void an_update_serves_the_old_revision_until_the_new_one_works(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        make_function(fixture, "hello");
        fixture->engine.deploy_held = true;
        call(fixture, &reply, "PUT", "/v1/function/hello",
             "{\"name\":\"hello\",\"image\":\"python3\",\"source\":\"bmV3Cg==\",\"revision\":\"1\"}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "UPDATING");
        assert_string_equal(text_of(reply.json, "revision"), "2");
        settle(fixture);
        assert_int_equal(count_files(fixture->sources), 2);
        call(fixture, &reply, "POST", "/v1/runs?functionName=hello", "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 200);
        assert_int_equal(fixture->engine.last_revision, 1);
        fake_deploy_release(fixture);
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "READY");
        call(fixture, &reply, "POST", "/v1/runs?functionName=hello", "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(fixture->engine.last_revision, 2);
        assert_int_equal(fixture->engine.retires, 1);
        /* Nothing refers to the old source and layer any more. */
        assert_int_equal(count_files(fixture->sources), 1);
        assert_int_equal(fake_builder.drops, 1);

        call(fixture, &reply, "PUT", "/v1/function/hello",
             "{\"name\":\"hello\",\"image\":\"python3\",\"revision\":\"1\"}");
        assert_int_equal(reply.status, 409);
        call_with(fixture, &reply, "PUT", "/v1/function/hello",
                  "Content-Type: application/json\nIf-Match: \"1\"",
                  "{\"name\":\"hello\",\"image\":\"python3\"}");
        assert_int_equal(reply.status, 412);
}

static void a_failed_update_leaves_the_old_revision_serving_even_after_a_restart(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        make_function(fixture, "hello");
        fixture->engine.deploy_code = ERR_UNPROCESSABLE;
        fixture->engine.deploy_text = "no";
        call(fixture, &reply, "PUT", "/v1/function/hello", "{\"image\":\"python3\",\"source\":\"bmV3Cg==\"}");
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "ERROR");
        for (int restarted = 0; restarted < 2; restarted++) {
                call(fixture, &reply, "POST", "/v1/runs?functionName=hello",
                     "{\"blocking\":true,\"input\":{}}");
                assert_int_equal(reply.status, 200);
                assert_int_equal(fixture->engine.last_revision, 1);
                fixture_restart(fixture);
        }
        assert_int_equal(count_files(fixture->sources), 2);
}

static void a_name_in_the_body_must_be_the_paths(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        make_function(fixture, "hello");
        call(fixture, &reply, "PUT", "/v1/function/hello", "{\"name\":\"other\",\"image\":\"python3\"}");
        expect_error(&reply, 422, 422, "name in body is 'other', but the path names 'hello'");
}

static void a_deleted_function_takes_all_with_it(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        make_function(fixture, "hello");
        call(fixture, &reply, "POST", "/v1/runs?functionName=hello", "{\"blocking\":true,\"input\":{}}");
        get(fixture, &reply, "/v1/runs?functionName=hello&since=-62135596800", 200);
        assert_int_equal(json_array_size(reply.json), 1);
        call(fixture, &reply, "DELETE", "/v1/function/hello", NULL);
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "DELETING");
        assert_string_equal(text_of(reply.json, "name"), "hello");
        get(fixture, &reply, "/v1/function/hello", 404);
        get(fixture, &reply, "/v1/runs", 200);
        assert_string_equal(reply.body, "[]\n");
        settle(fixture);
        assert_int_equal(count_files(fixture->sources), 0);
        assert_int_equal(fixture->engine.retires, 1);
        assert_int_equal(fake_builder.drops, 1);
}

static void functions_share_a_source_until_the_last_goes(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        make_function(fixture, "one");
        fake_builder.info = "{}"; /* the layer is there already: what its build found is remembered */
        make_function(fixture, "two");
        expect_status(fixture, "/v1/function/two", "READY");
        assert_int_equal(count_files(fixture->sources), 1);
        call(fixture, &reply, "DELETE", "/v1/function/one", NULL);
        settle(fixture);
        assert_int_equal(count_files(fixture->sources), 1);
        assert_int_equal(fake_builder.drops, 0);
        call(fixture, &reply, "DELETE", "/v1/function/two", NULL);
        settle(fixture);
        assert_int_equal(count_files(fixture->sources), 0);
}

static void a_function_deleted_while_it_is_built_leaves_nothing(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        fake_builder.source_held = true;
        make_function(fixture, "hello");
        call(fixture, &reply, "DELETE", "/v1/function/hello", NULL);
        assert_int_equal(reply.status, 200);
        fake_builder_release(fixture);
        settle(fixture);
        assert_int_equal(fixture->engine.deploys, 0);
        assert_int_equal(count_files(fixture->sources), 0);
        assert_int_equal(fake_builder.drops, 2); /* before the layer was there, and after */
}

static void a_restart_goes_on_with_what_was_being_built(void **state)
{
        struct fixture *fixture = *state;

        fake_builder.builtin_held = true;
        make_image(fixture);
        fixture_restart(fixture);
        fake_builder_release(fixture);
        settle(fixture);
        expect_status(fixture, "/v1/image/python3", "READY");

        fake_builder.source_held = true;
        make_function(fixture, "hello");
        expect_status(fixture, "/v1/function/hello", "CREATING");
        fixture_restart(fixture);
        fake_builder.info = "{}"; /* the old server's build was done, nobody knows its result */
        fake_builder_release(fixture);
        settle(fixture);
        assert_int_equal(fake_builder.drops, 1); /* so it is made again */
        fake_builder.info = "{\"handler\":\"hello.handle\"}";
        fake_builder_release(fixture);
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "READY");
}

static void a_restart_serves_ready_functions_without_booting_and_checks_their_layers(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};
        unsigned deploys, sources;

        make_image(fixture);
        make_function(fixture, "hello");
        deploys = fixture->engine.deploys;
        sources = fake_builder.sources;
        fixture_restart(fixture);
        assert_int_equal(fixture->engine.deploys, deploys);
        assert_int_equal(fake_builder.sources, sources + 1);
        call(fixture, &reply, "POST", "/v1/runs?functionName=hello", "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 200);
}

static void a_restart_removes_sources_that_nothing_refers_to(void **state)
{
        struct fixture *fixture = *state;
        char path[256];

        snprintf(path, sizeof(path), "%s/%064d", fixture->sources, 7);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
        make_image(fixture);
        make_function(fixture, "hello");
        fixture_restart(fixture);
        assert_int_equal(count_files(fixture->sources), 1);
        assert_int_equal(fake_builder.drops, 2); /* its layer, for each language */
}

static void secrets_come_back_and_are_sealed_in_the_store(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/secret",
             "{\"meta\":{\"name\":\"s1\"},\"secrets\":{\"user\":\"u\"}}");
        assert_int_equal(reply.status, 201);
        assert_string_equal(text_of(reply.json, "name"), "s1");
        assert_string_equal(text_of(json_object_get(reply.json, "meta"), "name"), "s1");
        assert_string_equal(text_of(json_object_get(reply.json, "secrets"), "user"), "u");
        call(fixture, &reply, "POST", "/v1/secret", "{\"name\":\"s1\",\"secrets\":{}}");
        expect_error(&reply, 409, 409, "secret s1 already exists");
        call(fixture, &reply, "PUT", "/v1/secret/s1",
             "{\"meta\":{\"name\":\"\"},\"kind\":\"Secret\",\"name\":\"s1\",\"secrets\":{\"user\":\"v\"}}");
        assert_int_equal(reply.status, 201);
        fixture_restart(fixture);
        get(fixture, &reply, "/v1/secret", 200);
        assert_string_equal(text_of(json_object_get(json_array_get(reply.json, 0), "secrets"), "user"), "v");
        call(fixture, &reply, "DELETE", "/v1/secret/s1", NULL);
        assert_int_equal(reply.status, 204);
        assert_string_equal(reply.body, "");
        get(fixture, &reply, "/v1/secret/s1", 404);
}

static void a_changed_secret_renews_the_functions_that_name_it(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        call(fixture, &reply, "POST", "/v1/secret", "{\"name\":\"s1\",\"secrets\":{\"a\":\"1\"}}");
        call(fixture, &reply, "POST", "/v1/function",
             "{\"name\":\"hello\",\"image\":\"python3\",\"source\":\"YQ==\",\"secrets\":[\"s1\"]}");
        settle(fixture);
        make_function(fixture, "other");
        call(fixture, &reply, "PUT", "/v1/secret/s1", "{\"secrets\":{\"a\":\"2\"}}");
        assert_int_equal(reply.status, 201);
        settle(fixture);
        assert_int_equal(fixture->engine.retires, 1);
        expect_status(fixture, "/v1/function/hello", "READY");
}

static void a_function_that_failed_without_a_secret_is_tried_again_with_it(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        fixture->engine.deploy_code = ERR_NOT_FOUND;
        fixture->engine.deploy_text = "secret s1 not found";
        call(fixture, &reply, "POST", "/v1/function",
             "{\"name\":\"hello\",\"image\":\"python3\",\"source\":\"YQ==\",\"secrets\":[\"s1\"]}");
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "ERROR");
        fixture->engine.deploy_code = ERR_OK;
        call(fixture, &reply, "POST", "/v1/secret", "{\"name\":\"s1\",\"secrets\":{\"a\":\"1\"}}");
        settle(fixture);
        expect_status(fixture, "/v1/function/hello", "READY");
}

static bool routed(struct fixture *fixture, const char *host, const char *path)
{
        struct endpoint_entry *entry;
        unsigned methods;

        return snapshot_route(snapshot_of_loop(fixture->hub, 0), str_of(host), str_of(path), ROUTE_GET,
                              &entry, &methods) == ROUTE_FOUND;
}

static void an_endpoint_routes_from_its_reply_on(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/endpoint",
             "{\"kind\":\"Endpoint\",\"name\":\"get-hello\",\"enabled\":true,\"function\":\"hello\","
             "\"hosts\":[],"
             "\"methods\":[\"get\",\"POST\"],\"protocols\":[\"http\",\"https\"],\"uris\":[\"hello\"]}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "READY");
        assert_string_equal(json_string_value(json_array_get(json_object_get(reply.json, "methods"), 0)),
                            "GET");
        assert_string_equal(json_string_value(json_array_get(json_object_get(reply.json, "uris"), 0)),
                            "/hello");
        assert_true(routed(fixture, "default.dispatch-server.dispatch.local", "/hello"));
        assert_false(routed(fixture, "other.dispatch-server.dispatch.local", "/hello"));

        call(fixture, &reply, "POST", "/v1/endpoint",
             "{\"name\":\"second\",\"enabled\":true,\"function\":\"hello\",\"methods\":[\"GET\"],\"uris\":["
             "\"/hello\"]}");
        assert_int_equal(reply.status, 409);
        call(fixture, &reply, "POST", "/v1/endpoint",
             "{\"name\":\"get-hello\",\"enabled\":true,\"function\":\"hello\",\"uris\":[\"/hello\"]}");
        expect_error(&reply, 409, 409, "endpoint get-hello already exists");
        call(fixture, &reply, "PUT", "/v1/endpoint/get-hello",
             "{\"enabled\":true,\"function\":\"hello\",\"methods\":[\"GET\"],\"uris\":[\"/"
             "hi\"],\"hosts\":[\"A.Example.COM:80\"]}");
        assert_int_equal(reply.status, 200);
        assert_false(routed(fixture, "default.dispatch-server.dispatch.local", "/hello"));
        assert_true(routed(fixture, "a.example.com", "/hi"));
        fixture_restart(fixture);
        assert_true(routed(fixture, "a.example.com", "/hi"));
        call(fixture, &reply, "DELETE", "/v1/endpoint/get-hello", NULL);
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "name"), "get-hello");
        assert_false(routed(fixture, "a.example.com", "/hi"));
}

static void projects_and_organizations_do_not_see_each_other(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        make_image(fixture);
        call_with(fixture, &reply, "GET", "/v1/image/python3", "X-Dispatch-Org: other", NULL);
        assert_int_equal(reply.status, 404);
        call_with(fixture, &reply, "GET", "/v1/image", "X-Dispatch-Project: other", NULL);
        assert_string_equal(reply.body, "[]\n");
        call_with(fixture, &reply, "GET", "/v1/image/python3", "X-Dispatch-Org: dispatch-server", NULL);
        assert_int_equal(reply.status, 200);
}

static void a_broken_connection_is_only_forgotten(void **state)
{
        struct fixture *fixture = *state;
        struct reply reply = {0};

        call_begin(fixture, &reply, "POST", "/v1/secret", "Content-Type: application/json",
                   "{\"name\":\"s1\",\"secrets\":{}}");
        call_break();
        settle(fixture);
        assert_false(reply.delivered);
        get(fixture, &reply, "/v1/secret/s1", 200);
        reply_finish(&reply);
}

static void an_api_is_an_endpoint_below_its_organization_on_any_host(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/api",
             "{\"name\":\"a\",\"enabled\":true,\"function\":\"f\",\"hosts\":[],\"uris\":[\"hello\"]}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "CREATING");
        assert_true(json_is_null(json_object_get(reply.json, "hosts")));
        assert_true(routed(fixture, "any.example", "/dispatch-server/hello"));
        assert_false(routed(fixture, "any.example", "/hello"));
        get(fixture, &reply, "/v1/endpoint/a", 200);
        assert_string_equal(json_string_value(json_array_get(json_object_get(reply.json, "hosts"), 0)), "*");
        call(fixture, &reply, "DELETE", "/v1/api/a", NULL);
        assert_int_equal(reply.status, 200);
        assert_false(routed(fixture, "any.example", "/dispatch-server/hello"));
        call(fixture, &reply, "GET", "/v1/api/a", NULL);
        assert_string_equal(text_of(reply.json, "message"), "API a not found");
}

static void a_condition_holds_or_nothing_is_changed(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};
        char field[128];

        call(fixture, &reply, "POST", "/v1/secret", "{\"name\":\"s\",\"secrets\":{\"a\":\"1\"}}");
        assert_int_equal(reply.status, 201);
        snprintf(field, sizeof(field), "Content-Type: application/json\nIf-Match: %s", reply.etag);
        call_with(fixture, &reply, "PUT", "/v1/secret/s", field, "{\"secrets\":{\"a\":\"2\"}}");
        assert_int_equal(reply.status, 201);
        call_with(fixture, &reply, "PUT", "/v1/secret/s", field, "{\"secrets\":{\"a\":\"3\"}}");
        assert_int_equal(reply.status, 412);
        get(fixture, &reply, "/v1/secret/s", 200);
        assert_string_equal(text_of(json_object_get(reply.json, "secrets"), "a"), "2");
        snprintf(field, sizeof(field), "If-None-Match: W/%s", reply.etag);
        call_with(fixture, &reply, "GET", "/v1/secret/s", field, NULL);
        assert_int_equal(reply.status, 304);
        assert_string_equal(reply.body, "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(each_mistake_has_the_contracts_answer),
                T(health_and_version_need_nothing),
                T(without_skip_auth_nobody_gets_in),
                T(an_image_goes_from_initialized_to_ready),
                T(an_image_this_server_cannot_make_says_why),
                T(an_image_waits_for_its_base_image_and_a_function_for_its_image),
                T(what_failed_for_want_of_an_image_is_tried_again),
                T(a_function_is_built_booted_and_ready),
                T(a_function_whose_handler_does_not_load_shows_message_and_trace),
                T(a_source_without_a_default_handler_asks_for_one),
                T(an_update_serves_the_old_revision_until_the_new_one_works),
                T(a_failed_update_leaves_the_old_revision_serving_even_after_a_restart),
                T(a_name_in_the_body_must_be_the_paths),
                T(a_deleted_function_takes_all_with_it),
                T(functions_share_a_source_until_the_last_goes),
                T(a_function_deleted_while_it_is_built_leaves_nothing),
                T(a_restart_goes_on_with_what_was_being_built),
                T(a_restart_serves_ready_functions_without_booting_and_checks_their_layers),
                T(a_restart_removes_sources_that_nothing_refers_to),
                T(secrets_come_back_and_are_sealed_in_the_store),
                T(a_changed_secret_renews_the_functions_that_name_it),
                T(a_function_that_failed_without_a_secret_is_tried_again_with_it),
                T(an_endpoint_routes_from_its_reply_on),
                T(projects_and_organizations_do_not_see_each_other),
                T(a_broken_connection_is_only_forgotten),
                T(an_api_is_an_endpoint_below_its_organization_on_any_host),
                T(a_condition_holds_or_nothing_is_changed),
        };
#undef T

        return cmocka_run_group_tests(tests, NULL, NULL);
}
