/*
 * schema/regex.h: regular expressions of ECMA-262 (2023, with the flag u) on PCRE2.
 *
 * A pattern is read by our own grammar and written anew for PCRE2, so that what the two understand
 * differently (\d, \s, \Z, possessive quantifiers, verbs, POSIX classes, ...) is translated or refused. As
 * Annex B has it, a brace or bracket that stands alone is itself, and so is escaped ASCII punctuation.
 * Refused though ECMA-262 has them: lookbehind of unknown length, lone surrogates.
 *
 * Matching is metered: each item of the pattern that is tried costs a step, and so do the characters that it
 * eats (16 of them one). Immutable once compiled.
 */
#ifndef DISPATCH_SCHEMA_REGEX_H
#define DISPATCH_SCHEMA_REGEX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct regex;

/* ERR_UNPROCESSABLE with the reason; ERR_NO_MEMORY. */
enum err_code regex_compile(struct str pattern, struct regex **ret, struct err *err);
void regex_free(struct regex *regex); /* takes NULL */

/* What a thread matches with, made at the first match; zeroed by the caller. */
struct regex_space {
        void *context, *data;
};
void regex_space_finish(struct regex_space *space);

enum regex_result { REGEX_MATCH, REGEX_NO_MATCH, REGEX_STEPS, REGEX_HEAP, REGEX_NO_MEMORY };
/* Anywhere in the subject, which must be UTF-8. Takes its steps from *steps_left. */
enum regex_result regex_match(const struct regex *regex, struct str subject, struct regex_space *space,
                              uint64_t *steps_left);

/* The pattern as PCRE2 gets it. What ret_* say bounds what a match may do between two of its items: the
 * largest lower bound of a quantifier, and whether there are references back. */
enum err_code regex_translate(struct str pattern, struct buf *out, uint32_t *ret_repeat, bool *ret_refers,
                              struct err *err);

#endif
