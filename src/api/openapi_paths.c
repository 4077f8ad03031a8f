/* api/openapi_paths.c: the operations, from the tables that route, check and answer them. */
#include "api/openapi.h"
#include "api/params.h"
#include "api/resource.h"
#include "api/route.h"

#include "base/own.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 160 };

static const struct {
        int status;
        const char *about;
} errors[] = {
        {400, "The request, its query, its JSON or a JSON type in it is malformed."},
        {401, "Credentials are needed, or are not valid."},
        {403, "The registry wants other credentials."},
        {404, "It is not there, or something that it names is not."},
        {405, "The path does not have this method."},
        {409, "The name is taken, or the revision in the body is an old one, or the function is in ERROR."},
        {412, "If-Match or If-None-Match does not hold."},
        {413, "The body is over the limit."},
        {415, "The body is not application/json."},
        {422, "A field or parameter breaks a rule; `code` says which (601 to 606)."},
        {429, "There is no room for the run now."},
        {500, "The server failed."},
        {502, "What the server needs for it, a registry or the function store, answers as it should not."},
        {503, "The server is starting, ending or has no room; try again."},
        {504, "It took longer than it may."},
};

static json_t *reference(const char *part, const char *name)
{
        return json_sprintf("#/components/%s/%s", part, name);
}

static json_t *content(json_t *schema)
{
        return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *schema_reference(const char *name)
{
        return json_pack("{s:o}", "$ref", reference("schemas", name));
}

void openapi_put_errors(struct openapi *openapi, json_t *responses, const int *statuses)
{
        for (; *statuses != 0; statuses++) {
                for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                        char key[8];

                        if (errors[i].status != *statuses)
                                continue;
                        snprintf(key, sizeof(key), "%d", *statuses);
                        openapi_put(openapi, responses, key,
                                    json_pack("{s:s, s:o}", "description", errors[i].about, "content",
                                              content(schema_reference("Error"))));
                }
        }
}

static json_t *parameter(struct openapi *openapi, const struct param_info *info, bool repeats)
{
        json_t *schema = json_pack("{s:s}", "type", info->is_integer ? "integer" : "string");

        if (info->is_integer)
                openapi_put(openapi, schema, "format", json_string("int64"));
        if (info->is_integer && info->min != INT64_MIN)
                openapi_put(openapi, schema, "minimum", json_integer(info->min));
        if (info->values != NULL) {
                json_t *values = json_array();

                for (const char *const *value = info->values; *value != NULL; value++)
                        openapi_add(openapi, values, json_string(*value));
                openapi_put(openapi, schema, "enum", values);
        }
        if (repeats)
                schema = json_pack("{s:s, s:o, s:i}", "type", "array", "items", schema, "maxItems",
                                   PARAM_TAGS_MAX);
        return json_pack("{s:s, s:s, s:s, s:o}", "name", info->name, "in", "query", "description",
                         info->about, "schema", schema);
}

static json_t *header(const char *name, const char *text, const char *pattern)
{
        json_t *schema = pattern != NULL ? json_pack("{s:s, s:s, s:i}", "type", "string", "pattern", pattern,
                                                     "maxLength", MODEL_NAME_MAX)
                                         : json_pack("{s:s}", "type", "string");

        return json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "header", "description", text, "schema",
                         schema);
}

json_t *openapi_parameters(struct openapi *openapi)
{
        const char *pattern = model_pattern_text(MODEL_PATTERN_P1);
        json_t *all = json_object();

        for (int i = 0; i < PARAM_COUNT; i++)
                openapi_put(openapi, all, param_table[i].name,
                            parameter(openapi, &param_table[i], i == PARAM_TAGS));
        openapi_put(
                openapi, all, "organization",
                header("X-Dispatch-Org", "Organization; absent or empty: the server's default.", pattern));
        openapi_put(openapi, all, "project",
                    header("X-Dispatch-Project", "Project; absent or empty: `default`.", pattern));
        openapi_put(openapi, all, "ifMatch",
                    header("If-Match",
                           "Entity tags, strong ones, or `*`: change it only if it is at one of them.",
                           NULL));
        openapi_put(openapi, all, "ifNoneMatch",
                    header("If-None-Match",
                           "Entity tags: no reply if it is at one of them (304). `*` with a POST or "
                           "PUT: 412 if it is there.",
                           NULL));
        return all;
}

json_t *openapi_headers(void)
{
        return json_pack("{s:{s:s, s:{s:s}}, s:{s:s, s:{s:s}}}", "ETag", "description",
                         "Entity tag, for If-Match and If-None-Match.", "schema", "type", "string", "Link",
                         "description", "`<...>; rel=\"next\"` when there is another page.", "schema", "type",
                         "string");
}

static void add_parameter(struct openapi *openapi, json_t *parameters, const char *name)
{
        openapi_add(openapi, parameters, json_pack("{s:o}", "$ref", reference("parameters", name)));
}

json_t *openapi_scope(struct openapi *openapi)
{
        json_t *parameters = json_array();

        add_parameter(openapi, parameters, "organization");
        add_parameter(openapi, parameters, "project");
        return parameters;
}

/* "listBaseImages", "createRun"; new. */
static json_t *operation_id(const char *verb, const struct model_resource *model)
{
        return json_sprintf("%s%s", verb, model->kind_name);
}

static json_t *operation(struct openapi *openapi, const char *verb, const struct model_resource *model,
                         const char *what, json_t *responses)
{
        json_t *operation = json_object();

        openapi_put(openapi, operation, "operationId", operation_id(verb, model));
        openapi_put(openapi, operation, "summary", json_sprintf("%s: %s", what, model->label));
        openapi_put(openapi, operation, "tags", json_pack("[s]", model->kind_name));
        openapi_put(openapi, operation, "responses", responses);
        return operation;
}

static void put_response(struct openapi *openapi, json_t *responses, int status, const char *text,
                         json_t *schema, const char *with_header)
{
        json_t *response = json_pack("{s:s}", "description", text);
        char key[8];

        snprintf(key, sizeof(key), "%d", status);
        if (schema != NULL)
                openapi_put(openapi, response, "content", content(schema));
        if (with_header != NULL)
                openapi_put(openapi, response, "headers",
                            json_pack("{s:{s:o}}", with_header, "$ref", reference("headers", with_header)));
        openapi_put(openapi, responses, key, response);
}

static void put_body(struct openapi *openapi, json_t *operation, const struct model_resource *model)
{
        openapi_put(openapi, operation, "requestBody",
                    json_pack("{s:b, s:o}", "required", 1, "content",
                              content(schema_reference(model->kind_name))));
}

static json_t *list_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 422, 500, 503, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        put_response(openapi, responses, 200, "A page of the list, or all of it.",
                     json_pack("{s:s, s:o}", "type", "array", "items", schema_reference(model->kind_name)),
                     "Link");
        openapi_put_errors(openapi, responses, statuses);
        for (int i = 0; i < PARAM_COUNT; i++) {
                if (param_table[i].kinds & 1U << model->kind)
                        add_parameter(openapi, parameters, param_table[i].name);
        }
        json_t *list = operation(openapi, "list", model, "List", responses);
        openapi_put(openapi, list, "parameters", parameters);
        return list;
}

static json_t *create_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int not_found[] = {404, 0}, bad_gateway[] = {502, 0};
        static const int statuses[] = {400, 401, 409, 412, 413, 415, 422, 500, 503, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        put_response(openapi, responses, api_resource_of(model->kind)->created, "It is there.",
                     schema_reference(model->kind_name), "ETag");
        openapi_put_errors(openapi, responses, statuses);
        if (api_resource_of(model->kind)->names_others)
                openapi_put_errors(openapi, responses, not_found);
        if (api_resource_of(model->kind)->prepares != NULL)
                openapi_put_errors(openapi, responses, bad_gateway);
        add_parameter(openapi, parameters, "ifNoneMatch");
        json_t *create = operation(openapi, "create", model, "Create", responses);
        put_body(openapi, create, model);
        openapi_put(openapi, create, "parameters", parameters);
        return create;
}

static json_t *run_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 409, 413, 415, 422, 429, 500, 503, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        put_response(openapi, responses, 200, "The run is over; one that failed has `error`.",
                     schema_reference(model->kind_name), NULL);
        put_response(openapi, responses, 202, "The run is on disk and goes on.",
                     schema_reference(model->kind_name), NULL);
        openapi_put_errors(openapi, responses, statuses);
        openapi_add(openapi, parameters,
                    json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", "functionName", "in", "query",
                              "required", 1, "description", "The function to run.", "schema", "type",
                              "string"));
        json_t *create = operation(openapi, "create", model, "Run a function", responses);
        put_body(openapi, create, model);
        openapi_put(openapi, create, "parameters", parameters);
        return create;
}

static json_t *get_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 422, 500, 503, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);
        bool tagged = model->kind != MODEL_RUN;

        put_response(openapi, responses, 200, "It.", schema_reference(model->kind_name),
                     tagged ? "ETag" : NULL);
        if (tagged) {
                put_response(openapi, responses, 304, "It is what If-None-Match names.", NULL, "ETag");
                add_parameter(openapi, parameters, "ifNoneMatch");
        } else {
                add_parameter(openapi, parameters, "functionName");
        }
        openapi_put_errors(openapi, responses, statuses);
        json_t *get = operation(openapi, "get", model, "Get", responses);
        openapi_put(openapi, get, "parameters", parameters);
        return get;
}

/* What there is of a resource below its own path. */
static json_t *view_schema(enum api_view view)
{
        if (view == VIEW_LOGS)
                return json_pack("{s:s, s:[s,s,s], s:{s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}, s:{s:s,s:s}}}",
                                 "type", "object", "required", "text", "offset", "over", "properties", "text",
                                 "type", "string", "description", "Lines from the offset that was asked for.",
                                 "offset", "type", "integer", "description", "Where the next ones begin.",
                                 "over", "type", "boolean", "description", "No more will come of this build.",
                                 "progress", "type", "string", "description", "What it is doing now.");
        if (view == VIEW_SBOM)
                return json_pack("{s:s, s:s}", "type", "object", "description",
                                 "A CycloneDX 1.5 bill of materials.");
        json_t *package = json_pack(
                "{s:s, s:[s,s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s,s:[s,s]}, s:{s:s,s:s}}}",
                "type", "object", "required", "type", "name", "version", "from", "properties", "type", "type",
                "string", "name", "type", "string", "version", "type", "string", "architecture", "type",
                "string", "from", "type", "string", "enum", "base", "image", "origin", "type", "string",
                "description", "Where it was fetched from, where that is known.");
        return json_pack("{s:s, s:[s], s:{s:{s:s}, s:{s:s}, s:{s:s, s:o}}}", "type", "object", "required",
                         "packages", "properties", "distribution", "type", "string", "release", "type",
                         "string", "packages", "type", "array", "items", package);
}

static json_t *query_number(const char *name, int max, const char *about)
{
        json_t *schema = json_pack("{s:s, s:i}", "type", "integer", "minimum", 0);

        if (max > 0)
                (void)json_object_set_new(schema, "maximum", json_integer(max));
        return json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "query", "description", about, "schema",
                         schema);
}

static json_t *view_operation(struct openapi *openapi, const struct model_resource *model, enum api_view view)
{
        static const int statuses[] = {400, 401, 404, 422, 500, 503, 0}, without_layers[] = {409, 0};
        static const char *const about[VIEW_COUNT] = {
                [VIEW_LOGS] = "What its last build printed",
                [VIEW_PACKAGES] = "What is installed on it",
                [VIEW_SBOM] = "The same as a bill of materials",
        };
        json_t *responses = json_object(), *parameters = openapi_scope(openapi), *get = json_object();

        if (view == VIEW_LOGS) {
                openapi_add(openapi, parameters, query_number("offset", 0, "Bytes that are known already."));
                openapi_add(openapi, parameters,
                            query_number("wait", 30, "Seconds to wait for more, while the build goes on."));
        }
        put_response(openapi, responses, 200, "It.", view_schema(view), NULL);
        openapi_put_errors(openapi, responses, statuses);
        if (view != VIEW_LOGS)
                openapi_put_errors(openapi, responses, without_layers);
        openapi_put(openapi, get, "operationId",
                    json_sprintf("get%s%c%s", model->kind_name,
                                 toupper((unsigned char)api_view_name(view)[0]), api_view_name(view) + 1));
        openapi_put(openapi, get, "summary", json_sprintf("%s: %s", about[view], model->label));
        openapi_put(openapi, get, "tags", json_pack("[s]", model->kind_name));
        openapi_put(openapi, get, "responses", responses);
        openapi_put(openapi, get, "parameters", parameters);
        return get;
}

static json_t *update_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 409, 412, 413, 415, 422, 500, 503, 0};
        static const int bad_gateway[] = {502, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        put_response(openapi, responses, api_resource_of(model->kind)->updated, "It is changed.",
                     schema_reference(model->kind_name), "ETag");
        openapi_put_errors(openapi, responses, statuses);
        if (api_resource_of(model->kind)->prepares != NULL)
                openapi_put_errors(openapi, responses, bad_gateway);
        add_parameter(openapi, parameters, "ifMatch");
        add_parameter(openapi, parameters, "ifNoneMatch");
        json_t *update = operation(openapi, "update", model, "Replace", responses);
        openapi_put(
                openapi, update, "description",
                json_string(
                        "The body replaces what is there. `name` may be left out; `revision`, unless it is "
                        "empty, must be the stored one. What is read-only is passed over."));
        put_body(openapi, update, model);
        openapi_put(openapi, update, "parameters", parameters);
        return update;
}

static json_t *delete_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 412, 422, 500, 503, 0};
        int status = api_resource_of(model->kind)->deleted;
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        put_response(openapi, responses, status, "It is gone.",
                     status == 204 ? NULL : schema_reference(model->kind_name), NULL);
        openapi_put_errors(openapi, responses, statuses);
        add_parameter(openapi, parameters, "ifMatch");
        json_t *delete = operation(openapi, "delete", model, "Delete", responses);
        openapi_put(openapi, delete, "parameters", parameters);
        return delete;
}

static json_t *cancel_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 409, 422, 500, 503, 0};
        json_t *responses = json_object();

        put_response(openapi, responses, 200, "It was cancelled.", schema_reference(model->kind_name), NULL);
        openapi_put_errors(openapi, responses, statuses);
        json_t *cancel = operation(openapi, "cancel", model, "Cancel", responses);
        openapi_put(openapi, cancel, "parameters", openapi_scope(openapi));
        return cancel;
}

json_t *openapi_name(const struct model_resource *model)
{
        json_t *schema =
                model->path_pattern == MODEL_PATTERN_ANY
                        ? json_pack("{s:s, s:s}", "type", "string", "format", "uuid")
                        : json_pack("{s:s, s:s, s:i}", "type", "string", "pattern",
                                    model_pattern_text(model->path_pattern), "maxLength", MODEL_NAME_MAX);

        return json_pack("{s:s, s:s, s:b, s:o}", "name", model->parameter, "in", "path", "required", 1,
                         "schema", schema);
}

static void put_collection(struct openapi *openapi, json_t *paths, const struct api_collection *collection)
{
        const struct model_resource *model = model_resource(collection->kind);
        bool is_run = collection->target == TARGET_RUNS;
        json_t *all = json_object(), *one = json_object();
        char path[TEXT_MAX];

        openapi_put(openapi, all, "get", list_operation(openapi, model));
        openapi_put(openapi, all, "post",
                    is_run ? run_operation(openapi, model) : create_operation(openapi, model));
        openapi_put(openapi, one, "parameters", json_pack("[o]", openapi_name(model)));
        openapi_put(openapi, one, "get", get_operation(openapi, model));
        if (is_run) {
                openapi_put(openapi, one, "delete", cancel_operation(openapi, model));
        } else {
                openapi_put(openapi, one, "put", update_operation(openapi, model));
                openapi_put(openapi, one, "delete", delete_operation(openapi, model));
        }
        snprintf(path, sizeof(path), "/v1/%.*s", STR_ARG(collection->segment));
        openapi_put(openapi, paths, path, all);
        snprintf(path, sizeof(path), "/v1/%.*s/{%s}", STR_ARG(collection->segment), model->parameter);
        openapi_put(openapi, paths, path, one);
        for (int view = VIEW_LOGS; api_has_views(model->kind) && view < VIEW_COUNT; view++) {
                json_t *item = json_object();

                openapi_put(openapi, item, "parameters", json_pack("[o]", openapi_name(model)));
                openapi_put(openapi, item, "get", view_operation(openapi, model, (enum api_view)view));
                snprintf(path, sizeof(path), "/v1/%.*s/{%s}/%s", STR_ARG(collection->segment),
                         model->parameter, api_view_name((enum api_view)view));
                openapi_put(openapi, paths, path, item);
        }
}

static json_t *export_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 404, 409, 413, 422, 500, 503, 504, 0};
        json_t *responses = json_object(), *parameters = openapi_scope(openapi);

        openapi_put(openapi, responses, "200",
                    json_pack("{s:s, s:{s:{s:{s:s}}}, s:{s:{s:o}}}", "description",
                              "A tar of an OCI image layout; its ETag is the image's digest.", "content",
                              "application/x-tar", "schema", "contentEncoding", "binary", "headers", "ETag",
                              "$ref", reference("headers", "ETag")));
        openapi_put_errors(openapi, responses, statuses);
        openapi_add(openapi, parameters,
                    json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:i}}", "name", "tag", "in", "query",
                              "description", "What the layout calls the image; `latest` unless it is given.",
                              "schema", "type", "string", "pattern", "^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
                              "maxLength", 127));
        json_t *get = operation(openapi, "export", model, "Export as an OCI image", responses);
        openapi_put(openapi, get, "parameters", parameters);
        return get;
}

static json_t *push_operation(struct openapi *openapi, const struct model_resource *model)
{
        static const int statuses[] = {400, 401, 403, 404, 409, 413, 415, 422, 500, 502, 503, 504, 0};
        json_t *responses = json_object();
        json_t *pushed =
                json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s, s]}", "type", "object", "properties", "image",
                          "type", "string", "digest", "type", "string", "required", "image", "digest");
        json_t *sent =
                json_pack("{s:s, s:{s:{s:s}, s:{s:s}}, s:[s]}", "type", "object", "properties", "reference",
                          "type", "string", "registrySecret", "type", "string", "required", "reference");

        put_response(openapi, responses, 200,
                     "The registry has it. With `Accept: application/x-ndjson` lines of {\"progress\"} come "
                     "before, and "
                     "an error then is the last line, as its body.",
                     pushed, NULL);
        openapi_put_errors(openapi, responses, statuses);
        json_t *push = operation(openapi, "push", model, "Push as an OCI image", responses);
        openapi_put(openapi, push, "requestBody",
                    json_pack("{s:b, s:o}", "required", 1, "content", content(sent)));
        openapi_put(openapi, push, "parameters", openapi_scope(openapi));
        return push;
}

/* A function as an image. */
static json_t *image_path(struct openapi *openapi)
{
        const struct model_resource *model = model_resource(MODEL_FUNCTION);

        return json_pack("{s:[o], s:o, s:o}", "parameters", openapi_name(model), "get",
                         export_operation(openapi, model), "post", push_operation(openapi, model));
}

/* What needs neither credentials nor an organization. */
static const struct system_path {
        const char *path, *id, *summary, *type, *schema; /* schema: of `components`, or NULL */
        int other; /* 503 while the server starts, 304 of what has a tag, or 0 */
} system_paths[] = {
        {"/v1/version", "getVersion", "The server's version", "application/json", "Version", 0},
        {"/healthz", "getHealth", "The server lives", "application/json", NULL, 0},
        {"/readyz", "getReady", "The server takes calls", "application/json", NULL, 503},
        {"/metrics", "getMetrics", "Metrics, as OpenMetrics text", "application/openmetrics-text", NULL, 503},
        {"/openapi.json", "getOpenapi", "This description", "application/json", NULL, 304},
};

static json_t *system_operation(struct openapi *openapi, const struct system_path *path)
{
        json_t *schema = path->schema != NULL ? schema_reference(path->schema) : json_object();
        json_t *responses = json_object(), *get = json_object();

        openapi_put(openapi, responses, "200",
                    json_pack("{s:s, s:{s:{s:o}}}", "description", path->summary, "content", path->type,
                              "schema", schema));
        if (path->other != 0)
                put_response(openapi, responses, path->other,
                             path->other == 304 ? "It is what If-None-Match names." : "It starts, or ends.",
                             NULL, path->other == 304 ? "ETag" : NULL);
        openapi_put(openapi, get, "operationId", json_string(path->id));
        openapi_put(openapi, get, "summary", json_string(path->summary));
        openapi_put(openapi, get, "security", json_array());
        openapi_put(openapi, get, "responses", responses);
        return get;
}

static json_t *gc_operation(struct openapi *openapi, const char *id, const char *summary)
{
        static const int statuses[] = {401, 500, 503, 0};
        json_t *responses = json_object(), *operation = json_object();
        json_t *thing = json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object",
                                  "properties", "kind", "type", "string", "name", "type", "string", "bytes",
                                  "type", "integer", "age", "type", "integer");
        json_t *schema = json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s, s:o}, s:{s:s}, s:{s:s}}}", "type",
                                   "object", "properties", "dryRun", "type", "boolean", "bytes", "type",
                                   "integer", "removed", "type", "array", "items", thing, "kept", "type",
                                   "object", "problem", "type", "string");

        put_response(openapi, responses, 200, summary, schema, NULL);
        openapi_put_errors(openapi, responses, statuses);
        openapi_put(openapi, operation, "operationId", json_string(id));
        openapi_put(openapi, operation, "summary", json_string(summary));
        openapi_put(openapi, operation, "responses", responses);
        return operation;
}

json_t *openapi_paths(struct openapi *openapi)
{
        size_t count;
        const struct api_collection *collections = api_collections(&count);
        json_t *paths = json_object();

        for (size_t i = 0; i < count; i++)
                put_collection(openapi, paths, &collections[i]);
        char path[TEXT_MAX];
        snprintf(path, sizeof(path), "/v1/function/{%s}/image", model_resource(MODEL_FUNCTION)->parameter);
        openapi_put(openapi, paths, path, image_path(openapi));
        for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]); i++)
                openapi_put(openapi, paths, system_paths[i].path,
                            json_pack("{s:o}", "get", system_operation(openapi, &system_paths[i])));
        json_t *preview =
                gc_operation(openapi, "previewGarbage", "What the collector of garbage would remove");
        json_t *collect = gc_operation(openapi, "collectGarbage", "Remove what nothing refers to, and tell");
        openapi_put(openapi, collect, "requestBody",
                    json_pack("{s:b, s:o}", "required", 0, "content",
                              content(json_pack("{s:s}", "type", "object"))));
        openapi_live(openapi, paths);
        openapi_put(openapi, paths, "/v1/gc", json_pack("{s:o, s:o}", "get", preview, "post", collect));
        return paths;
}
