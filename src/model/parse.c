/*
 * model/parse.c: from what a caller sent to the canonical document, by the resource's table. Two passes, as
 * the original does it: first the JSON types of the whole body (400), then the rules field by field (422), so
 * that a body with both kinds of errors gets the first kind's answer.
 */
#include "model/place.h"
#include "model/tables.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"

struct parse {
        const struct model_resource *resource;
        struct err *err;
};

static enum err_code convert_fields(struct parse *parse, const struct place *place,
                                    const struct model_field *fields, const json_t *sent,
                                    const json_t *stored, json_t **ret);

/* ---- the first pass: JSON types ---- */

static const char *json_type_name(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "object";
        case JSON_ARRAY:
                return "array";
        case JSON_STRING:
                return "string";
        case JSON_INTEGER:
        case JSON_REAL:
                return "number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "bool";
        case JSON_NULL:
                break;
        }
        return "null";
}

/* The type that the message names: Go's for what has one there, the model's own for objects. */
static void go_type_name(const struct model_field *field, char out[48])
{
        static const char *const names[] = {
                [MODEL_STRING] = "string",
                [MODEL_BOOL] = "bool",
                [MODEL_INTEGER] = "int64",
                [MODEL_STRINGS] = "[]string",
                [MODEL_MAP] = "map[string]string",
                [MODEL_DICT] = "map[string]interface {}",
                [MODEL_BASE64] = "strfmt.Base64",
                [MODEL_UUID] = "strfmt.UUID",
                [MODEL_ANY] = NULL,
        };
        const char *list = field->type == MODEL_OBJECTS ? "[]*" : "";

        if (field->type == MODEL_OBJECT || field->type == MODEL_OBJECTS)
                snprintf(out, 48, "%sv1.%c%s", list, toupper((unsigned char)field->name[0]), field->name + 1);
        else
                snprintf(out, 48, "%s", names[field->type]);
}

static enum err_code wrong_body(struct parse *parse, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
static enum err_code wrong_body(struct parse *parse, const char *fmt, ...)
{
        char reason[PLACE_TEXT_MAX + 160];
        va_list args;

        va_start(args, fmt);
        /* clang-tidy 14 loses sight of the va_start above in the build against the client's JSON. */
        vsnprintf(reason, sizeof(reason), fmt, args); /* NOLINT(clang-analyzer-valist.Uninitialized) */
        va_end(args);
        return err_set(parse->err, ERR_INVALID, "parsing %s body from \"\" failed, because %s",
                       parse->resource->body_name, reason);
}

static enum err_code wrong_type(struct parse *parse, const struct place *place, const json_t *value,
                                const char *type_name)
{
        char path[PLACE_TEXT_MAX], number[48] = "";

        if (json_is_real(value))
                snprintf(number, sizeof(number), " %.15g", json_real_value(value));
        place_text(place, false, path);
        if (path[0] == '\0')
                return wrong_body(parse, "json: cannot unmarshal %s into Go value of type v1.%s",
                                  json_type_name(value), parse->resource->kind_name);
        return wrong_body(parse, "json: cannot unmarshal %s%s into Go struct field %s.%s of type %s",
                          json_type_name(value), number, parse->resource->kind_name, path, type_name);
}

static enum err_code check_base64(struct parse *parse, const json_t *value)
{
        struct str text = {json_string_value(value), json_string_length(value)};
        size_t len, bad;
        own_mem void *bytes = malloc((text.len / 4 + 1) * 3);

        if (bytes == NULL)
                return err_nomem(parse->err);
        if (base64_decode(text, bytes, &len, &bad))
                return ERR_OK;
        return wrong_body(parse, "illegal base64 data at input byte %zu", bad);
}

static enum err_code convert_strings(struct parse *parse, const struct place *place, const json_t *value)
{
        for (size_t i = 0; i < json_array_size(value); i++) {
                const json_t *element = json_array_get(value, i);
                struct place at = {place, NULL, i};
                if (!json_is_string(element))
                        return wrong_type(parse, &at, element, "string");
        }
        return ERR_OK;
}

static enum err_code convert_map(struct parse *parse, const struct place *place, const json_t *value)
{
        json_t *map = (json_t *)value; /* the iterator does not change it */

        for (void *at = json_object_iter(map); at != NULL; at = json_object_iter_next(map, at)) {
                const json_t *member = json_object_iter_value(at);
                struct place here = {place, NULL, 0};
                if (!json_is_string(member))
                        return wrong_type(parse, &here, member, "string");
        }
        return ERR_OK;
}

static enum err_code convert_objects(struct parse *parse, const struct place *place,
                                     const struct model_field *field, const json_t *value, json_t **ret)
{
        own_json json_t *list = json_array();

        if (list == NULL)
                return err_nomem(parse->err);
        for (size_t i = 0; i < json_array_size(value); i++) {
                const json_t *element = json_array_get(value, i);
                struct place at = {place, NULL, i};
                char type[48];
                json_t *object;

                go_type_name(field, type);
                if (!json_is_object(element))
                        return wrong_type(parse, &at, element, type + sizeof("[]*") - 1);
                enum err_code code = convert_fields(parse, &at, field->sub, element, NULL, &object);
                if (code != ERR_OK)
                        return code;
                if (json_array_append_new(list, object) < 0)
                        return err_nomem(parse->err);
        }
        *ret = take_ptr(&list);
        return ERR_OK;
}

static bool type_fits(const struct model_field *field, const json_t *value)
{
        switch (field->type) {
        case MODEL_STRING:
        case MODEL_BASE64:
        case MODEL_UUID:
                return json_is_string(value);
        case MODEL_BOOL:
                return json_is_boolean(value);
        case MODEL_INTEGER:
                return json_is_integer(value);
        case MODEL_STRINGS:
        case MODEL_OBJECTS:
                return json_is_array(value);
        case MODEL_MAP:
        case MODEL_DICT:
        case MODEL_OBJECT:
                return json_is_object(value);
        case MODEL_ANY:
                break;
        }
        return true;
}

/* One value that is neither absent nor null. *ret is a new reference. */
static enum err_code convert_value(struct parse *parse, const struct place *place,
                                   const struct model_field *field, const json_t *value, json_t **ret)
{
        enum err_code code = ERR_OK;
        char type[48];

        if (!type_fits(field, value)) {
                go_type_name(field, type);
                return wrong_type(parse, place, value, type);
        }
        if (field->type == MODEL_OBJECT)
                return convert_fields(parse, place, field->sub, value, NULL, ret);
        if (field->type == MODEL_OBJECTS)
                return convert_objects(parse, place, field, value, ret);
        if (field->type == MODEL_STRINGS)
                code = convert_strings(parse, place, value);
        else if (field->type == MODEL_MAP)
                code = convert_map(parse, place, value);
        else if (field->type == MODEL_BASE64)
                code = check_base64(parse, value);
        if (code == ERR_OK)
                *ret = json_incref((json_t *)value);
        return code;
}

/* Which of a field's names is meant: see model_parse. */
struct choice {
        struct parse *parse;
        const struct model_field *field;
        const struct place *place;
        const json_t *stored; /* of the field, or NULL */
        const json_t *empty;  /* a value that is there and empty */
        const json_t *same;   /* the one equal to what is stored */
        const json_t *other;  /* the one that differs from it */
        enum err_code code;
};

static bool choice_add(void *arg, const json_t *value)
{
        struct choice *choice = arg;
        char type[48];

        if (json_is_null(value))
                return true;
        if (!type_fits(choice->field, value)) {
                go_type_name(choice->field, type);
                choice->code = wrong_type(choice->parse, choice->place, value, type);
                return false;
        }
        if (model_field_empty(choice->field, value)) {
                choice->empty = value;
        } else if (choice->stored != NULL && json_equal(value, choice->stored)) {
                choice->same = value;
        } else if (choice->other != NULL && !json_equal(value, choice->other)) {
                choice->code =
                        err_set(choice->parse->err, ERR_UNPROCESSABLE,
                                "%s in body is given under two names with two values", choice->field->name);
                return false;
        } else {
                choice->other = value;
        }
        return true;
}

/* *ret_value is borrowed, NULL when absent or null. */
static enum err_code choose(struct choice *choice, const struct model_field *fields, const json_t *sent,
                            const json_t *stored, const json_t **ret_value)
{
        choice->stored = json_object_get(stored, choice->field->name);
        choice->code = ERR_OK;
        model_field_each(fields, choice->field, sent, choice_add, choice);
        if (choice->code != ERR_OK)
                return choice->code;
        *ret_value = choice->other != NULL  ? choice->other
                     : choice->same != NULL ? choice->same
                                            : choice->empty;
        return ERR_OK;
}

/* The default as a value, run through the table like a sent one so that an object's own defaults apply. */
static enum err_code convert_initial(struct parse *parse, const struct place *place,
                                     const struct model_field *field, json_t **ret)
{
        own_json json_t *initial = json_loads(field->initial, JSON_DECODE_ANY, NULL);

        if (initial == NULL)
                return err_nomem(parse->err);
        return convert_value(parse, place, field, initial, ret);
}

/* An empty optional value says the same as none, and a default of its own is never left out. */
static bool is_kept(const struct model_field *field, const json_t *value)
{
        if (field->flags & MODEL_READONLY)
                return false;
        return !model_field_empty(field, value) || field->initial != NULL || (field->flags & MODEL_REQUIRED);
}

static enum err_code convert_field(struct parse *parse, const struct place *place,
                                   const struct model_field *fields, const struct model_field *field,
                                   const json_t *sent, const json_t *stored, json_t *into)
{
        struct choice choice = {.parse = parse, .field = field, .place = place};
        const json_t *value = NULL;
        own_json json_t *converted = NULL;

        enum err_code code = choose(&choice, fields, sent, stored, &value);
        if (code != ERR_OK)
                return code;

        /* The empty string is no value of an enumeration that has a default. */
        bool absent = value == NULL || (field->type == MODEL_STRING && model_field_empty(field, value));
        if (absent && field->initial != NULL)
                code = convert_initial(parse, place, field, &converted);
        else if (value != NULL)
                code = convert_value(parse, place, field, value, &converted);
        if (code != ERR_OK)
                return code;
        if (converted == NULL || !is_kept(field, converted))
                return ERR_OK;
        return json_object_set_new(into, field->name, take_ptr(&converted)) < 0 ? err_nomem(parse->err)
                                                                                : ERR_OK;
}

/* A field that other fields are made of: its JSON type is all that is checked here. */
static enum err_code convert_nested(struct parse *parse, const struct place *place,
                                    const struct model_field *field, const json_t *sent)
{
        const json_t *value = json_object_get(sent, field->name);
        own_json json_t *converted = NULL;

        if (value == NULL || json_is_null(value))
                return ERR_OK;
        return convert_value(parse, place, field, value, &converted);
}

static enum err_code convert_fields(struct parse *parse, const struct place *place,
                                    const struct model_field *fields, const json_t *sent,
                                    const json_t *stored, json_t **ret)
{
        own_json json_t *into = json_object();

        if (into == NULL)
                return err_nomem(parse->err);
        for (const struct model_field *field = fields; field->name != NULL; field++) {
                struct place at = {place, field->name, 0};
                enum err_code code = ERR_OK;
                if (field->flags & MODEL_NESTED)
                        code = convert_nested(parse, &at, field, sent);
                else if (!(field->flags & (MODEL_ALIAS | MODEL_YAML_ONLY)))
                        code = convert_field(parse, &at, fields, field, sent, stored, into);
                if (code != ERR_OK)
                        return code;
        }
        *ret = take_ptr(&into);
        return ERR_OK;
}

static enum err_code parse_document(const struct model_resource *resource, const json_t *sent,
                                    const json_t *stored, json_t **ret, struct err *err)
{
        struct parse parse = {resource, err};
        const struct place top = {0};
        own_json json_t *nothing = json_object();
        own_json json_t *document = NULL;

        if (nothing == NULL)
                return err_nomem(err);
        if (json_is_null(sent))
                sent = nothing;
        if (!json_is_object(sent))
                return wrong_type(&parse, &top, sent, "");

        enum err_code code = convert_fields(&parse, &top, resource->fields, sent, stored, &document);
        if (code == ERR_OK)
                code = model_validate(resource, document, err);
        if (code == ERR_OK)
                *ret = take_ptr(&document);
        return code;
}

enum err_code model_parse(const struct model_resource *resource, const json_t *sent, const json_t *stored,
                          json_t **ret, struct err *err)
{
        assert(sent != NULL);
        return parse_document(resource, sent, stored, ret, err);
}

enum err_code model_parse_text(const struct model_resource *resource, struct str body, const json_t *stored,
                               json_t **ret, json_t **ret_sent, struct err *err)
{
        struct err inner;
        struct parse parse = {resource, err};
        own_json json_t *sent = NULL;

        if (str_trim(body, " \t\r\n").len == 0) {
                err_set(err, ERR_UNPROCESSABLE, "%s in body is required", resource->body_name);
                if (err != NULL)
                        err->detail = 602;
                return ERR_UNPROCESSABLE;
        }
        enum err_code code = json_parse(body, &sent, &inner);
        if (code == ERR_INVALID)
                return wrong_body(&parse, "%s", inner.text);
        if (code != ERR_OK)
                return err_set(err, code, "%s", inner.text);
        code = model_parse(resource, sent, stored, ret, err);
        if (code == ERR_OK && ret_sent != NULL)
                *ret_sent = take_ptr(&sent);
        return code;
}
