/*
 * model/yaml.h: YAML by libyaml, as people write it for Kubernetes, to JSON and back. Its own library
 * (yaml_dep), so that who needs no YAML does not link it.
 *
 * Scalars are read by the core schema of YAML 1.2: null is nothing, ~ or null; booleans are true and false;
 * numbers are JSON's and +1, .5, 1., 0x1f, 0o17. Everything else is a string: yes, no, on and off (a country
 * code stays one; model_coerce turns them into booleans where the field is one), dates, 0123, 1_000, .inf.
 * Quoted scalars are strings. Refused, with the line: tags other than the core ones, merge keys (<<), keys
 * that are no scalars or come twice, NUL, integers beyond int64, and whatever exceeds a limit below.
 */
#ifndef DISPATCH_MODEL_YAML_H
#define DISPATCH_MODEL_YAML_H

#include "model/json.h"

enum {
        YAML_TEXT_MAX = 4 << 20,    /* bytes of a stream */
        YAML_ANCHORS_MAX = 256,     /* of a document */
        YAML_NODES_MAX = 100000,    /* of a document, aliases counted as what they stand for */
        YAML_EXPANDED_MAX = 8 << 20 /* bytes of all strings of a document, likewise */
};

/* A stream of one document; an empty one is null. ERR_INVALID (`yaml: line 3: ...`), ERR_TOO_LARGE. */
enum err_code yaml_parse(struct str text, json_t **ret, struct err *err);

/*
 * Every document of a stream in turn, with its index (from 0) and the line (from 1) on which it begins;
 * documents without content are skipped and not counted. The document is borrowed. What each returns but
 * ERR_OK ends the call and is its result. Documents before a broken one have been delivered.
 */
typedef enum err_code (*yaml_each)(void *arg, size_t index, size_t line, json_t *document, struct err *err);
enum err_code yaml_parse_stream(struct str text, yaml_each each, void *arg, struct err *err);

/* A JSON value as a YAML document in block style, in its order; strings that any reader, also one of
 * YAML 1.1, could take for something else are quoted. Appends to out. */
enum err_code yaml_print(const json_t *value, struct buf *out, struct err *err);

/* True if a plain scalar of that text would be read as a string; for yaml_print and tests. */
bool yaml_is_plain_string(struct str text);

#endif
