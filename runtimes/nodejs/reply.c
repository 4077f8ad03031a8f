/*
 * runtimes/nodejs/reply.c: what the handler gave, as the agent's reply.
 *
 * It is kept until node has worked off what the handler left in its queues: a promise that was rejected and
 * that nobody waits for still makes the run fail.
 */
#include "runtimes/nodejs/node.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <stdlib.h>

enum { TEXTS_MAX = 256 << 10, ARGUMENTS_MAX = 6 };

static void pending_init(struct pending *pending, uint64_t reply_bytes_max)
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

bool pending_begin(struct node *node, uint32_t run)
{
        struct pending *pending = node->spare != NULL ? node->spare : malloc(sizeof(*pending));

        if (pending == NULL)
                return false;
        if (node->spare == NULL)
                pending_init(pending, node->reply_bytes_max);
        node->spare = NULL;
        pending->run = run;
        pending->next = node->pending;
        node->pending = pending;
        return true;
}

struct pending *pending_find(const struct node *node, uint32_t run)
{
        struct pending *pending = node->pending;

        while (pending != NULL && pending->run != run)
                pending = pending->next;
        return pending;
}

static void pending_end(struct node *node, struct pending *pending)
{
        struct pending **at = &node->pending;

        while (*at != pending)
                at = &(*at)->next;
        *at = pending->next;
        if (node->spare == NULL) {
                pending_clear(pending);
                node->spare = pending;
                return;
        }
        buf_finish(&pending->text);
        buf_finish(&pending->type);
        buf_finish(&pending->fields);
        free(pending);
}

static void refuse(struct pending *pending, const char *what, const char *why)
{
        pending_clear(pending);
        pending->given = true;
        pending->error = AGENT_FUNCTION_ERROR;
        buf_printf(&pending->text, "%s%s", what, why);
}

/* The invocation in hand that an answer is for; NULL: it has come too late. */
static struct pending *given_to(const struct node *node, napi_value run)
{
        return node->agent != NULL ? pending_find(node, (uint32_t)value_number(node->env, run)) : NULL;
}

static void take_type(const struct node *node, struct pending *pending, napi_value value)
{
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

static void take_fields(const struct node *node, struct pending *pending, napi_value list)
{
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

static void take_body(const struct node *node, struct pending *pending, napi_value body, bool is_json)
{
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
static napi_value wants_flush(const struct node *node, const struct pending *pending)
{
        napi_value value = NULL;

        napi_get_boolean(node->env, node->calling != pending->run, &value);
        return value;
}

napi_value give_reply(napi_env env, napi_callback_info info)
{
        napi_value arguments[ARGUMENTS_MAX] = {NULL};
        size_t count = ARGUMENTS_MAX;
        struct node *node = NULL;
        bool is_json = false;

        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        struct pending *pending = given_to(node, arguments[0]);
        if (pending == NULL || pending->given)
                return NULL;
        pending_clear(pending);
        pending->given = true;
        pending->status = value_number(env, arguments[1]);
        napi_get_value_bool(env, arguments[5], &is_json);
        take_type(node, pending, arguments[2]);
        if (pending->error == NULL)
                take_fields(node, pending, arguments[3]);
        if (pending->error == NULL)
                take_body(node, pending, arguments[4], is_json);
        return wants_flush(node, pending);
}

/* Takes the place of what was given before: the last word is the worst. */
napi_value give_error(napi_env env, napi_callback_info info)
{
        napi_value arguments[ARGUMENTS_MAX] = {NULL};
        size_t count = ARGUMENTS_MAX;
        struct node *node = NULL;
        own_buf struct buf type;

        buf_init(&type, TEXTS_MAX);
        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        struct pending *pending = given_to(node, arguments[0]);
        if (pending == NULL)
                return NULL;
        pending_clear(pending);
        pending->given = true;
        pending->error = AGENT_FUNCTION_ERROR;
        if (value_append_text(env, arguments[1], &type) && strcmp(type.data, AGENT_INPUT_ERROR) == 0)
                pending->error = AGENT_INPUT_ERROR;
        value_append(env, arguments[2], &pending->text);
        pending->field_count = value_append_list(env, arguments[3], TRACE_LINES_MAX, &pending->fields);
        return wants_flush(node, pending);
}

static const char *next_text(const char **at)
{
        const char *text = *at;

        *at += strlen(text) + 1;
        return text;
}

static void send_error(const struct node *node, const struct pending *pending)
{
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

void pending_send(struct node *node, struct pending *pending)
{
        struct frame_field fields[FIELDS_MAX];

        if (!agent_select(node->agent, pending->run)) {
                pending_end(node, pending);
                return;
        }
        if (pending->error != NULL || !read_fields(pending, fields)) {
                send_error(node, pending);
        } else {
                struct agent_reply reply = {.status = pending->status,
                                            .fields = fields,
                                            .field_count = pending->field_count,
                                            .body = {pending->text.data, pending->text.len}};
                if (pending->type.len > 0)
                        reply.content_type = str_of(pending->type.data);
                agent_reply(node->agent, &reply);
        }
        pending_end(node, pending);
}
