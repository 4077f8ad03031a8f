/* api/instances.c: asks the engine what it has, and answers with that. */
#include "api/instances.h"

#include "api/internal.h"
#include "api/resource.h"
#include "base/own.h"

#include <string.h>

static void instances_found(void *arg, json_t *found)
{
        struct api_call *call = arg;
        own_json json_t *list = found;

        api_call_json(call, 200, list);
}

/* Where the function's name is, for the one that was asked about. */
static void pool_found(void *arg, json_t *found)
{
        struct api_call *call = arg;
        own_json json_t *state = found;

        if (state != NULL)
                json_object_set_new(state, "name", json_stringn(call->name.p, call->name.len));
        api_call_json(call, 200, state);
}

/* A text of the call's, with its NUL. NULL: no memory. */
static const char *text_of(struct api_call *call, struct str text)
{
        return arena_strdup(&call->arena, text);
}

static void ask(struct api_call *call, struct str function, bool pool)
{
        const struct api *api = call->api;
        const struct function_entry *entry = NULL;
        struct engine_query query = {.organization = text_of(call, call->caller.organization),
                                     .project = text_of(call, call->caller.project),
                                     .pool = pool};
        struct err err;

        if (query.organization == NULL || query.project == NULL) {
                err_nomem(&err);
                api_call_fail(call, &err);
                return;
        }
        if (function.len > 0) {
                entry = snapshot_function(snapshot_working(api->config.hub), call->caller.organization,
                                          call->caller.project, function);
                if (entry == NULL) {
                        api_not_found(MODEL_FUNCTION, function, &err);
                        api_call_fail(call, &err);
                        return;
                }
                query.function_id = entry->function_id;
        }
        api->config.engine->ops->inspect(api->config.engine, &query, pool ? pool_found : instances_found,
                                         call);
}

void instances_call(struct api_call *call)
{
        struct str function;
        struct err err;

        if (api_query_get(call->query, STR("functionName"), &call->arena, &function) != ERR_OK) {
                err_set(&err, ERR_INVALID, "malformed query");
                api_call_fail(call, &err);
                return;
        }
        ask(call, function, false);
}

void instances_pool_call(struct api_call *call)
{
        ask(call, call->name, true);
}
