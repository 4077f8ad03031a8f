/*
 * api/http.c: the half of the API that runs on the HTTP loops: a request's head is checked in the contract's
 * order (route, method, credentials, content type), its body collected, and the call sent to the control
 * loop.
 */
#include "api/function_image.h"
#include "api/internal.h"
#include "api/runs.h"
#include "base/own.h"
#include "http/url.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A function's source arrives as base64 in JSON; the rest of its definition fits in a megabyte. */
static uint64_t source_body_max(const struct api *api)
{
        return api->config.source_bytes_max / 3 * 4 + 1024 * 1024;
}

uint64_t api_body_bytes_max(const struct api *api)
{
        uint64_t source = source_body_max(api);

        return source > api->config.body_bytes_max ? source : api->config.body_bytes_max;
}

static uint64_t body_max(const struct api *api, const struct api_route *route)
{
        if (route->target == TARGET_RESOURCE && route->kind == MODEL_FUNCTION)
                return api_body_bytes_max(api);
        return api->config.body_bytes_max;
}

static void refuse_as(struct http_exchange *exchange, int status, const struct err *err, const char *allow)
{
        struct http_field fields[3] = {{STR("Content-Type"), STR("application/json")}};
        size_t count = 1;
        own_buf struct buf body = {0};

        buf_init(&body, 8192);
        if (err->code == ERR_METHOD)
                fields[count++] = (struct http_field){STR("Allow"), str_of(allow)};
        if (err_retry_helps(err->code))
                fields[count++] = (struct http_field){STR("Retry-After"), STR("1")};
        api_error_body(err, err->code != ERR_METHOD && err->code != ERR_MEDIA_TYPE, &body);
        http_reply_buf(exchange, status, (struct http_fields){fields, count}, &body);
}

static void refuse(struct http_exchange *exchange, const struct err *err, const char *allow)
{
        refuse_as(exchange, api_error_status(err), err, allow);
}

static void call_free(struct api_call *call)
{
        struct api *api = call->api;

        atomic_fetch_sub(&api->bytes, call->body_counted);
        atomic_fetch_sub(&api->calls, 1);
        own_fd_release(&call->reply_fd);
        buf_finish(&call->body);
        buf_finish(&call->reply);
        arena_finish(&call->arena);
        free(call);
}

static void stream_begin(struct api_call *call)
{
        struct http_field field = {STR("Content-Type"), STR("application/x-ndjson")};

        if (!call->streaming)
                http_reply_start(call->exchange, 200, (struct http_fields){&field, 1}, -1, NULL, NULL);
        call->streaming = true;
}

static void reply_deliver(struct api_call *call)
{
        struct http_fields fields = {call->fields, call->field_count};
        struct str bytes = {call->reply.data, call->reply.len};

        if (call->streaming) {
                http_on_abort(call->exchange, NULL, NULL);
                http_reply_write(call->exchange, bytes);
                http_reply_end(call->exchange);
        } else if (call->reply_fd >= 0 &&
                   http_reply_file(call->exchange, call->status, fields, call->reply_fd, call->reply_len)) {
                call->reply_fd = -1;
        } else {
                http_reply_buf(call->exchange, call->status, fields, &call->reply);
        }
}

/* Back on the home loop. */
static void call_deliver(struct loop_task *task)
{
        struct api_call *call = (struct api_call *)task;

        if (call->exchange != NULL)
                reply_deliver(call);
        call_free(call);
}

struct piece {
        struct loop_task task;
        struct api_call *call;
        struct buf bytes;
};

static void piece_deliver(struct loop_task *task)
{
        struct piece *piece = (struct piece *)task;
        struct api_call *call = piece->call;

        if (call->exchange != NULL) {
                stream_begin(call);
                http_reply_write(call->exchange, (struct str){piece->bytes.data, piece->bytes.len});
        }
        buf_finish(&piece->bytes);
        free(piece);
}

void api_call_stream(struct api_call *call, struct buf *line)
{
        struct piece *piece = calloc(1, sizeof(*piece));

        if (piece == NULL)
                return;
        piece->call = call;
        buf_init(&piece->bytes, line->max);
        buf_move(&piece->bytes, line);
        piece->task.run = piece_deliver;
        loop_post(call->home, &piece->task);
}

void api_call_finish(struct api_call *call)
{
        assert(call->status >= 200);

        /* What a caller sent may be a secret; nothing of it stays in freed memory. */
        if (call->body.data != NULL)
                explicit_bzero(call->body.data, call->body.capacity);
        call->task.run = call_deliver;
        loop_post(call->home, &call->task);
}

static void call_arrive(struct loop_task *task)
{
        api_dispatch((struct api_call *)task);
}

static void call_post(struct api_call *call)
{
        call->posted = true;
        call->task.run = call_arrive;
        loop_post(call->api->config.control, &call->task);
}

/* The call may be over by then: it is known by its number alone. */
struct gone {
        struct loop_task task;
        enum api_target target;
        struct api *api;
        uint64_t serial;
};

static void gone_arrive(struct loop_task *task)
{
        struct gone *gone = (struct gone *)task;

        if (gone->target == TARGET_RUNS)
                runs_caller_gone(gone->api, gone->serial);
        else
                function_image_gone(gone->api, gone->serial);
        free(gone);
}

static void gone_tell(const struct api_call *call)
{
        struct gone *gone = malloc(sizeof(*gone));

        if (gone == NULL)
                return; /* then the work goes on for nobody */
        *gone = (struct gone){.task.run = gone_arrive,
                              .target = call->route.target,
                              .api = call->api,
                              .serial = call->serial};
        loop_post(call->api->config.control, &gone->task);
}

static void call_aborted(struct http_exchange *exchange, void *arg)
{
        struct api_call *call = arg;

        (void)exchange;
        call->exchange = NULL;
        if (!call->posted)
                call_free(call); /* its body was still on the way */
        else if (call->route.target == TARGET_FUNCTION_IMAGE || call->route.target == TARGET_RUNS)
                gone_tell(call);
}

static bool copy(struct api_call *call, struct str text, struct str *ret)
{
        char *bytes = arena_strdup(&call->arena, text.p != NULL ? text : STR(""));

        if (bytes == NULL)
                return false;
        *ret = (struct str){bytes, text.len};
        return true;
}

static enum err_code name_copy(struct api_call *call, struct err *err)
{
        struct str name;
        enum err_code code = url_decode(call->route.name, false, &call->arena, &name);

        if (code == ERR_INVALID)
                return err_set(err, code, "malformed escape in the path");
        if (code != ERR_OK || !copy(call, name, &call->name))
                return err_nomem(err);
        call->route.name = call->name; /* the head's memory goes with the exchange */
        return ERR_OK;
}

/* A caller may name its request; only a short token is taken over, anything else gets a name of ours. */
static bool request_id_copy(struct api_call *call, struct str sent)
{
        char made[UUID_LEN + 1];

        if (sent.len > 0 && sent.len <= 64 && http_token_valid(sent))
                return copy(call, sent, &call->caller.request_id);
        uuid_generate(made);
        return copy(call, str_of(made), &call->caller.request_id);
}

/* A list may come in several fields (RFC 9110, 5.3): all of them, with commas between. */
static bool list_copy(struct api_call *call, struct http_fields fields, struct str name, struct str *ret)
{
        size_t len = 0;

        for (size_t i = 0; i < fields.count; i++)
                len += str_eq_nocase(fields.items[i].name, name) ? fields.items[i].value.len + 1 : 0;
        char *list = arena_alloc(&call->arena, len + 1);
        if (list == NULL)
                return false;

        *ret = (struct str){list, 0};
        for (size_t i = 0; i < fields.count; i++) {
                struct str value = fields.items[i].value;

                if (!str_eq_nocase(fields.items[i].name, name))
                        continue;
                if (ret->len > 0)
                        list[ret->len++] = ',';
                if (value.len > 0)
                        memcpy(list + ret->len, value.p, value.len);
                ret->len += value.len;
        }
        return true;
}

static enum err_code head_copy(struct api_call *call, const struct http_request *request, struct err *err)
{
        struct http_fields fields = request->fields;
        struct str accept = http_field_get(fields, STR("Accept"));

        call->streams = call->route.target == TARGET_FUNCTION_IMAGE && call->route.verb != VERB_GET &&
                        str_eq(str_trim(accept, " \t"), STR("application/x-ndjson"));
        if (!copy(call, request->method, &call->method) || !copy(call, request->query, &call->query) ||
            !copy(call, http_field_get(fields, STR("X-Dispatch-Org")), &call->organization_header) ||
            !copy(call, http_field_get(fields, STR("X-Dispatch-Project")), &call->project_header) ||
            !list_copy(call, fields, STR("If-Match"), &call->if_match) ||
            !list_copy(call, fields, STR("If-None-Match"), &call->if_none_match) ||
            !request_id_copy(call, http_field_get(fields, STR("X-Request-Id"))))
                return err_nomem(err);
        return name_copy(call, err);
}

static struct api_call *call_create(struct api *api, struct http_exchange *exchange,
                                    const struct api_route *route)
{
        struct api_call *call = calloc(1, sizeof(*call));

        if (call == NULL)
                return NULL;
        call->api = api;
        call->exchange = exchange;
        call->home = http_loop(exchange);
        call->route = *route;
        call->reply_fd = -1;
        call->serial = atomic_fetch_add(&api->serial, 1) + 1;
        arena_init(&call->arena, CALL_TEXT_BYTES_MAX);
        buf_init(&call->body, api_body_bytes_max(api));
        buf_init(&call->reply, CALL_REPLY_BYTES_MAX);
        atomic_fetch_add(&api->calls, 1);
        return call;
}

static void call_refuse_as(struct api_call *call, int status, const struct err *err)
{
        struct http_exchange *exchange = call->exchange;

        http_on_abort(exchange, NULL, NULL);
        call_free(call);
        refuse_as(exchange, status, err, "");
}

static void call_refuse(struct api_call *call, const struct err *err)
{
        call_refuse_as(call, api_error_status(err), err);
}

/* The option that a limit comes from. */
static const char *limit_name(const struct api *api, uint64_t limit)
{
        return limit == api->config.body_bytes_max ? "request-bytes-max" : "source-bytes-max";
}

static void collect_failed(struct api_call *call, enum err_code code)
{
        struct err err;

        if (code == ERR_TIMEOUT) {
                /* 504 is for those who wait for us; here we waited for the caller. */
                err_set(&err, ERR_INVALID, "the request body did not arrive in time");
                err.detail = 408;
                call_refuse_as(call, 408, &err);
                return;
        }
        if (code == ERR_TOO_LARGE)
                err_set(&err, code, "the body of the request is over the limit of %llu bytes (%s)",
                        (unsigned long long)body_max(call->api, &call->route),
                        limit_name(call->api, body_max(call->api, &call->route)));
        else
                err_set(&err, code == ERR_NO_MEMORY ? code : ERR_INVALID,
                        "the request body could not be read");
        call_refuse(call, &err);
}

/* The bodies of all calls in flight together are bounded; a single one always fits. */
static bool bytes_claim(struct api_call *call, size_t len)
{
        struct api *api = call->api;
        uint64_t max = 2 * api_body_bytes_max(api);

        if (atomic_fetch_add(&api->bytes, len) + len > max) {
                atomic_fetch_sub(&api->bytes, len);
                return false;
        }
        call->body_counted = len;
        return true;
}

static void call_collected(struct http_exchange *exchange, void *arg, enum err_code code, struct str body)
{
        struct api_call *call = arg;
        struct err err;

        (void)exchange;
        if (code != ERR_OK) {
                collect_failed(call, code);
                return;
        }
        if (!bytes_claim(call, body.len)) {
                err_set(&err, ERR_UNAVAILABLE, "too many large requests are being handled");
                call_refuse(call, &err);
                return;
        }
        if (buf_append(&call->body, body.p, body.len) != ERR_OK) {
                err_nomem(&err);
                call_refuse(call, &err);
                return;
        }
        call_post(call);
}

static bool credentials_sent(const struct http_request *request)
{
        struct str cookie = http_field_get(request->fields, STR("Cookie"));

        if (http_field_get(request->fields, STR("Authorization")).p != NULL)
                return true;
        return cookie.p != NULL && !str_eq(cookie, STR("unset"));
}

/* Nothing can verify credentials before identities exist, so a server without --skip-auth serves nobody. */
static enum err_code auth_check(const struct api *api, const struct http_request *request, struct err *err)
{
        if (api->config.skip_auth)
                return ERR_OK;
        if (credentials_sent(request))
                return err_set(err, ERR_UNAUTHENTICATED,
                               "credentials cannot be verified in this version of Dispatch: run the server "
                               "with --skip-auth");
        return err_set(err, ERR_UNAUTHENTICATED, "unauthenticated for invalid credentials");
}

static enum err_code head_check(const struct api *api, const struct http_request *request,
                                struct api_route *route, struct err *err)
{
        enum err_code code = api_route_find(request->method, request->path, route, err);

        if (code != ERR_OK)
                return code;
        if (route->target != TARGET_RESOURCE && route->target != TARGET_RUNS &&
            route->target != TARGET_FUNCTION_IMAGE && route->target != TARGET_FUNCTION_POOL &&
            route->target != TARGET_INSTANCES && route->target != TARGET_GC)
                return ERR_OK;
        if ((code = auth_check(api, request, err)) != ERR_OK)
                return code;
        if (api_route_has_body(route) && request->has_body && request->content_length != 0)
                return api_content_type_check(http_field_get(request->fields, STR("Content-Type")), err);
        return ERR_OK;
}

static void text_reply(struct http_exchange *exchange, int status, const char *text)
{
        struct http_field field = {STR("Content-Type"), STR("application/json")};

        http_reply(exchange, status, (struct http_fields){&field, 1}, str_of(text));
}

static void openapi_reply(const struct api *api, struct http_exchange *exchange)
{
        struct str known = http_field_get(http_request(exchange)->fields, STR("If-None-Match"));
        struct http_field fields[] = {{STR("ETag"), str_of(api->openapi_etag)},
                                      {STR("Content-Type"), STR("application/json")}};

        if (str_eq(str_trim(known, " \t"), str_of(api->openapi_etag)))
                http_reply(exchange, 304, (struct http_fields){fields, 1}, STR(""));
        else
                http_reply(exchange, 200, (struct http_fields){fields, 2},
                           (struct str){api->openapi.data, api->openapi.len});
}

/* Health is the loop's own: it answers while the control loop is busy. */
static bool system_answer(const struct api *api, struct http_exchange *exchange, enum api_target target)
{
        own_buf struct buf body = {0};

        if (target == TARGET_READY) {
                bool ready = atomic_load(&api->ready);

                text_reply(exchange, ready ? 200 : 503,
                           ready ? "{\"status\":\"ready\"}\n" : "{\"status\":\"starting\"}\n");
                return true;
        }
        if (target == TARGET_OPENAPI) {
                openapi_reply(api, exchange);
                return true;
        }
        if (target == TARGET_VERSION) {
                text_reply(exchange, 200, api->config.version_json);
                return true;
        }
        if (target != TARGET_HEALTH)
                return false;
        buf_init(&body, 8192);
        if (buf_printf(&body, "{\"version\":%s}", api->config.version_json) != ERR_OK ||
            buf_text(&body) == NULL)
                text_reply(exchange, 200, "{}");
        else
                text_reply(exchange, 200, buf_text(&body));
        return true;
}

static void call_begin(struct api_call *call)
{
        struct err err;

        if (head_copy(call, http_request(call->exchange), &err) != ERR_OK) {
                call_refuse(call, &err);
                return;
        }
        http_on_abort(call->exchange, call_aborted, call);
        if (api_route_has_body(&call->route))
                http_collect(call->exchange, body_max(call->api, &call->route), call_collected, call);
        else
                call_post(call);
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
        struct api *api = ctx;
        struct api_route route;
        struct err err;

        if (head_check(api, http_request(exchange), &route, &err) != ERR_OK) {
                refuse(exchange, &err, route.methods);
                return;
        }
        if (system_answer(api, exchange, route.target))
                return;
        if (!atomic_load(&api->open)) {
                err_set(&err, ERR_UNAVAILABLE, "the server is starting");
                refuse(exchange, &err, "");
                return;
        }
        if (atomic_load(&api->calls) >= api->config.calls_max) {
                err_set(&err, ERR_UNAVAILABLE, "more than %u API calls are in flight", api->config.calls_max);
                refuse(exchange, &err, "");
                return;
        }

        struct api_call *call = call_create(api, exchange, &route);
        if (call == NULL) {
                err_nomem(&err);
                refuse(exchange, &err, "");
                return;
        }
        call_begin(call);
}

struct http_handler api_http_handler(struct api *api)
{
        return (struct http_handler){.ctx = api, .on_request = on_request};
}
