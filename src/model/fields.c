/* model/fields.c: finding a resource's fields in its table and in a document, under whichever name. */
#include "model/tables.h"

#include <string.h>

const struct model_field *model_field_find(const struct model_field *fields, const char *name)
{
        for (; fields->name != NULL; fields++)
                if (strcmp(fields->name, name) == 0)
                        return fields;
        return NULL;
}

const struct model_field *model_field_nested(const struct model_field *fields)
{
        for (; fields->name != NULL; fields++)
                if (fields->flags & MODEL_NESTED)
                        return fields;
        return NULL;
}

void model_field_each(const struct model_field *fields, const struct model_field *field,
                      const json_t *document, bool (*each)(void *arg, const json_t *value), void *arg)
{
        const json_t *value = json_object_get(document, field->name);
        const struct model_field *nested = model_field_nested(fields);

        if (value != NULL && !each(arg, value))
                return;
        for (const struct model_field *alias = fields; alias->name != NULL; alias++) {
                if (alias->of == NULL || strcmp(alias->of, field->name) != 0)
                        continue;
                value = json_object_get(document, alias->name);
                if (value != NULL && !each(arg, value))
                        return;
        }
        if (nested != NULL && model_field_find(nested->sub, field->name) != NULL) {
                value = json_object_get(json_object_get(document, nested->name), field->name);
                if (value != NULL)
                        each(arg, value);
        }
}

struct first {
        const struct model_field *field;
        const json_t *value;
};

static bool first_set(void *arg, const json_t *value)
{
        struct first *first = arg;

        if (model_field_empty(first->field, value))
                return true;
        first->value = value;
        return false;
}

json_t *model_field_value(const struct model_field *fields, const struct model_field *field,
                          const json_t *document)
{
        struct first first = {.field = field};

        model_field_each(fields, field, document, first_set, &first);
        return (json_t *)first.value;
}

bool model_field_empty(const struct model_field *field, const json_t *value)
{
        if (value == NULL || json_is_null(value))
                return true;
        switch (field->type) {
        case MODEL_STRING:
        case MODEL_BASE64:
        case MODEL_UUID:
                return json_is_string(value) && json_string_length(value) == 0;
        case MODEL_BOOL:
                return json_is_false(value);
        case MODEL_INTEGER:
                return json_is_integer(value) && json_integer_value(value) == 0;
        case MODEL_STRINGS:
        case MODEL_OBJECTS:
                return json_is_array(value) && json_array_size(value) == 0;
        case MODEL_MAP:
        case MODEL_DICT:
                return json_is_object(value) && json_object_size(value) == 0;
        case MODEL_OBJECT:
        case MODEL_ANY:
                break;
        }
        return false;
}
