/* cli/text.c: what makes a foreign text harmless on a terminal, and a few formats of the original. */
#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

/* Decodes one character; 0 bytes when there is no well-formed one at p. */
static size_t decode(const char *p, size_t left, uint32_t *ret)
{
        unsigned char lead = (unsigned char)p[0];
        size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

        if (len > left || !str_is_utf8((struct str){p, len}))
                return 0;

        uint32_t code = len == 1 ? lead : lead & (0xffu >> (len + 1));
        for (size_t i = 1; i < len; i++)
                code = code << 6 | ((unsigned char)p[i] & 0x3f);
        *ret = code;
        return len;
}

static bool is_harmful(uint32_t code)
{
        return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
               (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static enum err_code append_escaped(struct buf *out, uint32_t code)
{
        if (code == '\n')
                return buf_append_text(out, "\\n");
        if (code == '\t')
                return buf_append_text(out, "\\t");
        return buf_printf(out, code < 0x80 ? "\\x%02x" : "\\u%04x", code);
}

enum err_code text_append_safe(struct buf *out, struct str text)
{
        enum err_code status = ERR_OK;

        for (size_t at = 0; at < text.len && status == ERR_OK;) {
                uint32_t code;
                size_t len = decode(text.p + at, text.len - at, &code);

                if (len == 0)
                        status = buf_printf(out, "\\x%02x", (unsigned char)text.p[at]);
                else if (is_harmful(code))
                        status = append_escaped(out, code);
                else
                        status = buf_append(out, text.p + at, len);
                at += len > 0 ? len : 1;
        }
        return status;
}

enum err_code text_append_line(struct buf *out, struct str text)
{
        enum err_code status = ERR_OK;
        bool first = true;

        while (text.len > 0 && status == ERR_OK) {
                struct str line = str_trim(str_cut(&text, '\n'), " \t\r");
                if (line.len == 0)
                        continue;
                if (!first)
                        status = buf_append_text(out, " / ");
                if (status == ERR_OK)
                        status = text_append_safe(out, line);
                first = false;
        }
        return status;
}

bool text_is_plain(const char *text)
{
        for (const char *at = text; *at != '\0'; at++) {
                if ((unsigned char)*at <= 0x20 || *at == 0x7f)
                        return false;
        }
        return str_is_utf8(str_of(text));
}

size_t text_width(struct str text)
{
        size_t width = 0;

        for (size_t at = 0; at < text.len;) {
                uint32_t code;
                size_t len = decode(text.p + at, text.len - at, &code);
                int columns = len == 0 ? 1 : code < 0x80 ? (code >= 0x20) : wcwidth((wchar_t)code);

                width += columns < 0 ? 1 : (size_t)columns;
                at += len > 0 ? len : 1;
        }
        return width;
}

void text_time(int64_t seconds, char out[TEXT_TIME_MAX])
{
        time_t at = (time_t)seconds;
        struct tm tm;

        /* The program never sets LC_TIME, so the names of days and months are the C locale's. */
        if (localtime_r(&at, &tm) == NULL ||
            strftime(out, TEXT_TIME_MAX, "%a %b %e %H:%M:%S %Z %Y", &tm) == 0)
                snprintf(out, TEXT_TIME_MAX, "%lld", (long long)seconds);
}

const char *text_errno(int error, char out[TEXT_ERRNO_MAX])
{
        snprintf(out, TEXT_ERRNO_MAX, "%s", strerror(error));
        if (out[0] >= 'A' && out[0] <= 'Z' && out[1] >= 'a' && out[1] <= 'z')
                out[0] = (char)(out[0] | 0x20);
        return out;
}
