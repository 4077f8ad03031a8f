/*
 * image/reference.h: from what a user calls a base image to what this server can run.
 *
 * `builtin:LANGUAGE` is the built-in base image of a language. Any other reference has the form of container
 * registries, [HOST[:PORT]/]PATH[:TAG][@ALGORITHM:HEX], in which docker.io/ and its other names are left out
 * before anything is compared. A table of rules, text that a user can replace or empty, maps such references
 * to built-in images: one `PATTERN=TARGET` a line (or between commas), blank lines and '#' lines skipped.
 *
 *      dispatchframework/NAME-base=builtin:python3
 *
 * PATTERN is a reference in which one `*` stands for any text without '/', ':' or '@'; without a tag it takes
 * any tag. TARGET is `builtin:` and a language, or `builtin:*` with what the pattern's `*` stood for. The
 * first rule that fits wins. A reference with a digest names one exact content, which a built-in image is
 * not: no rule fits it.
 *
 * A table is immutable and may be read by any thread.
 */
#ifndef DISPATCH_IMAGE_REFERENCE_H
#define DISPATCH_IMAGE_REFERENCE_H

#include "base/err.h"
#include "base/str.h"
#include "image/runtime.h"

enum {
        REFERENCE_LEN_MAX = 512,  /* of a reference and of a pattern */
        REFERENCE_RULES_MAX = 256 /* rules of a table */
};

/* What holds when the configuration says nothing. */
#define REFERENCE_RULES_DEFAULT "dispatchframework/*-base=builtin:*"

struct reference_table;

struct reference_base {
        char language[SPAWN_NAME_MAX]; /* a language of the runtime table: builder_builtin takes it */
};

/* `runtimes` is kept by pointer. ERR_INVALID names the rule that is wrong. */
enum err_code reference_table_create(struct str rules, const struct runtime_table *runtimes,
                                     struct reference_table **ret, struct err *err);
void reference_table_destroy(struct reference_table *table); /* takes NULL */
/* The languages that the table knows. */
const struct runtime_table *reference_runtimes(const struct reference_table *table);

/* Is it written as a registry's? ERR_UNPROCESSABLE. */
enum err_code reference_check(struct str reference, struct err *err);

/* True for a well-formed reference that is no built-in image's: one of a registry, or of this host's disk. */
bool reference_is_foreign(const struct reference_table *table, struct str reference);

/* ERR_INVALID: not a reference. ERR_UNPROCESSABLE: one that this server cannot run; the text says what to do.
 */
enum err_code reference_resolve(const struct reference_table *table, struct str reference,
                                struct reference_base *ret, struct err *err);

#endif
