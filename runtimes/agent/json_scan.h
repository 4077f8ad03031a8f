/*
 * runtimes/agent/json_scan.h: reads JSON (RFC 8259) token by token, without building a tree, and writes
 * strings.
 *
 * The agents hand payloads to their language as text and build nothing in C, so a scanner that allocates
 * nothing is all they need of JSON. Errors say in Go's words what was wrong, because callers of the original
 * know those.
 */
#ifndef DISPATCH_AGENT_JSON_SCAN_H
#define DISPATCH_AGENT_JSON_SCAN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        JSON_SCAN_DEPTH_MAX = 512, /* of what json_check and json_is_object accept */
        JSON_SCAN_LEVELS = 576     /* of what is scanned: accepted values inside objects of ours */
};

enum json_token_type {
        JSON_TOKEN_OBJECT,
        JSON_TOKEN_OBJECT_END,
        JSON_TOKEN_ARRAY,
        JSON_TOKEN_ARRAY_END,
        JSON_TOKEN_KEY,
        JSON_TOKEN_STRING,
        JSON_TOKEN_NUMBER,
        JSON_TOKEN_TRUE,
        JSON_TOKEN_FALSE,
        JSON_TOKEN_NULL,
        JSON_TOKEN_END /* of the text */
};

struct json_token {
        enum json_token_type type;
        struct str text; /* of KEY and STRING: between the quotes, still escaped; else as it stands */
        bool escaped;    /* KEY, STRING: has a backslash in it */
        bool integer;    /* NUMBER: no fraction, no exponent */
        size_t at;       /* where the token starts in the text */
};

/* Hold one on the stack; the text must outlive it. */
struct json_scan {
        struct str text;
        size_t at;
        unsigned depth, depth_max;
        int state;
        uint64_t in_object[JSON_SCAN_LEVELS / 64];
};

void json_scan_init(struct json_scan *scan, struct str text);

/* The next token. ERR_INVALID: not JSON (or strings not UTF-8, or nested over the limit); the text
 * of *err is then like "invalid character 'x' looking for beginning of value". Do not go on after an error.
 */
enum err_code json_scan_next(struct json_scan *scan, struct json_token *ret, struct err *err);

/* Checks that the text is one JSON value with nothing but blanks around it. */
enum err_code json_check(struct str text, struct err *err);
bool json_is_object(struct str text);

/* The members of an object, one a call. `scan` stands behind its OBJECT token; false at the object's end or
 * on bad JSON. *ret_value is the whole value, as text. */
bool json_scan_member(struct json_scan *scan, struct json_token *ret_key, struct str *ret_value);
/* The value of that member (the last one, when repeated) of an object's text, or p == NULL. */
struct str json_member(struct str object, struct str name);

/* Appends the text of a KEY or STRING token with its escapes resolved; half a surrogate pair becomes U+FFFD.
 */
enum err_code json_unescape(struct str escaped, struct buf *out);

/* Appends a string literal with its quotes; bytes that are not UTF-8 become U+FFFD. */
enum err_code json_put_string(struct buf *out, struct str text);

#endif
