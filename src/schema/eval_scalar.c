/* schema/eval_scalar.c: keywords about any value, numbers and strings. */
#include "schema/run.h"
#include "schema/utf8.h"

#include <stdio.h>
#include <string.h>

static unsigned type_of(const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return TYPE_OBJECT;
        case JSON_ARRAY:
                return TYPE_ARRAY;
        case JSON_STRING:
                return TYPE_STRING;
        case JSON_INTEGER:
                return TYPE_NUMBER | TYPE_INTEGER;
        case JSON_REAL:
                return number_is_whole(value) ? TYPE_NUMBER | TYPE_INTEGER : TYPE_NUMBER;
        case JSON_TRUE:
        case JSON_FALSE:
                return TYPE_BOOLEAN;
        case JSON_NULL:
                break;
        }
        return TYPE_NULL;
}

static const char *type_name(unsigned type)
{
        static const char *const names[] = {"null",   "boolean", "object", "array",
                                            "number", "string",  "integer"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (type == 1U << i)
                        return names[i];
        }
        return "integer"; /* a number that is whole */
}

enum verdict eval_type(struct run *run, const struct frame *frame, const struct rule *rule)
{
        unsigned is = type_of(frame->value);
        char wanted[80] = "";
        size_t at = 0;

        if ((is & rule->u.types) != 0)
                return VALID;
        for (unsigned bit = 1; bit <= TYPE_INTEGER; bit <<= 1) {
                if ((rule->u.types & bit) != 0)
                        at += (size_t)snprintf(wanted + at, sizeof(wanted) - at, "%s%s", at > 0 ? " or " : "",
                                               type_name(bit));
        }
        return run_violate(run, frame, rule, "it must be of type %s, not %s", wanted, type_name(is));
}

enum verdict eval_const(struct run *run, const struct frame *frame, const struct rule *rule)
{
        enum verdict verdict = equal(run, frame->value, rule->u.value, 0);

        return verdict != INVALID ? verdict
                                  : run_violate(run, frame, rule, "it must be the one value that is allowed");
}

enum verdict eval_enum(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(rule->u.value);

        for (size_t i = 0; i < count; i++) {
                enum verdict verdict = equal(run, frame->value, json_array_get(rule->u.value, i), 0);
                if (verdict != INVALID)
                        return verdict;
        }
        return run_violate(run, frame, rule, "it must be one of the %zu values that are allowed", count);
}

static void number_text(const json_t *number, char text[32])
{
        if (json_is_integer(number))
                snprintf(text, 32, "%lld", (long long)json_integer_value(number));
        else
                snprintf(text, 32, "%.15g", json_real_value(number));
}

enum verdict eval_multiple(struct run *run, const struct frame *frame, const struct rule *rule)
{
        if (!json_is_number(frame->value) || number_is_multiple(frame->value, rule->u.divisor))
                return VALID;
        return run_violate(run, frame, rule, "it must be a multiple of %llue%d",
                           (unsigned long long)rule->u.divisor.digits, rule->u.divisor.exponent);
}

enum verdict eval_bound(struct run *run, const struct frame *frame, const struct rule *rule)
{
        char text[32];

        if (!json_is_number(frame->value))
                return VALID;
        int order = number_compare(frame->value, rule->u.value);
        bool below = rule->keyword == KEYWORD_MAXIMUM || rule->keyword == KEYWORD_EXCLUSIVE_MAXIMUM;
        bool open = rule->keyword == KEYWORD_EXCLUSIVE_MINIMUM || rule->keyword == KEYWORD_EXCLUSIVE_MAXIMUM;
        if ((below ? order < 0 : order > 0) || (!open && order == 0))
                return VALID;
        number_text(rule->u.value, text);
        return run_violate(run, frame, rule, "it must be %s %s",
                           below  ? open ? "less than" : "at most"
                           : open ? "greater than"
                                  : "at least",
                           text);
}

enum verdict eval_length(struct run *run, const struct frame *frame, const struct rule *rule)
{
        bool max = rule->keyword == KEYWORD_MAX_LENGTH;
        size_t len = json_string_length(frame->value);

        if (!json_is_string(frame->value))
                return VALID;
        if (!run_step(run, len / 64))
                return STOPPED;
        size_t count = utf8_count(json_string_value(frame->value), len);
        if (max ? count <= rule->u.limit : count >= rule->u.limit)
                return VALID;
        return run_violate(run, frame, rule, "it must have %s %llu characters, and has %zu",
                           max ? "at most" : "at least", (unsigned long long)rule->u.limit, count);
}

enum verdict eval_format(struct run *run, const struct frame *frame, const struct rule *rule)
{
        struct str text = {json_string_value(frame->value), json_string_length(frame->value)};

        if (rule->u.format == FORMAT_ANY || !json_is_string(frame->value))
                return VALID;
        if (!run_step(run, 1 + text.len / 8))
                return STOPPED;
        if (format_valid(rule->u.format, text))
                return VALID;
        return run_violate(run, frame, rule, "it must be of the format %s", format_name(rule->u.format));
}

enum verdict eval_pattern(struct run *run, const struct frame *frame, const struct rule *rule)
{
        struct str text = {json_string_value(frame->value), json_string_length(frame->value)};

        if (!json_is_string(frame->value))
                return VALID;
        enum verdict verdict = run_match(run, rule->u.regex, text);
        return verdict != INVALID ? verdict : run_violate(run, frame, rule, "it does not match the pattern");
}
