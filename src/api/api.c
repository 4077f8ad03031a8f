/* api/api.c: the API as a whole: its making, its start, its end. */
#include "api/base_images.h"
#include "api/cursor.h"
#include "api/endpoints.h"
#include "api/explain.h"
#include "api/function_image.h"
#include "api/functions.h"
#include "api/gc.h"
#include "api/image_build.h"
#include "api/image_catalogue.h"
#include "api/image_log.h"
#include "api/images.h"
#include "api/internal.h"
#include "api/object_store.h"
#include "api/pull.h"
#include "api/rows.h"
#include "api/runs.h"
#include "api/sources.h"

#include "base/own.h"

#include <assert.h>
#include <stdlib.h>

enum { STUMBLES_MAX = 5 }; /* 32 times as long, with the default of a second */

static void reconcile(void *arg);

static uint32_t or_default(uint32_t value, uint32_t initial)
{
        return value != 0 ? value : initial;
}

static void defaults_fill(struct api_config *config)
{
        config->run_timeout_ms = or_default(config->run_timeout_ms, 60000);
        config->calls_max = or_default(config->calls_max, 1024);
        config->runs_waiting_max = or_default(config->runs_waiting_max, 1000);
        config->reconcile_ms = or_default(config->reconcile_ms, 1000);
        if (config->body_bytes_max == 0)
                config->body_bytes_max = 10 * 1024 * 1024;
        if (config->source_bytes_max == 0)
                config->source_bytes_max = 64 * 1024 * 1024;
}

enum err_code api_create(const struct api_config *config, struct api **ret, struct err *err)
{
        assert(config->control != NULL && config->store != NULL && config->hub != NULL);
        assert(config->engine != NULL && config->builder != NULL && config->recorder != NULL);

        struct api *api = calloc(1, sizeof(*api));
        if (api == NULL)
                return err_nomem(err);
        api->config = *config;
        api->sources_fd = -1;
        defaults_fill(&api->config);
        recorder_on_missing(config->recorder, layers_missing, api);
        endpoints_init(api);
        api->logs_fd = -1;
        enum err_code code = sources_init(api, err);
        if (code == ERR_OK)
                code = image_logs_init(api, err);
        if (code == ERR_OK)
                code = api_openapi_init(api, err);
        if (code == ERR_OK && (api->reconcile = loop_timer_create(config->control, reconcile, api)) == NULL)
                code = err_nomem(err);
        if (code != ERR_OK) {
                api_destroy(api);
                return code;
        }
        /* A store that cannot be written now must not keep the server from starting; cursors end with it
         * then. */
        struct err why;
        if (cursor_key_load(config->store, api->cursor_key, &why) != ERR_OK)
                api_problem(api, "keep the key of cursors", &why);
        *ret = api;
        return ERR_OK;
}

void api_destroy(struct api *api)
{
        if (api == NULL)
                return;
        loop_timer_destroy(api->reconcile);
        gc_finish(api);
        api_explain_finish(api);
        function_pushes_finish(api);
        function_images_finish(api);
        runs_finish(api);
        functions_finish(api);
        functions_checks_finish(api);
        layers_finish(api);
        images_finish(api);
        image_builds_finish(api);
        image_catalogues_finish(api);
        image_logs_finish(api);
        base_images_finish(api);
        pulls_finish(api);
        endpoints_finish(api);
        sources_finish(api);
        buf_finish(&api->openapi);
        free(api);
}

struct recovery {
        struct api *api;
        api_published published;
        void *arg;
        enum err_code code;
        struct err err;
};

static bool function_load(void *arg, struct store_row *row)
{
        struct recovery *recovery = arg;

        sources_swap(recovery->api, NULL, row->internal);
        recovery->code = function_entry_put(recovery->api, row, NULL, &recovery->err);
        if (recovery->code == ERR_CORRUPT) {
                /* One damaged row must not keep the others from being served. */
                api_problem(recovery->api, "load a function", &recovery->err);
                recovery->code = ERR_OK;
        }
        return recovery->code == ERR_OK;
}

static bool endpoint_load(void *arg, struct store_row *row)
{
        struct recovery *recovery = arg;

        recovery->code = endpoint_publish(recovery->api, row, &recovery->err);
        if (recovery->code != ERR_OK && recovery->code != ERR_NO_MEMORY) {
                api_problem(recovery->api, "load an endpoint", &recovery->err);
                recovery->code = ERR_OK;
        }
        return recovery->code == ERR_OK;
}

static enum err_code load(struct recovery *recovery)
{
        struct store *store = recovery->api->config.store;
        struct store_key key = {MODEL_FUNCTION, STR(""), STR(""), STR("")};
        enum err_code code = store_list(store, &key, function_load, recovery, &recovery->err);

        if (code != ERR_OK || recovery->code != ERR_OK)
                return code != ERR_OK ? code : recovery->code;
        key.kind = MODEL_ENDPOINT;
        code = store_list(store, &key, endpoint_load, recovery, &recovery->err);
        return code != ERR_OK ? code : recovery->code;
}

static void report(struct api *api, enum err_code code, const char *what, const struct err *err)
{
        if (code != ERR_OK)
                api_problem(api, what, err);
}

/* Whatever is not finished goes on: what others wait for first. */
static void reconcile(void *arg)
{
        static const struct {
                enum model_kind kind;
                void (*act)(struct api *api, enum model_kind kind, struct store_row *row);
                const char *what;
        } kinds[] = {{MODEL_BASE_IMAGE, images_reconcile, "go on with base images"},
                     {MODEL_IMAGE, images_reconcile, "go on with images"},
                     {MODEL_FUNCTION, functions_reconcile, "go on with functions"}};
        struct api *api = arg;
        struct err err;

        api->reconcile_due = false;
        if (api->stumbles < STUMBLES_MAX)
                api->stumbles++;
        api_explain_again(api);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct store_key key = {kinds[i].kind, STR(""), STR(""), STR("")};

                if (api_rows_each(api, &key, api_row_pending, STR(""), kinds[i].act, &err) == ERR_OK)
                        continue;
                api_stumble(api, kinds[i].what, &err);
        }
        if (api->snapshot_stale) {
                api->snapshot_stale = false;
                functions_sync(api);
        }
        if (api->layers_stale) {
                api->layers_stale = false;
                functions_check_layers(api);
                layers_check(api);
        }
}

void api_reconcile_later(struct api *api)
{
        if (api->reconcile_due)
                return; /* what keeps failing must not put it off */
        api->reconcile_due = true;
        loop_timer_start(api->reconcile, (uint64_t)api->config.reconcile_ms << api->stumbles);
}

void api_progress(struct api *api)
{
        api->stumbles = 0;
}

void api_stumble(struct api *api, const char *what, const struct err *err)
{
        api_problem(api, what, err);
        api_reconcile_later(api);
}

void api_stumble_snapshot(struct api *api, const char *what, const struct err *err)
{
        api->snapshot_stale = true;
        api_stumble(api, what, err);
}

static void storage_checked(void *arg, const struct object_result *result)
{
        struct api *api = arg;
        struct err err;

        if (result->code == ERR_OK) {
                api->objects_checked = true;
                return;
        }
        err_set(&err, result->code, "%s", result->text);
        api_problem(api, "the function store does not work (what is built goes on working)", &err);
}

static void resume(struct api *api)
{
        struct err err;

        api->objects_needed = api->objects_held > 0;
        if (api->config.maintenance)
                return;
        if (object_store_on(api))
                object_check(api, sources_may_create(api), storage_checked, api);
        reconcile(api);
        report(api, sources_sweep(api, &err), "remove sources that nothing needs", &err);
        functions_check_layers(api);
        layers_check(api);
        function_pushes_resume(api);
        report(api, runs_recover(api, api->config.draining_generation, &err), "run accepted runs again",
               &err);
        gc_begin(api);
}

void api_server_gone(struct api *api)
{
        struct err err;

        report(api, runs_recover(api, 0, &err), "run accepted runs again", &err);
}

static void recovered(void *arg)
{
        struct recovery *recovery = arg;
        struct api *api = recovery->api;

        atomic_store(&api->open, true);
        recovery->published(recovery->arg, ERR_OK, NULL);
        free(recovery);
        resume(api);
}

void api_ready(struct api *api)
{
        atomic_store(&api->ready, true);
}

void api_recover(struct api *api, api_published published, void *arg)
{
        struct recovery *recovery = calloc(1, sizeof(*recovery));
        struct err err;

        if (recovery == NULL) {
                published(arg, err_nomem(&err), &err);
                return;
        }
        *recovery = (struct recovery){.api = api, .published = published, .arg = arg};
        enum err_code code = load(recovery);
        if (code != ERR_OK) {
                err = recovery->err;
                free(recovery);
                published(arg, code, &err);
                return;
        }
        snapshot_publish(api->config.hub, recovered, recovery);
}
