/*
 * model/tables.c: the resources' fields, in the order in which the original's encoder prints them:
 * CONTRACT 6.4 for SEED, its sections 4 and 5 for the other names, section 10 for what is ours. The limits of
 * our own fields are chosen so that no value can make the engine's arithmetic overflow or a sandbox unusable.
 */
#include "model/tables.h"

#include <assert.h>
#include <string.h>

/* A field's name and type, then whatever else it has by designated initialisers. */
#define FIELD(field_name, field_type, ...)                                                                   \
        {                                                                                                    \
                .name = (field_name), .type = MODEL_##field_type, ##__VA_ARGS__                              \
        }
#define END                                                                                                  \
        {                                                                                                    \
                .name = NULL                                                                                 \
        }

#define FRIENDLY                                                                                             \
        "name should start with letter or number and may only contain letters, numbers, underscores and "    \
        "dashes"

static const char *const spec_values[] = {"CONFIGURE", "CREATE", "DELETE", NULL};
static const char *const status_values[] = {"INITIALIZED", "CREATING", "READY",   "UPDATING",
                                            "ERROR",       "DELETING", "DELETED", NULL};
static const char *const network_modes[] = {"none", "egress", NULL};
static const char *const isolation_values[] = {"instance", "run", NULL};

static const struct model_field tag_fields[] = {
        FIELD("key", STRING),
        FIELD("value", STRING),
        END,
};

static const struct model_field condition_fields[] = {
        FIELD("type", STRING),
        FIELD("status", STRING),
        FIELD("reason", STRING),
        FIELD("message", STRING),
        FIELD("lastTransitionTime", STRING),
        END,
};

#define FIELD_TAGS   FIELD("tags", OBJECTS, .flags = MODEL_SOLO_ALWAYS, .sub = tag_fields)
#define FIELD_STATUS FIELD("status", STRING, .flags = MODEL_READONLY, .values = status_values)
#define FIELD_SPEC   FIELD("spec", STRING, .flags = MODEL_READONLY, .values = spec_values)
#define FIELD_REASON FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_ALWAYS)
#define FIELD_CONDITIONS                                                                                     \
        FIELD("conditions", OBJECTS, .flags = MODEL_READONLY | MODEL_OURS, .sub = condition_fields)

/* Metadata, inlined at the top level of all resources but secrets and runs. */
#define FIELD_NAME(more)                                                                                     \
        FIELD("name", STRING, .flags = (more), .pattern = MODEL_PATTERN_P2, .pattern_text = FRIENDLY,        \
              .max = MODEL_NAME_MAX)
#define FIELDS_META(more)                                                                                    \
        FIELD("kind", STRING, .flags = MODEL_READONLY | MODEL_META), FIELD_NAME((more) | MODEL_META),        \
                FIELD("id", UUID, .flags = MODEL_READONLY | MODEL_META),                                     \
                FIELD("project", STRING, .flags = MODEL_READONLY | MODEL_META),                              \
                FIELD("org", STRING, .flags = MODEL_READONLY | MODEL_META),                                  \
                FIELD("createdTime", INTEGER, .flags = MODEL_READONLY | MODEL_META),                         \
                FIELD("modifiedTime", INTEGER, .flags = MODEL_READONLY | MODEL_META),                        \
                FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_META | MODEL_NOT_SEED),            \
                FIELD("tags", OBJECTS, .flags = MODEL_META | MODEL_SOLO_ALWAYS, .sub = tag_fields),          \
                FIELD("backingObject", ANY, .flags = MODEL_READONLY | MODEL_META)

/* clang-format off */
static const struct model_field base_image_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("dockerUrl", STRING, .flags = MODEL_REQUIRED),
        FIELD("imageURL", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "dockerUrl"),
        FIELD("groups", STRINGS, .flags = MODEL_ALWAYS),
        FIELD("language", STRING, .flags = MODEL_REQUIRED),
        FIELD_REASON,
        FIELD_SPEC,
        FIELD_STATUS,
        FIELD_CONDITIONS,
        END,
};

static const struct model_field runtime_dependency_fields[] = {
        FIELD("manifest", STRING),
        END,
};

static const struct model_field package_fields[] = {
        FIELD("name", STRING, .flags = MODEL_REQUIRED),
        FIELD("version", STRING),
        END,
};

static const struct model_field system_dependency_fields[] = {
        FIELD("packages", OBJECTS, .flags = MODEL_ALWAYS, .sub = package_fields),
        END,
};

static const struct model_field image_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("baseImageName", STRING, .flags = MODEL_REQUIRED),
        FIELD("baseImage", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "baseImageName"),
        FIELD("dockerUrl", STRING, .flags = MODEL_ALIAS, .of = "imageDestination"),
        FIELD("imageURL", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "imageDestination"),
        FIELD("imageDestination", STRING),
        FIELD("groups", STRINGS, .flags = MODEL_ALWAYS),
        FIELD("language", STRING, .flags = MODEL_READONLY),
        FIELD_REASON,
        FIELD("runtimeDependencies", OBJECT, .sub = runtime_dependency_fields),
        FIELD_SPEC,
        FIELD_STATUS,
        FIELD("systemDependencies", OBJECT, .sub = system_dependency_fields),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field schema_fields[] = {
        FIELD("in", DICT, .flags = MODEL_ALWAYS),
        FIELD("out", DICT, .flags = MODEL_ALWAYS),
        END,
};

static const struct model_field network_fields[] = {
        FIELD("mode", STRING, .values = network_modes, .initial = "\"none\""),
        FIELD("allow", STRINGS, .max = 64),
        END,
};

static const struct model_field function_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("source", BASE64, .flags = MODEL_WRITEONLY),
        FIELD("sourceURL", STRING),
        FIELD("sourcePath", STRING),
        FIELD("image", STRING, .flags = MODEL_SOLO_ALWAYS),
        FIELD("imageUrl", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("functionImageURL", STRING, .flags = MODEL_READONLY),
        FIELD("buildTemplate", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("serviceAccount", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("handler", STRING, .flags = MODEL_SOLO_ALWAYS),
        FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_SOLO_ALWAYS),
        FIELD("schema", OBJECT, .sub = schema_fields),
        FIELD("secrets", STRINGS, .flags = MODEL_SOLO_ALWAYS),
        FIELD("services", STRINGS, .flags = MODEL_SOLO_ALWAYS),
        FIELD_STATUS,
        FIELD("timeout", INTEGER, .max = 86400000),
        FIELD("faasId", UUID, .flags = MODEL_READONLY | MODEL_NOT_SEED),
        FIELD("memory", INTEGER, .flags = MODEL_OURS, .min = 16, .max = 65536, .initial = "256"),
        FIELD("cpu", INTEGER, .flags = MODEL_OURS, .min = 10, .max = 128000, .initial = "1000"),
        FIELD("env", MAP, .flags = MODEL_OURS, .pattern = MODEL_PATTERN_VARIABLE, .max = 256),
        FIELD("network", OBJECT, .flags = MODEL_OURS, .initial = "{}", .sub = network_fields),
        FIELD("isolation", STRING, .flags = MODEL_OURS, .values = isolation_values, .initial = "\"instance\""),
        FIELD("concurrency", INTEGER, .flags = MODEL_OURS, .min = 1, .max = 1000, .initial = "1"),
        FIELD("minInstances", INTEGER, .flags = MODEL_OURS, .max = 1000, .initial = "0"),
        FIELD("maxInstances", INTEGER, .flags = MODEL_OURS, .min = 1, .max = 10000),
        FIELD("idleTimeout", INTEGER, .flags = MODEL_OURS, .max = 86400000, .initial = "600000"),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field run_error_fields[] = {
        FIELD("message", STRING, .flags = MODEL_REQUIRED),
        FIELD("stacktrace", STRINGS),
        FIELD("type", STRING, .flags = MODEL_REQUIRED),
        END,
};

static const struct model_field log_fields[] = {
        FIELD("stderr", STRINGS, .flags = MODEL_ALWAYS),
        FIELD("stdout", STRINGS, .flags = MODEL_ALWAYS),
        END,
};

static const struct model_field run_fields[] = {
        FIELD("blocking", BOOL),
        FIELD("error", OBJECT, .flags = MODEL_READONLY, .sub = run_error_fields),
        FIELD("event", DICT),
        FIELD("executedTime", INTEGER, .flags = MODEL_READONLY),
        FIELD("faasId", UUID, .flags = MODEL_READONLY),
        FIELD("finishedTime", INTEGER, .flags = MODEL_READONLY),
        FIELD("functionId", STRING, .flags = MODEL_READONLY),
        FIELD("functionName", STRING, .flags = MODEL_READONLY),
        FIELD("httpContext", DICT),
        FIELD("input", ANY),
        FIELD("inputBytes", BASE64),
        FIELD("logs", OBJECT, .flags = MODEL_READONLY, .sub = log_fields),
        FIELD("name", UUID, .flags = MODEL_READONLY),
        FIELD("output", ANY, .flags = MODEL_READONLY),
        FIELD("outputBytes", BASE64, .flags = MODEL_READONLY),
        FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_SOLO_ALWAYS),
        FIELD("secrets", STRINGS, .flags = MODEL_SOLO_ALWAYS),
        FIELD("services", STRINGS, .flags = MODEL_SOLO_ALWAYS),
        FIELD_STATUS,
        FIELD_TAGS,
        FIELD("payloadEncoding", STRING, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD("executedAt", STRING, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD("finishedAt", STRING, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD("start", STRING, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD("timing", DICT, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD("usage", DICT, .flags = MODEL_READONLY | MODEL_OURS),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field secret_meta_fields[] = {
        FIELDS_META(0),
        END,
};

static const struct model_field secret_fields[] = {
        FIELD("meta", OBJECT, .flags = MODEL_NESTED, .sub = secret_meta_fields),
        FIELD("id", UUID, .flags = MODEL_READONLY),
        FIELD("kind", STRING, .flags = MODEL_READONLY),
        FIELD_NAME(MODEL_REQUIRED),
        FIELD("secrets", MAP),
        FIELD_TAGS,
        FIELD_CONDITIONS,
        END,
};

static const struct model_field endpoint_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("authentication", STRING, .flags = MODEL_NOT_SEED),
        FIELD("cors", BOOL),
        FIELD("enabled", BOOL),
        FIELD("function", STRING, .flags = MODEL_REQUIRED),
        FIELD("hosts", STRINGS, .flags = MODEL_SOLO_ALWAYS, .max = 64),
        FIELD("methods", STRINGS, .max = 64),
        FIELD("protocols", STRINGS, .max = 64),
        FIELD_STATUS,
        FIELD("tls", ANY, .flags = MODEL_NOT_SEED),
        FIELD("uris", STRINGS, .max = 64),
        FIELD_CONDITIONS,
        END,
};

/* The same resource as SOLO has it: flat, its lists always there. */
static const struct model_field api_fields[] = {
        FIELD("authentication", STRING),
        FIELD("cors", BOOL),
        FIELD("enabled", BOOL),
        FIELD("function", STRING, .flags = MODEL_REQUIRED),
        FIELD("hosts", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD("id", UUID, .flags = MODEL_READONLY),
        FIELD("kind", STRING, .flags = MODEL_READONLY),
        FIELD("methods", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD_NAME(MODEL_REQUIRED),
        FIELD("protocols", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_NOT_SEED),
        FIELD_STATUS,
        FIELD("tags", OBJECTS, .flags = MODEL_ALWAYS, .sub = tag_fields),
        FIELD("tls", ANY),
        FIELD("uris", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD_CONDITIONS,
        END,
};
/* clang-format on */

/* An instance count that contradicts itself, or a network rule that nothing would ever apply. */
static enum err_code function_check(const json_t *document, struct err *err)
{
        const json_t *network = json_object_get(document, "network");
        const json_t *instances_max = json_object_get(document, "maxInstances");
        json_int_t instances_min = json_integer_value(json_object_get(document, "minInstances"));
        enum err_code code = ERR_OK;

        if (instances_max != NULL && instances_min > json_integer_value(instances_max))
                code = err_set(err, ERR_UNPROCESSABLE,
                               "minInstances in body should be less than or equal to maxInstances");
        else if (json_object_get(network, "allow") != NULL &&
                 !str_eq(json_str(network, "mode"), STR("egress")))
                code = err_set(err, ERR_UNPROCESSABLE,
                               "network.allow in body needs network.mode to be egress");
        if (code != ERR_OK && err != NULL)
                err->detail = 606;
        return code;
}

static const struct model_resource resources[] = {
        [MODEL_BASE_IMAGE] = {MODEL_BASE_IMAGE, "BaseImage", "base image", "baseimage", "baseImageName",
                              "body", MODEL_PATTERN_P3, base_image_fields, NULL},
        [MODEL_IMAGE] = {MODEL_IMAGE, "Image", "image", "image", "imageName", "body", MODEL_PATTERN_P3,
                         image_fields, NULL},
        [MODEL_FUNCTION] = {MODEL_FUNCTION, "Function", "function", "function", "functionName", "body",
                            MODEL_PATTERN_P1, function_fields, function_check},
        [MODEL_RUN] = {MODEL_RUN, "Run", "run", "runs", "runName", "body", MODEL_PATTERN_ANY, run_fields,
                       NULL},
        [MODEL_SECRET] = {MODEL_SECRET, "Secret", "secret", "secret", "secretName", "secret",
                          MODEL_PATTERN_P1, secret_fields, NULL},
        [MODEL_ENDPOINT] = {MODEL_ENDPOINT, "Endpoint", "endpoint", "endpoint", "endpoint", "body",
                            MODEL_PATTERN_P3, endpoint_fields, NULL},
        [MODEL_API] = {MODEL_API, "API", "API", "api", "api", "body", MODEL_PATTERN_P3, api_fields, NULL},
};

const struct model_resource *model_resource(enum model_kind kind)
{
        assert(kind < MODEL_KIND_COUNT);
        return &resources[kind];
}

const struct model_resource *model_resource_named(struct str kind_name)
{
        for (int kind = 0; kind < MODEL_KIND_COUNT; kind++)
                if (str_eq(str_of(resources[kind].kind_name), kind_name))
                        return &resources[kind];
        return NULL;
}
