/*
 * tests/unit/schema/memory_test.c: compiling and validating with the n-th allocation failing, for every n,
 * the metaschema's own included: it says so, leaves its outputs alone and leaks nothing (which the sanitizer
 * sees).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "schema/schema.h"

/* The linker sends our own calls here (--wrap), json_set_alloc_funcs those of jansson. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

enum { FAILURES_MAX = 20000 };

static unsigned left; /* allocations until one fails; 0: none will */
static bool failed;

static bool is_due(void)
{
        if (left == 0 || --left > 0)
                return false;
        failed = true;
        return true;
}

void *__wrap_malloc(size_t size)
{
        return is_due() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return is_due() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return is_due() ? NULL : __real_realloc(old, size);
}

static const char document_text[] =
        "{\"$id\":\"http://x/"
        "y\",\"$defs\":{\"n\":{\"$anchor\":\"n\",\"pattern\":\"^a+[0-9]$\"}},\"properties\":{\"a\":{"
        "\"$ref\":\"#n\"},\"b\":{\"items\":{\"$ref\":\"#/$defs/"
        "n\"},\"uniqueItems\":true}},\"propertyNames\":{"
        "\"maxLength\":4},\"anyOf\":[{\"patternProperties\":{\"^c\":true}}],\"unevaluatedProperties\":false}";
static const char instance_text[] = "{\"a\":\"aa1\",\"b\":[\"a1\",\"a2\"],\"c\":[1,2,3]}";

static void compile_and_validate(json_t *document, const json_t *instance)
{
        struct schema *schema = NULL;
        struct err err = {.code = ERR_OK};
        enum err_code code = schema_compile(document, NULL, &schema, &err);

        assert_true((code == ERR_OK) == (schema != NULL));
        if (code == ERR_OK)
                code = schema_validate(schema, instance, 0, NULL, &err);
        left = 0;
        if (failed) { /* a full arena and an empty heap look alike to who allocates */
                if (code != ERR_NO_MEMORY && code != ERR_LIMIT)
                        fail_msg("%s: %s", err_name(code), err.text);
        } else {
                assert_int_equal(code, ERR_OK);
        }
        schema_unref(schema);
}

static void whichever_allocation_fails_it_is_said_and_nothing_is_left(void **state)
{
        json_t *document = json_loads(document_text, 0, NULL), *instance = json_loads(instance_text, 0, NULL);
        unsigned n = 0;

        (void)state;
        json_set_alloc_funcs(__wrap_malloc, free);
        do {
                failed = false;
                left = ++n;
                compile_and_validate(document, instance);
        } while (failed && n < FAILURES_MAX);
        assert_false(failed);
        assert_true(n > 20);
        print_message("%u allocations\n", n - 1);
        json_decref(document);
        json_decref(instance);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whichever_allocation_fails_it_is_said_and_nothing_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
