/*
 * model/model.h: the resources, each described by one table of fields that parses, validates and prints it
 * (CONTRACT.md, sections 0, 6 and 10).
 *
 * A resource is a JSON document (jansson) in canonical form: one name for each field, defaults filled in,
 * unknown keys dropped. The tables are constant and shared by the server and the client.
 */
#ifndef DISPATCH_MODEL_MODEL_H
#define DISPATCH_MODEL_MODEL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "model/json.h"

#include <stdbool.h>
#include <stddef.h>

enum model_kind {
        MODEL_BASE_IMAGE,
        MODEL_IMAGE,
        MODEL_FUNCTION,
        MODEL_RUN,
        MODEL_SECRET,
        MODEL_ENDPOINT,
        MODEL_KIND_COUNT
};

enum model_type {
        MODEL_STRING,
        MODEL_BOOL,
        MODEL_INTEGER,
        MODEL_STRINGS, /* a list of strings */
        MODEL_MAP,     /* string to string */
        MODEL_OBJECT,  /* fields of its own: model_field.sub */
        MODEL_OBJECTS, /* a list of those */
        MODEL_ANY,
        MODEL_BASE64,
        MODEL_UUID
};

enum model_flag {
        MODEL_REQUIRED = 1 << 0,  /* present and not null in a create or update */
        MODEL_READONLY = 1 << 1,  /* what a caller sends is dropped */
        MODEL_ALWAYS = 1 << 2,    /* printed as null when empty */
        MODEL_OURS = 1 << 3,      /* not of the original: section 10 */
        MODEL_WRITEONLY = 1 << 4, /* taken, never printed (source) */
        MODEL_ALIAS =
                1 << 5 /* another name of the field `of`: read, and printed beside it, but not in SEED form */
};

struct model_field {
        const char *name;
        enum model_type type;
        unsigned flags;
        const char *pattern;      /* POSIX extended; NULL: any */
        const char *pattern_text; /* the message's text for a mismatch, NULL: "X in body should match 'RE'" */
        const char *const *values; /* enum, NULL-terminated, or NULL */
        int64_t min, max;          /* of an integer, or of a string's length; 0, 0: any */
        const char *initial;       /* default as JSON text, or NULL */
        const char *of;            /* MODEL_ALIAS: the canonical field */
        const struct model_field *sub;
};

struct model_resource {
        enum model_kind kind;
        const char *kind_name;            /* "BaseImage", in `kind` */
        const char *label;                /* "base image", in messages */
        const char *collection;           /* "baseimage": /v1/COLLECTION */
        const struct model_field *fields; /* in the order of the original's JSON; ends with a NULL name */
};

const struct model_resource *model_resource(enum model_kind kind);

enum model_dialect {
        MODEL_PRINT_ALL, /* a reply: every field under all of its names, ours included */
        MODEL_PRINT_SEED /* SEED's names alone, and ours where they are set: what our client prints */
};

/*
 * Parses and validates what a caller sent. *ret is a new document in canonical form. ERR_UNPROCESSABLE with
 * err->detail 601 to 606 and the contract's message, or ERR_INVALID for a value of the wrong JSON type
 * (`parsing body body from "" failed, because ...`). `stored` is the current document for an update (aliases:
 * the one that differs from it is meant; two that differ from it and from each other are a 422), or NULL.
 */
enum err_code model_parse(const struct model_resource *resource, const json_t *sent, const json_t *stored,
                          json_t **ret, struct err *err);

/* A new document in the dialect's form and order; NULL when out of memory. */
json_t *model_print(const struct model_resource *resource, const json_t *document,
                    enum model_dialect dialect);

/* JSON text (4 spaces and a newline when pretty, as the original's client prints it) or YAML (keys
 * lower-cased as in contract 1.5). Appends to out. */
enum err_code model_print_json(const json_t *value, bool pretty, struct buf *out, struct err *err);
enum err_code model_print_yaml(const struct model_resource *resource, const json_t *value, struct buf *out,
                               struct err *err);

/* A name in a path: `X in path should match 'RE'` (422, 605), or uuid (422, 601). */
enum err_code model_check_path_name(const struct model_resource *resource, struct str name, struct err *err);
/* X-Dispatch-Org and X-Dispatch-Project. */
enum err_code model_check_header_name(const char *header, struct str value, struct err *err);

#endif
