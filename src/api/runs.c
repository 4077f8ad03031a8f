/*
 * api/runs.c: runs asked for through the API: waiting for the function, invoking it, answering and recording.
 */
#include "api/runs.h"
#include "api/functions.h"
#include "api/resource.h"
#include "api/run.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        RUN_TIMEOUT_MS_DEFAULT = 60000,
        RETRY_MS_MIN = 250, /* an accepted run that found no room; doubles up to the maximum */
        RETRY_MS_MAX = 30000
};

static void run_begin(struct run_call *run);

static void run_link(struct run_call *run)
{
        run->next = run->api->runs;
        run->api->runs = run;
}

static void run_unlink(struct run_call *run)
{
        for (struct run_call **at = &run->api->runs; *at != NULL; at = &(*at)->next) {
                if (*at == run) {
                        *at = run->next;
                        return;
                }
        }
}

static void wait_end(struct run_call *run)
{
        if (run->waiting) {
                assert(run->api->runs_waiting > 0);
                run->api->runs_waiting--;
        }
        run->waiting = false;
        if (run->timer != NULL)
                loop_timer_stop(run->timer);
}

static void run_drop(struct run_call *run)
{
        wait_end(run);
        run_unlink(run);
        run_call_destroy(run);
}

/* It never started: who asked may try again, and nothing is recorded. */
static void run_refuse(struct run_call *run, const struct err *err)
{
        struct api_call *call = take_ptr(&run->call);
        char position[16];

        if (call != NULL && run->record->inv.queue_position > 0) {
                snprintf(position, sizeof(position), "%u", run->record->inv.queue_position);
                api_call_field(call, "Dispatch-Queue-Position", position);
        }
        if (call != NULL)
                call->retry_after_s = run->record->inv.retry_after_s;
        run_drop(run);
        if (call != NULL)
                api_call_fail(call, err);
}

/* The run is over, whatever came of it: answer, then record. */
static void run_over(struct run_call *run)
{
        struct run_record *record = run->record;

        if (record->inv.code != ERR_OK && record->inv.error_type == NULL)
                run_fail(record, record->inv.code, "SystemError", record->inv.err.text);
        run_record_finished(record);
        record->inv.secrets = (struct str){NULL, 0};
        record->inv.fields = (struct http_fields){NULL, 0};
        if (run->call != NULL)
                run_reply(run);
        run->record = NULL;
        recorder_put(run->api->config.recorder, record);
        run_drop(run);
}

void run_over_with(struct run_call *run, enum err_code code, const char *type, const char *text)
{
        run_fail(run->record, code, type, text);
        run_over(run);
}

/* What the caller put in stays, what the engine made of the last attempt goes. */
static void invocation_again(struct invocation *inv)
{
        struct invocation fresh;

        invocation_init(&fresh);
        memcpy(fresh.run_id, inv->run_id, sizeof(fresh.run_id));
        fresh.source = inv->source;
        fresh.method = inv->method;
        fresh.target = inv->target;
        fresh.scheme = inv->scheme;
        fresh.fields = inv->fields;
        fresh.content_type = inv->content_type;
        fresh.payload = inv->payload;
        fresh.http_context = inv->http_context;
        revision_unref(inv->revision);
        invocation_finish(inv);
        *inv = fresh;
}

static void run_retry(struct run_call *run)
{
        uint64_t delay = RETRY_MS_MIN;

        for (uint32_t i = 0; i < run->attempts && delay < RETRY_MS_MAX; i++)
                delay *= 2;
        run->attempts++;
        run->invoked = false;
        invocation_again(&run->record->inv);
        loop_timer_start(run->timer, delay < RETRY_MS_MAX ? delay : RETRY_MS_MAX);
}

static bool no_room(const struct invocation *inv)
{
        return inv->start == START_NONE && (inv->code == ERR_LIMIT || inv->code == ERR_UNAVAILABLE);
}

static void run_done(struct invocation *inv)
{
        struct run_call *run = inv->arg;
        struct err err = inv->err;

        if (run->accepted && inv->code == ERR_CANCELLED && !run->cancelled)
                run_drop(run); /* the server ends; the next one finds it unfinished */
        else if (run->accepted && no_room(inv))
                run_retry(run);
        else if (run->call != NULL && no_room(inv))
                run_refuse(run, &err);
        else
                run_over(run);
}

static void run_invoke(struct run_call *run, struct revision *revision)
{
        struct invocation *inv = &run->record->inv;
        struct engine *engine = run->api->config.engine;

        wait_end(run);
        run->invoked = true;
        inv->revision = revision_ref(revision);
        inv->loop = run->api->config.control;
        inv->deadline_ms = clock_mono_ms() + revision->timeout_ms;
        if (run->deadline_ms != 0 && run->deadline_ms < inv->deadline_ms)
                inv->deadline_ms = run->deadline_ms; /* what was spent waiting counts */
        inv->secrets = (struct str){run->secrets.data, run->secrets.len};
        inv->done = run_done;
        inv->arg = run;
        engine->ops->invoke(engine, inv);
}

/* The timer of a run fires when its wait is over, or when it should be tried again. */
static void run_timer(void *arg)
{
        struct run_call *run = arg;
        char text[ERR_TEXT_MAX];

        if (!run->waiting) {
                run_begin(run);
                return;
        }
        if (run->accepted)
                return;
        snprintf(text, sizeof(text),
                 "Function execution exceeded the timeout: function %s was not READY in time",
                 run->record->function);
        run_over_with(run, ERR_TIMEOUT, "SystemError", text);
}

/* The timeout of a function that has no revision yet, from its definition. */
static uint32_t timeout_of(struct run_call *run)
{
        const struct run_record *record = run->record;
        struct store_key key = {MODEL_FUNCTION, str_of(record->organization), str_of(record->project),
                                str_of(record->function)};
        uint32_t initial = run->api->config.run_timeout_ms;
        own_row struct store_row row = {0};

        if (store_get(run->api->config.store, &key, &row, NULL) != ERR_OK)
                return initial;
        json_int_t timeout = json_integer_value(json_object_get(row.document, "timeout"));
        return timeout > 0 && timeout < UINT32_MAX ? (uint32_t)timeout : initial;
}

static void run_wait(struct run_call *run)
{
        struct api *api = run->api;
        struct err err;

        if (run->waiting)
                return;
        if (!run->accepted && api->runs_waiting >= api->config.runs_waiting_max) {
                err_set(&err, ERR_LIMIT, "more than %u runs wait for functions to be READY",
                        api->config.runs_waiting_max);
                run_refuse(run, &err);
                return;
        }
        api->runs_waiting++;
        run->waiting = true;
        if (run->accepted)
                return;

        uint32_t timeout_ms = timeout_of(run);
        run->deadline_ms = clock_mono_ms() + timeout_ms;
        loop_timer_start(run->timer, timeout_ms);
}

static void run_impossible(struct run_call *run, enum err_code code, const char *text)
{
        struct err err;

        if (run->accepted) {
                run_over_with(run, code, "SystemError", text);
        } else {
                err_set(&err, code, "%s", text);
                run_refuse(run, &err);
        }
}

/* Looks at the function as it is now and does what it allows. The run may be gone afterwards. */
static void run_begin(struct run_call *run)
{
        const struct run_record *record = run->record;
        const struct function_entry *entry =
                snapshot_function(snapshot_working(run->api->config.hub), str_of(record->organization),
                                  str_of(record->project), str_of(record->function));
        char text[ERR_TEXT_MAX];

        if (entry == NULL && run->accepted) {
                run_drop(run); /* its record went with the function */
                return;
        }
        if (entry == NULL) {
                snprintf(text, sizeof(text), "function %s not found", record->function);
                run_impossible(run, ERR_NOT_FOUND, text);
                return;
        }
        memcpy(run->record->function_id, entry->function_id, sizeof(entry->function_id));
        if (entry->revision != NULL) {
                run_invoke(run, entry->revision);
        } else if (entry->state == FUNCTION_ERROR) {
                snprintf(text, sizeof(text), "function %s is in ERROR: %s", record->function,
                         entry->reason != NULL ? entry->reason : "");
                run_impossible(run, ERR_CONFLICT, text);
        } else {
                run_wait(run);
        }
}

void runs_function_changed(struct api *api, const char *function_id)
{
        struct run_call *next;

        /* run_begin ends at most the run that it was given. */
        for (struct run_call *run = api->runs; run != NULL; run = next) {
                next = run->next;
                if (run->waiting && strcmp(run->record->function_id, function_id) == 0)
                        run_begin(run);
        }
}

static void run_accepted(void *arg, enum err_code code, const struct err *err)
{
        struct run_call *run = arg;

        if (code != ERR_OK) {
                api_problem(run->api, "accept a run", err);
                run_refuse(run, err);
                return;
        }
        run->accepted = true;
        run_reply_accepted(run);
        run_begin(run);
}

/* A secret that is missing is the run's failure, told inside it. */
static bool secrets_ready(struct run_call *run)
{
        struct err err;

        if (run_secrets_read(run, &err) == ERR_OK)
                return true;
        run_over_with(run, err.code, "SystemError", err.text);
        return false;
}

static void run_start(struct run_call *run)
{
        struct err err;

        run_link(run);
        run->timer = loop_timer_create(run->api->config.control, run_timer, run);
        if (run->timer == NULL) {
                err_nomem(&err);
                run_refuse(run, &err);
        } else if (secrets_ready(run)) {
                if (run->record->blocking)
                        run_begin(run);
                else
                        recorder_accept(run->api->config.recorder, run->record, "INITIALIZED", run_accepted,
                                        run);
        }
}

/* A run must be possible before it is begun or accepted: 404 and 409 are for the caller, not for the record.
 */
static enum err_code function_check(struct run_call *run, struct err *err)
{
        struct run_record *record = run->record;
        const struct function_entry *entry =
                snapshot_function(snapshot_working(run->api->config.hub), str_of(record->organization),
                                  str_of(record->project), str_of(record->function));

        if (entry == NULL)
                return api_not_found(MODEL_FUNCTION, str_of(record->function), err);
        memcpy(record->function_id, entry->function_id, sizeof(entry->function_id));
        if (entry->revision == NULL && entry->state == FUNCTION_ERROR)
                return err_set(err, ERR_CONFLICT, "function %s is in ERROR: %s", record->function,
                               entry->reason != NULL ? entry->reason : "");
        return ERR_OK;
}

static void run_create(struct api_call *call)
{
        struct str function;
        struct run_call *run;
        bool over = false;
        struct err err;

        enum err_code code = run_function_name(call, &function, &err);
        if (code == ERR_OK && function.len == 0)
                code = err_set(&err, ERR_INVALID, "Bad Request: No function specified");
        if (code == ERR_OK)
                code = run_request_read(call, function, &run, &over, &err);
        if (code != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        if (function_check(run, &err) != ERR_OK) {
                run_call_destroy(run);
                api_call_fail(call, &err);
                return;
        }
        run->call = call;
        if (over) {
                run_link(run);
                run_over(run);
        } else {
                run_start(run);
        }
}

void runs_call(struct api_call *call)
{
        if (call->route.verb == VERB_CREATE)
                run_create(call);
        else if (call->route.verb == VERB_DELETE)
                run_delete(call);
        else
                runs_read(call);
}

struct recovered {
        struct api *api;
        struct run_call *runs;
        bool no_memory;
};

/* The store is being read: runs are only collected here. */
static void recover_take(void *arg, struct run_record *record)
{
        struct recovered *recovered = arg;
        struct run_call *run = calloc(1, sizeof(*run));

        if (run == NULL) {
                recovered->no_memory = true;
                run_record_destroy(record);
                return;
        }
        run->api = recovered->api;
        run->record = record;
        run->accepted = true;
        buf_init(&run->secrets, 4 * 1024 * 1024);
        run->next = recovered->runs;
        recovered->runs = run;
}

static void recover_start(struct run_call *run)
{
        run_link(run);
        run->timer = loop_timer_create(run->api->config.control, run_timer, run);
        if (run->timer == NULL)
                run_drop(run); /* it stays unfinished, for the next start */
        else if (secrets_ready(run))
                run_begin(run);
}

enum err_code runs_recover(struct api *api, uint32_t draining_generation, struct err *err)
{
        struct recovered recovered = {.api = api};
        enum err_code code =
                recorder_recover(api->config.recorder, draining_generation, recover_take, &recovered, err);

        while (recovered.runs != NULL) {
                struct run_call *run = recovered.runs;

                recovered.runs = run->next;
                recover_start(run);
        }
        return code == ERR_OK && recovered.no_memory ? err_nomem(err) : code;
}

void runs_finish(struct api *api)
{
        while (api->runs != NULL)
                run_drop(api->runs);
}
