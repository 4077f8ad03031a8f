/*
 * model/validate.c: the second pass over a canonical document: required fields, lengths, patterns,
 * enumerations and ranges, in the order and words of the original's generated layer (422, 602 to 606).
 */
#include "model/place.h"
#include "model/tables.h"

#include <inttypes.h>
#include <stdio.h>

enum {
        CODE_TYPE = 601,
        CODE_REQUIRED = 602,
        CODE_LONG = 603,
        CODE_SHORT = 604,
        CODE_PATTERN = 605,
        CODE_VALUE = 606
};

static enum err_code validate_fields(const struct place *place, const struct model_field *fields,
                                     const json_t *object, struct err *err);

/* `%s` in fmt is the path; the rest are the caller's. */
static enum err_code refuse(struct err *err, int detail, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static enum err_code refuse(struct err *err, int detail, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        err_vset(err, ERR_UNPROCESSABLE, fmt, args);
        va_end(args);
        if (err != NULL)
                err->detail = detail;
        return ERR_UNPROCESSABLE;
}

static size_t count_characters(struct str text)
{
        size_t count = 0;

        for (size_t i = 0; i < text.len; i++)
                if (((unsigned char)text.p[i] & 0xc0) != 0x80)
                        count++;
        return count;
}

static enum err_code check_length(const char *path, const struct model_field *field, struct str text,
                                  struct err *err)
{
        if (field->max == 0 && field->min == 0)
                return ERR_OK;

        int64_t len = (int64_t)count_characters(text);
        if (field->max != 0 && len > field->max)
                return refuse(err, CODE_LONG, "%s in body should be at most %" PRId64 " chars long", path,
                              field->max);
        if (len < field->min)
                return refuse(err, CODE_SHORT, "%s in body should be at least %" PRId64 " chars long", path,
                              field->min);
        return ERR_OK;
}

static enum err_code check_pattern(const char *path, const struct model_field *field, struct str text,
                                   struct err *err)
{
        if (model_pattern_match(field->pattern, text))
                return ERR_OK;
        if (field->pattern_text != NULL)
                return refuse(err, CODE_PATTERN, "%s", field->pattern_text);
        return refuse(err, CODE_PATTERN, "%s in body should match '%s'", path,
                      model_pattern_text(field->pattern));
}

/* The list as Go prints a slice: [none egress]. */
static enum err_code check_values(const char *path, const struct model_field *field, struct str text,
                                  struct err *err)
{
        char list[160] = "";
        size_t len = 0;

        if (field->values == NULL)
                return ERR_OK;
        for (const char *const *value = field->values; *value != NULL; value++) {
                if (str_eq(str_of(*value), text))
                        return ERR_OK;
                int more = snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? " " : "", *value);
                len = len + (size_t)more < sizeof(list) ? len + (size_t)more : sizeof(list) - 1;
        }
        return refuse(err, CODE_VALUE, "%s in body should be one of [%s]", path, list);
}

/* One string; empty optional ones were dropped before. */
static enum err_code check_string(const char *path, const struct model_field *field, const json_t *value,
                                  struct err *err)
{
        struct str text = {json_string_value(value), json_string_length(value)};

        if (field->type == MODEL_BASE64)
                return ERR_OK;
        if (field->type == MODEL_UUID && !uuid_valid(text))
                return refuse(err, CODE_TYPE, "%s in body must be of type uuid: \"%.*s\"", path,
                              STR_ARG(text));

        enum err_code code = check_length(path, field, text, err);
        if (code == ERR_OK)
                code = check_pattern(path, field, text, err);
        return code == ERR_OK ? check_values(path, field, text, err) : code;
}

static enum err_code check_count(const char *path, const struct model_field *field, size_t count,
                                 struct err *err)
{
        if (field->max == 0 || count <= (size_t)field->max)
                return ERR_OK;
        return refuse(err, CODE_LONG, "%s in body should have at most %" PRId64 " items", path, field->max);
}

static enum err_code check_range(const char *path, const struct model_field *field, const json_t *value,
                                 struct err *err)
{
        json_int_t number = json_integer_value(value);

        if (field->min == 0 && field->max == 0)
                return ERR_OK;
        if (number < field->min)
                return refuse(err, CODE_VALUE, "%s in body should be greater than or equal to %" PRId64, path,
                              field->min);
        if (number > field->max)
                return refuse(err, CODE_VALUE, "%s in body should be less than or equal to %" PRId64, path,
                              field->max);
        return ERR_OK;
}

static enum err_code check_strings(const struct place *place, const struct model_field *field,
                                   const json_t *list, struct err *err)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                struct place at = {place, NULL, i};
                const json_t *element = json_array_get(list, i);
                struct str text = {json_string_value(element), json_string_length(element)};
                char path[PLACE_TEXT_MAX];
                enum err_code code = check_pattern(place_text(&at, true, path), field, text, err);
                if (code == ERR_OK)
                        code = check_values(path, field, text, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code check_keys(const struct place *place, const struct model_field *field, const json_t *map,
                                struct err *err)
{
        json_t *members = (json_t *)map; /* the iterator does not change it */

        for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at)) {
                struct place here = {place, json_object_iter_key(at), 0};
                struct str key = {json_object_iter_key(at), json_object_iter_key_len(at)};
                char path[PLACE_TEXT_MAX];
                enum err_code code = check_pattern(place_text(&here, true, path), field, key, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code check_objects(const struct place *place, const struct model_field *field,
                                   const json_t *list, struct err *err)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                struct place at = {place, NULL, i};
                enum err_code code = validate_fields(&at, field->sub, json_array_get(list, i), err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code check_value(const struct place *place, const struct model_field *field,
                                 const json_t *value, struct err *err)
{
        char path[PLACE_TEXT_MAX];
        enum err_code code;

        place_text(place, true, path);
        switch (field->type) {
        case MODEL_STRING:
        case MODEL_BASE64:
        case MODEL_UUID:
                return check_string(path, field, value, err);
        case MODEL_INTEGER:
                return check_range(path, field, value, err);
        case MODEL_STRINGS:
                code = check_count(path, field, json_array_size(value), err);
                return code == ERR_OK ? check_strings(place, field, value, err) : code;
        case MODEL_MAP:
                code = check_count(path, field, json_object_size(value), err);
                return code == ERR_OK ? check_keys(place, field, value, err) : code;
        case MODEL_OBJECT:
                return validate_fields(place, field->sub, value, err);
        case MODEL_OBJECTS:
                return check_objects(place, field, value, err);
        case MODEL_BOOL:
        case MODEL_DICT:
        case MODEL_ANY:
                break;
        }
        return ERR_OK;
}

static enum err_code validate_fields(const struct place *place, const struct model_field *fields,
                                     const json_t *object, struct err *err)
{
        for (const struct model_field *field = fields; field->name != NULL; field++) {
                const json_t *value = json_object_get(object, field->name);
                struct place at = {place, field->name, 0};
                char path[PLACE_TEXT_MAX];
                enum err_code code = ERR_OK;

                if (field->flags & (MODEL_ALIAS | MODEL_READONLY))
                        continue;
                if (value != NULL)
                        code = check_value(&at, field, value, err);
                else if (field->flags & MODEL_REQUIRED)
                        code = refuse(err, CODE_REQUIRED, "%s in body is required",
                                      place_text(&at, true, path));
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

enum err_code model_validate(const struct model_resource *resource, const json_t *document, struct err *err)
{
        const struct place top = {0};
        enum err_code code = validate_fields(&top, resource->fields, document, err);

        if (code == ERR_OK && resource->check != NULL)
                code = resource->check(document, err);
        return code;
}
