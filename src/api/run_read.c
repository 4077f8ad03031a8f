/* api/run_read.c: the history of runs: one, or the newest of them. */
#include "api/resource.h"
#include "api/run.h"

enum {
        LIST_MAX = 1000 /* runs of one list, the newest; a field of the reply says when there are more */
};

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

struct run_list {
        struct buf *out;
        uint64_t count, max;
        bool failed;
};

static bool run_list_add(void *arg, json_t *run)
{
        struct run_list *list = arg;
        struct err err;

        if (list->count == list->max) {
                list->count++; /* there are more */
                return false;
        }
        own_json json_t *shown = model_print(model_resource(MODEL_RUN), run, MODEL_PRINT_REPLY);
        list->failed = shown == NULL || (list->count > 0 && buf_append_text(list->out, ",") != ERR_OK) ||
                       json_print(shown, list->out, &err) != ERR_OK;
        list->count++;
        return !list->failed;
}

static enum err_code query_integer(struct api_call *call, const char *name, int64_t initial, int64_t *ret,
                                   struct err *err)
{
        struct str text;
        enum err_code code = api_query_get(call->query, str_of(name), &call->arena, &text);

        *ret = initial;
        if (code != ERR_OK)
                return err_set(err, code, "malformed query");
        if (text.len == 0 || str_to_i64(text, ret))
                return ERR_OK;
        err_set(err, ERR_UNPROCESSABLE, "%s in query must be of type int64: \"%.*s\"", name,
                (int)(text.len < 128 ? text.len : 128), text.p);
        err->detail = 601;
        return ERR_UNPROCESSABLE;
}

static enum err_code list_query(struct api_call *call, int64_t *ret_since_us, int64_t *ret_limit,
                                struct err *err)
{
        int64_t since_s;
        enum err_code code = query_integer(call, "since", 0, &since_s, err);

        if (code != ERR_OK || (code = query_integer(call, "limit", LIST_MAX, ret_limit, err)) != ERR_OK)
                return code;
        if (*ret_limit < 1 || *ret_limit > LIST_MAX)
                *ret_limit = LIST_MAX;
        /* The original's client says "from the beginning" with the zero time of its language. */
        if (since_s < 0)
                since_s = 0;
        *ret_since_us = since_s < INT64_MAX / 1000000 ? since_s * 1000000 : INT64_MAX;
        return ERR_OK;
}

static void run_list(struct api_call *call)
{
        const struct api_config *config = &call->api->config;
        struct run_list list = {.out = &call->reply};
        int64_t since_us, limit;
        struct str function;
        struct err err;

        enum err_code code = run_function_name(call, &function, &err);
        if (code == ERR_OK)
                code = list_query(call, &since_us, &limit, &err);
        if (code != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        list.max = (uint64_t)limit;
        if ((code = buf_append_text(&call->reply, "[")) != ERR_OK)
                err_nomem(&err);
        if (code == ERR_OK)
                code = recorder_flush(config->recorder, &err);
        if (code == ERR_OK)
                code = store_run_list(config->store, call->caller.organization, call->caller.project,
                                      function, since_us, list.max + 1, run_list_add, &list, &err);
        if (code == ERR_OK && (list.failed || buf_append_text(&call->reply, "]\n") != ERR_OK))
                code = err_set(&err, ERR_SYSTEM,
                               "the list does not fit in %d bytes: ask for fewer with limit",
                               CALL_REPLY_BYTES_MAX);
        if (code != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        if (list.count > list.max)
                api_call_field(call, "Dispatch-Truncated", "true");
        api_call_field(call, "Content-Type", "application/json");
        call->status = 200;
        api_call_finish(call);
}

void runs_read(struct api_call *call)
{
        if (call->route.verb == VERB_GET)
                run_get(call);
        else
                run_list(call);
}
