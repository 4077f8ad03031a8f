/*
 * http/message.h: what a request and a reply are, whichever version and transport carried them (RFC 9110).
 *
 * All views point into memory of the exchange or parser that made them and are valid as long as that says.
 */
#ifndef DISPATCH_HTTP_MESSAGE_H
#define DISPATCH_HTTP_MESSAGE_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct http_field {
        struct str name; /* as it was sent; compare with str_eq_nocase */
        struct str value;
};

struct http_fields {
        const struct http_field *items;
        size_t count;
};

struct http_request {
        struct str method;
        struct str target; /* as it was sent, in origin form (or "*"); of an absolute target what follows the
                              authority, which may be empty or begin with '?' */
        struct str path;   /* target up to '?', never empty; still percent-encoded */
        struct str query;  /* behind '?', empty when none */
        struct str host;   /* Host or the authority, port included; empty for HTTP/1.0 without one */
        int minor;         /* HTTP/1.minor: 0 or 1 */
        struct http_fields fields;
        int64_t content_length; /* -1: chunked; 0: no body */
        bool has_body;          /* a Content-Length or Transfer-Encoding was there */
};

struct http_response {
        int status;
        struct str reason; /* as it was sent, often empty */
        int minor;
        struct http_fields fields;
        int64_t content_length; /* -1: chunked, or until the connection closes; what was declared for HEAD and
                                   304 */
};

/* The first field of that name, or a view with p == NULL. */
struct str http_field_get(struct http_fields fields, struct str name);

/* The standard reason phrase ("Not Found"), "" for an unknown status. */
const char *http_reason(int status);

/* RFC 9110: a token (a method, a field's name); a field value without CR, LF, NUL or other controls. */
bool http_token_valid(struct str name);
bool http_value_valid(struct str value);

/* True if the comma-separated list has the token, in any case (Connection, Accept-Encoding, ...). */
bool http_list_has(struct str list, struct str token);

#endif
