/* cli/config.c: reading, checking and writing the file of contexts. */
#include "cli/config.h"

#include "base/own.h"
#include "cli/file.h"
#include "model/model.h"
#include "model/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const context_keys[] = {
        "host",          "port",           "scheme",        "organization", "project",
        "cookie",        "insecure",       "cacert",        "namespace",    "api-https-port",
        "api-http-port", "serviceaccount", "jwtprivatekey",
};

static bool ends_with(const char *path, const char *suffix)
{
        return str_ends(str_of(path), str_of(suffix));
}

static bool is_yaml(const char *path)
{
        return ends_with(path, ".yaml") || ends_with(path, ".yml");
}

/* "json" of "dir.d/config.json"; "" when the last part has none. */
static const char *extension(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *dot = strrchr(slash != NULL ? slash : path, '.');

        return dot != NULL ? dot + 1 : "";
}

static enum err_code check_context(const char *name, const json_t *context, struct err *err)
{
        const char *key;
        json_t *value;

        if (!json_is_object(context))
                return err_set(err, ERR_INVALID, "context \"%s\" is not an object", name);
        json_object_foreach((json_t *)context, key, value)
        {
                bool known = false;
                for (size_t i = 0; i < sizeof(context_keys) / sizeof(context_keys[0]); i++)
                        known = known || strcmp(key, context_keys[i]) == 0;
                if (!known)
                        return err_set(err, ERR_INVALID, "unknown key \"%s\" in context \"%s\"", key, name);
        }
        return ERR_OK;
}

static enum err_code check_root(const json_t *root, struct err *err)
{
        const char *key;
        json_t *value;

        if (!json_is_object(root))
                return err_set(err, ERR_INVALID, "not an object");
        json_object_foreach((json_t *)root, key, value)
        {
                bool current = strcmp(key, "current") == 0;

                if (!current && strcmp(key, "contexts") != 0)
                        return err_set(err, ERR_INVALID, "unknown key \"%s\"", key);
                if (current ? !json_is_string(value) : !json_is_object(value))
                        return err_set(err, ERR_INVALID, "\"%s\" is not %s", key,
                                       current ? "a string" : "an object");
        }

        const char *name;
        json_t *context;
        json_object_foreach(json_object_get(root, "contexts"), name, context)
        {
                enum err_code code = check_context(name, context, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

enum err_code config_parse(const char *path, struct str text, json_t **ret, struct err *err)
{
        own_json json_t *root = NULL;
        enum err_code code;

        if (!is_yaml(path) && !ends_with(path, ".json"))
                return err_set(err, ERR_INVALID, "Unsupported Config Type \"%s\"", extension(path));
        code = is_yaml(path) ? yaml_parse(text, &root, err) : json_parse(text, &root, err);
        if (code == ERR_OK)
                code = check_root(root, err);
        if (code == ERR_OK)
                *ret = take_ptr(&root);
        return code;
}

static enum err_code empty(json_t **ret, struct err *err)
{
        *ret = json_pack("{s:s, s:{}}", "current", "", "contexts");
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static const char *default_path(struct arena *arena)
{
        const char *home = getenv("HOME");

        return home != NULL && home[0] != '\0' ? arena_printf(arena, "%s/.dispatch/config.json", home) : NULL;
}

enum err_code config_load(struct config *config, struct arena *arena, const char *path_given, struct err *err)
{
        own_buf struct buf text = {.max = CONFIG_FILE_MAX};
        enum err_code code;

        *config = (struct config){.path = path_given != NULL ? path_given : default_path(arena)};
        if (config->path == NULL)
                return empty(&config->root, err);
        code = file_read(config->path, &text, err);
        if (code == ERR_SYSTEM && path_given == NULL &&
            (err->sys_errno == ENOENT || err->sys_errno == ENOTDIR))
                return empty(&config->root, err);
        if (code == ERR_OK)
                code = config_parse(config->path, (struct str){text.data != NULL ? text.data : "", text.len},
                                    &config->root, err);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "Error reading config file %s", config->path);
}

void config_finish(struct config *config)
{
        json_decref(config->root);
        config->root = NULL;
}

static enum err_code make_parent(const char *path, struct err *err)
{
        const char *slash = strrchr(path, '/');
        char directory[4096];

        if (slash == NULL || slash == path)
                return ERR_OK;
        if ((size_t)(slash - path) >= sizeof(directory))
                return err_set(err, ERR_INVALID, "path is longer than %zu bytes", sizeof(directory));
        memcpy(directory, path, (size_t)(slash - path));
        directory[slash - path] = '\0';
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return file_error(err, "mkdir", directory);
        return ERR_OK;
}

enum err_code config_save(const struct config *config, struct err *err)
{
        own_buf struct buf text = {.max = CONFIG_FILE_MAX};
        enum err_code code;

        if (config->path == NULL)
                return err_set(err, ERR_INVALID, "no place for a configuration file: set HOME or --config");
        code = is_yaml(config->path) ? yaml_print(config->root, &text, err)
                                     : model_print_json(config->root, true, &text, err);
        if (code == ERR_OK)
                code = make_parent(config->path, err);
        if (code == ERR_OK)
                code = file_replace(config->path, &text, err);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "error writing configuration to file");
}

const char *config_current_name(const struct config *config)
{
        const char *name = json_string_value(json_object_get(config->root, "current"));

        return name != NULL ? name : "";
}

json_t *config_contexts(const struct config *config)
{
        return json_object_get(config->root, "contexts");
}

enum err_code config_current(const struct config *config, const json_t **ret, struct err *err)
{
        const char *name = config_current_name(config);
        const json_t *context = json_object_get(config_contexts(config), name);

        if (context == NULL && name[0] != '\0')
                return err_set(err, ERR_NOT_FOUND, "the current context \"%s\" does not exist in %s", name,
                               config->path);
        *ret = context;
        return ERR_OK;
}
