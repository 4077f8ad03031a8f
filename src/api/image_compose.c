/* api/image_compose.c: what the image of a function consists of, from the revision that serves, and what one
 * that functions are built on does. The same function gives the same description: no ids, times or revisions
 * are in it. */
#include "api/function_image.h"
#include "api/functions.h"
#include "api/resource.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMAGE_USER "65532:65532" /* nobody that a host has */
#define IMAGE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void image_input_finish(struct image_input *input)
{
        secrets_wipe(input->json);
        input->json = NULL;
}

/* NAME=value into an object, later ones win. */
static int env_put(json_t *env, struct str pair)
{
        char name[256];
        struct str value = pair;
        struct str key = str_cut(&value, '=');

        if (key.len == 0 || key.len >= sizeof(name))
                return 0;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(key));
        return json_object_set_new(env, name,
                                   json_stringn_nocheck(value.p != NULL ? value.p : "", value.len));
}

static int env_text(json_t *env, const char *name, const char *value)
{
        return json_object_set_new(env, name, json_string(value));
}

static int env_number(json_t *env, const char *name, uint64_t value)
{
        return json_object_set_new(env, name, json_sprintf("%llu", (unsigned long long)value));
}

/* What the image brings, what the function sets, and last what the agent goes by. */
static json_t *env_of(const struct revision *revision, const json_t *base)
{
        own_json json_t *env = json_object();
        own_json json_t *list = json_array();
        const json_t *pair;
        const char *key;
        json_t *value;
        size_t i;
        int failed = env_text(env, "PATH", IMAGE_PATH);

        json_array_foreach(json_object_get(base, "Env"), i, pair) failed |=
                env_put(env, (struct str){json_string_value(pair), json_string_length(pair)});
        for (i = 0; i < revision->env_count; i++)
                failed |= env_put(env, revision->env[i]);
        failed |= env_text(env, "PORT", "8080");
        failed |= env_text(env, "DISPATCH_FUNCTION", revision->name);
        failed |= env_text(env, "DISPATCH_HANDLER", revision->handler);
        failed |= env_number(env, "TIMEOUT", revision->timeout_ms);
        json_object_foreach(env, key, value) failed |=
                json_array_append_new(list, json_sprintf("%s=%s", key, json_string_value(value)));
        return failed == 0 ? take_ptr(&list) : NULL;
}

static json_t *labels_of(const struct revision *revision, const json_t *base)
{
        json_t *labels = json_object();
        json_t *inherited = json_object_get(base, "Labels");
        int failed = json_is_object(inherited) ? json_object_update(labels, inherited) : 0;

        /* Those two say that an image is one to build from. */
        json_object_del(labels, "io.dispatchframework.imageTemplate");
        json_object_del(labels, "io.dispatchframework.functionTemplate");
        failed |= env_text(labels, "org.opencontainers.image.title", revision->name);
        failed |= env_text(labels, "org.opencontainers.image.vendor", "Dispatch");
        failed |= env_text(labels, "io.dispatchframework.function", revision->name);
        failed |= env_text(labels, "io.dispatchframework.language", revision->language);
        failed |= env_text(labels, "io.dispatchframework.handler", revision->handler);
        failed |= env_text(labels, "io.dispatchframework.protocol", "http");
        if (failed == 0)
                return labels;
        json_decref(labels);
        return NULL;
}

static json_t *argv_of(const struct api *api, const struct revision *revision)
{
        const struct runtime *runtime =
                runtime_find(reference_runtimes(api->config.references), str_of(revision->language));
        json_t *list = json_array();
        char argv[SPAWN_ARGV_MAX];
        uint32_t argc = 0;
        const char *word = argv;

        if (runtime == NULL)
                return list;
        runtime_argv(runtime, revision->memory_mib, argv, &argc);
        if (revision->interpreter[0] != '\0')
                (void)spawn_argv_program(argv, revision->interpreter);
        for (uint32_t i = 0; i < argc; i++, word += strlen(word) + 1)
                json_array_append_new(list, json_string(word));
        return list;
}

static json_t *config_of(const struct api *api, const struct revision *revision, const json_t *base)
{
        return json_pack("{s:s, s:o, s:o, s:s, s:o, s:s, s:{s:{}}}", "User", IMAGE_USER, "Env",
                         env_of(revision, base), "Entrypoint", argv_of(api, revision), "WorkingDir",
                         "/function", "Labels", labels_of(revision, base), "StopSignal", "SIGTERM",
                         "ExposedPorts", "8080/tcp");
}

/* What dpkg unpacked: owners and modes are the packages', and no tenant's. */
static bool of_the_distribution(const char *layer)
{
        return strncmp(layer, "system-", 7) == 0 || strncmp(layer, "debroot-", 8) == 0;
}

/* One that the job is shown. */
static enum err_code part_add(struct image_input *input, json_t *list, const char *layer, const char *prefix,
                              struct err *err)
{
        if (input->layer_count == SPAWN_LAYERS_MAX)
                return err_set(err, ERR_UNPROCESSABLE,
                               "an image of more than %d layers besides its base cannot be "
                               "exported",
                               SPAWN_LAYERS_MAX - 1);

        bool owners = prefix[0] == '\0' && of_the_distribution(layer);
        json_t *part =
                json_pack("{s:i, s:s, s:s, s:b}", "part", (int)input->layer_count, "prefix", prefix, "by",
                          prefix[0] != '\0' ? "dispatch: the function" : layer, "owners", owners);

        if (json_array_append_new(list, part) < 0)
                return err_nomem(err);
        snprintf(input->layers[input->layer_count++], SPAWN_NAME_MAX, "%s", layer);
        return ERR_OK;
}

/* A foreign image's own layers, as they came. */
static enum err_code blobs_add(json_t *list, const json_t *blobs, struct err *err)
{
        const json_t *blob;
        size_t i;

        if (json_array_size(blobs) == 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "the layers of the base image are not known: update the image");
        json_array_foreach(blobs, i, blob)
        {
                own_json json_t *layer = json_deep_copy(blob);

                json_object_del(layer, "layer");
                if (layer == NULL || json_object_set_new(layer, "by", json_string("base image")) < 0 ||
                    json_array_append(list, layer) < 0)
                        return err_nomem(err);
        }
        return ERR_OK;
}

static bool is_foreign(const char *layer)
{
        return strncmp(layer, "oci-", 4) == 0 || strncmp(layer, "stack-", 6) == 0;
}

/* The next one up; a foreign image's come all at once, where the first of them is. */
static enum err_code layer_add(struct image_input *input, json_t *list, const char *layer,
                               const json_t *blobs, bool *foreign, struct err *err)
{
        bool first = !*foreign;

        if (!is_foreign(layer))
                return part_add(input, list, layer, "", err);
        *foreign = true;
        return first ? blobs_add(list, blobs, err) : ERR_OK;
}

static enum err_code layers_compose(struct image_input *input, json_t *list, const struct revision *revision,
                                    const json_t *blobs, struct err *err)
{
        enum err_code code = ERR_OK;
        bool foreign = false;

        for (uint32_t i = 0; code == ERR_OK && i < revision->layer_count; i++)
                code = layer_add(input, list, revision->layers[i], blobs, &foreign, err);
        if (code == ERR_OK && json_array_append_new(list, json_pack("{s:b, s:s}", "runtime", 1, "by",
                                                                    "dispatch: the agent")) < 0)
                return err_nomem(err);
        return code == ERR_OK ? part_add(input, list, revision->code, "function", err) : code;
}

static enum err_code not_ready(const struct store_row *row, struct err *err)
{
        char why[ERR_TEXT_MAX / 2];

        status_reason_text(row->document, why, sizeof(why));
        return err_set(err, ERR_CONFLICT, "function %s is %s%s%s: only what works is exported", row->name,
                       status_name(status_of(row->document)), why[0] != '\0' ? ": " : "", why);
}

enum err_code image_compose(struct api *api, const struct store_row *row, const char *reference,
                            struct image_input *ret, struct err *err)
{
        struct revision *revision = function_serving(api, row);
        const json_t *active = json_object_get(row->internal, "active");
        const json_t *base = json_object_get(active, "config");
        __attribute__((cleanup(image_input_finish))) struct image_input input = {0};
        own_json json_t *layers = json_array();

        if (revision == NULL)
                return not_ready(row, err);
        if (revision->code[0] == '\0')
                return err_set(err, ERR_UNPROCESSABLE,
                               "function %s is an image already: copy that with a tool for registries",
                               row->name);

        enum err_code code = layers_compose(&input, layers, revision, json_object_get(active, "blobs"), err);

        if (code != ERR_OK)
                return code;
        input.json =
                json_pack("{s:O, s:o, s:o, s:s}", "layers", layers, "config", config_of(api, revision, base),
                          "annotations", labels_of(revision, NULL), "reference", reference);
        if (input.json == NULL)
                return err_nomem(err);
        snprintf(input.language, sizeof(input.language), "%s", revision->language);
        *ret = input;
        input.json = NULL;
        return ERR_OK;
}

/* What the base says, under the image's own name. */
static json_t *base_config_of(const struct store_row *row, const char *language)
{
        own_json json_t *config = json_deep_copy(json_object_get(row->internal, "config"));
        json_t *labels;
        int failed = 0;

        if (config == NULL)
                config = json_object();
        if (json_object_get(config, "Env") == NULL)
                failed |= json_object_set_new(config, "Env", json_pack("[s]", "PATH=" IMAGE_PATH));
        if (!json_is_object(json_object_get(config, "Labels")))
                failed |= json_object_set_new(config, "Labels", json_object());
        labels = json_object_get(config, "Labels");
        failed |= env_text(labels, "org.opencontainers.image.title", row->name);
        failed |= env_text(labels, "org.opencontainers.image.vendor", "Dispatch");
        failed |= env_text(labels, "io.dispatchframework.language", language);
        return failed == 0 ? take_ptr(&config) : NULL;
}

enum err_code image_compose_base(const struct store_row *row, const char *reference, struct image_input *ret,
                                 struct err *err)
{
        const char *language = json_string_value(json_object_get(row->internal, "language"));
        const json_t *names = json_object_get(row->internal, "layers");
        __attribute__((cleanup(image_input_finish))) struct image_input input = {0};
        own_json json_t *layers = json_array();
        enum err_code code = ERR_OK;
        bool foreign = false;

        if (language == NULL || json_array_size(names) == 0)
                return err_set(err, ERR_CONFLICT, "image %s has no layers yet", row->name);
        for (size_t i = 0; code == ERR_OK && i < json_array_size(names); i++)
                code = layer_add(&input, layers, json_string_value(json_array_get(names, i)),
                                 json_object_get(row->internal, "blobs"), &foreign, err);
        if (code != ERR_OK)
                return code;
        input.json = json_pack("{s:O, s:o, s:s}", "layers", layers, "config", base_config_of(row, language),
                               "reference", reference);
        if (input.json == NULL)
                return err_nomem(err);
        snprintf(input.language, sizeof(input.language), "%s", language);
        *ret = input;
        input.json = NULL;
        return ERR_OK;
}

enum err_code image_compose_push(struct api *api, struct image_input *input, const char *reference,
                                 const char *registry, json_t *auth, struct err *err)
{
        const struct registries *registries = api->config.registries;
        const char *authority = registries_authority(registries);
        own_json json_t *push = json_pack("{s:s, s:b, s:s?}", "reference", reference, "insecure",
                                          registries_insecure(registries, registry), "authority", authority);

        if (push == NULL || (auth != NULL && json_object_set_new(push, "auth", json_deep_copy(auth)) < 0) ||
            json_object_set(input->json, "push", push) < 0)
                return err_nomem(err);
        return ERR_OK;
}

/* In memory, sealed. */
static enum err_code input_file(const struct image_input *input, int *ret_fd, struct err *err)
{
        own_fd int fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char *text = json_dumps(input->json, JSON_COMPACT);
        size_t len = text != NULL ? strlen(text) : 0;
        ssize_t wrote = fd >= 0 && text != NULL ? write(fd, text, len) : -1;

        if (text != NULL)
                explicit_bzero(text, len);
        free(text);
        if (wrote != (ssize_t)len || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(err, "say what is to be exported");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

uint64_t image_job_run(struct api *api, const struct store_row *row, const struct image_input *input,
                       int data_fd, const char *registry, builder_line line, builder_done done, void *arg)
{
        bool named = spawn_name_valid(row->organization, strlen(row->organization) + 1) &&
                     strlen(row->organization) < SPAWN_GROUP_MAX;
        struct builder_task task = {.kind = data_fd >= 0 ? "export" : "push",
                                    .organization = named ? row->organization : "",
                                    .language = input->language,
                                    .layers = (const char(*)[SPAWN_NAME_MAX])input->layers,
                                    .layer_count = input->layer_count,
                                    .slow = true,
                                    .disk_mib = IMAGE_DISK_MIB,
                                    .deadline_ms = IMAGE_DEADLINE_MS,
                                    .input_fd = -1,
                                    .data_fd = data_fd,
                                    .line = line};
        struct err err;

        if (data_fd < 0)
                task.network = registries_local(api->config.registries, registry) ? SPAWN_NETWORK_HOST
                                                                                  : SPAWN_NETWORK_EGRESS;
        if (input_file(input, &task.input_fd, &err) == ERR_OK)
                return builder_run(api->config.builder, &task, done, arg);
        own_fd_release(&data_fd);
        done(arg, &(struct builder_result){.code = err.code, .text = err.text, .layer = "", .info = "{}"});
        return 0;
}
