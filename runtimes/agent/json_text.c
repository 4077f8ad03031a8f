/* runtimes/agent/json_text.c: JSON's strings: resolving escapes, and writing any bytes as a literal. */
#include "runtimes/agent/json_scan.h"

static uint32_t hex4(const char *p)
{
        unsigned char bytes[2];

        if (!hex_decode((struct str){p, 4}, bytes))
                return 0xfffd;
        return (uint32_t)bytes[0] << 8 | bytes[1];
}

static enum err_code put_code_point(struct buf *out, uint32_t c)
{
        char utf8[4];
        size_t len = 0;

        if (c < 0x80) {
                utf8[len++] = (char)c;
        } else if (c < 0x800) {
                utf8[len++] = (char)(0xc0 | c >> 6);
        } else if (c < 0x10000) {
                utf8[len++] = (char)(0xe0 | c >> 12);
                utf8[len++] = (char)(0x80 | (c >> 6 & 0x3f));
        } else {
                utf8[len++] = (char)(0xf0 | c >> 18);
                utf8[len++] = (char)(0x80 | (c >> 12 & 0x3f));
                utf8[len++] = (char)(0x80 | (c >> 6 & 0x3f));
        }
        if (c >= 0x80)
                utf8[len++] = (char)(0x80 | (c & 0x3f));
        return buf_append(out, utf8, len);
}

/* The code point of the \u escape at the front of `rest`, pairs joined; *ret_len is what it takes. */
static uint32_t unicode_escape(struct str rest, size_t *ret_len)
{
        uint32_t c = hex4(rest.p + 2);

        *ret_len = 6;
        if (c < 0xd800 || c > 0xdfff)
                return c;
        if (c > 0xdbff || rest.len < 12 || rest.p[6] != '\\' || rest.p[7] != 'u')
                return 0xfffd;
        uint32_t low = hex4(rest.p + 8);
        if (low < 0xdc00 || low > 0xdfff)
                return 0xfffd;
        *ret_len = 12;
        return 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
}

enum err_code json_unescape(struct str escaped, struct buf *out)
{
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";

        for (;;) {
                size_t plain = str_find(escaped, '\\'), len = 2;
                enum err_code code = buf_append(out, escaped.p, plain);
                if (code != ERR_OK || plain == escaped.len)
                        return code;
                escaped = str_slice(escaped, plain, escaped.len);
                if (escaped.len < 2 || (escaped.p[1] == 'u' && escaped.len < 6))
                        return ERR_INVALID;

                uint32_t c = (unsigned char)escaped.p[1];
                const char *name = strchr(from, (int)c);
                if (c == 'u')
                        c = unicode_escape(escaped, &len);
                else if (name != NULL && *name != '\0')
                        c = (unsigned char)to[name - from];
                code = put_code_point(out, c);
                if (code != ERR_OK)
                        return code;
                escaped = str_slice(escaped, len, escaped.len);
        }
}

/* The length of the well-formed UTF-8 sequence at the front, or 0. */
static size_t utf8_front(struct str s)
{
        for (size_t len = 1; len <= 4 && len <= s.len; len++) {
                if (str_is_utf8(str_slice(s, 0, len)))
                        return len;
        }
        return 0;
}

static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Writes the byte or sequence at the front of `text` and returns how much it took. */
static enum err_code put_special(struct buf *out, struct str text, size_t *ret_len)
{
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        unsigned char c = (unsigned char)text.p[0];
        const char *name = c != '\0' ? strchr(from, c) : NULL;

        *ret_len = 1;
        if (name != NULL)
                return buf_append(out, (char[]){'\\', to[name - from]}, 2);
        if (c < 0x20)
                return buf_printf(out, "\\u%04x", c);
        size_t len = utf8_front(text);
        if (len == 0)
                return buf_append_text(out, "\xef\xbf\xbd");
        *ret_len = len;
        return buf_append(out, text.p, len);
}

enum err_code json_put_string(struct buf *out, struct str text)
{
        enum err_code code = buf_append(out, "\"", 1);

        for (size_t at = 0; at < text.len && code == ERR_OK;) {
                size_t end = at, taken = 0;
                while (end < text.len && is_plain((unsigned char)text.p[end]))
                        end++;
                code = buf_append(out, text.p + at, end - at);
                at = end;
                if (at < text.len && code == ERR_OK) {
                        code = put_special(out, str_slice(text, at, text.len), &taken);
                        at += taken;
                }
        }
        return code == ERR_OK ? buf_append(out, "\"", 1) : code;
}
