/*
 * model/model_yaml.c: resources as the original's client prints them in YAML: its encoder knew only the names
 * of its own structures, so keys are lower-cased, every field is there, and metadata is a structure of its
 * own.
 */
#include <ctype.h>

#include "base/own.h"
#include "model/tables.h"
#include "model/yaml.h"

enum { KEY_MAX = 64 };

static json_t *form_fields(const struct model_field *fields, const json_t *printed);

static const char *lower(const char *name, char out[KEY_MAX])
{
        size_t i = 0;

        for (; name[i] != '\0' && i < KEY_MAX - 1; i++)
                out[i] = (char)tolower((unsigned char)name[i]);
        out[i] = '\0';
        return out;
}

/* What the structure of the original holds when nothing was set. */
static json_t *zero_of(const struct model_field *field)
{
        switch (field->type) {
        case MODEL_STRING:
        case MODEL_BASE64:
        case MODEL_UUID:
                return json_string("");
        case MODEL_BOOL:
                return json_false();
        case MODEL_INTEGER:
                return json_integer(0);
        case MODEL_STRINGS:
        case MODEL_OBJECTS:
                return json_array();
        case MODEL_MAP:
                return json_object();
        case MODEL_DICT:
                return field->flags & MODEL_ALWAYS ? json_null() : json_object();
        case MODEL_OBJECT:
        case MODEL_ANY:
                break;
        }
        return json_null();
}

static json_t *form_objects(const struct model_field *field, const json_t *list)
{
        own_json json_t *formed = json_array();

        for (size_t i = 0; formed != NULL && i < json_array_size(list); i++)
                if (json_array_append_new(formed, form_fields(field->sub, json_array_get(list, i))) < 0)
                        return NULL;
        return take_ptr(&formed);
}

static json_t *form_value(const struct model_field *field, json_t *value)
{
        if (value == NULL || json_is_null(value))
                return zero_of(field);
        if (field->type == MODEL_OBJECT && json_is_object(value))
                return form_fields(field->sub, value);
        if (field->type == MODEL_OBJECTS && json_is_array(value))
                return form_objects(field, value);
        return json_incref(value);
}

/* SEED's fields always, ours where the document in SEED form has them. Metadata goes to `meta` unless NULL.
 */
static bool form_into(const struct model_field *fields, const json_t *printed, json_t *meta, json_t *rest)
{
        char key[KEY_MAX];

        for (const struct model_field *field = fields; field->name != NULL; field++) {
                json_t *value = json_object_get(printed, field->name);
                json_t *into = meta != NULL && (field->flags & MODEL_META) ? meta : rest;
                if ((field->flags & MODEL_NOT_SEED) || ((field->flags & MODEL_OURS) && value == NULL))
                        continue;
                if (json_object_set_new(into, lower(field->name, key), form_value(field, value)) < 0)
                        return false;
        }
        return true;
}

static json_t *form_fields(const struct model_field *fields, const json_t *printed)
{
        own_json json_t *formed = json_object();

        return formed != NULL && form_into(fields, printed, NULL, formed) ? take_ptr(&formed) : NULL;
}

static json_t *form_document(const struct model_resource *resource, const json_t *document)
{
        own_json json_t *printed = model_print(resource, document, MODEL_PRINT_SEED);
        own_json json_t *meta = json_object();
        own_json json_t *formed = json_object();

        if (printed == NULL || meta == NULL || formed == NULL)
                return NULL;
        if (model_field_nested(resource->fields) == NULL &&
            model_field_find(resource->fields, "org") != NULL && json_object_set(formed, "meta", meta) < 0)
                return NULL;
        return form_into(resource->fields, printed, meta, formed) ? take_ptr(&formed) : NULL;
}

static json_t *form_list(const struct model_resource *resource, const json_t *list)
{
        own_json json_t *formed = json_array();

        for (size_t i = 0; formed != NULL && i < json_array_size(list); i++)
                if (json_array_append_new(formed, form_document(resource, json_array_get(list, i))) < 0)
                        return NULL;
        return take_ptr(&formed);
}

enum err_code model_print_yaml(const struct model_resource *resource, const json_t *value, struct buf *out,
                               struct err *err)
{
        own_json json_t *formed =
                json_is_array(value) ? form_list(resource, value) : form_document(resource, value);

        return formed != NULL ? yaml_print(formed, out, err) : err_nomem(err);
}
