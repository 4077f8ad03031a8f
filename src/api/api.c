/* api/api.c: the API as a whole: its making, its start, its end. */
#include "api/endpoints.h"
#include "api/functions.h"
#include "api/images.h"
#include "api/internal.h"
#include "api/rows.h"
#include "api/runs.h"
#include "api/sources.h"

#include "base/own.h"

#include <assert.h>
#include <stdlib.h>

static uint32_t or_default(uint32_t value, uint32_t initial)
{
        return value != 0 ? value : initial;
}

static void defaults_fill(struct api_config *config)
{
        config->run_timeout_ms = or_default(config->run_timeout_ms, 60000);
        config->calls_max = or_default(config->calls_max, 1024);
        config->runs_waiting_max = or_default(config->runs_waiting_max, 1000);
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
        defaults_fill(&api->config);
        endpoints_init(api);
        enum err_code code = sources_init(api, err);
        if (code != ERR_OK) {
                api_destroy(api);
                return code;
        }
        *ret = api;
        return ERR_OK;
}

void api_destroy(struct api *api)
{
        if (api == NULL)
                return;
        runs_finish(api);
        functions_finish(api);
        functions_checks_finish(api);
        images_finish(api);
        endpoints_finish(api);
        sources_finish(api);
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

/* Whatever was not finished goes on: what others wait for first. */
static void resume(struct api *api)
{
        struct store_key key = {MODEL_BASE_IMAGE, STR(""), STR(""), STR("")};
        struct err err;

        report(api, api_rows_each(api, &key, api_row_pending, STR(""), images_reconcile, &err),
               "go on with base images", &err);
        key.kind = MODEL_IMAGE;
        report(api, api_rows_each(api, &key, api_row_pending, STR(""), images_reconcile, &err),
               "go on with images", &err);
        key.kind = MODEL_FUNCTION;
        report(api, api_rows_each(api, &key, api_row_pending, STR(""), functions_reconcile, &err),
               "go on with functions", &err);
        report(api, sources_sweep(api, &err), "remove sources that nothing needs", &err);
        functions_check_layers(api);
        report(api, runs_recover(api, api->config.draining_generation, &err), "run accepted runs again",
               &err);
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

        atomic_store(&api->ready, true);
        recovery->published(recovery->arg, ERR_OK, NULL);
        free(recovery);
        resume(api);
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
