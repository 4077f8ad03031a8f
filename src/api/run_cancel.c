/*
 * api/run_cancel.c: runs that end early: deleted by somebody (DELETE), or given up by whoever waited for
 * them.
 *
 * A run that is over stays in the history: deleting it is refused.
 */
#include "api/resource.h"
#include "api/run.h"
#include "api/runs.h"

#include "base/own.h"

#include <stdlib.h>

#define CANCELLED_TEXT "the run was cancelled"

static struct run_call *run_named(const struct api_call *call)
{
        for (struct run_call *run = call->api->runs; run != NULL; run = run->next) {
                const struct run_record *record = run->record;
                if (record != NULL && str_eq(call->name, str_of(record->inv.run_id)) &&
                    str_eq(call->caller.organization, str_of(record->organization)) &&
                    str_eq(call->caller.project, str_of(record->project)))
                        return run;
        }
        return NULL;
}

/* What the history has of it. */
static enum err_code recorded(struct api_call *call, json_t **ret, struct err *err)
{
        const struct api_config *config = &call->api->config;
        struct str function;
        enum err_code code = run_function_name(call, &function, err);

        if (code == ERR_OK)
                code = recorder_flush(config->recorder, err);
        if (code == ERR_OK)
                code = store_run_get(config->store, call->caller.organization, call->caller.project,
                                     call->name, ret, err);
        if (code == ERR_NOT_FOUND ||
            (code == ERR_OK && function.len > 0 && !str_eq(json_str(*ret, "functionName"), function)))
                code = api_not_found(MODEL_RUN, call->name, err);
        return code;
}

static void reply_with(struct api_call *call, const json_t *document)
{
        own_json json_t *shown = model_print(model_resource(MODEL_RUN), document, MODEL_PRINT_REPLY);

        api_call_json(call, 200, shown);
}

static bool is_over(const json_t *document)
{
        struct str status = json_str(document, "status");

        return str_eq(status, STR("READY")) || str_eq(status, STR("ERROR"));
}

/* The run has ended by now, and here it is on record; one of an endpoint may be a moment later. */
static void reply_cancelled(struct api_call *call)
{
        own_json json_t *document = NULL;
        struct err err;

        if (recorded(call, &document, &err) != ERR_OK || !is_over(document)) {
                json_decref(document);
                document = json_pack("{s:s#, s:s, s:[s]}", "name", call->name.p, (int)call->name.len,
                                     "status", "ERROR", "reason", CANCELLED_TEXT);
        }
        reply_with(call, document);
}

static void cancelled_task(struct loop_task *task)
{
        reply_cancelled((struct api_call *)task);
}

static void engine_answered(void *arg, bool found)
{
        struct api_call *call = arg;
        own_json json_t *document = NULL;
        struct err err;

        if (found) {
                /* behind the record, which is handed over in the same way */
                call->task.run = cancelled_task;
                loop_post(call->api->config.control, &call->task);
                return;
        }
        if (recorded(call, &document, &err) == ERR_OK && is_over(document))
                err_set(&err, ERR_CONFLICT, "run %.*s is over", STR_ARG(call->name));
        else if (document != NULL)
                err_set(&err, ERR_UNAVAILABLE, "run %.*s is just beginning or ending: try again",
                        STR_ARG(call->name));
        api_call_fail(call, &err);
}

void run_delete(struct api_call *call)
{
        struct engine *engine = call->api->config.engine;
        struct run_call *run = run_named(call);
        struct str function;
        struct err err;

        if (run_function_name(call, &function, &err) != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        if (run != NULL && function.len > 0 && !str_eq(function, str_of(run->record->function))) {
                api_not_found(MODEL_RUN, call->name, &err);
                api_call_fail(call, &err);
                return;
        }
        if (run != NULL && !run->accepted && !run->record->blocking)
                run = NULL; /* it is being written down: nobody has been told of it yet */
        if (run != NULL)
                run->cancelled = true;
        if (run != NULL && !run->invoked) {
                run_over_with(run, ERR_CANCELLED, "SystemError", CANCELLED_TEXT);
                reply_cancelled(call);
        } else if (engine->ops->cancel_named(engine, call->caller.organization, call->caller.project,
                                             call->name, engine_answered, call, &err) != ERR_OK) {
                api_call_fail(call, &err);
        }
}

void runs_caller_gone(struct api *api, uint64_t serial)
{
        struct run_call *run = api->runs;

        while (run != NULL && (run->call == NULL || run->call->serial != serial))
                run = run->next;
        if (run == NULL || run->accepted || !run->record->blocking)
                return;
        if (run->invoked)
                api->config.engine->ops->cancel(api->config.engine, &run->record->inv);
        else
                run_over_with(run, ERR_CANCELLED, "SystemError", CANCELLED_TEXT);
}
