/* schema/regex.c: patterns compiled by PCRE2, and matches that are counted step by step in its callouts. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "schema/regex.h"
#include "schema/schema.h"

#include <pcre2.h>
#include <stdlib.h>

enum {
        TRANSLATED_BYTES_MAX = 32 * SCHEMA_PATTERN_BYTES_MAX,
        PARENTHESES_MAX = 100,
        CHARS_A_STEP = 16,
        REFERENCE_BYTES_A_STEP = 64
};

struct regex {
        pcre2_code *code;
        uint32_t repeat; /* see regex_translate */
        bool refers;
};

struct meter {
        const struct regex *regex;
        uint64_t *steps_left;
        size_t last;
};

/* Before each item: what it was to get here. The steps are the whole bound: PCRE2's own limit starts anew at
 * each character. */
static int meter_callout(pcre2_callout_block *block, void *arg)
{
        struct meter *meter = arg;
        size_t at = block->current_position, left = block->subject_length - at;
        size_t moved = at > meter->last ? at - meter->last : 0;
        size_t repeat = meter->regex->repeat < left ? meter->regex->repeat : left;
        uint64_t cost = 1 + (moved + repeat) / CHARS_A_STEP;

        if (meter->regex->refers)
                cost += at / REFERENCE_BYTES_A_STEP;
        meter->last = at;
        if (cost > *meter->steps_left) {
                *meter->steps_left = 0;
                return PCRE2_ERROR_CALLOUT;
        }
        *meter->steps_left -= cost;
        return 0;
}

static enum err_code compile_context(pcre2_compile_context **ret, struct err *err)
{
        pcre2_compile_context *context = pcre2_compile_context_create(NULL);

        if (context == NULL)
                return err_nomem(err);
        pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        *ret = context;
        return ERR_OK;
}

static enum err_code compile_code(struct str text, struct regex *regex, struct err *err)
{
        const uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                                 PCRE2_MATCH_UNSET_BACKREF | PCRE2_AUTO_CALLOUT | PCRE2_NEVER_BACKSLASH_C;
        pcre2_compile_context *context = NULL;
        unsigned char reason[160];
        int error;
        PCRE2_SIZE at;
        enum err_code code = compile_context(&context, err);

        if (code != ERR_OK)
                return code;
        regex->code = pcre2_compile((PCRE2_SPTR)text.p, text.len, options, &error, &at, context);
        pcre2_compile_context_free(context);
        if (regex->code != NULL)
                return ERR_OK;
        if (error == PCRE2_ERROR_HEAP_FAILED)
                return err_nomem(err);
        if (pcre2_get_error_message(error, reason, sizeof(reason)) < 0)
                reason[0] = '\0';
        return err_set(err, ERR_UNPROCESSABLE, "%s", (const char *)reason);
}

enum err_code regex_compile(struct str pattern, struct regex **ret, struct err *err)
{
        own_buf struct buf text = {.max = TRANSLATED_BYTES_MAX};

        if (pattern.len > SCHEMA_PATTERN_BYTES_MAX)
                return err_set(err, ERR_LIMIT, "it is longer than the limit of %d bytes",
                               SCHEMA_PATTERN_BYTES_MAX);
        if (buf_reserve(&text, pattern.len + 1) != ERR_OK)
                return err_nomem(err);

        struct regex *regex = calloc(1, sizeof(*regex));
        if (regex == NULL)
                return err_nomem(err);
        enum err_code code = regex_translate(pattern, &text, &regex->repeat, &regex->refers, err);
        if (code == ERR_OK)
                code = compile_code((struct str){text.data, text.len}, regex, err);
        if (code != ERR_OK) {
                regex_free(regex);
                return code;
        }
        *ret = regex;
        return ERR_OK;
}

void regex_free(struct regex *regex)
{
        if (regex == NULL)
                return;
        pcre2_code_free(regex->code);
        free(regex);
}

static bool space_make(struct regex_space *space)
{
        if (space->context == NULL)
                space->context = pcre2_match_context_create(NULL);
        if (space->data == NULL)
                space->data = pcre2_match_data_create(1, NULL);
        if (space->context == NULL || space->data == NULL)
                return false;
        pcre2_set_heap_limit(space->context, SCHEMA_PATTERN_HEAP_KIB);
        return true;
}

void regex_space_finish(struct regex_space *space)
{
        pcre2_match_context_free(space->context);
        pcre2_match_data_free(space->data);
        *space = (struct regex_space){NULL, NULL};
}

enum regex_result regex_match(const struct regex *regex, struct str subject, struct regex_space *space,
                              uint64_t *steps_left)
{
        struct meter meter = {regex, steps_left, 0};
        uint64_t cost = 4 + subject.len / CHARS_A_STEP; /* one item may eat all of it before the meter sees */

        if (!space_make(space))
                return REGEX_NO_MEMORY;
        if (cost > *steps_left) {
                *steps_left = 0;
                return REGEX_STEPS;
        }
        *steps_left -= cost;
        pcre2_set_callout(space->context, meter_callout, &meter);
        int result = pcre2_match(regex->code, (PCRE2_SPTR)subject.p, subject.len, 0, PCRE2_NO_UTF_CHECK,
                                 space->data, space->context);
        if (result >= 0)
                return REGEX_MATCH;
        switch (result) {
        case PCRE2_ERROR_NOMATCH:
                return REGEX_NO_MATCH;
        case PCRE2_ERROR_CALLOUT:
                return REGEX_STEPS;
        case PCRE2_ERROR_NOMEMORY:
                return REGEX_NO_MEMORY;
        default:
                return REGEX_HEAP;
        }
}
