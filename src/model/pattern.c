/*
 * model/pattern.c: the contract's regular expressions as small matchers. Written by hand because they run on
 * every request and because two of them use Perl's classes inside brackets, which POSIX expressions read
 * differently. \w is Go's: ASCII letters, digits and the underscore.
 */
#include "model/model.h"

#include <assert.h>

static bool is_word(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_word_or_dash(char c)
{
        return is_word(c) || c == '-';
}

static bool is_word_dash_or_dot(char c)
{
        return is_word(c) || c == '-' || c == '.';
}

static bool is_lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_lower_digit_or_dash(char c)
{
        return is_lower_or_digit(c) || c == '-';
}

/* One character of the first class, then any number of the second. */
static bool match_head_tail(struct str text, bool (*head)(char c), bool (*tail)(char c))
{
        if (text.len == 0 || !head(text.p[0]))
                return false;
        for (size_t i = 1; i < text.len; i++)
                if (!tail(text.p[i]))
                        return false;
        return true;
}

/* An alternation that is anchored at the front on its left side only, and at the end on its right side only:
 * two word characters, with words and dashes between them, at the front; or a word character at the end. */
static bool match_p1(struct str text)
{
        if (text.len == 0)
                return false;
        if (is_word(text.p[text.len - 1]))
                return true;
        if (!is_word(text.p[0]))
                return false;

        size_t i = 1;
        while (i < text.len && text.p[i] == '-')
                i++;
        return i < text.len && is_word(text.p[i]);
}

static bool match_p2(struct str text)
{
        return match_head_tail(text, is_word, is_word_or_dash);
}

static bool match_p3(struct str text)
{
        return match_head_tail(text, is_word_or_dash, is_word_or_dash);
}

static bool match_p4(struct str text)
{
        return match_head_tail(text, is_word_dash_or_dot, is_word_dash_or_dot);
}

static bool match_p5(struct str text)
{
        return match_head_tail(text, is_lower_or_digit, is_lower_digit_or_dash);
}

static bool match_variable(struct str text)
{
        return match_head_tail(text, is_word, is_word) && !(text.p[0] >= '0' && text.p[0] <= '9');
}

static const struct {
        const char *text;
        bool (*match)(struct str text);
} patterns[] = {
        [MODEL_PATTERN_P1] = {"^[\\w\\d][\\w\\d\\-]*[\\w\\d]|[\\w\\d]+$", match_p1},
        [MODEL_PATTERN_P2] = {"^[\\w\\d][\\w\\d\\-]*$", match_p2},
        [MODEL_PATTERN_P3] = {"^[\\w\\d\\-]+$", match_p3},
        [MODEL_PATTERN_P4] = {"^[\\w\\d\\-\\.]+$", match_p4},
        [MODEL_PATTERN_P5] = {"^[a-z0-9][a-z0-9\\-]*$", match_p5},
        [MODEL_PATTERN_VARIABLE] = {"^[A-Za-z_][A-Za-z0-9_]*$", match_variable},
};

const char *model_pattern_text(enum model_pattern pattern)
{
        assert(pattern > MODEL_PATTERN_ANY && pattern < MODEL_PATTERN_COUNT);
        return patterns[pattern].text;
}

bool model_pattern_match(enum model_pattern pattern, struct str text)
{
        assert(pattern < MODEL_PATTERN_COUNT);
        return pattern == MODEL_PATTERN_ANY || patterns[pattern].match(text);
}

static enum err_code refuse(struct err *err, int detail)
{
        if (err != NULL)
                err->detail = detail;
        return ERR_UNPROCESSABLE;
}

/* P1 lets almost anything through; what messages and logs could not show ends here. */
static bool is_showable(struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
                        return false;
        return str_is_utf8(text);
}

/* `where` is "path" or "header". */
static enum err_code check_name(enum model_pattern pattern, const char *name, const char *where,
                                struct str value, struct err *err)
{
        if (!is_showable(value) || !model_pattern_match(pattern, value)) {
                err_set(err, ERR_UNPROCESSABLE, "%s in %s should match '%s'", name, where,
                        model_pattern_text(pattern));
                return refuse(err, 605);
        }
        if (value.len > MODEL_NAME_MAX) {
                err_set(err, ERR_UNPROCESSABLE, "%s in %s should be at most %d chars long", name, where,
                        MODEL_NAME_MAX);
                return refuse(err, 603);
        }
        return ERR_OK;
}

static enum err_code check_uuid(const char *name, struct str value, struct err *err)
{
        const struct str shown = is_showable(value) && value.len <= MODEL_NAME_MAX ? value : STR("?");

        if (uuid_valid(value))
                return ERR_OK;
        err_set(err, ERR_UNPROCESSABLE, "%s in path must be of type uuid: \"%.*s\"", name, STR_ARG(shown));
        return refuse(err, 601);
}

enum err_code model_check_path_name(const struct model_resource *resource, struct str name, struct err *err)
{
        if (resource->path_pattern == MODEL_PATTERN_ANY)
                return check_uuid(resource->parameter, name, err);
        return check_name(resource->path_pattern, resource->parameter, "path", name, err);
}

enum err_code model_check_header_name(const char *header, struct str value, struct err *err)
{
        return value.len == 0 ? ERR_OK : check_name(MODEL_PATTERN_P1, header, "header", value, err);
}
