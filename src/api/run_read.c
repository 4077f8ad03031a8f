/* api/run_read.c: the history of runs: one, or the newest of them. */
#include "api/page.h"
#include "api/resource.h"
#include "api/run.h"

#include <assert.h>
#include <stdio.h>

enum err_code run_function_name(struct api_call *call, struct str *ret, struct err *err)
{
        enum err_code code = api_query_get(call->query, STR("functionName"), &call->arena, ret);

        return code == ERR_OK ? ERR_OK : err_set(err, code, "malformed query");
}

static void run_get(struct api_call *call)
{
        const struct api_config *config = &call->api->config;
        own_json json_t *document = NULL;
        struct str function;
        struct err err;

        enum err_code code = run_function_name(call, &function, &err);
        if (code == ERR_OK)
                code = recorder_flush(config->recorder, &err);
        if (code == ERR_OK)
                code = store_run_get(config->store, call->caller.organization, call->caller.project,
                                     call->name, &document, &err);
        if (code == ERR_OK && function.len > 0 && !str_eq(json_str(document, "functionName"), function))
                code = api_not_found(MODEL_RUN, call->name, &err);
        if (code == ERR_NOT_FOUND)
                api_not_found(MODEL_RUN, call->name, &err);
        if (code != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        own_json json_t *shown = model_print(model_resource(MODEL_RUN), document, MODEL_PRINT_REPLY);
        api_call_json(call, 200, shown);
}

static bool run_wanted(const struct params *params, const json_t *run)
{
        struct str status = params->text[PARAM_STATUS];

        if (status.len > 0 && !str_eq(status, json_str(run, "status")))
                return false;
        return params_tags_hold(params, json_object_get(run, "tags"));
}

static struct str place_print(const struct store_run *run, char space[CURSOR_PLACE_MAX])
{
        int len =
                snprintf(space, CURSOR_PLACE_MAX, "%lld %.*s", (long long)run->modified_us, STR_ARG(run->id));

        assert(len > 0 && len < CURSOR_PLACE_MAX);
        return (struct str){space, (size_t)len};
}

static bool run_list_add(void *arg, const struct store_run *run)
{
        char space[CURSOR_PLACE_MAX];
        struct str place = place_print(run, space);
        struct page *page = arg;

        if (!page_look(page))
                return false;
        if (!run_wanted(&page->params, run->document)) {
                page_pass(page, place);
                return true;
        }
        if (!page_has_room(page))
                return false;
        own_json json_t *shown = model_print(model_resource(MODEL_RUN), run->document, MODEL_PRINT_REPLY);
        return page_add(page, shown, place);
}

static int64_t since_us(const struct params *params)
{
        int64_t since_s = params->number[PARAM_SINCE];

        /* The original's client says "from the beginning" with the zero time of its language. */
        if (since_s < 0)
                return 0;
        return since_s < INT64_MAX / 1000000 ? since_s * 1000000 : INT64_MAX;
}

/* A place was made by place_print: its cursor is authentic. */
static void place_read(struct str place, struct store_run_query *query)
{
        struct str time = str_cut(&place, ' ');

        query->before_us = INT64_MAX;
        if (str_to_i64(time, &query->before_us))
                query->before_id = place;
}

static void run_list(struct api_call *call)
{
        const struct api_config *config = &call->api->config;
        struct page page;
        struct err err;

        if (page_begin(&page, call, MODEL_RUN, PARAM_LIMIT_MAX, &err) != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        struct store_run_query query = {.organization = call->caller.organization,
                                        .project = call->caller.project,
                                        .function = page.params.text[PARAM_FUNCTION_NAME],
                                        .since_us = since_us(&page.params)};
        place_read(page.after, &query);
        enum err_code code = recorder_flush(config->recorder, &err);
        if (code == ERR_OK)
                code = store_run_page(config->store, &query, run_list_add, &page, &err);
        page_finish(&page, code, &err);
}

void runs_read(struct api_call *call)
{
        if (call->route.verb == VERB_GET)
                run_get(call);
        else
                run_list(call);
}
