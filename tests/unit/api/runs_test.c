/* Runs through the API: what goes in, what comes out, what waits and what survives. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
        struct fixture *fixture = malloc(sizeof(*fixture));

        fixture_init(fixture);
        make_image(fixture);
        make_function(fixture, "hello");
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

#define RUNS "/v1/runs?functionName=hello"

/* "inputBytes" of {"name": "user"} */
#define BYTES "eyJuYW1lIjogInVzZXIifQ=="

static void run(struct fixture *fixture, struct reply *reply, const char *body)
{
        call(fixture, reply, "POST", RUNS, body);
}

static void expect_output(const struct reply *reply, const char *expected)
{
        struct str bytes = json_str(reply->json, "outputBytes");
        char *text = calloc(1, bytes.len + 1);
        size_t len, bad;

        assert_int_equal(reply->status, 200);
        assert_non_null(bytes.p);
        assert_true(base64_decode(bytes, text, &len, &bad));
        text[len] = '\0';
        assert_string_equal(text, expected);
        free(text);
}

static void input_bytes_give_the_message_of_the_runtime(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fixture->engine.run_stdout = "messages to stdout show up in logs";
        run(fixture, &reply,
            "{\"blocking\":true,\"httpContext\":{\"Accept\":\"application/"
            "json\",\"Content-Type\":\"application/json\"},"
            "\"inputBytes\":\"" BYTES "\"}");
        expect_output(&reply, "{\"context\":{\"logs\":{\"stdout\":[\"messages to stdout show up in logs\"],"
                              "\"stderr\":null}},\"payload\":{\"myField\":\"Hello\"}}");
        assert_string_equal(text_of(json_object_get(reply.json, "httpContext"), "Content-Type"),
                            "application/json");
        assert_null(json_object_get(reply.json, "output"));
        assert_string_equal(fixture->engine.last_payload, "{\"name\": \"user\"}");
        assert_string_equal(fixture->engine.last_type, "application/json");
        assert_non_null(strstr(fixture->engine.last_context, "\"Accept\""));
}

static void no_input_is_null_and_still_gives_the_message(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        run(fixture, &reply, "{\"blocking\":true,\"httpContext\":{\"Content-Type\":\"application/json\"}}");
        assert_non_null(json_object_get(reply.json, "outputBytes"));
        assert_string_equal(fixture->engine.last_payload, "");
        assert_string_equal(fixture->engine.last_type, "");
}

static void an_accept_of_another_type_is_said_in_the_body(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        run(fixture, &reply,
            "{\"blocking\":true,\"httpContext\":{\"Accept\":\"text/plain\"},\"inputBytes\":\"" BYTES "\"}");
        expect_output(&reply, "Unsupported Accept type: text/plain");
        run(fixture, &reply,
            "{\"blocking\":true,\"httpContext\":{\"Accept\":\"application/yaml\"},\"inputBytes\":\"" BYTES
            "\"}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(json_object_get(reply.json, "httpContext"), "Content-Type"),
                            "application/yaml");
}

static void yaml_input_reaches_the_runtime_as_json(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        /* name: user */
        run(fixture, &reply,
            "{\"blocking\":true,\"httpContext\":{\"Content-Type\":\"application/"
            "yaml\"},\"inputBytes\":\"bmFtZTogdXNlcgo=\"}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(fixture->engine.last_payload, "{\"name\":\"user\"}");
        assert_string_equal(fixture->engine.last_type, "application/json");
        /* [a */
        run(fixture, &reply,
            "{\"blocking\":true,\"httpContext\":{\"Content-Type\":\"application/"
            "yaml\"},\"inputBytes\":\"W2E=\"}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_int_equal(fixture->engine.invokes, 1);
}

static void input_gives_the_whole_run(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0}, again = {0};
        char target[128];

        run(fixture, &reply,
            "{\"blocking\":true,\"input\":{\"a\":1},\"reason\":null,\"secrets\":[],\"services\":null}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "READY");
        assert_string_equal(text_of(json_object_get(reply.json, "output"), "myField"), "Hello");
        assert_string_equal(text_of(reply.json, "functionName"), "hello");
        assert_string_equal(text_of(reply.json, "start"), "hot");
        assert_true(json_integer_value(json_object_get(reply.json, "executedTime")) > 0);
        assert_true(strlen(text_of(reply.json, "finishedAt")) > 0);

        snprintf(target, sizeof(target), "/v1/runs/%s?functionName=hello&since=-62135596800",
                 text_of(reply.json, "name"));
        call(fixture, &again, "GET", target, NULL);
        assert_int_equal(again.status, 200);
        assert_string_equal(text_of(again.json, "name"), text_of(reply.json, "name"));
        assert_null(json_object_get(again.json, "recovery"));
        snprintf(target, sizeof(target), "/v1/runs/%s?functionName=other", text_of(reply.json, "name"));
        call(fixture, &again, "GET", target, NULL);
        assert_int_equal(again.status, 404);
}

static void a_handlers_error_is_inside_a_200(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fixture->engine.run_error_type = "InputError";
        fixture->engine.run_error =
                "{\"type\":\"InputError\",\"message\":\"no name\",\"stacktrace\":[\"x\"]}";
        fixture->engine.run_body = NULL;
        run(fixture, &reply, "{\"blocking\":true,\"httpContext\":{},\"inputBytes\":\"" BYTES "\"}");
        expect_output(
                &reply,
                "{\"context\":{\"error\":{\"type\":\"InputError\",\"message\":\"no name\","
                "\"stacktrace\":[\"x\"]},\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":null}");
        run(fixture, &reply, "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_string_equal(text_of(json_object_get(reply.json, "error"), "message"), "no name");
        const char *reason = json_string_value(json_array_get(json_object_get(reply.json, "reason"), 0));
        assert_string_equal(reason, "error running function: hello: no name");
}

static void a_run_that_found_no_room_may_be_tried_again(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fixture->engine.run_refusals = 1;
        run(fixture, &reply, "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 429);
        run(fixture, &reply, "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 200);
}

static void an_accepted_run_is_durable_before_its_202_and_goes_on(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0}, list = {0};

        fixture->engine.run_refusals = 1; /* it is tried until there is room */
        run(fixture, &reply, "{\"input\":{}}");
        assert_int_equal(reply.status, 202);
        assert_string_equal(text_of(reply.json, "status"), "INITIALIZED");
        call(fixture, &list, "GET", RUNS, NULL);
        assert_int_equal(json_array_size(list.json), 1);
        for (int i = 0; i < 1000 && fixture->engine.invokes < 2; i++)
                loop_step(fixture->loop, true);
        settle(fixture);
        call(fixture, &list, "GET", RUNS, NULL);
        assert_string_equal(text_of(json_array_get(list.json, 0), "status"), "READY");
        assert_string_equal(text_of(json_array_get(list.json, 0), "name"), text_of(reply.json, "name"));
}

static void a_run_waits_for_its_function(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0}, accepted = {0}, get = {0};

        fixture->engine.deploy_held = true;
        make_function(fixture, "slow");
        call_begin(fixture, &reply, "POST", "/v1/runs?functionName=slow", "Content-Type: application/json",
                   "{\"blocking\":true,\"input\":{}}");
        call(fixture, &accepted, "POST", "/v1/runs?functionName=slow", "{\"input\":{}}");
        assert_int_equal(accepted.status, 202);
        settle(fixture);
        assert_false(reply.delivered);
        fake_deploy_release(fixture);
        wait_reply(fixture, &reply);
        assert_int_equal(reply.status, 200);
        settle(fixture);
        assert_int_equal(fixture->engine.invokes, 2);
        call(fixture, &get, "GET", "/v1/runs?functionName=slow", NULL);
        assert_int_equal(json_array_size(get.json), 2);
}

static void a_wait_ends_with_the_functions_timeout(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        fixture->engine.deploy_held = true;
        call(fixture, &reply, "POST", "/v1/function",
             "{\"name\":\"slow\",\"image\":\"python3\",\"source\":\"YQ==\",\"timeout\":50}");
        settle(fixture);
        call(fixture, &reply, "POST", "/v1/runs?functionName=slow", "{\"blocking\":true,\"input\":{}}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
        assert_non_null(strstr(text_of(json_object_get(reply.json, "error"), "message"), "not READY"));
}

static void a_wait_ends_with_the_functions_failure_or_end(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0}, other = {0};

        fixture->engine.deploy_held = true;
        make_function(fixture, "slow");
        call_begin(fixture, &reply, "POST", "/v1/runs?functionName=slow", "Content-Type: application/json",
                   "{\"blocking\":true,\"input\":{}}");
        settle(fixture);
        fixture->engine.deploy_code = ERR_UNPROCESSABLE;
        fixture->engine.deploy_text = "no such handler";
        fake_deploy_release(fixture);
        wait_reply(fixture, &reply);
        assert_int_equal(reply.status, 409);
        assert_string_equal(text_of(reply.json, "message"), "function slow is in ERROR: no such handler");

        make_function(fixture, "gone");
        call_begin(fixture, &reply, "POST", "/v1/runs?functionName=gone", "Content-Type: application/json",
                   "{\"blocking\":true,\"input\":{}}");
        settle(fixture);
        call(fixture, &other, "DELETE", "/v1/function/gone", NULL);
        wait_reply(fixture, &reply);
        assert_int_equal(reply.status, 404);
        fake_deploy_release(fixture);
}

static void an_unfinished_run_is_run_again_after_a_restart(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0}, list = {0};

        fixture->engine.deploy_held = true;
        make_function(fixture, "slow");
        call(fixture, &reply, "POST", "/v1/runs?functionName=slow", "{\"input\":{\"n\":1}}");
        assert_int_equal(reply.status, 202);
        fixture->generation = 2;
        fixture->engine.deploy_held = false;
        fixture_restart(fixture);
        settle(fixture);
        call(fixture, &list, "GET", "/v1/runs?functionName=slow", NULL);
        assert_int_equal(json_array_size(list.json), 1);
        assert_string_equal(text_of(json_array_get(list.json, 0), "status"), "READY");
        assert_string_equal(text_of(json_array_get(list.json, 0), "name"), text_of(reply.json, "name"));
        assert_string_equal(fixture->engine.last_payload, "{\"n\":1}");
}

static void a_runs_own_secrets_reach_it_flat_and_by_name(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/secret", "{\"name\":\"db\",\"secrets\":{\"user\":\"u\"}}");
        run(fixture, &reply, "{\"blocking\":true,\"input\":{},\"secrets\":[\"db\"]}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(fixture->engine.last_secrets,
                            "{\"user\":\"u\",\"db\":\"{\\\"user\\\":\\\"u\\\"}\"}");
        run(fixture, &reply, "{\"blocking\":true,\"input\":{},\"secrets\":[\"none\"]}");
        assert_int_equal(reply.status, 200);
        assert_string_equal(
                text_of(json_object_get(reply.json, "error"), "message"),
                "error when retrieving secrets from secret store: [Code: 404] secret none not found");
        assert_string_equal(text_of(reply.json, "status"), "ERROR");
}

static void what_this_version_cannot_do_for_a_run_is_refused(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        run(fixture, &reply, "{\"blocking\":true,\"input\":{},\"services\":[\"db\"]}");
        assert_int_equal(reply.status, 422);
        run(fixture, &reply, "{\"blocking\":true,\"inputBytes\":\"%\"}");
        assert_int_equal(reply.status, 400);
        assert_int_equal(fixture->engine.invokes, 0);
}

static void a_list_is_bounded_and_says_so(void **state)
{
        struct fixture *fixture = *state;
        own_reply struct reply reply = {0};

        for (int i = 0; i < 3; i++)
                run(fixture, &reply, "{\"blocking\":true,\"input\":{}}");
        call(fixture, &reply, "GET", RUNS "&limit=2", NULL);
        assert_int_equal(json_array_size(reply.json), 2);
        assert_string_equal(reply.truncated, "true");
        call(fixture, &reply, "GET", RUNS "&limit=3", NULL);
        assert_int_equal(json_array_size(reply.json), 3);
        assert_null(reply.truncated);
        call(fixture, &reply, "GET", "/v1/runs?since=99999999999", NULL);
        assert_string_equal(reply.body, "[]\n");
        call(fixture, &reply, "GET", "/v1/runs?functionName=none", NULL);
        assert_string_equal(reply.body, "[]\n");
        call(fixture, &reply, "GET", "/v1/runs/2d4a4b8e-6f0e-4a1c-9a55-3f1d2c0b9e77", NULL);
        assert_int_equal(reply.status, 404);
}

static void a_run_whose_caller_went_away_is_on_record(void **state)
{
        struct fixture *fixture = *state;
        struct reply reply = {0}, list = {0};

        call_begin(fixture, &reply, "POST", RUNS, "Content-Type: application/json",
                   "{\"blocking\":true,\"input\":{}}");
        call_break();
        settle(fixture);
        call(fixture, &list, "GET", RUNS, NULL);
        assert_int_equal(json_array_size(list.json), 1);
        reply_finish(&list);
}

static void a_run_that_is_over_or_unknown_cannot_be_cancelled(void **state)
{
        struct fixture *fixture = *state;
        struct reply done = {0}, over = {0}, unknown = {0};
        char path[96];

        call(fixture, &done, "POST", RUNS, "{\"blocking\":true,\"input\":{}}");
        snprintf(path, sizeof(path), "/v1/runs/%s", json_string_value(json_object_get(done.json, "name")));
        call(fixture, &over, "DELETE", path, NULL);
        assert_int_equal(over.status, 409);
        call(fixture, &unknown, "DELETE", "/v1/runs/00000000-0000-4000-8000-000000000000", NULL);
        assert_int_equal(unknown.status, 404);
        reply_finish(&done);
        reply_finish(&over);
        reply_finish(&unknown);
}

static void a_run_that_waits_for_its_function_is_cancelled(void **state)
{
        struct fixture *fixture = *state;
        struct reply accepted = {0}, gone = {0}, seen = {0};
        char path[96];

        fixture->engine.deploy_held = true;
        make_function(fixture, "waits");
        call(fixture, &accepted, "POST", "/v1/runs?functionName=waits", "{\"blocking\":false,\"input\":{}}");
        assert_int_equal(accepted.status, 202);
        snprintf(path, sizeof(path), "/v1/runs/%s",
                 json_string_value(json_object_get(accepted.json, "name")));
        call(fixture, &gone, "DELETE", path, NULL);
        assert_int_equal(gone.status, 200);
        call(fixture, &seen, "GET", path, NULL);
        assert_string_equal(json_string_value(json_object_get(seen.json, "status")), "ERROR");
        reply_finish(&accepted);
        reply_finish(&gone);
        reply_finish(&seen);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(input_bytes_give_the_message_of_the_runtime),
                T(no_input_is_null_and_still_gives_the_message),
                T(an_accept_of_another_type_is_said_in_the_body),
                T(yaml_input_reaches_the_runtime_as_json),
                T(input_gives_the_whole_run),
                T(a_handlers_error_is_inside_a_200),
                T(a_run_that_found_no_room_may_be_tried_again),
                T(an_accepted_run_is_durable_before_its_202_and_goes_on),
                T(a_run_waits_for_its_function),
                T(a_wait_ends_with_the_functions_timeout),
                T(a_wait_ends_with_the_functions_failure_or_end),
                T(an_unfinished_run_is_run_again_after_a_restart),
                T(a_runs_own_secrets_reach_it_flat_and_by_name),
                T(what_this_version_cannot_do_for_a_run_is_refused),
                T(a_list_is_bounded_and_says_so),
                T(a_run_whose_caller_went_away_is_on_record),
                T(a_run_that_is_over_or_unknown_cannot_be_cancelled),
                T(a_run_that_waits_for_its_function_is_cancelled),
        };
#undef T

        return cmocka_run_group_tests(tests, NULL, NULL);
}
