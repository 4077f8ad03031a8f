/* cli/help.c: help and usage texts from the tables of commands, in the layout that cobra made familiar. */
#include "cli/flags.h"

#include <assert.h>
#include <string.h>

enum { LINE_MAX_LEN = 160 };

static void print_usage_lines(FILE *out, const struct args *args, const char *path)
{
        const struct command *command = args_command(args);

        fprintf(out, "Usage:\n");
        if (command->run != NULL)
                fprintf(out, "  %s%s%s [flags]\n", path, command->args != NULL ? " " : "",
                        command->args != NULL ? command->args : "");
        if (command->commands != NULL)
                fprintf(out, "  %s [command]\n", path);
}

static void print_aliases(FILE *out, const struct command *command)
{
        if (command->aliases[0] == NULL)
                return;
        fprintf(out, "\nAliases:\n  %s", command->name);
        for (size_t i = 0; i < sizeof(command->aliases) / sizeof(command->aliases[0]); i++) {
                if (command->aliases[i] != NULL)
                        fprintf(out, ", %s", command->aliases[i]);
        }
        fprintf(out, "\n");
}

static void print_commands(FILE *out, const struct command *table)
{
        int width = 11;

        for (const struct command *command = table; command->name != NULL; command++) {
                if ((int)strlen(command->name) > width)
                        width = (int)strlen(command->name);
        }
        fprintf(out, "\nAvailable Commands:\n");
        for (const struct command *command = table; command->name != NULL; command++)
                fprintf(out, "  %-*s %s\n", width, command->name, command->brief);
}

static const char *type_name(const struct flag *flag)
{
        static const char *const names[FLAG_TYPE_COUNT] = {
                [FLAG_BOOL] = "",      [FLAG_STRING] = " string", [FLAG_STRINGS] = " strings",
                [FLAG_PAIRS] = " k=v", [FLAG_NUMBER] = " int",    [FLAG_DURATION] = " duration",
        };

        assert(flag->type < FLAG_TYPE_COUNT);
        return names[flag->type];
}

/* "  -m, --method strings" */
static void flag_head(const struct flag *flag, char *out, size_t size)
{
        char letter[8] = "    ";

        if (flag->letter != '\0')
                snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        snprintf(out, size, "  %s--%s%s", letter, flag->name, type_name(flag));
}

static size_t widest_flag(const struct flag *table)
{
        char head[LINE_MAX_LEN];
        size_t width = 0;

        for (const struct flag *flag = table; flag != NULL && flag->name != NULL; flag++) {
                if (flag->hidden)
                        continue;
                flag_head(flag, head, sizeof(head));
                width = strlen(head) > width ? strlen(head) : width;
        }
        return width;
}

static void print_flag(FILE *out, const struct flag *flag, size_t width)
{
        char head[LINE_MAX_LEN];

        if (flag->hidden)
                return;
        flag_head(flag, head, sizeof(head));
        fprintf(out, "%-*s   %s", (int)width, head, flag->help);
        if (flag->initial != NULL && flag->type != FLAG_NUMBER && flag->type != FLAG_DURATION)
                fprintf(out, " (default \"%s\")", flag->initial);
        else if (flag->initial != NULL)
                fprintf(out, " (default %s)", flag->initial);
        fprintf(out, "\n");
}

static void print_flags(FILE *out, const char *title, const struct flag *table, const struct command *own)
{
        char text[LINE_MAX_LEN];
        struct flag help = {"help", 'h', FLAG_BOOL, NULL, text, false};
        size_t width = widest_flag(table);

        if (width < sizeof("  -h, --help") - 1)
                width = sizeof("  -h, --help") - 1;
        fprintf(out, "\n%s:\n", title);
        for (const struct flag *flag = table; flag != NULL && flag->name != NULL; flag++)
                print_flag(out, flag, width);
        if (own != NULL) {
                snprintf(text, sizeof(text), "help for %s", own->name);
                print_flag(out, &help, width);
        }
}

void usage_print(FILE *out, const struct args *args)
{
        const struct command *command = args_command(args);
        char path[LINE_MAX_LEN];

        args_path_text(args, path, sizeof(path));
        print_usage_lines(out, args, path);
        print_aliases(out, command);
        if (command->example != NULL)
                fprintf(out, "\nExamples:\n%s\n", command->example);
        if (command->commands != NULL)
                print_commands(out, command->commands);
        if (args->depth > 1)
                print_flags(out, "Flags", command->flags, command);
        print_flags(out, args->depth > 1 ? "Global Flags" : "Flags", flags_global,
                    args->depth > 1 ? NULL : command);
        if (command->commands != NULL)
                fprintf(out, "\nUse \"%s [command] --help\" for more information about a command.\n", path);
}

void help_print(FILE *out, const struct args *args)
{
        const struct command *command = args_command(args);

        fprintf(out, "%s\n\n", command->text != NULL ? command->text : command->brief);
        usage_print(out, args);
}
