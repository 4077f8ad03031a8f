/*
 * json/pack.c: values by a format. Where something is missing the walk goes on to the format's end, so that
 * every reference that was handed over is taken.
 */
#include "json/internal.h"

#include <stdlib.h>

/* The analyzer loses sight of the list behind the pointer that all these functions share.
 * NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */

enum { PACK_DEPTH_MAX = 32 };

struct packer {
        const char *p, *format;
        va_list *args;
        unsigned depth;
        bool failed;
        json_error_t *error;
};

/* What became of one place in the format. */
struct packed {
        json_t *value; /* NULL: nothing, because of *, or failed */
        bool left_out;
};

static struct packed pack_value(struct packer *packer);

static struct packed fail(struct packer *packer, enum json_error_code code, const char *text)
{
        if (!packer->failed && packer->error != NULL) {
                packer->error->code = code;
                packer->error->line = 1;
                packer->error->column = packer->error->position = (int)(packer->p - packer->format);
                snprintf(packer->error->text, sizeof(packer->error->text), "%s", text);
        }
        packer->failed = true;
        return (struct packed){NULL, false};
}

/* The next character that says something; '\0' at the end. */
static char peek(struct packer *packer)
{
        while (*packer->p != '\0' && strchr(" \t\n,:", *packer->p) != NULL)
                packer->p++;
        return *packer->p;
}

static bool take(struct packer *packer, char c)
{
        if (*packer->p != c)
                return false;
        packer->p++;
        return true;
}

static struct packed made(struct packer *packer, json_t *value)
{
        return value != NULL ? (struct packed){value, false}
                             : fail(packer, json_error_out_of_memory, "out of memory");
}

/* A NULL argument: what the mark behind the letter makes of it. */
static struct packed made_of_null(struct packer *packer, bool nullable, bool optional)
{
        if (nullable)
                return (struct packed){json_null(), false};
        if (optional)
                return (struct packed){NULL, true};
        return fail(packer, json_error_null_value, "NULL argument");
}

struct text {
        char *p; /* NULL: a piece was NULL, or there is no memory */
        size_t len;
        bool out_of_memory;
};

static void append(struct text *text, const char *piece, size_t len)
{
        char *longer = text->len + len + 1 > len ? json_memory(text->len + len + 1) : NULL;

        text->out_of_memory = text->out_of_memory || longer == NULL;
        if (longer != NULL) {
                memcpy(longer, text->p, text->len);
                memcpy(longer + text->len, piece, len);
                longer[text->len + len] = '\0';
        }
        json_memory_free(text->p);
        text->p = longer;
        text->len += len;
}

/* One text behind its s: its bytes, and its length where # or % say so. */
static const char *take_piece(struct packer *packer, size_t *ret_len)
{
        const char *piece = va_arg(*packer->args, const char *);

        if (take(packer, '#'))
                *ret_len = (size_t)va_arg(*packer->args, int);
        else if (take(packer, '%'))
                *ret_len = va_arg(*packer->args, size_t);
        else
                *ret_len = piece != NULL ? strlen(piece) : 0;
        return piece;
}

/* Behind the s: all its pieces. A NULL piece makes the whole NULL; all arguments are taken either way. */
static struct text take_text(struct packer *packer)
{
        struct text text = {json_memory(1), 0, false};
        bool more = true;

        text.out_of_memory = text.p == NULL;
        while (more) {
                size_t len;
                const char *piece = take_piece(packer, &len);
                if (piece == NULL) {
                        json_memory_free(text.p);
                        text.p = NULL;
                } else if (text.p != NULL) {
                        append(&text, piece, len);
                }
                more = take(packer, '+');
        }
        return text;
}

static struct packed pack_text(struct packer *packer)
{
        struct text text = take_text(packer);
        bool nullable = take(packer, '?'), optional = !nullable && take(packer, '*');

        if (text.p == NULL)
                return text.out_of_memory ? made(packer, NULL) : made_of_null(packer, nullable, optional);
        if (!json_text_is_utf8(text.p, text.len)) {
                json_memory_free(text.p);
                return fail(packer, json_error_invalid_utf8, "a string is not UTF-8");
        }
        return made(packer, json_string_own(text.p, text.len));
}

static struct packed pack_given(struct packer *packer, bool take_over)
{
        json_t *value = va_arg(*packer->args, json_t *);
        bool nullable = take(packer, '?'), optional = !nullable && take(packer, '*');

        if (value == NULL)
                return made_of_null(packer, nullable, optional);
        return (struct packed){take_over ? value : json_incref(value), false};
}

static void pack_items(struct packer *packer, json_t *array)
{
        while (peek(packer) != ']' && *packer->p != '\0') {
                struct packed item = pack_value(packer);
                if (item.value != NULL && json_array_append_new(array, item.value) < 0)
                        made(packer, NULL);
        }
}

static void pack_member(struct packer *packer, json_t *object)
{
        struct text key = take_text(packer);
        struct packed member = pack_value(packer);

        if (key.p == NULL)
                fail(packer, key.out_of_memory ? json_error_out_of_memory : json_error_null_value,
                     "a key is NULL");
        else if (!json_text_is_utf8(key.p, key.len))
                fail(packer, json_error_invalid_utf8, "a key is not UTF-8");
        if (key.p == NULL || packer->failed)
                json_decref(member.value);
        else if (!member.left_out && json_object_setn_new_nocheck(object, key.p, key.len, member.value) < 0)
                made(packer, NULL);
        json_memory_free(key.p);
}

static void pack_members(struct packer *packer, json_t *object)
{
        while (peek(packer) != '}' && *packer->p != '\0') {
                if (!take(packer, 's')) {
                        fail(packer, json_error_invalid_format, "an object's key must be s");
                        packer->p += strlen(packer->p);
                        return;
                }
                pack_member(packer, object);
        }
}

/* Behind the opening bracket. Without memory the members are still walked. */
static struct packed pack_holder(struct packer *packer, bool is_object)
{
        json_t *holder = is_object ? json_object() : json_array();

        if (holder == NULL)
                made(packer, NULL);
        if (packer->depth == PACK_DEPTH_MAX) {
                json_decref(holder);
                return fail(packer, json_error_stack_overflow, "the format is nested too deep");
        }
        packer->depth++;
        if (is_object)
                pack_members(packer, holder);
        else
                pack_items(packer, holder);
        packer->depth--;
        if (!take(packer, is_object ? '}' : ']'))
                fail(packer, json_error_invalid_format, "the format ends early");
        if (!packer->failed)
                return (struct packed){holder, false};
        json_decref(holder);
        return (struct packed){NULL, false};
}

static struct packed pack_value(struct packer *packer)
{
        char letter = peek(packer);

        packer->p += letter != '\0';
        switch (letter) {
        case '{':
                return pack_holder(packer, true);
        case '[':
                return pack_holder(packer, false);
        case 's':
                return pack_text(packer);
        case 'n':
                return (struct packed){json_null(), false};
        case 'b':
                return (struct packed){json_boolean(va_arg(*packer->args, int)), false};
        case 'i':
                return made(packer, json_integer(va_arg(*packer->args, int)));
        case 'I':
                return made(packer, json_integer(va_arg(*packer->args, json_int_t)));
        case 'f':
                return made(packer, json_real(va_arg(*packer->args, double)));
        case 'o':
                return pack_given(packer, true);
        case 'O':
                return pack_given(packer, false);
        default:
                packer->p += strlen(packer->p); /* what an unknown letter takes is not known */
                return fail(packer, json_error_invalid_format, "unexpected character in the format");
        }
}

json_t *json_vpack_ex(json_error_t *error, size_t flags, const char *format, va_list args)
{
        struct packer packer = {.p = format, .format = format, .error = error};
        struct packed packed;
        va_list rest;

        (void)flags;
        if (error != NULL)
                *error = (json_error_t){.line = -1, .column = -1, .source = "<format>"};
        if (format == NULL || *format == '\0') {
                fail(&packer, json_error_invalid_argument, "no format");
                return NULL;
        }
        va_copy(rest, args);
        packer.args = &rest;
        packed = pack_value(&packer);
        if (peek(&packer) != '\0')
                fail(&packer, json_error_invalid_format, "the format goes on behind its value");
        va_end(rest);
        if (!packer.failed)
                return packed.value;
        json_decref(packed.value);
        return NULL;
}

json_t *json_pack_ex(json_error_t *error, size_t flags, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        json_t *value = json_vpack_ex(error, flags, format, args);
        va_end(args);
        return value;
}

json_t *json_pack(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        json_t *value = json_vpack_ex(NULL, 0, format, args);
        va_end(args);
        return value;
}

/* NOLINTEND(clang-analyzer-valist.Uninitialized) */
