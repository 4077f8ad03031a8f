/* runtimes/agent/decode.c: a request's payload (CONTRACT 0.7, 7.4 for endpoints; 0.8, 8.3 for runs). */
#include "runtimes/agent/request.h"

#include "runtimes/agent/form.h"
#include "runtimes/agent/json_scan.h"

enum media { MEDIA_NONE, MEDIA_JSON, MEDIA_FORM, MEDIA_TEXT, MEDIA_BASE64, MEDIA_OTHER };

struct str request_field(const struct agent_request *request, struct str name)
{
        return frame_field_get(request->fields, request->field_count, name);
}

void decoded_init(struct decoded *decoded)
{
        *decoded = (struct decoded){.kind = AGENT_PAYLOAD_NONE};
        buf_init(&decoded->text, 6 * (size_t)AGENT_BODY_MAX);
}

void decoded_finish(struct decoded *decoded)
{
        buf_finish(&decoded->text);
}

static bool ends_nocase(struct str s, struct str suffix)
{
        return s.len > suffix.len && str_eq_nocase(str_slice(s, s.len - suffix.len, s.len), suffix);
}

static enum media media_of(struct str content_type)
{
        struct str type = str_trim(str_cut(&content_type, ';'), " \t");

        if (type.len == 0)
                return MEDIA_NONE;
        if (str_eq_nocase(type, STR("application/json")) || str_eq_nocase(type, STR("application/x+json")) ||
            ends_nocase(type, STR("+json")))
                return MEDIA_JSON;
        if (str_eq_nocase(type, STR("application/x-www-form-urlencoded")))
                return MEDIA_FORM;
        if (str_eq_nocase(type, STR("text/plain")))
                return MEDIA_TEXT;
        return str_eq_nocase(type, STR("application/base64")) ? MEDIA_BASE64 : MEDIA_OTHER;
}

/* The charset parameter without its quotes, or an empty view. */
static struct str charset_of(struct str content_type)
{
        str_cut(&content_type, ';');
        while (content_type.len > 0) {
                struct str value = str_cut(&content_type, ';');
                struct str name = str_trim(str_cut(&value, '='), " \t");
                if (str_eq_nocase(name, STR("charset")))
                        return str_trim(value, " \t\"");
        }
        return (struct str){NULL, 0};
}

static bool charset_is_utf8(struct str charset)
{
        return charset.len == 0 || str_eq_nocase(charset, STR("utf-8")) ||
               str_eq_nocase(charset, STR("utf8")) || str_eq_nocase(charset, STR("us-ascii"));
}

static bool is_method(const struct agent_request *request, struct str name)
{
        return str_eq(request_field(request, STR(":method")), name);
}

static enum err_code take_object(struct str form, struct decoded *ret, struct err *err)
{
        struct err why;

        if (form_to_json(form, &ret->text, &why) != ERR_OK)
                return err_set(err, ERR_INVALID, "Invalid Input: %s", why.text);
        ret->kind = AGENT_PAYLOAD_JSON;
        ret->payload = (struct str){ret->text.data, ret->text.len};
        return ERR_OK;
}

static enum err_code take_query(const struct agent_request *request, struct decoded *ret, struct err *err)
{
        struct str query = request_field(request, STR(":path"));

        str_cut(&query, '?');
        return take_object(query, ret, err);
}

static enum err_code take_json(const struct agent_request *request, bool endpoint, struct decoded *ret,
                               struct err *err)
{
        struct str charset = charset_of(request_field(request, STR("content-type")));
        struct err why;

        if (!charset_is_utf8(charset))
                return err_set(err, ERR_INVALID, "request body is not json: charset %.*s is not UTF-8",
                               (int)(charset.len < 40 ? charset.len : 40), charset.p);
        if (json_check(request->body, &why) != ERR_OK)
                return endpoint ? err_set(err, ERR_INVALID, "request body is not json")
                                : err_set(err, ERR_INVALID, "Invalid Input: %s", why.text);
        ret->kind = AGENT_PAYLOAD_JSON;
        ret->payload = request->body;
        return ERR_OK;
}

static enum err_code take_base64(const struct agent_request *request, struct decoded *ret, struct err *err)
{
        size_t len, bad;

        if (buf_reserve(&ret->text, (request->body.len / 4 + 1) * 3) != ERR_OK)
                return err_nomem(err);
        if (!base64_decode(request->body, ret->text.data, &len, &bad))
                return err_set(err, ERR_INVALID, "Invalid Input: illegal base64 data at input byte %zu", bad);
        ret->text.len = len;
        ret->kind = AGENT_PAYLOAD_BYTES;
        ret->payload = (struct str){ret->text.data, len};
        return ERR_OK;
}

static enum err_code take_plain(const struct agent_request *request, enum agent_payload_kind kind,
                                struct decoded *ret)
{
        ret->kind = kind;
        ret->payload = request->body;
        return ERR_OK;
}

static enum err_code decode_endpoint(const struct agent_request *request, enum media media,
                                     struct decoded *ret, struct err *err)
{
        bool empty = request->body.len == 0;

        if (is_method(request, STR("GET")) || is_method(request, STR("HEAD")) ||
            (is_method(request, STR("OPTIONS")) && empty))
                return take_query(request, ret, err);
        if (empty && media == MEDIA_NONE) {
                ret->kind = AGENT_PAYLOAD_JSON;
                ret->payload = STR("{}");
                return ERR_OK;
        }
        if (media == MEDIA_JSON)
                return take_json(request, true, ret, err);
        if (media == MEDIA_FORM)
                return take_object(request->body, ret, err);
        return take_plain(request, AGENT_PAYLOAD_BYTES, ret);
}

static enum err_code decode_run(const struct agent_request *request, enum media media, struct decoded *ret,
                                struct err *err)
{
        if (is_method(request, STR("GET")) || is_method(request, STR("HEAD")))
                return take_query(request, ret, err);
        if (request->body.len == 0)
                return take_plain(request, AGENT_PAYLOAD_NONE, ret);
        switch (media) {
        case MEDIA_JSON:
                return take_json(request, false, ret, err);
        case MEDIA_FORM:
                return take_object(request->body, ret, err);
        case MEDIA_TEXT:
                return take_plain(request, AGENT_PAYLOAD_TEXT, ret);
        case MEDIA_BASE64:
                return take_base64(request, ret, err);
        case MEDIA_NONE:
        case MEDIA_OTHER:
                break;
        }
        return take_plain(request, AGENT_PAYLOAD_BYTES, ret);
}

static enum err_code decode_envelope(const struct agent_request *request, struct decoded *ret,
                                     struct err *err)
{
        struct err why;

        if (json_check(request->body, &why) != ERR_OK)
                return err_set(err, ERR_INVALID, "Invalid Input: %s", why.text);
        if (!json_is_object(request->body))
                return err_set(err, ERR_INVALID, "Invalid Input: the message is not an object");
        struct str payload = json_member(request->body, STR("payload"));
        if (payload.p == NULL || str_eq(payload, STR("null")))
                return ERR_OK;
        ret->kind = AGENT_PAYLOAD_JSON;
        ret->payload = payload;
        return ERR_OK;
}

enum err_code request_decode(const struct agent_request *request, struct decoded *ret, struct err *err)
{
        enum media media = media_of(request_field(request, STR("content-type")));

        if (request->body_too_large)
                return err_set(err, ERR_INVALID,
                               "Invalid Input: the payload is larger than the agent's %d bytes",
                               AGENT_BODY_MAX);
        if (request->envelope)
                return decode_envelope(request, ret, err);
        if (str_eq(request_field(request, STR(":source")), STR("run")))
                return decode_run(request, media, ret, err);
        return decode_endpoint(request, media, ret, err);
}
