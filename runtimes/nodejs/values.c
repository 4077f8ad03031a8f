/* runtimes/nodejs/values.c: between values of JavaScript and bytes. */
#include "runtimes/nodejs/node.h"

static bool append_string(napi_env env, napi_value value, struct buf *out)
{
        size_t len = 0, written = 0;

        if (napi_get_value_string_utf8(env, value, NULL, 0, &len) != napi_ok ||
            buf_reserve(out, len + 1) != ERR_OK)
                return false;
        if (napi_get_value_string_utf8(env, value, out->data + out->len, len + 1, &written) != napi_ok)
                return false;
        out->len += written;
        return true;
}

static bool append_bytes(napi_env env, napi_value value, struct buf *out)
{
        void *data = NULL;
        size_t len = 0;
        bool is_buffer = false;

        if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
            napi_get_buffer_info(env, value, &data, &len) != napi_ok)
                return false;
        return len == 0 || buf_append(out, data, len) == ERR_OK;
}

bool value_append(napi_env env, napi_value value, struct buf *out)
{
        napi_valuetype type;

        if (napi_typeof(env, value, &type) != napi_ok)
                return false;
        return type == napi_string ? append_string(env, value, out) : append_bytes(env, value, out);
}

bool value_append_text(napi_env env, napi_value value, struct buf *out)
{
        size_t at = out->len;

        if (!append_string(env, value, out))
                return false;
        for (; at < out->len; at++) {
                if (out->data[at] == '\0')
                        out->data[at] = ' ';
        }
        return buf_append(out, "", 1) == ERR_OK;
}

size_t value_append_list(napi_env env, napi_value array, size_t max, struct buf *out)
{
        uint32_t len = 0;
        size_t count = 0;

        if (value_is_null(env, array) || napi_get_array_length(env, array, &len) != napi_ok)
                return 0;
        for (uint32_t i = 0; i < len && count < max; i++) {
                napi_value each;
                size_t before = out->len;

                if (napi_get_element(env, array, i, &each) != napi_ok)
                        break;
                if (!value_append_text(env, each, out)) {
                        out->len = before;
                        break;
                }
                count++;
        }
        return count;
}

napi_value value_of_text(napi_env env, struct str text)
{
        napi_value value = NULL;

        napi_create_string_utf8(env, text.len > 0 ? text.p : "", text.len, &value);
        return value;
}

napi_value value_null(napi_env env)
{
        napi_value value = NULL;

        napi_get_null(env, &value);
        return value;
}

bool value_is_null(napi_env env, napi_value value)
{
        napi_valuetype type = napi_undefined;

        return value == NULL || napi_typeof(env, value, &type) != napi_ok || type == napi_null ||
               type == napi_undefined;
}

int32_t value_number(napi_env env, napi_value value)
{
        int32_t number = 0;

        napi_get_value_int32(env, value, &number);
        return number;
}

void value_set(napi_env env, napi_value object, const char *name, napi_value value)
{
        napi_set_named_property(env, object, name, value);
}

napi_value value_payload(napi_env env, const struct agent_invocation *invocation)
{
        napi_value value = NULL;
        void *data;

        switch (invocation->kind) {
        case AGENT_PAYLOAD_JSON:
        case AGENT_PAYLOAD_TEXT:
                return value_of_text(env, invocation->payload);
        case AGENT_PAYLOAD_BYTES:
                napi_create_buffer_copy(env, invocation->payload.len,
                                        invocation->payload.len > 0 ? invocation->payload.p : "", &data,
                                        &value);
                return value;
        case AGENT_PAYLOAD_NONE:
                break;
        }
        return value_null(env);
}
