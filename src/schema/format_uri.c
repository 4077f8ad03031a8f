/* schema/format_uri.c: URIs (RFC 3986), IRIs (RFC 3987) and URI templates (RFC 6570), by their grammars. */
#include "schema/format.h"
#include "schema/uri.h"
#include "schema/utf8.h"

static bool is_alpha(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_in(char c, const char *set)
{
        return c != '\0' && strchr(set, c) != NULL;
}

/* ucschar and, in a query, iprivate. */
static bool is_wide(uint32_t c, bool query)
{
        if ((c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) || (c >= 0xfdf0 && c <= 0xffef))
                return true;
        if (c >= 0x10000 && c <= 0xeffff)
                return (c & 0xffff) <= 0xfffd && !(c >= 0xe0000 && c < 0xe1000);
        return query && ((c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && (c & 0xffff) <= 0xfffd));
}

/* Unreserved characters, escapes, sub-delimiters, and those of `also`. */
static bool chars_valid(struct str text, const char *also, bool wide, bool query)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = text.p[i];
                uint32_t code_point = 0;
                if (is_alpha(c) || is_digit(c) || is_in(c, "-._~!$&'()*+,;=") || is_in(c, also))
                        continue;
                if (c == '%' && i + 2 < text.len && is_hex(text.p[i + 1]) && is_hex(text.p[i + 2])) {
                        i += 2;
                        continue;
                }
                size_t len = utf8_decode(text.p + i, text.len - i, &code_point);
                if (!wide || len < 2 || !is_wide(code_point, query))
                        return false;
                i += len - 1;
        }
        return true;
}

static bool ip_future_valid(struct str text)
{
        size_t dot = str_find(text, '.');

        if (dot < 2 || dot + 1 >= text.len)
                return false;
        for (size_t i = 1; i < dot; i++) {
                if (!is_hex(text.p[i]))
                        return false;
        }
        struct str rest = str_slice(text, dot + 1, text.len);
        return str_find(rest, '%') == rest.len && chars_valid(rest, ":", false, false);
}

static bool host_valid(struct str host, bool wide)
{
        if (host.len == 0 || host.p[0] != '[')
                return chars_valid(host, "", wide, false);
        if (host.p[host.len - 1] != ']')
                return false;
        host = str_slice(host, 1, host.len - 1);
        return host.len > 0 && (host.p[0] == 'v' || host.p[0] == 'V') ? ip_future_valid(host)
                                                                      : format_ipv6(host);
}

static bool authority_valid(struct str text, bool wide)
{
        size_t at = str_find(text, '@'), colon;

        if (at < text.len) {
                if (!chars_valid(str_slice(text, 0, at), ":", wide, false))
                        return false;
                text = str_slice(text, at + 1, text.len);
        }
        colon = text.len;
        while (colon > 0 && is_digit(text.p[colon - 1]))
                colon--;
        if (colon > 0 && text.p[colon - 1] == ':')
                text.len = colon - 1;
        return host_valid(text, wide);
}

static bool reference_valid(struct str text, bool absolute, bool wide)
{
        struct uri uri = uri_split(text);

        if (absolute && uri.scheme.p == NULL)
                return false;
        if (uri.authority.p != NULL && !authority_valid(uri.authority, wide))
                return false;
        /* Without a scheme, a colon in the first segment would make one. */
        struct str first = str_slice(uri.path, 0, str_find(uri.path, '/'));
        if (uri.scheme.p == NULL && uri.authority.p == NULL && str_find(first, ':') < first.len)
                return false;
        return chars_valid(uri.path, ":@/", wide, false) && chars_valid(uri.query, ":@/?", wide, true) &&
               chars_valid(uri.fragment, ":@/?", wide, false);
}

bool format_uri(struct str text)
{
        return reference_valid(text, true, false);
}

bool format_uri_reference(struct str text)
{
        return reference_valid(text, false, false);
}

bool format_iri(struct str text)
{
        return reference_valid(text, true, true);
}

bool format_iri_reference(struct str text)
{
        return reference_valid(text, false, true);
}

/* name, name:3 or name*; name is varchars, dots between. */
static bool variable_valid(struct str text)
{
        size_t name = 0;

        if (text.len > 0 && text.p[text.len - 1] == '*')
                text.len--;
        size_t colon = str_find(text, ':');
        if (colon < text.len) {
                size_t digits = text.len - colon - 1;
                if (digits == 0 || digits > 4 || text.p[colon + 1] == '0')
                        return false;
                for (size_t i = colon + 1; i < text.len; i++) {
                        if (!is_digit(text.p[i]))
                                return false;
                }
                text.len = colon;
        }
        for (; name < text.len; name++) {
                char c = text.p[name];
                if (c == '.' ? name == 0 || name + 1 == text.len || text.p[name - 1] == '.'
                             : !is_alpha(c) && !is_digit(c) && c != '_' && c != '%')
                        return false;
                if (c == '%' &&
                    (name + 2 >= text.len || !is_hex(text.p[name + 1]) || !is_hex(text.p[name + 2])))
                        return false;
        }
        return text.len > 0;
}

/* What stands between braces. */
static bool expression_valid(struct str text)
{
        bool more = true;

        if (text.len > 0 && is_in(text.p[0], "+#./;?&=,!@|"))
                text = str_slice(text, 1, text.len);
        while (more) {
                size_t end = str_find(text, ',');
                more = end < text.len;
                if (!variable_valid(str_slice(text, 0, end)))
                        return false;
                text = str_slice(text, more ? end + 1 : end, text.len);
        }
        return true;
}

bool format_uri_template(struct str text)
{
        while (text.len > 0) {
                unsigned char c = (unsigned char)text.p[0];
                size_t len = 1;
                if (c == '{') {
                        len = str_find(text, '}') + 1;
                        if (len > text.len || !expression_valid(str_slice(text, 1, len - 1)))
                                return false;
                } else if (c == '%') {
                        if (text.len < 3 || !is_hex(text.p[1]) || !is_hex(text.p[2]))
                                return false;
                } else if (c <= ' ' || c == 0x7f || is_in((char)c, "\"'<>\\^`|}")) {
                        return false;
                }
                text = str_slice(text, len, text.len);
        }
        return true;
}
