/*
 * model/json.h: reading and printing JSON (RFC 8259) by jansson, with the limits that foreign input needs.
 */
#ifndef DISPATCH_MODEL_JSON_H
#define DISPATCH_MODEL_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>

enum {
        JSON_DEPTH_MAX = 128, /* objects and arrays inside each other, of what is read */
        JSON_VALUES_MAX =
                1000000, /* values in one text that is not ours: one takes up to 250 bytes of memory */
        JSON_PRINT_DEPTH_MAX = 256 /* of what is printed: what was read, wrapped a few times */
};

static inline void own_json_release(json_t **json)
{
        json_decref(*json);
}
#define own_json __attribute__((cleanup(own_json_release)))

/*
 * Any JSON value. Refused (ERR_INVALID): duplicate keys, text behind the value, NUL in strings, bad UTF-8,
 * unpaired surrogates, nesting over JSON_DEPTH_MAX, more than JSON_VALUES_MAX values, numbers beyond int64 or
 * double. Grammar, depth and encoding are checked before jansson sees the text. err->text is the reason in
 * the words of Go's encoding/json
 * (`invalid character 'x' after object key`) and quotes at most one character of the text.
 */
enum err_code json_parse(struct str text, json_t **ret, struct err *err);
/* The same for text that Dispatch printed itself, of as many values as it has. */
enum err_code json_parse_own(struct str text, json_t **ret, struct err *err);

/*
 * The same check without building anything: no allocation, no recursion, one pass. ERR_OK or ERR_INVALID.
 * Three things that json_parse refuses pass here: duplicate keys, numbers out of range and too many values.
 */
enum err_code json_valid(struct str text);

/* Compact, in insertion order; `buf` bounds it. */
enum err_code json_print(const json_t *value, struct buf *out, struct err *err);

/*
 * As Go's json.MarshalIndent: 4 spaces, `"key": value`, empty containers as {} and [], and < > & U+2028
 * U+2029 written as \u003c and so on. No newline behind it.
 */
enum err_code json_print_indented(const json_t *value, struct buf *out, struct err *err);

/* Appends a JSON string literal with its quotes. The bytes must be UTF-8, else ERR_INVALID. */
enum err_code json_quote(struct str text, struct buf *out);

/* A copy that shares nothing; NULL when out of memory (json_deep_copy then returns a part without saying so).
 */
json_t *json_clone(const json_t *value);

/* A string member as a view into the object; p == NULL when absent or not a string. */
struct str json_str(const json_t *object, const char *key);
/* A new string value of a view; NULL when out of memory or not UTF-8. */
json_t *json_of(struct str text);

#endif
