/* runtimes/agent/json_scan.c: the JSON scanner: one state for what may come next, one bit a level for where.
 */
#include "runtimes/agent/json_scan.h"

#include <assert.h>
#include <stdio.h>

enum state {
        WANT_VALUE,
        WANT_VALUE_OR_END, /* behind '[' */
        WANT_KEY,
        WANT_KEY_OR_END, /* behind '{' */
        WANT_MORE,       /* behind an element or member */
        WANT_NOTHING     /* behind the whole value */
};

static const char unexpected_end[] = "unexpected end of JSON input";

void json_scan_init(struct json_scan *scan, struct str text)
{
        scan->text = text;
        scan->at = 0;
        scan->depth = 0;
        memset(scan->in_object, 0, sizeof(scan->in_object));
        scan->depth_max = JSON_SCAN_LEVELS;
        scan->state = WANT_VALUE;
}

static bool in_object(const struct json_scan *scan)
{
        unsigned level = scan->depth - 1;

        return scan->depth > 0 && (scan->in_object[level / 64] >> level % 64 & 1) != 0;
}

/* Writes a byte as Go quotes it: a byte above 0x7f stands for the code point of that number. */
static void quote_char(unsigned char c, char out[16])
{
        static const char named[] = "\aa\bb\tt\nn\vv\ff\rr\\\\''";

        for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
                if ((unsigned char)named[i] == c) {
                        snprintf(out, 16, "'\\%c'", named[i + 1]);
                        return;
                }
        }
        if (c < 0x20 || c == 0x7f)
                snprintf(out, 16, "'\\x%02x'", c);
        else if (c < 0x7f)
                snprintf(out, 16, "'%c'", c);
        else if (c <= 0xa0 || c == 0xad)
                snprintf(out, 16, "'\\u%04x'", c);
        else
                snprintf(out, 16, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

/* What is wrong with the byte at `at`, or that there is none. */
static enum err_code bad_char(const struct json_scan *scan, size_t at, const char *where, struct err *err)
{
        char quoted[16];

        if (at >= scan->text.len)
                return err_set(err, ERR_INVALID, "%s", unexpected_end);
        quote_char((unsigned char)scan->text.p[at], quoted);
        return err_set(err, ERR_INVALID, "invalid character %s %s", quoted, where);
}

static int peek(const struct json_scan *scan, size_t at)
{
        return at < scan->text.len ? (unsigned char)scan->text.p[at] : -1;
}

static void skip_blanks(struct json_scan *scan)
{
        while (scan->at < scan->text.len) {
                char c = scan->text.p[scan->at];
                if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
                        return;
                scan->at++;
        }
}

static bool is_digit(int c)
{
        return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
        return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Steps over an escape; *at is on the backslash. */
static enum err_code scan_escape(struct json_scan *scan, size_t *at, struct err *err)
{
        int c = peek(scan, *at + 1);

        if (c == 'u') {
                for (size_t i = 2; i < 6; i++) {
                        if (!is_hex(peek(scan, *at + i)))
                                return bad_char(scan, *at + i, "in \\u hexadecimal character escape", err);
                }
                *at += 6;
                return ERR_OK;
        }
        if (c <= 0 || strchr("\"\\/bfnrt", c) == NULL)
                return bad_char(scan, *at + 1, "in string escape code", err);
        *at += 2;
        return ERR_OK;
}

/* Scans a string whose opening quote is at scan->at. */
static enum err_code scan_string(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        size_t start = scan->at + 1, at = start;
        unsigned char seen = 0;
        bool escaped = false;

        for (;;) {
                if (at >= scan->text.len)
                        return err_set(err, ERR_INVALID, "%s", unexpected_end);
                unsigned char c = (unsigned char)scan->text.p[at];
                if (c == '"')
                        break;
                if (c < 0x20)
                        return bad_char(scan, at, "in string literal", err);
                if (c != '\\') {
                        seen |= c;
                        at++;
                        continue;
                }
                enum err_code code = scan_escape(scan, &at, err);
                if (code != ERR_OK)
                        return code;
                escaped = true;
        }

        struct str text = str_slice(scan->text, start, at);
        if ((seen & 0x80) != 0 && !str_is_utf8(text))
                return err_set(err, ERR_INVALID, "invalid UTF-8 in string literal");
        ret->text = text;
        ret->escaped = escaped;
        scan->at = at + 1;
        return ERR_OK;
}

static size_t skip_digits(const struct json_scan *scan, size_t at)
{
        while (is_digit(peek(scan, at)))
                at++;
        return at;
}

static enum err_code scan_number(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        size_t at = scan->at;
        bool integer = true;

        if (peek(scan, at) == '-')
                at++;
        if (!is_digit(peek(scan, at)))
                return bad_char(scan, at, "in numeric literal", err);
        at = peek(scan, at) == '0' ? at + 1 : skip_digits(scan, at);
        if (peek(scan, at) == '.') {
                integer = false;
                if (!is_digit(peek(scan, ++at)))
                        return bad_char(scan, at, "after decimal point in numeric literal", err);
                at = skip_digits(scan, at);
        }
        if (peek(scan, at) == 'e' || peek(scan, at) == 'E') {
                integer = false;
                at++;
                if (peek(scan, at) == '+' || peek(scan, at) == '-')
                        at++;
                if (!is_digit(peek(scan, at)))
                        return bad_char(scan, at, "in exponent of numeric literal", err);
                at = skip_digits(scan, at);
        }
        ret->type = JSON_TOKEN_NUMBER;
        ret->integer = integer;
        ret->text = str_slice(scan->text, scan->at, at);
        scan->at = at;
        return ERR_OK;
}

static enum err_code scan_literal(struct json_scan *scan, const char *word, enum json_token_type type,
                                  struct json_token *ret, struct err *err)
{
        size_t len = strlen(word);

        for (size_t i = 1; i < len; i++) {
                if (peek(scan, scan->at + i) != word[i]) {
                        char where[48];
                        snprintf(where, sizeof(where), "in literal %s (expecting '%c')", word, word[i]);
                        return bad_char(scan, scan->at + i, where, err);
                }
        }
        ret->type = type;
        ret->text = str_slice(scan->text, scan->at, scan->at + len);
        scan->at += len;
        return ERR_OK;
}

static enum err_code open_level(struct json_scan *scan, bool object, struct json_token *ret, struct err *err)
{
        if (scan->depth == scan->depth_max)
                return err_set(err, ERR_INVALID, "nested deeper than %u levels", scan->depth_max);
        uint64_t bit = (uint64_t)1 << scan->depth % 64;
        if (object)
                scan->in_object[scan->depth / 64] |= bit;
        else
                scan->in_object[scan->depth / 64] &= ~bit;
        scan->depth++;
        scan->state = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
        ret->type = object ? JSON_TOKEN_OBJECT : JSON_TOKEN_ARRAY;
        ret->text = str_slice(scan->text, scan->at, scan->at + 1);
        scan->at++;
        return ERR_OK;
}

static void value_done(struct json_scan *scan)
{
        scan->state = scan->depth > 0 ? WANT_MORE : WANT_NOTHING;
}

static enum err_code close_level(struct json_scan *scan, struct json_token *ret)
{
        ret->type = in_object(scan) ? JSON_TOKEN_OBJECT_END : JSON_TOKEN_ARRAY_END;
        ret->text = str_slice(scan->text, scan->at, scan->at + 1);
        scan->at++;
        scan->depth--;
        value_done(scan);
        return ERR_OK;
}

static enum err_code scan_scalar(struct json_scan *scan, int c, struct json_token *ret, struct err *err)
{
        switch (c) {
        case '"':
                ret->type = JSON_TOKEN_STRING;
                return scan_string(scan, ret, err);
        case 't':
                return scan_literal(scan, "true", JSON_TOKEN_TRUE, ret, err);
        case 'f':
                return scan_literal(scan, "false", JSON_TOKEN_FALSE, ret, err);
        case 'n':
                return scan_literal(scan, "null", JSON_TOKEN_NULL, ret, err);
        default:
                if (c == '-' || is_digit(c))
                        return scan_number(scan, ret, err);
                return bad_char(scan, scan->at, "looking for beginning of value", err);
        }
}

static enum err_code scan_value(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        int c = peek(scan, scan->at);

        if (c == ']' && scan->state == WANT_VALUE_OR_END)
                return close_level(scan, ret);
        if (c == '{' || c == '[')
                return open_level(scan, c == '{', ret, err);
        enum err_code code = scan_scalar(scan, c, ret, err);
        if (code == ERR_OK)
                value_done(scan);
        return code;
}

static enum err_code scan_key(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        int c = peek(scan, scan->at);

        if (c == '}' && scan->state == WANT_KEY_OR_END)
                return close_level(scan, ret);
        if (c != '"')
                return bad_char(scan, scan->at, "looking for beginning of object key string", err);
        ret->type = JSON_TOKEN_KEY;
        enum err_code code = scan_string(scan, ret, err);
        if (code != ERR_OK)
                return code;
        skip_blanks(scan);
        if (peek(scan, scan->at) != ':')
                return bad_char(scan, scan->at, "after object key", err);
        scan->at++;
        scan->state = WANT_VALUE;
        return ERR_OK;
}

/* Behind an element: a comma goes on to the next, a bracket closes. */
static enum err_code scan_more(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        bool object = in_object(scan);
        int c = peek(scan, scan->at);

        if (c == (object ? '}' : ']'))
                return close_level(scan, ret);
        if (c != ',')
                return bad_char(scan, scan->at,
                                object ? "after object key:value pair" : "after array element", err);
        scan->at++;
        scan->state = object ? WANT_KEY : WANT_VALUE;
        return json_scan_next(scan, ret, err);
}

enum err_code json_scan_next(struct json_scan *scan, struct json_token *ret, struct err *err)
{
        skip_blanks(scan);
        ret->at = scan->at;
        switch ((enum state)scan->state) {
        case WANT_VALUE:
        case WANT_VALUE_OR_END:
                return scan_value(scan, ret, err);
        case WANT_KEY:
        case WANT_KEY_OR_END:
                return scan_key(scan, ret, err);
        case WANT_MORE:
                return scan_more(scan, ret, err);
        case WANT_NOTHING:
                break;
        }
        if (scan->at < scan->text.len)
                return bad_char(scan, scan->at, "after top-level value", err);
        ret->type = JSON_TOKEN_END;
        ret->text = str_slice(scan->text, scan->at, scan->at);
        return ERR_OK;
}

enum err_code json_check(struct str text, struct err *err)
{
        struct json_scan scan;
        struct json_token token = {0};
        enum err_code code;

        json_scan_init(&scan, text);
        scan.depth_max = JSON_SCAN_DEPTH_MAX;
        do
                code = json_scan_next(&scan, &token, err);
        while (code == ERR_OK && token.type != JSON_TOKEN_END);
        return code;
}

bool json_is_object(struct str text)
{
        struct str trimmed = str_trim(text, " \t\r\n");

        return trimmed.len > 0 && trimmed.p[0] == '{' && json_check(text, NULL) == ERR_OK;
}

/* Steps over one whole value and returns its text. */
static bool skip_value(struct json_scan *scan, struct str *ret)
{
        struct json_token token = {0};
        unsigned depth = scan->depth;
        size_t from = SIZE_MAX;

        do {
                if (json_scan_next(scan, &token, NULL) != ERR_OK)
                        return false;
                if (from == SIZE_MAX)
                        from = token.at;
        } while (scan->depth > depth);
        *ret = str_slice(scan->text, from, scan->at);
        return true;
}

bool json_scan_member(struct json_scan *scan, struct json_token *ret_key, struct str *ret_value)
{
        if (json_scan_next(scan, ret_key, NULL) != ERR_OK || ret_key->type != JSON_TOKEN_KEY)
                return false;
        return skip_value(scan, ret_value);
}

struct str json_member(struct str object, struct str name)
{
        struct str value, found = {NULL, 0};
        struct json_scan scan;
        struct json_token token = {0};

        json_scan_init(&scan, object);
        if (json_scan_next(&scan, &token, NULL) != ERR_OK || token.type != JSON_TOKEN_OBJECT)
                return found;
        while (json_scan_member(&scan, &token, &value)) {
                if (str_eq(token.text, name))
                        found = value;
        }
        return found;
}
