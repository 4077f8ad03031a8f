/* json/value.c: texts, numbers and words; comparing and copying whole values. */
#include "json/internal.h"

#include "base/str.h"

#include <math.h>

json_t *json_true(void)
{
        static json_t value = {JSON_TRUE, SIZE_MAX};

        return &value;
}

json_t *json_false(void)
{
        static json_t value = {JSON_FALSE, SIZE_MAX};

        return &value;
}

json_t *json_null(void)
{
        static json_t value = {JSON_NULL, SIZE_MAX};

        return &value;
}

bool json_text_is_utf8(const char *text, size_t len)
{
        return str_is_utf8((struct str){text, len});
}

json_t *json_string_own(char *text, size_t len)
{
        struct json_string *string = json_memory(sizeof(*string));

        if (string == NULL) {
                json_memory_free(text);
                return NULL;
        }
        text[len] = '\0';
        *string = (struct json_string){.value = {JSON_STRING, 1}, .len = len, .text = text};
        return &string->value;
}

static char *copy_text(const char *text, size_t len)
{
        char *copy = len < SIZE_MAX ? json_memory(len + 1) : NULL;

        if (copy == NULL)
                return NULL;
        memcpy(copy, text, len);
        copy[len] = '\0';
        return copy;
}

json_t *json_stringn_nocheck(const char *text, size_t len)
{
        char *copy = text != NULL ? copy_text(text, len) : NULL;

        return copy != NULL ? json_string_own(copy, len) : NULL;
}

json_t *json_stringn(const char *text, size_t len)
{
        return text != NULL && json_text_is_utf8(text, len) ? json_stringn_nocheck(text, len) : NULL;
}

json_t *json_string_nocheck(const char *text)
{
        return text != NULL ? json_stringn_nocheck(text, strlen(text)) : NULL;
}

json_t *json_string(const char *text)
{
        return text != NULL ? json_stringn(text, strlen(text)) : NULL;
}

static struct json_string *as_string(const json_t *json)
{
        return (struct json_string *)(void *)json;
}

const char *json_string_value(const json_t *string)
{
        return json_is_string(string) ? as_string(string)->text : NULL;
}

size_t json_string_length(const json_t *string)
{
        return json_is_string(string) ? as_string(string)->len : 0;
}

int json_string_setn(json_t *string, const char *text, size_t len)
{
        char *copy;

        if (!json_is_string(string) || text == NULL || !json_text_is_utf8(text, len))
                return -1;
        copy = copy_text(text, len);
        if (copy == NULL)
                return -1;
        json_memory_free(as_string(string)->text);
        as_string(string)->text = copy;
        as_string(string)->len = len;
        return 0;
}

int json_string_set(json_t *string, const char *text)
{
        return json_string_setn(string, text, text != NULL ? strlen(text) : 0);
}

json_t *json_integer(json_int_t value)
{
        struct json_integer *integer = json_memory(sizeof(*integer));

        if (integer == NULL)
                return NULL;
        *integer = (struct json_integer){.value = {JSON_INTEGER, 1}, .number = value};
        return &integer->value;
}

json_int_t json_integer_value(const json_t *integer)
{
        return json_is_integer(integer) ? ((const struct json_integer *)(const void *)integer)->number : 0;
}

int json_integer_set(json_t *integer, json_int_t value)
{
        if (!json_is_integer(integer))
                return -1;
        ((struct json_integer *)(void *)integer)->number = value;
        return 0;
}

json_t *json_real(double value)
{
        struct json_real *real = isfinite(value) ? json_memory(sizeof(*real)) : NULL;

        if (real == NULL)
                return NULL;
        *real = (struct json_real){.value = {JSON_REAL, 1}, .number = value};
        return &real->value;
}

double json_real_value(const json_t *real)
{
        return json_is_real(real) ? ((const struct json_real *)(const void *)real)->number : 0.0;
}

int json_real_set(json_t *real, double value)
{
        if (!json_is_real(real) || !isfinite(value))
                return -1;
        ((struct json_real *)(void *)real)->number = value;
        return 0;
}

double json_number_value(const json_t *number)
{
        return json_is_integer(number) ? (double)json_integer_value(number) : json_real_value(number);
}

static int equal(const json_t *a, const json_t *b, unsigned depth);

static int equal_objects(const json_t *a, const json_t *b, unsigned depth)
{
        if (json_object_size(a) != json_object_size(b))
                return 0;
        for (struct json_member *at = json_as_object(a)->first; at != NULL; at = at->after)
                if (!equal(at->value, json_object_getn(b, at->key, at->len), depth))
                        return 0;
        return 1;
}

static int equal_arrays(const json_t *a, const json_t *b, unsigned depth)
{
        if (json_array_size(a) != json_array_size(b))
                return 0;
        for (size_t i = 0; i < json_array_size(a); i++)
                if (!equal(json_array_get(a, i), json_array_get(b, i), depth))
                        return 0;
        return 1;
}

static int equal(const json_t *a, const json_t *b, unsigned depth)
{
        if (a == NULL || b == NULL || a->type != b->type)
                return 0;
        if (a == b)
                return 1;
        switch (a->type) {
        case JSON_OBJECT:
                return depth < JSON_PARSER_MAX_DEPTH && equal_objects(a, b, depth + 1);
        case JSON_ARRAY:
                return depth < JSON_PARSER_MAX_DEPTH && equal_arrays(a, b, depth + 1);
        case JSON_STRING:
                return as_string(a)->len == as_string(b)->len &&
                       memcmp(as_string(a)->text, as_string(b)->text, as_string(a)->len) == 0;
        case JSON_INTEGER:
                return json_integer_value(a) == json_integer_value(b);
        case JSON_REAL:
                return json_real_value(a) == json_real_value(b);
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL:
                break;
        }
        return 1;
}

int json_equal(const json_t *a, const json_t *b)
{
        return equal(a, b, 0);
}

static json_t *copy(const json_t *value, bool deep, unsigned depth);

/* A member's value for the copy: shared, or a copy itself. */
static json_t *copy_child(json_t *child, bool deep, unsigned depth)
{
        return deep ? copy(child, true, depth) : json_incref(child);
}

static json_t *copy_object(const json_t *object, bool deep, unsigned depth)
{
        json_t *made = json_object();

        for (struct json_member *at = json_as_object(object)->first; made != NULL && at != NULL;
             at = at->after) {
                if (json_object_setn_new_nocheck(made, at->key, at->len, copy_child(at->value, deep, depth)) <
                    0) {
                        json_decref(made);
                        return NULL;
                }
        }
        return made;
}

static json_t *copy_array(const json_t *array, bool deep, unsigned depth)
{
        json_t *made = json_array();

        for (size_t i = 0; made != NULL && i < json_array_size(array); i++) {
                if (json_array_append_new(made, copy_child(json_array_get(array, i), deep, depth)) < 0) {
                        json_decref(made);
                        return NULL;
                }
        }
        return made;
}

static json_t *copy(const json_t *value, bool deep, unsigned depth)
{
        if (value == NULL || depth > JSON_PARSER_MAX_DEPTH)
                return NULL;
        switch (value->type) {
        case JSON_OBJECT:
                return copy_object(value, deep, depth + 1);
        case JSON_ARRAY:
                return copy_array(value, deep, depth + 1);
        case JSON_STRING:
                return json_stringn_nocheck(as_string(value)->text, as_string(value)->len);
        case JSON_INTEGER:
                return json_integer(json_integer_value(value));
        case JSON_REAL:
                return json_real(json_real_value(value));
        case JSON_TRUE:
                return json_true();
        case JSON_FALSE:
                return json_false();
        case JSON_NULL:
                break;
        }
        return json_null();
}

json_t *json_copy(json_t *value)
{
        return copy(value, false, 0);
}

json_t *json_deep_copy(const json_t *value)
{
        return copy(value, true, 0);
}
