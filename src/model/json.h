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

static inline void own_json_release(json_t **json)
{
        json_decref(*json);
}
#define own_json __attribute__((cleanup(own_json_release)))

/* Any JSON value. Refused: duplicate keys, text behind the value, NUL in strings, bad UTF-8, nesting over
 * 128. Depth and size are bounded before jansson sees the text. */
enum err_code json_parse(struct str text, json_t **ret, struct err *err);

/* Compact, in insertion order; `buf` bounds it. */
enum err_code json_print(const json_t *value, struct buf *out, struct err *err);

/* Appends a JSON string literal with its quotes. The bytes must be UTF-8. */
enum err_code json_quote(struct str text, struct buf *out);

/* A string member as a view into the object; p == NULL when absent or not a string. */
struct str json_str(const json_t *object, const char *key);
/* A new string value of a view; NULL when out of memory or not UTF-8. */
json_t *json_of(struct str text);

/* YAML 1.1 by libyaml to JSON: one document; depth, alias and size limits; no tags. */
enum err_code yaml_parse(struct str text, json_t **ret, struct err *err);
/* A JSON value as YAML, in its order. */
enum err_code yaml_print(const json_t *value, struct buf *out, struct err *err);

#endif
