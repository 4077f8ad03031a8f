/*
 * schema/schema.h: JSON Schema, drafts 2020-12 and 07 (json-schema.org/draft/2020-12, draft-07).
 *
 * A schema is compiled once into a program that never changes: any number of threads may validate with it at
 * once, without a lock. Everything is bounded: a schema or an instance that was made to be slow ends at one
 * of the limits below with an error that names it. Nothing is ever fetched: a $ref to a document that was not
 * given is refused when the schema is compiled.
 */
#ifndef DISPATCH_SCHEMA_SCHEMA_H
#define DISPATCH_SCHEMA_SCHEMA_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        SCHEMA_NODES_MAX = 20000,            /* subschemas of a program */
        SCHEMA_PLACES_MAX = 100000,          /* places where a schema may stand, in all documents together */
        SCHEMA_COMPILE_BYTES_MAX = 32 << 20, /* of a program, patterns aside */
        SCHEMA_PATTERN_BYTES_MAX = 8192,     /* of one regular expression */
        SCHEMA_PATTERNS_MAX = 2000,          /* of a program */
        SCHEMA_DEPTH_MAX = 512,              /* schemas inside each other, in the text and while validating */
        SCHEMA_STEPS_MAX = 200000,           /* what a validation may take unless the caller says otherwise */
        SCHEMA_META_STEPS_MAX = 5000000,     /* what checking a schema against its metaschema may take */
        SCHEMA_VALIDATE_BYTES_MAX = 8 << 20, /* memory of a validation for what it must remember */
        SCHEMA_PATTERN_HEAP_KIB = 4096,      /* memory of one match */
        SCHEMA_POINTER_MAX = 256,
        SCHEMA_REASON_MAX = 192
};

struct schema;

/* A document that a $ref may name. Both stay the caller's; the json must outlive the program unchanged. */
struct schema_document {
        const char *uri; /* absolute, without a fragment */
        const json_t *json;
};

struct schema_options {
        const struct schema_document *documents;
        size_t document_count;
        bool draft7;         /* the dialect of a schema without $schema; else 2020-12 */
        bool assert_formats; /* `format` rejects; else it is an annotation */
};

/*
 * Checks the schema against the metaschema of its dialect and compiles it. options may be NULL. `document` is
 * kept (a reference); nobody may change it while the program lives. Starts with one reference.
 *
 * ERR_UNPROCESSABLE: the schema is wrong; err->text says where (a JSON pointer) and why. ERR_LIMIT: it is
 * larger than one of the limits above. ERR_NO_MEMORY.
 */
enum err_code schema_compile(json_t *document, const struct schema_options *options, struct schema **ret,
                             struct err *err);
struct schema *schema_ref(struct schema *schema);
void schema_unref(struct schema *schema); /* takes NULL; any thread */

/* The first violation that was met. */
struct schema_violation {
        char instance[SCHEMA_POINTER_MAX]; /* JSON pointer (RFC 6901) into the instance; "" is all of it */
        char keyword[SCHEMA_POINTER_MAX];  /* of the schema: "#/properties/age/minimum" */
        char reason[SCHEMA_REASON_MAX];    /* "it must be at least 0"; never quotes a value of the instance */
};

/*
 * ERR_OK: valid. ERR_INVALID: violation (may be NULL) and err->text, `at "/age": it must be ... (keyword)`,
 * say what is wrong. ERR_LIMIT: the bound that was reached. ERR_NO_MEMORY. steps_max 0: SCHEMA_STEPS_MAX; a
 * step is the evaluation of one keyword or of one item of a regular expression, some 10 to 60 ns. The strings
 * of the instance must be UTF-8.
 */
enum err_code schema_validate(const struct schema *schema, const json_t *instance, uint64_t steps_max,
                              struct schema_violation *violation, struct err *err);

/* The formats that assert_formats asserts, NULL at the end; all others are annotations always. */
extern const char *const schema_formats[];

#endif
