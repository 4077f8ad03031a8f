/* api/openapi_schema.c: JSON Schemas from the tables of resources. */
#include "api/openapi.h"

#include "base/own.h"

#include <assert.h>
#include <string.h>

static json_t *object_schema(struct openapi *openapi, const struct model_field *fields);

void openapi_put(struct openapi *openapi, json_t *object, const char *key, json_t *value)
{
        if (json_object_set_new(object, key, value) < 0)
                openapi->failed = true;
}

void openapi_add(struct openapi *openapi, json_t *array, json_t *value)
{
        if (json_array_append_new(array, value) < 0)
                openapi->failed = true;
}

static const char *type_name(enum model_type type)
{
        static const char *const names[] = {
                [MODEL_STRING] = "string", [MODEL_BOOL] = "boolean",  [MODEL_INTEGER] = "integer",
                [MODEL_STRINGS] = "array", [MODEL_MAP] = "object",    [MODEL_DICT] = "object",
                [MODEL_OBJECT] = "object", [MODEL_OBJECTS] = "array", [MODEL_ANY] = NULL,
                [MODEL_BASE64] = "string", [MODEL_UUID] = "string",
        };

        return names[type];
}

/* null says the same as absent, in a request; in a reply it is what an empty list is. */
static bool is_nullable(const struct model_field *field)
{
        if (field->flags & (MODEL_ALWAYS | MODEL_SOLO_ALWAYS))
                return true;
        return (field->flags & (MODEL_REQUIRED | MODEL_READONLY)) == 0;
}

static void put_type(struct openapi *openapi, json_t *schema, const struct model_field *field)
{
        const char *name = type_name(field->type);

        if (name == NULL)
                return;
        openapi_put(openapi, schema, "type",
                    is_nullable(field) ? json_pack("[s, s]", name, "null") : json_string(name));
}

/* What holds for a string, be it the field, one of its elements or a key of its map. */
static void put_text_rules(struct openapi *openapi, json_t *schema, const struct model_field *field,
                           bool nullable)
{
        json_t *values;

        /* An optional empty string is not checked. */
        bool empty = field->type == MODEL_STRING && (field->flags & MODEL_REQUIRED) == 0;

        if (field->pattern != MODEL_PATTERN_ANY)
                openapi_put(openapi, schema, "pattern",
                            json_sprintf("%s%s", empty ? "^$|" : "", model_pattern_text(field->pattern)));
        if (field->values == NULL)
                return;
        values = json_array();
        for (const char *const *value = field->values; *value != NULL; value++)
                openapi_add(openapi, values, json_string(*value));
        if (nullable)
                openapi_add(openapi, values, json_null());
        openapi_put(openapi, schema, "enum", values);
}

static void put_range(struct openapi *openapi, json_t *schema, const struct model_field *field,
                      const char *min, const char *max)
{
        if (field->min != 0 || (field->max != 0 && field->type == MODEL_INTEGER))
                openapi_put(openapi, schema, min, json_integer(field->min));
        if (field->max != 0)
                openapi_put(openapi, schema, max, json_integer(field->max));
}

static void put_list_rules(struct openapi *openapi, json_t *schema, const struct model_field *field)
{
        json_t *items;

        if (field->type == MODEL_OBJECTS) {
                items = object_schema(openapi, field->sub);
        } else {
                items = json_pack("{s:s}", "type", "string");
                put_text_rules(openapi, items, field, false);
        }
        openapi_put(openapi, schema, "items", items);
        put_range(openapi, schema, field, "minItems", "maxItems");
}

static void put_map_rules(struct openapi *openapi, json_t *schema, const struct model_field *field)
{
        json_t *keys = json_object();

        put_text_rules(openapi, keys, field, false);
        openapi_put(openapi, schema, "additionalProperties", json_pack("{s:s}", "type", "string"));
        openapi_put(openapi, schema, "propertyNames", keys);
        put_range(openapi, schema, field, "minProperties", "maxProperties");
}

static void put_rules(struct openapi *openapi, json_t *schema, const struct model_field *field)
{
        switch (field->type) {
        case MODEL_STRING:
                put_text_rules(openapi, schema, field, is_nullable(field));
                put_range(openapi, schema, field, "minLength", "maxLength");
                break;
        case MODEL_INTEGER:
                openapi_put(openapi, schema, "format", json_string("int64"));
                put_range(openapi, schema, field, "minimum", "maximum");
                break;
        case MODEL_STRINGS:
        case MODEL_OBJECTS:
                put_list_rules(openapi, schema, field);
                break;
        case MODEL_MAP:
                put_map_rules(openapi, schema, field);
                break;
        case MODEL_BASE64:
                openapi_put(openapi, schema, "contentEncoding", json_string("base64"));
                break;
        case MODEL_UUID:
                openapi_put(openapi, schema, "format", json_string("uuid"));
                break;
        case MODEL_BOOL:
        case MODEL_DICT:
        case MODEL_OBJECT:
        case MODEL_ANY:
                break;
        }
}

static json_t *field_schema(struct openapi *openapi, const struct model_field *field)
{
        json_t *schema = field->sub != NULL && field->type == MODEL_OBJECT
                                 ? object_schema(openapi, field->sub)
                                 : json_object();

        put_type(openapi, schema, field);
        put_rules(openapi, schema, field);
        if (field->about != NULL)
                openapi_put(openapi, schema, "description", json_string(field->about));
        if (field->initial != NULL)
                openapi_put(openapi, schema, "default", json_loads(field->initial, JSON_DECODE_ANY, NULL));
        if (field->flags & MODEL_READONLY)
                openapi_put(openapi, schema, "readOnly", json_true());
        if (field->flags & MODEL_WRITEONLY)
                openapi_put(openapi, schema, "writeOnly", json_true());
        return schema;
}

/* [{required: [NAME]}, {required: [ALIAS]}, ...]; NULL when the field has no other names. New. */
static json_t *names_of(struct openapi *openapi, const struct model_field *fields,
                        const struct model_field *field)
{
        json_t *any = NULL;

        for (const struct model_field *alias = fields; alias->name != NULL; alias++) {
                if (alias->of == NULL || strcmp(alias->of, field->name) != 0)
                        continue;
                if (any == NULL)
                        any = json_pack("[{s:[s]}]", "required", field->name);
                openapi_add(openapi, any, json_pack("{s:[s]}", "required", alias->name));
        }
        return any;
}

static void put_required(struct openapi *openapi, json_t *schema, const struct model_field *fields)
{
        json_t *required = json_array(), *all = json_array();
        bool nested = false;

        for (const struct model_field *field = fields; field->name != NULL; field++)
                nested = nested || (field->flags & MODEL_NESTED) != 0;
        for (const struct model_field *field = fields; field->name != NULL; field++) {
                if (!(field->flags & MODEL_REQUIRED) || nested)
                        continue; /* what is nested may stand in either place */
                json_t *any = names_of(openapi, fields, field);
                if (any != NULL)
                        openapi_add(openapi, all, json_pack("{s:o}", "anyOf", any));
                else
                        openapi_add(openapi, required, json_string(field->name));
        }
        if (json_array_size(required) > 0)
                openapi_put(openapi, schema, "required", json_incref(required));
        if (json_array_size(all) > 0)
                openapi_put(openapi, schema, "allOf", json_incref(all));
        json_decref(required);
        json_decref(all);
}

static json_t *object_schema(struct openapi *openapi, const struct model_field *fields)
{
        json_t *schema = json_pack("{s:s}", "type", "object"), *properties = json_object();

        assert(fields != NULL);
        for (const struct model_field *field = fields; field->name != NULL; field++) {
                if (!(field->flags & MODEL_YAML_ONLY))
                        openapi_put(openapi, properties, field->name, field_schema(openapi, field));
        }
        openapi_put(openapi, schema, "properties", properties);
        put_required(openapi, schema, fields);
        return schema;
}

json_t *openapi_schema(struct openapi *openapi, const struct model_resource *resource)
{
        return object_schema(openapi, resource->fields);
}
