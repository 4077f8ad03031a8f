/* One story, told again and again with another step of it failing: the n-th write to the store, the n-th
 * allocation of JSON. Callers hear of it or do not notice; after a restart all is whole. */
#include "fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITES_MAX = 60, ALLOCATIONS_STEP = 97, ALLOCATIONS_MAX = 20000 };

static unsigned writes_left, allocations_left; /* until one fails; 0: none does */
static bool failed;

enum err_code __real_store_commit(struct store *store, struct err *err);
enum err_code __wrap_store_commit(struct store *store, struct err *err);
enum err_code __real_store_set_state(struct store *store, enum model_kind kind, struct str id,
                                     json_t *document, json_t *internal, struct err *err);
enum err_code __wrap_store_set_state(struct store *store, enum model_kind kind, struct str id,
                                     json_t *document, json_t *internal, struct err *err);

static bool write_fails(void)
{
        if (writes_left == 0 || --writes_left > 0)
                return false;
        failed = true;
        return true;
}

enum err_code __wrap_store_commit(struct store *store, struct err *err)
{
        if (!write_fails())
                return __real_store_commit(store, err);
        store_rollback(store);
        return err_set(err, ERR_UNAVAILABLE, "the disk is full");
}

enum err_code __wrap_store_set_state(struct store *store, enum model_kind kind, struct str id,
                                     json_t *document, json_t *internal, struct err *err)
{
        if (write_fails())
                return err_set(err, ERR_UNAVAILABLE, "the disk is full");
        return __real_store_set_state(store, kind, id, document, internal, err);
}

static void *failing_malloc(size_t size)
{
        if (allocations_left > 0 && --allocations_left == 0) {
                failed = true;
                return NULL;
        }
        return malloc(size);
}

static int asked(struct fixture *fixture, const char *method, const char *target, const char *body)
{
        own_reply struct reply reply = {0};

        call(fixture, &reply, method, target, body);
        settle(fixture);
        assert_true(reply.status >= 200 && reply.status < 600);
        return reply.status;
}

static void story(struct fixture *fixture)
{
        asked(fixture, "POST", "/v1/baseimage",
              "{\"name\":\"base\",\"dockerUrl\":\"builtin:python3\",\"language\":\"\"}");
        asked(fixture, "POST", "/v1/image", "{\"name\":\"python3\",\"baseImageName\":\"base\"}");
        asked(fixture, "POST", "/v1/secret", "{\"name\":\"s\",\"secrets\":{\"a\":\"1\"}}");
        asked(fixture, "POST", "/v1/function",
              "{\"name\":\"one\",\"image\":\"python3\",\"source\":\"YQ==\",\"secrets\":[\"s\"]}");
        asked(fixture, "POST", "/v1/function",
              "{\"name\":\"two\",\"image\":\"python3\",\"source\":\"YQ==\"}");
        asked(fixture, "PUT", "/v1/secret/s", "{\"secrets\":{\"a\":\"2\"}}");
        asked(fixture, "PUT", "/v1/function/one",
              "{\"image\":\"python3\",\"source\":\"Yg==\",\"secrets\":[\"s\"]}");
        asked(fixture, "POST", "/v1/endpoint",
              "{\"name\":\"e\",\"enabled\":true,\"function\":\"one\",\"methods\":[\"GET\"],\"uris\":[\"/"
              "one\"]}");
        asked(fixture, "POST", "/v1/runs?functionName=one",
              "{\"blocking\":true,\"input\":{},\"secrets\":[\"s\"]}");
        asked(fixture, "PUT", "/v1/endpoint/e",
              "{\"enabled\":true,\"function\":\"two\",\"methods\":[\"GET\"],\"uris\":[\"/two\"]}");
        asked(fixture, "GET", "/v1/function", NULL);
        asked(fixture, "DELETE", "/v1/endpoint/e", NULL);
        asked(fixture, "DELETE", "/v1/function/two", NULL);
}

/* What is there is READY, or failed for a reason that is told; nothing hangs in between. */
static void expect_settled(struct fixture *fixture, const char *target)
{
        own_reply struct reply reply = {0};
        const json_t *item;
        size_t i;

        call(fixture, &reply, "GET", target, NULL);
        assert_int_equal(reply.status, 200);
        json_array_foreach(reply.json, i, item)
        {
                const char *status = text_of(item, "status");

                if (strcmp(status, "READY") != 0 && strcmp(status, "ERROR") != 0)
                        fail_msg("%s %s is %s", target, text_of(item, "name"), status);
        }
}

static void expect_whole(struct fixture *fixture)
{
        writes_left = allocations_left = 0;
        fixture_restart(fixture);
        expect_settled(fixture, "/v1/baseimage");
        expect_settled(fixture, "/v1/image");
        expect_settled(fixture, "/v1/function");
        expect_settled(fixture, "/v1/endpoint");
        /* And the same story ends well now, whatever of it was done before. */
        story(fixture);
        assert_int_equal(
                asked(fixture, "POST", "/v1/runs?functionName=one", "{\"blocking\":true,\"input\":{}}"), 200);
        assert_int_equal(asked(fixture, "GET", "/v1/function/two", NULL), 404);
}

static void each_write_may_fail(void **state)
{
        unsigned n = 0;

        (void)state;
        do {
                struct fixture fixture;

                fixture_init(&fixture);
                writes_left = ++n;
                failed = false;
                story(&fixture);
                expect_whole(&fixture);
                fixture_finish(&fixture);
        } while (failed && n < WRITES_MAX);
        print_message("%u writes\n", n - 1);
        assert_false(failed);
        assert_true(n > 10);
}

static void memory_may_run_out_anywhere(void **state)
{
        unsigned n = 1;

        (void)state;
        json_set_alloc_funcs(failing_malloc, free);
        do {
                struct fixture fixture;

                fixture_init(&fixture);
                allocations_left = n;
                failed = false;
                story(&fixture);
                expect_whole(&fixture);
                fixture_finish(&fixture);
                n += ALLOCATIONS_STEP;
        } while (failed && n < ALLOCATIONS_MAX);
        print_message("%u allocations, each %dth failed\n", n, ALLOCATIONS_STEP);
        json_set_alloc_funcs(malloc, free);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_write_may_fail),
                cmocka_unit_test(memory_may_run_out_anywhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
