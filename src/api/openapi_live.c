/* api/openapi_live.c: describes instances and pools, what engine/local/inspect.c makes. */
#include "api/openapi.h"

struct member {
        const char *name, *type, *about;
        bool always;
};

static const struct member instance_members[] = {
        {"id", "string", "Names it while the server runs.", true},
        {"kind", "string", "instance, or what others start from: template, zygote, stem.", true},
        {"functionName", NULL, "Null of what is made of an image.", true},
        {"functionId", NULL, "Null of what is made of an image.", true},
        {"revision", "integer", "The function's revision that it runs.", true},
        {"language", "string", "Its runtime.", true},
        {"state", "string", "starting, loading, idle, frozen, busy, parked or ending.", true},
        {"start", "string", "How it started: template, zygote, stem or boot.", true},
        {"createdAt", "string", "When it was started.", true},
        {"ageMillis", "integer", "Since then.", true},
        {"idleMillis", "integer", "Since its last run; 0 while it is busy.", true},
        {"runs", "integer", "Runs that it has answered.", true},
        {"running", "integer", "Runs in it now.", true},
        {"memoryBytes", "integer", "Of its cgroup now.", false},
        {"memoryPeakBytes", "integer", "Of its cgroup, at most so far.", false},
        {"cpuMicros", "integer", "Processor time of its cgroup.", false},
        {"ioReadBytes", "integer", "Read from disks; 0 on hosts of cgroup v1.", false},
        {"ioWriteBytes", "integer", "Written to disks; 0 on hosts of cgroup v1.", false},
        {NULL, NULL, NULL, false},
};

static const struct member source_members[] = {
        {"state", "string", "absent, starting, parked or impossible.", true},
        {"parked", "integer", "How many wait.", false},
        {"starts", "integer", "Instances that came from it.", false},
        {"failures", "integer", "In a row.", false},
        {"ageMillis", "integer", "Since it was parked.", false},
        {"reason", "string", "Why it is impossible, or what failed last.", false},
        {NULL, NULL, NULL, false},
};

static const struct member pool_members[] = {
        {"revision", "integer", "Of the function.", true},
        {"retired", "boolean", "The function has changed: it ends with its runs.", true},
        {"instances", "integer", "All of them.", true},
        {"starting", "integer", "Those that start.", true},
        {"idle", "integer", "Those that wait.", true},
        {"busy", "integer", "Those that run something.", true},
        {"queued", "integer", "Runs that wait for one.", true},
        {"ahead", "integer", "Instances kept ahead of need.", true},
        {"waitsForHost", "boolean", "The host is full, and this function waits for its turn.", true},
        {"starts", "integer", "Instances started.", true},
        {"runMicros", "integer", "How long runs take lately.", true},
        {NULL, NULL, NULL, false},
};

static const struct member failure_members[] = {
        {"time", "string", "When.", true},
        {"what", "string", "run, start, or the kind of start that failed.", true},
        {"message", "string", "Why.", true},
        {NULL, NULL, NULL, false},
};

static json_t *object_schema(struct openapi *openapi, const struct member *members)
{
        json_t *properties = json_object(), *required = json_array();

        for (; members->name != NULL; members++) {
                openapi_put(openapi, properties, members->name,
                            members->type != NULL ? json_pack("{s:s, s:s}", "type", members->type,
                                                              "description", members->about)
                                                  : json_pack("{s:[s, s], s:s}", "type", "string", "null",
                                                              "description", members->about));
                if (members->always)
                        openapi_add(openapi, required, json_string(members->name));
        }
        return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required", required);
}

static json_t *list_schema(json_t *items)
{
        return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static json_t *live_operation(struct openapi *openapi, const char *id, const char *summary, json_t *schema)
{
        static const int statuses[] = {400, 401, 404, 422, 500, 503, 0};
        json_t *responses = json_object(), *operation = json_object();

        openapi_put(openapi, responses, "200",
                    json_pack("{s:s, s:{s:{s:o}}}", "description", summary, "content", "application/json",
                              "schema", schema));
        openapi_put_errors(openapi, responses, statuses);
        openapi_put(openapi, operation, "operationId", json_string(id));
        openapi_put(openapi, operation, "summary", json_string(summary));
        openapi_put(openapi, operation, "parameters", openapi_scope(openapi));
        openapi_put(openapi, operation, "responses", responses);
        return operation;
}

static json_t *pool_schema(struct openapi *openapi)
{
        json_t *pool = object_schema(openapi, pool_members);
        json_t *properties = json_object_get(pool, "properties");
        static const char *const sources[] = {"template", "zygote", "stem"};

        for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
                openapi_put(openapi, properties, sources[i], object_schema(openapi, source_members));
        return json_pack("{s:s, s:{s:{s:s}, s:o, s:o}, s:[s, s, s]}", "type", "object", "properties", "name",
                         "type", "string", "pools", list_schema(pool), "failures",
                         list_schema(object_schema(openapi, failure_members)), "required", "name", "pools",
                         "failures");
}

void openapi_live(struct openapi *openapi, json_t *paths)
{
        const struct model_resource *model = model_resource(MODEL_FUNCTION);
        json_t *list = live_operation(openapi, "listInstances", "Instances that there are now",
                                      list_schema(object_schema(openapi, instance_members)));
        json_t *pool = live_operation(openapi, "getFunctionPool",
                                      "Pools of a function, what it starts from, what failed lately",
                                      pool_schema(openapi));
        json_t *path = json_sprintf("/v1/function/{%s}/pool", model->parameter);

        openapi_add(openapi, json_object_get(list, "parameters"),
                    json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", "functionName", "in", "query",
                              "description", "Those of the function of this name.", "schema", "type",
                              "string"));
        openapi_put(openapi, paths, "/v1/instances", json_pack("{s:o}", "get", list));
        openapi_put(openapi, paths, json_string_value(path),
                    json_pack("{s:[o], s:o}", "parameters", openapi_name(model), "get", pool));
        json_decref(path);
}
