/* cli/complete.c: follows a line that is not finished through the tables, and prints how it can go on. */
#include "cli/complete.h"

#include "base/own.h"
#include "cli/resource.h"
#include "cli/runs.h"

#include <assert.h>
#include <string.h>

enum { NAME_LEN_MAX = 256 };

struct line {
        struct cli *cli;            /* its args are what stands before the cursor */
        const struct flag *pending; /* takes the word at the cursor */
        bool flags_over;            /* behind "--" */
        struct str word;            /* at the cursor */
        size_t kept;                /* how much of it stays as it is: "--output=", "a,b," */
};

static void offer(const struct line *line, struct str candidate, const char *description)
{
        struct str begun = str_slice(line->word, line->kept, line->word.len);

        if (!str_starts(candidate, begun))
                return;
        cli_say(line->cli, "%.*s%.*s%s%s\n", (int)line->kept, line->word.p, STR_ARG(candidate),
                description != NULL ? "\t" : "", description != NULL ? description : "");
}

/* Names come from the server or a file and end up in a shell: only those that need no quoting are offered. */
static bool is_harmless(struct str name)
{
        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                    (c == '\0' || strchr("._/:@+-", c) == NULL))
                        return false;
        }
        return name.len > 0 && name.len <= NAME_LEN_MAX && name.p[0] != '-';
}

static void offer_name(const struct line *line, struct str name)
{
        if (is_harmless(name))
                offer(line, name, NULL);
}

static void keep_flag(struct args *args, const struct flag *flag, const char *value)
{
        if (args->given_count == ARGS_VALUES_MAX)
                return;
        args->given[args->given_count].flag = flag;
        args->given[args->given_count++].value = value;
}

/* A flag before the cursor: it is kept for the settings, or waits for its value. */
static void take_flag(struct line *line, const char *word)
{
        struct args *args = &line->cli->args;
        const struct command *command = args_command(args);
        const char *value = strchr(word, '=');
        struct str name = {word + 2, value != NULL ? (size_t)(value - word) - 2 : strlen(word + 2)};
        const struct flag *flag =
                word[1] == '-' ? flag_find(command, name, '\0') : flag_find(command, STR(""), word[1]);

        if (flag == NULL)
                return;
        if (word[1] != '-' && word[2] != '\0')
                value = word + 1 + (word[2] == '=');
        if (value != NULL)
                keep_flag(args, flag, value + 1);
        else if (flag->type == FLAG_BOOL)
                keep_flag(args, flag, "true");
        else
                line->pending = flag;
}

static void take_word(struct line *line, const char *word)
{
        struct args *args = &line->cli->args;
        const struct command *child =
                args->count == 0 ? command_in(args_command(args)->commands, word) : NULL;

        if (args->depth == 1 && args->count == 0 && strcmp(word, "help") == 0)
                return; /* "help create" goes on as "create" does */
        if (child != NULL && args->depth < ARGS_COMMAND_DEPTH_MAX)
                args->path[args->depth++] = child;
        else if (args->count < ARGS_VALUES_MAX)
                args->values[args->count++] = word;
}

static void take_words(struct line *line, int count, char *const words[])
{
        for (int i = 0; i < count; i++) {
                if (line->pending != NULL) {
                        keep_flag(&line->cli->args, line->pending, words[i]);
                        line->pending = NULL;
                } else if (!line->flags_over && strcmp(words[i], "--") == 0) {
                        line->flags_over = true;
                } else if (!line->flags_over && words[i][0] == '-' && words[i][1] != '\0') {
                        take_flag(line, words[i]);
                } else {
                        take_word(line, words[i]);
                }
        }
}

static void offer_words(const struct line *line, const char *words)
{
        struct str rest = str_of(words);

        while (rest.len > 0)
                offer(line, str_cut(&rest, ' '), NULL);
}

static void offer_contexts(const struct line *line)
{
        const char *name;
        json_t *context;
        struct err err;

        if (cli_read_config(line->cli, &err) != ERR_OK)
                return;
        json_object_foreach(config_contexts(&line->cli->config), name, context)
                offer_name(line, str_of(name));
}

/* The names in what a GET of the path answers; nothing if it does not in time. */
static void offer_listed(const struct line *line, const char *path)
{
        struct call call = {.method = "GET", .path = path, .timeout_ms = COMPLETE_TIMEOUT_MS};
        own_json json_t *list = NULL;
        struct err err;

        if (cli_read_settings(line->cli, &err) != ERR_OK || cli_call(line->cli, &call, &list, &err) != ERR_OK)
                return;
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *item = json_array_get(list, i);
                struct str name = json_str(item, "name");
                offer_name(line, name.p != NULL ? name : json_str(json_object_get(item, "meta"), "name"));
        }
}

static void offer_names(const struct line *line, const struct resource *resource)
{
        const char *path;
        struct err err;

        if (client_path(&line->cli->arena, resource_model(resource)->collection, NULL, &path, &err) == ERR_OK)
                offer_listed(line, path);
}

static void offer_runs(const struct line *line)
{
        const struct args *args = &line->cli->args;
        const char *path;
        struct err err;

        if (runs_path(line->cli, args->count > 0 ? args->values[0] : NULL, NULL, runs_since_ever_s, &path,
                      &err) == ERR_OK)
                offer_listed(line, path);
}

/* Returns what the shell shall add. */
static const char *offer_source(const struct line *line, struct complete_source source)
{
        switch (source.kind) {
        case COMPLETE_FILES:
                return "files";
        case COMPLETE_FOLDERS:
                return "folders";
        case COMPLETE_WORDS:
                offer_words(line, source.words);
                break;
        case COMPLETE_CONTEXTS:
                offer_contexts(line);
                break;
        case COMPLETE_NAMES:
                offer_names(line, source.resource);
                break;
        case COMPLETE_RUNS:
                offer_runs(line);
                break;
        case COMPLETE_NOTHING:
                break;
        }
        return "none";
}

static const char *offer_value(struct line *line, const struct flag *flag)
{
        /* A list goes on behind its last comma. */
        for (size_t i = line->kept; flag->type == FLAG_STRINGS && i < line->word.len; i++) {
                if (line->word.p[i] == ',')
                        line->kept = i + 1;
        }
        return offer_source(line, complete_flag(flag));
}

static void offer_flags_of(const struct line *line, const struct flag *table)
{
        char name[NAME_LEN_MAX];

        for (const struct flag *flag = table; flag != NULL && flag->name != NULL; flag++) {
                snprintf(name, sizeof(name), "--%s", flag->name);
                if (!flag->hidden)
                        offer(line, str_of(name), flag->help);
        }
}

/* At a word that begins with a dash. */
static const char *offer_flag(struct line *line)
{
        const struct command *command = args_command(&line->cli->args);
        size_t equals = str_find(line->word, '=');

        if (equals < line->word.len && str_starts(line->word, STR("--"))) {
                const struct flag *flag = flag_find(command, str_slice(line->word, 2, equals), '\0');
                line->kept = equals + 1;
                if (flag != NULL && flag->type == FLAG_BOOL)
                        offer_words(line, "true false");
                return flag != NULL ? offer_value(line, flag) : "none";
        }
        offer_flags_of(line, command->flags);
        offer_flags_of(line, flags_global);
        offer(line, STR("--help"), "help for this command");
        return "none";
}

/* An alias only where the name itself does not fit, so that one key is enough for either. */
static void offer_command(const struct line *line, const struct command *command)
{
        if (str_starts(str_of(command->name), line->word)) {
                offer(line, str_of(command->name), command->brief);
                return;
        }
        for (size_t i = 0; i < sizeof(command->aliases) / sizeof(command->aliases[0]); i++) {
                if (command->aliases[i] != NULL)
                        offer(line, str_of(command->aliases[i]), command->brief);
        }
}

static const char *offer_word(struct line *line)
{
        const struct args *args = &line->cli->args;
        const struct command *command = args_command(args);

        if (args->count == 0) {
                for (const struct command *child = command->commands; child != NULL && child->name != NULL;
                     child++)
                        offer_command(line, child);
        }
        if (args->depth == 1 && args->count == 0)
                offer(line, STR("help"), "Help for a command");
        return args->count < command->args_max ? offer_source(line, complete_argument(command, args->count))
                                               : "none";
}

void complete_line(struct cli *cli, int count, char *const words[])
{
        struct line line = {.cli = cli};
        const char *more;

        cli->args = (struct args){.path = {&cli_commands}, .depth = 1};
        line.word = str_of(count > 0 ? words[count - 1] : "");
        take_words(&line, count - 1, words);
        if (line.pending != NULL)
                more = offer_value(&line, line.pending);
        else if (!line.flags_over && str_starts(line.word, STR("-")))
                more = offer_flag(&line);
        else
                more = offer_word(&line);
        cli_say(cli, ":%s\n", more);
}
