/* api/image_build.c: the stages of an image that adds packages to its base. */
#include "api/image_build.h"
#include "api/explain.h"
#include "api/image_catalogue.h"
#include "api/image_log.h"
#include "api/images.h"
#include "api/resource.h"

#include "base/clock.h"
#include "base/own.h"
#include "image/deps_input.h"
#include "image/package_list.h"
#include "image/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LAYER_HEX_LEN = 40 };

struct image_build {
        struct image_build *next;
        struct api *api;
        char *organization, *project, *name;
        char id[UUID_LEN + 1];
        int64_t revision;
        bool stale;   /* stopped: what comes of it is for nobody */
        bool retried; /* the tools were gone: looked for once more */
        uint64_t job; /* of the builder, for cancelling; 0: none */
        char language[SPAWN_NAME_MAX];
        char layer[SPAWN_NAME_MAX];     /* that is being made */
        char *manifest, *lock, *system; /* of what is asked for; system: lines of image/system.h */
        char *interpreter;              /* the base's own; "": the runtime's */
        json_t *base, *layers;          /* lists of names */
};

static void build_free(struct image_build *build)
{
        json_decref(build->base);
        json_decref(build->layers);
        free(build->manifest);
        free(build->lock);
        free(build->system);
        free(build->interpreter);
        free(build->organization);
        free(build->project);
        free(build->name);
        free(build);
}

static void build_end(struct image_build *build)
{
        struct image_build **at = &build->api->image_builds;

        while (*at != build)
                at = &(*at)->next;
        *at = build->next;
        build_free(build);
}

void image_builds_finish(struct api *api)
{
        while (api->image_builds != NULL)
                build_end(api->image_builds);
        json_decref(api->tools);
        api->tools = NULL;
}

bool image_build_running(const struct api *api, const struct store_row *row)
{
        for (const struct image_build *build = api->image_builds; build != NULL; build = build->next) {
                if (!build->stale && build->revision == row->revision && strcmp(build->id, row->id) == 0)
                        return true;
        }
        return false;
}

void image_build_stop(struct api *api, const char *id)
{
        for (struct image_build *build = api->image_builds; build != NULL; build = build->next) {
                if (build->stale || strcmp(build->id, id) != 0)
                        continue;
                build->stale = true;
                if (build->job != 0)
                        builder_cancel(api->config.builder, build->job);
        }
}

static struct str manifest_of(const json_t *document, const char *key)
{
        return json_str(json_object_get(document, "runtimeDependencies"), key);
}

static bool wants_runtime(const json_t *document)
{
        struct str manifest = manifest_of(document, "manifest");

        return str_trim(manifest, " \t\r\n").len > 0;
}

static bool wants_system(const json_t *document)
{
        return json_array_size(json_object_get(json_object_get(document, "systemDependencies"), "packages")) >
               0;
}

bool image_build_wanted(const json_t *document)
{
        return wants_runtime(document) || wants_system(document);
}

/* The image's row while this is its build; else false, and the build is over. */
static bool build_row(struct image_build *build, struct store_row *row)
{
        struct store_key key = api_key(MODEL_IMAGE, str_of(build->organization), str_of(build->project),
                                       str_of(build->name));
        struct err err;
        enum err_code code = ERR_CANCELLED;

        if (!build->stale)
                code = store_get(build->api->config.store, &key, row, &err);
        if (code == ERR_OK && row->revision == build->revision && strcmp(row->id, build->id) == 0)
                return true;
        if (code != ERR_OK && code != ERR_NOT_FOUND && code != ERR_CANCELLED)
                api_stumble(build->api, "read an image in work", &err);
        build_end(build);
        return false;
}

static void build_fail(struct image_build *build, enum err_code code, const char *text)
{
        struct api *api = build->api;
        own_row struct store_row row = {0};

        if (!build_row(build, &row))
                return;
        build_end(build);
        if (code == ERR_LIMIT || code == ERR_CANCELLED) {
                image_log_line(api, row.id, str_of(text)); /* any other is the row's own reason */
                api_explain(api, MODEL_IMAGE, &row, text);
                api_reconcile_later(api);
                return;
        }
        api_progress(api);
        images_failed(api, &row, text);
}

static void build_ready(struct image_build *build)
{
        struct api *api = build->api;
        own_row struct store_row row = {0};

        if (!build_row(build, &row))
                return;
        own_json json_t *base = json_incref(build->base), *layers = json_incref(build->layers);
        char language[SPAWN_NAME_MAX];
        memcpy(language, build->language, sizeof(language));
        build_end(build);
        api_progress(api);
        images_built(api, &row, language, layers, base);
}

/* --- the allow-list --- */

static enum err_code allow_read(const char *path, struct buf *ret, struct err *err)
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        char bytes[16384];
        ssize_t got;

        if (fd < 0)
                return err_sys(err, "open the list of allowed packages %s", path);
        while ((got = read(fd, bytes, sizeof(bytes))) != 0) {
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read the list of allowed packages %s", path);
                if (buf_append(ret, bytes, (size_t)got) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the list of allowed packages %s is too long",
                                       path);
        }
        enum err_code code = package_list_check((struct str){ret->data, ret->len}, err);
        return code == ERR_OK ? code : err_wrap(err, code, "list of allowed packages %s", path);
}

static void allow_done(void *arg, json_t *packages, const struct err *why)
{
        struct image_build *build = arg;
        own_buf struct buf list = {.max = PACKAGE_LIST_MAX};
        struct err err;

        if (packages == NULL) {
                build_fail(build, why->code, why->text);
                return;
        }
        enum err_code code = allow_read(build->api->config.package_allow, &list, &err);
        if (code == ERR_OK)
                code = image_catalogue_allowed(packages, (struct str){list.data, list.len}, &err);
        if (code != ERR_OK)
                build_fail(build, code, err.text);
        else
                build_ready(build);
}

static void allow_stage(struct image_build *build)
{
        const char *path = build->api->config.package_allow;

        if (path == NULL || path[0] == '\0')
                build_ready(build);
        else
                image_catalogue_run(build->api, build->organization, build->layers, build->base, allow_done,
                                    build);
}

/* --- the language's packages --- */

static void hash_part(crypto_hash_sha256_state *state, struct str part)
{
        crypto_hash_sha256_update(state, (const unsigned char *)(part.len > 0 ? part.p : ""), part.len);
        crypto_hash_sha256_update(state, (const unsigned char *)"", 1);
}

static void layer_name(struct image_build *build, const char *tools)
{
        unsigned char hash[crypto_hash_sha256_BYTES];
        char hex[2 * crypto_hash_sha256_BYTES + 1];
        const char *environment = build->api->config.build_env;
        crypto_hash_sha256_state state;
        const json_t *layer;
        size_t i;

        crypto_hash_sha256_init(&state);
        hash_part(&state, STR("deps 1"));
        hash_part(&state, str_of(build->organization));
        hash_part(&state, str_of(build->language));
        hash_part(&state, str_of(build->manifest));
        hash_part(&state, str_of(build->lock));
        hash_part(&state, str_of(environment != NULL ? environment : ""));
        hash_part(&state, str_of(tools));
        json_array_foreach(build->layers, i, layer) hash_part(&state, str_of(json_string_value(layer)));
        crypto_hash_sha256_final(&state, hash);
        hex_encode(hash, sizeof(hash), hex);
        snprintf(build->layer, sizeof(build->layer), "deps-%.*s", LAYER_HEX_LEN, hex);
}

/* NAME=VALUE, separated by commas; a part without '=' goes on with the value before it. */
static enum err_code environment_add(struct buf *input, const char *text, struct err *err)
{
        struct str rest = str_of(text != NULL ? text : "");
        enum err_code code = ERR_OK;

        while (code == ERR_OK && rest.len > 0) {
                struct str item = rest, more;
                size_t len = str_find(rest, ',');

                for (;;) {
                        more = str_slice(rest, len < rest.len ? len + 1 : len, rest.len);
                        size_t end = str_find(more, ',');
                        if (more.len == 0 || str_find(str_slice(more, 0, end), '=') < end)
                                break;
                        len += 1 + end;
                }
                item = str_slice(rest, 0, len);
                rest = more;
                struct str name = str_cut(&item, '=');
                if (name.len > 0)
                        code = deps_input_add(input, DEPS_VARIABLE, name, item, err);
        }
        return code;
}

static enum err_code input_make(const struct image_build *build, const struct runtime *runtime, int *ret_fd,
                                struct err *err)
{
        own_buf struct buf input = {.max = DEPS_INPUT_MAX};
        enum err_code code = environment_add(&input, build->api->config.build_env, err);

        if (code == ERR_OK)
                code = deps_input_add(&input, DEPS_FILE, str_of(runtime->deps_file), str_of(build->manifest),
                                      err);
        if (code == ERR_OK && build->lock[0] != '\0')
                code = deps_input_add(&input, DEPS_FILE, str_of(runtime->deps_lock), str_of(build->lock),
                                      err);
        if (code == ERR_OK && build->interpreter[0] != '\0')
                code = deps_input_add(&input, DEPS_VARIABLE, STR(DEPS_PROGRAM), str_of(build->interpreter),
                                      err);
        if (code != ERR_OK)
                return code;
        own_fd int fd = memfd_create("dependencies", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || write(fd, input.data, input.len) != (ssize_t)input.len ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return err_sys(err, "write the list of dependencies");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static void build_line(void *arg, char type, struct str text)
{
        struct image_build *build = arg;

        if (build->stale)
                return;
        if (type == 'L')
                image_log_line(build->api, build->id, text);
        else if (type == 'P')
                image_log_progress(build->api, build->id, text);
}

static void tools_stage(struct image_build *build);

static void deps_done(void *arg, const struct builder_result *result)
{
        struct image_build *build = arg;

        build->job = 0;
        if (result->code == ERR_NOT_FOUND && !build->retried) {
                /* The tools, most likely: somebody has cleared them away. */
                build->retried = true;
                json_decref(build->api->tools);
                build->api->tools = NULL;
                tools_stage(build);
        } else if (result->code != ERR_OK) {
                build_fail(build, result->code, result->text);
        } else if (json_array_append_new(build->layers, json_string(build->layer)) < 0) {
                build_fail(build, ERR_NO_MEMORY, "out of memory");
        } else {
                allow_stage(build);
        }
}

static void deps_start(struct image_build *build, const struct runtime *runtime, const char *tools)
{
        const struct api_config *config = &build->api->config;
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        struct builder_task task = {.kind = "deps",
                                    .organization = spawn_name_valid(build->organization, SPAWN_GROUP_MAX)
                                                            ? build->organization
                                                            : "",
                                    .language = build->language,
                                    .layer = build->layer,
                                    .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                    .network = SPAWN_NETWORK_EGRESS,
                                    .slow = true,
                                    .memory_mib = config->build_memory_mib,
                                    .cpu_millicores = IMAGE_BUILD_CPU_MILLICORES,
                                    .pids_max = IMAGE_BUILD_PIDS_MAX,
                                    .tmp_mib = IMAGE_BUILD_TMP_MIB,
                                    .disk_mib = config->build_disk_mib,
                                    .files_max = IMAGE_BUILD_FILES_MAX,
                                    .deadline_ms = config->build_timeout_ms,
                                    .input_fd = -1,
                                    .data_fd = -1,
                                    .line = build_line};
        const json_t *layer;
        struct err err;
        size_t i;

        if (json_array_size(build->layers) + 1 > SPAWN_LAYERS_MAX) {
                build_fail(build, ERR_TOO_LARGE, "the base image has too many layers to add packages to it");
                return;
        }
        json_array_foreach(build->layers, i, layer)
                snprintf(layers[task.layer_count++], SPAWN_NAME_MAX, "%s", json_string_value(layer));
        snprintf(layers[task.layer_count++], SPAWN_NAME_MAX, "%s", tools);
        if (input_make(build, runtime, &task.input_fd, &err) != ERR_OK) {
                build_fail(build, err.code, err.text);
                return;
        }
        build->job = builder_run(config->builder, &task, deps_done, build);
}

/* The language's tools as they were found a moment ago, or "". */
static const char *tools_known(const struct api *api, const char *language)
{
        const json_t *known = json_object_get(api->tools, language);
        json_int_t found_ms = json_integer_value(json_object_get(known, "ms"));

        if (known == NULL || clock_mono_ms() - (uint64_t)found_ms > IMAGE_TOOLS_FRESH_MS)
                return "";
        return json_string_value(json_object_get(known, "layer"));
}

static void tools_remember(struct api *api, const char *language, const char *layer)
{
        if (api->tools == NULL)
                api->tools = json_object();
        (void)json_object_set_new(api->tools, language,
                                  json_pack("{s:s, s:I}", "layer", layer, "ms", (json_int_t)clock_mono_ms()));
}

static void deps_stage(struct image_build *build, const char *tools)
{
        const struct runtime *runtime =
                runtime_find(reference_runtimes(build->api->config.references), str_of(build->language));

        layer_name(build, tools);
        deps_start(build, runtime, tools);
}

static void tools_done(void *arg, const struct builder_result *result)
{
        struct image_build *build = arg;

        build->job = 0;
        if (result->code != ERR_OK) {
                build_fail(build, result->code, result->text);
                return;
        }
        tools_remember(build->api, build->language, result->layer);
        deps_stage(build, result->layer);
}

static void tools_stage(struct image_build *build)
{
        const char *known = tools_known(build->api, build->language);
        char serial[BUILDER_SERIAL_MAX];
        const struct builder_task task = {.kind = "tools",
                                          .language = build->language,
                                          .serial = serial,
                                          .disk_mib = BUILDER_BUILTIN_DISK_MIB,
                                          .files_max = BUILDER_BUILTIN_FILES_MAX,
                                          .input_fd = -1,
                                          .data_fd = -1};

        if (known[0] != '\0') {
                char tools[SPAWN_NAME_MAX];
                snprintf(tools, sizeof(tools), "%s", known);
                deps_stage(build, tools);
                return;
        }
        snprintf(serial, sizeof(serial), "tools %s", build->language);
        build->job = builder_run(build->api->config.builder, &task, tools_done, build);
}

static void runtime_stage(struct image_build *build)
{
        const struct runtime *runtime =
                runtime_find(reference_runtimes(build->api->config.references), str_of(build->language));
        struct err err;

        if (build->manifest[0] == '\0') {
                allow_stage(build);
        } else if (runtime == NULL || runtime->deps_argc == 0) {
                err_set(&err, ERR_UNPROCESSABLE,
                        "images for %s take no runtimeDependencies: put what a function needs beside its "
                        "source",
                        build->language);
                build_fail(build, err.code, err.text);
        } else if (build->lock[0] != '\0' && runtime->deps_lock[0] == '\0') {
                err_set(&err, ERR_UNPROCESSABLE, "runtimeDependencies.lock: dependencies of %s have none",
                        build->language);
                build_fail(build, err.code, err.text);
        } else {
                tools_stage(build);
        }
}

/* --- the distribution's packages --- */

/* Any layer of this build but the language's: `build->layer` names it. */
static void layer_stage(struct image_build *build, struct builder_task *task, builder_done done)
{
        const struct api_config *config = &build->api->config;

        task->slow = true;
        task->layer = build->layer;
        task->network = SPAWN_NETWORK_EGRESS;
        task->memory_mib = config->build_memory_mib > 0 ? config->build_memory_mib : IMAGE_SYSTEM_MEMORY_MIB;
        task->cpu_millicores = IMAGE_BUILD_CPU_MILLICORES;
        task->pids_max = IMAGE_SYSTEM_PIDS_MAX;
        task->tmp_mib = IMAGE_SYSTEM_TMP_MIB;
        task->disk_mib = config->build_disk_mib > 0 ? config->build_disk_mib : IMAGE_SYSTEM_DISK_MIB;
        task->files_max = IMAGE_SYSTEM_FILES_MAX;
        task->deadline_ms = config->build_timeout_ms;
        task->data_fd = -1;
        task->line = build_line;
        build->job = builder_run(config->builder, task, done, build);
}

static void system_done(void *arg, const struct builder_result *result)
{
        struct image_build *build = arg;

        build->job = 0;
        if (result->code != ERR_OK)
                build_fail(build, result->code, result->text);
        else if (json_array_append_new(build->layers, json_string(build->layer)) < 0)
                build_fail(build, ERR_NO_MEMORY, "out of memory");
        else
                runtime_stage(build);
}

static void system_layer_name(struct image_build *build)
{
        unsigned char hash[crypto_hash_sha256_BYTES];
        char hex[2 * crypto_hash_sha256_BYTES + 1];
        crypto_hash_sha256_state state;
        const json_t *layer;
        size_t i;

        crypto_hash_sha256_init(&state);
        hash_part(&state, STR("system 1"));
        hash_part(&state, str_of(build->organization));
        hash_part(&state, str_of(build->system));
        json_array_foreach(build->layers, i, layer) hash_part(&state, str_of(json_string_value(layer)));
        crypto_hash_sha256_final(&state, hash);
        hex_encode(hash, sizeof(hash), hex);
        snprintf(build->layer, sizeof(build->layer), "system-%.*s", LAYER_HEX_LEN, hex);
}

static enum err_code system_input(const struct image_build *build, int *ret_fd, struct err *err)
{
        size_t len = strlen(build->system);
        own_fd int fd = memfd_create("packages", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || write(fd, build->system, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return err_sys(err, "write the list of packages");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

/* On what is there by now: the base, or the root that has taken its place. */
static void packages_stage(struct image_build *build)
{
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        struct builder_task task = {.kind = "system",
                                    .organization = spawn_name_valid(build->organization, SPAWN_GROUP_MAX)
                                                            ? build->organization
                                                            : "",
                                    .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                    .input_fd = -1};
        const json_t *layer;
        struct err err;
        size_t i;

        if (json_array_size(build->layers) > SPAWN_LAYERS_MAX) {
                build_fail(build, ERR_TOO_LARGE, "the base image has too many layers to add packages to it");
                return;
        }
        json_array_foreach(build->layers, i, layer)
                snprintf(layers[task.layer_count++], SPAWN_NAME_MAX, "%s", json_string_value(layer));
        if (system_input(build, &task.input_fd, &err) != ERR_OK) {
                build_fail(build, err.code, err.text);
                return;
        }
        system_layer_name(build);
        layer_stage(build, &task, system_done);
}

static void root_done(void *arg, const struct builder_result *result)
{
        struct image_build *build = arg;

        build->job = 0;
        if (result->code != ERR_OK) {
                build_fail(build, result->code, result->text);
                return;
        }
        json_decref(build->layers);
        json_decref(build->base);
        build->layers = json_pack("[s]", build->layer);
        build->base = json_pack("[s]", build->layer);
        if (build->layers == NULL || build->base == NULL)
                build_fail(build, ERR_NO_MEMORY, "out of memory");
        else
                packages_stage(build);
}

static void system_stage(struct image_build *build)
{
        struct builder_task task = {.kind = "debroot", .language = build->language, .input_fd = -1};

        if (build->system[0] == '\0')
                runtime_stage(build);
        else if (image_system_root(build->layers, build->layer))
                layer_stage(build, &task, root_done);
        else
                packages_stage(build);
}

/* The lines of the job, NUL-terminated; "" without such dependencies. */
static char *system_lines(const json_t *document, struct err *err)
{
        own_buf struct buf lines = {.max = IMAGE_SYSTEM_INPUT_MAX};
        const json_t *packages = json_object_get(json_object_get(document, "systemDependencies"), "packages");

        if (image_system_input(packages, &lines, err) != ERR_OK)
                return NULL;
        const char *text = lines.len > 0 ? buf_text(&lines) : "";
        char *copy = text != NULL ? strdup(text) : NULL;
        if (copy == NULL)
                (void)err_nomem(err);
        return copy;
}

static char *text_copy(struct str text)
{
        return text.len > 0 ? strndup(text.p, text.len) : strdup("");
}

static struct image_build *build_create(struct api *api, const struct store_row *row, const char *language,
                                        const json_t *layers)
{
        struct image_build *build = calloc(1, sizeof(*build));

        if (build == NULL)
                return NULL;
        build->api = api;
        build->revision = row->revision;
        snprintf(build->id, sizeof(build->id), "%s", row->id);
        snprintf(build->language, sizeof(build->language), "%s", language);
        build->organization = strdup(row->organization);
        build->project = strdup(row->project);
        build->name = strdup(row->name);
        build->manifest =
                wants_runtime(row->document) ? text_copy(manifest_of(row->document, "manifest")) : strdup("");
        build->lock = text_copy(manifest_of(row->document, "lock"));
        build->interpreter = text_copy(json_str(row->internal, "interpreter"));
        build->base = json_deep_copy(layers);
        build->layers = json_deep_copy(layers);
        if (build->organization == NULL || build->project == NULL || build->name == NULL ||
            build->manifest == NULL || build->lock == NULL || build->interpreter == NULL ||
            build->base == NULL || build->layers == NULL) {
                build_free(build);
                return NULL;
        }
        build->next = api->image_builds;
        api->image_builds = build;
        return build;
}

void image_build_start(struct api *api, struct store_row *row, const char *language, const json_t *layers)
{
        struct image_build *build = build_create(api, row, language, layers);
        struct err err;

        if (build == NULL) {
                err_nomem(&err);
                api_stumble(api, "begin an image", &err);
                return;
        }
        build->system = system_lines(row->document, &err);
        if (build->system == NULL)
                build_fail(build, err.code, err.text);
        else
                system_stage(build);
}
