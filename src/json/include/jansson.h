/*
 * jansson.h: JSON values for the client, with the part of jansson's interface that model/ and cli/ use.
 *
 * The server links jansson itself. The client must build where only POSIX, libcurl, libarchive and libyaml
 * are, so it is compiled against this header and src/json instead; names and meanings are those of jansson's
 * manual (https://jansson.readthedocs.io/), and the tests run the same cases against both.
 *
 * Values are reference-counted, not thread-safe, and none may hold itself. Functions named *_new take over
 * the value they are given, also when they fail; the others add a reference. What get functions return is
 * borrowed. Everything takes NULL where a value is expected and fails; 0 or a pointer is success, -1 or NULL
 * failure. Objects keep the order of insertion, and are looked up by a keyed hash.
 */
#ifndef JANSSON_H
#define JANSSON_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The version of the interface. */
#define JANSSON_MAJOR_VERSION 2
#define JANSSON_MINOR_VERSION 14

typedef enum {
        JSON_OBJECT,
        JSON_ARRAY,
        JSON_STRING,
        JSON_INTEGER,
        JSON_REAL,
        JSON_TRUE,
        JSON_FALSE,
        JSON_NULL
} json_type;

typedef struct json_t {
        json_type type;
        size_t refcount; /* SIZE_MAX: true, false and null, which are never freed */
} json_t;

typedef long long json_int_t;
#define JSON_INTEGER_FORMAT       "lld"
#define JSON_INTEGER_IS_LONG_LONG 1

#define json_typeof(json)     ((json)->type)
#define json_is_object(json)  ((json) && json_typeof(json) == JSON_OBJECT)
#define json_is_array(json)   ((json) && json_typeof(json) == JSON_ARRAY)
#define json_is_string(json)  ((json) && json_typeof(json) == JSON_STRING)
#define json_is_integer(json) ((json) && json_typeof(json) == JSON_INTEGER)
#define json_is_real(json)    ((json) && json_typeof(json) == JSON_REAL)
#define json_is_number(json)  (json_is_integer(json) || json_is_real(json))
#define json_is_true(json)    ((json) && json_typeof(json) == JSON_TRUE)
#define json_is_false(json)   ((json) && json_typeof(json) == JSON_FALSE)
#define json_is_boolean(json) (json_is_true(json) || json_is_false(json))
#define json_is_null(json)    ((json) && json_typeof(json) == JSON_NULL)
#define json_boolean_value    json_is_true
#define json_boolean(value)   ((value) ? json_true() : json_false())

/* References. json_delete is for json_decref alone. */
void json_delete(json_t *json);

static inline json_t *json_incref(json_t *json)
{
        if (json != NULL && json->refcount != SIZE_MAX)
                json->refcount++;
        return json;
}

static inline void json_decref(json_t *json)
{
        if (json != NULL && json->refcount != SIZE_MAX && --json->refcount == 0)
                json_delete(json);
}

/* Values that hold no others. Text must be UTF-8 unless the name ends in _nocheck; reals must be finite. */
json_t *json_true(void);
json_t *json_false(void);
json_t *json_null(void);

json_t *json_string(const char *text);
json_t *json_stringn(const char *text, size_t len);
json_t *json_string_nocheck(const char *text);
json_t *json_stringn_nocheck(const char *text, size_t len);
const char *json_string_value(const json_t *string); /* NULL unless a string */
size_t json_string_length(const json_t *string);
int json_string_set(json_t *string, const char *text);
int json_string_setn(json_t *string, const char *text, size_t len);

json_t *json_integer(json_int_t value);
json_int_t json_integer_value(const json_t *integer); /* 0 unless an integer */
int json_integer_set(json_t *integer, json_int_t value);

json_t *json_real(double value);
double json_real_value(const json_t *real); /* 0.0 unless a real */
int json_real_set(json_t *real, double value);
double json_number_value(const json_t *number); /* of an integer or a real */

/* Arrays. Putting an array into itself fails. */
json_t *json_array(void);
size_t json_array_size(const json_t *array);
json_t *json_array_get(const json_t *array, size_t index); /* NULL past the end */
int json_array_set_new(json_t *array, size_t index, json_t *value);
int json_array_append_new(json_t *array, json_t *value);
int json_array_insert_new(json_t *array, size_t index, json_t *value);
int json_array_remove(json_t *array, size_t index);
int json_array_clear(json_t *array);
int json_array_extend(json_t *array, json_t *other);

static inline int json_array_set(json_t *array, size_t index, json_t *value)
{
        return json_array_set_new(array, index, json_incref(value));
}

static inline int json_array_append(json_t *array, json_t *value)
{
        return json_array_append_new(array, json_incref(value));
}

static inline int json_array_insert(json_t *array, size_t index, json_t *value)
{
        return json_array_insert_new(array, index, json_incref(value));
}

#define json_array_foreach(array, index, value)                                                              \
        for ((index) = 0;                                                                                    \
             (index) < json_array_size(array) && ((value) = json_array_get(array, index)) != NULL;           \
             (index)++)

/* Objects. A member that is set again keeps its place. Putting an object into itself fails. */
json_t *json_object(void);
size_t json_object_size(const json_t *object);
json_t *json_object_get(const json_t *object, const char *key);
json_t *json_object_getn(const json_t *object, const char *key, size_t len);
int json_object_set_new(json_t *object, const char *key, json_t *value);
int json_object_set_new_nocheck(json_t *object, const char *key, json_t *value);
int json_object_setn_new(json_t *object, const char *key, size_t len, json_t *value);
int json_object_setn_new_nocheck(json_t *object, const char *key, size_t len, json_t *value);
int json_object_del(json_t *object, const char *key); /* -1 when there is none */
int json_object_deln(json_t *object, const char *key, size_t len);
int json_object_clear(json_t *object);
int json_object_update(json_t *object, json_t *other);
int json_object_update_existing(json_t *object, json_t *other); /* members that `object` has already */
int json_object_update_missing(json_t *object, json_t *other);  /* members that it has not */

static inline int json_object_set(json_t *object, const char *key, json_t *value)
{
        return json_object_set_new(object, key, json_incref(value));
}

static inline int json_object_set_nocheck(json_t *object, const char *key, json_t *value)
{
        return json_object_set_new_nocheck(object, key, json_incref(value));
}

/* Iteration in the order of insertion. Members may be set meanwhile, others than the current one deleted. */
void *json_object_iter(json_t *object);
void *json_object_iter_at(json_t *object, const char *key);
void *json_object_iter_next(json_t *object, void *iter);
const char *json_object_iter_key(void *iter);
size_t json_object_iter_key_len(void *iter);
json_t *json_object_iter_value(void *iter);
int json_object_iter_set_new(json_t *object, void *iter, json_t *value);
void *json_object_key_to_iter(const char *key); /* of a key that an iterator gave */

static inline int json_object_iter_set(json_t *object, void *iter, json_t *value)
{
        return json_object_iter_set_new(object, iter, json_incref(value));
}

#define json_object_foreach(object, key, value)                                                              \
        for ((key) = json_object_iter_key(json_object_iter(object));                                         \
             (key) != NULL && ((value) = json_object_iter_value(json_object_key_to_iter(key))) != NULL;      \
             (key) = json_object_iter_key(json_object_iter_next(object, json_object_key_to_iter(key))))

/* The same; the current member may be deleted. `next` is a void *. */
#define json_object_foreach_safe(object, next, key, value)                                                   \
        for ((key) = json_object_iter_key(json_object_iter(object)),                                         \
            (next) = json_object_iter_next(object, json_object_key_to_iter(key));                            \
             (key) != NULL && ((value) = json_object_iter_value(json_object_key_to_iter(key))) != NULL;      \
             (key) = json_object_iter_key(next),                                                             \
            (next) = json_object_iter_next(object, json_object_key_to_iter(key)))

/* Whole values. What is nested deeper than JSON_PARSER_MAX_DEPTH is never equal, nor copied. */
int json_equal(const json_t *a, const json_t *b);
json_t *json_copy(json_t *value); /* shares what it holds */
json_t *json_deep_copy(const json_t *value);

/* Reading. */
#define JSON_PARSER_MAX_DEPTH 2048

#define JSON_REJECT_DUPLICATES  0x1
#define JSON_DISABLE_EOF_CHECK  0x2
#define JSON_DECODE_ANY         0x4
#define JSON_DECODE_INT_AS_REAL 0x8
#define JSON_ALLOW_NUL          0x10

#define JSON_ERROR_TEXT_LENGTH   160
#define JSON_ERROR_SOURCE_LENGTH 80

enum json_error_code {
        json_error_unknown,
        json_error_out_of_memory,
        json_error_stack_overflow,
        json_error_cannot_open_file,
        json_error_invalid_argument,
        json_error_invalid_utf8,
        json_error_premature_end_of_input,
        json_error_end_of_input_expected,
        json_error_invalid_syntax,
        json_error_invalid_format,
        json_error_wrong_type,
        json_error_null_character,
        json_error_null_value,
        json_error_null_byte_in_key,
        json_error_duplicate_key,
        json_error_numeric_overflow,
        json_error_item_not_found,
        json_error_index_out_of_range
};

typedef struct json_error_t {
        int line, column; /* of the last byte read, from 1 and from 0 */
        int position;     /* bytes read; after a success, where the value ended */
        char source[JSON_ERROR_SOURCE_LENGTH];
        char text[JSON_ERROR_TEXT_LENGTH];
        enum json_error_code code; /* by json_error_code */
} json_error_t;

static inline enum json_error_code json_error_code(const json_error_t *error)
{
        return error->code;
}

/* `error` may be NULL. */
json_t *json_loads(const char *text, size_t flags, json_error_t *error);
json_t *json_loadb(const char *bytes, size_t len, size_t flags, json_error_t *error);

/* Printing. */
#define JSON_MAX_INDENT        0x1f
#define JSON_INDENT(n)         ((n)&JSON_MAX_INDENT)
#define JSON_COMPACT           0x20
#define JSON_ENSURE_ASCII      0x40
#define JSON_SORT_KEYS         0x80
#define JSON_PRESERVE_ORDER    0x100
#define JSON_ENCODE_ANY        0x200
#define JSON_ESCAPE_SLASH      0x400
#define JSON_REAL_PRECISION(n) (((n)&0x1f) << 11)
#define JSON_EMBED             0x10000

typedef int (*json_dump_callback_t)(const char *bytes, size_t len, void *data);

char *json_dumps(const json_t *json, size_t flags);                          /* for free() */
size_t json_dumpb(const json_t *json, char *out, size_t size, size_t flags); /* what it needs; 0: failed */
int json_dumpf(const json_t *json, FILE *out, size_t flags);
int json_dump_callback(const json_t *json, json_dump_callback_t callback, void *data, size_t flags);

/*
 * Building. The format: s text (s# with an int, s% with a size_t length, + more text behind it), n null, b
 * int as boolean, i int, I json_int_t, f double, o value taken over, O value, [...] array, {...} object of
 * keys (s) and values; ? behind s, o, O makes NULL a null, * leaves the member out. Blanks, commas and colons
 * say nothing. On failure the values of `o` are released all the same.
 */
json_t *json_pack(const char *format, ...);
json_t *json_pack_ex(json_error_t *error, size_t flags, const char *format, ...);
json_t *json_vpack_ex(json_error_t *error, size_t flags, const char *format, va_list args);

/* Memory. */
typedef void *(*json_malloc_t)(size_t size);
typedef void (*json_free_t)(void *memory);
void json_set_alloc_funcs(json_malloc_t malloc_function, json_free_t free_function);
void json_get_alloc_funcs(json_malloc_t *malloc_function, json_free_t *free_function);

#endif
