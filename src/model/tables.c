/*
 * model/tables.c: the resources' fields, in the order in which the original's encoder prints them:
 * CONTRACT 6.4 for SEED, its sections 4 and 5 for the other names, section 10 for what is ours. The limits of
 * our own fields are chosen so that no value can make the engine's arithmetic overflow or a sandbox unusable.
 */
#include "model/tables.h"

#include "base/allow.h"

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
static const char *const protocol_values[] = {"http", "dispatch", NULL};
static const char *const isolation_values[] = {"instance", "run", NULL};

static const struct model_field tag_fields[] = {
        FIELD("key", STRING, .about = "Name of the tag."),
        FIELD("value", STRING, .about = "Value of the tag."),
        END,
};

static const struct model_field condition_fields[] = {
        FIELD("type", STRING, .about = "What the condition is about: `Ready`."),
        FIELD("status", STRING, .about = "`True`, `False` or `Unknown`."),
        FIELD("reason", STRING, .about = "The status that the resource is in, as one word."),
        FIELD("message", STRING, .about = "The reasons, in one line."),
        FIELD("lastTransitionTime", STRING, .about = "RFC 3339."),
        END,
};

#define FIELD_TAGS                                                                                           \
        FIELD("tags", OBJECTS, .flags = MODEL_SOLO_ALWAYS, .sub = tag_fields,                                \
              .about = "Labels, to find resources by.")
#define FIELD_STATUS                                                                                         \
        FIELD("status", STRING, .flags = MODEL_READONLY, .values = status_values,                            \
              .about = "Where the resource is on its way; pending until READY or ERROR.")
#define FIELD_SPEC                                                                                           \
        FIELD("spec", STRING, .flags = MODEL_READONLY, .values = spec_values,                                \
              .about = "What is wanted of it.")
#define FIELD_REASON                                                                                         \
        FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_ALWAYS, .about = "Why the status is ERROR.")
#define FIELD_CONDITIONS                                                                                     \
        FIELD("conditions", OBJECTS, .flags = MODEL_READONLY | MODEL_OURS, .sub = condition_fields,          \
              .about = "The same for programs: one condition, `Ready`.")

/* Metadata, inlined at the top level of all resources but secrets and runs. */
#define FIELD_NAME(more)                                                                                     \
        FIELD("name", STRING, .flags = (more), .pattern = MODEL_PATTERN_P2, .pattern_text = FRIENDLY,        \
              .max = MODEL_NAME_MAX, .about = "Name, unique within its scope.")
#define FIELDS_META(more)                                                                                    \
        FIELD("kind", STRING, .flags = MODEL_READONLY | MODEL_META, .about = "Kind of the resource."),       \
                FIELD_NAME((more) | MODEL_META),                                                             \
                FIELD("id", UUID, .flags = MODEL_READONLY | MODEL_META, .about = "Id, made by the server."), \
                FIELD("project", STRING, .flags = MODEL_READONLY | MODEL_META,                               \
                      .about = "Project; base images belong to the organization alone."),                    \
                FIELD("org", STRING, .flags = MODEL_READONLY | MODEL_META, .about = "Organization."),        \
                FIELD("createdTime", INTEGER, .flags = MODEL_READONLY | MODEL_META,                          \
                      .about = "Seconds since 1970."),                                                       \
                FIELD("modifiedTime", INTEGER, .flags = MODEL_READONLY | MODEL_META,                         \
                      .about = "Seconds since 1970."),                                                       \
                FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_META | MODEL_NOT_SEED,             \
                      .about = "Grows with every change; an update that carries an old one is a 409."),      \
                FIELD("tags", OBJECTS, .flags = MODEL_META | MODEL_SOLO_ALWAYS, .sub = tag_fields,           \
                      .about = "Labels, to find resources by."),                                             \
                FIELD("backingObject", ANY, .flags = MODEL_READONLY | MODEL_META,                            \
                      .about = "What stands behind it on this server.")

/* clang-format off */
static const struct model_field base_image_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("dockerUrl", STRING, .flags = MODEL_REQUIRED, .about = "Reference of the image."),
        FIELD("imageURL", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "dockerUrl",
              .about = "Another name of `dockerUrl`."),
        FIELD("groups", STRINGS, .flags = MODEL_ALWAYS, .about = "Kept as it is sent."),
        FIELD("registrySecret", STRING, .flags = MODEL_OURS, .pattern = MODEL_PATTERN_P2, .pattern_text = FRIENDLY,
              .about = "Secret with the registry's credentials: username and password, or .dockerconfigjson."),
        FIELD("language", STRING, .flags = MODEL_REQUIRED,
              .about = "Language of the functions that run on it; empty: what the image is one for."),
        FIELD_REASON,
        FIELD_SPEC,
        FIELD_STATUS,
        FIELD_CONDITIONS,
        END,
};

static const struct model_field runtime_dependency_fields[] = {
        FIELD("manifest", STRING, .about = "Packages of the language, in the form of its package manager."),
        FIELD("lock", STRING, .about = "What the package manager has locked them to, where it does."),
        END,
};

static const struct model_field package_fields[] = {
        FIELD("name", STRING, .flags = MODEL_REQUIRED, .about = "Name of the package."),
        FIELD("version", STRING, .about = "Its version."),
        END,
};

static const struct model_field system_dependency_fields[] = {
        FIELD("packages", OBJECTS, .flags = MODEL_ALWAYS, .sub = package_fields,
              .about = "Packages of the distribution."),
        END,
};

static const struct model_field image_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("baseImageName", STRING, .flags = MODEL_REQUIRED,
              .about = "Name of a base image of the organization; else, with a `/`, `:` or `@` in it, an image reference."),
        FIELD("baseImage", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "baseImageName",
              .about = "Another name of `baseImageName`."),
        FIELD("dockerUrl", STRING, .flags = MODEL_ALIAS, .of = "imageDestination",
              .about = "Another name of `imageDestination`."),
        FIELD("imageURL", STRING, .flags = MODEL_ALIAS | MODEL_NOT_SEED, .of = "imageDestination",
              .about = "Another name of `imageDestination`."),
        FIELD("imageDestination", STRING,
              .about = "Name under which the image is kept; made by the server unless it is given. Once "
                       "--image-registry has the image: where, by digest."),
        FIELD("groups", STRINGS, .flags = MODEL_ALWAYS, .about = "Kept as it is sent."),
        FIELD("language", STRING, .flags = MODEL_READONLY, .about = "Language of the base image."),
        FIELD_REASON,
        FIELD("runtimeDependencies", OBJECT, .sub = runtime_dependency_fields,
              .about = "Packages of the language that the image adds."),
        FIELD_SPEC,
        FIELD_STATUS,
        FIELD("systemDependencies", OBJECT, .sub = system_dependency_fields,
              .about = "Packages of the distribution that the image adds."),
        FIELD("registrySecret", STRING, .flags = MODEL_OURS, .pattern = MODEL_PATTERN_P2, .pattern_text = FRIENDLY,
              .about = "Secret of the project with the registry's credentials, where `baseImageName` is a reference."),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field schema_fields[] = {
        FIELD("in", DICT, .flags = MODEL_ALWAYS, .about = "JSON Schema of the input."),
        FIELD("out", DICT, .flags = MODEL_ALWAYS, .about = "JSON Schema of the output."),
        END,
};

static const struct model_field network_fields[] = {
        FIELD("mode", STRING, .values = network_modes, .initial = "\"none\"",
              .about = "`none`, or `egress`: connections to the outside, but never to the host, to other "
                       "functions or to metadata services."),
        FIELD("allow", STRINGS, .max = 64,
              .about = "What egress is limited to: host names (`example.com`, `*.example.com`), IPv4 addresses "
                       "and ranges (`192.0.2.0/24`); absent or empty: no such limit."),
        END,
};

static const struct model_field function_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("source", BASE64, .flags = MODEL_WRITEONLY,
              .about = "base64 of a tar archive, which may be compressed; kept when an update leaves it out."),
        FIELD("sourceURL", STRING, .about = "Where the source is kept."),
        FIELD("sourcePath", STRING,
              .about = "Kept as it is sent: the path on the machine of whoever made the function."),
        FIELD("image", STRING, .flags = MODEL_SOLO_ALWAYS, .about = "Name of an image of the project."),
        FIELD("imageUrl", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("functionImageURL", STRING, .flags = MODEL_READONLY,
              .about = "Name of the image that the function is built into."),
        FIELD("buildTemplate", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("serviceAccount", STRING, .flags = MODEL_YAML_ONLY),
        FIELD("handler", STRING, .flags = MODEL_SOLO_ALWAYS,
              .about = "Entry point, as the language names it; empty: found by the language's rules."),
        FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_SOLO_ALWAYS,
              .about = "Why the status is ERROR."),
        FIELD("schema", OBJECT, .sub = schema_fields, .about = "JSON Schemas of input and output."),
        FIELD("secrets", STRINGS, .flags = MODEL_SOLO_ALWAYS,
              .about = "Names of secrets of the project, whose keys the handler sees in `context.secrets`."),
        FIELD("services", STRINGS, .flags = MODEL_SOLO_ALWAYS, .about = "Names of service instances."),
        FIELD_STATUS,
        FIELD("timeout", INTEGER, .max = 86400000,
              .about = "Deadline of a run in milliseconds; 0: the server's default."),
        FIELD("faasId", UUID, .flags = MODEL_READONLY | MODEL_NOT_SEED,
              .about = "Id of the function in the engine."),
        FIELD("memory", INTEGER, .flags = MODEL_OURS, .min = 16, .max = 65536, .initial = "256",
              .about = "MiB of an instance."),
        FIELD("cpu", INTEGER, .flags = MODEL_OURS, .min = 10, .max = 128000, .initial = "1000",
              .about = "Thousandths of a processor."),
        FIELD("env", MAP, .flags = MODEL_OURS, .pattern = MODEL_PATTERN_VARIABLE, .max = 256,
              .about = "Environment variables."),
        FIELD("network", OBJECT, .flags = MODEL_OURS, .initial = "{}", .sub = network_fields,
              .about = "What the function reaches."),
        FIELD("isolation", STRING, .flags = MODEL_OURS, .values = isolation_values, .initial = "\"instance\"",
              .about = "`instance`: runs follow each other in one; `run`: each run gets a new process."),
        FIELD("concurrency", INTEGER, .flags = MODEL_OURS, .min = 1, .max = 1000, .initial = "1",
              .about = "Runs that one instance has in hand at a time: above 1 for handlers that are async (python3, nodejs)."),
        FIELD("minInstances", INTEGER, .flags = MODEL_OURS, .max = 1000, .initial = "0",
              .about = "Instances that are kept."),
        FIELD("maxInstances", INTEGER, .flags = MODEL_OURS, .min = 1, .max = 10000,
              .about = "Instances that there may be; absent: what the host carries."),
        FIELD("idleTimeout", INTEGER, .flags = MODEL_OURS, .max = 86400000, .initial = "600000",
              .about = "Milliseconds until an idle instance is ended."),
        FIELD("functionImage", STRING, .flags = MODEL_OURS, .max = 512,
              .about = "Reference of an OCI image that is the whole function, in place of source, image and handler."),
        FIELD("registrySecret", STRING, .flags = MODEL_OURS, .pattern = MODEL_PATTERN_P2,
              .about = "Name of a secret of the project with the registry's credentials for functionImage."),
        FIELD("protocol", STRING, .flags = MODEL_OURS, .values = protocol_values,
              .about = "What functionImage speaks on its port: `http`, or `dispatch` for the messages of the original; empty: what its labels say."),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field run_error_fields[] = {
        FIELD("message", STRING, .flags = MODEL_REQUIRED, .about = "What went wrong."),
        FIELD("stacktrace", STRINGS, .about = "Lines of the handler's trace."),
        FIELD("type", STRING, .flags = MODEL_REQUIRED,
              .about = "`InputError`, `FunctionError` or `SystemError`."),
        END,
};

static const struct model_field log_fields[] = {
        FIELD("stderr", STRINGS, .flags = MODEL_ALWAYS,
              .about = "Lines that the handler wrote to standard error."),
        FIELD("stdout", STRINGS, .flags = MODEL_ALWAYS,
              .about = "Lines that the handler wrote to standard output."),
        END,
};

static const struct model_field run_fields[] = {
        FIELD("blocking", BOOL,
              .about = "Wait for the end of the run; false: 202 at once, and the run goes on."),
        FIELD("error", OBJECT, .flags = MODEL_READONLY, .sub = run_error_fields,
              .about = "Why the run failed."),
        FIELD("event", DICT, .about = "CloudEvent that caused the run."),
        FIELD("executedTime", INTEGER, .flags = MODEL_READONLY, .about = "Seconds since 1970."),
        FIELD("faasId", UUID, .flags = MODEL_READONLY, .about = "Id of the function in the engine."),
        FIELD("finishedTime", INTEGER, .flags = MODEL_READONLY, .about = "Seconds since 1970."),
        FIELD("functionId", STRING, .flags = MODEL_READONLY, .about = "Id of the function."),
        FIELD("functionName", STRING, .flags = MODEL_READONLY, .about = "Name of the function."),
        FIELD("httpContext", DICT,
              .about = "Header fields of the run: `Content-Type` of `inputBytes`, `Accept` of `outputBytes`, others."),
        FIELD("input", ANY,
              .about = "Input as a value; the reply is the whole run, with `output`, `logs` and `error`."),
        FIELD("inputBytes", BASE64, .about = "Input as base64 of bytes; the reply has `outputBytes`."),
        FIELD("logs", OBJECT, .flags = MODEL_READONLY, .sub = log_fields,
              .about = "What the handler printed."),
        FIELD("name", UUID, .flags = MODEL_READONLY, .about = "Id of the run."),
        FIELD("output", ANY, .flags = MODEL_READONLY, .about = "What the handler returned."),
        FIELD("outputBytes", BASE64, .flags = MODEL_READONLY,
              .about = "base64 of the message `{\"context\": {\"error\", \"logs\"}, \"payload\"}`."),
        FIELD("reason", STRINGS, .flags = MODEL_READONLY | MODEL_SOLO_ALWAYS,
              .about = "Why the run failed, in one line."),
        FIELD("secrets", STRINGS, .flags = MODEL_SOLO_ALWAYS,
              .about = "Names of secrets: the function's, and those that the run adds."),
        FIELD("services", STRINGS, .flags = MODEL_SOLO_ALWAYS, .about = "Names of service instances."),
        FIELD_STATUS,
        FIELD_TAGS,
        FIELD("payloadEncoding", STRING, .flags = MODEL_READONLY | MODEL_OURS,
              .about = "`base64` when input or output are bytes that are no text."),
        FIELD("executedAt", STRING, .flags = MODEL_READONLY | MODEL_OURS, .about = "RFC 3339."),
        FIELD("finishedAt", STRING, .flags = MODEL_READONLY | MODEL_OURS, .about = "RFC 3339."),
        FIELD("start", STRING, .flags = MODEL_READONLY | MODEL_OURS,
              .about = "Where the instance came from: `hot`, `ahead`, `template`, `zygote`, `stem` or `boot`."),
        FIELD("timing", DICT, .flags = MODEL_READONLY | MODEL_OURS,
              .about = "Microseconds: `queue`, `sandbox`, `start`, `import`, `handler`."),
        FIELD("usage", DICT, .flags = MODEL_READONLY | MODEL_OURS,
              .about = "`cpuMicros`, `memoryPeakBytes`, `ioReadBytes` and `ioWriteBytes`."),
        FIELD_CONDITIONS,
        END,
};

static const struct model_field secret_meta_fields[] = {
        FIELDS_META(0),
        END,
};

static const struct model_field secret_fields[] = {
        FIELD("meta", OBJECT, .flags = MODEL_NESTED, .sub = secret_meta_fields,
              .about = "The metadata, where SEED's clients look for it."),
        FIELD("id", UUID, .flags = MODEL_READONLY, .about = "Id of the secret."),
        FIELD("kind", STRING, .flags = MODEL_READONLY, .about = "`Secret`."),
        FIELD_NAME(MODEL_REQUIRED),
        FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_NOT_SEED, .about = "That of `meta`."),
        FIELD("secrets", MAP, .about = "The secret: strings by key."),
        FIELD_TAGS,
        FIELD_CONDITIONS,
        END,
};

static const struct model_field endpoint_fields[] = {
        FIELDS_META(MODEL_REQUIRED),
        FIELD("authentication", STRING, .flags = MODEL_NOT_SEED, .about = "Who may call it: `public`."),
        FIELD("cors", BOOL, .about = "Answer cross-origin requests."),
        FIELD("enabled", BOOL, .about = "Routed; false: as if it were not there."),
        FIELD("function", STRING, .flags = MODEL_REQUIRED, .about = "Name of a function of the project."),
        FIELD("hosts", STRINGS, .flags = MODEL_SOLO_ALWAYS, .max = 64,
              .about = "Hosts that it answers to; `*`: any. Empty: `PROJECT.ORGANIZATION.DISPATCH-HOST`."),
        FIELD("methods", STRINGS, .max = 64,
              .about = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; empty: GET."),
        FIELD("protocols", STRINGS, .max = 64, .about = "`http`, `https`; empty: `http`."),
        FIELD_STATUS,
        FIELD("tls", ANY, .flags = MODEL_NOT_SEED, .about = "Not available in this version."),
        FIELD("uris", STRINGS, .max = 64, .about = "Paths; one that ends in `/*` is a prefix. Empty: `/`."),
        FIELD_CONDITIONS,
        END,
};

/* The same resource as SOLO has it: flat, its lists always there. */
static const struct model_field api_fields[] = {
        FIELD("authentication", STRING, .about = "Who may call it: `public`."),
        FIELD("cors", BOOL, .about = "Answer cross-origin requests."),
        FIELD("enabled", BOOL, .about = "Routed; false: as if it were not there."),
        FIELD("function", STRING, .flags = MODEL_REQUIRED, .about = "Name of a function of the project."),
        FIELD("hosts", STRINGS, .flags = MODEL_ALWAYS, .max = 64,
              .about = "Hosts that it answers to. Empty: any, with `/ORGANIZATION` in front of every path."),
        FIELD("id", UUID, .flags = MODEL_READONLY, .about = "Id of the API."),
        FIELD("kind", STRING, .flags = MODEL_READONLY, .about = "`API`."),
        FIELD("methods", STRINGS, .flags = MODEL_ALWAYS, .max = 64,
              .about = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; empty: GET."),
        FIELD_NAME(MODEL_REQUIRED),
        FIELD("protocols", STRINGS, .flags = MODEL_ALWAYS, .max = 64,
              .about = "`http`, `https`; empty: `http`."),
        FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_NOT_SEED,
              .about = "Grows with every change; an update that carries an old one is a 409."),
        FIELD_STATUS,
        FIELD("tags", OBJECTS, .flags = MODEL_ALWAYS, .sub = tag_fields, .about = "Labels, to find resources by."),
        FIELD("tls", ANY, .about = "Not available in this version."),
        FIELD("uris", STRINGS, .flags = MODEL_ALWAYS, .max = 64,
              .about = "Paths; one that ends in `/*` is a prefix. Empty: `/`."),
        FIELD_CONDITIONS,
        END,
};
/* clang-format on */

static enum err_code allow_check(const json_t *allow, struct err *err)
{
        size_t index, bytes = 1;
        const json_t *item;

        json_array_foreach(allow, index, item)
        {
                struct str text = {json_string_value(item), json_string_length(item)};
                struct ipv4_range range;
                bool is_range = ipv4_range_parse(text, &range);
                if (!is_range && !allow_host_valid(text))
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "network.allow.%zu in body should be a host name, *.DOMAIN, an IPv4 "
                                       "address or a range ADDRESS/PREFIX without bits behind the prefix",
                                       index);
                if (is_range && allow_range_is_never(&range))
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "network.allow.%zu in body is out of reach of every function", index);
                bytes += text.len + 1;
        }
        if (bytes > ALLOW_BYTES_MAX)
                return err_set(err, ERR_UNPROCESSABLE,
                               "network.allow in body should be at most %d characters in all",
                               ALLOW_BYTES_MAX - ALLOW_ITEMS_MAX);
        return ERR_OK;
}

/* An image that is the whole function leaves nothing to the fields that say how to make one. */
static enum err_code function_image_check(const json_t *document, struct err *err)
{
        static const char *const others[] = {"image", "handler", "source"};
        static const char *const its[] = {"registrySecret", "protocol"};

        if (json_str(document, "functionImage").len == 0) {
                for (size_t i = 0; i < sizeof(its) / sizeof(its[0]); i++) {
                        if (json_str(document, its[i]).len > 0)
                                return err_set(err, ERR_UNPROCESSABLE, "%s in body needs functionImage",
                                               its[i]);
                }
                return ERR_OK;
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                if (json_str(document, others[i]).len > 0)
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "%s in body does not go with functionImage, which is the whole "
                                       "function",
                                       others[i]);
        }
        return ERR_OK;
}

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
        else
                code = allow_check(json_object_get(network, "allow"), err);
        if (code == ERR_OK)
                code = function_image_check(document, err);
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
