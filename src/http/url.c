/* http/url.c: percent-decoding, and what is made of it. */
#include "http/url.h"

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at the start of `text` stands for, or -1. */
static int escape_value(struct str text)
{
        if (text.len < 3)
                return -1;
        int high = hex_digit(text.p[1]), low = hex_digit(text.p[2]);
        return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool url_decode_to(struct str text, bool plus_is_blank, char *out, size_t *ret_len)
{
        size_t len = 0;

        for (size_t at = 0; at < text.len; at++) {
                char c = text.p[at];
                if (c == '%') {
                        int value = escape_value(str_slice(text, at, text.len));
                        if (value < 0)
                                return false;
                        c = (char)value;
                        at += 2;
                } else if (c == '+' && plus_is_blank) {
                        c = ' ';
                }
                out[len++] = c;
        }
        *ret_len = len;
        return true;
}

struct str url_form_text(struct str text, char *out)
{
        size_t len = 0;

        for (size_t i = 0; i < text.len; i++) {
                out[len] = text.p[i] == '+' ? ' ' : text.p[i];
                if (text.p[i] == '%' && i + 2 < text.len &&
                    hex_decode(str_slice(text, i + 1, i + 3), &out[len]))
                        i += 2;
                len++;
        }
        return (struct str){out, len};
}

enum err_code url_decode(struct str text, bool plus_is_blank, struct arena *arena, struct str *ret)
{
        size_t len;

        if (str_find(text, '%') == text.len && (!plus_is_blank || str_find(text, '+') == text.len)) {
                *ret = text;
                return ERR_OK;
        }
        char *out = arena_alloc(arena, text.len);
        if (out == NULL)
                return ERR_NO_MEMORY;
        if (!url_decode_to(text, plus_is_blank, out, &len))
                return ERR_INVALID;
        *ret = (struct str){out, len};
        return ERR_OK;
}

struct url_pairs url_pairs_begin(struct str text, size_t pairs_max)
{
        return (struct url_pairs){text, pairs_max};
}

enum err_code url_pairs_next(struct url_pairs *pairs, struct arena *arena, struct str *name,
                             struct str *value)
{
        struct str pair = {0}, decoded_name, decoded_value;

        while (pairs->rest.len > 0 && pair.len == 0)
                pair = str_cut(&pairs->rest, '&');
        if (pair.len == 0)
                return ERR_NOT_FOUND;
        if (pairs->left == 0)
                return ERR_TOO_LARGE;
        pairs->left--;
        struct str raw_name = str_cut(&pair, '=');
        enum err_code code = url_decode(raw_name, true, arena, &decoded_name);
        if (code == ERR_OK)
                code = url_decode(pair, true, arena, &decoded_value);
        if (code != ERR_OK)
                return code;
        *name = decoded_name;
        *value = decoded_value;
        return ERR_OK;
}

/* Looked for in the raw path: once decoded, an encoded slash cannot be told from a separator. */
static bool has_encoded_slash(struct str path)
{
        for (size_t at = 0; at < path.len; at++) {
                int value = path.p[at] == '%' ? escape_value(str_slice(path, at, path.len)) : -1;
                if (value == '/' || value == '\\')
                        return true;
        }
        return false;
}

static bool has_dot_segment(struct str path)
{
        while (path.len > 0) {
                struct str segment = str_cut(&path, '/');
                if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
                        return true;
        }
        return false;
}

enum err_code url_path_normalise(struct str path, struct arena *arena, struct str *ret)
{
        struct str decoded;

        if (path.len == 0 || path.p[0] != '/' || has_encoded_slash(path))
                return ERR_INVALID;
        enum err_code code = url_decode(path, false, arena, &decoded);
        if (code != ERR_OK)
                return code;
        if (str_find(decoded, '\0') < decoded.len || str_find(decoded, '\\') < decoded.len ||
            has_dot_segment(decoded))
                return ERR_INVALID;
        *ret = decoded;
        return ERR_OK;
}
