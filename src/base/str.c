/* base/str.c: text views, numbers, UTF-8, base64, hex, UUIDs. */
#include "base/str.h"

#include "base/clock.h"
#include "base/random.h"

#include <stdlib.h>

static char ascii_lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq(struct str a, struct str b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
        if (a.len != b.len)
                return false;
        for (size_t i = 0; i < a.len; i++) {
                if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
                        return false;
        }
        return true;
}

bool str_starts(struct str s, struct str prefix)
{
        return s.len >= prefix.len && str_eq(str_slice(s, 0, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
        return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

struct str str_trim(struct str s, const char *set)
{
        while (s.len > 0 && s.p[0] != '\0' && strchr(set, s.p[0]) != NULL) {
                s.p++;
                s.len--;
        }
        while (s.len > 0 && s.p[s.len - 1] != '\0' && strchr(set, s.p[s.len - 1]) != NULL)
                s.len--;
        return s;
}

size_t str_find(struct str s, char c)
{
        const char *at = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

        return at != NULL ? (size_t)(at - s.p) : s.len;
}

struct str str_cut(struct str *rest, char separator)
{
        size_t at = str_find(*rest, separator);
        struct str head = str_slice(*rest, 0, at);

        *rest = at < rest->len ? str_slice(*rest, at + 1, rest->len) : str_slice(*rest, at, at);
        return head;
}

bool str_to_u64(struct str s, uint64_t *ret)
{
        uint64_t value = 0;

        if (s.len == 0)
                return false;
        for (size_t i = 0; i < s.len; i++) {
                if (s.p[i] < '0' || s.p[i] > '9')
                        return false;
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
                        return false;
        }
        *ret = value;
        return true;
}

bool str_to_i64(struct str s, int64_t *ret)
{
        bool negative = s.len > 0 && s.p[0] == '-';
        uint64_t magnitude;

        if (!str_to_u64(negative ? str_slice(s, 1, s.len) : s, &magnitude))
                return false;
        if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
                return false;
        *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
        return true;
}

/* The length of the well-formed sequence at p, or 0: table 3-7 of the Unicode standard. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
        unsigned char low = 0x80, high = 0xbf;
        size_t len;

        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xc2 && p[0] <= 0xdf)
                len = 2;
        else if ((p[0] & 0xf0) == 0xe0)
                len = 3;
        else if (p[0] >= 0xf0 && p[0] <= 0xf4)
                len = 4;
        else
                return 0;
        if (len > left)
                return 0;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        }
        return len;
}

bool str_is_utf8(struct str s)
{
        const unsigned char *p = (const unsigned char *)s.p;

        for (size_t at = 0; at < s.len;) {
                size_t len = utf8_sequence(p + at, s.len - at);
                if (len == 0)
                        return false;
                at += len;
        }
        return true;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_len(size_t len)
{
        return (len + 2) / 3 * 4;
}

void base64_encode(const void *bytes, size_t len, char *out)
{
        const unsigned char *in = bytes;

        for (; len >= 3; len -= 3, in += 3) {
                *out++ = base64_alphabet[in[0] >> 2];
                *out++ = base64_alphabet[(in[0] & 3) << 4 | in[1] >> 4];
                *out++ = base64_alphabet[(in[1] & 15) << 2 | in[2] >> 6];
                *out++ = base64_alphabet[in[2] & 63];
        }
        if (len == 0)
                return;
        *out++ = base64_alphabet[in[0] >> 2];
        *out++ = base64_alphabet[(in[0] & 3) << 4 | (len == 2 ? in[1] >> 4 : 0)];
        *out++ = len == 2 ? base64_alphabet[(in[1] & 15) << 2] : '=';
        *out++ = '=';
}

static int base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Index of the first character at or after `at` that is not CR or LF. */
static size_t base64_skip(struct str text, size_t at)
{
        while (at < text.len && (text.p[at] == '\r' || text.p[at] == '\n'))
                at++;
        return at;
}

/* What may follow a group of 2 or 3 characters: padding up to four, then nothing. */
static bool base64_tail(struct str text, size_t at, int group_len, uint32_t group, unsigned char **out,
                        size_t *ret_bad)
{
        size_t stop = at;

        *ret_bad = at;
        if (group_len < 2)
                return false;
        for (int i = group_len; i < 4; i++) {
                at = base64_skip(text, at);
                if (at >= text.len || text.p[at] != '=') {
                        *ret_bad = at;
                        return false;
                }
                at++;
        }
        at = base64_skip(text, at);
        if (at < text.len) {
                *ret_bad = at;
                return false;
        }
        group <<= 6 * (4 - group_len);
        if ((group & (group_len == 2 ? 0xffff : 0xff)) != 0) {
                *ret_bad = stop > 0 ? stop - 1 : 0;
                return false;
        }
        *(*out)++ = (unsigned char)(group >> 16);
        if (group_len == 3)
                *(*out)++ = (unsigned char)(group >> 8);
        return true;
}

bool base64_decode(struct str text, void *out, size_t *ret_len, size_t *ret_bad)
{
        unsigned char *to = out;
        uint32_t group = 0;
        int group_len = 0;

        for (size_t at = base64_skip(text, 0); at < text.len; at = base64_skip(text, at + 1)) {
                int value = base64_value(text.p[at]);
                if (value < 0 && (text.p[at] != '=' || group_len < 2)) {
                        *ret_bad = at;
                        return false;
                }
                if (value < 0) {
                        if (!base64_tail(text, at, group_len, group, &to, ret_bad))
                                return false;
                        *ret_len = (size_t)(to - (unsigned char *)out);
                        return true;
                }
                group = group << 6 | (uint32_t)value;
                if (++group_len == 4) {
                        *to++ = (unsigned char)(group >> 16);
                        *to++ = (unsigned char)(group >> 8);
                        *to++ = (unsigned char)group;
                        group = 0;
                        group_len = 0;
                }
        }
        if (group_len != 0) {
                *ret_bad = text.len;
                return false;
        }
        *ret_len = (size_t)(to - (unsigned char *)out);
        return true;
}

void hex_encode(const void *bytes, size_t len, char *out)
{
        static const char digits[] = "0123456789abcdef";
        const unsigned char *in = bytes;

        for (size_t i = 0; i < len; i++) {
                *out++ = digits[in[i] >> 4];
                *out++ = digits[in[i] & 15];
        }
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = ascii_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct str text, void *out)
{
        unsigned char *to = out;

        if (text.len % 2 != 0)
                return false;
        for (size_t i = 0; i < text.len; i += 2) {
                int high = hex_value(text.p[i]), low = hex_value(text.p[i + 1]);
                if (high < 0 || low < 0)
                        return false;
                *to++ = (unsigned char)(high << 4 | low);
        }
        return true;
}

static void uuid_text(unsigned char bytes[16], int version, char out[UUID_LEN + 1])
{
        char hex[32];

        bytes[6] = (unsigned char)((bytes[6] & 0x0f) | version << 4);
        bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
        hex_encode(bytes, 16, hex);
        for (size_t from = 0, to = 0; from < sizeof(hex); from++) {
                if (from == 8 || from == 12 || from == 16 || from == 20)
                        out[to++] = '-';
                out[to++] = hex[from];
        }
        out[UUID_LEN] = '\0';
}

void uuid_generate(char out[UUID_LEN + 1])
{
        unsigned char bytes[16];

        random_fill(bytes, sizeof(bytes));
        uuid_text(bytes, 4, out);
}

void uuid_generate_ordered(char out[UUID_LEN + 1])
{
        unsigned char bytes[16];
        uint64_t now_ms = (uint64_t)(clock_wall_us() / 1000);

        random_fill(bytes + 6, sizeof(bytes) - 6);
        for (int i = 0; i < 6; i++)
                bytes[i] = (unsigned char)(now_ms >> (8 * (5 - i)));
        uuid_text(bytes, 7, out);
}

bool uuid_valid(struct str s)
{
        if (s.len != UUID_LEN)
                return false;
        for (size_t i = 0; i < s.len; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;
                if (dash ? s.p[i] != '-' : hex_value(s.p[i]) < 0)
                        return false;
        }
        return true;
}
