/* gateway/reply.c: building the replies of endpoints. */
#include "gateway/reply.h"

#include "base/own.h"
#include "engine/recorder.h"
#include "model/json.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_FIELDS_MAX = 128, REPLY_OWN_FIELDS = 10, ERROR_BODY_MAX = 1 << 21 };

struct fields {
        struct http_field items[REPLY_FIELDS_MAX];
        size_t count;
};

static void add(struct fields *fields, struct str name, struct str value)
{
        if (fields->count < REPLY_FIELDS_MAX)
                fields->items[fields->count++] = (struct http_field){name, value};
}

static void add_cors(struct fields *fields, bool cors)
{
        if (!cors)
                return;
        add(fields, STR("Access-Control-Allow-Origin"), STR("*"));
        add(fields, STR("Access-Control-Allow-Methods"), STR("*"));
        add(fields, STR("Access-Control-Allow-Headers"), STR("*"));
}

static struct http_fields done(const struct fields *fields)
{
        return (struct http_fields){fields->items, fields->count};
}

void reply_error(struct http_exchange *exchange, int status, const char *message,
                 const struct http_field *extra, bool cors)
{
        own_buf struct buf body = {.max = ERROR_BODY_MAX};
        struct fields fields = {.count = 0};

        add(&fields, STR("Content-Type"), STR("application/json"));
        add_cors(&fields, cors);
        if (extra != NULL)
                add(&fields, extra->name, extra->value);
        if (buf_printf(&body, "{\"code\":%d,\"message\":", status) != ERR_OK ||
            json_quote(str_of(message), &body) != ERR_OK || buf_append_text(&body, "}\n") != ERR_OK)
                buf_clear(&body);
        http_reply_buf(exchange, status, done(&fields), &body);
}

void reply_https_only(struct http_exchange *exchange, bool cors)
{
        struct fields fields = {.count = 0};

        add(&fields, STR("Content-Type"), STR("application/json"));
        add_cors(&fields, cors);
        http_reply(exchange, 400, done(&fields),
                   STR("{\"message\":\"Please use HTTPS protocol\",\"code\":400}\n"));
}

void reply_empty(struct http_exchange *exchange, bool cors)
{
        struct fields fields = {.count = 0};

        add_cors(&fields, cors);
        http_reply(exchange, 200, done(&fields), (struct str){NULL, 0});
}

int reply_status(const struct invocation *inv)
{
        if (inv->code != ERR_OK)
                return err_http_status(inv->code);
        if (inv->error_type == NULL)
                return inv->status;
        return strcmp(inv->error_type, "InputError") == 0 ? 400 : 500;
}

/* {"code","message","error":{"type","message","stacktrace"?}}: strangers do not get to see the stack. */
static json_t *error_document(const struct invocation *inv, int status, bool trusted)
{
        own_json json_t *told = NULL;
        own_json json_t *error = json_pack("{s:s, s:s}", "type", inv->error_type, "message", inv->err.text);

        if (json_parse((struct str){inv->error.data, inv->error.len}, &told, NULL) == ERR_OK &&
            json_is_string(json_object_get(told, "message")))
                json_object_set(error, "message", json_object_get(told, "message"));
        if (trusted && json_is_array(json_object_get(told, "stacktrace")))
                json_object_set(error, "stacktrace", json_object_get(told, "stacktrace"));
        return json_pack("{s:i, s:O, s:O}", "code", status, "message", json_object_get(error, "message"),
                         "error", error);
}

static enum err_code error_body(const struct invocation *inv, int status, bool trusted, struct buf *out)
{
        own_json json_t *document = error_document(inv, status, trusted);
        enum err_code code = document != NULL ? json_print(document, out, NULL) : ERR_NO_MEMORY;

        return code == ERR_OK ? buf_append(out, "\n", 1) : code;
}

/* The fields of a response object: pairs of texts, each with its NUL, checked when they came in. */
static void add_head(struct fields *fields, const struct buf *head)
{
        for (size_t at = 0; at < head->len && fields->count < REPLY_FIELDS_MAX - REPLY_OWN_FIELDS;) {
                struct str name = str_of(head->data + at);
                struct str value = str_of(head->data + at + name.len + 1);
                add(fields, name, value);
                at += name.len + value.len + 2;
        }
}

/* Texts that the fields point to until the reply is out. */
struct retry_numbers {
        char after[16], position[16];
};

static void add_retry(struct fields *fields, const struct invocation *inv, struct retry_numbers *numbers)
{
        snprintf(numbers->after, sizeof(numbers->after), "%u",
                 inv->retry_after_s > 0 ? inv->retry_after_s : 1);
        add(fields, STR("Retry-After"), str_of(numbers->after));
        if (inv->queue_position == 0)
                return;
        snprintf(numbers->position, sizeof(numbers->position), "%u", inv->queue_position);
        add(fields, STR("Dispatch-Queue-Position"), str_of(numbers->position));
}

static void reply_failure(struct http_exchange *exchange, struct fields *fields, const struct invocation *inv,
                          int status, bool trusted)
{
        own_buf struct buf body = {.max = ERROR_BODY_MAX};
        struct retry_numbers numbers;

        add(fields, STR("Content-Type"), STR("application/json"));
        if (err_retry_helps(inv->code) && status != 504)
                add_retry(fields, inv, &numbers);
        if (error_body(inv, status, trusted, &body) != ERR_OK)
                buf_clear(&body);
        http_reply_buf(exchange, status, done(fields), &body);
}

void reply_run(struct http_exchange *exchange, struct invocation *inv, bool cors, bool trusted)
{
        struct fields fields = {.count = 0};
        char timing[INVOCATION_TIMING_MAX];
        int status = reply_status(inv);

        add_cors(&fields, cors);
        add(&fields, STR("Dispatch-Run-Id"), str_of(inv->run_id));
        add(&fields, STR("Server-Timing"), invocation_timing_text(inv, timing));
        if (inv->error_type != NULL || inv->code != ERR_OK) {
                reply_failure(exchange, &fields, inv, status, trusted);
                return;
        }
        if (inv->content.len > 0)
                add(&fields, STR("Content-Type"), (struct str){inv->content.data, inv->content.len});
        add_head(&fields, &inv->head);
        if (inv->body.len <= RECORDER_PAYLOAD_BYTES_MAX)
                http_reply(exchange, status, done(&fields), (struct str){inv->body.data, inv->body.len});
        else
                http_reply_buf(exchange, status, done(&fields), &inv->body);
}
