/* tests/unit/schema/schema_test.c: what the official suite does not ask: places and reasons, bounds,
 * refusals, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "schema/schema.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_of(const char *text)
{
        json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

        if (json == NULL)
                fail_msg("not JSON: %s", text);
        return json;
}

static struct schema *compiled(const char *text)
{
        json_t *json = json_of(text);
        struct schema *schema = NULL;
        struct err err;

        if (schema_compile(json, NULL, &schema, &err) != ERR_OK)
                fail_msg("%s: %s", text, err.text);
        json_decref(json);
        return schema;
}

/* "CODE: text" of a compilation that fails. */
static void refused(const char *text, enum err_code code, const char *why)
{
        json_t *json = json_of(text);
        struct schema *schema = NULL;
        struct err err = {.code = ERR_OK};

        assert_int_equal(schema_compile(json, NULL, &schema, &err), code);
        assert_null(schema);
        if (strstr(err.text, why) == NULL)
                fail_msg("%s: '%s' is not in '%s'", text, why, err.text);
        json_decref(json);
}

static void violated(const char *schema_text, const char *instance_text, const char *instance,
                     const char *keyword, const char *reason)
{
        struct schema *schema = compiled(schema_text);
        json_t *json = json_of(instance_text);
        struct schema_violation violation;
        struct err err;

        assert_int_equal(schema_validate(schema, json, 0, &violation, &err), ERR_INVALID);
        assert_string_equal(violation.instance, instance);
        assert_string_equal(violation.keyword, keyword);
        assert_string_equal(violation.reason, reason);
        json_decref(json);
        schema_unref(schema);
}

static enum err_code validated(const char *schema_text, json_t *instance, struct err *err)
{
        struct schema *schema = compiled(schema_text);
        enum err_code code = schema_validate(schema, instance, 0, NULL, err);

        json_decref(instance);
        schema_unref(schema);
        return code;
}

static void a_violation_names_its_place_keyword_and_reason(void **state)
{
        (void)state;
        violated("{\"properties\":{\"a/b~\":{\"items\":{\"minimum\":1.5}}}}", "{\"a/b~\":[2,1]}", "/a~1b~0/1",
                 "#/properties/a~1b~0/items/minimum", "it must be at least 1.5");
        violated("{\"required\":[\"x\",\"y\"]}", "{\"x\":1}", "", "#/required",
                 "the member \"y\" is missing");
        violated("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":[\"integer\",\"null\"]}}}", "\"x\"", "",
                 "#/$defs/n/type", "it must be of type null or integer, not string");
        violated("{\"allOf\":[true,{\"additionalProperties\":false}]}", "{\"k\":1}", "/k",
                 "#/allOf/1/additionalProperties", "it is not allowed here");
        violated("{\"uniqueItems\":true}", "[1,{\"a\":1,\"b\":2},3,{\"b\":2.0,\"a\":1e0}]", "",
                 "#/uniqueItems", "the items 1 and 3 are the same");
        violated("{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", "", "#/dependentRequired",
                 "the member \"b\" is missing, which \"a\" needs");
        violated("{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":0}]}", "1", "", "#/oneOf",
                 "it must match exactly one of 2 schemas, and matches more than one");
        violated("{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}", "", "#/propertyNames",
                 "the name \"abc\" is not allowed");
}

static void a_long_place_is_cut_and_says_so(void **state)
{
        char name[400], schema[1024], instance[512];
        struct schema_violation violation;

        (void)state;
        memset(name, 'k', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        snprintf(schema, sizeof(schema), "{\"properties\":{\"%s\":{\"type\":\"null\"}}}", name);
        snprintf(instance, sizeof(instance), "{\"%s\":1}", name);
        struct schema *program = compiled(schema);
        json_t *json = json_of(instance);
        assert_int_equal(schema_validate(program, json, 0, &violation, NULL), ERR_INVALID);
        assert_true(strlen(violation.instance) < SCHEMA_POINTER_MAX);
        assert_string_equal(violation.instance + strlen(violation.instance) - 3, "...");
        assert_non_null(strstr(violation.keyword, ".../type"));
        json_decref(json);
        schema_unref(program);
}

static void numbers_are_what_they_are_worth(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(validated("{\"multipleOf\":0.01}", json_of("4.35"), &err), ERR_OK);
        assert_int_equal(validated("{\"multipleOf\":0.1}", json_of("0.3"), &err), ERR_OK);
        assert_int_equal(validated("{\"multipleOf\":0.1}", json_of("0.35"), &err), ERR_INVALID);
        assert_int_equal(validated("{\"multipleOf\":3}", json_of("9223372036854775806"), &err), ERR_OK);
        assert_int_equal(validated("{\"multipleOf\":3}", json_of("9223372036854775807"), &err), ERR_INVALID);
        assert_int_equal(validated("{\"multipleOf\":1e-300}", json_of("1e300"), &err), ERR_OK);
        assert_int_equal(validated("{\"multipleOf\":7}", json_of("1e300"), &err), ERR_INVALID);
        assert_int_equal(validated("{\"multipleOf\":7}", json_of("0.0"), &err), ERR_OK);
        assert_int_equal(validated("{\"multipleOf\":7}", json_of("-9223372036854775808"), &err), ERR_INVALID);
        assert_int_equal(validated("{\"const\":9007199254740993}", json_of("9007199254740992.0"), &err),
                         ERR_INVALID);
        assert_int_equal(validated("{\"const\":9007199254740992}", json_of("9007199254740992.0"), &err),
                         ERR_OK);
        assert_int_equal(validated("{\"maximum\":9007199254740992.0}", json_of("9007199254740993"), &err),
                         ERR_INVALID);
        assert_int_equal(validated("{\"uniqueItems\":true}", json_of("[1,true,0,false]"), &err), ERR_OK);
}

static void what_is_no_schema_is_refused_with_its_place(void **state)
{
        (void)state;
        refused("1", ERR_UNPROCESSABLE, "#: a schema must be an object or a boolean");
        refused("{\"properties\":{\"a\":{\"type\":\"objekt\"}}}", ERR_UNPROCESSABLE, "#/properties/a/type: ");
        refused("{\"$ref\":\"#/x\",\"x\":{\"minimum\":\"1\"}}", ERR_UNPROCESSABLE,
                "#/x: minimum must be a number");
        refused("{\"$ref\":\"#/x\",\"x\":[]}", ERR_UNPROCESSABLE, "is no schema");
        refused("{\"$ref\":\"#nowhere\"}", ERR_UNPROCESSABLE, "the anchor 'nowhere', which is not there");
        refused("{\"$ref\":\"%zz\"}", ERR_UNPROCESSABLE, "'%zz', which is not part of the schema");
        refused("{\"$ref\":\"#/%zz\"}", ERR_UNPROCESSABLE, "malformed %-escape");
        refused("{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}", ERR_UNPROCESSABLE,
                "the anchor 'x' is there twice");
        refused("{\"$schema\":\"http://json-schema.org/draft-04/"
                "schema#\",\"minimum\":0,\"exclusiveMinimum\":true}",
                ERR_UNPROCESSABLE,
                "$schema 'http://json-schema.org/draft-04/schema#' is not supported: use ");
        refused("{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\"}", ERR_UNPROCESSABLE,
                "is not supported");
}

static void a_schema_that_never_ends_is_refused(void **state)
{
        (void)state;
        refused("{\"$ref\":\"#\"}", ERR_UNPROCESSABLE, "never ends");
        refused("{\"$dynamicRef\":\"#\"}", ERR_UNPROCESSABLE, "never ends");
        refused("{\"not\":{\"anyOf\":[{\"if\":true,\"else\":{\"$ref\":\"#\"}}]}}", ERR_UNPROCESSABLE,
                "never ends");
        refused("{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/"
                "a\"}},\"items\":{\"$ref\":"
                "\"#/$defs/a\"}}",
                ERR_UNPROCESSABLE, "never ends");
        schema_unref(compiled("{\"items\":{\"$ref\":\"#\"},\"properties\":{\"a\":{\"$ref\":\"#\"}}}"));
}

/* The dynamic scope leads the inner one's reference back to the outer one at the same place. */
static void a_loop_through_the_dynamic_scope_ends(void **state)
{
        struct err err;

        (void)state;
        enum err_code code = validated(
                "{\"$id\":\"http://x/outer\",\"$dynamicAnchor\":\"a\",\"$ref\":\"inner\",\"$defs\":{\"i\":{"
                "\"$id\":\"inner\",\"$dynamicRef\":\"#a\",\"$defs\":{\"d\":{\"$dynamicAnchor\":\"a\"}}}}}",
                json_of("1"), &err);
        assert_int_equal(code, ERR_LIMIT);
        assert_non_null(strstr(err.text, "refers to itself without end"));
}

static json_t *repeated(const char *unit, size_t count)
{
        size_t len = strlen(unit);
        char *text = malloc(len * count + 1);

        assert_non_null(text);
        for (size_t i = 0; i < count; i++)
                memcpy(text + i * len, unit, len);
        json_t *json = json_stringn(text, len * count);
        free(text);
        return json;
}

static void a_pattern_that_was_made_to_be_slow_ends_at_a_bound(void **state)
{
        static const char *const patterns[] = {
                "{\"pattern\":\"^(x+)+[yz]\"}",          "{\"pattern\":\"x*[yz]\"}",
                "{\"pattern\":\"(x+)\\\\1[yz]\"}",       "{\"pattern\":\"x{30000}[yz]\"}",
                "{\"pattern\":\"(?=(x*)*y|x)[yz]\"}",    "{\"pattern\":\"x*?x*?x*?[yz]\"}",
                "{\"pattern\":\"(?:x|x)*(?:x|x)*y|z\"}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                struct err err = {.code = ERR_OK};
                enum err_code code = validated(patterns[i], repeated("x", 100000), &err);
                if (code != ERR_LIMIT)
                        fail_msg("%s: %d %s", patterns[i], code, err.text);
                assert_non_null(strstr(err.text, "limit of ")); /* of steps, or of memory for a match */
        }
}

static void a_text_too_long_to_be_searched_ends_at_the_steps(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(validated("{\"pattern\":\"^.*[yz]$\"}", repeated("x", 10000000), &err), ERR_LIMIT);
}

static void many_branches_of_references_end_at_the_steps(void **state)
{
        own_buf struct buf text = {.max = 1 << 16};
        struct err err;

        (void)state;
        buf_append_text(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
        for (int i = 0; i < 40; i++)
                buf_printf(&text,
                           "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},", i,
                           i + 1, i + 1);
        buf_append_text(&text, "\"d40\":{\"type\":\"integer\"}}}");
        assert_int_equal(validated(buf_text(&text), json_of("1"), &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "limit of 200000 steps"));
}

/* Nested arrays, deeper than our reader lets in. */
static json_t *deep(size_t depth)
{
        json_t *json = json_array();

        for (size_t i = 1; i < depth; i++) {
                json_t *outer = json_array();
                json_array_append_new(outer, json);
                json = outer;
        }
        return json;
}

static void a_deep_instance_ends_at_the_depth(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(validated("{\"items\":{\"$ref\":\"#\"}}", deep(100), &err), ERR_OK);
        assert_int_equal(validated("{\"items\":{\"$ref\":\"#\"}}", deep(3000), &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "limit of 512 schemas inside each other"));
        json_t *twice = json_array();
        json_array_append_new(twice, deep(3000));
        json_array_append_new(twice, deep(3000));
        assert_int_equal(validated("{\"uniqueItems\":true}", twice, &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "nested deeper than the limit"));
}

static void many_items_end_at_the_steps_and_at_the_memory(void **state)
{
        json_t *many = json_array();
        struct schema *schema = compiled("{\"uniqueItems\":true}");
        struct err err;

        (void)state;
        for (int i = 0; i < 600000; i++)
                json_array_append_new(many, json_integer(i));
        assert_int_equal(schema_validate(schema, many, 0, NULL, &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "steps"));
        assert_int_equal(schema_validate(schema, many, 100000000, NULL, &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "bytes of memory"));
        json_decref(many);
        schema_unref(schema);
}

static void a_hundred_thousand_unique_items_are_not_quadratic(void **state)
{
        json_t *many = json_array();
        struct schema *schema = compiled("{\"uniqueItems\":true}");

        (void)state;
        for (int i = 0; i < 100000; i++)
                json_array_append_new(many, json_sprintf("item-%d", i));
        assert_int_equal(schema_validate(schema, many, 1000000, NULL, NULL), ERR_OK);
        json_decref(many);
        schema_unref(schema);
}

static void a_schema_of_too_many_parts_is_refused_by_name(void **state)
{
        json_t *schema = json_object(), *parts = json_array();
        struct schema *program = NULL;
        struct err err;

        (void)state;
        for (int i = 0; i < SCHEMA_NODES_MAX + 1; i++)
                json_array_append_new(parts, json_pack("{s:i}", "minimum", i));
        json_object_set_new(schema, "anyOf", parts);
        assert_int_equal(schema_compile(schema, NULL, &program, &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "limit of 20000 subschemas"));
        json_decref(schema);
}

static void a_deep_schema_is_refused_by_name(void **state)
{
        json_t *schema = json_object();
        struct schema *program = NULL;
        struct err err;

        (void)state;
        for (int i = 0; i < 3000; i++)
                schema = json_pack("{s:o}", "not", schema);
        assert_int_equal(schema_compile(schema, NULL, &program, &err), ERR_LIMIT);
        assert_non_null(strstr(err.text, "limit of 512"));
        json_decref(schema);
}

static void formats_are_annotations_unless_they_are_asserted(void **state)
{
        const struct schema_options asserting = {.assert_formats = true};
        json_t *json = json_of("{\"format\":\"ipv4\"}"), *text = json_string("nothing");
        struct schema *schema = NULL;

        (void)state;
        assert_int_equal(validated("{\"format\":\"ipv4\"}", json_string("nothing"), NULL), ERR_OK);
        assert_int_equal(schema_compile(json, &asserting, &schema, NULL), ERR_OK);
        assert_int_equal(schema_validate(schema, text, 0, NULL, NULL), ERR_INVALID);
        schema_unref(schema);
        json_decref(json);
        json_decref(text);
}

enum { THREADS = 4, ROUNDS = 300 };

static void *validate_often(void *arg)
{
        struct schema *schema = arg;
        json_t *good = json_pack("{s:[s,s]}", "a", "xy1", "x2"), *bad = json_pack("{s:[s]}", "a", "x");
        size_t right = 0;

        for (int i = 0; i < ROUNDS; i++) {
                right += schema_validate(schema, good, 0, NULL, NULL) == ERR_OK;
                right += schema_validate(schema, bad, 0, NULL, NULL) == ERR_INVALID;
        }
        json_decref(good);
        json_decref(bad);
        schema_unref(schema);
        return right == (size_t)2 * ROUNDS ? arg : NULL;
}

static void threads_share_a_program(void **state)
{
        struct schema *schema =
                compiled("{\"properties\":{\"a\":{\"items\":{\"pattern\":\"^x[^ ]*[0-9]$\"}}},"
                         "\"unevaluatedProperties\":false}");
        pthread_t threads[THREADS];

        (void)state;
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, validate_often, schema_ref(schema)), 0);
        schema_unref(schema); /* the last of them frees it */
        for (size_t i = 0; i < THREADS; i++) {
                void *right = NULL;
                pthread_join(threads[i], &right);
                assert_non_null(right);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_violation_names_its_place_keyword_and_reason),
                cmocka_unit_test(a_long_place_is_cut_and_says_so),
                cmocka_unit_test(numbers_are_what_they_are_worth),
                cmocka_unit_test(what_is_no_schema_is_refused_with_its_place),
                cmocka_unit_test(a_schema_that_never_ends_is_refused),
                cmocka_unit_test(a_loop_through_the_dynamic_scope_ends),
                cmocka_unit_test(a_pattern_that_was_made_to_be_slow_ends_at_a_bound),
                cmocka_unit_test(a_text_too_long_to_be_searched_ends_at_the_steps),
                cmocka_unit_test(many_branches_of_references_end_at_the_steps),
                cmocka_unit_test(a_deep_instance_ends_at_the_depth),
                cmocka_unit_test(many_items_end_at_the_steps_and_at_the_memory),
                cmocka_unit_test(a_hundred_thousand_unique_items_are_not_quadratic),
                cmocka_unit_test(a_schema_of_too_many_parts_is_refused_by_name),
                cmocka_unit_test(a_deep_schema_is_refused_by_name),
                cmocka_unit_test(formats_are_annotations_unless_they_are_asserted),
                cmocka_unit_test(threads_share_a_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
