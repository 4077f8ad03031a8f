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
        struct str target; /* as it was sent, in origin form */
        struct str path;   /* target up to '?'; still percent-encoded */
        struct str query;  /* behind '?', empty when none */
        struct str host;   /* Host or the authority, port included; empty for HTTP/1.0 without one */
        int minor;         /* HTTP/1.minor */
        struct http_fields fields;
        int64_t content_length; /* -1: chunked; 0: no body */
        bool has_body;          /* a Content-Length or Transfer-Encoding was there */
};

struct http_response {
        int status;
        struct http_fields fields;
};

/* The first field of that name, or a view with p == NULL. */
struct str http_field_get(struct http_fields fields, struct str name);

/* The standard reason phrase ("Not Found"), "" for an unknown status. */
const char *http_reason(int status);

#endif
