/*
 * fuzz/schema.c: any JSON as a schema, any other as its instance. A schema compiles or is refused with a
 * text; validating ends within its bounds, gives the same answer twice, and names a place that exists.
 *
 * The input is a byte of options, the schema, a NUL and the instance.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 20000 };

static void check(bool holds)
{
        if (!holds)
                abort();
}

/* The place that a violation names, unless it was cut; NULL: there is none. */
static const json_t *resolve(const json_t *json, const char *pointer)
{
        while (*pointer == '/' && json != NULL) {
                char token[SCHEMA_POINTER_MAX];
                size_t len = 0;
                for (pointer++; *pointer != '/' && *pointer != '\0'; pointer++) {
                        char c = *pointer;
                        if (c == '~')
                                c = *++pointer == '0' ? '~' : '/';
                        token[len++] = c;
                }
                token[len] = '\0';
                json = json_is_array(json) ? json_array_get(json, strtoul(token, NULL, 10))
                                           : json_object_get(json, token);
        }
        return json;
}

static void check_violation(const json_t *instance, const struct schema_violation *violation)
{
        check(violation->keyword[0] != '\0' && violation->reason[0] != '\0');
        check(str_is_utf8(str_of(violation->instance)) && str_is_utf8(str_of(violation->keyword)));
        if (!str_ends(str_of(violation->instance), STR("...")))
                check(resolve(instance, violation->instance) != NULL);
}

static void check_instance(const struct schema *schema, struct str text)
{
        own_json json_t *instance = NULL;
        struct schema_violation first = {.reason = ""}, second = {.reason = ""};
        struct err err = {.text = ""}, again = {.text = ""};

        if (json_parse(text, &instance, NULL) != ERR_OK)
                return;
        enum err_code code = schema_validate(schema, instance, STEPS_MAX, &first, &err);
        check(code == ERR_OK || code == ERR_INVALID || code == ERR_LIMIT);
        check(schema_validate(schema, instance, STEPS_MAX, &second, &again) == code);
        check(strcmp(err.text, again.text) == 0);
        if (code == ERR_INVALID)
                check_violation(instance, &first);
        else if (code == ERR_LIMIT)
                check(err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size};
        own_json json_t *document = NULL;
        struct schema *schema = NULL;
        struct err err = {.text = ""};

        if (size == 0)
                return 0;
        const struct schema_options options = {.draft7 = (data[0] & 1) != 0,
                                               .assert_formats = (data[0] & 2) != 0};
        rest = str_slice(rest, 1, rest.len);
        struct str text = str_cut(&rest, '\0');
        if (json_parse(text, &document, NULL) != ERR_OK)
                return 0;
        enum err_code code = schema_compile(document, &options, &schema, &err);
        if (code == ERR_OK)
                check_instance(schema, rest);
        else
                check((code == ERR_UNPROCESSABLE || code == ERR_LIMIT) && schema == NULL &&
                      err.text[0] != '\0');
        schema_unref(schema);
        return 0;
}
