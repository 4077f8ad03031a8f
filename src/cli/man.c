/* cli/man.c: a page for each command; `dispatch help --man FOLDER` writes them when the client is installed.
 */
#include "cli/man.h"

#include "base/own.h"
#include "base/roff.h"
#include "cli/file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 1 << 20, NAME_LEN_MAX = 160, PATH_LEN_MAX = 4096 };

/* "dispatch-create-function" */
static void page_name(const struct args *args, char *out)
{
        args_path_text(args, out, NAME_LEN_MAX);
        for (; *out != '\0'; out++)
                *out = *out == ' ' ? '-' : *out;
}

static void put_name(struct roff *roff, const struct args *args)
{
        char page[NAME_LEN_MAX], line[NAME_LEN_MAX * 3];

        page_name(args, page);
        snprintf(line, sizeof(line), "%s - %s", page, args_command(args)->brief);
        roff_heading(roff, "NAME");
        roff_text(roff, line);
}

static void put_synopsis(struct roff *roff, const struct args *args)
{
        const struct command *command = args_command(args);
        char words[NAME_LEN_MAX], text[NAME_LEN_MAX * 3];
        const char *gap = command->args != NULL && command->args[0] != '\0' ? " " : "";

        args_path_text(args, words, sizeof(words));
        roff_heading(roff, "SYNOPSIS");
        if (command->run != NULL) {
                snprintf(text, sizeof(text), "%s%s%s [flags]", words, gap,
                         command->args != NULL ? command->args : "");
                roff_text(roff, text);
        }
        if (command->run != NULL && command->commands != NULL)
                roff_text(roff, "\n\n");
        if (command->commands != NULL) {
                snprintf(text, sizeof(text), "%s COMMAND", words);
                roff_text(roff, text);
        }
}

static void put_description(struct roff *roff, const struct command *command)
{
        char aliases[NAME_LEN_MAX * 2] = "";
        size_t len = 0;

        roff_heading(roff, "DESCRIPTION");
        roff_text(roff, command->text != NULL ? command->text : command->brief);
        for (size_t i = 0; i < sizeof(command->aliases) / sizeof(command->aliases[0]); i++) {
                if (command->aliases[i] != NULL)
                        len += (size_t)snprintf(aliases + len, sizeof(aliases) - len, "%s%s",
                                                len > 0 ? ", " : "", command->aliases[i]);
                assert(len < sizeof(aliases));
        }
        if (len > 0) {
                roff_text(roff, "\n\nOther names of it:");
                roff_text(roff, aliases);
        }
}

static void put_commands(struct roff *roff, const struct command *table)
{
        if (table == NULL)
                return;
        roff_heading(roff, "COMMANDS");
        for (const struct command *command = table; command->name != NULL; command++)
                roff_item(roff, command->name, command->brief);
}

static void put_flag(struct roff *roff, const struct flag *flag)
{
        static const char *const values[FLAG_TYPE_COUNT] = {
                [FLAG_STRING] = " TEXT",   [FLAG_STRINGS] = " TEXT",      [FLAG_PAIRS] = " NAME=VALUE",
                [FLAG_NUMBER] = " NUMBER", [FLAG_DURATION] = " DURATION",
        };
        char term[NAME_LEN_MAX], text[1024], letter[8] = "";

        if (flag->hidden)
                return;
        if (flag->letter != '\0')
                snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        snprintf(term, sizeof(term), "%s--%s%s", letter, flag->name,
                 values[flag->type] != NULL ? values[flag->type] : "");
        snprintf(text, sizeof(text), "%s%s%s%s", flag->help, flag->initial != NULL ? " (default " : "",
                 flag->initial != NULL ? flag->initial : "", flag->initial != NULL ? ")" : "");
        roff_item(roff, term, text);
}

static void put_flags(struct roff *roff, const struct args *args)
{
        static const struct flag help = {"help", 'h', FLAG_BOOL, NULL, "print help", false};

        roff_heading(roff, "OPTIONS");
        for (const struct flag *flag = args->depth > 1 ? args_command(args)->flags : flags_global;
             flag != NULL && flag->name != NULL; flag++)
                put_flag(roff, flag);
        put_flag(roff, &help);
        if (args->depth > 1)
                roff_text(roff, "\n\nThe options that all commands have stand in dispatch(1).");
}

static void put_facts(struct roff *roff)
{
        roff_heading(roff, "ENVIRONMENT");
        roff_text(roff, "Each option of this page but --output and --help is also read from the environment: "
                        "DISPATCH_HOST for --host, DISPATCH_SERVICE_ACCOUNT for --service-account.");
        roff_heading(roff, "FILES");
        roff_item(roff, "~/.dispatch/config.json", "The contexts, and which one is the current.");
        roff_heading(roff, "EXIT STATUS");
        roff_text(roff, "0 if all was done, 1 if not; standard error says why.");
}

/* Dash and comma stand between the pages that lead on from here. */
static void put_see_also(struct roff *roff, const struct args *args)
{
        struct args around = *args;
        char page[NAME_LEN_MAX], text[NAME_LEN_MAX * 2];

        roff_heading(roff, "SEE ALSO");
        for (around.depth = 1; around.depth < args->depth; around.depth++) {
                page_name(&around, page);
                snprintf(text, sizeof(text), "%s(1),", page);
                roff_text(roff, text);
        }
        for (const struct command *child = args_command(args)->commands; child != NULL && child->name != NULL;
             child++) {
                page_name(args, page);
                snprintf(text, sizeof(text), "%s-%s(1),", page, child->name);
                roff_text(roff, text);
        }
        roff_text(roff, "dispatch-server(8)");
}

static enum err_code write_page(const struct args *args, const char *folder, const char *date,
                                struct err *err)
{
        own_buf struct buf page = {.max = PAGE_MAX};
        struct roff roff = {.out = &page};
        char name[NAME_LEN_MAX], path[PATH_LEN_MAX];

        page_name(args, name);
        roff_title(&roff, name, 1, date, "Dispatch");
        put_name(&roff, args);
        put_synopsis(&roff, args);
        put_description(&roff, args_command(args));
        put_commands(&roff, args_command(args)->commands);
        put_flags(&roff, args);
        if (args_command(args)->example != NULL) {
                roff_heading(&roff, "EXAMPLES");
                roff_example(&roff, args_command(args)->example);
        }
        if (args->depth == 1)
                put_facts(&roff);
        put_see_also(&roff, args);
        if (roff.code != ERR_OK)
                return err_nomem(err);
        if (snprintf(path, sizeof(path), "%s/%s.1", folder, name) >= (int)sizeof(path))
                return err_set(err, ERR_INVALID, "the folder's name is longer than %d bytes", PATH_LEN_MAX);
        return file_write(path, &page, err);
}

static enum err_code write_below(const struct args *args, const char *folder, const char *date,
                                 struct err *err)
{
        enum err_code code = write_page(args, folder, date, err);
        struct args below = *args;

        for (const struct command *child = args_command(args)->commands;
             code == ERR_OK && child != NULL && child->name != NULL; child++) {
                assert(args->depth < ARGS_COMMAND_DEPTH_MAX);
                below.path[args->depth] = child;
                below.depth = args->depth + 1;
                code = write_below(&below, folder, date, err);
        }
        return code;
}

enum err_code man_write(const struct command *root, const char *folder, struct err *err)
{
        char date[ROFF_DATE_LEN];
        struct args args = {.path = {root}, .depth = 1};

        roff_date(date);
        return write_below(&args, folder, date, err);
}
