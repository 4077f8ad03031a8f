/*
 * runtimes/nodejs/reply.c: what the handler gave, as the agent's reply.
 *
 * It is kept until node has worked off what the handler left in its queues: a promise that was rejected and
 * that nobody waits for still makes the run fail.
 */
#include "runtimes/nodejs/node.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

enum { TEXTS_MAX = 256 << 10, ARGUMENTS_MAX = 5 };

void pending_init(struct pending *pending, uint64_t reply_bytes_max)
{
        *pending = (struct pending){.given = false};
        /* a little more, so that it is the agent that refuses with the limit's name */
        buf_init(&pending->text, (size_t)reply_bytes_max + 65536);
        buf_init(&pending->type, TEXTS_MAX);
        buf_init(&pending->fields, TEXTS_MAX);
}

static void pending_clear(struct pending *pending)
{
        bool large = pending->text.capacity > 65536;

        pending->given = false;
        pending->error = NULL;
        pending->field_count = 0;
        buf_clear(&pending->type);
        buf_clear(&pending->fields);
        if (large)
                buf_finish(&pending->text);
        else
                buf_clear(&pending->text);
}

static void refuse(struct pending *pending, const char *what, const char *why)
{
        pending_clear(pending);
        pending->given = true;
        pending->error = AGENT_FUNCTION_ERROR;
        buf_printf(&pending->text, "%s%s", what, why);
}

/* An error takes the place of what was given before: the last word is the worst. */
static bool may_give(struct node *node)
{
        return node->agent != NULL && node->running;
}

static void take_type(struct node *node, napi_value value)
{
        struct pending *pending = &node->pending;

        if (value_is_null(node->env, value))
                return;
        if (!value_append_text(node->env, value, &pending->type))
                refuse(pending, "the response cannot be sent: ", "its content type is no text");
        for (size_t i = 0; i + 1 < pending->type.len; i++) {
                unsigned char c = (unsigned char)pending->type.data[i];
                if (c < 0x20 || c == 0x7f) {
                        refuse(pending,
                               "the response cannot be sent: ", "its content type has control characters");
                        return;
                }
        }
}

static void take_fields(struct node *node, napi_value list)
{
        struct pending *pending = &node->pending;
        uint32_t len = 0;

        if (value_is_null(node->env, list) || napi_get_array_length(node->env, list, &len) != napi_ok)
                return;
        if (len > (uint32_t)2 * FIELDS_MAX)
                refuse(pending, "the response cannot be sent: ", "more than 100 header fields");
        else if (value_append_list(node->env, list, len, &pending->fields) != len)
                refuse(pending, "the response cannot be sent: ", "its header fields are too large");
        else
                pending->field_count = len / 2;
}

static void take_body(struct node *node, napi_value body, bool is_json)
{
        struct pending *pending = &node->pending;
        struct err why;

        if (value_is_null(node->env, body))
                return;
        if (!value_append(node->env, body, &pending->text)) {
                char text[64];
                snprintf(text, sizeof(text), "reply-bytes-max, %llu bytes",
                         (unsigned long long)node->reply_bytes_max);
                refuse(pending, "the result cannot be sent: it is larger than ", text);
                return;
        }
        struct str json = {pending->text.data, pending->text.len};
        if (is_json && json_check(json, &why) != ERR_OK)
                refuse(pending, "the result cannot be sent as JSON: it is ", why.text);
}

/* Whether what was given is sent by loop_flush, which the caller has to see to. */
static napi_value wants_flush(struct node *node)
{
        napi_value value = NULL;

        napi_get_boolean(node->env, !node->calling, &value);
        return value;
}

napi_value give_reply(napi_env env, napi_callback_info info)
{
        napi_value arguments[ARGUMENTS_MAX] = {NULL};
        size_t count = ARGUMENTS_MAX;
        struct node *node = NULL;
        bool is_json = false;

        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        if (!may_give(node) || node->pending.given)
                return NULL;
        pending_clear(&node->pending);
        node->pending.given = true;
        node->pending.status = value_number(env, arguments[0]);
        napi_get_value_bool(env, arguments[4], &is_json);
        take_type(node, arguments[1]);
        if (node->pending.error == NULL)
                take_fields(node, arguments[2]);
        if (node->pending.error == NULL)
                take_body(node, arguments[3], is_json);
        return wants_flush(node);
}

napi_value give_error(napi_env env, napi_callback_info info)
{
        napi_value arguments[ARGUMENTS_MAX] = {NULL};
        size_t count = ARGUMENTS_MAX;
        struct node *node = NULL;
        own_buf struct buf type;

        buf_init(&type, TEXTS_MAX);
        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        if (!may_give(node))
                return NULL;
        struct pending *pending = &node->pending;
        pending_clear(pending);
        pending->given = true;
        pending->error = AGENT_FUNCTION_ERROR;
        if (value_append_text(env, arguments[0], &type) && strcmp(type.data, AGENT_INPUT_ERROR) == 0)
                pending->error = AGENT_INPUT_ERROR;
        value_append(env, arguments[1], &pending->text);
        pending->field_count = value_append_list(env, arguments[2], TRACE_LINES_MAX, &pending->fields);
        return wants_flush(node);
}

static const char *next_text(const char **at)
{
        const char *text = *at;

        *at += strlen(text) + 1;
        return text;
}

static void send_error(struct node *node)
{
        const struct pending *pending = &node->pending;
        struct str lines[TRACE_LINES_MAX];
        const char *at = pending->fields.data;

        for (size_t i = 0; i < pending->field_count; i++)
                lines[i] = str_of(next_text(&at));
        agent_reply_error(node->agent, pending->error, (struct str){pending->text.data, pending->text.len},
                          lines, pending->field_count);
}

/* False: a field is not the function's to set; the error has taken the reply's place. */
static bool read_fields(struct pending *pending, struct frame_field *fields)
{
        const char *at = pending->fields.data;

        for (size_t i = 0; i < pending->field_count; i++) {
                struct str name = str_of(next_text(&at)), value = str_of(next_text(&at));
                if (!agent_field_valid(name, value)) {
                        char text[300];
                        snprintf(text, sizeof(text), "header field '%.200s' is not allowed", name.p);
                        refuse(pending, "the response cannot be sent: ", text);
                        return false;
                }
                fields[i] = (struct frame_field){name, value};
        }
        return true;
}

void pending_send(struct node *node)
{
        struct pending *pending = &node->pending;
        struct frame_field fields[FIELDS_MAX];

        if (pending->error != NULL || !read_fields(pending, fields)) {
                send_error(node);
        } else {
                struct agent_reply reply = {.status = pending->status,
                                            .fields = fields,
                                            .field_count = pending->field_count,
                                            .body = {pending->text.data, pending->text.len}};
                if (pending->type.len > 0)
                        reply.content_type = str_of(pending->type.data);
                agent_reply(node->agent, &reply);
        }
        pending_clear(pending);
}
