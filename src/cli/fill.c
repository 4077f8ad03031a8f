/*
 * cli/fill.c: the body of each kind. A create lists the members in the order in which the original sends
 * them, empty ones included where it does; an update changes what its flags name.
 */
#include "base/own.h"
#include "cli/file.h"
#include "cli/form.h"
#include "cli/resource.h"

#include <string.h>
#include <unistd.h>

enum { MANIFEST_MAX = 16 << 20 };

static const char *argument(const struct cli *cli, int index)
{
        return index < cli->args.count ? cli->args.values[index] : NULL;
}

static enum err_code set_null(json_t *body, const char *member, struct err *err)
{
        return body_set(body, member, json_null(), err);
}

static enum err_code fill_base_image(struct cli *cli, json_t *body, bool update, struct err *err)
{
        enum err_code code = ERR_OK;

        if (update)
                code = body_text(cli, body, "dockerUrl", "url", err);
        else if ((code = body_argument(cli, body, "dockerUrl", 1, err)) == ERR_OK)
                code = set_null(body, "groups", err);
        if (code == ERR_OK && !update)
                code = body_set(body, "language", json_string(""), err);
        if (code == ERR_OK && args_text(&cli->args, "language") != NULL)
                code = body_set(body, "language", json_string(args_text(&cli->args, "language")), err);
        if (code == ERR_OK)
                code = body_text(cli, body, "registrySecret", "registry-secret", err);
        return code == ERR_OK && !update ? set_null(body, "reason", err) : code;
}

static enum err_code read_manifest(const char *path, json_t **ret, struct err *err)
{
        static const char prefix[] = "failed to read runtime dependencies file";
        own_buf struct buf text = {.max = MANIFEST_MAX};

        enum err_code code = file_read(path, &text, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "%s", prefix);
        if (!str_is_utf8((struct str){text.data, text.len}))
                return err_set(err, ERR_INVALID, "%s: %s is not UTF-8", prefix, path);
        *ret = json_of((struct str){text.data, text.len});
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

/* The lock file of --runtime-lock, or the one that npm keeps beside its list; NULL: none. */
static const char *lock_path(struct cli *cli, const char *manifest)
{
        const char *given = args_text(&cli->args, "runtime-lock"), *slash = strrchr(manifest, '/');
        const char *name = slash != NULL ? slash + 1 : manifest;

        if (given != NULL)
                return given[0] != '\0' ? given : NULL;
        if (strcmp(name, "package.json") != 0)
                return NULL;
        const char *path =
                arena_printf(&cli->arena, "%.*spackage-lock.json", (int)(name - manifest), manifest);
        return path != NULL && access(path, F_OK) == 0 ? path : NULL;
}

/* {"manifest": the file's text} and perhaps {"lock": the other one's} */
static enum err_code set_runtime_dependencies(struct cli *cli, json_t *body, struct err *err)
{
        const char *path = args_text(&cli->args, "runtime-deps");
        own_json json_t *manifest = NULL, *lock = NULL;

        if (path == NULL || path[0] == '\0')
                return ERR_OK;

        const char *locked = lock_path(cli, path);
        enum err_code code = read_manifest(path, &manifest, err);
        if (code == ERR_OK && locked != NULL)
                code = read_manifest(locked, &lock, err);
        if (code != ERR_OK)
                return code;
        json_t *both = json_pack("{s:O}", "manifest", manifest);
        if (lock != NULL)
                (void)json_object_set(both, "lock", lock);
        return body_set(body, "runtimeDependencies", both, err);
}

/* The list `packages` of the file, each with a name and perhaps a version. */
static enum err_code set_system_dependencies(struct cli *cli, json_t *body, struct err *err)
{
        static const char prefix[] = "failed to unmarshal system dependencies file";
        const char *path = args_text(&cli->args, "system-deps");
        own_json json_t *file = NULL;

        if (path == NULL || path[0] == '\0')
                return ERR_OK;

        enum err_code code = body_file(path, prefix, &file, err);
        if (code != ERR_OK)
                return code;
        json_t *packages = json_object_get(file, "packages");
        if (!json_is_array(packages))
                return err_set(err, ERR_INVALID, "%s: %s has no list \"packages\"", prefix, path);
        return body_set(body, "systemDependencies", json_pack("{s:O}", "packages", packages), err);
}

static enum err_code fill_image(struct cli *cli, json_t *body, bool update, struct err *err)
{
        enum err_code code = ERR_OK;

        if (update)
                code = body_text(cli, body, "baseImageName", "base-image", err);
        else if ((code = body_argument(cli, body, "baseImageName", 1, err)) == ERR_OK)
                code = set_null(body, "groups", err);
        if (code == ERR_OK && !update)
                code = set_null(body, "reason", err);
        if (code == ERR_OK && !update)
                code = body_set(body, "runtimeDependencies", json_object(), err);
        if (code == ERR_OK && !update)
                code = body_set(body, "systemDependencies", json_pack("{s:n}", "packages"), err);
        if (code == ERR_OK)
                code = body_text(cli, body, "registrySecret", "registry-secret", err);
        if (code == ERR_OK)
                code = set_runtime_dependencies(cli, body, err);
        return code == ERR_OK ? set_system_dependencies(cli, body, err) : code;
}

static enum err_code set_source(struct cli *cli, json_t *body, const char *path, bool update, struct err *err)
{
        const char *handler = args_text(&cli->args, "handler");
        bool has_handler = handler != NULL && handler[0] != '\0';

        if (update && handler == NULL)
                has_handler = json_str(body, "handler").len > 0;
        return body_source(body, update ? "updating" : "creating", cli->args.values[0], path, has_handler,
                           err);
}

static enum err_code set_schema(struct cli *cli, json_t *body, const char *member, const char *flag,
                                struct err *err)
{
        const char *path = args_text(&cli->args, flag);
        own_json json_t *schema = NULL;
        char prefix[64];

        if (path == NULL)
                return ERR_OK;
        if (path[0] == '\0')
                return set_null(json_object_get(body, "schema"), member, err);
        snprintf(prefix, sizeof(prefix), "error reading --%s", flag);

        enum err_code code = body_file(path, prefix, &schema, err);
        if (code != ERR_OK)
                return code;
        if (!json_is_object(schema))
                return err_set(err, ERR_INVALID, "%s: %s is not a JSON object", prefix, path);
        return body_set(json_object_get(body, "schema"), member, take_ptr(&schema), err);
}

/* A member that is an object, made when it is missing. */
static json_t *object_in(json_t *body, const char *member)
{
        json_t *object = json_object_get(body, member);

        if (json_is_object(object))
                return object;
        return json_object_set_new(body, member, json_object()) == 0 ? json_object_get(body, member) : NULL;
}

static enum err_code set_schemas(struct cli *cli, json_t *body, bool update, struct err *err)
{
        enum err_code code;

        if (!update && json_object_set_new(body, "schema", json_pack("{s:n, s:n}", "in", "out")) < 0)
                return err_nomem(err);
        if (args_text(&cli->args, "schema-in") == NULL && args_text(&cli->args, "schema-out") == NULL)
                return ERR_OK;
        if (object_in(body, "schema") == NULL)
                return err_nomem(err);
        code = set_schema(cli, body, "in", "schema-in", err);
        return code == ERR_OK ? set_schema(cli, body, "out", "schema-out", err) : code;
}

static enum err_code set_variable(json_t *env, const char *pair, struct err *err)
{
        struct str value = str_of(pair), name = str_cut(&value, '=');
        own_mem char *key = strndup(name.p, name.len);

        if (!str_is_utf8(str_of(pair)))
                return err_set(err, ERR_INVALID, "invalid argument for \"--env\" flag: must be UTF-8");
        return key != NULL ? body_set(env, key, json_of(value), err) : err_nomem(err);
}

static enum err_code set_environment(struct cli *cli, json_t *body, bool update, struct err *err)
{
        enum err_code code = ERR_OK;
        const char *text;
        json_t *env;
        int at = 0;

        if (args_text(&cli->args, "env") == NULL && !(update && args_text(&cli->args, "unset-env") != NULL))
                return ERR_OK;
        env = object_in(body, "env");
        if (env == NULL)
                return err_nomem(err);
        while (code == ERR_OK && (text = args_next(&cli->args, "env", &at)) != NULL)
                code = set_variable(env, text, err);
        for (at = 0; update && (text = args_next(&cli->args, "unset-env", &at)) != NULL;)
                json_object_del(env, text);
        return code;
}

/* Naming a destination implies egress; a mode without one takes the list out. */
static enum err_code set_network(struct cli *cli, json_t *body, struct err *err)
{
        const char *mode = args_text(&cli->args, "network");
        json_t *network;
        enum err_code code;

        if (mode == NULL && args_text(&cli->args, "network-allow") == NULL)
                return ERR_OK;
        network = object_in(body, "network");
        if (network == NULL)
                return err_nomem(err);
        code = body_set(network, "mode", json_string(mode != NULL ? mode : "egress"), err);
        if (mode != NULL && strcmp(mode, "none") == 0)
                json_object_del(network, "allow");
        return code == ERR_OK ? body_list(cli, network, "allow", "network-allow", err) : code;
}

static enum err_code set_limits(struct cli *cli, json_t *body, struct err *err)
{
        static const struct {
                const char *member, *flag;
        } numbers[] = {{"memory", "memory"},
                       {"cpu", "cpu"},
                       {"concurrency", "concurrency"},
                       {"minInstances", "min-instances"},
                       {"maxInstances", "max-instances"},
                       {"idleTimeout", "idle-timeout"}};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && code == ERR_OK; i++)
                code = body_number(cli, body, numbers[i].member, numbers[i].flag, err);
        return code == ERR_OK ? body_text(cli, body, "isolation", "isolation", err) : code;
}

/* 0 is the server's default, as is leaving it out. */
static enum err_code set_timeout(struct cli *cli, json_t *body, struct err *err)
{
        int64_t timeout_ms;

        if (!args_number(&cli->args, "timeout", &timeout_ms))
                return ERR_OK;
        if (timeout_ms == 0) {
                json_object_del(body, "timeout");
                return ERR_OK;
        }
        return body_set(body, "timeout", json_integer(timeout_ms), err);
}

/* An image that is the whole function takes the place of source and image, and they of it. */
static enum err_code set_function_image(struct cli *cli, json_t *body, struct err *err)
{
        static const char *const made[] = {"image", "handler", "sourceURL", "sourcePath"};
        static const char *const whole[] = {"functionImage", "registrySecret", "protocol"};
        const char *reference = args_text(&cli->args, "function-image"), *path = argument(cli, 1);
        bool is_whole = reference != NULL && reference[0] != '\0';

        if (is_whole && path != NULL)
                return err_set(err, ERR_INVALID,
                               "--function-image names the whole function: leave the path out");
        for (size_t i = 0; is_whole && i < sizeof(made) / sizeof(made[0]); i++)
                json_object_del(body, made[i]);
        for (size_t i = 0; path != NULL && i < sizeof(whole) / sizeof(whole[0]); i++)
                json_object_del(body, whole[i]);
        enum err_code code = body_text(cli, body, "functionImage", "function-image", err);
        if (code == ERR_OK)
                code = body_text(cli, body, "registrySecret", "registry-secret", err);
        return code == ERR_OK ? body_text(cli, body, "protocol", "protocol", err) : code;
}

static enum err_code fill_function(struct cli *cli, json_t *body, bool update, struct err *err)
{
        const char *path = argument(cli, 1);
        enum err_code code = set_function_image(cli, body, err);

        if (code == ERR_OK && path != NULL)
                code = set_source(cli, body, path, update, err);

        if (code == ERR_OK)
                code = body_text(cli, body, "image", "image", err);
        if (code == ERR_OK)
                code = body_text(cli, body, "handler", "handler", err);
        if (code == ERR_OK)
                code = set_schemas(cli, body, update, err);
        if (code == ERR_OK)
                code = body_list(cli, body, "secrets", "secret", err);
        if (code == ERR_OK)
                code = body_list(cli, body, "services", "service", err);
        if (code == ERR_OK)
                code = set_timeout(cli, body, err);
        if (code == ERR_OK)
                code = set_environment(cli, body, update, err);
        if (code == ERR_OK)
                code = set_network(cli, body, err);
        return code == ERR_OK ? set_limits(cli, body, err) : code;
}

static const char *type_word(const json_t *value)
{
        static const char *const names[] = {"object", "array", "string", "number",
                                            "number", "bool",  "bool",   "null"};

        return names[json_typeof(value)];
}

static enum err_code fill_secret(struct cli *cli, json_t *body, bool update, struct err *err)
{
        const char *path = cli->args.values[1], *key;
        own_json json_t *values = NULL;
        own_buf struct buf text = {.max = MANIFEST_MAX};
        json_t *value;
        enum err_code code = file_read(path, &text, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "error when reading content of %s", path);
        code = json_parse((struct str){text.data != NULL ? text.data : "", text.len}, &values, err);
        buf_wipe(&text);
        if (code != ERR_OK)
                return err_wrap(err, code, "Error when parsing JSON from %s", path);
        if (!json_is_object(values))
                return err_set(
                        err, ERR_INVALID,
                        "Error when parsing JSON from %s: json: cannot unmarshal %s into Go value of type "
                        "map[string]string",
                        path, type_word(values));
        json_object_foreach(values, key, value)
        {
                if (!json_is_string(value))
                        return err_set(
                                err, ERR_INVALID,
                                "Error when parsing JSON from %s: json: cannot unmarshal %s into Go value "
                                "of type string",
                                path, type_word(value));
        }
        if (!update) {
                code = body_set(body, "meta", json_pack("{s:O}", "name", json_object_get(body, "name")), err);
                json_object_del(body, "name");
        }
        return code == ERR_OK ? body_set(body, "secrets", take_ptr(&values), err) : code;
}

const struct resource resource_base_image = {
        .kind = MODEL_BASE_IMAGE,
        .form = &form_base_image,
        .created = "Created base image",
        .updated = "Updated base image",
        .deleted = "Deleted base image",
        .deleted_form = DELETED_REPLY,
        .keeps_revision = true,
        .fill = fill_base_image,
};
const struct resource resource_image = {
        .kind = MODEL_IMAGE,
        .form = &form_image,
        .created = "Created image",
        .updated = "Updated image",
        .deleted = "Deleted image",
        .deleted_form = DELETED_NAME,
        .keeps_revision = true,
        .fill = fill_image,
};
const struct resource resource_function = {
        .kind = MODEL_FUNCTION,
        .form = &form_function,
        .created = "Created function",
        .updated = "Updated function",
        .deleted = "Deleted function",
        .deleted_form = DELETED_NAME,
        .fill = fill_function,
};
const struct resource resource_secret = {
        .kind = MODEL_SECRET,
        .form = &form_secret,
        .created = "Created secret",
        .updated = "Updated secret",
        .deleted = "Deleted secret",
        .deleted_form = DELETED_META,
        .fill = fill_secret,
};
const struct resource resource_run = {.kind = MODEL_RUN, .form = &form_run, .deleted = "Cancelled run"};
