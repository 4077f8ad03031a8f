/*
 * base/str.h: views of text that somebody else owns, and the conversions that C's library does badly.
 *
 * A struct str is a pointer and a length, not NUL-terminated, valid as long as what it points into. Every
 * conversion takes the whole text or fails: no leading blanks, signs that were not asked for, or trailing
 * rubbish.
 */
#ifndef DISPATCH_BASE_STR_H
#define DISPATCH_BASE_STR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
        const char *p;
        size_t len;
};

/* A literal as a view; the array's size includes the NUL. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_INIT(literal)                                                                                    \
        {                                                                                                    \
                (literal), sizeof(literal) - 1                                                               \
        }
/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).p

static inline struct str str_of(const char *text)
{
        return (struct str){text, text != NULL ? strlen(text) : 0};
}

static inline struct str str_slice(struct str s, size_t from, size_t to)
{
        /* In numbers, since a view of nothing is no place to count from.
         * NOLINTNEXTLINE(performance-no-int-to-ptr) */
        return (struct str){(const char *)((uintptr_t)s.p + from), to - from};
}

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s, const char *set);
/* Index of the first `c`, or s.len. */
size_t str_find(struct str s, char c);
/* Cuts off and returns what stands before `separator` (all of it when there is none); *rest moves behind it.
 */
struct str str_cut(struct str *rest, char separator);

bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_i64(struct str s, int64_t *ret); /* one leading '-' is allowed */

/* True if the bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool str_is_utf8(struct str s);

/* Base64, RFC 4648 section 4, with padding. */
size_t base64_encoded_len(size_t len);
/* Writes base64_encoded_len(len) characters, no NUL. */
void base64_encode(const void *bytes, size_t len, char *out);
/* At most (text.len / 4 + 1) * 3 bytes are written. Strict: no blanks, right padding, no bits left over. On
 * failure *ret_bad is the index of the first wrong character. CR and LF are skipped, as Go's decoder does. */
bool base64_decode(struct str text, void *out, size_t *ret_len, size_t *ret_bad);

void hex_encode(const void *bytes, size_t len, char *out); /* 2 * len characters, lower case, no NUL */
bool hex_decode(struct str text, void *out);               /* text.len / 2 bytes */

enum { UUID_LEN = 36 };
/* A random UUID (RFC 9562, version 4), lower case, NUL-terminated. Ends the process if the kernel has no
 * randomness. */
void uuid_generate(char out[UUID_LEN + 1]);
/* The same, version 7: it begins with the time, so that ids made one after the other are neighbours in an
 * index. */
void uuid_generate_ordered(char out[UUID_LEN + 1]);
bool uuid_valid(struct str s);

#endif
