/*
 * model/json.c: the gate that foreign JSON passes. One pass over the bytes checks grammar, encoding and depth
 * without allocating; only text that passed it reaches jansson, which builds the tree.
 */
#include "model/json.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "base/own.h"

/* What the scanner stands before; the names follow the grammar. */
enum scan_state {
        SCAN_VALUE,
        SCAN_FIRST_ELEMENT, /* a value or ']' */
        SCAN_FIRST_KEY,     /* a key or '}' */
        SCAN_KEY,
        SCAN_AFTER_VALUE,
        SCAN_FAILED
};

struct scan {
        const unsigned char *p, *end;
        unsigned depth;
        size_t values_left;
        uint64_t is_object[JSON_DEPTH_MAX / 64]; /* one bit a level */
        const char *why;                         /* what the character at p is wrong for */
};

/* Records why the text fails at p; at the end of the text the reason is always the same. */
static bool scan_fail(struct scan *scan, const char *why)
{
        scan->why = why;
        return false;
}

static void scan_blanks(struct scan *scan)
{
        while (scan->p < scan->end &&
               (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\r' || *scan->p == '\t'))
                scan->p++;
}

static int hex_digit(unsigned char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool scan_hex4(struct scan *scan, unsigned *ret)
{
        unsigned value = 0;

        for (int i = 0; i < 4; i++, scan->p++) {
                int digit = scan->p < scan->end ? hex_digit(*scan->p) : -1;
                if (digit < 0)
                        return scan_fail(scan, "in \\u hexadecimal character escape");
                value = value << 4 | (unsigned)digit;
        }
        *ret = value;
        return true;
}

/* Behind "\u": one code unit, or two that are a surrogate pair. */
static bool scan_unicode_escape(struct scan *scan)
{
        static const char unpaired[] = "after an unpaired surrogate escape";
        unsigned unit, low;

        if (!scan_hex4(scan, &unit))
                return false;
        if (unit == 0)
                return scan_fail(scan, "after a NUL character escape");
        if (unit < 0xd800 || unit > 0xdfff)
                return true;
        if (unit > 0xdbff || scan->end - scan->p < 2 || scan->p[0] != '\\' || scan->p[1] != 'u')
                return scan_fail(scan, unpaired);
        scan->p += 2;
        if (!scan_hex4(scan, &low))
                return false;
        return (low >= 0xdc00 && low <= 0xdfff) || scan_fail(scan, unpaired);
}

static bool scan_escape(struct scan *scan)
{
        if (scan->p == scan->end || *scan->p == '\0' || strchr("\"\\/bfnrtu", *scan->p) == NULL)
                return scan_fail(scan, "in string escape code");
        return *scan->p++ != 'u' || scan_unicode_escape(scan);
}

/* One character of more than one byte, by the table of RFC 3629 section 4. */
static bool scan_utf8(struct scan *scan)
{
        const unsigned char *p = scan->p;
        size_t left = (size_t)(scan->end - p), tail;
        unsigned char low = 0x80, high = 0xbf;

        if (p[0] >= 0xc2 && p[0] <= 0xdf) {
                tail = 1;
        } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
                tail = 2;
                low = p[0] == 0xe0 ? 0xa0 : low;
                high = p[0] == 0xed ? 0x9f : high;
        } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
                tail = 3;
                low = p[0] == 0xf0 ? 0x90 : low;
                high = p[0] == 0xf4 ? 0x8f : high;
        } else {
                return scan_fail(scan, "in string literal: not UTF-8");
        }
        for (size_t i = 1; i <= tail; i++) {
                if (i >= left || p[i] < low || p[i] > high)
                        return scan_fail(scan, "in string literal: not UTF-8");
                low = 0x80;
                high = 0xbf;
        }
        scan->p += 1 + tail;
        return true;
}

/* True if none of eight bytes ends or breaks a run of plain ASCII: `"`, `\`, a control character, above 0x7f.
 */
static bool plain_eight(const unsigned char *p)
{
        const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
        uint64_t word, quote, slash;

        memcpy(&word, p, sizeof(word));
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        return ((word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) == 0;
}

/* At the opening quote. */
static bool scan_string(struct scan *scan)
{
        scan->p++;
        for (;;) {
                while (scan->end - scan->p >= 8 && plain_eight(scan->p))
                        scan->p += 8;
                if (scan->p == scan->end)
                        return scan_fail(scan, "in string literal");
                unsigned char c = *scan->p;
                if (c == '"') {
                        scan->p++;
                        return true;
                }
                if (c < 0x20)
                        return scan_fail(scan, "in string literal");
                if (c == '\\') {
                        scan->p++;
                        if (!scan_escape(scan))
                                return false;
                } else if (c < 0x80) {
                        scan->p++;
                } else if (!scan_utf8(scan)) {
                        return false;
                }
        }
}

static bool scan_digits(struct scan *scan, const char *why)
{
        const unsigned char *from = scan->p;

        while (scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9')
                scan->p++;
        return scan->p > from || scan_fail(scan, why);
}

static bool scan_number(struct scan *scan)
{
        if (*scan->p == '-')
                scan->p++;
        if (scan->p < scan->end && *scan->p == '0')
                scan->p++;
        else if (!scan_digits(scan, "in numeric literal"))
                return false;
        if (scan->p < scan->end && *scan->p == '.') {
                scan->p++;
                if (!scan_digits(scan, "after decimal point in numeric literal"))
                        return false;
        }
        if (scan->p < scan->end && (*scan->p == 'e' || *scan->p == 'E')) {
                scan->p++;
                if (scan->p < scan->end && (*scan->p == '+' || *scan->p == '-'))
                        scan->p++;
                return scan_digits(scan, "in exponent of numeric literal");
        }
        return true;
}

static bool scan_word(struct scan *scan, const char *word, const char *why)
{
        for (; *word != '\0'; word++, scan->p++)
                if (scan->p == scan->end || *scan->p != (unsigned char)*word)
                        return scan_fail(scan, why);
        return true;
}

static bool scan_scalar(struct scan *scan)
{
        switch (*scan->p) {
        case '"':
                return scan_string(scan);
        case 't':
                return scan_word(scan, "true", "in literal true");
        case 'f':
                return scan_word(scan, "false", "in literal false");
        case 'n':
                return scan_word(scan, "null", "in literal null");
        default:
                if (*scan->p != '-' && (*scan->p < '0' || *scan->p > '9'))
                        return scan_fail(scan, "looking for beginning of value");
                return scan_number(scan);
        }
}

static bool scan_push(struct scan *scan, bool object)
{
        if (scan->depth == JSON_DEPTH_MAX)
                return scan_fail(scan, "nested deeper than 128 levels");

        uint64_t bit = UINT64_C(1) << (scan->depth % 64);
        if (object)
                scan->is_object[scan->depth / 64] |= bit;
        else
                scan->is_object[scan->depth / 64] &= ~bit;
        scan->depth++;
        scan->p++;
        return true;
}

static enum scan_state scan_pop(struct scan *scan)
{
        scan->depth--;
        scan->p++;
        return SCAN_AFTER_VALUE;
}

static bool scan_in_object(const struct scan *scan)
{
        unsigned level = scan->depth - 1;

        return (scan->is_object[level / 64] >> (level % 64) & 1) != 0;
}

/* In all of these p stands on a character that is no blank. */
static enum scan_state step_value(struct scan *scan)
{
        static_assert(JSON_VALUES_MAX == 1000000, "the text below says so");
        if (scan->values_left-- == 0) {
                scan_fail(scan, "behind 1000000 values, the most that a text may have");
                return SCAN_FAILED;
        }
        if (*scan->p == '{')
                return scan_push(scan, true) ? SCAN_FIRST_KEY : SCAN_FAILED;
        if (*scan->p == '[')
                return scan_push(scan, false) ? SCAN_FIRST_ELEMENT : SCAN_FAILED;
        return scan_scalar(scan) ? SCAN_AFTER_VALUE : SCAN_FAILED;
}

static enum scan_state step_key(struct scan *scan)
{
        if (*scan->p != '"') {
                scan_fail(scan, "looking for beginning of object key string");
                return SCAN_FAILED;
        }
        if (!scan_string(scan))
                return SCAN_FAILED;
        scan_blanks(scan);
        if (scan->p == scan->end || *scan->p != ':') {
                scan_fail(scan, "after object key");
                return SCAN_FAILED;
        }
        scan->p++;
        return SCAN_VALUE;
}

static enum scan_state step_after_value(struct scan *scan)
{
        if (scan->depth == 0) {
                scan_fail(scan, "after top-level value");
                return SCAN_FAILED;
        }

        bool object = scan_in_object(scan);
        if (*scan->p == ',') {
                scan->p++;
                return object ? SCAN_KEY : SCAN_VALUE;
        }
        if (*scan->p == (object ? '}' : ']'))
                return scan_pop(scan);
        scan_fail(scan, object ? "after object key:value pair" : "after array element");
        return SCAN_FAILED;
}

static enum scan_state step(struct scan *scan, enum scan_state state)
{
        switch (state) {
        case SCAN_VALUE:
                return step_value(scan);
        case SCAN_FIRST_ELEMENT:
                return *scan->p == ']' ? scan_pop(scan) : step_value(scan);
        case SCAN_FIRST_KEY:
                return *scan->p == '}' ? scan_pop(scan) : step_key(scan);
        case SCAN_KEY:
                return step_key(scan);
        case SCAN_AFTER_VALUE:
                return step_after_value(scan);
        case SCAN_FAILED:
                break;
        }
        assert(!"a failed scan goes on");
        return SCAN_FAILED;
}

/* True if the text is one JSON value; else p is where it is not, and why says so unless the text just ends.
 */
static bool scan_text(struct scan *scan, struct str text, size_t values_max)
{
        const unsigned char *p = (const unsigned char *)text.p;

        *scan = (struct scan){.p = p, .end = p, .values_left = values_max};
        if (text.len == 0)
                return false;
        scan->end += text.len;

        enum scan_state state = SCAN_VALUE;
        while (state != SCAN_FAILED) {
                scan_blanks(scan);
                if (scan->p == scan->end)
                        return state == SCAN_AFTER_VALUE && scan->depth == 0;
                state = step(scan, state);
        }
        return false;
}

enum err_code json_valid(struct str text)
{
        struct scan scan;

        return scan_text(&scan, text, SIZE_MAX) ? ERR_OK : ERR_INVALID;
}

static enum err_code scan_report(const struct scan *scan, struct err *err)
{
        char quoted[8];

        if (scan->p == scan->end)
                return err_set(err, ERR_INVALID, "unexpected EOF");
        if (*scan->p == '\'')
                snprintf(quoted, sizeof(quoted), "'\\''");
        else if (*scan->p >= 0x20 && *scan->p < 0x7f)
                snprintf(quoted, sizeof(quoted), "'%c'", *scan->p);
        else
                snprintf(quoted, sizeof(quoted), "'\\x%02x'", *scan->p);
        return err_set(err, ERR_INVALID, "invalid character %s %s", quoted, scan->why);
}

/* jansson quotes the text around the place, which may be a secret; its code and position are enough. What the
 * scan let through can fail for two reasons besides memory, whose end jansson reports as almost anything. */
static enum err_code report_jansson(const json_error_t *error, struct err *err)
{
        switch ((int)json_error_code(error)) {
        case json_error_duplicate_key:
                return err_set(err, ERR_INVALID, "duplicate object key before input byte %d",
                               error->position);
        case json_error_numeric_overflow:
                return err_set(err, ERR_INVALID, "number out of range before input byte %d", error->position);
        default:
                return err_nomem(err);
        }
}

static enum err_code parse(struct str text, size_t values_max, json_t **ret, struct err *err)
{
        struct scan scan;
        json_error_t error = {.text = ""}; /* jansson leaves the code unset when its first allocation fails */

        if (text.len > INT_MAX)
                return err_set(err, ERR_TOO_LARGE, "JSON text is larger than 2 GiB");
        if (!scan_text(&scan, text, values_max))
                return scan_report(&scan, err);

        json_t *value = json_loadb(text.p, text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        if (value == NULL)
                return report_jansson(&error, err);
        *ret = value;
        return ERR_OK;
}

enum err_code json_parse(struct str text, json_t **ret, struct err *err)
{
        return parse(text, JSON_VALUES_MAX, ret, err);
}

enum err_code json_parse_own(struct str text, json_t **ret, struct err *err)
{
        return parse(text, SIZE_MAX, ret, err);
}

static json_t *clone_object(const json_t *object)
{
        json_t *members = (json_t *)object; /* the iterator does not change it */
        own_json json_t *copy = json_object();

        for (void *at = json_object_iter(members); copy != NULL && at != NULL;
             at = json_object_iter_next(members, at))
                if (json_object_set_new(copy, json_object_iter_key(at),
                                        json_clone(json_object_iter_value(at))) < 0)
                        return NULL;
        return take_ptr(&copy);
}

static json_t *clone_array(const json_t *array)
{
        own_json json_t *copy = json_array();

        for (size_t i = 0; copy != NULL && i < json_array_size(array); i++)
                if (json_array_append_new(copy, json_clone(json_array_get(array, i))) < 0)
                        return NULL;
        return take_ptr(&copy);
}

json_t *json_clone(const json_t *value)
{
        if (json_is_object(value))
                return clone_object(value);
        if (json_is_array(value))
                return clone_array(value);
        return json_copy((json_t *)value);
}

struct str json_str(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        if (!json_is_string(value))
                return (struct str){NULL, 0};
        return (struct str){json_string_value(value), json_string_length(value)};
}

json_t *json_of(struct str text)
{
        return json_stringn(text.p != NULL ? text.p : "", text.len);
}
