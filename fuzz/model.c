/*
 * fuzz/model.c: whatever a resource's table accepts prints, in every form, as something that the same table
 * reads back as the same document. The first byte picks the resource, the rest is the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

/* Without what is never printed. */
static json_t *comparable(const struct model_resource *resource, const json_t *document,
                          enum model_dialect dialect)
{
        json_t *copy = json_copy((json_t *)document);

        json_object_del(copy, "source");
        for (const struct model_field *field = resource->fields; field->name != NULL; field++)
                if (dialect == MODEL_PRINT_SEED && (field->flags & MODEL_NOT_SEED) != 0)
                        json_object_del(copy, field->name);
        return copy;
}

static void check_dialect(const struct model_resource *resource, const json_t *document,
                          enum model_dialect dialect)
{
        own_json json_t *expected = comparable(resource, document, dialect);
        own_json json_t *printed = model_print(resource, document, dialect);
        own_json json_t *again = NULL, *updated = NULL;
        struct err err;

        check(printed != NULL);
        check(model_parse(resource, printed, NULL, &again, &err) == ERR_OK);
        check(json_equal(expected, again));
        check(model_parse(resource, printed, document, &updated, &err) == ERR_OK);
        check(json_equal(expected, updated));
}

static void check_texts(const struct model_resource *resource, const json_t *document)
{
        own_buf struct buf json_text, yaml_text;
        own_json json_t *again = NULL, *from_yaml = NULL;
        struct err err;

        buf_init(&json_text, YAML_TEXT_MAX);
        buf_init(&yaml_text, YAML_TEXT_MAX);
        if (model_print_json(document, true, &json_text, &err) == ERR_OK) {
                check(json_parse((struct str){json_text.data, json_text.len}, &again, &err) == ERR_OK);
                check(json_equal(again, document));
        }
        if (model_print_yaml(resource, document, &yaml_text, &err) == ERR_OK)
                check(yaml_parse((struct str){yaml_text.data, yaml_text.len}, &from_yaml, &err) == ERR_OK);
}

static void check_message(const struct err *err, enum err_code code)
{
        bool has_detail = err->detail >= 601 && err->detail <= 606;

        check(code == ERR_INVALID || code == ERR_UNPROCESSABLE);
        check(err->text[0] != '\0' && memchr(err->text, '\n', sizeof(err->text)) == NULL);
        check(code == ERR_INVALID || has_detail || strstr(err->text, "two names") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        own_json json_t *document = NULL, *coerced = NULL, *sent = NULL;
        struct err err = {0};

        if (size == 0)
                return 0;
        const struct model_resource *resource = model_resource(data[0] % MODEL_KIND_COUNT);
        enum err_code code = model_parse_text(resource, (struct str){(const char *)data + 1, size - 1}, NULL,
                                              &document, &sent, &err);
        if (code != ERR_OK) {
                check_message(&err, code);
                return 0;
        }
        check_dialect(resource, document, MODEL_PRINT_ALL);
        check_dialect(resource, document, MODEL_PRINT_SEED);
        check_texts(resource, document);
        if (model_coerce(resource, sent, NULL, &coerced, &err) == ERR_OK)
                check(json_equal(coerced, sent));
        return 0;
}
