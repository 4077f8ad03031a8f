/* schema/compile.h: a compilation under way. Private to src/schema. */
#ifndef DISPATCH_SCHEMA_COMPILE_H
#define DISPATCH_SCHEMA_COMPILE_H

#include "base/hamt.h"
#include "schema/keywords.h"

struct compiler {
        struct schema *schema;
        const struct schema_options *options;
        struct hamt uris;   /* URI to struct resource */
        struct hamt places; /* json_t * (its bytes) of each schema that was indexed to struct resource */
        struct hamt nodes;  /* json_t * (its bytes) to struct node */
        struct resource *resources;
        struct node *pending;
        size_t place_count, node_count, pattern_count;
        bool dynamic;          /* a $dynamicRef was seen */
        const struct node *at; /* for error texts */
};

/* Both dialects' own documents can be referred to by any schema. */
enum err_code compile_program(struct compiler *c, const json_t *document, struct err *err);

/* index.c: resources, anchors and base URIs. */
/* Finds all schemas in and below `json`, which is read as part of `resource`; one with an $id begins a
 * resource of its own. *ret_resource (may be NULL) is the one that `json` belongs to. */
enum err_code index_schema(struct compiler *c, const json_t *json, struct resource *resource,
                           struct resource **ret_resource, struct err *err);
enum err_code index_document(struct compiler *c, struct str uri, const json_t *json, bool draft7,
                             struct resource **ret, struct err *err);
/* What a reference in `resource` points to. */
struct target {
        const json_t *json;
        struct resource *resource;
        struct anchor *anchor; /* NULL: by pointer */
        const char *location;
};
enum err_code index_resolve(struct compiler *c, const struct resource *resource, struct str reference,
                            struct target *ret, struct err *err);

/* rules.c: one node's keywords. */
enum err_code rules_compile(struct compiler *c, struct node *node, struct err *err);

/* compile.c */
/* The node of a schema, which will be compiled later if it was not yet. */
enum err_code compile_node(struct compiler *c, const json_t *json, struct resource *resource,
                           const char *location, struct node **ret, struct err *err);
/* "LOCATION/key" with the key escaped; NULL: out of room. key2 may be NULL. */
const char *compile_location(struct compiler *c, const char *location, const char *key, const char *key2);
void *compile_alloc(struct compiler *c, size_t size); /* zeroed; NULL: out of room */
enum err_code compile_full(struct err *err);          /* says which limit that was */
enum err_code compile_regex(struct compiler *c, struct str pattern, struct regex **ret, struct err *err);

#endif
