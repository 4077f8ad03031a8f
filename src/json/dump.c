/* json/dump.c: values as text, handed on piece by piece. */
#include "json/internal.h"

#include <stdlib.h>

struct printer {
        json_dump_callback_t put;
        void *data;
        size_t flags;
        int depth;
};

static int print_value(struct printer *printer, const json_t *json);

static int put_text(struct printer *printer, const char *text)
{
        return printer->put(text, strlen(text), printer->data);
}

/* The line break before a member at this depth; `otherwise` where the text is not indented. */
static int put_break(struct printer *printer, const char *otherwise)
{
        static const char blanks[] = "                                ";
        int indent = (int)(printer->flags & JSON_MAX_INDENT);

        if (indent == 0)
                return (printer->flags & JSON_COMPACT) != 0 ? 0 : put_text(printer, otherwise);
        if (put_text(printer, "\n") < 0)
                return -1;
        for (int i = 0; i < printer->depth; i++)
                if (printer->put(blanks, (size_t)indent, printer->data) < 0)
                        return -1;
        return 0;
}

/* One character of UTF-8, which strings always hold; *len is its length. */
static unsigned long decode(const char *text, size_t *len)
{
        unsigned char c = (unsigned char)text[0];
        unsigned long character = c < 0x80 ? c : c < 0xe0 ? c & 0x1f : c < 0xf0 ? c & 0x0f : c & 0x07;

        *len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        for (size_t i = 1; i < *len; i++)
                character = character << 6 | ((unsigned char)text[i] & 0x3f);
        return character;
}

static int put_escape(struct printer *printer, unsigned long c)
{
        static const char from[] = "\"\\/\b\f\n\r\t", to[] = "\"\\/bfnrt";
        const char *known = c != 0 && c < 0x80 ? strchr(from, (int)c) : NULL;
        char text[24];

        if (known != NULL)
                snprintf(text, sizeof(text), "\\%c", to[known - from]);
        else if (c < 0x10000)
                snprintf(text, sizeof(text), "\\u%04lX", c);
        else
                snprintf(text, sizeof(text), "\\u%04lX\\u%04lX", 0xd800 + ((c - 0x10000) >> 10),
                         0xdc00 + ((c - 0x10000) & 0x3ff));
        return put_text(printer, text);
}

static bool is_plain(const struct printer *printer, unsigned long c)
{
        if (c < 0x20 || c == '"' || c == '\\')
                return false;
        if (c == '/')
                return (printer->flags & JSON_ESCAPE_SLASH) == 0;
        return c < 0x80 || (printer->flags & JSON_ENSURE_ASCII) == 0;
}

/* A string made by a _nocheck function may be no UTF-8, which fails. */
static int print_text(struct printer *printer, const char *text, size_t len)
{
        size_t from = 0, step;

        if (!json_text_is_utf8(text, len) || put_text(printer, "\"") < 0)
                return -1;
        for (size_t at = 0; at < len; at += step) {
                unsigned long c = decode(text + at, &step);
                if (is_plain(printer, c))
                        continue;
                if (printer->put(text + from, at - from, printer->data) < 0 || put_escape(printer, c) < 0)
                        return -1;
                from = at + step;
        }
        return printer->put(text + from, len - from, printer->data) < 0 ? -1 : put_text(printer, "\"");
}

/* With a fraction or an exponent, so that it reads as a real again; no plus nor zeros before the exponent. */
static int print_real(struct printer *printer, double value)
{
        int precision = (int)(printer->flags >> 11 & 0x1f);
        char text[64], *exponent;

        snprintf(text, sizeof(text), "%.*g", precision > 0 ? precision : 17, value);
        exponent = strchr(text, 'e');
        if (exponent == NULL && strchr(text, '.') == NULL)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), ".0");
        if (exponent != NULL) {
                char *to = exponent + 1, *digits = to;
                if (*digits == '-')
                        to++;
                if (*digits == '-' || *digits == '+')
                        digits++;
                while (*digits == '0' && digits[1] != '\0')
                        digits++;
                memmove(to, digits, strlen(digits) + 1);
        }
        return put_text(printer, text);
}

static int print_items(struct printer *printer, const json_t *array)
{
        for (size_t i = 0; i < json_array_size(array); i++) {
                if ((i > 0 && put_text(printer, ",") < 0) || put_break(printer, i > 0 ? " " : "") < 0 ||
                    print_value(printer, json_array_get(array, i)) < 0)
                        return -1;
        }
        return 0;
}

static int print_member(struct printer *printer, const struct json_member *member, bool first)
{
        bool tight = (printer->flags & JSON_COMPACT) != 0;

        if ((!first && put_text(printer, ",") < 0) || put_break(printer, first ? "" : " ") < 0 ||
            print_text(printer, member->key, member->len) < 0 || put_text(printer, tight ? ":" : ": ") < 0)
                return -1;
        return print_value(printer, member->value);
}

static int compare_keys(const void *a, const void *b)
{
        const struct json_member *left = *(struct json_member *const *)a,
                                 *right = *(struct json_member *const *)b;
        size_t shorter = left->len < right->len ? left->len : right->len;
        int order = memcmp(left->key, right->key, shorter);

        return order != 0 ? order : left->len < right->len ? -1 : left->len > right->len;
}

static int print_sorted(struct printer *printer, const struct json_object *object)
{
        const struct json_member **sorted = json_memory(object->size * sizeof(*sorted));
        size_t count = 0;
        int result = 0;

        if (sorted == NULL)
                return -1;
        for (const struct json_member *at = object->first; at != NULL; at = at->after)
                sorted[count++] = at;
        qsort(sorted, count, sizeof(*sorted), compare_keys);
        for (size_t i = 0; i < count && result == 0; i++)
                result = print_member(printer, sorted[i], i == 0);
        json_memory_free(sorted);
        return result;
}

static int print_members(struct printer *printer, const json_t *json)
{
        const struct json_object *object = json_as_object(json);

        if ((printer->flags & JSON_SORT_KEYS) != 0)
                return print_sorted(printer, object);
        for (const struct json_member *at = object->first; at != NULL; at = at->after)
                if (print_member(printer, at, at == object->first) < 0)
                        return -1;
        return 0;
}

static int print_holder(struct printer *printer, const json_t *json)
{
        bool object = json_is_object(json), outer = printer->depth == 0 && (printer->flags & JSON_EMBED) != 0;
        size_t size = object ? json_object_size(json) : json_array_size(json);

        if (printer->depth == JSON_PARSER_MAX_DEPTH)
                return -1;
        if (!outer && put_text(printer, object ? "{" : "[") < 0)
                return -1;
        if (size > 0) {
                printer->depth++;
                int result = object ? print_members(printer, json) : print_items(printer, json);
                printer->depth--;
                if (result < 0 || put_break(printer, "") < 0)
                        return -1;
        }
        return outer ? 0 : put_text(printer, object ? "}" : "]");
}

static int print_value(struct printer *printer, const json_t *json)
{
        char number[32];

        switch (json->type) {
        case JSON_OBJECT:
        case JSON_ARRAY:
                return print_holder(printer, json);
        case JSON_STRING:
                return print_text(printer, json_string_value(json), json_string_length(json));
        case JSON_INTEGER:
                snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(json));
                return put_text(printer, number);
        case JSON_REAL:
                return print_real(printer, json_real_value(json));
        case JSON_TRUE:
                return put_text(printer, "true");
        case JSON_FALSE:
                return put_text(printer, "false");
        case JSON_NULL:
                break;
        }
        return put_text(printer, "null");
}

int json_dump_callback(const json_t *json, json_dump_callback_t callback, void *data, size_t flags)
{
        struct printer printer = {.put = callback, .data = data, .flags = flags};

        if (json == NULL || ((flags & JSON_ENCODE_ANY) == 0 && !json_is_object(json) && !json_is_array(json)))
                return -1;
        return print_value(&printer, json);
}

struct text {
        char *p;
        size_t len, capacity;
};

static int put_growing(const char *bytes, size_t len, void *data)
{
        struct text *text = data;

        if (len > SIZE_MAX / 4 - text->len)
                return -1;
        if (text->len + len >= text->capacity) {
                size_t capacity = (text->len + len + 128) * 2;
                char *longer = json_memory(capacity);
                if (longer == NULL)
                        return -1;
                if (text->len > 0)
                        memcpy(longer, text->p, text->len);
                json_memory_free(text->p);
                text->p = longer;
                text->capacity = capacity;
        }
        memcpy(text->p + text->len, bytes, len);
        text->len += len;
        text->p[text->len] = '\0';
        return 0;
}

char *json_dumps(const json_t *json, size_t flags)
{
        struct text text = {NULL, 0, 0};

        if (json_dump_callback(json, put_growing, &text, flags) == 0 && put_growing("", 0, &text) == 0)
                return text.p;
        json_memory_free(text.p);
        return NULL;
}

/* Writes what fits and counts all. */
static int put_fixed(const char *bytes, size_t len, void *data)
{
        struct text *text = data;

        if (text->len < text->capacity)
                memcpy(text->p + text->len, bytes,
                       len < text->capacity - text->len ? len : text->capacity - text->len);
        text->len += len;
        return 0;
}

size_t json_dumpb(const json_t *json, char *out, size_t size, size_t flags)
{
        struct text text = {out, 0, size};

        return json_dump_callback(json, put_fixed, &text, flags) == 0 ? text.len : 0;
}

static int put_file(const char *bytes, size_t len, void *data)
{
        return fwrite(bytes, 1, len, data) == len ? 0 : -1;
}

int json_dumpf(const json_t *json, FILE *out, size_t flags)
{
        return json_dump_callback(json, put_file, out, flags);
}
