/* runtimes/agent/message.c: see message.h. */
#include "runtimes/agent/message.h"

#include "runtimes/agent/json_scan.h"

static enum err_code put_lines(struct buf *out, struct str text)
{
        if (text.len == 0)
                return buf_append_text(out, "null");
        enum err_code code = buf_append(out, "[", 1);
        for (bool first = true; text.len > 0 && code == ERR_OK; first = false) {
                struct str line = str_cut(&text, '\n');
                if (!first)
                        code = buf_append(out, ",", 1);
                if (code == ERR_OK)
                        code = json_put_string(out, str_trim(line, "\r"));
        }
        return code == ERR_OK ? buf_append(out, "]", 1) : code;
}

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

static bool is_json(struct str content_type)
{
        struct str type = str_trim(str_cut(&content_type, ';'), " \t");

        return str_eq_nocase(type, STR("application/json")) ||
               (type.len > 5 && str_eq_nocase(str_slice(type, type.len - 5, type.len), STR("+json")));
}

static enum err_code put_payload(struct buf *out, const struct agent_reply *reply)
{
        if (reply->error != NULL || (reply->body.len == 0 && reply->content_type.p == NULL))
                return buf_append_text(out, "null");
        if (is_json(reply->content_type) && json_check(reply->body, NULL) == ERR_OK)
                return buf_append(out, reply->body.p, reply->body.len);
        if (str_is_utf8(reply->body))
                return json_put_string(out, reply->body);
        return put_base64(out, reply->body);
}

enum err_code message_put(struct buf *out, const struct agent_reply *reply, struct str log_stdout,
                          struct str log_stderr)
{
        enum err_code code = buf_append_text(out, "{\"context\":{");

        if (code == ERR_OK && reply->error != NULL) {
                code = buf_append_text(out, "\"error\":");
                if (code == ERR_OK)
                        code = buf_append(out, reply->body.p, reply->body.len);
                if (code == ERR_OK)
                        code = buf_append(out, ",", 1);
        }
        if (code == ERR_OK)
                code = buf_append_text(out, "\"logs\":{\"stdout\":");
        if (code == ERR_OK)
                code = put_lines(out, log_stdout);
        if (code == ERR_OK)
                code = buf_append_text(out, ",\"stderr\":");
        if (code == ERR_OK)
                code = put_lines(out, log_stderr);
        if (code == ERR_OK)
                code = buf_append_text(out, "}},\"payload\":");
        if (code == ERR_OK)
                code = put_payload(out, reply);
        return code == ERR_OK ? buf_append(out, "}", 1) : code;
}
