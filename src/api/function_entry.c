/*
 * api/function_entry.c: from a function's row to what gateway and engine see of it: the entry in the snapshot
 * and the revision object behind it, and both again when a secret changed.
 */
#include "api/functions.h"
#include "api/rows.h"

#include <stdio.h>
#include <stdlib.h>

static enum err_code revision_of_active(struct api *api, const struct store_row *row, uint32_t epoch,
                                        struct revision **ret, struct err *err)
{
        const json_t *active = json_object_get(row->internal, "active"), *layer;
        const json_t *layer_list = json_object_get(active, "layers");
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        size_t i;

        /* The row's own strings with the document and number that serve. */
        struct store_row served = *row;
        served.document = json_object_get(active, "document");
        served.revision = (int64_t)json_integer_value(json_object_get(active, "number"));

        const char *language = json_string_value(json_object_get(active, "language"));
        const char *handler = json_string_value(json_object_get(active, "handler"));
        const char *layer_of_source = json_string_value(json_object_get(active, "layer"));
        const json_t *image = json_object_get(active, "image");
        const char *code = image != NULL ? "" : layer_of_source;
        if (served.document == NULL || language == NULL || handler == NULL || code == NULL ||
            json_array_size(layer_list) == 0 || json_array_size(layer_list) > SPAWN_LAYERS_MAX)
                return err_set(err, ERR_CORRUPT, "function %s: what is stored of its revision is not whole",
                               row->name);
        json_array_foreach(layer_list, i, layer)
                snprintf(layers[i], sizeof(layers[i]), "%s", json_string_value(layer));

        struct revision_build build = {.language = language,
                                       .handler = handler,
                                       .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                       .layer_count = (uint32_t)json_array_size(layer_list),
                                       .code = code,
                                       .interpreter =
                                               json_string_value(json_object_get(active, "interpreter")),
                                       .env = json_object_get(active, "env"),
                                       .timeout_default_ms = api->config.run_timeout_ms,
                                       .epoch = epoch};
        return revision_create(&served, &build, ret, err);
}

static struct function_entry *entry_of(const struct store_row *row, struct revision *revision)
{
        char reason[1024];
        bool failed = revision == NULL && status_of(row->document) == STATUS_ERROR;
        struct function_entry *entry;

        status_reason_text(row->document, reason, sizeof(reason));
        entry = function_entry_create(row->id,
                                      revision != NULL ? FUNCTION_READY
                                      : failed         ? FUNCTION_ERROR
                                                       : FUNCTION_PENDING,
                                      failed ? reason : NULL, revision);
        if (entry != NULL) {
                struct str image = json_str(row->document, "image");

                entry->image = image.p != NULL ? strndup(image.p, image.len) : NULL;
        }
        return entry;
}

enum err_code function_entry_put(struct api *api, const struct store_row *row, struct revision *revision,
                                 struct err *err)
{
        struct revision *made = NULL;
        enum err_code code = ERR_OK;

        if (revision == NULL && json_object_get(row->internal, "active") != NULL) {
                if ((code = revision_of_active(api, row, api->epoch, &made, err)) != ERR_OK)
                        return code;
                revision = made;
        }
        struct function_entry *entry = entry_of(row, revision);
        if (entry == NULL)
                code = err_nomem(err);
        else
                code = snapshot_put_function(api->config.hub, str_of(row->organization), str_of(row->project),
                                             str_of(row->name), entry, err);
        if (entry != NULL)
                function_entry_unref(entry);
        revision_unref(made);
        return code;
}

struct revision *function_serving(struct api *api, const struct store_row *row)
{
        const struct function_entry *entry =
                snapshot_function(snapshot_working(api->config.hub), str_of(row->organization),
                                  str_of(row->project), str_of(row->name));

        if (entry == NULL || strcmp(entry->function_id, row->id) != 0)
                return NULL;
        return entry->revision;
}

struct retirement {
        struct api *api;
        struct revision *revision;
};

/* Every loop has the new snapshot: no run can reach the old revision any more. */
static void retire_now(void *arg)
{
        struct retirement *retirement = arg;
        struct engine *engine = retirement->api->config.engine;

        engine->ops->retire(engine, retirement->revision);
        revision_unref(retirement->revision);
        free(retirement);
}

void function_publish_retire(struct api *api, struct revision *revision)
{
        struct retirement *retirement = revision != NULL ? malloc(sizeof(*retirement)) : NULL;

        if (retirement != NULL)
                *retirement = (struct retirement){api, revision_ref(revision)};
        snapshot_publish(api->config.hub, retirement != NULL ? retire_now : NULL, retirement);
}

/* A revision object of the same code with another epoch: instances that know the old values leave. */
static void secret_renew(struct api *api, const struct store_row *row)
{
        struct revision *old = function_serving(api, row);
        struct err err;

        if (old == NULL)
                return;
        revision_ref(old);
        api->epoch++;
        if (function_entry_put(api, row, NULL, &err) != ERR_OK)
                api_stumble_snapshot(api, "renew a function after a secret changed", &err);
        else
                function_publish_retire(api, old);
        revision_unref(old);
}

static void secret_moved(struct api *api, enum model_kind kind, struct store_row *row)
{
        const json_t *active = json_object_get(row->internal, "active");
        struct err err;

        secret_renew(api, row);
        if (status_of(row->document) == STATUS_READY)
                return;
        functions_stale(api, row->id);
        if (status_of(row->document) == STATUS_ERROR &&
            status_save(api->config.store, kind, row, active != NULL ? STATUS_UPDATING : STATUS_INITIALIZED,
                        NULL, &err) != ERR_OK) {
                api_stumble(api, "try a function again", &err);
                return;
        }
        functions_reconcile(api, kind, row);
}

bool functions_secret_changed(struct api *api, struct str organization, struct str project, struct str name)
{
        struct store_key key = {MODEL_FUNCTION, organization, project, STR("")};
        struct err err;

        if (api_rows_each(api, &key, api_row_of_secret, name, secret_moved, &err) != ERR_OK)
                api_stumble(api, "find the functions of a secret", &err);
        return true;
}
