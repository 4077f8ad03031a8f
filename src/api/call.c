/* api/call.c: replies of calls, and the error body that all of them share. */
#include "api/call.h"

#include "model/json.h"

#include <assert.h>
#include <stdio.h>

int api_error_status(const struct err *err)
{
        return err_http_status(err->code);
}

/* Texts quote what callers sent; bytes that are not UTF-8 (a text may also be cut within a character) become
 * '?', since a reply has to be JSON. */
static void text_clean(char *text)
{
        size_t len = strlen(text);

        if (str_is_utf8((struct str){text, len}))
                return;
        for (size_t i = 0; i < len; i++) {
                if ((unsigned char)text[i] >= 0x80)
                        text[i] = '?';
        }
}

void api_error_body(const struct err *err, bool newline, struct buf *out)
{
        char text[ERR_TEXT_MAX];

        memcpy(text, err->text, sizeof(text));
        text[sizeof(text) - 1] = '\0';
        text_clean(text);

        int code = err->detail != 0 ? err->detail : api_error_status(err);

        buf_clear(out);
        if (buf_printf(out, "{\"code\":%d,\"message\":", code) != ERR_OK ||
            json_quote(str_of(text), out) != ERR_OK || buf_append_text(out, newline ? "}\n" : "}") != ERR_OK)
                buf_clear(out); /* no memory: the status alone has to do */
}

void api_call_field(struct api_call *call, const char *name, const char *value)
{
        char *copy = arena_strdup(&call->arena, str_of(value));

        if (copy == NULL || call->field_count == CALL_FIELDS_MAX)
                return;
        call->fields[call->field_count++] = (struct http_field){str_of(name), str_of(copy)};
}

void api_call_fail(struct api_call *call, const struct err *err)
{
        char seconds[16];

        assert(err->code != ERR_OK);
        call->status = api_error_status(err);
        api_error_body(err, err->detail == 0, &call->reply);
        api_call_field(call, "Content-Type", "application/json");
        if (err->code == ERR_METHOD)
                api_call_field(call, "Allow", call->route.methods);
        if (err_retry_helps(err->code)) {
                snprintf(seconds, sizeof(seconds), "%u", call->retry_after_s > 0 ? call->retry_after_s : 1);
                api_call_field(call, "Retry-After", seconds);
        }
        api_call_finish(call);
}

void api_call_json(struct api_call *call, int status, const json_t *value)
{
        struct err err;

        buf_clear(&call->reply);
        if (value == NULL || json_print(value, &call->reply, &err) != ERR_OK ||
            buf_append_text(&call->reply, "\n") != ERR_OK) {
                err_set(&err, ERR_SYSTEM, "the reply does not fit in %d bytes of memory",
                        CALL_REPLY_BYTES_MAX);
                api_call_fail(call, &err);
                return;
        }
        call->status = status;
        api_call_field(call, "Content-Type", "application/json");
        api_call_finish(call);
}

void api_call_empty(struct api_call *call, int status)
{
        call->status = status;
        buf_clear(&call->reply);
        api_call_finish(call);
}
