/*
 * api/route.h: which operation a method and a path name (CONTRACT.md 6.2). Pure: no state, any thread.
 */
#ifndef DISPATCH_API_ROUTE_H
#define DISPATCH_API_ROUTE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/model.h"

enum api_target {
        TARGET_RESOURCE,
        TARGET_RUNS,
        TARGET_FUNCTION_IMAGE,
        TARGET_FUNCTION_POOL,
        TARGET_INSTANCES,
        TARGET_VERSION,
        TARGET_HEALTH,
        TARGET_READY,
        TARGET_METRICS,
        TARGET_GC,
        TARGET_OPENAPI
};
/* What there is of one resource below its own path. */
enum api_view { VIEW_WHOLE, VIEW_LOGS, VIEW_PACKAGES, VIEW_SBOM, VIEW_COUNT };
enum api_verb { VERB_LIST, VERB_GET, VERB_CREATE, VERB_UPDATE, VERB_DELETE };

struct api_route {
        enum api_target target;
        enum model_kind kind; /* of TARGET_RESOURCE, TARGET_RUNS, TARGET_FUNCTION_IMAGE and _POOL */
        enum api_view view;
        enum api_verb verb;
        struct str name;     /* still percent-encoded; a view into the path; empty for collections */
        const char *methods; /* what the path allows: "GET,POST" */
};

/* A path below /v1: /v1/SEGMENT and /v1/SEGMENT/NAME. */
struct api_collection {
        struct str segment;
        enum api_target target;
        enum model_kind kind;
        const char *methods;     /* of the collection */
        const char *one_methods; /* of one object */
};
/* "logs" and so on; NULL for VIEW_WHOLE. A kind has all of them or none. */
const char *api_view_name(enum api_view view);
bool api_has_views(enum model_kind kind);
const struct api_collection *api_collections(size_t *ret_count);

/* ERR_NOT_FOUND, ERR_NOT_IMPLEMENTED (a resource that this version has not), ERR_METHOD: ret->methods is set
 * then. */
enum err_code api_route_find(struct str method, struct str path, struct api_route *ret, struct err *err);

/* True for operations that take a JSON body. */
bool api_route_has_body(const struct api_route *route);

/* 415 unless the type is application/json, parameters allowed. p == NULL: none was sent. */
enum err_code api_content_type_check(struct str content_type, struct err *err);

/* The value of the first `key` in a query string, decoded, a view of the query or of the arena; "" when it is
 * not there. ERR_INVALID for a query that is none, ERR_TOO_LARGE, ERR_NO_MEMORY. */
enum err_code api_query_get(struct str query, struct str key, struct arena *arena, struct str *ret);

#endif
