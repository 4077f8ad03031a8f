/* api/route.c: the table of paths, and the few things of a request's head that decide before its body is
 * read. */
#include "api/route.h"

#include "http/url.h"

#include <assert.h>

enum { SEGMENTS_MAX = 4, QUERY_PAIRS_MAX = 100 };

static const struct api_collection collections[] = {
        {STR_INIT("baseimage"), TARGET_RESOURCE, MODEL_BASE_IMAGE, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("image"), TARGET_RESOURCE, MODEL_IMAGE, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("function"), TARGET_RESOURCE, MODEL_FUNCTION, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("secret"), TARGET_RESOURCE, MODEL_SECRET, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("endpoint"), TARGET_RESOURCE, MODEL_ENDPOINT, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("api"), TARGET_RESOURCE, MODEL_API, "GET,POST", "GET,PUT,DELETE"},
        {STR_INIT("runs"), TARGET_RUNS, MODEL_RUN, "GET,POST", "GET,DELETE"},
};

/* Paths below /v1 that later versions serve; whatever follows, the answer is the contract's 501. */
static const struct str later[] = {
        STR_INIT("event"),       STR_INIT("eventdrivers"), STR_INIT("iam"),
        STR_INIT("application"), STR_INIT("serviceclass"), STR_INIT("serviceinstance"),
};

static const struct verb {
        struct str method;
        enum api_verb collection;
        enum api_verb one;
} verbs[] = {
        {STR_INIT("GET"), VERB_LIST, VERB_GET},
        {STR_INIT("POST"), VERB_CREATE, VERB_CREATE},
        {STR_INIT("PUT"), VERB_UPDATE, VERB_UPDATE},
        {STR_INIT("DELETE"), VERB_DELETE, VERB_DELETE},
};

static const char *const views[VIEW_COUNT] = {
        [VIEW_LOGS] = "logs", [VIEW_PACKAGES] = "packages", [VIEW_SBOM] = "sbom"};

const char *api_view_name(enum api_view view)
{
        return views[view];
}

bool api_has_views(enum model_kind kind)
{
        return kind == MODEL_IMAGE || kind == MODEL_BASE_IMAGE;
}

static enum err_code view_find(struct str segment, struct api_route *route)
{
        if (route->target != TARGET_RESOURCE || !api_has_views(route->kind))
                return ERR_NOT_FOUND;
        for (size_t i = 0; i < VIEW_COUNT; i++) {
                if (views[i] != NULL && str_eq(segment, str_of(views[i]))) {
                        route->view = (enum api_view)i;
                        route->methods = "GET";
                        return ERR_OK;
                }
        }
        return ERR_NOT_FOUND;
}

const struct api_collection *api_collections(size_t *ret_count)
{
        *ret_count = sizeof(collections) / sizeof(collections[0]);
        return collections;
}

static enum err_code not_found(struct err *err)
{
        return err_set(err, ERR_NOT_FOUND, "resource does not exist");
}

/* Empty segments do not count, as the original cleans its paths. Returns how many there are; those past the
 * maximum are only counted. */
static size_t segments_of(struct str path, struct str segments[SEGMENTS_MAX])
{
        size_t count = 0;

        while (path.len > 0) {
                struct str segment = str_cut(&path, '/');

                if (segment.len == 0)
                        continue;
                if (count < SEGMENTS_MAX)
                        segments[count] = segment;
                count++;
        }
        return count;
}

static bool method_listed(struct str method, const char *methods)
{
        struct str rest = str_of(methods);

        while (rest.len > 0) {
                if (str_eq(str_cut(&rest, ','), method))
                        return true;
        }
        return false;
}

static enum err_code method_find(struct str method, bool one, struct api_route *route, struct err *err)
{
        if (!method_listed(method, route->methods))
                return err_set(err, ERR_METHOD, "method %.*s is not allowed, but [%s] are",
                               (int)(method.len < 32 ? method.len : 32), method.p, route->methods);
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                if (str_eq(method, verbs[i].method)) {
                        route->verb = one ? verbs[i].one : verbs[i].collection;
                        return ERR_OK;
                }
        }
        assert(!"a method is listed that has no verb");
        return ERR_METHOD;
}

static enum err_code collection_find(struct str segment, struct api_route *route, bool one, struct err *err)
{
        for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
                if (!str_eq(segment, collections[i].segment))
                        continue;
                route->target = collections[i].target;
                route->kind = collections[i].kind;
                route->methods = one ? collections[i].one_methods : collections[i].methods;
                return ERR_OK;
        }
        for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
                if (str_eq(segment, later[i]))
                        return err_set(err, ERR_NOT_IMPLEMENTED,
                                       "Endpoint is not implemented in this version of Dispatch");
        }
        return not_found(err);
}

/* Paths outside the resources. The original answers health checks below any path that starts so. */
static bool system_find(const struct str *segments, size_t count, struct api_route *route)
{
        if (count >= 1 && str_starts(segments[0], STR("healthz")))
                route->target = TARGET_HEALTH;
        else if (count == 1 && str_eq(segments[0], STR("readyz")))
                route->target = TARGET_READY;
        else if (count == 1 && str_eq(segments[0], STR("metrics")))
                route->target = TARGET_METRICS;
        else if (count == 1 && str_eq(segments[0], STR("openapi.json")))
                route->target = TARGET_OPENAPI;
        else if (count == 2 && str_eq(segments[0], STR("v1")) && str_eq(segments[1], STR("version")))
                route->target = TARGET_VERSION;
        else if (count == 2 && str_eq(segments[0], STR("v1")) && str_eq(segments[1], STR("gc")))
                route->target = TARGET_GC;
        else
                return false;
        route->methods = route->target == TARGET_GC ? "GET,POST" : "GET";
        return true;
}

/* /v1/function/NAME/image */
static bool image_find(const struct str *segments, size_t count, struct api_route *route)
{
        if (count != 4 || !str_eq(segments[1], STR("function")) || !str_eq(segments[3], STR("image")))
                return false;
        route->target = TARGET_FUNCTION_IMAGE;
        route->kind = MODEL_FUNCTION;
        route->methods = "GET,POST";
        route->name = segments[2];
        return true;
}

/* /v1/instances and /v1/function/NAME/pool: what there is now, nothing that is stored. */
static bool live_find(const struct str *segments, size_t count, struct api_route *route)
{
        if (count == 2 && str_eq(segments[1], STR("instances"))) {
                route->target = TARGET_INSTANCES;
        } else if (count == 4 && str_eq(segments[1], STR("function")) && str_eq(segments[3], STR("pool"))) {
                route->target = TARGET_FUNCTION_POOL;
                route->kind = MODEL_FUNCTION;
                route->name = segments[2];
        } else {
                return false;
        }
        route->methods = "GET";
        return true;
}

enum err_code api_route_find(struct str method, struct str path, struct api_route *ret, struct err *err)
{
        struct str segments[SEGMENTS_MAX];
        size_t count = segments_of(path, segments);

        *ret = (struct api_route){.verb = VERB_GET, .methods = ""};
        if (system_find(segments, count, ret))
                return method_find(method, true, ret, err);
        if (count < 2 || !str_eq(segments[0], STR("v1")))
                return not_found(err);

        if (live_find(segments, count, ret))
                return method_find(method, ret->target == TARGET_FUNCTION_POOL, ret, err);
        if (image_find(segments, count, ret))
                return method_find(method, true, ret, err);

        bool one = count > 2;
        enum err_code code = collection_find(segments[1], ret, one, err);
        if (code != ERR_OK)
                return code;
        if (count > 4 || (count == 4 && view_find(segments[3], ret) != ERR_OK))
                return not_found(err);
        if (one)
                ret->name = segments[2];
        return method_find(method, one, ret, err);
}

bool api_route_has_body(const struct api_route *route)
{
        return route->target != TARGET_GC && (route->verb == VERB_CREATE || route->verb == VERB_UPDATE);
}

enum err_code api_content_type_check(struct str content_type, struct err *err)
{
        struct str rest = content_type;
        struct str type = str_trim(str_cut(&rest, ';'), " \t");

        if (type.len == 0)
                type = STR("application/octet-stream");
        if (str_eq_nocase(type, STR("application/json")))
                return ERR_OK;
        return err_set(err, ERR_MEDIA_TYPE,
                       "unsupported media type \"%.*s\", only [application/json] are allowed",
                       (int)(type.len < 128 ? type.len : 128), type.p);
}

enum err_code api_query_get(struct str query, struct str key, struct arena *arena, struct str *ret)
{
        struct url_pairs pairs = url_pairs_begin(query, QUERY_PAIRS_MAX);
        struct str name, value;
        enum err_code code;

        while ((code = url_pairs_next(&pairs, arena, &name, &value)) == ERR_OK) {
                if (str_eq(name, key)) {
                        *ret = value;
                        return ERR_OK;
                }
        }
        *ret = STR("");
        return code == ERR_NOT_FOUND ? ERR_OK : code;
}
