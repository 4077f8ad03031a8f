/*
 * tests/unit/model/memory_test.c: every operation with its n-th allocation failing, for every n: it says so,
 * leaves its outputs alone and leaks nothing (which the sanitizer sees).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/own.h"
#include "model/model.h"
#include "model/yaml.h"

/* The linker sends our own calls here (--wrap), json_set_alloc_funcs those of jansson. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

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

static const char body[] =
        "{\"name\":\"hello\",\"image\":\"py\",\"source\":\"aGk=\",\"secrets\":[\"a\",\"b\"],\"x\":{\"y\":[1,"
        "2.5]},"
        "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],\"schema\":{\"in\":{\"type\":\"object\"}},"
        "\"env\":{\"A\":\"b\"},\"network\":{\"mode\":\"egress\",\"allow\":[\"h\"]},\"memory\":512}";
static json_t *document; /* what the body is parsed to, for the operations that need one */

static enum err_code parse(struct err *err)
{
        own_json json_t *parsed = NULL;
        own_json json_t *sent = NULL;
        enum err_code code =
                model_parse_text(model_resource(MODEL_FUNCTION), STR(body), NULL, &parsed, &sent, err);

        assert_true((code == ERR_OK) == (parsed != NULL));
        return code;
}

static enum err_code print_all(struct err *err)
{
        own_json json_t *printed = model_print(model_resource(MODEL_FUNCTION), document, MODEL_PRINT_ALL);

        return printed != NULL ? ERR_OK : err_set(err, ERR_NO_MEMORY, "print");
}

static enum err_code print_seed(struct err *err)
{
        own_json json_t *printed = model_print(model_resource(MODEL_FUNCTION), document, MODEL_PRINT_SEED);

        return printed != NULL ? ERR_OK : err_set(err, ERR_NO_MEMORY, "print");
}

static enum err_code print_text(struct err *err)
{
        own_buf struct buf out;

        buf_init(&out, 65536);
        return model_print_json(document, true, &out, err);
}

static enum err_code print_yaml(struct err *err)
{
        own_buf struct buf out;

        buf_init(&out, 65536);
        return model_print_yaml(model_resource(MODEL_FUNCTION), document, &out, err);
}

static enum err_code coerce(struct err *err)
{
        own_json json_t *coerced = NULL;

        return model_coerce(model_resource(MODEL_FUNCTION), document, NULL, &coerced, err);
}

static enum err_code read_yaml(struct err *err)
{
        own_json json_t *value = NULL;

        return yaml_parse(STR("a: &a [1, x, {b: c}]\nd: *a\n---\n"), &value, err);
}

static void survives(enum err_code (*operation)(struct err *err))
{
        struct err err = {0};

        for (unsigned n = 1;; n++) {
                left = n;
                failed = false;
                enum err_code code = operation(&err);
                left = 0;
                if (!failed) {
                        assert_int_equal(code, ERR_OK);
                        return;
                }
                if (code != ERR_NO_MEMORY)
                        fail_msg("failing allocation %u is told as %s: %s", n, err_name(code), err.text);
                assert_true(n < 10000);
        }
}

static void test_parsing_survives_every_failed_allocation(void **state)
{
        (void)state;
        survives(parse);
        survives(read_yaml);
        survives(coerce);
}

static void test_printing_survives_every_failed_allocation(void **state)
{
        (void)state;
        survives(print_all);
        survives(print_seed);
        survives(print_text);
        survives(print_yaml);
}

static int set_up(void **state)
{
        (void)state;
        json_set_alloc_funcs(__wrap_malloc, free);
        return model_parse_text(model_resource(MODEL_FUNCTION), STR(body), NULL, &document, NULL, NULL) ==
                               ERR_OK
                       ? 0
                       : -1;
}

static int tear_down(void **state)
{
        (void)state;
        json_decref(document);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parsing_survives_every_failed_allocation),
                cmocka_unit_test(test_printing_survives_every_failed_allocation),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
