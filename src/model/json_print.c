/*
 * model/json_print.c: JSON values as text, compact for the wire or indented as the original's client shows
 * them. Numbers are printed with the fewest digits that read back as the same value.
 */
#include "model/json.h"

#include <stdio.h>

enum style { STYLE_COMPACT, STYLE_GO };

struct printer {
        struct buf *out;
        enum style style;
        unsigned depth;
};

static enum err_code print_value(struct printer *printer, const json_t *value);

/* The length of the UTF-8 sequence of U+2028 or U+2029 at p, or 0. */
static size_t line_separator(const char *p, size_t left)
{
        return left >= 3 && memcmp(p, "\xe2\x80", 2) == 0 && (p[2] == '\xa8' || p[2] == '\xa9') ? 3 : 0;
}

/* How many bytes at p cannot stand as they are; 0 if the first one can. */
static size_t must_escape(const char *p, size_t left, enum style style)
{
        if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\')
                return 1;
        if (style != STYLE_GO)
                return 0;
        return *p == '<' || *p == '>' || *p == '&' ? 1 : line_separator(p, left);
}

static enum err_code print_escape(struct buf *out, const char *p, size_t len)
{
        static const struct {
                char c;
                const char *text;
        } names[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};

        if (len == 3)
                return buf_append_text(out, p[2] == '\xa8' ? "\\u2028" : "\\u2029");
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (names[i].c == *p)
                        return buf_append(out, names[i].text, 2);
        return buf_printf(out, "\\u%04x", (unsigned char)*p);
}

static enum err_code print_string(struct buf *out, struct str text, enum style style)
{
        size_t plain = 0; /* where the run of plain bytes began */
        enum err_code code = buf_append(out, "\"", 1);

        for (size_t i = 0; i < text.len && code == ERR_OK;) {
                size_t len = must_escape(text.p + i, text.len - i, style);
                if (len == 0) {
                        i++;
                        continue;
                }
                code = buf_append(out, text.p + plain, i - plain);
                if (code == ERR_OK)
                        code = print_escape(out, text.p + i, len);
                i += len;
                plain = i;
        }
        if (code == ERR_OK)
                code = buf_append(out, text.p + plain, text.len - plain);
        return code == ERR_OK ? buf_append(out, "\"", 1) : code;
}

static enum err_code print_real(struct buf *out, double value)
{
        char text[40];

        for (int digits = 15; digits <= 17; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        /* 1.0 stays a number with a fraction for languages that tell the two apart. */
        if (strpbrk(text, ".e") == NULL)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), ".0");
        return buf_append_text(out, text);
}

static enum err_code print_break(struct printer *printer)
{
        if (printer->style == STYLE_COMPACT)
                return ERR_OK;

        enum err_code code = buf_append(printer->out, "\n", 1);
        for (unsigned i = 0; i < printer->depth && code == ERR_OK; i++)
                code = buf_append(printer->out, "    ", 4);
        return code;
}

/* The comma and the line of one member or element. */
static enum err_code print_separator(struct printer *printer, bool first)
{
        enum err_code code = first ? ERR_OK : buf_append(printer->out, ",", 1);

        return code == ERR_OK ? print_break(printer) : code;
}

static enum err_code print_members(struct printer *printer, const json_t *object)
{
        json_t *members = (json_t *)object; /* the iterator does not change it */
        bool first = true;
        enum err_code code = ERR_OK;

        for (void *at = json_object_iter(members); at != NULL && code == ERR_OK;
             at = json_object_iter_next(members, at)) {
                code = print_separator(printer, first);
                first = false;
                if (code == ERR_OK)
                        code = print_string(
                                printer->out,
                                (struct str){json_object_iter_key(at), json_object_iter_key_len(at)},
                                printer->style);
                if (code == ERR_OK)
                        code = buf_append_text(printer->out, printer->style == STYLE_GO ? ": " : ":");
                if (code == ERR_OK)
                        code = print_value(printer, json_object_iter_value(at));
        }
        return code;
}

static enum err_code print_elements(struct printer *printer, const json_t *array)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(array) && code == ERR_OK; i++) {
                code = print_separator(printer, i == 0);
                if (code == ERR_OK)
                        code = print_value(printer, json_array_get(array, i));
        }
        return code;
}

static enum err_code print_container(struct printer *printer, const json_t *value)
{
        bool object = json_is_object(value);
        size_t size = object ? json_object_size(value) : json_array_size(value);

        if (size == 0)
                return buf_append_text(printer->out, object ? "{}" : "[]");
        if (printer->depth == JSON_PRINT_DEPTH_MAX)
                return ERR_INVALID;

        enum err_code code = buf_append(printer->out, object ? "{" : "[", 1);
        printer->depth++;
        if (code == ERR_OK)
                code = object ? print_members(printer, value) : print_elements(printer, value);
        printer->depth--;
        if (code == ERR_OK)
                code = print_break(printer);
        return code == ERR_OK ? buf_append(printer->out, object ? "}" : "]", 1) : code;
}

static enum err_code print_value(struct printer *printer, const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
        case JSON_ARRAY:
                return print_container(printer, value);
        case JSON_STRING:
                return print_string(printer->out,
                                    (struct str){json_string_value(value), json_string_length(value)},
                                    printer->style);
        case JSON_INTEGER:
                return buf_printf(printer->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        case JSON_REAL:
                return print_real(printer->out, json_real_value(value));
        case JSON_TRUE:
                return buf_append_text(printer->out, "true");
        case JSON_FALSE:
                return buf_append_text(printer->out, "false");
        case JSON_NULL:
                break;
        }
        return buf_append_text(printer->out, "null");
}

static enum err_code print(const json_t *value, enum style style, struct buf *out, struct err *err)
{
        struct printer printer = {.out = out, .style = style};
        size_t len = out->len;
        enum err_code code = print_value(&printer, value);

        if (code == ERR_OK)
                return ERR_OK;
        out->len = len;
        if (code == ERR_NO_MEMORY)
                return err_nomem(err);
        if (code == ERR_TOO_LARGE)
                return err_set(err, code, "the JSON text is larger than %zu bytes", out->max);
        return err_set(err, code, "the JSON value is nested deeper than %d levels", JSON_PRINT_DEPTH_MAX);
}

enum err_code json_print(const json_t *value, struct buf *out, struct err *err)
{
        return print(value, STYLE_COMPACT, out, err);
}

enum err_code json_print_indented(const json_t *value, struct buf *out, struct err *err)
{
        return print(value, STYLE_GO, out, err);
}

enum err_code json_quote(struct str text, struct buf *out)
{
        size_t len = out->len;

        if (!str_is_utf8(text))
                return ERR_INVALID;

        enum err_code code = print_string(out, text, STYLE_COMPACT);
        if (code != ERR_OK)
                out->len = len;
        return code;
}
