/*
 * model/coerce.c: documents out of files that people write: scalars become the type that the field has, and a
 * key that is no field is an error that names it.
 */
#include "model/place.h"
#include "model/tables.h"

#include <stdio.h>

#include "base/own.h"

static enum err_code coerce_fields(const struct place *place, const struct model_field *fields,
                                   const json_t *object, const char *const *also, json_t **ret,
                                   struct err *err);

/* Scalars as the text that stood for them. NULL: no memory. */
static json_t *to_string(json_t *value)
{
        own_buf struct buf text;

        buf_init(&text, 64);
        if (json_is_string(value) || json_is_object(value) || json_is_array(value) || json_is_null(value))
                return json_incref(value);
        if (json_print(value, &text, NULL) != ERR_OK)
                return NULL;
        return json_stringn(text.data, text.len);
}

/* The words that YAML 1.1 reads as booleans; anything else stays, for the parser to refuse. */
static json_t *to_bool(json_t *value)
{
        static const char *const yes[] = {"yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"};
        static const char *const no[] = {"no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"};
        struct str text = {json_string_value(value), json_string_length(value)};

        for (size_t i = 0; json_is_string(value) && i < sizeof(yes) / sizeof(yes[0]); i++) {
                if (str_eq(text, str_of(yes[i])))
                        return json_true();
                if (str_eq(text, str_of(no[i])))
                        return json_false();
        }
        return json_incref(value);
}

static json_t *to_integer(json_t *value)
{
        struct str text = {json_string_value(value), json_string_length(value)};
        int64_t number;

        if (json_is_string(value) && str_to_i64(text, &number))
                return json_integer(number);
        return json_incref(value);
}

static enum err_code coerce_strings(const json_t *list, json_t **ret, struct err *err)
{
        own_json json_t *strings = json_array();

        for (size_t i = 0; strings != NULL && i < json_array_size(list); i++)
                if (json_array_append_new(strings, to_string(json_array_get(list, i))) < 0)
                        return err_nomem(err);
        *ret = take_ptr(&strings);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code coerce_map(const json_t *map, json_t **ret, struct err *err)
{
        json_t *members = (json_t *)map; /* the iterator does not change it */
        own_json json_t *strings = json_object();

        for (void *at = json_object_iter(members); strings != NULL && at != NULL;
             at = json_object_iter_next(members, at))
                if (json_object_set_new(strings, json_object_iter_key(at),
                                        to_string(json_object_iter_value(at))) < 0)
                        return err_nomem(err);
        *ret = take_ptr(&strings);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code coerce_objects(const struct place *place, const struct model_field *field,
                                    const json_t *list, json_t **ret, struct err *err)
{
        own_json json_t *objects = json_array();

        for (size_t i = 0; objects != NULL && i < json_array_size(list); i++) {
                struct place at = {place, NULL, i};
                json_t *object = NULL;
                enum err_code code =
                        coerce_fields(&at, field->sub, json_array_get(list, i), NULL, &object, err);
                if (code != ERR_OK)
                        return code;
                if (json_array_append_new(objects, object) < 0)
                        return err_nomem(err);
        }
        *ret = take_ptr(&objects);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code coerce_value(const struct place *place, const struct model_field *field, json_t *value,
                                  json_t **ret, struct err *err)
{
        json_t *coerced = NULL;

        if (field->type == MODEL_OBJECT && json_is_object(value))
                return coerce_fields(place, field->sub, value, NULL, ret, err);
        if (field->type == MODEL_OBJECTS && json_is_array(value))
                return coerce_objects(place, field, value, ret, err);
        if (field->type == MODEL_STRINGS && json_is_array(value))
                return coerce_strings(value, ret, err);
        if (field->type == MODEL_MAP && json_is_object(value))
                return coerce_map(value, ret, err);

        if (field->type == MODEL_STRING || field->type == MODEL_BASE64 || field->type == MODEL_UUID)
                coerced = to_string(value);
        else if (field->type == MODEL_BOOL)
                coerced = to_bool(value);
        else if (field->type == MODEL_INTEGER)
                coerced = to_integer(value);
        else
                coerced = json_incref(value);
        *ret = coerced;
        return coerced != NULL ? ERR_OK : err_nomem(err);
}

static bool is_listed(const char *const *names, const char *name)
{
        for (; names != NULL && *names != NULL; names++)
                if (strcmp(*names, name) == 0)
                        return true;
        return false;
}

static enum err_code unknown_key(const struct place *place, struct err *err)
{
        char path[PLACE_TEXT_MAX];

        return err_set(err, ERR_INVALID, "unknown key \"%s\"", place_text(place, true, path));
}

static enum err_code coerce_fields(const struct place *place, const struct model_field *fields,
                                   const json_t *object, const char *const *also, json_t **ret,
                                   struct err *err)
{
        json_t *members = (json_t *)object; /* the iterator does not change it */
        own_json json_t *into = json_object();

        if (into == NULL)
                return err_nomem(err);
        for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at)) {
                const char *key = json_object_iter_key(at);
                const struct model_field *field = model_field_find(fields, key);
                struct place here = {place, key, 0};
                json_t *value = NULL;
                enum err_code code = ERR_OK;

                if (field != NULL && !(field->flags & MODEL_YAML_ONLY))
                        code = coerce_value(&here, field, json_object_iter_value(at), &value, err);
                else if (is_listed(also, key))
                        value = json_incref(json_object_iter_value(at));
                else
                        code = unknown_key(&here, err);
                if (code != ERR_OK)
                        return code;
                if (json_object_set_new(into, key, value) < 0)
                        return err_nomem(err);
        }
        *ret = take_ptr(&into);
        return ERR_OK;
}

enum err_code model_coerce(const struct model_resource *resource, const json_t *document,
                           const char *const *also, json_t **ret, struct err *err)
{
        const struct place top = {0};

        if (!json_is_object(document))
                return err_set(err, ERR_INVALID, "a %s is a map of fields", resource->label);
        return coerce_fields(&top, resource->fields, document, also, ret, err);
}
