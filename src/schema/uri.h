/* schema/uri.h: references resolved against a base (RFC 3986, section 5). */
#ifndef DISPATCH_SCHEMA_URI_H
#define DISPATCH_SCHEMA_URI_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct uri {
        struct str scheme, authority, path, query, fragment; /* p == NULL: not there; path always is */
};

/* Splits by the grammar of appendix B, which takes any text. */
struct uri uri_split(struct str text);

/* The reference without its fragment, made absolute, in the arena; ERR_LIMIT when that is full. An empty base
 * leaves the reference as it is. */
enum err_code uri_resolve(struct str base, struct str reference, struct arena *arena, struct str *ret,
                          struct err *err);

/* Percent-decoded, in the arena. ERR_UNPROCESSABLE: a malformed escape. */
enum err_code uri_decode(struct str text, struct arena *arena, struct str *ret, struct err *err);

#endif
