/* runtimes/agent/context.c: the context object that a handler gets (CONTRACT 0.8, 0.9, 7.4, 8.3, 8.4). */
#include "runtimes/agent/request.h"

#include "runtimes/agent/json_scan.h"

#include <inttypes.h>

/* Writes members with the commas between them; the first failure sticks. */
struct writer {
        struct buf *out;
        bool any;
        enum err_code code;
};

static void put_bytes(struct writer *w, struct str text)
{
        if (w->code == ERR_OK)
                w->code = buf_append(w->out, text.p, text.len);
}

static void put_key(struct writer *w, struct str key)
{
        if (w->any)
                put_bytes(w, STR(","));
        w->any = true;
        if (w->code == ERR_OK)
                w->code = json_put_string(w->out, key);
        put_bytes(w, STR(":"));
}

static void put_member(struct writer *w, struct str key, struct str value)
{
        put_key(w, key);
        if (w->code == ERR_OK)
                w->code = json_put_string(w->out, value);
}

/* A key that is escaped JSON text already. */
static void put_raw(struct writer *w, struct str escaped_key, struct str value)
{
        if (w->any)
                put_bytes(w, STR(","));
        w->any = true;
        put_bytes(w, STR("\""));
        put_bytes(w, escaped_key);
        put_bytes(w, STR("\":"));
        put_bytes(w, value);
}

static void put_members(struct writer *w, struct str object, struct str except)
{
        struct json_scan scan;
        struct json_token key;
        struct str value;

        json_scan_init(&scan, object);
        if (object.len == 0 || json_scan_next(&scan, &key, NULL) != ERR_OK || key.type != JSON_TOKEN_OBJECT)
                return;
        while (json_scan_member(&scan, &key, &value)) {
                if (json_member(except, key.text).p == NULL)
                        put_raw(w, key.text, value);
        }
}

enum err_code secrets_merge(struct str base, struct str over, struct buf *out)
{
        struct writer w = {.out = out};

        put_bytes(&w, STR("{"));
        put_members(&w, base, over);
        put_members(&w, over, STR("{}"));
        put_bytes(&w, STR("}"));
        return w.code;
}

/* "content-type" to "Content-Type", as Go writes field names. */
static struct str canonical(struct str name, char *to, size_t size)
{
        bool start = true;
        size_t len = name.len < size ? name.len : size;

        for (size_t i = 0; i < len; i++) {
                char c = name.p[i];
                to[i] = start && c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
                start = c == '-';
        }
        return (struct str){to, len};
}

static bool is_original(struct str name)
{
        return name.len > 0 && name.p[0] != ':' && !str_starts(name, STR("dispatch-"));
}

static bool named_before(const struct agent_request *request, size_t index)
{
        struct str name = request->fields[index].name;

        for (size_t i = 0; i < index; i++) {
                if (str_eq(request->fields[i].name, name))
                        return true;
        }
        return false;
}

static void put_values(struct writer *w, const struct agent_request *request, size_t first)
{
        bool any = false;

        put_bytes(w, STR("["));
        for (size_t i = first; i < request->field_count; i++) {
                if (!str_eq(request->fields[i].name, request->fields[first].name))
                        continue;
                if (any)
                        put_bytes(w, STR(","));
                any = true;
                if (w->code == ERR_OK)
                        w->code = json_put_string(w->out, request->fields[i].value);
        }
        put_bytes(w, STR("]"));
}

static void put_header(struct writer *outer, const struct agent_request *request)
{
        struct writer w = {.out = outer->out, .code = outer->code};
        char name[256];

        put_bytes(&w, STR("{"));
        for (size_t i = 0; i < request->field_count; i++) {
                if (!is_original(request->fields[i].name) || named_before(request, i))
                        continue;
                put_key(&w, canonical(request->fields[i].name, name, sizeof(name)));
                put_values(&w, request, i);
        }
        put_bytes(&w, STR("}"));
        outer->code = w.code;
}

static void put_request(struct writer *outer, const struct agent_request *request)
{
        struct writer w = {.out = outer->out, .code = outer->code};

        put_bytes(&w, STR("{"));
        put_member(&w, STR("uri"), request_field(request, STR(":path")));
        put_member(&w, STR("method"), request_field(request, STR(":method")));
        put_key(&w, STR("header"));
        put_header(&w, request);
        put_bytes(&w, STR("}"));
        outer->code = w.code;
}

/* "METHOD URI PROTOCOL" */
static void put_request_line(struct writer *w, struct str method, struct str uri, struct str protocol)
{
        own_buf struct buf line;

        buf_init(&line, 2 * (size_t)FRAME_PAYLOAD_MAX);
        if (buf_append(&line, method.p, method.len) != ERR_OK || buf_append(&line, " ", 1) != ERR_OK ||
            buf_append(&line, uri.p, uri.len) != ERR_OK || buf_append(&line, " ", 1) != ERR_OK ||
            buf_append(&line, protocol.p, protocol.len) != ERR_OK) {
                w->code = ERR_NO_MEMORY;
                return;
        }
        put_member(w, STR("request"), (struct str){line.data, line.len});
}

static void put_http_context(struct writer *outer, const struct agent_request *request)
{
        struct writer w = {.out = outer->out, .code = outer->code};
        struct str uri = request_field(request, STR(":path")), query = uri;
        struct str method = request_field(request, STR(":method")), path = str_cut(&query, '?');
        struct str scheme = request_field(request, STR(":scheme"));

        put_bytes(&w, STR("{"));
        put_member(&w, STR("args"), query);
        put_request_line(&w, method, uri, STR("HTTP/1.1"));
        put_member(&w, STR("request_uri"), uri);
        put_member(&w, STR("scheme"), scheme.len > 0 ? scheme : STR("http"));
        put_member(&w, STR("server_protocol"), STR("HTTP/1.1"));
        put_member(&w, STR("upstream_uri"), path);
        put_member(&w, STR("uri"), path);
        put_member(&w, STR("method"), method);
        put_bytes(&w, STR("}"));
        outer->code = w.code;
}

/* What the caller's message says about the context, when there is one; ours then fills in what it lacks. */
static struct str given_context(const struct agent_request *request)
{
        struct str given = {NULL, 0};

        if (request->envelope)
                given = json_member(request->body, STR("context"));
        return given.len > 0 && given.p[0] == '{' ? given : STR("{}");
}

static void put_secrets(struct writer *w, const struct agent_request *request, struct str secrets,
                        struct str given)
{
        struct str message = json_member(given, STR("secrets"));
        own_buf struct buf own;

        buf_init(&own, AGENT_CONTEXT_MAX);
        if (w->code == ERR_OK)
                w->code = secrets_merge(secrets, request->secrets, &own);
        put_key(w, STR("secrets"));
        if (w->code == ERR_OK)
                w->code = secrets_merge((struct str){own.data, own.len}, message, w->out);
        if (own.data != NULL)
                explicit_bzero(own.data, own.len);
}

/* A member from a dispatch-* field that holds a JSON object. */
static void put_object_field(struct writer *w, struct str key, struct str value, struct str given)
{
        if (json_member(given, key).p != NULL || !json_is_object(value))
                return;
        put_key(w, key);
        put_bytes(w, value);
}

enum err_code request_context(const struct agent_request *request, struct str secrets, struct buf *out)
{
        struct writer w = {.out = out};
        struct str given = given_context(request);
        struct str deadline = request_field(request, STR("dispatch-deadline"));
        struct str timeout = request_field(request, STR("dispatch-timeout-ms"));
        struct str http = request_field(request, STR("dispatch-http-context"));
        bool endpoint = !str_eq(request_field(request, STR(":source")), STR("run"));
        uint64_t ms;

        put_bytes(&w, STR("{"));
        put_secrets(&w, request, secrets, given);
        put_members(&w, given, STR("{\"secrets\":0}"));
        if (json_member(given, STR("request")).p == NULL) {
                put_key(&w, STR("request"));
                put_request(&w, request);
        }
        if (endpoint && !request->envelope && !json_is_object(http)) {
                put_key(&w, STR("httpContext"));
                put_http_context(&w, request);
        } else {
                put_object_field(&w, STR("httpContext"), http, given);
        }
        put_object_field(&w, STR("event"), request_field(request, STR("dispatch-event")), given);
        if (deadline.len > 0 && json_member(given, STR("deadline")).p == NULL)
                put_member(&w, STR("deadline"), deadline);
        if (str_to_u64(timeout, &ms) && json_member(given, STR("timeout")).p == NULL) {
                put_key(&w, STR("timeout"));
                if (w.code == ERR_OK)
                        w.code = buf_printf(out, "%" PRIu64, ms);
        }
        put_bytes(&w, STR("}"));
        return w.code;
}
