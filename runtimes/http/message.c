/* runtimes/http/message.c: see message.h. */
#include "runtimes/http/message.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <assert.h>
#include <string.h>

enum { TRACE_LINES_MAX = 400, LINE_MAX_BYTES = 1 << 20 };

static enum err_code put_base64(struct buf *out, struct str bytes)
{
        size_t len = base64_encoded_len(bytes.len);
        enum err_code code = buf_reserve(out, len + 2);

        if (code != ERR_OK)
                return code;
        out->data[out->len++] = '"';
        base64_encode(bytes.p, bytes.len, out->data + out->len);
        out->len += len;
        out->data[out->len++] = '"';
        return buf_append_text(out, ",\"payloadEncoding\":\"base64\"");
}

static enum err_code put_payload(const struct agent_invocation *invocation, struct buf *out)
{
        switch (invocation->kind) {
        case AGENT_PAYLOAD_JSON:
                return buf_append(out, invocation->payload.p, invocation->payload.len);
        case AGENT_PAYLOAD_TEXT:
        case AGENT_PAYLOAD_BYTES:
                return str_is_utf8(invocation->payload) ? json_put_string(out, invocation->payload)
                                                        : put_base64(out, invocation->payload);
        case AGENT_PAYLOAD_NONE:
                break;
        }
        return buf_append_text(out, "null");
}

enum err_code message_ask(const struct agent_invocation *invocation, struct buf *out)
{
        enum err_code code = buf_append_text(out, "{\"context\":");

        if (code == ERR_OK)
                code = buf_append(out, invocation->context.p, invocation->context.len);
        if (code == ERR_OK)
                code = buf_append_text(out, ",\"payload\":");
        if (code == ERR_OK)
                code = put_payload(invocation, out);
        return code == ERR_OK ? buf_append_text(out, "}") : code;
}

static bool is_nothing(struct str value)
{
        return value.p == NULL || str_eq(value, STR("null"));
}

/* A list of strings, or nothing. */
static bool is_lines(struct str list)
{
        struct json_scan scan;
        struct json_token token;

        if (is_nothing(list))
                return true;
        json_scan_init(&scan, list);
        if (json_scan_next(&scan, &token, NULL) != ERR_OK || token.type != JSON_TOKEN_ARRAY)
                return false;
        while (json_scan_next(&scan, &token, NULL) == ERR_OK && token.type == JSON_TOKEN_STRING)
                ;
        return token.type == JSON_TOKEN_ARRAY_END;
}

static enum err_code take_logs(struct str logs, struct message *ret, struct err *err)
{
        static const char *const names[2] = {"stdout", "stderr"};

        if (is_nothing(logs))
                return ERR_OK;
        if (!json_is_object(logs))
                return err_set(err, ERR_INVALID, "context.logs is no object");
        for (int i = 0; i < 2; i++) {
                struct str list = json_member(logs, str_of(names[i]));
                if (!is_lines(list))
                        return err_set(err, ERR_INVALID, "context.logs.%s is no list of strings", names[i]);
                ret->logs[i] = is_nothing(list) ? (struct str){NULL, 0} : list;
        }
        return ERR_OK;
}

enum err_code message_answer(struct str text, struct message *ret, struct err *err)
{
        struct message message = {.payload = STR("null")};
        struct err why;

        if (json_check(text, &why) != ERR_OK)
                return err_set(err, ERR_INVALID, "it is no JSON: %s", why.text);
        if (!json_is_object(text))
                return err_set(err, ERR_INVALID, "it is no JSON object");
        struct str context = json_member(text, STR("context"));
        struct str payload = json_member(text, STR("payload"));
        if (is_nothing(context) && payload.p == NULL)
                return err_set(err, ERR_INVALID, "it has neither context nor payload");
        if (!is_nothing(context) && !json_is_object(context))
                return err_set(err, ERR_INVALID, "context is no object");
        struct str error = is_nothing(context) ? context : json_member(context, STR("error"));
        if (!is_nothing(error) && !json_is_object(error))
                return err_set(err, ERR_INVALID, "context.error is no object");
        if (!is_nothing(context)) {
                enum err_code code = take_logs(json_member(context, STR("logs")), &message, err);
                if (code != ERR_OK)
                        return code;
        }
        if (!is_nothing(error))
                message.error = error;
        if (payload.p != NULL)
                message.payload = payload;
        *ret = message;
        return ERR_OK;
}

static void log_lines(struct agent *agent, int stream, struct str list)
{
        own_buf struct buf line;
        struct json_scan scan;
        struct json_token token;

        buf_init(&line, LINE_MAX_BYTES + 1);
        json_scan_init(&scan, list);
        if (json_scan_next(&scan, &token, NULL) != ERR_OK)
                return;
        while (json_scan_next(&scan, &token, NULL) == ERR_OK && token.type == JSON_TOKEN_STRING) {
                struct str text =
                        token.text.len < LINE_MAX_BYTES ? token.text : STR("[dispatch: a line too long]");
                buf_clear(&line);
                /* Whether a line had its end in it, the original is not sure about either. */
                if (json_unescape(text, &line) != ERR_OK)
                        return;
                while (line.len > 0 && line.data[line.len - 1] == '\n')
                        line.len--;
                if (buf_append(&line, "\n", 1) != ERR_OK)
                        return;
                agent_log(agent, stream, (struct str){line.data, line.len});
        }
}

void message_log(struct agent *agent, const struct message *message)
{
        for (int i = 0; i < 2; i++) {
                if (message->logs[i].p != NULL)
                        log_lines(agent, i + 1, message->logs[i]);
        }
}

static const char *type_of(struct str value)
{
        static const char *const types[] = {AGENT_INPUT_ERROR, AGENT_FUNCTION_ERROR, AGENT_SYSTEM_ERROR};

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                if (value.len == strlen(types[i]) + 2 &&
                    str_eq(str_slice(value, 1, value.len - 1), str_of(types[i])))
                        return types[i];
        }
        return AGENT_FUNCTION_ERROR;
}

/* The trace's lines, their escapes resolved into `text`, which must have room for all and so never moves. */
static size_t take_trace(struct str list, struct buf *text, struct str lines[TRACE_LINES_MAX])
{
        struct json_scan scan;
        struct json_token token;
        size_t count = 0;

        if (is_nothing(list) || !is_lines(list))
                return 0;
        json_scan_init(&scan, list);
        (void)json_scan_next(&scan, &token, NULL);
        while (count < TRACE_LINES_MAX && json_scan_next(&scan, &token, NULL) == ERR_OK &&
               token.type == JSON_TOKEN_STRING) {
                size_t at = text->len;
                if (json_unescape(token.text, text) != ERR_OK)
                        break;
                lines[count++] = (struct str){text->data + at, text->len - at};
        }
        return count;
}

bool message_reply_error(struct agent *agent, struct str error)
{
        struct str message = json_member(error, STR("message"));
        struct str lines[TRACE_LINES_MAX];
        own_buf struct buf text;

        /* What is unescaped is no longer than it was, but for half a surrogate pair: 3 bytes of 6. */
        buf_init(&text, error.len + 1);
        if (message.p == NULL || message.len < 2 || message.p[0] != '"')
                return false;
        if (buf_reserve(&text, error.len) != ERR_OK ||
            json_unescape(str_slice(message, 1, message.len - 1), &text) != ERR_OK)
                return false;
        message = (struct str){text.data, text.len};
        size_t count = take_trace(json_member(error, STR("stacktrace")), &text, lines);
        agent_reply_error(agent, type_of(json_member(error, STR("type"))), message, lines, count);
        return true;
}
