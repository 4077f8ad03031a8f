/* runtimes/agent/error.c: the JSON of an error, and which fields a reply may set. */
#include "runtimes/agent/agent.h"

#include "runtimes/agent/json_scan.h"

/* Longest message, and how much of a trace is kept, so that the whole stays below AGENT_ERROR_MAX even when
 * every byte is escaped. */
enum { MESSAGE_MAX = 8192, TRACE_MAX = 24576, TRACE_LINES_MAX = 400 };

static struct str cut(struct str text, size_t max)
{
        if (text.len > max) {
                text.len = max;
                while (text.len > 0 && ((unsigned char)text.p[text.len] & 0xc0) == 0x80)
                        text.len--;
        }
        return text;
}

/* The first lines of the trace; the last one, which names the error, is kept too. */
static enum err_code put_trace(struct buf *out, const struct str *trace, size_t count)
{
        enum err_code code = buf_append(out, "[", 1);
        size_t left = TRACE_MAX;

        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                if (i + 1 < count && (i >= TRACE_LINES_MAX || trace[i].len > left))
                        continue;
                struct str line = cut(trace[i], i + 1 < count ? left : MESSAGE_MAX);
                left -= line.len < left ? line.len : left;
                if (out->data[out->len - 1] != '[')
                        code = buf_append(out, ",", 1);
                if (code == ERR_OK)
                        code = json_put_string(out, line);
        }
        return code == ERR_OK ? buf_append(out, "]", 1) : code;
}

enum err_code agent_error_put(struct buf *out, const char *type, struct str message, const struct str *trace,
                              size_t count)
{
        size_t before = out->len;
        enum err_code code = buf_append_text(out, "{\"type\":");

        if (code == ERR_OK)
                code = json_put_string(out, str_of(type));
        if (code == ERR_OK)
                code = buf_append_text(out, ",\"message\":");
        if (code == ERR_OK)
                code = json_put_string(out, cut(message, MESSAGE_MAX));
        if (code == ERR_OK)
                code = buf_append_text(out, ",\"stacktrace\":");
        if (code == ERR_OK)
                code = put_trace(out, trace, count);
        if (code == ERR_OK)
                code = buf_append(out, "}", 1);
        if (code != ERR_OK)
                out->len = before;
        return code;
}

static bool token_valid(struct str name)
{
        static const char others[] = "!#$%&'*+-.^_`|~";

        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                if (!letter && (c == '\0' || strchr(others, c) == NULL))
                        return false;
        }
        return name.len > 0;
}

bool agent_field_valid(struct str name, struct str value)
{
        static const char *const kept[] = {"connection",        "content-length",   "content-type", "date",
                                           "keep-alive",        "proxy-connection", "te",           "trailer",
                                           "transfer-encoding", "upgrade"};
        struct str ours = STR("dispatch-");

        if (!token_valid(name))
                return false;
        for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
                if (str_eq_nocase(name, str_of(kept[i])))
                        return false;
        }
        if (name.len >= ours.len && str_eq_nocase(str_slice(name, 0, ours.len), ours))
                return false;
        for (size_t i = 0; i < value.len; i++) {
                unsigned char c = (unsigned char)value.p[i];
                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}
