/* http/call.c: one request and its reply: how it is written, tried again, collected and ended. */
#include "http/call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE_LEN = 20 };

static bool method_is_idempotent(struct str method)
{
        static const struct str idempotent[] = {STR_INIT("GET"), STR_INIT("HEAD"),   STR_INIT("OPTIONS"),
                                                STR_INIT("PUT"), STR_INIT("DELETE"), STR_INIT("TRACE")};

        for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++) {
                if (str_eq(method, idempotent[i]))
                        return true;
        }
        return false;
}

static bool field_is_ours(struct str name)
{
        static const struct str ours[] = {
                STR_INIT("Host"),           STR_INIT("Connection"),        STR_INIT("Keep-Alive"),
                STR_INIT("Content-Length"), STR_INIT("Transfer-Encoding"), STR_INIT("Expect")};

        for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
                if (str_eq_nocase(name, ours[i]))
                        return true;
        }
        return false;
}

static bool target_valid(struct str text)
{
        for (size_t i = 0; i < text.len; i++) {
                if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
                        return false;
        }
        return true;
}

static enum err_code spec_check(const struct http_client *client, const struct http_call_spec *spec,
                                struct err *err)
{
        assert(spec->target != NULL && spec->done != NULL);
        if (client->ending)
                return err_set(err, ERR_CANCELLED, "the client was ended");
        if (!http_token_valid(spec->method))
                return err_set(err, ERR_INVALID, "the method is no token");
        if (spec->path.len == 0 || !target_valid(spec->path) || !target_valid(spec->host))
                return err_set(err, ERR_INVALID, "the target of the request is malformed");
        for (size_t i = 0; i < spec->fields.count; i++) {
                const struct http_field *field = &spec->fields.items[i];
                if (!http_token_valid(field->name) || !http_value_valid(field->value))
                        return err_set(err, ERR_INVALID, "field %zu of the request is malformed", i);
        }
        return ERR_OK;
}

static bool method_wants_length(struct str method)
{
        return str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) || str_eq(method, STR("PATCH"));
}

static enum err_code put_framing(struct buf *to, const struct http_call_spec *spec)
{
        if (spec->stream && spec->body_length < 0)
                return buf_append_text(to, "Transfer-Encoding: chunked\r\n\r\n");
        uint64_t length = spec->stream ? (uint64_t)spec->body_length : spec->body.len;
        if (length == 0 && !method_wants_length(spec->method))
                return buf_append_text(to, "\r\n");
        return buf_printf(to, "Content-Length: %llu\r\n\r\n", (unsigned long long)length);
}

static enum err_code request_make(struct buf *to, const struct http_call_spec *spec)
{
        enum err_code code = buf_printf(to, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(spec->method),
                                        STR_ARG(spec->path), STR_ARG(spec->host));

        for (size_t i = 0; i < spec->fields.count && code == ERR_OK; i++) {
                const struct http_field *field = &spec->fields.items[i];
                if (!field_is_ours(field->name))
                        code = buf_printf(to, "%.*s: %.*s\r\n", STR_ARG(field->name), STR_ARG(field->value));
        }
        if (code == ERR_OK)
                code = put_framing(to, spec);
        if (code == ERR_OK && !spec->stream)
                code = buf_append(to, spec->body.p, spec->body.len);
        return code;
}

static void call_free(struct http_call *call)
{
        buf_finish(&call->request);
        buf_finish(&call->body);
        arena_finish(&call->arena);
        free(call);
}

enum err_code http_call_start(struct http_client *client, const struct http_call_spec *spec,
                              struct http_call **ret, struct err *err)
{
        enum err_code code = spec_check(client, spec, err);

        if (code != ERR_OK)
                return code;
        struct http_call *call = calloc(1, sizeof(*call));
        if (call == NULL)
                return err_nomem(err);
        call->client = client;
        call->spec = *spec;
        call->target = *spec->target;
        call->idempotent = method_is_idempotent(spec->method);
        call->to_head = str_eq(spec->method, STR("HEAD"));
        call->stream_left = spec->stream ? spec->body_length : 0;
        arena_init(&call->arena, (size_t)client->limits.header_bytes_max * 2 +
                                         client->limits.header_count_max * sizeof(struct http_field));
        buf_init(&call->request, CALL_REQUEST_BYTES_MAX);
        buf_init(&call->body,
                 spec->reply_bytes_max < SIZE_MAX / 4 ? (size_t)spec->reply_bytes_max : SIZE_MAX / 4);
        code = request_make(&call->request, spec);
        if (code != ERR_OK)
                err_set(err, code, "the request is too large");
        else
                code = link_take(client, call, false, err);
        if (code != ERR_OK) {
                call_free(call);
                return code;
        }
        *ret = call;
        return ERR_OK;
}

void call_begin(struct http_call *call)
{
        struct iovec iov = {call->request.data, call->request.len};

        call->sent = !call->spec.stream;
        link_send(call->link, &iov, 1);
}

static void call_detach(struct http_call *call, bool keep)
{
        struct link *link = call->link;

        call->link = NULL;
        if (keep)
                link_keep(link);
        else
                link_end(link);
}

void call_fail(struct http_call *call, enum err_code code, const char *text)
{
        struct err err;

        err_set(&err, code, "%s", text);
        call_detach(call, false);
        call->spec.done(call, call->spec.arg, &err, NULL, (struct str){0});
        call_free(call);
}

static void call_finish(struct http_call *call)
{
        struct link *link = call->link;
        static const struct err ok = {.code = ERR_OK};
        /* Bytes behind a reply belong to no request. */
        bool keep =
                link->parser.keep_alive && call->sent && link->out.len == 0 && link->in_at == link->in.len;

        call_detach(call, keep);
        call->spec.done(call, call->spec.arg, &ok, &call->response,
                        (struct str){call->body.data, call->body.len});
        call_free(call);
}

void call_link_lost(struct http_call *call)
{
        struct link *link = call->link;
        struct err err;

        if (!link->reused || call->replied || call->tried_again || !call->idempotent || call->spec.stream) {
                call_fail(call, ERR_BAD_REPLY, "the connection ended before the reply was complete");
                return;
        }
        call->tried_again = true;
        call_detach(call, false);
        enum err_code code = link_take(call->client, call, true, &err);
        if (code == ERR_OK)
                return;
        call->spec.done(call, call->spec.arg, &err, NULL, (struct str){0});
        call_free(call);
}

static struct str moved(struct str view, const char *from, const char *to)
{
        return view.p != NULL ? (struct str){to + (view.p - from), view.len} : view;
}

/* The head must outlast the buffer that it was read to. */
static bool head_keep(struct http_call *call, struct str shown)
{
        const struct http_response *parsed = &call->link->parser.response;
        const struct http_fields *from = &parsed->fields;
        char *copy = arena_alloc(&call->arena, shown.len);
        struct http_field *fields = arena_alloc(&call->arena, from->count * sizeof(*fields));

        if (copy == NULL || fields == NULL)
                return false;
        memcpy(copy, shown.p, shown.len);
        for (size_t i = 0; i < from->count; i++)
                fields[i] = (struct http_field){moved(from->items[i].name, shown.p, copy),
                                                moved(from->items[i].value, shown.p, copy)};
        call->response = *parsed;
        call->response.reason = moved(parsed->reason, shown.p, copy);
        call->response.fields = (struct http_fields){fields, from->count};
        return true;
}

static bool call_head(struct http_call *call, struct str shown)
{
        struct link *link = call->link;

        if (link->parser.response.status < 200)
                return true;
        if (!head_keep(call,
                       str_slice(shown, 0,
                                 shown.len < link->parser.scanned ? shown.len : link->parser.scanned))) {
                call_fail(call, ERR_NO_MEMORY, "out of memory");
                return false;
        }
        call->has_head = true;
        if (call->spec.head != NULL)
                call->spec.head(call, call->spec.arg, &call->response);
        return link->call == call;
}

static bool call_data(struct http_call *call, struct str piece)
{
        struct link *link = call->link;

        if (call->spec.chunk != NULL) {
                call->spec.chunk(call, call->spec.arg, piece);
                return link->call == call;
        }
        enum err_code code = buf_append(&call->body, piece.p, piece.len);
        if (code == ERR_OK)
                return true;
        call_fail(call, code, code == ERR_TOO_LARGE ? "the reply is too large" : "out of memory");
        return false;
}

bool call_event(struct http_call *call, enum http_event event, struct str shown, struct str piece)
{
        struct link *link = call->link;
        char text[160];

        switch (event) {
        case HTTP_HEAD:
                if (link->parser.response.status != 101)
                        return call_head(call, shown);
                call_fail(call, ERR_BAD_REPLY, "the reply switches to a protocol that was not asked for");
                return false;
        case HTTP_DATA:
                return call_data(call, piece);
        case HTTP_END:
                if (!call->has_head) { /* 1xx; the reply proper follows */
                        http_parser_reset(&link->parser, call->to_head);
                        return true;
                }
                call_finish(call);
                return false;
        case HTTP_ERROR:
                snprintf(text, sizeof(text), "the reply is not HTTP/1.1: %s", link->parser.reason);
                call_fail(call, ERR_BAD_REPLY, text);
                return false;
        case HTTP_MORE:
                break;
        }
        return false;
}

void http_call_cancel(struct http_call *call)
{
        call_detach(call, false);
        call_free(call);
}

bool http_call_write(struct http_call *call, struct str bytes)
{
        struct link *link = call->link;
        char size[CHUNK_SIZE_LEN];

        assert(call->spec.stream);
        if (bytes.len == 0)
                return !call->waits;
        if (call->spec.body_length < 0) {
                int len = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
                struct iovec iov[] = {{size, (size_t)len}, {(void *)bytes.p, bytes.len}, {(void *)"\r\n", 2}};
                link_send(link, iov, 3);
        } else {
                assert((int64_t)bytes.len <= call->stream_left);
                struct iovec iov[] = {{(void *)bytes.p, bytes.len}};
                link_send(link, iov, 1);
                call->stream_left -= (int64_t)bytes.len;
        }
        link_settle(link);
        call->waits = link->out.len > CALL_QUEUE_HIGH;
        return !call->waits;
}

void http_call_end(struct http_call *call)
{
        struct iovec iov[] = {{(void *)"0\r\n\r\n", 5}};

        assert(call->spec.stream && call->stream_left <= 0);
        if (call->spec.body_length < 0)
                link_send(call->link, iov, 1);
        call->sent = true;
        link_settle(call->link);
}

void call_writable(struct http_call *call)
{
        if (!call->waits || call->link->out.len > CALL_QUEUE_LOW)
                return;
        call->waits = false;
        if (call->spec.writable != NULL)
                call->spec.writable(call, call->spec.arg);
}

void http_call_pause(struct http_call *call)
{
        call->paused = true;
        link_settle(call->link);
}

void http_call_resume(struct http_call *call)
{
        struct link *link = call->link;

        if (!call->paused)
                return;
        call->paused = false;
        link->since_ms = loop_now_ms(call->client->loop);
        link_enter(link);
        link_process(link);
        link_leave(link);
}
