/* engine/revision.c: a stored function as the engine needs it. */
#include "engine/revision.h"

#include "base/allow.h"
#include "base/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MIB_DEFAULT = 256, CPU_MILLICORES_DEFAULT = 1000, IDLE_TIMEOUT_MS_DEFAULT = 600000 };

static bool copy_text(char **to, const char *from)
{
        *to = strdup(from != NULL ? from : "");
        return *to != NULL;
}

static uint32_t number_of(const json_t *document, const char *key, uint32_t fallback)
{
        const json_t *value = json_object_get(document, key);

        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) > UINT32_MAX)
                return fallback;
        return (uint32_t)json_integer_value(value);
}

/* A new list of copies of a JSON list's strings. */
static bool copy_list(const json_t *list, struct str **ret, size_t *ret_count)
{
        size_t count = json_array_size(list);

        *ret = NULL;
        if (count == 0)
                return true;
        struct str *items = calloc(count, sizeof(*items));
        *ret = items;
        if (items == NULL)
                return false;
        for (size_t i = 0; i < count; i++) {
                const json_t *item = json_array_get(list, i);
                char *text = strdup(json_is_string(item) ? json_string_value(item) : "");
                if (text == NULL)
                        return false;
                items[(*ret_count)++] = str_of(text);
        }
        return true;
}

/* What the image sets and the function does not. What is no variable is left out: nobody can set it. */
static bool copy_image_env(const json_t *list, const json_t *map, struct str *items, size_t *ret_count)
{
        const json_t *item;
        size_t i;

        json_array_foreach(list, i, item)
        {
                struct str text = str_of(json_string_value(item));
                size_t len = text.p != NULL ? str_find(text, '=') : 0;
                if (len == 0 || len == text.len || json_object_getn(map, text.p, len) != NULL)
                        continue;
                char *copy = strdup(text.p);
                if (copy == NULL)
                        return false;
                items[(*ret_count)++] = str_of(copy);
        }
        return true;
}

static bool copy_env(const json_t *list, const json_t *map, struct str **ret, size_t *ret_count)
{
        size_t count = json_array_size(list) + json_object_size(map);
        const char *key;
        json_t *value;

        *ret = NULL;
        if (count == 0)
                return true;
        struct str *items = calloc(count, sizeof(*items));
        *ret = items;
        if (items == NULL || !copy_image_env(list, map, items, ret_count))
                return false;
        json_object_foreach((json_t *)map, key, value)
        {
                char *text = NULL;
                if (!json_is_string(value))
                        continue;
                if (asprintf(&text, "%s=%s", key, json_string_value(value)) < 0)
                        return false;
                items[(*ret_count)++] = str_of(text);
        }
        return true;
}

static void free_list(struct str *items, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free((char *)items[i].p);
        free(items);
}

static void revision_free(struct revision *revision)
{
        free_list(revision->env, revision->env_count);
        free_list(revision->secrets, revision->secret_count);
        free(revision->organization);
        free(revision->project);
        free(revision->name);
        free(revision->language);
        free(revision->handler);
        free(revision->interpreter);
        free(revision->layers);
        free(revision->allow);
        schema_unref(revision->schema_in);
        schema_unref(revision->schema_out);
        free(revision);
}

/* The model has checked what the items are, and that there is room for them. */
static bool copy_allow(const json_t *network, struct revision *revision)
{
        const json_t *items = json_object_get(network, "allow");
        size_t index;
        json_t *item;

        revision->egress = str_eq(json_str(network, "mode"), STR("egress"));
        if (!revision->egress || json_array_size(items) == 0)
                return true;
        revision->allow = calloc(1, ALLOW_BYTES_MAX);
        if (revision->allow == NULL)
                return false;
        json_array_foreach(items, index, item)
        {
                size_t len = json_string_length(item) + 1;
                assert(revision->allow_len + len < ALLOW_BYTES_MAX);
                memcpy(revision->allow + revision->allow_len, json_string_value(item), len);
                revision->allow_len += len;
        }
        return true;
}

static bool copy_layers(struct revision *revision, const char (*layers)[SPAWN_NAME_MAX], uint32_t count)
{
        assert(count > 0 && count <= SPAWN_LAYERS_MAX);
        revision->layers = calloc(count, sizeof(revision->layers[0]));
        if (revision->layers == NULL)
                return false;
        memcpy(revision->layers, layers, count * sizeof(revision->layers[0]));
        revision->layer_count = count;
        return true;
}

static bool revision_copy(struct revision *revision, const struct store_row *row,
                          const struct revision_build *build)
{
        const json_t *document = row->document;

        return copy_text(&revision->organization, row->organization) &&
               copy_text(&revision->project, row->project) && copy_text(&revision->name, row->name) &&
               copy_text(&revision->language, build->language) &&
               copy_text(&revision->handler, build->handler) &&
               copy_text(&revision->interpreter, build->interpreter != NULL ? build->interpreter : "") &&
               copy_list(json_object_get(document, "secrets"), &revision->secrets, &revision->secret_count) &&
               copy_env(build->env, json_object_get(document, "env"), &revision->env, &revision->env_count) &&
               copy_allow(json_object_get(document, "network"), revision) &&
               copy_layers(revision, build->layers, build->layer_count);
}

enum err_code revision_schema(const json_t *document, const char *field, struct schema **ret, struct err *err)
{
        const json_t *stored = json_object_get(json_object_get(document, "schema"), field);

        if (json_object_size(stored) == 0) {
                *ret = NULL;
                return ERR_OK;
        }
        /* The document is the row's, which others change; the program reads its own for as long as it lives.
         */
        own_json json_t *copy = json_clone(stored);
        if (copy == NULL)
                return err_nomem(err);
        enum err_code code = schema_compile(copy, NULL, ret, err);
        if (code == ERR_OK || code == ERR_NO_MEMORY)
                return code;
        return err_wrap(err, ERR_UNPROCESSABLE, "schema.%s", field);
}

enum err_code revision_create(const struct store_row *row, const struct revision_build *build,
                              struct revision **ret, struct err *err)
{
        const json_t *document = row->document;

        assert(strlen(row->id) == UUID_LEN && strlen(build->code) < SPAWN_NAME_MAX);

        struct revision *revision = calloc(1, sizeof(*revision));
        if (revision == NULL)
                return err_nomem(err);
        atomic_init(&revision->refs, 1);
        if (!revision_copy(revision, row, build)) {
                revision_free(revision);
                return err_nomem(err);
        }
        enum err_code code = revision_schema(document, "in", &revision->schema_in, err);
        if (code == ERR_OK)
                code = revision_schema(document, "out", &revision->schema_out, err);
        if (code != ERR_OK) {
                revision_free(revision);
                return code;
        }
        memcpy(revision->function_id, row->id, UUID_LEN + 1);
        memcpy(revision->code, build->code, strlen(build->code) + 1);
        revision->number = row->revision;
        revision->epoch = build->epoch;
        revision->memory_mib = number_of(document, "memory", MEMORY_MIB_DEFAULT);
        revision->cpu_millicores = number_of(document, "cpu", CPU_MILLICORES_DEFAULT);
        revision->timeout_ms = number_of(document, "timeout", 0);
        if (revision->timeout_ms == 0)
                revision->timeout_ms = build->timeout_default_ms;
        revision->idle_timeout_ms = number_of(document, "idleTimeout", IDLE_TIMEOUT_MS_DEFAULT);
        revision->concurrency = number_of(document, "concurrency", 1);
        revision->instances_min = number_of(document, "minInstances", 0);
        revision->instances_max = number_of(document, "maxInstances", 0);
        revision->isolation =
                str_eq(json_str(document, "isolation"), STR("run")) ? ISOLATION_RUN : ISOLATION_INSTANCE;
        *ret = revision;
        return ERR_OK;
}

struct revision *revision_of_image(const struct revision *of, const char *name)
{
        struct revision *revision = calloc(1, sizeof(*revision));

        if (revision == NULL)
                return NULL;
        atomic_init(&revision->refs, 1);
        if (!copy_text(&revision->organization, of->organization) || !copy_text(&revision->project, "") ||
            !copy_text(&revision->name, name) || !copy_text(&revision->language, of->language) ||
            !copy_text(&revision->handler, "") || !copy_text(&revision->interpreter, of->interpreter) ||
            !copy_layers(revision, (const char(*)[SPAWN_NAME_MAX])of->layers, of->layer_count)) {
                revision_free(revision);
                return NULL;
        }
        snprintf(revision->function_id, sizeof(revision->function_id), REVISION_IMAGE_GROUP);
        revision->memory_mib = of->memory_mib;
        revision->cpu_millicores = of->cpu_millicores;
        revision->timeout_ms = of->timeout_ms;
        revision->concurrency = 1;
        return revision;
}

struct revision *revision_ref(struct revision *revision)
{
        atomic_fetch_add_explicit(&revision->refs, 1, memory_order_relaxed);
        return revision;
}

void revision_unref(struct revision *revision)
{
        if (revision != NULL && atomic_fetch_sub_explicit(&revision->refs, 1, memory_order_acq_rel) == 1)
                revision_free(revision);
}
