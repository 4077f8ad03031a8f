/*
 * http/url.h: percent-encoding, query strings and forms, and paths as routes are matched against them (RFC
 * 3986, application/x-www-form-urlencoded of the URL standard). Strict: a '%' without two hex digits is an
 * error.
 *
 * What needs no decoding is returned as a view of the input; the rest is in the arena.
 */
#ifndef DISPATCH_HTTP_URL_H
#define DISPATCH_HTTP_URL_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

/* Writes at most text.len bytes to `out`, which may be text.p. False: a malformed escape. */
bool url_decode_to(struct str text, bool plus_is_blank, char *out, size_t *ret_len);

/* ERR_INVALID: a malformed escape; ERR_NO_MEMORY. */
enum err_code url_decode(struct str text, bool plus_is_blank, struct arena *arena, struct str *ret);

/* A name or value of a form as the URL standard has it, where nothing is an error: '+' is a blank, a '%'
 * without two digits stands for itself. Writes at most text.len bytes to `out` and returns them. */
struct str url_form_text(struct str text, char *out);

/*
 * The name=value pairs of a query or a form, in order, repeated names included. A pair without '=' has an
 * empty value; empty pairs ("a=1&&b=2") are passed over.
 *
 *      struct url_pairs pairs = url_pairs_begin(request->query, 100);
 *      while ((code = url_pairs_next(&pairs, arena, &name, &value)) == ERR_OK)
 *              ...
 *      if (code != ERR_NOT_FOUND)
 *              ... the query is not one
 */
struct url_pairs {
        struct str rest;
        size_t left;
};

struct url_pairs url_pairs_begin(struct str text, size_t pairs_max);
/* ERR_NOT_FOUND: that was all; ERR_INVALID: a malformed escape; ERR_TOO_LARGE: more than pairs_max;
 * ERR_NO_MEMORY. */
enum err_code url_pairs_next(struct url_pairs *pairs, struct arena *arena, struct str *name,
                             struct str *value);

/*
 * A request's path, decoded, for matching routes. ERR_INVALID for what two readers could take for different
 * paths: a path that does not begin with '/', a malformed escape, an encoded slash or backslash, a backslash,
 * NUL, and the segments "." and "..", encoded or not. Slashes are kept as they are, doubled and final ones
 * too.
 */
enum err_code url_path_normalise(struct str path, struct arena *arena, struct str *ret);

#endif
