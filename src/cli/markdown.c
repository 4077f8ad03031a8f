/* cli/markdown.c: the tree of commands as the reference in docs/cli.md, which a test compares with this. */
#include "cli/flags.h"

#include <string.h>

static const char *type_word(enum flag_type type)
{
        static const char *const words[FLAG_TYPE_COUNT] = {
                [FLAG_BOOL] = "",          [FLAG_STRING] = " TEXT",
                [FLAG_STRINGS] = " TEXT",  [FLAG_PAIRS] = " NAME=VALUE",
                [FLAG_NUMBER] = " NUMBER", [FLAG_DURATION] = " DURATION",
        };

        return words[type];
}

/* A bar would end a table's cell. */
static void print_cell(FILE *out, const char *text)
{
        for (const char *at = text; *at != '\0'; at++)
                fprintf(out, *at == '|' ? "\\%c" : "%c", *at);
}

static bool has_visible(const struct flag *flags)
{
        for (const struct flag *flag = flags; flag != NULL && flag->name != NULL; flag++) {
                if (!flag->hidden)
                        return true;
        }
        return false;
}

static void print_flags(FILE *out, const struct flag *flags)
{
        if (!has_visible(flags))
                return;
        fprintf(out, "| flag | default | what it does |\n| --- | --- | --- |\n");
        for (const struct flag *flag = flags; flag->name != NULL; flag++) {
                if (flag->hidden)
                        continue;
                fprintf(out, "| `");
                if (flag->letter != '\0')
                        fprintf(out, "-%c`, `", flag->letter);
                fprintf(out, "--%s%s` | %s%s%s | ", flag->name, type_word(flag->type),
                        flag->initial != NULL ? "`" : "", flag->initial != NULL ? flag->initial : "",
                        flag->initial != NULL ? "`" : "");
                print_cell(out, flag->help);
                fprintf(out, " |\n");
        }
        fprintf(out, "\n");
}

static void print_aliases(FILE *out, const struct command *command)
{
        const char *before = "Also: ";

        for (size_t i = 0; i < sizeof(command->aliases) / sizeof(command->aliases[0]); i++) {
                if (command->aliases[i] == NULL)
                        continue;
                fprintf(out, "%s`%s`", before, command->aliases[i]);
                before = ", ";
        }
        if (before[0] == ',')
                fprintf(out, "\n\n");
}

static void print_usage(FILE *out, const struct command *command, const char *path)
{
        fprintf(out, "```\n");
        if (command->run != NULL)
                fprintf(out, "%s%s%s [flags]\n", path,
                        command->args != NULL && command->args[0] != '\0' ? " " : "",
                        command->args != NULL ? command->args : "");
        if (command->commands != NULL)
                fprintf(out, "%s [command]\n", path);
        fprintf(out, "```\n\n");
}

static void print_one(FILE *out, const struct command *command, const char *path, int depth)
{
        fprintf(out, "%s %s\n\n%s\n\n", depth == 1 ? "##" : "###", path,
                command->text != NULL ? command->text : command->brief);
        print_usage(out, command, path);
        print_aliases(out, command);
        if (command->example != NULL)
                fprintf(out, "```\n%s\n```\n\n", command->example);
        print_flags(out, command->flags);
}

/* Never deeper than the tables are. */
static void print_children(FILE *out, const struct command *parent, const char *path, int depth)
{
        char child_path[160];

        for (const struct command *command = parent->commands; command != NULL && command->name != NULL;
             command++) {
                snprintf(child_path, sizeof(child_path), "%s %s", path, command->name);
                print_one(out, command, child_path, depth);
                if (depth < ARGS_COMMAND_DEPTH_MAX)
                        print_children(out, command, child_path, depth + 1);
        }
}

void help_markdown(FILE *out, const struct command *root)
{
        print_children(out, root, root->name, 1);
        fprintf(out, "## Flags of every command\n\n");
        print_flags(out, flags_global);
}
