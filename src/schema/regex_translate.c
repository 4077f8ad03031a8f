/* schema/regex_translate.c: from ECMA-262's grammar (section 22.2.1) to PCRE2's, item by item. */
#include "schema/regex.h"
#include "schema/utf8.h"

#include <stdio.h>
#include <string.h>

enum { REPEAT_MAX = 65535, NAME_MAX_LEN = 32 };

/* ECMA-262's WhiteSpace and LineTerminator, what \s means; and all the others. */
#define BLANKS                                                                                               \
        "\\x{9}-\\x{D}\\x{20}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"        \
        "\\x{3000}\\x{FEFF}"
#define NOT_BLANKS                                                                                           \
        "\\x{0}-\\x{8}\\x{E}-\\x{1F}\\x{21}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}"  \
        "\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{FEFE}\\x{FF00}-\\x{10FFFF}"

struct translation {
        struct str in;
        size_t at;
        struct buf *out;
        bool atom; /* what a quantifier could follow has just been written */
        uint32_t repeat;
        bool refers;
        struct err *err;
        enum err_code code;
};

static bool fail(struct translation *t, const char *why)
{
        t->code = err_set(t->err, ERR_UNPROCESSABLE, "%s at byte %zu", why, t->at);
        return false;
}

static bool put(struct translation *t, const char *text)
{
        if (buf_append_text(t->out, text) == ERR_OK)
                return true;
        t->code = err_set(t->err, ERR_LIMIT, "the pattern is larger than the limit");
        return false;
}

static bool put_char(struct translation *t, uint32_t c)
{
        char text[16];

        snprintf(text, sizeof(text), "\\x{%X}", (unsigned)c);
        return put(t, text);
}

static bool more(const struct translation *t)
{
        return t->at < t->in.len;
}

static char peek(const struct translation *t, size_t ahead)
{
        return t->at + ahead < t->in.len ? t->in.p[t->at + ahead] : '\0';
}

static bool eat(struct translation *t, char c)
{
        if (!more(t) || t->in.p[t->at] != c)
                return false;
        t->at++;
        return true;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_of(char c)
{
        if (is_digit(c))
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `count` hex digits. */
static bool hex_fixed(struct translation *t, unsigned count, uint32_t *ret)
{
        uint32_t value = 0;

        for (unsigned i = 0; i < count; i++) {
                int digit = hex_of(peek(t, i));
                if (digit < 0)
                        return fail(t, "an escape without its hex digits");
                value = value << 4 | (uint32_t)digit;
        }
        t->at += count;
        *ret = value;
        return true;
}

static bool hex_braced(struct translation *t, uint32_t *ret)
{
        uint32_t value = 0;

        t->at++;
        if (peek(t, 0) == '}')
                return fail(t, "an escape without its hex digits");
        while (!eat(t, '}')) {
                int digit = hex_of(peek(t, 0));
                if (digit < 0 || value > 0x10ffff)
                        return fail(t, "an escape that names no character");
                value = value << 4 | (uint32_t)digit;
                t->at++;
        }
        *ret = value;
        return true;
}

/* Behind \u. */
static bool unicode_escape(struct translation *t, uint32_t *ret)
{
        uint32_t low;

        if (peek(t, 0) == '{' ? !hex_braced(t, ret) : !hex_fixed(t, 4, ret))
                return false;
        if (*ret >= 0xd800 && *ret < 0xdc00 && peek(t, 0) == '\\' && peek(t, 1) == 'u') {
                t->at += 2;
                if (!hex_fixed(t, 4, &low))
                        return false;
                if (low < 0xdc00 || low > 0xdfff)
                        return fail(t, "a surrogate without its pair, which no text contains,");
                *ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
        }
        if (*ret > 0x10ffff || (*ret >= 0xd800 && *ret <= 0xdfff))
                return fail(t, "a surrogate without its pair, which no text contains,");
        return true;
}

/* General categories by their long names and aliases (UAX 44); PCRE2 knows the short ones alone. */
static const char *category_of(struct str name)
{
        static const char *const names[][2] = {
                {"Cased_Letter", "L&"},
                {"Close_Punctuation", "Pe"},
                {"Connector_Punctuation", "Pc"},
                {"Control", "Cc"},
                {"cntrl", "Cc"},
                {"Currency_Symbol", "Sc"},
                {"Dash_Punctuation", "Pd"},
                {"Decimal_Number", "Nd"},
                {"digit", "Nd"},
                {"Enclosing_Mark", "Me"},
                {"Final_Punctuation", "Pf"},
                {"Format", "Cf"},
                {"Initial_Punctuation", "Pi"},
                {"Letter", "L"},
                {"Letter_Number", "Nl"},
                {"Line_Separator", "Zl"},
                {"Lowercase_Letter", "Ll"},
                {"Mark", "M"},
                {"Combining_Mark", "M"},
                {"Math_Symbol", "Sm"},
                {"Modifier_Letter", "Lm"},
                {"Modifier_Symbol", "Sk"},
                {"Nonspacing_Mark", "Mn"},
                {"Number", "N"},
                {"Open_Punctuation", "Ps"},
                {"Other", "C"},
                {"Other_Letter", "Lo"},
                {"Other_Number", "No"},
                {"Other_Punctuation", "Po"},
                {"Other_Symbol", "So"},
                {"Paragraph_Separator", "Zp"},
                {"Private_Use", "Co"},
                {"Punctuation", "P"},
                {"punct", "P"},
                {"Separator", "Z"},
                {"Space_Separator", "Zs"},
                {"Spacing_Mark", "Mc"},
                {"Symbol", "S"},
                {"Titlecase_Letter", "Lt"},
                {"Unassigned", "Cn"},
                {"Uppercase_Letter", "Lu"},
                {"LC", "L&"},
                {"Surrogate", "Cs"},
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (str_eq(name, str_of(names[i][0])))
                        return names[i][1];
        }
        return NULL;
}

/* Behind \p or \P: {Name} or {Property=Value}. */
static bool property(struct translation *t, char letter)
{
        size_t from = t->at + 1;
        char text[96];

        if (peek(t, 0) != '{')
                return fail(t, "a property without its braces");
        t->at++;
        while (is_word(peek(t, 0)) || peek(t, 0) == '=')
                t->at++;
        struct str value = str_slice(t->in, from, t->at), name;
        if (value.len == 0 || value.len > 64 || !eat(t, '}'))
                return fail(t, "a property that is none");
        bool has_name = str_find(value, '=') < value.len;
        name = has_name ? str_cut(&value, '=') : (struct str){NULL, 0};
        if (str_eq(name, STR("General_Category")) || str_eq(name, STR("gc")))
                name.len = 0;
        const char *category = name.len == 0 ? category_of(value) : NULL;
        if (category != NULL)
                value = str_of(category);
        if (name.len > 0 && !str_eq(name, STR("Script")) && !str_eq(name, STR("sc")) &&
            !str_eq(name, STR("Script_Extensions")) && !str_eq(name, STR("scx")))
                return fail(t, "a property that ECMA-262 does not know");
        const char *prefix = name.len == 0 ? "" : name.len == 2 || name.len == 6 ? "sc:" : "scx:";
        snprintf(text, sizeof(text), "\\%c{%s%.*s}", letter, prefix, STR_ARG(value));
        return put(t, text);
}

/* An escape that stands for one character. *ret_is false: for something else; the cursor has not moved. */
static bool char_escape(struct translation *t, bool *ret_is, uint32_t *ret)
{
        static const char from[] = "fnrtv", to[] = "\f\n\r\t\v";
        char c = peek(t, 0);
        const char *simple = c != '\0' ? strchr(from, c) : NULL;

        *ret_is = true;
        t->at++;
        if (simple != NULL) {
                *ret = (unsigned char)to[simple - from];
                return true;
        }
        if (c == 'x')
                return hex_fixed(t, 2, ret);
        if (c == 'u')
                return unicode_escape(t, ret);
        if (c == 'c' && (is_word(peek(t, 0)) && !is_digit(peek(t, 0)) && peek(t, 0) != '_')) {
                *ret = (uint32_t)(t->in.p[t->at++] & 0x1f);
                return true;
        }
        if (c == '0' && !is_digit(peek(t, 0))) {
                *ret = 0;
                return true;
        }
        if (c > ' ' && c < 0x7f && !is_word(c)) {
                *ret = (unsigned char)c;
                return true;
        }
        if (c == '_' || c == ' ') {
                *ret = (unsigned char)c;
                return true;
        }
        t->at--;
        *ret_is = false;
        return true;
}

/* \d \D \w \W \s \S \p \P, inside a class or not. *ret_is false: something else. */
static bool set_escape(struct translation *t, bool in_class, bool *ret_is)
{
        char c = peek(t, 0);
        char text[3] = {'\\', c, '\0'};

        *ret_is = true;
        t->at++;
        switch (c) {
        case 'd':
        case 'D':
        case 'w':
        case 'W':
                return put(t, text);
        case 's':
                return put(t, in_class ? BLANKS : "[" BLANKS "]");
        case 'S':
                return put(t, in_class ? NOT_BLANKS : "[" NOT_BLANKS "]");
        case 'p':
        case 'P':
                return property(t, c);
        default:
                t->at--;
                *ret_is = false;
                return true;
        }
}

/* One member of a class: a character, or a set that was written already (*ret_set). */
static bool class_atom(struct translation *t, bool *ret_set, uint32_t *ret)
{
        bool is;

        *ret_set = false;
        if (!eat(t, '\\')) {
                size_t len = utf8_decode(t->in.p + t->at, t->in.len - t->at, ret);
                t->at += len;
                return len > 0 || fail(t, "bytes that are not UTF-8");
        }
        if (!more(t))
                return fail(t, "a backslash with nothing behind it");
        if (eat(t, 'b')) {
                *ret = 8;
                return true;
        }
        if (!set_escape(t, true, ret_set) || *ret_set)
                return *ret_set && t->code == ERR_OK;
        if (!char_escape(t, &is, ret))
                return false;
        return is || fail(t, "an escape that ECMA-262 does not know");
}

/* A member, or a range of which it is the lower end. */
static bool class_member(struct translation *t)
{
        uint32_t low, high;
        bool low_set, high_set;

        if (!class_atom(t, &low_set, &low))
                return false;
        if (peek(t, 0) != '-' || peek(t, 1) == ']' || t->at + 1 >= t->in.len)
                return low_set || put_char(t, low);
        t->at++;
        if (low_set)
                return fail(t, "a range that begins with a set");
        if (!class_atom(t, &high_set, &high))
                return false;
        if (high_set)
                return fail(t, "a range that ends with a set");
        if (low > high)
                return fail(t, "a range whose end is before its beginning");
        return put_char(t, low) && put(t, "-") && put_char(t, high);
}

/* Behind '['. */
static bool class(struct translation *t)
{
        bool negated = eat(t, '^');

        t->atom = true;
        if (eat(t, ']')) /* nothing at all, or anything */
                return put(t, negated ? "[\\x{0}-\\x{10FFFF}]" : "(?!)");
        if (!put(t, negated ? "[^" : "["))
                return false;
        while (!eat(t, ']')) {
                if (!more(t))
                        return fail(t, "a class without its ]");
                if (!class_member(t))
                        return false;
        }
        return put(t, "]");
}

/* <name> at the cursor, written as it is. */
static bool group_name(struct translation *t)
{
        size_t from = t->at;
        char text[NAME_MAX_LEN + 3];

        if (!eat(t, '<'))
                return fail(t, "a reference without a name");
        while (is_word(peek(t, 0)))
                t->at++;
        size_t len = t->at - from - 1;
        if (len == 0 || len > NAME_MAX_LEN || is_digit(t->in.p[from + 1]) || !eat(t, '>'))
                return fail(t, "a group name that is not 1 to 32 ASCII letters, digits or _");
        snprintf(text, sizeof(text), "%.*s", (int)(len + 2), t->in.p + from);
        return put(t, text);
}

/* Behind '('. */
static bool group(struct translation *t)
{
        static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!"};

        t->atom = false;
        if (peek(t, 0) != '?')
                return put(t, "(");
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (str_starts(str_slice(t->in, t->at, t->in.len), str_of(kinds[i]))) {
                        t->at += strlen(kinds[i]);
                        return put(t, "(") && put(t, kinds[i]);
                }
        }
        t->at++;
        if (peek(t, 0) != '<')
                return fail(t, "a group of a kind that ECMA-262 does not know");
        return put(t, "(?") && group_name(t);
}

static bool back_reference(struct translation *t)
{
        uint32_t number = 0;
        char text[24];

        while (is_digit(peek(t, 0)) && number < 10000)
                number = number * 10 + (uint32_t)(t->in.p[t->at++] - '0');
        t->refers = true;
        snprintf(text, sizeof(text), "\\g{%u}", number);
        return put(t, text);
}

/* Behind a backslash that is in no class. */
static bool escape(struct translation *t)
{
        uint32_t c;
        bool is;

        if (!more(t))
                return fail(t, "a backslash with nothing behind it");
        t->atom = true;
        if (peek(t, 0) == 'b' || peek(t, 0) == 'B') {
                t->atom = false;
                return put(t, eat(t, 'b') ? "\\b" : (t->at++, "\\B"));
        }
        if (peek(t, 0) >= '1' && peek(t, 0) <= '9')
                return back_reference(t);
        if (eat(t, 'k')) {
                t->refers = true;
                return put(t, "\\k") && group_name(t);
        }
        if (!set_escape(t, false, &is) || is)
                return t->code == ERR_OK;
        if (!char_escape(t, &is, &c))
                return false;
        return is ? put_char(t, c) : fail(t, "an escape that ECMA-262 does not know");
}

static bool count(struct translation *t, uint32_t *ret)
{
        uint32_t value = 0;
        size_t from = t->at;

        while (is_digit(peek(t, 0))) {
                value = value > REPEAT_MAX ? value : value * 10 + (uint32_t)(t->in.p[t->at] - '0');
                t->at++;
        }
        *ret = value;
        return t->at > from;
}

/* {n}, {n,} or {n,m} at the cursor; else the cursor stays, and a brace is a brace. */
static bool braces(struct translation *t, bool *ret_is)
{
        size_t from = t->at++;
        uint32_t low, high;
        bool open = false;
        char text[32];

        *ret_is = count(t, &low);
        high = low;
        if (*ret_is && eat(t, ','))
                open = !count(t, &high);
        *ret_is = *ret_is && eat(t, '}');
        if (!*ret_is) {
                t->at = from;
                return true;
        }
        if (low > REPEAT_MAX || (!open && high > REPEAT_MAX))
                return fail(t, "a repetition of more than 65535 times");
        if (!open && low > high)
                return fail(t, "a repetition whose end is before its beginning");
        if (low > t->repeat)
                t->repeat = low;
        snprintf(text, sizeof(text), open ? "{%u,}" : "{%u,%u}", low, high);
        return put(t, text);
}

static bool quantifier(struct translation *t, bool *ret_is)
{
        char c = peek(t, 0), text[2] = {c, '\0'};

        *ret_is = c == '*' || c == '+' || c == '?';
        if (*ret_is) {
                t->at++;
                if (!put(t, text))
                        return false;
        } else if (c == '{' && !braces(t, ret_is)) {
                return false;
        }
        if (!*ret_is)
                return true;
        if (!t->atom)
                return fail(t, "a quantifier with nothing to repeat");
        t->atom = false;
        return !eat(t, '?') || put(t, "?");
}

static bool item(struct translation *t)
{
        char c = t->in.p[t->at], text[2] = {c, '\0'};
        uint32_t code_point;

        switch (c) {
        case '\\':
                t->at++;
                return escape(t);
        case '[':
                t->at++;
                return class(t);
        case '(':
                t->at++;
                return group(t);
        case ')':
                t->at++;
                t->atom = true;
                return put(t, ")");
        case '|':
        case '^':
        case '$':
                t->at++;
                t->atom = false;
                return put(t, text);
        case '.':
                t->at++;
                t->atom = true;
                return put(t, "[^\\n\\r\\x{2028}\\x{2029}]");
        default:
                break;
        }
        size_t len = utf8_decode(t->in.p + t->at, t->in.len - t->at, &code_point);
        if (len == 0)
                return fail(t, "bytes that are not UTF-8");
        t->at += len;
        t->atom = true;
        return is_word(c) ? put(t, text) : put_char(t, code_point);
}

enum err_code regex_translate(struct str pattern, struct buf *out, uint32_t *ret_repeat, bool *ret_refers,
                              struct err *err)
{
        struct translation t = {.in = pattern, .out = out, .err = err};
        bool done = false;

        while (more(&t)) {
                if (!quantifier(&t, &done) || (!done && !item(&t)))
                        return t.code;
        }
        *ret_repeat = t.repeat;
        *ret_refers = t.refers;
        return ERR_OK;
}
