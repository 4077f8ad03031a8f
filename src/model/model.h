/*
 * model/model.h: the resources, each described by one table of fields that parses, validates and prints it
 * (CONTRACT.md, sections 0, 6 and 10).
 *
 * A resource is a JSON document (jansson) in canonical form: one name for each field (SEED's), defaults
 * filled in, unknown keys, nulls and empty optional values dropped, a secret's metadata at the top level. The
 * tables are constant and shared by the server and the client. Everything here may be called from any thread.
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
        MODEL_API, /* SOLO's view of an endpoint: the same resource, stored as MODEL_ENDPOINT */
        MODEL_KIND_COUNT
};

enum model_type {
        MODEL_STRING,
        MODEL_BOOL,
        MODEL_INTEGER,
        MODEL_STRINGS, /* a list of strings */
        MODEL_MAP,     /* string to string */
        MODEL_DICT,    /* an object with any content */
        MODEL_OBJECT,  /* fields of its own: model_field.sub */
        MODEL_OBJECTS, /* a list of those */
        MODEL_ANY,
        MODEL_BASE64,
        MODEL_UUID
};

enum model_flag {
        MODEL_REQUIRED = 1 << 0,    /* present and not null in a create or update */
        MODEL_READONLY = 1 << 1,    /* what a caller sends is dropped, after a check of its JSON type */
        MODEL_ALWAYS = 1 << 2,      /* printed as null when empty */
        MODEL_OURS = 1 << 3,        /* not of the original: section 10 */
        MODEL_WRITEONLY = 1 << 4,   /* taken, never printed (source) */
        MODEL_ALIAS = 1 << 5,       /* another name of the field `of`: read, and printed beside it */
        MODEL_NOT_SEED = 1 << 6,    /* MASTER's or SOLO's: not in SEED form */
        MODEL_META = 1 << 7,        /* metadata: under `meta` in YAML */
        MODEL_NESTED = 1 << 8,      /* an object of fields of the document itself (a secret's meta) */
        MODEL_YAML_ONLY = 1 << 9,   /* an empty string that the original shows in YAML alone */
        MODEL_SOLO_ALWAYS = 1 << 10 /* SOLO's servers always send it: null when empty, a string as "" */
};

/* The regular expressions of CONTRACT 6.4 and those of ours, each with the text that its message names. */
enum model_pattern {
        MODEL_PATTERN_ANY,
        MODEL_PATTERN_P1,
        MODEL_PATTERN_P2,
        MODEL_PATTERN_P3,
        MODEL_PATTERN_P4,
        MODEL_PATTERN_P5,
        MODEL_PATTERN_VARIABLE, /* the name of an environment variable */
        MODEL_PATTERN_COUNT
};

enum {
        MODEL_NAME_MAX = 64 /* characters of a resource's, an organization's or a project's name */
};

struct model_field {
        const char *name;
        enum model_type type;
        unsigned flags;
        enum model_pattern pattern; /* of a string, of each string of a list, or of the keys of a map */
        const char *pattern_text;   /* the message for a mismatch, NULL: "X in body should match 'RE'" */
        const char *const *values;  /* enum, NULL-terminated, or NULL */
        int64_t min, max;    /* of an integer, a string's length, a list's or map's entries; 0, 0: any */
        const char *initial; /* default as JSON text, or NULL */
        const char *of;      /* MODEL_ALIAS: the canonical field */
        const struct model_field *sub;
        const char *about; /* one sentence for the API's description, or NULL */
};

struct model_resource {
        enum model_kind kind;
        const char *kind_name;            /* "BaseImage", in `kind` */
        const char *label;                /* "base image", in messages */
        const char *collection;           /* "baseimage": /v1/COLLECTION */
        const char *parameter;            /* "baseImageName": the name of the path's last part in messages */
        const char *body_name;            /* "body": as in `parsing body body from ""` */
        enum model_pattern path_pattern;  /* of that last part; MODEL_PATTERN_ANY: a uuid */
        const struct model_field *fields; /* in the order of the original's JSON; ends with a NULL name */
        /* Rules across fields, on a canonical document; or NULL. */
        enum err_code (*check)(const json_t *document, struct err *err);
};

const struct model_resource *model_resource(enum model_kind kind);
/* By kind_name ("Function"); NULL when there is none. */
const struct model_resource *model_resource_named(struct str kind_name);

enum model_dialect {
        MODEL_PRINT_ALL,   /* every field under all of its names, ours included */
        MODEL_PRINT_REPLY, /* what the server answers: the same, and what SOLO's clients find in every reply
                            */
        MODEL_PRINT_SEED   /* SEED's names alone, and ours where they differ from the default: what our client
                              prints of a reply */
};

/*
 * Parses and validates what a caller sent. *ret is a new document in canonical form (it shares values with
 * `sent`, which must not be changed afterwards). ERR_UNPROCESSABLE with err->detail 601 to 606 and the
 * contract's message, or ERR_INVALID for a value of the wrong JSON type (`parsing body body from "" failed,
 * because ...`). `stored` is the current document for an update (aliases: the one that differs from it is
 * meant; two that differ from it and from each other are a 422 without detail), or NULL.
 *
 * Read-only fields are dropped; `revision` too: who updates takes it from `sent`, where it is a string if
 * this function succeeded (json_str).
 */
enum err_code model_parse(const struct model_resource *resource, const json_t *sent, const json_t *stored,
                          json_t **ret, struct err *err);

/* The same from the bytes of a request: `body in body is required` (602) when there are none, and malformed
 * JSON as the contract words it. *ret_sent, if not NULL, gets the tree as it was sent. */
enum err_code model_parse_text(const struct model_resource *resource, struct str body, const json_t *stored,
                               json_t **ret, json_t **ret_sent, struct err *err);

/*
 * For files that people write: numbers, booleans and nulls become strings where the field is one, and the
 * words yes, no, on, off and numbers in strings become what the field is. A key that is no field is
 * ERR_INVALID and named. *ret is a new document under the names that the file uses; it is not validated
 * otherwise. Keys in `also` (NULL-terminated, or NULL) are taken over as they are at the top level.
 */
enum err_code model_coerce(const struct model_resource *resource, const json_t *document,
                           const char *const *also, json_t **ret, struct err *err);

/*
 * A new document in the dialect's form and order; NULL when out of memory. `document` is in canonical form,
 * with what the server knows (id, org, project, createdTime, modifiedTime, revision, status, ...) added as
 * ordinary keys, or a reply of a server of any version. All but MODEL_PRINT_SEED fill in `kind`. Shares
 * values with `document`.
 */
json_t *model_print(const struct model_resource *resource, const json_t *document,
                    enum model_dialect dialect);

/* JSON text (4 spaces and a newline when pretty, as the original's client prints it). Appends to out. */
enum err_code model_print_json(const json_t *value, bool pretty, struct buf *out, struct err *err);

/* YAML as contract 1.5: SEED's fields, keys lower-cased, all of them present; ours where they are set.
 * `value` is as for model_print, or an array of such. Appends to out. Needs yaml_dep. */
enum err_code model_print_yaml(const struct model_resource *resource, const json_t *value, struct buf *out,
                               struct err *err);

/* A name in a path: `X in path should match 'RE'` (422, 605; also for what is not UTF-8 or has control
 * characters), too long (603), or no uuid (422, 601). Note that P1 lets "a/../b" through: a name is not a
 * file name. */
enum err_code model_check_path_name(const struct model_resource *resource, struct str name, struct err *err);
/* X-Dispatch-Org and X-Dispatch-Project, when they are not empty: 422, 605 or 603. */
enum err_code model_check_header_name(const char *header, struct str value, struct err *err);

/* The pattern's text, as messages name it, and whether a text matches. */
const char *model_pattern_text(enum model_pattern pattern);
bool model_pattern_match(enum model_pattern pattern, struct str text);

#endif
