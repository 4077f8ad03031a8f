/*
 * model/yaml_scalar.c: plain scalars by the core schema of YAML 1.2 (chapter 10.3), less its reading of 0123
 * as a decimal number, which YAML 1.1 reads as an octal one.
 */
#include "model/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/yaml.h"

static bool is_one_of(struct str text, const char *const *words)
{
        for (; *words != NULL; words++)
                if (str_eq(text, str_of(*words)))
                        return true;
        return false;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static size_t count_digits(struct str text, size_t from)
{
        size_t i = from;

        while (i < text.len && is_digit(text.p[i]))
                i++;
        return i - from;
}

/* 0x1f, 0o17. */
static bool is_based(struct str text)
{
        bool hex = str_starts(text, STR("0x"));

        if ((!hex && !str_starts(text, STR("0o"))) || text.len < 3)
                return false;
        for (size_t i = 2; i < text.len; i++) {
                char c = text.p[i] | 0x20;
                if (!(hex ? is_digit(text.p[i]) || (c >= 'a' && c <= 'f')
                          : text.p[i] >= '0' && text.p[i] <= '7'))
                        return false;
        }
        return true;
}

/* [-+]? ( \. digits | digits ( \. digits* )? ) ( [eE] [-+]? digits )?, no zero before other digits. */
static bool is_number(struct str text, bool *ret_real)
{
        size_t at = text.len > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
        size_t whole = count_digits(text, at), fraction = 0;

        if (whole > 1 && text.p[at] == '0')
                return false;
        at += whole;
        *ret_real = false;
        if (at < text.len && text.p[at] == '.') {
                *ret_real = true;
                fraction = count_digits(text, ++at);
                at += fraction;
        }
        if (whole + fraction == 0)
                return false;
        if (at < text.len && (text.p[at] | 0x20) == 'e') {
                *ret_real = true;
                at++;
                if (at < text.len && (text.p[at] == '-' || text.p[at] == '+'))
                        at++;
                size_t digits = count_digits(text, at);
                if (digits == 0)
                        return false;
                at += digits;
        }
        return at == text.len;
}

enum yaml_scalar yaml_scalar_kind(struct str text)
{
        static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
        static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
        bool real = false;

        if (is_one_of(text, nulls))
                return YAML_SCALAR_NULL;
        if (is_one_of(text, bools))
                return YAML_SCALAR_BOOL;
        if (is_based(text))
                return YAML_SCALAR_INTEGER;
        if (is_number(text, &real))
                return real ? YAML_SCALAR_REAL : YAML_SCALAR_INTEGER;
        return YAML_SCALAR_STRING;
}

static enum err_code out_of_range(struct str text, struct err *err)
{
        return err_set(err, ERR_INVALID, "number out of range: %.40s", text.p);
}

static enum err_code integer_value(struct str text, json_t **ret, struct err *err)
{
        char digits[72];
        char *end;
        bool octal = str_starts(text, STR("0o"));

        if (text.len >= sizeof(digits))
                return out_of_range(text, err);
        memcpy(digits, text.p, text.len);
        digits[text.len] = '\0';
        errno = 0;
        long long number = octal ? strtoll(digits + 2, &end, 8)
                                 : strtoll(digits, &end, str_starts(text, STR("0x")) ? 16 : 10);
        if (errno == ERANGE || *end != '\0')
                return out_of_range(text, err);
        *ret = json_integer(number);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code real_value(struct str text, json_t **ret, struct err *err)
{
        char digits[400];

        if (text.len >= sizeof(digits))
                return out_of_range(text, err);
        memcpy(digits, text.p, text.len);
        digits[text.len] = '\0';
        double number = strtod(digits, NULL);
        if (!isfinite(number))
                return out_of_range(text, err);
        *ret = json_real(number);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

enum err_code yaml_scalar_value(struct str text, enum yaml_scalar kind, json_t **ret, struct err *err)
{
        switch (kind) {
        case YAML_SCALAR_INTEGER:
                return integer_value(text, ret, err);
        case YAML_SCALAR_REAL:
                return real_value(text, ret, err);
        case YAML_SCALAR_NULL:
                *ret = json_null();
                return ERR_OK;
        case YAML_SCALAR_BOOL:
                *ret = json_boolean((text.p[0] | 0x20) == 't');
                return ERR_OK;
        case YAML_SCALAR_STRING:
                break;
        }
        if (memchr(text.p, '\0', text.len) != NULL)
                return err_set(err, ERR_INVALID, "NUL in a string");
        *ret = json_of(text);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

/* What YAML 1.1 reads as booleans beyond the core schema, and the keys and values that it gives a meaning. */
static bool is_word_of_1_1(struct str text)
{
        static const char *const words[] = {"y",  "Y",  "yes", "Yes", "YES", "n",   "N",  "no", "No", "NO",
                                            "on", "On", "ON",  "off", "Off", "OFF", "<<", "=",  NULL};

        return is_one_of(text, words);
}

/* Dates, times, 0123, 1_000, 0b1, 1:30, .inf: for safety everything that begins as a number and has only the
 * characters of one; a text with several dots (an address, a version) is none. */
static bool is_number_of_1_1(struct str text)
{
        size_t dots = 0, colons = 0;
        size_t sign = text.len > 0 && strchr("+-.", text.p[0]) != NULL ? 1 : 0;

        if (text.len > sign && (str_eq_nocase(str_slice(text, sign, text.len), STR("inf")) ||
                                str_ends(text, STR(".inf")) || str_eq_nocase(text, STR(".nan"))))
                return true;
        if (text.len <= sign || !is_digit(text.p[sign]))
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] == '\0' || strchr("0123456789abcdefABCDEFxXoOtTzZ_+-.: ", text.p[i]) == NULL)
                        return false;
                dots += text.p[i] == '.';
                colons += text.p[i] == ':';
        }
        return dots < 2 || colons > 0;
}

bool yaml_is_plain_string(struct str text)
{
        return yaml_scalar_kind(text) == YAML_SCALAR_STRING && !is_word_of_1_1(text) &&
               !is_number_of_1_1(text);
}
