/* api/run_reply.c: what the caller of a run gets: the whole run, or the original runtime's message about it.
 */
#include "api/run.h"

#include "base/own.h"
#include "model/yaml.h"

#include <stdlib.h>
#include <string.h>

static void fail(struct run_call *run, const struct err *err)
{
        struct api_call *call = take_ptr(&run->call);

        api_problem(run->api, "answer a run", err);
        api_call_fail(call, err);
}

static void whole_reply(struct run_call *run, int status, const char *state)
{
        own_json json_t *document = NULL;
        struct err err;

        if (run_record_document(run->record, state, &document, &err) != ERR_OK) {
                fail(run, &err);
                return;
        }
        own_json json_t *shown = model_print(model_resource(MODEL_RUN), document, MODEL_PRINT_REPLY);
        api_call_json(take_ptr(&run->call), status, shown);
}

void run_reply_accepted(struct run_call *run)
{
        whole_reply(run, 202, "INITIALIZED");
}

enum message_type { MESSAGE_JSON, MESSAGE_YAML, MESSAGE_REFUSED };

/* As the original's wrapper reads Accept: by what the text contains. */
static enum message_type message_type(const char *accept)
{
        if (accept == NULL || accept[0] == '\0' || strstr(accept, "json") != NULL ||
            strchr(accept, '*') != NULL)
                return MESSAGE_JSON;
        return strstr(accept, "application/yaml") != NULL ? MESSAGE_YAML : MESSAGE_REFUSED;
}

/* The message is JSON text with its payload in it as it came; for YAML it is read back. */
static enum err_code message_yaml(struct buf *text, struct err *err)
{
        own_json json_t *value = NULL;
        own_buf struct buf yaml = {0};
        enum err_code code = json_parse((struct str){text->data, text->len}, &value, err);

        if (code != ERR_OK)
                return code;
        buf_init(&yaml, text->max);
        if ((code = yaml_print(value, &yaml, err)) != ERR_OK)
                return code;
        buf_finish(text);
        *text = (struct buf){.max = yaml.max};
        buf_move(text, &yaml);
        return ERR_OK;
}

static enum err_code message_text(const struct run_call *run, struct buf *out, const char **ret_type,
                                  struct err *err)
{
        enum message_type type = message_type(run->accept);
        enum err_code code;

        *ret_type = type == MESSAGE_JSON   ? "application/json"
                    : type == MESSAGE_YAML ? "application/yaml"
                                           : "text/plain";
        if (type == MESSAGE_REFUSED)
                return buf_printf(out, "Unsupported Accept type: %s", run->accept) == ERR_OK ? ERR_OK
                                                                                             : err_nomem(err);
        code = run_record_message(run->record, out, err);
        if (code == ERR_OK && type == MESSAGE_YAML)
                code = message_yaml(out, err);
        return code;
}

static json_t *base64_of(struct str bytes)
{
        size_t len = base64_encoded_len(bytes.len);
        own_mem char *text = malloc(len + 1);

        if (text == NULL)
                return NULL;
        base64_encode(bytes.p, bytes.len, text);
        return json_stringn_nocheck(text, len);
}

/* What the message carries already is not said twice. */
static const char *const in_message[] = {"input", "inputBytes", "output", "logs", "error", "payloadEncoding"};

static void message_reply(struct run_call *run)
{
        own_json json_t *document = NULL;
        own_buf struct buf text = {0};
        const char *type;
        struct err err;

        buf_init(&text, CALL_REPLY_BYTES_MAX / 2);
        if (run_record_document(run->record, "READY", &document, &err) != ERR_OK ||
            message_text(run, &text, &type, &err) != ERR_OK) {
                fail(run, &err);
                return;
        }
        for (size_t i = 0; i < sizeof(in_message) / sizeof(in_message[0]); i++)
                json_object_del(document, in_message[i]);
        json_object_set_new(document, "httpContext", json_pack("{s:s}", "Content-Type", type));
        json_object_set_new(document, "outputBytes", base64_of((struct str){text.data, text.len}));

        own_json json_t *shown = model_print(model_resource(MODEL_RUN), document, MODEL_PRINT_REPLY);
        api_call_json(take_ptr(&run->call), 200, shown);
}

void run_reply(struct run_call *run)
{
        char timing[INVOCATION_TIMING_MAX];

        invocation_timing_text(&run->record->inv, timing);
        api_call_field(run->call, "Server-Timing", timing);
        if (run->message_form)
                message_reply(run);
        else
                whole_reply(run, 200, "READY");
}
