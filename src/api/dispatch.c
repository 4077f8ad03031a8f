/*
 * api/dispatch.c: where a call enters the control loop: who asks and in which organization and project, then
 * to its resource.
 */
#include "api/function_image.h"
#include "api/gc.h"
#include "api/instances.h"
#include "api/internal.h"
#include "api/resource.h"
#include "api/runs.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PROBLEM_AGAIN_MS = 60000 }; /* a failure that goes on is told once a minute */

static const struct api_resource *const resources[MODEL_KIND_COUNT] = {
        [MODEL_BASE_IMAGE] = &api_base_images, [MODEL_IMAGE] = &api_images,
        [MODEL_FUNCTION] = &api_functions,     [MODEL_SECRET] = &api_secrets,
        [MODEL_ENDPOINT] = &api_endpoints,     [MODEL_API] = &api_apis,
};

const struct api_resource *api_resource_of(enum model_kind kind)
{
        assert(kind < MODEL_KIND_COUNT && resources[kind] != NULL);
        return resources[kind];
}

void api_problem(struct api *api, const char *what, const struct err *err)
{
        char text[ERR_TEXT_MAX + 128];

        if (api->config.problem == NULL)
                return;
        snprintf(text, sizeof(text), "%s: %s", what, err->text);
        uint64_t now = clock_mono_ms();
        bool again = strncmp(text, api->last_problem, sizeof(api->last_problem) - 1) == 0;
        if (again && now - api->last_problem_ms < PROBLEM_AGAIN_MS)
                return;
        snprintf(api->last_problem, sizeof(api->last_problem), "%.*s", (int)sizeof(api->last_problem) - 1,
                 text);
        api->last_problem_ms = now;
        api->config.problem(api->config.arg, text);
}

struct store_key api_key(enum model_kind kind, struct str organization, struct str project, struct str name)
{
        if (kind == MODEL_API)
                kind = MODEL_ENDPOINT;
        return (struct store_key){kind, organization, kind == MODEL_BASE_IMAGE ? STR("") : project, name};
}

struct store_key api_row_key(enum model_kind kind, const struct store_row *row)
{
        return (struct store_key){kind == MODEL_API ? MODEL_ENDPOINT : kind, str_of(row->organization),
                                  str_of(row->project), str_of(row->name)};
}

/* An absent or empty header means the default. */
static enum err_code scope_take(const char *header, struct str sent, const char *initial, struct str *ret,
                                struct err *err)
{
        if (sent.len == 0) {
                *ret = str_of(initial);
                return ERR_OK;
        }
        *ret = sent;
        return model_check_header_name(header, sent, err);
}

static enum err_code caller_fill(struct api_call *call, struct err *err)
{
        const struct api_config *config = &call->api->config;
        enum err_code code;

        call->caller.kind = CALLER_ANONYMOUS;
        call->caller.subject = STR("");
        code = scope_take("X-Dispatch-Org", call->organization_header, config->organization,
                          &call->caller.organization, err);
        if (code != ERR_OK)
                return code;
        return scope_take("X-Dispatch-Project", call->project_header, config->project, &call->caller.project,
                          err);
}

static void metrics_reply(struct api_call *call)
{
        const struct api_config *config = &call->api->config;

        if (config->metrics != NULL)
                config->metrics(config->arg, &call->reply);
        buf_append_text(&call->reply, "# EOF\n"); /* without it a scraper takes the text for cut off */
        api_call_field(call, "Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
        call->status = 200;
        api_call_finish(call);
}

void api_dispatch(struct api_call *call)
{
        struct err err;
        enum err_code code;

        if (call->caller.request_id.len > 0)
                api_call_field(call, "X-Request-Id", call->caller.request_id.p);
        if (call->route.target == TARGET_METRICS) {
                metrics_reply(call);
                return;
        }
        if (call->route.target == TARGET_GC) {
                gc_call(call);
                return;
        }
        code = caller_fill(call, &err);
        if (code == ERR_OK && call->route.target == TARGET_INSTANCES) {
                instances_call(call);
                return;
        }
        if (code == ERR_OK && call->name.len > 0)
                code = model_check_path_name(model_resource(call->route.kind), call->name, &err);
        if (code != ERR_OK)
                api_call_fail(call, &err);
        else if (call->route.target == TARGET_RUNS)
                runs_call(call);
        else if (call->route.target == TARGET_FUNCTION_POOL)
                instances_pool_call(call);
        else if (call->route.target == TARGET_FUNCTION_IMAGE)
                function_image_call(call);
        else
                api_resource_call(api_resource_of(call->route.kind), call);
}
