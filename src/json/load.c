/*
 * json/load.c: RFC 8259 text to values, by recursive descent to JSON_PARSER_MAX_DEPTH levels. Every byte is
 * looked at against the end of the text, so the text needs no NUL.
 */
#include "json/internal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_STACK_MAX = 64 };

struct parser {
        const unsigned char *start, *p, *end;
        size_t flags;
        unsigned depth;
        json_error_t *error;
};

static json_t *parse_value(struct parser *parser);

/* Notes the place and returns NULL, for `return fail(...)`. */
static void *fail(struct parser *parser, enum json_error_code code, const char *text)
{
        json_error_t *error = parser->error;
        const unsigned char *line = parser->start;

        if (error == NULL)
                return NULL;
        error->line = 1;
        for (const unsigned char *at = parser->start; at < parser->p; at++) {
                if (*at == '\n') {
                        error->line++;
                        line = at + 1;
                }
        }
        error->column = (int)(parser->p - line);
        error->position = (int)(parser->p - parser->start);
        error->code = code;
        snprintf(error->text, sizeof(error->text), "%s", text);
        return NULL;
}

static void *fail_memory(struct parser *parser)
{
        return fail(parser, json_error_out_of_memory, "out of memory");
}

/* What stands here is wrong, or the text ends. */
static void *fail_syntax(struct parser *parser, const char *text)
{
        if (parser->p == parser->end)
                return fail(parser, json_error_premature_end_of_input, "premature end of input");
        return fail(parser, json_error_invalid_syntax, text);
}

static void skip_blanks(struct parser *parser)
{
        while (parser->p < parser->end &&
               (*parser->p == ' ' || *parser->p == '\t' || *parser->p == '\n' || *parser->p == '\r'))
                parser->p++;
}

/* Steps over one byte if it is `c`. */
static bool take(struct parser *parser, char c)
{
        if (parser->p == parser->end || *parser->p != (unsigned char)c)
                return false;
        parser->p++;
        return true;
}

static bool is_digit(const struct parser *parser)
{
        return parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9';
}

/* Four hexadecimal digits, or -1. */
static long hex4(struct parser *parser)
{
        long value = 0;

        for (int i = 0; i < 4; i++, parser->p++) {
                unsigned char c = parser->p < parser->end ? *parser->p : '\0';
                if (c >= '0' && c <= '9')
                        value = value * 16 + (c - '0');
                else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
                        value = value * 16 + ((c | 0x20) - 'a' + 10);
                else
                        return -1;
        }
        return value;
}

static char *put_utf8(char *out, unsigned long c)
{
        if (c < 0x80) {
                *out++ = (char)c;
                return out;
        }
        if (c < 0x800) {
                *out++ = (char)(0xc0 | c >> 6);
        } else {
                if (c < 0x10000) {
                        *out++ = (char)(0xe0 | c >> 12);
                } else {
                        *out++ = (char)(0xf0 | c >> 18);
                        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
                }
                *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        }
        *out++ = (char)(0x80 | (c & 0x3f));
        return out;
}

/* Behind "\u": a character, of one escape or of a surrogate pair; -1: neither. */
static long unicode_escape(struct parser *parser)
{
        long unit = hex4(parser), low;

        if (unit < 0xd800 || unit > 0xdfff)
                return unit;
        if (unit > 0xdbff || !take(parser, '\\') || !take(parser, 'u'))
                return -1;
        low = hex4(parser);
        return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : -1;
}

/* Behind the backslash; NULL when it is no escape. */
static char *put_escape(struct parser *parser, char *out)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        unsigned char c = parser->p < parser->end ? *parser->p : '\0';
        const char *known = c != '\0' ? strchr(from, c) : NULL;

        if (known != NULL) {
                parser->p++;
                *out++ = to[known - from];
                return out;
        }
        if (c != 'u')
                return fail_syntax(parser, "invalid escape");
        parser->p++;
        long character = unicode_escape(parser);
        if (character < 0)
                return fail_syntax(parser, "invalid Unicode escape");
        return put_utf8(out, (unsigned long)character);
}

/* How many bytes the literal at the opening quote can be of at most: those up to its closing quote. */
static size_t literal_len(const struct parser *parser)
{
        const unsigned char *at = parser->p + 1;

        while (at < parser->end && *at != '"')
                at += *at == '\\' && at + 1 < parser->end ? 2 : 1;
        return (size_t)(at - parser->p);
}

/* At the opening quote. The text has a NUL behind it and is the caller's. */
static char *parse_text(struct parser *parser, size_t *ret_len)
{
        char *text = json_memory(literal_len(parser) + 1), *out = text;

        if (text == NULL)
                return fail_memory(parser);
        parser->p++;
        while (out != NULL && parser->p < parser->end && *parser->p != '"') {
                unsigned char c = *parser->p;
                if (c < 0x20) {
                        out = fail(parser, json_error_invalid_syntax, "control character in a string");
                        continue;
                }
                parser->p++;
                if (c == '\\')
                        out = put_escape(parser, out);
                else
                        *out++ = (char)c;
        }
        if (out != NULL && !take(parser, '"'))
                out = fail_syntax(parser, "a string without end");
        if (out != NULL && !json_text_is_utf8(text, (size_t)(out - text)))
                out = fail(parser, json_error_invalid_utf8, "a string is not UTF-8");
        if (out == NULL) {
                json_memory_free(text);
                return NULL;
        }
        *out = '\0';
        *ret_len = (size_t)(out - text);
        return text;
}

static json_t *parse_string(struct parser *parser)
{
        size_t len = 0;
        char *text = parse_text(parser, &len);
        json_t *string;

        if (text == NULL)
                return NULL;
        if ((parser->flags & JSON_ALLOW_NUL) == 0 && memchr(text, '\0', len) != NULL) {
                json_memory_free(text);
                return fail(parser, json_error_null_character, "\\u0000 is not allowed");
        }
        string = json_string_own(text, len);
        return string != NULL ? string : fail_memory(parser);
}

static bool skip_digits(struct parser *parser)
{
        if (!is_digit(parser))
                return false;
        while (is_digit(parser))
                parser->p++;
        return true;
}

/* Steps over a number of the grammar; *ret_real tells one with a fraction or an exponent. */
static bool scan_number(struct parser *parser, bool *ret_real)
{
        *ret_real = false;
        take(parser, '-');
        if (take(parser, '0')) {
                if (is_digit(parser))
                        return false;
        } else if (!skip_digits(parser)) {
                return false;
        }
        if (take(parser, '.')) {
                *ret_real = true;
                if (!skip_digits(parser))
                        return false;
        }
        if (take(parser, 'e') || take(parser, 'E')) {
                *ret_real = true;
                if (!take(parser, '+'))
                        take(parser, '-');
                return skip_digits(parser);
        }
        return true;
}

static json_t *make_integer(struct parser *parser, const char *text)
{
        json_t *made;

        errno = 0;
        long long number = strtoll(text, NULL, 10);
        if (errno == ERANGE)
                return fail(parser, json_error_numeric_overflow, "an integer is out of range");
        made = json_integer(number);
        return made != NULL ? made : fail_memory(parser);
}

static json_t *make_real(struct parser *parser, const char *text)
{
        double number = strtod(text, NULL);
        json_t *made;

        if (!isfinite(number))
                return fail(parser, json_error_numeric_overflow, "a real number is out of range");
        made = json_real(number);
        return made != NULL ? made : fail_memory(parser);
}

static json_t *parse_number(struct parser *parser)
{
        const unsigned char *from = parser->p;
        char on_stack[NUMBER_STACK_MAX], *text = on_stack;
        bool real;
        json_t *made;

        if (!scan_number(parser, &real))
                return fail_syntax(parser, "invalid number");
        size_t len = (size_t)(parser->p - from);
        if (len >= sizeof(on_stack))
                text = json_memory(len + 1);
        if (text == NULL)
                return fail_memory(parser);
        memcpy(text, from, len);
        text[len] = '\0';
        real = real || (parser->flags & JSON_DECODE_INT_AS_REAL) != 0;
        made = real ? make_real(parser, text) : make_integer(parser, text);
        if (text != on_stack)
                json_memory_free(text);
        return made;
}

static json_t *parse_word(struct parser *parser, const char *word, json_t *value)
{
        for (; *word != '\0'; word++)
                if (!take(parser, *word))
                        return fail_syntax(parser, "invalid token");
        if (parser->p < parser->end && ((*parser->p | 0x20) >= 'a' && (*parser->p | 0x20) <= 'z'))
                return fail_syntax(parser, "invalid token");
        return value;
}

/* Behind a key: the colon and the value. */
static json_t *parse_member_value(struct parser *parser)
{
        skip_blanks(parser);
        if (!take(parser, ':'))
                return fail_syntax(parser, "':' is expected");
        skip_blanks(parser);
        return parse_value(parser);
}

/* At its key: "key": value. */
static bool parse_member(struct parser *parser, json_t *object)
{
        size_t len = 0;
        json_t *value = NULL;
        bool added = false;

        if (parser->p == parser->end || *parser->p != '"')
                return fail_syntax(parser, "a key or '}' is expected") != NULL;
        char *key = parse_text(parser, &len);
        if (key == NULL)
                return false;
        if (memchr(key, '\0', len) != NULL) {
                fail(parser, json_error_null_byte_in_key, "NUL in a key is not supported");
        } else if ((parser->flags & JSON_REJECT_DUPLICATES) != 0 &&
                   json_object_getn(object, key, len) != NULL) {
                fail(parser, json_error_duplicate_key, "duplicate object key");
        } else {
                value = parse_member_value(parser);
                added = value != NULL && json_object_setn_new_nocheck(object, key, len, value) == 0;
                if (value != NULL && !added)
                        fail_memory(parser);
        }
        json_memory_free(key);
        return added;
}

static bool parse_item(struct parser *parser, json_t *array)
{
        json_t *item = parse_value(parser);

        if (item == NULL)
                return false;
        if (json_array_append_new(array, item) == 0)
                return true;
        fail_memory(parser);
        return false;
}

/* Behind the opening bracket: the rest into `holder`, whose reference this takes. */
static json_t *parse_rest(struct parser *parser, json_t *holder, char end,
                          bool (*parse_one)(struct parser *parser, json_t *holder))
{
        bool good = holder != NULL, first = true;

        if (!good)
                fail_memory(parser);
        while (good) {
                skip_blanks(parser);
                if (first && take(parser, end))
                        return holder;
                first = false;
                good = parse_one(parser, holder);
                skip_blanks(parser);
                if (good && take(parser, end))
                        return holder;
                if (good && !take(parser, ',')) {
                        fail_syntax(parser, "',' or the end of the array or object is expected");
                        good = false;
                }
        }
        json_decref(holder);
        return NULL;
}

static json_t *parse_holder(struct parser *parser)
{
        bool object = *parser->p == '{';
        json_t *made;

        if (parser->depth == JSON_PARSER_MAX_DEPTH)
                return fail(parser, json_error_stack_overflow, "nested too deep");
        parser->depth++;
        parser->p++;
        made = object ? parse_rest(parser, json_object(), '}', parse_member)
                      : parse_rest(parser, json_array(), ']', parse_item);
        parser->depth--;
        return made;
}

static json_t *parse_value(struct parser *parser)
{
        if (parser->p == parser->end)
                return fail_syntax(parser, "");
        switch (*parser->p) {
        case '{':
        case '[':
                return parse_holder(parser);
        case '"':
                return parse_string(parser);
        case 't':
                return parse_word(parser, "true", json_true());
        case 'f':
                return parse_word(parser, "false", json_false());
        case 'n':
                return parse_word(parser, "null", json_null());
        default:
                return parse_number(parser);
        }
}

json_t *json_loadb(const char *bytes, size_t len, size_t flags, json_error_t *error)
{
        struct parser parser = {.start = (const unsigned char *)bytes, .flags = flags, .error = error};
        json_t *value;

        if (error != NULL)
                *error = (json_error_t){.line = -1, .column = -1, .source = "<buffer>"};
        if (bytes == NULL || len > INT_MAX)
                return fail(&parser, json_error_invalid_argument, "wrong arguments");
        parser.p = parser.start;
        parser.end = parser.start + len;
        skip_blanks(&parser);
        if ((flags & JSON_DECODE_ANY) == 0 &&
            (parser.p == parser.end || (*parser.p != '{' && *parser.p != '[')))
                return fail_syntax(&parser, "'[' or '{' is expected");
        value = parse_value(&parser);
        if (value == NULL)
                return NULL;
        if (error != NULL)
                error->position = (int)(parser.p - parser.start);
        skip_blanks(&parser);
        if (parser.p < parser.end && (flags & JSON_DISABLE_EOF_CHECK) == 0) {
                json_decref(value);
                return fail(&parser, json_error_end_of_input_expected, "the end of the text is expected");
        }
        return value;
}

json_t *json_loads(const char *text, size_t flags, json_error_t *error)
{
        json_t *value = json_loadb(text, text != NULL ? strlen(text) : 0, flags, error);

        if (error != NULL)
                snprintf(error->source, sizeof(error->source), "<string>");
        return value;
}
