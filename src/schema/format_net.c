/* schema/format_net.c: addresses, names of hosts and mailboxes. */
#include "schema/format.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool label_valid(struct str label)
{
        if (label.len == 0 || label.len > 63 || label.p[0] == '-' || label.p[label.len - 1] == '-')
                return false;
        for (size_t i = 0; i < label.len; i++) {
                if (!is_alnum(label.p[i]) && label.p[i] != '-')
                        return false;
        }
        return true;
}

bool format_hostname(struct str text)
{
        bool more = true;

        if (text.len == 0 || text.len > 253)
                return false;
        while (more) {
                size_t end = str_find(text, '.');
                more = end < text.len;
                if (!label_valid(str_slice(text, 0, end)))
                        return false;
                text = str_slice(text, more ? end + 1 : end, text.len);
        }
        return true;
}

bool format_ipv4(struct str text)
{
        for (int part = 0; part < 4; part++) {
                size_t end = str_find(text, '.');
                unsigned value = 0;
                if ((end < text.len) != (part < 3) || end == 0 || end > 3 || (end > 1 && text.p[0] == '0'))
                        return false;
                for (size_t i = 0; i < end; i++) {
                        if (!is_digit(text.p[i]))
                                return false;
                        value = value * 10 + (unsigned)(text.p[i] - '0');
                }
                if (value > 255)
                        return false;
                text = str_slice(text, part < 3 ? end + 1 : end, text.len);
        }
        return text.len == 0;
}

static bool is_hex(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Groups of hex digits between colons, an IPv4 address perhaps at the end: how many groups; -1: wrong. */
static int count_groups(struct str text, bool last)
{
        int groups = 0;
        bool more = text.len > 0;

        while (more) {
                size_t end = str_find(text, ':');
                struct str group = str_slice(text, 0, end);
                more = end < text.len;
                if (!more && last && str_find(group, '.') < group.len)
                        return format_ipv4(group) ? groups + 2 : -1;
                if (group.len == 0 || group.len > 4)
                        return -1;
                for (size_t i = 0; i < group.len; i++) {
                        if (!is_hex(group.p[i]))
                                return -1;
                }
                groups++;
                text = str_slice(text, more ? end + 1 : end, text.len);
        }
        return groups;
}

bool format_ipv6(struct str text)
{
        size_t gap = 0;

        while (gap + 1 < text.len && !(text.p[gap] == ':' && text.p[gap + 1] == ':'))
                gap++;
        if (gap + 1 >= text.len)
                return count_groups(text, true) == 8;
        int before = count_groups(str_slice(text, 0, gap), false);
        int after = count_groups(str_slice(text, gap + 2, text.len), true);
        return before >= 0 && after >= 0 && before + after <= 7;
}

/* One character of a local part that is not quoted (RFC 5322 atext, RFC 6531 beyond ASCII). */
static bool is_atext(char c, bool wide)
{
        return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
               (wide && ((unsigned char)c & 0x80) != 0);
}

static bool quoted_valid(struct str text, bool wide)
{
        for (size_t i = 1; i + 1 < text.len; i++) {
                unsigned char c = (unsigned char)text.p[i];
                if (c == '\\' && i + 2 < text.len && text.p[i + 1] >= ' ' && text.p[i + 1] < 0x7f) {
                        i++;
                        continue;
                }
                if (c == '"' || c == '\\' || c < ' ' || c == 0x7f || (c >= 0x80 && !wide))
                        return false;
        }
        return text.len >= 2 && text.p[text.len - 1] == '"';
}

static bool local_valid(struct str text, bool wide)
{
        if (text.len == 0 || text.p[0] == '.' || text.p[text.len - 1] == '.')
                return false;
        if (text.p[0] == '"')
                return quoted_valid(text, wide);
        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] == '.' ? text.p[i - 1] == '.' : !is_atext(text.p[i], wide))
                        return false;
        }
        return true;
}

/* A name that may go beyond ASCII; which characters a label may have is not looked into. */
static bool wide_domain_valid(struct str text)
{
        char previous = '.';

        for (size_t i = 0; i < text.len; i++) {
                char c = text.p[i];
                if (c == '.' ? previous == '.' : !is_alnum(c) && c != '-' && ((unsigned char)c & 0x80) == 0)
                        return false;
                previous = c;
        }
        return previous != '.';
}

static bool domain_valid(struct str text, bool wide)
{
        if (text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']') {
                text = str_slice(text, 1, text.len - 1);
                if (str_starts(text, STR("IPv6:")))
                        return format_ipv6(str_slice(text, 5, text.len));
                return format_ipv4(text);
        }
        return wide ? wide_domain_valid(text) : format_hostname(text);
}

static bool mailbox_valid(struct str text, bool wide)
{
        size_t at = text.len;

        while (at > 0 && text.p[at - 1] != '@')
                at--;
        return at > 0 && local_valid(str_slice(text, 0, at - 1), wide) &&
               domain_valid(str_slice(text, at, text.len), wide);
}

bool format_email(struct str text)
{
        return mailbox_valid(text, false);
}

bool format_idn_email(struct str text)
{
        return mailbox_valid(text, true);
}
