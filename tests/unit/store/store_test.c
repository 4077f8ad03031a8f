/* tests/unit/store/store_test.c: what every kind of store promises; store.h is the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/own.h"
#include "store/store.h"
#include "tests/unit/store/scratch.h"

struct fixture {
        struct scratch scratch;
        struct store *store;
};

static struct err err;

static void good(enum err_code code)
{
        if (code != ERR_OK)
                fail_msg("%s: %s", err_name(code), err.text);
}

static int set_up(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        scratch_make(&fixture->scratch);
        good(store_open(fixture->scratch.url, &fixture->store, &err));
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        store_close(fixture->store);
        scratch_remove(&fixture->scratch);
        free(fixture);
        return 0;
}

static void reopen(struct fixture *fixture)
{
        store_close(fixture->store);
        fixture->store = NULL;
        good(store_open(fixture->scratch.url, &fixture->store, &err));
}

static struct store_key key_in(const char *project, const char *name)
{
        return (struct store_key){MODEL_FUNCTION, STR("acme"), str_of(project), str_of(name)};
}

static struct store_key key_of(const char *name)
{
        return key_in("default", name);
}

static json_t *document(const char *text)
{
        json_t *value = NULL;

        good(json_parse(str_of(text), &value, &err));
        return value;
}

static void insert(struct store *store, const struct store_key *key, const char *text)
{
        own_row struct store_row row = {.document = document(text)};

        good(store_insert(store, key, &row, &err));
}

static void holds(struct store *store, const struct store_key *key, int64_t revision, const char *text)
{
        own_row struct store_row row = {0};
        own_json json_t *expected = document(text);

        good(store_get(store, key, &row, &err));
        assert_int_equal(row.revision, revision);
        assert_true(json_equal(row.document, expected));
}

static void test_what_was_inserted_is_there_after_the_store_was_closed(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello");
        own_row struct store_row made = {.document = document("{\"a\":[1.5,\"\\u00e9\"]}"),
                                         .internal = document("{\"k\":1}")};
        own_row struct store_row got = {0};
        int64_t before_us = clock_wall_us();

        good(store_insert(fixture->store, &key, &made, &err));
        assert_true(uuid_valid(str_of(made.id)));
        assert_string_equal(made.organization, "acme");
        assert_true(made.created_us >= before_us && made.modified_us == made.created_us);

        reopen(fixture);
        good(store_get(fixture->store, &key, &got, &err));
        assert_string_equal(got.id, made.id);
        assert_string_equal(got.project, "default");
        assert_string_equal(got.name, "hello");
        assert_int_equal(got.revision, 1);
        assert_int_equal(got.created_us, made.created_us);
        assert_true(json_equal(got.document, made.document));
        assert_true(json_equal(got.internal, made.internal));
}

static void test_an_id_that_is_there_is_kept(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello");
        own_row struct store_row row = {.document = document("{}"),
                                        .id = strdup("0b2f1c5e-6a51-4a9e-8d0e-0d5d9a6a4b11")};

        good(store_insert(fixture->store, &key, &row, &err));
        assert_string_equal(row.id, "0b2f1c5e-6a51-4a9e-8d0e-0d5d9a6a4b11");
}

static void test_a_name_is_taken_once_in_its_project_only(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello"), elsewhere = key_in("other", "hello");
        own_row struct store_row row = {.document = document("{}")};

        insert(fixture->store, &key, "{}");
        assert_int_equal(store_insert(fixture->store, &key, &row, &err), ERR_CONFLICT);
        assert_string_equal(err.text, "function hello already exists");
        assert_null(row.id);
        insert(fixture->store, &elsewhere, "{}");
        key.kind = MODEL_SECRET;
        insert(fixture->store, &key, "{}");
}

static void test_what_is_missing_is_named(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = {MODEL_BASE_IMAGE, STR("acme"), STR(""), STR("none")};
        own_row struct store_row row = {0};
        own_json json_t *empty = json_object();

        assert_int_equal(store_get(fixture->store, &key, &row, &err), ERR_NOT_FOUND);
        assert_string_equal(err.text, "base image none not found");
        assert_int_equal(store_delete(fixture->store, &key, &err), ERR_NOT_FOUND);
        assert_int_equal(store_update(fixture->store, &key, 0, empty, NULL, &row, &err), ERR_NOT_FOUND);
        assert_int_equal(store_set_state(fixture->store, MODEL_IMAGE, STR("x"), empty, NULL, &err),
                         ERR_NOT_FOUND);
}

static void test_an_update_moves_revision_and_time_and_keeps_what_is_not_given(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello");
        own_row struct store_row made = {.document = document("{\"v\":1}"),
                                         .internal = document("{\"i\":1}")};
        own_row struct store_row second = {0};
        own_json json_t *next = document("{\"v\":2}"), *internal = document("{\"i\":2}");

        good(store_insert(fixture->store, &key, &made, &err));
        good(store_update(fixture->store, &key, 1, next, NULL, &second, &err));
        assert_int_equal(second.revision, 2);
        assert_true(second.modified_us > made.modified_us);
        assert_int_equal(second.created_us, made.created_us);
        assert_true(json_equal(second.document, next));
        assert_true(json_equal(second.internal, made.internal));

        good(store_update(fixture->store, &key, 0, NULL, internal, NULL, &err));
        holds(fixture->store, &key, 3, "{\"v\":2}");
}

static void test_an_update_of_an_old_revision_is_refused(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello");
        own_json json_t *next = document("{\"v\":2}");

        insert(fixture->store, &key, "{\"v\":1}");
        good(store_update(fixture->store, &key, 0, next, NULL, NULL, &err));
        assert_int_equal(store_update(fixture->store, &key, 1, next, NULL, NULL, &err), ERR_PRECONDITION);
        assert_string_equal(err.text, "function hello was changed: its revision is 2, not 1");
        holds(fixture->store, &key, 2, "{\"v\":2}");
}

static void test_a_state_change_leaves_the_revision_and_misses_a_namesake(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("hello");
        own_row struct store_row made = {.document = document("{}")};
        own_json json_t *ready = document("{\"status\":\"READY\"}");

        good(store_insert(fixture->store, &key, &made, &err));
        good(store_set_state(fixture->store, MODEL_FUNCTION, str_of(made.id), ready, NULL, &err));
        holds(fixture->store, &key, 1, "{\"status\":\"READY\"}");

        good(store_delete(fixture->store, &key, &err));
        insert(fixture->store, &key, "{}");
        assert_int_equal(store_set_state(fixture->store, MODEL_FUNCTION, str_of(made.id), ready, NULL, &err),
                         ERR_NOT_FOUND);
        holds(fixture->store, &key, 1, "{}");
}

struct names {
        char text[256];
        size_t stop_after;
};

static bool note_name(void *arg, struct store_row *row)
{
        struct names *names = arg;
        size_t len = strlen(names->text);

        snprintf(names->text + len, sizeof(names->text) - len, "%s/%s/%s ", row->organization, row->project,
                 row->name);
        return names->stop_after == 0 || --names->stop_after > 0;
}

static const char *listed(struct store *store, struct store_key key, size_t stop_after)
{
        static struct names names;

        names = (struct names){.stop_after = stop_after};
        good(store_list(store, &key, note_name, &names, &err));
        return names.text;
}

static void test_a_list_is_in_the_order_of_names_and_an_empty_part_of_the_key_means_all(void **state)
{
        struct fixture *fixture = *state;
        struct store_key keys[] = {key_of("b"), key_of("a"), key_in("other", "a")};
        struct store_key foreign = {MODEL_FUNCTION, STR("zeta"), STR("default"), STR("a")};

        for (size_t i = 0; i < 3; i++)
                insert(fixture->store, &keys[i], "{}");
        insert(fixture->store, &foreign, "{}");
        assert_string_equal(listed(fixture->store, key_of(""), 0), "acme/default/a acme/default/b ");
        assert_string_equal(listed(fixture->store, key_in("", ""), 0),
                            "acme/default/a acme/default/b acme/other/a ");
        assert_string_equal(listed(fixture->store, (struct store_key){.kind = MODEL_FUNCTION}, 0),
                            "acme/default/a acme/default/b acme/other/a zeta/default/a ");
        assert_string_equal(listed(fixture->store, (struct store_key){.kind = MODEL_FUNCTION}, 2),
                            "acme/default/a acme/default/b ");
        assert_string_equal(listed(fixture->store, key_of("b"), 0), "acme/default/b ");
        assert_string_equal(listed(fixture->store, (struct store_key){.kind = MODEL_SECRET}, 0), "");
}

static bool set_ready(void *arg, struct store_row *row)
{
        struct store *store = arg;
        own_json json_t *ready = document("{\"status\":\"READY\"}");
        struct store_key all = {.kind = MODEL_FUNCTION};

        good(store_set_state(store, MODEL_FUNCTION, str_of(row->id), ready, NULL, &err));
        assert_string_equal(listed(store, all, 0), "acme/default/a acme/default/b ");
        return true;
}

static void test_the_store_may_be_used_while_it_lists(void **state)
{
        struct fixture *fixture = *state;
        struct store_key a = key_of("a"), b = key_of("b");

        insert(fixture->store, &a, "{}");
        insert(fixture->store, &b, "{}");
        good(store_list(fixture->store, &(struct store_key){.kind = MODEL_FUNCTION}, set_ready,
                        fixture->store, &err));
        holds(fixture->store, &a, 1, "{\"status\":\"READY\"}");
        holds(fixture->store, &b, 1, "{\"status\":\"READY\"}");
}

static void test_a_transaction_is_all_or_nothing(void **state)
{
        struct fixture *fixture = *state;
        struct store_key a = key_of("a"), b = key_of("b");
        own_row struct store_row row = {0};

        good(store_begin(fixture->store, &err));
        insert(fixture->store, &a, "{}");
        insert(fixture->store, &b, "{}");
        store_rollback(fixture->store);
        assert_int_equal(store_get(fixture->store, &a, &row, &err), ERR_NOT_FOUND);

        good(store_begin(fixture->store, &err));
        insert(fixture->store, &a, "{}");
        own_row struct store_row twice = {.document = document("{}")};
        assert_int_equal(store_insert(fixture->store, &a, &twice, &err), ERR_CONFLICT);
        insert(fixture->store, &b, "{}");
        good(store_commit(fixture->store, &err));
        reopen(fixture);
        holds(fixture->store, &a, 1, "{}");
        holds(fixture->store, &b, 1, "{}");
}

/* ---- runs ---- */

static struct store_run run_of(int number, const char *function, json_t *document_of_it)
{
        static char ids[2000][UUID_LEN + 4];

        snprintf(ids[number], sizeof(ids[number]), "%08d-0000-4000-8000-000000000000", number);
        return (struct store_run){
                .id = str_of(ids[number]),
                .organization = STR("acme"),
                .project = STR("default"),
                .function = str_of(function),
                .function_id = str_of(function),
                .executed_us = number,
                .modified_us = number * 10,
                .generation = 1,
                .document = document_of_it,
        };
}

static void put(struct store *store, int number, const char *function, bool unfinished, uint32_t generation)
{
        own_json json_t *doc = json_pack("{s:i}", "n", number);
        struct store_run run = run_of(number, function, doc);

        run.unfinished = unfinished;
        run.generation = generation;
        good(store_run_put(store, &run, &err));
}

static bool note_run(void *arg, json_t *run)
{
        char *text = arg;
        size_t len = strlen(text);

        snprintf(text + len, 128 - len, "%d ", (int)json_integer_value(json_object_get(run, "n")));
        return true;
}

static const char *runs(struct store *store, const char *function, int64_t since_us, uint64_t limit)
{
        static char text[128];

        text[0] = '\0';
        good(store_run_list(store, STR("acme"), STR("default"), str_of(function), since_us, limit, note_run,
                            text, &err));
        return text;
}

static void test_runs_are_listed_newest_first_since_a_time_and_up_to_a_limit(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *got = NULL;

        put(fixture->store, 1, "f", false, 1);
        put(fixture->store, 3, "g", false, 1);
        put(fixture->store, 2, "f", false, 1);
        assert_string_equal(runs(fixture->store, "", INT64_MIN, 0), "3 2 1 ");
        assert_string_equal(runs(fixture->store, "f", INT64_MIN, 0), "2 1 ");
        assert_string_equal(runs(fixture->store, "", 20, 0), "3 2 ");
        assert_string_equal(runs(fixture->store, "", INT64_MIN, 1), "3 ");
        assert_string_equal(runs(fixture->store, "none", INT64_MIN, 0), "");

        struct store_run run = run_of(2, "f", NULL);
        good(store_run_get(fixture->store, STR("acme"), STR("default"), run.id, &got, &err));
        assert_int_equal(json_integer_value(json_object_get(got, "n")), 2);
        assert_int_equal(store_run_get(fixture->store, STR("other"), STR("default"), run.id, &got, &err),
                         ERR_NOT_FOUND);
}

static void test_a_run_is_replaced_but_never_by_an_older_state_of_it(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *first = document("{\"n\":1}"), *second = document("{\"n\":2}");
        struct store_run run = run_of(7, "f", first);

        run.unfinished = true;
        good(store_run_put(fixture->store, &run, &err));
        run.unfinished = false;
        run.document = second;
        good(store_run_put(fixture->store, &run, &err));
        run.unfinished = true;
        run.document = first;
        good(store_run_put(fixture->store, &run, &err));
        assert_string_equal(runs(fixture->store, "", INT64_MIN, 0), "2 ");
}

static bool note_unfinished(void *arg, const struct store_run *run)
{
        note_run(arg, run->document);
        assert_true(run->unfinished && str_eq(run->function, STR("f")) &&
                    str_eq(run->organization, STR("acme")));
        return true;
}

static void test_unfinished_runs_of_servers_that_are_gone_are_found(void **state)
{
        struct fixture *fixture = *state;
        char text[128] = "";

        put(fixture->store, 1, "f", true, 3);
        put(fixture->store, 2, "f", true, 4);
        put(fixture->store, 3, "f", true, 5);
        put(fixture->store, 4, "f", false, 3);
        good(store_run_unfinished(fixture->store, 5, 4, note_unfinished, text, &err));
        assert_string_equal(text, "1 ");
}

static void test_runs_leave_with_their_function_or_when_there_are_too_many(void **state)
{
        struct fixture *fixture = *state;
        uint64_t count = 0;

        for (int i = 1; i <= 5; i++)
                put(fixture->store, i, "f", false, 1);
        put(fixture->store, 6, "f", true, 1);
        put(fixture->store, 7, "g", false, 1);
        good(store_run_trim(fixture->store, 2, &count, &err));
        assert_int_equal(count, 3);
        assert_string_equal(runs(fixture->store, "", INT64_MIN, 0), "7 6 5 4 ");
        good(store_run_delete(fixture->store, STR("acme"), STR("default"), STR("f"), &err));
        assert_string_equal(runs(fixture->store, "", INT64_MIN, 0), "7 ");
}

static void test_small_values_are_kept(void **state)
{
        struct fixture *fixture = *state;
        own_mem char *value = NULL;

        assert_int_equal(store_meta_get(fixture->store, "generation", &value, &err), ERR_NOT_FOUND);
        good(store_meta_set(fixture->store, "generation", "1", &err));
        good(store_meta_set(fixture->store, "generation", "2", &err));
        reopen(fixture);
        good(store_meta_get(fixture->store, "generation", &value, &err));
        assert_string_equal(value, "2");
}

static void test_an_unknown_kind_of_store_is_refused(void **state)
{
        struct store *store = NULL;

        (void)state;
        assert_int_equal(store_open("postgres://x", &store, &err), ERR_INVALID);
        assert_int_equal(store_open("sqlite:", &store, &err), ERR_INVALID);
        store_close(NULL);
}

#define store_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                store_test(test_what_was_inserted_is_there_after_the_store_was_closed),
                store_test(test_an_id_that_is_there_is_kept),
                store_test(test_a_name_is_taken_once_in_its_project_only),
                store_test(test_what_is_missing_is_named),
                store_test(test_an_update_moves_revision_and_time_and_keeps_what_is_not_given),
                store_test(test_an_update_of_an_old_revision_is_refused),
                store_test(test_a_state_change_leaves_the_revision_and_misses_a_namesake),
                store_test(test_a_list_is_in_the_order_of_names_and_an_empty_part_of_the_key_means_all),
                store_test(test_the_store_may_be_used_while_it_lists),
                store_test(test_a_transaction_is_all_or_nothing),
                store_test(test_runs_are_listed_newest_first_since_a_time_and_up_to_a_limit),
                store_test(test_a_run_is_replaced_but_never_by_an_older_state_of_it),
                store_test(test_unfinished_runs_of_servers_that_are_gone_are_found),
                store_test(test_runs_leave_with_their_function_or_when_there_are_too_many),
                store_test(test_small_values_are_kept),
                cmocka_unit_test(test_an_unknown_kind_of_store_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
