/*
 * cli/flags.c: from a command line to a command, its flags and its arguments. Two passes: the first follows
 * command names down the tree, the second reads flags by the table of the command that was found, so that a
 * flag may stand before the command's name.
 */
#include "cli/flags.h"

#include <assert.h>
#include <string.h>

static const struct flag flag_help = {"help", 'h', FLAG_BOOL, NULL, "help for this command", false};

static const struct flag *flag_in(const struct flag *table, struct str name, char letter)
{
        for (const struct flag *flag = table; flag != NULL && flag->name != NULL; flag++) {
                if (letter != '\0' ? flag->letter == letter : str_eq(str_of(flag->name), name))
                        return flag;
        }
        return NULL;
}

const struct flag *flag_find(const struct command *command, struct str name, char letter)
{
        const struct flag *flag = flag_in(command->flags, name, letter);

        if (flag == NULL)
                flag = flag_in(flags_global, name, letter);
        if (flag == NULL && (letter == 'h' || str_eq(name, STR("help"))))
                flag = &flag_help;
        return flag;
}

static bool command_is(const struct command *command, const char *word)
{
        if (strcmp(command->name, word) == 0)
                return true;
        for (size_t i = 0; i < sizeof(command->aliases) / sizeof(command->aliases[0]); i++) {
                if (command->aliases[i] != NULL && strcmp(command->aliases[i], word) == 0)
                        return true;
        }
        return false;
}

const struct command *command_in(const struct command *table, const char *word)
{
        for (const struct command *command = table; command != NULL && command->name != NULL; command++) {
                if (command_is(command, word))
                        return command;
        }
        return NULL;
}

/* True if the flag at `word` takes the next word as its value, as far as `command` knows it. */
static bool takes_next(const struct command *command, const char *word)
{
        const struct flag *flag;

        if (word[1] == '-')
                flag = strchr(word, '=') != NULL ? NULL : flag_find(command, str_of(word + 2), '\0');
        else
                flag = strlen(word) > 2 ? NULL : flag_find(command, STR(""), word[1]);
        return flag != NULL && flag->type != FLAG_BOOL;
}

static bool is_flag(const char *word)
{
        return word[0] == '-' && word[1] != '\0';
}

/* Follows command names; what cannot be one ends the search. */
static enum err_code find_command(const struct command *root, int argc, char *const argv[], struct args *ret,
                                  struct err *err)
{
        ret->path[0] = root;
        ret->depth = 1;
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
                const struct command *parent = args_command(ret);

                if (is_flag(argv[i])) {
                        if (takes_next(parent, argv[i]))
                                i++;
                        continue;
                }

                const struct command *child = command_in(parent->commands, argv[i]);
                if (child == NULL && ret->depth == 1)
                        return err_set(err, ERR_NOT_FOUND, "unknown command \"%s\" for \"%s\"", argv[i],
                                       root->name);
                if (child == NULL)
                        break;
                assert(ret->depth < ARGS_COMMAND_DEPTH_MAX);
                ret->path[ret->depth++] = child;
        }
        return ERR_OK;
}

static enum err_code check_value(const struct flag *flag, const char *value, struct err *err)
{
        static const char *const wants[FLAG_TYPE_COUNT] = {
                [FLAG_BOOL] = "true or false",    [FLAG_STRING] = "a text",
                [FLAG_STRINGS] = "a text",        [FLAG_PAIRS] = "NAME=VALUE",
                [FLAG_NUMBER] = "a whole number", [FLAG_DURATION] = "a duration such as 90s or 5m",
        };
        uint64_t number;
        int64_t duration_ms;
        bool boolean, good = true;

        switch (flag->type) {
        case FLAG_BOOL:
                good = flag_parse_bool(value, &boolean);
                break;
        case FLAG_PAIRS:
                good = value[0] != '=' && strchr(value, '=') != NULL;
                break;
        case FLAG_NUMBER:
                good = str_to_u64(str_of(value), &number) && number <= INT64_MAX;
                break;
        case FLAG_DURATION:
                good = flag_parse_duration_ms(value, &duration_ms);
                break;
        case FLAG_STRING:
        case FLAG_STRINGS:
        case FLAG_TYPE_COUNT:
                break;
        }
        if (good)
                return ERR_OK;
        return err_set(err, ERR_INVALID, "invalid argument \"%s\" for \"--%s\" flag: must be %s", value,
                       flag->name, wants[flag->type]);
}

static enum err_code keep_flag(struct args *ret, const struct flag *flag, const char *value, struct err *err)
{
        enum err_code code = check_value(flag, value, err);

        if (code != ERR_OK)
                return code;
        if (flag == &flag_help) {
                flag_parse_bool(value, &ret->help);
                return ERR_OK;
        }
        if (ret->given_count == ARGS_VALUES_MAX)
                return err_set(err, ERR_LIMIT, "more than %d flags", ARGS_VALUES_MAX);
        ret->given[ret->given_count].flag = flag;
        ret->given[ret->given_count++].value = value;
        return ERR_OK;
}

/* `next` is the word behind, or NULL; *used says whether it was the value. */
static enum err_code parse_long(struct args *ret, const char *word, const char *next, bool *used,
                                struct err *err)
{
        const char *equals = strchr(word, '=');
        struct str name = equals != NULL ? (struct str){word, (size_t)(equals - word)} : str_of(word);
        const struct flag *flag = name.len > 0 ? flag_find(args_command(ret), name, '\0') : NULL;

        if (flag == NULL)
                return err_set(err, ERR_INVALID, "unknown flag: --%.*s", STR_ARG(name));
        if (equals != NULL)
                return keep_flag(ret, flag, equals + 1, err);
        if (flag->type == FLAG_BOOL)
                return keep_flag(ret, flag, "true", err);
        if (next == NULL)
                return err_set(err, ERR_INVALID, "flag needs an argument: --%s", flag->name);
        *used = true;
        return keep_flag(ret, flag, next, err);
}

static enum err_code parse_letters(struct args *ret, const char *word, const char *next, bool *used,
                                   struct err *err)
{
        for (const char *at = word; *at != '\0'; at++) {
                const struct flag *flag = flag_find(args_command(ret), STR(""), *at);
                enum err_code code;

                if (flag == NULL)
                        return err_set(err, ERR_INVALID, "unknown shorthand flag: '%c' in -%s", *at, word);
                if (at[1] == '=')
                        return keep_flag(ret, flag, at + 2, err);
                if (flag->type != FLAG_BOOL && at[1] != '\0')
                        return keep_flag(ret, flag, at + 1, err);
                if (flag->type != FLAG_BOOL) {
                        if (next == NULL)
                                return err_set(err, ERR_INVALID, "flag needs an argument: '%c' in -%s", *at,
                                               word);
                        *used = true;
                        return keep_flag(ret, flag, next, err);
                }
                code = keep_flag(ret, flag, "true", err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code keep_value(struct args *ret, const char *value, int *names_left, struct err *err)
{
        if (*names_left > 0) {
                (*names_left)--;
                return ERR_OK;
        }
        if (ret->count == ARGS_VALUES_MAX)
                return err_set(err, ERR_LIMIT, "more than %d arguments", ARGS_VALUES_MAX);
        ret->values[ret->count++] = value;
        return ERR_OK;
}

enum err_code args_parse(const struct command *root, int argc, char *const argv[], struct args *ret,
                         struct err *err)
{
        *ret = (struct args){.depth = 0};
        enum err_code code = find_command(root, argc, argv, ret, err);
        int names_left = ret->depth - 1;
        bool flags_ended = false;

        for (int i = 1; i < argc && code == ERR_OK; i++) {
                const char *next = i + 1 < argc ? argv[i + 1] : NULL;
                bool used = false;

                if (flags_ended || !is_flag(argv[i]))
                        code = keep_value(ret, argv[i], &names_left, err);
                else if (strcmp(argv[i], "--") == 0)
                        flags_ended = true;
                else if (argv[i][1] == '-')
                        code = parse_long(ret, argv[i] + 2, next, &used, err);
                else
                        code = parse_letters(ret, argv[i] + 1, next, &used, err);
                i += used ? 1 : 0;
        }
        return code;
}

enum err_code args_check(const struct args *args, struct err *err)
{
        const struct command *command = args_command(args);
        int min = command->args_min, max = command->args_max, count = args->count;
        const char *instead = command->last_flag != NULL ? args_text(args, command->last_flag) : NULL;

        if (instead != NULL && instead[0] != '\0')
                min = max = min - 1;
        if (count >= min && count <= max)
                return ERR_OK;
        if (min == max)
                return err_set(err, ERR_INVALID, "accepts %d arg(s), received %d", min, count);
        if (min == 0)
                return err_set(err, ERR_INVALID, "accepts at most %d arg(s), received %d", max, count);
        return err_set(err, ERR_INVALID, "accepts between %d and %d arg(s), received %d", min, max, count);
}

bool args_knows(const struct args *args, const char *name)
{
        return flag_find(args_command(args), str_of(name), '\0') != NULL;
}

const char *args_next(const struct args *args, const char *name, int *at)
{
        assert(args_knows(args, name));
        while (*at < args->given_count) {
                int i = (*at)++;
                if (strcmp(args->given[i].flag->name, name) == 0)
                        return args->given[i].value;
        }
        return NULL;
}

const char *args_text(const struct args *args, const char *name)
{
        const char *last = NULL, *value;
        int at = 0;

        while ((value = args_next(args, name, &at)) != NULL)
                last = value;
        return last;
}

bool args_bool(const struct args *args, const char *name)
{
        const char *text = args_text(args, name);
        bool value = false;

        return text != NULL && flag_parse_bool(text, &value) && value;
}

bool args_number(const struct args *args, const char *name, int64_t *ret)
{
        const char *text = args_text(args, name);

        return text != NULL && str_to_i64(str_of(text), ret);
}

bool args_duration_ms(const struct args *args, const char *name, int64_t *ret)
{
        const char *text = args_text(args, name);

        return text != NULL && flag_parse_duration_ms(text, ret);
}

bool flag_parse_bool(const char *text, bool *ret)
{
        static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
        static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
                        *ret = strcmp(text, yes[i]) == 0;
                        return true;
                }
        }
        return false;
}

/* Reads one "NUMBER UNIT" and moves *rest behind it. */
static bool duration_part(struct str *rest, int64_t *ret_ms)
{
        static const struct {
                const char *unit;
                int64_t ms;
        } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
        size_t digits = 0, letters;
        uint64_t number;

        while (digits < rest->len && rest->p[digits] >= '0' && rest->p[digits] <= '9')
                digits++;
        letters = digits;
        while (letters < rest->len && (rest->p[letters] < '0' || rest->p[letters] > '9'))
                letters++;
        if (!str_to_u64(str_slice(*rest, 0, digits), &number) || number > INT64_MAX)
                return false;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (!str_eq(str_slice(*rest, digits, letters), str_of(units[i].unit)))
                        continue;
                *rest = str_slice(*rest, letters, rest->len);
                return !__builtin_mul_overflow((int64_t)number, units[i].ms, ret_ms);
        }
        return false;
}

bool flag_parse_duration_ms(const char *text, int64_t *ret)
{
        struct str rest = str_of(text);
        int64_t total = 0, part;

        if (str_to_i64(rest, &total))
                return total >= 0 && !__builtin_mul_overflow(total, (int64_t)1000, ret);
        total = 0;
        if (rest.len == 0)
                return false;
        while (rest.len > 0) {
                if (!duration_part(&rest, &part) || __builtin_add_overflow(total, part, &total))
                        return false;
        }
        *ret = total;
        return true;
}

void args_path_text(const struct args *args, char *out, size_t size)
{
        size_t used = 0;

        assert(size > 0);
        out[0] = '\0';
        for (int i = 0; i < args->depth && used < size; i++)
                used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? " " : "",
                                         args->path[i]->name);
}
