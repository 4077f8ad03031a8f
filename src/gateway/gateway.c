/*
 * gateway/gateway.c: the way of a request to an endpoint.
 *
 *   match → (wait for the function) → body → invoke → reply → record
 *
 * What the engine reads on another loop is copied out of the exchange first, since a client may vanish at any
 * moment: then the run is cancelled, and its record is written all the same.
 */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/own.h"
#include "gateway/reply.h"
#include "http/url.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        WAIT_MS = 10,           /* between looks at a function that is not READY yet */
        PENDING_MS_MAX = 60000, /* how long a request waits for it */
        HOST_MAX = 256
};

struct gateway_loop {
        struct gateway *gateway;
        struct loop *loop;
        size_t index;
};

struct gateway {
        struct gateway_config config;
        struct gateway_loop loops[];
};

/* One request, from its match to its record. */
struct call {
        struct gateway_loop *at;
        struct http_exchange *exchange; /* NULL once the client is gone */
        struct endpoint_entry *endpoint;
        struct function_entry *function;
        struct run_record *record;
        struct loop_timer *timer; /* while the function is not READY */
        uint64_t give_up_ms;
        bool blocking;
        bool invoked;
        bool body_read;
};

static void call_destroy(struct call *call)
{
        endpoint_entry_unref(call->endpoint);
        function_entry_unref(call->function);
        run_record_destroy(call->record);
        loop_timer_destroy(call->timer);
        free(call);
}

/* Answers with an error of the gateway's own and forgets the call. */
static void call_refuse(struct call *call, int status, const char *message, const struct http_field *extra)
{
        struct http_exchange *exchange = call->exchange;
        bool cors = call->endpoint->cors;

        call_destroy(call);
        if (exchange != NULL)
                reply_error(exchange, status, message, extra, cors);
}

static void client_gone(struct http_exchange *exchange, void *arg)
{
        struct call *call = arg;

        (void)exchange;
        call->exchange = NULL;
        if (!call->invoked)
                call_destroy(call);
        else if (call->blocking)
                call->at->gateway->config.engine->ops->cancel(call->at->gateway->config.engine,
                                                              &call->record->inv);
}

/* Without credentials to check yet, a caller is of the organization that it names, as everywhere in the API.
 */
static bool caller_is_ours(const struct call *call)
{
        struct str named = http_field_get(http_request(call->exchange)->fields, STR("x-dispatch-org"));

        return named.p != NULL && str_eq(named, str_of(call->endpoint->organization));
}

static void run_done(struct invocation *inv)
{
        struct call *call = inv->arg;
        struct run_record *record = call->record;

        run_record_finished(record);
        record->output_left_out = inv->body.len > RECORDER_PAYLOAD_BYTES_MAX;
        if (call->exchange != NULL && call->blocking)
                reply_run(call->exchange, inv, call->endpoint->cors, caller_is_ours(call));
        recorder_put(call->at->gateway->config.recorder, record);
        call->record = NULL;
        call_destroy(call);
}

/* The run that nobody waits for has been written down: 200 at once, and it goes on. On the control loop. */
struct acceptance {
        struct loop_task task;
        struct call *call;
        enum err_code code;
        struct err err;
};

static void invoke(struct call *call)
{
        struct engine *engine = call->at->gateway->config.engine;

        call->invoked = true;
        engine->ops->invoke(engine, &call->record->inv);
}

static void acceptance_back(struct loop_task *task)
{
        struct acceptance *acceptance = (struct acceptance *)task;
        struct call *call = acceptance->call;

        call->invoked = false;
        if (acceptance->code != ERR_OK) {
                call_refuse(call, err_http_status(acceptance->code), acceptance->err.text, NULL);
        } else {
                struct http_exchange *exchange = call->exchange;
                call->exchange = NULL;
                invoke(call);
                if (exchange != NULL)
                        reply_empty(exchange, call->endpoint->cors);
        }
        free(acceptance);
}

static void acceptance_written(void *arg, enum err_code code, const struct err *err)
{
        struct acceptance *acceptance = arg;

        acceptance->code = code;
        if (code != ERR_OK)
                acceptance->err = *err;
        acceptance->task.run = acceptance_back;
        loop_post(acceptance->call->at->loop, &acceptance->task);
}

static void acceptance_run(struct loop_task *task)
{
        struct acceptance *acceptance = (struct acceptance *)task;

        recorder_accept(acceptance->call->at->gateway->config.recorder, acceptance->call->record,
                        "INITIALIZED", acceptance_written, acceptance);
}

static void accept_later(struct call *call)
{
        struct acceptance *acceptance = calloc(1, sizeof(*acceptance));

        if (acceptance == NULL) {
                call_refuse(call, 500, "out of memory", NULL);
                return;
        }
        acceptance->call = call;
        acceptance->task.run = acceptance_run;
        call->record->blocking = false;
        call->record->keep_payload = true;
        call->invoked = true; /* a client that goes away now changes nothing */
        loop_post(call->at->gateway->config.control, &acceptance->task);
}

static size_t head_bytes(const struct http_request *request, struct str type)
{
        size_t total = request->method.len + request->target.len + type.len +
                       request->fields.count * sizeof(struct http_field);

        for (size_t i = 0; i < request->fields.count; i++)
                total += request->fields.items[i].name.len + request->fields.items[i].value.len;
        return total;
}

static struct str keep(struct buf *into, struct str text)
{
        char *at = into->data + into->len;

        if (text.len > 0)
                memcpy(at, text.p, text.len);
        into->len += text.len;
        return (struct str){at, text.len};
}

/* Copies the head into the record; nothing of the exchange is pointed to afterwards. */
static bool copy_head(struct run_record *record, const struct http_request *request, bool tls)
{
        struct str type = http_field_get(request->fields, STR("content-type"));
        struct buf *into = &record->request;

        if (buf_reserve(into, head_bytes(request, type)) != ERR_OK)
                return false;
        struct http_field *fields = (struct http_field *)(void *)into->data;
        into->len += request->fields.count * sizeof(*fields);
        for (size_t i = 0; i < request->fields.count; i++)
                fields[i] = (struct http_field){keep(into, request->fields.items[i].name),
                                                keep(into, request->fields.items[i].value)};
        record->inv.fields = (struct http_fields){fields, request->fields.count};
        record->inv.method = keep(into, request->method);
        record->inv.target = keep(into, request->target);
        record->inv.scheme = tls ? STR("https") : STR("http");
        if (type.p != NULL)
                record->inv.content_type = keep(into, type);
        return true;
}

static bool fill_record(struct call *call, struct str body)
{
        struct run_record *record = call->record;
        struct revision *revision = call->function->revision;

        record->inv.revision = revision_ref(revision);
        record->inv.loop = call->at->loop;
        record->inv.source = SOURCE_ENDPOINT;
        record->inv.deadline_ms = clock_mono_ms() + revision->timeout_ms;
        record->inv.done = run_done;
        record->inv.arg = call;
        record->function = revision->name;
        record->organization = revision->organization;
        record->project = revision->project;
        record->names_borrowed = true;
        memcpy(record->function_id, revision->function_id, sizeof(record->function_id));
        if (buf_append(&record->input, body.p, body.len) != ERR_OK ||
            !copy_head(record, http_request(call->exchange), http_is_tls(call->exchange)))
                return false;
        record->inv.payload = (struct str){record->input.data, record->input.len};
        return true;
}

static void body_collected(struct http_exchange *exchange, void *arg, enum err_code code, struct str body)
{
        struct call *call = arg;
        char text[160];

        (void)exchange;
        if (code == ERR_TOO_LARGE) {
                snprintf(text, sizeof(text),
                         "the request body is larger than %llu bytes, see --request-bytes-max",
                         (unsigned long long)call->at->gateway->config.request_bytes_max);
                call_refuse(call, 413, text, NULL);
                return;
        }
        if (code != ERR_OK) {
                call_refuse(call, code == ERR_TIMEOUT ? 408 : 400,
                            code == ERR_TIMEOUT ? "the request body did not arrive in time"
                                                : "the request body is malformed",
                            NULL);
                return;
        }
        if (!fill_record(call, body))
                call_refuse(call, 500, "out of memory", NULL);
        else if (call->blocking)
                invoke(call);
        else
                accept_later(call);
}

static void function_ready(struct call *call)
{
        http_collect(call->exchange, call->at->gateway->config.request_bytes_max, body_collected, call);
}

/* Looks the function up in the loop's snapshot. True when the call goes on or has ended; false when it has to
 * wait. */
static bool function_look(struct call *call)
{
        const struct snapshot *snapshot = snapshot_of_loop(call->at->gateway->config.hub, call->at->index);
        struct endpoint_entry *endpoint = call->endpoint;
        struct function_entry *entry =
                snapshot_function(snapshot, str_of(endpoint->organization), str_of(endpoint->project),
                                  str_of(endpoint->function));
        char text[ERR_TEXT_MAX];

        if (entry == NULL) {
                snprintf(text, sizeof(text), "function %s not found", endpoint->function);
                call_refuse(call, 404, text, NULL);
                return true;
        }
        if (entry->revision != NULL) {
                call->function = function_entry_ref(entry);
                function_ready(call);
                return true;
        }
        if (entry->state == FUNCTION_ERROR) {
                snprintf(text, sizeof(text), "function %s cannot run: %s", endpoint->function,
                         entry->reason != NULL ? entry->reason : "it is in ERROR");
                call_refuse(call, 503, text, NULL);
                return true;
        }
        return false;
}

static void function_wait(void *arg)
{
        struct call *call = arg;
        const struct http_field retry = {STR_INIT("Retry-After"), STR_INIT("1")};
        char text[ERR_TEXT_MAX];

        if (clock_mono_ms() >= call->give_up_ms) {
                snprintf(text, sizeof(text), "function %s is not READY yet", call->endpoint->function);
                call_refuse(call, 503, text, &retry);
        } else if (!function_look(call)) {
                loop_timer_start(call->timer, WAIT_MS);
        }
}

/* Reads the function's entry, waiting for it to become READY when it is being built. */
static void call_begin(struct call *call)
{
        if (function_look(call))
                return;
        call->give_up_ms = clock_mono_ms() + PENDING_MS_MAX;
        call->timer = loop_timer_create(call->at->loop, function_wait, call);
        if (call->timer == NULL)
                call_refuse(call, 500, "out of memory", NULL);
        else
                loop_timer_start(call->timer, WAIT_MS);
}

/* The host to match: lower case, without port. */
static struct str host_of(struct str host, char space[HOST_MAX])
{
        if (host.len > 0 && host.p[0] == '[')
                host.len = str_find(host, ']') < host.len ? str_find(host, ']') + 1 : host.len;
        else
                host.len = str_find(host, ':');
        if (host.len > 1 && host.p[host.len - 1] == '.')
                host.len--; /* a root label: the same name */
        if (host.len > HOST_MAX)
                host.len = 0;
        for (size_t i = 0; i < host.len; i++)
                space[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
        return (struct str){space, host.len};
}

static void refuse_method(struct http_exchange *exchange, const struct http_request *request,
                          unsigned methods)
{
        static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
        char allow[64] = "", text[256];
        size_t used = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if ((methods & 1U << i) != 0)
                        used += (size_t)snprintf(allow + used, sizeof(allow) - used, "%s%s",
                                                 used > 0 ? "," : "", names[i]);
        }
        snprintf(text, sizeof(text), "method %.*s is not allowed, but [%s] are",
                 (int)(request->method.len < 32 ? request->method.len : 32), request->method.p, allow);
        const struct http_field field = {STR("Allow"), str_of(allow)};
        reply_error(exchange, 405, text, &field, false);
}

/* "type/subtype", parameters behind a semicolon. */
static bool content_type_valid(struct str type)
{
        struct str essence = str_trim(str_cut(&type, ';'), " \t");
        struct str main_type = str_cut(&essence, '/');

        return http_token_valid(main_type) && http_token_valid(essence);
}

/* What is decided by the head alone. True: answered. */
static bool answer_by_head(struct http_exchange *exchange, const struct endpoint_entry *endpoint)
{
        const struct http_request *request = http_request(exchange);
        struct str type = http_field_get(request->fields, STR("content-type"));
        char text[256];

        if (endpoint->cors && str_eq(request->method, STR("OPTIONS"))) {
                reply_empty(exchange, true);
                return true;
        }
        /* "http" says that it may be called in clear, not that it must. */
        if (!endpoint->http && !http_is_tls(exchange)) {
                reply_https_only(exchange, endpoint->cors);
                return true;
        }
        if (type.p != NULL && !content_type_valid(type)) {
                snprintf(text, sizeof(text), "request body type is not supported: %.*s",
                         (int)(type.len < 128 ? type.len : 128), type.p);
                reply_error(exchange, 415, text, NULL, endpoint->cors);
                return true;
        }
        return false;
}

static void call_start(struct gateway_loop *at, struct http_exchange *exchange,
                       struct endpoint_entry *endpoint)
{
        struct str blocking = http_field_get(http_request(exchange)->fields, STR("x-dispatch-blocking"));
        struct call *call = calloc(1, sizeof(*call));
        struct run_record *record = run_record_create();

        if (call == NULL || record == NULL) {
                free(call);
                run_record_destroy(record);
                reply_error(exchange, 500, "out of memory", NULL, false);
                return;
        }
        call->at = at;
        call->exchange = exchange;
        call->endpoint = endpoint_entry_ref(endpoint);
        call->record = record;
        call->blocking = !str_eq_nocase(blocking, STR("false"));
        http_on_abort(exchange, client_gone, call);
        call_begin(call);
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
        struct gateway_loop *at = ctx;
        const struct http_request *request = http_request(exchange);
        const struct snapshot *snapshot = snapshot_of_loop(at->gateway->config.hub, at->index);
        struct endpoint_entry *endpoint = NULL;
        char space[HOST_MAX];
        unsigned methods = 0;
        struct str path;

        if (url_path_normalise(request->path, http_arena(exchange), &path) != ERR_OK) {
                reply_error(exchange, 400, "the path of the request is malformed", NULL, false);
                return;
        }
        switch (snapshot_route(snapshot, host_of(request->host, space), path,
                               route_method_bit(request->method), &endpoint, &methods)) {
        case ROUTE_NO_PATH:
                reply_error(exchange, 404, "no API found with those values", NULL, false);
                return;
        case ROUTE_NO_METHOD:
                refuse_method(exchange, request, methods);
                return;
        case ROUTE_FOUND:
                break;
        }
        if (!answer_by_head(exchange, endpoint))
                call_start(at, exchange, endpoint);
}

enum err_code gateway_create(const struct gateway_config *config, struct gateway **ret, struct err *err)
{
        struct gateway *gateway =
                calloc(1, sizeof(*gateway) + config->loop_count * sizeof(gateway->loops[0]));

        if (gateway == NULL)
                return err_nomem(err);
        gateway->config = *config;
        for (size_t i = 0; i < config->loop_count; i++)
                gateway->loops[i] = (struct gateway_loop){gateway, config->loops[i], i};
        *ret = gateway;
        return ERR_OK;
}

void gateway_destroy(struct gateway *gateway)
{
        free(gateway);
}

struct http_handler gateway_handler(struct gateway *gateway, size_t loop_index)
{
        assert(loop_index < gateway->config.loop_count);
        return (struct http_handler){.ctx = &gateway->loops[loop_index], .on_request = on_request};
}
