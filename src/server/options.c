/* server/options.c: the table of options and the three places that they are read from. */
#include "server/options.h"

#include "base/own.h"
#include "base/str.h"
#include "model/yaml.h"
#include "wire/egress.h"

#include <ctype.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CONFIG_BYTES_MAX = 1 << 20, VARIABLE_MAX = 64 };

enum option_type { OPTION_TEXT, OPTION_SECRET, OPTION_LIST, OPTION_NUMBER, OPTION_SWITCH };

struct option {
        const char *name;
        enum option_type type;
        size_t offset;
        const char *initial;
        uint64_t min, max; /* of a number */
        const char *help;
};

#define TEXT(name, field, initial, help)                                                                     \
        {                                                                                                    \
                name, OPTION_TEXT, offsetof(struct server_options, field), initial, 0, 0, help               \
        }
/* A text that no command line of ours repeats. */
#define SECRET(name, field, help)                                                                            \
        {                                                                                                    \
                name, OPTION_SECRET, offsetof(struct server_options, field), "", 0, 0, help                  \
        }
/* Of texts; given more than once on a command line, its values are joined by commas. */
#define LIST(name, field, initial, help)                                                                     \
        {                                                                                                    \
                name, OPTION_LIST, offsetof(struct server_options, field), initial, 0, 0, help               \
        }
#define NUMBER(name, field, initial, min, max, help)                                                         \
        {                                                                                                    \
                name, OPTION_NUMBER, offsetof(struct server_options, field), initial, min, max, help         \
        }
#define SWITCH(name, field, help)                                                                            \
        {                                                                                                    \
                name, OPTION_SWITCH, offsetof(struct server_options, field), "false", 0, 1, help             \
        }

enum { DAY_MS = 86400000 };

static const struct option options_table[] = {
        TEXT("config", config, "", "configuration file (YAML or JSON); its keys are these names"),
        TEXT("state-dir", state_dir, "/var/lib/dispatch", "directory of everything that must survive"),
        TEXT("user", user, "dispatch", "user of the server process; a reserved id where it does not exist"),
        TEXT("host", host, "127.0.0.1", "address of the API; other than loopback only with --skip-auth"),
        NUMBER("port", port, "8080", 0, 65535, "port of the API; 0 takes a free one"),
        TEXT("socket", socket, "",
             "Unix socket of the API; default STATE-DIR/dispatch.sock, \"none\" for no socket"),
        TEXT("gateway-host", gateway_host, "", "address of the endpoints; default that of --host"),
        NUMBER("gateway-port", gateway_port, "8081", 0, 65535, "port of the endpoints; 0 takes a free one"),
        SWITCH("enable-tls", enable_tls, "serve HTTPS too, for the API and for the endpoints"),
        NUMBER("tls-port", tls_port, "8443", 0, 65535, "port of the API by HTTPS; 0 takes a free one"),
        NUMBER("gateway-tls-port", gateway_tls_port, "8444", 0, 65535,
               "port of the endpoints by HTTPS; 0 takes a free one"),
        LIST("tls-certificate", tls_certificate, "",
             "file of a certificate and what it is signed with (PEM); may be repeated, for other hosts; "
             "default one that signs itself"),
        LIST("tls-certificate-key", tls_certificate_key, "",
             "file of the certificate's private key (PEM); as often as --tls-certificate"),
        SWITCH("disable-http", disable_http, "no HTTP in clear on --port and --gateway-port"),
        SWITCH("skip-auth", skip_auth, "take calls without credentials on any address"),
        TEXT("namespace", organization, "dispatch-server", "default organization"),
        TEXT("dispatch-host", dispatch_host, "dispatch.local",
             "endpoints get the host PROJECT.ORGANIZATION.DISPATCH-HOST"),
        TEXT("image-registry", image_registry, "dispatch",
             "where functions and images are pushed, HOST[:PORT]/PATH; \"dispatch\" pushes none"),
        SWITCH("disable-registry", disable_registry, "push images nowhere"),
        TEXT("registry-auth-file", registry_auth_file, "",
             "file of credentials for registries, in the form of docker's config.json"),
        SECRET("registry-auth", registry_auth,
               "credentials for --image-registry: {\"username\", \"password\"} as JSON, or base64 of it; "
               "better in "
               "a file"),
        LIST("registry-insecure", registry_insecure, "",
             "registries, HOST[:PORT], that may speak plain HTTP or have any certificate"),
        LIST("registry-local", registry_local, "",
             "registries, HOST[:PORT], that are reached through this host's own network (loopback)"),
        TEXT("registry-ca", registry_ca, "",
             "file, or folder of *.crt and *.pem, of certificates that registries' are signed with"),
        NUMBER("registry-timeout", registry_patience_s, "60", 1, 3600,
               "seconds of silence after which a registry is given up"),
        LIST("image-folders", image_folders, "",
             "folders of this host from which oci:, oci-archive: and docker-archive: may be taken"),
        TEXT("image-references", image_references, "dispatchframework/*-base=builtin:*",
             "references that stand for built-in images, PATTERN=TARGET, separated by commas; empty for "
             "none"),
        TEXT("storage", storage, "file", "where sources of functions are kept: file, minio or s3"),
        TEXT("file-sourceroot", file_sourceroot, "",
             "directory of the sources (with minio and s3: of copies of them); default below STATE-DIR"),
        TEXT("minio-username", minio_username, "", "access key of --storage minio"),
        SECRET("minio-password", minio_password, "secret key of --storage minio; better in the environment"),
        TEXT("minio-address", minio_address, "minio.minio.svc.cluster.local:9000",
             "HOST:PORT of --storage minio; https://HOST:PORT for one with TLS"),
        TEXT("s3-endpoint", s3_endpoint, "",
             "http[s]://HOST[:PORT] of the object store; default Amazon's of --s3-region, or "
             "--minio-address"),
        TEXT("s3-bucket", s3_bucket, "", "bucket of the sources; default dispatch with --storage minio"),
        TEXT("s3-region", s3_region, "us-east-1", "region that requests to the object store are signed for"),
        TEXT("s3-prefix", s3_prefix, "", "what the names of objects begin with, such as team/dispatch/"),
        SWITCH("s3-path-style", s3_path_style,
               "the bucket in the path of URLs, not in the host; always so with --storage minio"),
        TEXT("s3-access-key", s3_access_key, "", "access key of the object store"),
        SECRET("s3-secret-key", s3_secret_key, "its secret key; better in the environment or in a file"),
        TEXT("s3-secret-key-file", s3_secret_key_file, "",
             "file of the secret key, which root alone may read"),
        SECRET("s3-session-token", s3_session_token, "session token of temporary credentials"),
        TEXT("s3-ca", s3_ca, "",
             "file of certificates (PEM) that the object store's is signed with; default the host's"),
        NUMBER("s3-part-mib", s3_part_mib, "16", 5, 1024,
               "larger sources are uploaded in parts of this size"),
        NUMBER("s3-timeout-ms", s3_timeout_ms, "30000", 1000, 600000,
               "time without a byte before the object store counts as not answering"),
        NUMBER("gc-grace", gc_grace_s, "3600", 0, 31536000,
               "seconds after which layers, sources and objects that nothing refers to are removed"),
        NUMBER("loops", loops, "0", 0, 256, "event loops; 0: one a processor"),
        NUMBER("run-timeout-ms", run_timeout_ms, "60000", 1, DAY_MS,
               "deadline of a run whose function sets none"),
        NUMBER("start-timeout-ms", start_timeout_ms, "30000", 100, DAY_MS,
               "time for an instance to load its handler"),
        NUMBER("queue-requests", queue_requests, "1000", 1, 1000000,
               "requests that may wait for one function"),
        NUMBER("queue-wait-ms", queue_wait_ms, "30000", 1, DAY_MS,
               "how long a request waits for an instance"),
        NUMBER("drain-idle-ms", drain_idle_ms, "5000", 0, DAY_MS,
               "time that idle connections to endpoints are still served after an upgrade"),
        NUMBER("drain-ms", drain_ms, "30000", 0, DAY_MS, "time for runs to end when the server stops"),
        NUMBER("request-bytes-max", request_bytes_max, "10485760", 1024, 1 << 30, "body of a request"),
        NUMBER("reply-bytes-max", reply_bytes_max, "10485760", 1024, 1 << 30, "body of a reply"),
        NUMBER("log-bytes-max", log_bytes_max, "1048576", 1024, 1 << 30, "log of a run"),
        NUMBER("source-bytes-max", source_bytes_max, "67108864", 1024, 1 << 30,
               "source archive of a function, packed"),
        LIST("organization-limits", organization_limits, "",
             "what all instances of an organization may have together, "
             "NAME:memory=MIB:cpu=MILLICORES:processes=N; * for all others"),
        NUMBER("pool-memory", pool_memory_mib, "0", 0, 1 << 26,
               "MiB that idle instances, templates and zygotes may hold together; 0: a quarter of the "
               "host's"),
        NUMBER("instances-max", instances_max, "0", 0, 1000000, "instances on this host; 0: what it carries"),
        NUMBER("instance-pids-max", instance_pids_max, "256", 4, 32768,
               "processes and threads of an instance"),
        NUMBER("instance-tmp-mib", instance_tmp_mib, "64", 1, 65536, "size of an instance's /tmp"),
        TEXT("network-range", network_range, NETWORK_RANGE_DEFAULT_TEXT,
             "range of IPv4 addresses, /8 to /26, out of which functions and builds with a network get "
             "theirs; a "
             "part that no route of the host touches is taken"),
        NUMBER("runs-keep", runs_keep, "1000", 0, 100000000, "records kept of a function's runs; 0: all"),
        NUMBER("header-bytes-max", header_bytes_max, "65536", 1024, 1 << 20,
               "request line and fields of a request"),
        NUMBER("header-count-max", header_count_max, "100", 8, 200, "fields of a request"),
        NUMBER("header-timeout-ms", header_timeout_ms, "30000", 100, DAY_MS,
               "time for the head of a request"),
        NUMBER("body-timeout-ms", body_timeout_ms, "30000", 100, DAY_MS, "time without a byte of a body"),
        NUMBER("write-timeout-ms", write_timeout_ms, "60000", 100, DAY_MS,
               "time without progress of a reply"),
        NUMBER("idle-timeout-ms", idle_timeout_ms, "75000", 100, DAY_MS,
               "time between requests on a connection"),
        NUMBER("tls-handshake-timeout-ms", handshake_timeout_ms, "10000", 100, DAY_MS,
               "time for the handshake of TLS"),
        NUMBER("connections-max", connections_max, "4096", 1, 1000000, "connections of one loop"),
        LIST("build-env", build_env, "",
             "NAME=VALUE in the environment of what installs packages into images: proxies, indexes; may be "
             "repeated"),
        TEXT("package-allow", package_allow, "",
             "file with the packages that images may add to their base; default all"),
        NUMBER("build-timeout-ms", build_timeout_ms, "1800000", 1000, DAY_MS,
               "time for an image's packages to be installed"),
        NUMBER("build-memory-mib", build_memory_mib, "2048", 64, 1 << 20, "memory for that"),
        NUMBER("build-disk-mib", build_disk_mib, "4096", 16, 1 << 20,
               "disk for that, what is only needed on the way included"),
        TEXT("runtime-dir", runtime_dir, "",
             "directory of the languages' runtimes; default beside this program"),
        TEXT("helper-dir", helper_dir, "",
             "directory of dispatch-spawn, -build and -init; default beside this program"),
        SWITCH("debug", debug, "log more"),
        SWITCH("help", help, "print this text"),
        SWITCH("version", version, "print the version"),
};
enum { OPTION_COUNT = sizeof(options_table) / sizeof(options_table[0]) };

/* The original's servers have these; here they say so instead of being taken and ignored. */
static const char *const options_later[] = {
        "kubeconfig",    "build-image",   "ingress-gateway-ip", "internal-gateway", "shared-gateway",
        "db-file",       "db-backend",    "db-database",        "db-username",      "db-password",
        "resync-period", "image-manager", "function-manager",   "secret-store",     "lets-encrypt-domain",
        "tracer",        "docker-host",   "events-gateway",
};

static const struct option *option_find(struct str name)
{
        for (size_t i = 0; i < OPTION_COUNT; i++) {
                if (str_eq(str_of(options_table[i].name), name))
                        return &options_table[i];
        }
        return NULL;
}

static enum err_code option_unknown(struct str name, const char *where, struct err *err)
{
        for (size_t i = 0; i < sizeof(options_later) / sizeof(options_later[0]); i++) {
                if (str_eq(str_of(options_later[i]), name))
                        return err_set(err, ERR_INVALID,
                                       "%s%.*s is an option of the original that this version does not have",
                                       where, STR_ARG(name));
        }
        return err_set(err, ERR_INVALID, "unknown option %s%.*s; 'dispatch-server --help' lists them", where,
                       STR_ARG(name));
}

static enum err_code set_text(char **slot, struct str value, struct err *err)
{
        char *copy = strndup(value.p != NULL ? value.p : "", value.len);

        if (copy == NULL)
                return err_nomem(err);
        free(*slot);
        *slot = copy;
        return ERR_OK;
}

static enum err_code option_set(struct server_options *options, const struct option *option, struct str value,
                                const char *where, struct err *err)
{
        void *slot = (char *)options + option->offset;
        uint64_t number;

        switch (option->type) {
        case OPTION_TEXT:
        case OPTION_SECRET:
        case OPTION_LIST:
                return set_text(slot, value, err);
        case OPTION_NUMBER:
                if (!str_to_u64(value, &number) || number < option->min || number > option->max)
                        return err_set(err, ERR_INVALID, "%s%s takes a number from %llu to %llu, not '%.*s'",
                                       where, option->name, (unsigned long long)option->min,
                                       (unsigned long long)option->max, STR_ARG(value));
                *(uint64_t *)slot = number;
                return ERR_OK;
        case OPTION_SWITCH:
                if (!str_eq(value, STR("true")) && !str_eq(value, STR("false")))
                        return err_set(err, ERR_INVALID, "%s%s takes true or false, not '%.*s'", where,
                                       option->name, STR_ARG(value));
                *(bool *)slot = str_eq(value, STR("true"));
                return ERR_OK;
        }
        return ERR_OK;
}

static enum err_code read_defaults(struct server_options *options, struct err *err)
{
        for (size_t i = 0; i < OPTION_COUNT; i++) {
                enum err_code code =
                        option_set(options, &options_table[i], str_of(options_table[i].initial), "", err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* DISPATCH_GATEWAY_PORT for gateway-port. */
static void variable_name(const struct option *option, char out[VARIABLE_MAX])
{
        snprintf(out, VARIABLE_MAX, "DISPATCH_%s", option->name);
        for (char *c = out; *c != '\0'; c++)
                *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static const char *variable_get(char *const *environment, const char *name)
{
        size_t len = strlen(name);

        for (; environment != NULL && *environment != NULL; environment++) {
                if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
                        return *environment + len + 1;
        }
        return NULL;
}

/* DISPATCH_CONFIG is the client's, and these make no sense for every start. */
static bool only_flag(const char *name)
{
        return strcmp(name, "config") == 0 || strcmp(name, "help") == 0 || strcmp(name, "version") == 0;
}

static enum err_code read_environment(struct server_options *options, char *const *environment,
                                      struct err *err)
{
        char name[VARIABLE_MAX];

        for (size_t i = 0; i < OPTION_COUNT; i++) {
                const struct option *option = &options_table[i];
                variable_name(option, name);
                const char *value = only_flag(option->name) ? NULL : variable_get(environment, name);
                if (value == NULL)
                        continue;
                enum err_code code = option_set(options, option, str_of(value), "environment: ", err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* Behind what the flags before it gave. */
static enum err_code list_add(struct server_options *options, const struct option *option, struct str value,
                              struct err *err)
{
        char **slot = (char **)(void *)((char *)options + option->offset);
        own_buf struct buf text = {.max = CONFIG_BYTES_MAX};

        if (buf_printf(&text, "%s,%.*s", *slot, STR_ARG(value)) != ERR_OK)
                return err_set(err, ERR_TOO_LARGE, "--%s has too many values", option->name);
        return set_text(slot, (struct str){text.data, text.len}, err);
}

/* One argument; *used is 2 when the value is the next one. */
static enum err_code read_flag(struct server_options *options, const char *argument, const char *next,
                               bool given[OPTION_COUNT], int *used, struct err *err)
{
        struct str value = str_of(argument);

        *used = 1;
        if (!str_starts(value, STR("--")))
                return err_set(err, ERR_INVALID, "unexpected argument '%s'; options start with --", argument);
        value = str_slice(value, 2, value.len);
        bool has_value = str_find(value, '=') < value.len;
        struct str name = str_cut(&value, '=');
        const struct option *option = option_find(name);
        if (option == NULL)
                return option_unknown(name, "--", err);
        if (!has_value && option->type == OPTION_SWITCH) {
                value = STR("true");
        } else if (!has_value) {
                if (next == NULL)
                        return err_set(err, ERR_INVALID, "--%s needs a value", option->name);
                value = str_of(next);
                *used = 2;
        }
        bool again = given[option - options_table];
        given[option - options_table] = true;
        return again && option->type == OPTION_LIST ? list_add(options, option, value, err)
                                                    : option_set(options, option, value, "--", err);
}

static enum err_code read_flags(struct server_options *options, int argc, char *const *argv, struct err *err)
{
        bool given[OPTION_COUNT] = {false};

        for (int i = 1, used = 1; i < argc; i += used) {
                enum err_code code =
                        read_flag(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL, given, &used, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* A list becomes text with commas. */
static enum err_code value_text(const json_t *value, struct buf *out)
{
        enum err_code code = ERR_OK;

        if (json_is_string(value))
                return buf_append_text(out, json_string_value(value));
        if (json_is_integer(value))
                return buf_printf(out, "%lld", (long long)json_integer_value(value));
        if (json_is_boolean(value))
                return buf_append_text(out, json_is_true(value) ? "true" : "false");
        if (json_is_null(value))
                return ERR_OK;
        if (!json_is_array(value))
                return ERR_INVALID;
        for (size_t i = 0; i < json_array_size(value) && code == ERR_OK; i++) {
                const json_t *item = json_array_get(value, i);
                code = json_is_array(item) ? ERR_INVALID : buf_append_text(out, i > 0 ? "," : "");
                if (code == ERR_OK)
                        code = value_text(item, out);
        }
        return code;
}

static enum err_code read_key(struct server_options *options, const char *key, const json_t *value,
                              struct err *err)
{
        const struct option *option = option_find(str_of(key));
        own_buf struct buf text = {.max = CONFIG_BYTES_MAX};

        if (option == NULL || only_flag(key))
                return option_unknown(str_of(key), "", err);
        if (value_text(value, &text) != ERR_OK)
                return err_set(err, ERR_INVALID, "%s takes a text, a number, true, false or a list of texts",
                               key);
        return option_set(options, option, (struct str){text.data, text.len}, "", err);
}

static enum err_code read_whole(const char *path, struct buf *out, struct err *err)
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open");
        for (;;) {
                if (buf_reserve(out, 4096) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "larger than %d bytes", CONFIG_BYTES_MAX);
                ssize_t n = read(fd, out->data + out->len, 4096);
                if (n < 0)
                        return err_sys(err, "read");
                if (n == 0)
                        return ERR_OK;
                out->len += (size_t)n;
        }
}

static enum err_code read_config(struct server_options *options, const char *path, struct err *err)
{
        own_buf struct buf text = {.max = CONFIG_BYTES_MAX};
        own_json json_t *document = NULL;
        enum err_code code = read_whole(path, &text, err);
        const char *key;
        json_t *value;

        if (code == ERR_OK)
                code = yaml_parse((struct str){text.data, text.len}, &document, err);
        if (code == ERR_OK && !json_is_object(document) && !json_is_null(document))
                code = err_set(err, ERR_INVALID, "it has no keys at its top");
        json_object_foreach(document, key, value)
        {
                if (code == ERR_OK)
                        code = read_key(options, key, value, err);
        }
        return code == ERR_OK ? ERR_OK : err_wrap(err, ERR_INVALID, "configuration file '%s'", path);
}

enum err_code options_read(struct server_options *options, int argc, char *const *argv,
                           char *const *environment, struct err *err)
{
        enum err_code code = read_defaults(options, err);

        /* Twice: the first pass finds the configuration file, the second lets environment and flags win over
         * it. */
        if (code == ERR_OK)
                code = read_environment(options, environment, err);
        if (code == ERR_OK)
                code = read_flags(options, argc, argv, err);
        if (code != ERR_OK || options->config[0] == '\0' || options->help || options->version)
                return code;
        own_mem char *config = strdup(options->config);
        if (config == NULL)
                return err_nomem(err);
        code = read_defaults(options, err);
        if (code == ERR_OK)
                code = read_config(options, config, err);
        if (code == ERR_OK)
                code = read_environment(options, environment, err);
        return code == ERR_OK ? read_flags(options, argc, argv, err) : code;
}

static bool is_text(const struct option *option)
{
        return option->type == OPTION_TEXT || option->type == OPTION_SECRET || option->type == OPTION_LIST;
}

void options_each(const struct server_options *options,
                  void (*each)(void *arg, const char *name, const char *value), void *arg)
{
        char number[24];

        for (size_t i = 0; i < OPTION_COUNT; i++) {
                const struct option *option = &options_table[i];
                const void *slot = (const char *)options + option->offset;
                if (only_flag(option->name) || option->type == OPTION_SECRET)
                        continue;
                if (option->type == OPTION_NUMBER)
                        snprintf(number, sizeof(number), "%llu", (unsigned long long)*(const uint64_t *)slot);
                const char *value = option->type == OPTION_NUMBER ? number
                                    : is_text(option)             ? *(char *const *)slot
                                    : *(const bool *)slot         ? "true"
                                                                  : "false";
                each(arg, option->name, value);
        }
}

void options_each_secret(const struct server_options *options,
                         void (*each)(void *arg, const char *variable, const char *value), void *arg)
{
        char variable[VARIABLE_MAX];

        for (size_t i = 0; i < OPTION_COUNT; i++) {
                const struct option *option = &options_table[i];
                const char *value =
                        option->type == OPTION_SECRET
                                ? *(char *const *)(const void *)((const char *)options + option->offset)
                                : "";
                if (value[0] == '\0')
                        continue;
                variable_name(option, variable);
                each(arg, variable, value);
        }
}

void options_finish(struct server_options *options)
{
        for (size_t i = 0; i < OPTION_COUNT; i++) {
                if (is_text(&options_table[i])) {
                        char **slot = (char **)(void *)((char *)options + options_table[i].offset);
                        free(*slot);
                        *slot = NULL;
                }
        }
}

enum err_code options_help(struct buf *out)
{
        enum err_code code =
                buf_append_text(out, "Runs the Dispatch server: API, endpoints and functions.\n\nUsage:\n"
                                     "  dispatch-server [--OPTION VALUE | --OPTION=VALUE]...\n\nOptions:\n");

        for (size_t i = 0; i < OPTION_COUNT && code == ERR_OK; i++) {
                const struct option *option = &options_table[i];
                bool shown = option->type != OPTION_SWITCH && option->initial[0] != '\0';
                code = buf_printf(out, "  --%-20s %s%s%s%s\n", option->name, option->help,
                                  shown ? " (default " : "", shown ? option->initial : "", shown ? ")" : "");
        }
        if (code == ERR_OK)
                code = buf_append_text(out, "\nEach option is also read from the environment "
                                            "(DISPATCH_STATE_DIR for --state-dir) and from the\n"
                                            "configuration file (state-dir: ...). Flags win over the "
                                            "environment, that over the file.\n");
        return code;
}

enum err_code options_markdown(struct buf *out)
{
        char variable[VARIABLE_MAX];
        enum err_code code = buf_append_text(
                out, "| flag and key | variable | default | what it does |\n| --- | --- | --- | --- |\n");

        for (size_t i = 0; i < OPTION_COUNT && code == ERR_OK; i++) {
                const struct option *option = &options_table[i];
                variable_name(option, variable);
                code = buf_printf(out, "| `--%s` | %s%s%s | %s%s%s | %s |\n", option->name,
                                  only_flag(option->name) ? "" : "`", only_flag(option->name) ? "" : variable,
                                  only_flag(option->name) ? "" : "`", option->initial[0] != '\0' ? "`" : "",
                                  option->initial, option->initial[0] != '\0' ? "`" : "", option->help);
        }
        return code;
}

void options_describe(void (*each)(void *arg, const char *name, const char *variable, const char *initial,
                                   bool has_value, const char *help),
                      void *arg)
{
        char variable[VARIABLE_MAX];

        for (size_t i = 0; i < OPTION_COUNT; i++) {
                const struct option *option = &options_table[i];
                variable_name(option, variable);
                each(arg, option->name, only_flag(option->name) ? NULL : variable, option->initial,
                     option->type != OPTION_SWITCH, option->help);
        }
}
