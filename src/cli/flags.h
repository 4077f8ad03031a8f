/*
 * cli/flags.h: the table of commands and flags, and the parser of command lines.
 *
 * One tree of constant tables drives parsing and help. Flags follow the conventions of pflag: they stand
 * anywhere among the arguments; --flag value, --flag=value, -f value, -fvalue, -abc for several letters; "--"
 * ends them; a flag that names a boolean takes a value only behind "=".
 */
#ifndef DISPATCH_CLI_FLAGS_H
#define DISPATCH_CLI_FLAGS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum flag_type {
        FLAG_BOOL,
        FLAG_STRING,
        FLAG_STRINGS,  /* repeatable, each value as it stands */
        FLAG_PAIRS,    /* repeatable NAME=VALUE */
        FLAG_NUMBER,   /* a whole number, not negative */
        FLAG_DURATION, /* 90s, 2m, 1h30m, 250ms; a bare number counts seconds */
        FLAG_TYPE_COUNT
};

struct flag {
        const char *name; /* without dashes; NULL ends a table */
        char letter;      /* '\0': none */
        enum flag_type type;
        const char *initial; /* the default as help shows it, or NULL */
        const char *help;
        bool hidden;
};

struct cli;

struct command {
        const char *name; /* NULL ends a table */
        const char *aliases[7];
        const char *args; /* how usage shows the arguments, or NULL */
        int args_min, args_max;
        const char *last_flag; /* a flag that stands in the place of the last argument, or NULL */
        const char *brief;     /* one line for the parent's list */
        const char *text;      /* help of its own, or NULL: brief */
        const char *example;   /* or NULL */
        const struct flag *flags;
        const struct command *commands;
        /* NULL: prints its help. Returns ERR_OK, or what is reported on standard error. */
        enum err_code (*run)(struct cli *cli, struct err *err);
        const void *data; /* for run */
        bool local;       /* does not talk to the server: a current context that is gone is no error */
};

enum {
        ARGS_VALUES_MAX = 512,     /* flags given, and arguments, on one command line */
        ARGS_COMMAND_DEPTH_MAX = 4 /* dispatch iam create policy */
};

struct args {
        const struct command *path[ARGS_COMMAND_DEPTH_MAX]; /* the root first */
        int depth;
        const char *values[ARGS_VALUES_MAX]; /* the arguments that are not flags nor command names */
        int count;
        struct {
                const struct flag *flag;
                const char *value;
        } given[ARGS_VALUES_MAX]; /* in the order of the command line */
        int given_count;
        bool help; /* -h or --help */
};

/* The flags that every command takes; the root command's own. */
extern const struct flag flags_global[];

/* Finds the command and its flags. Everything in *ret points into argv and the tables. On ERR_INVALID the
 * text is cobra's ("unknown flag: --x") and ret->path says how far it got, for the usage text. The number of
 * arguments is checked by args_check. */
enum err_code args_parse(const struct command *root, int argc, char *const argv[], struct args *ret,
                         struct err *err);
/* "accepts 2 arg(s), received 1" */
enum err_code args_check(const struct args *args, struct err *err);

/* The command of a table that a word names, also by an alias; a flag of the command's or of all commands, by
 * its name or, where `letter` is not '\0', by that. NULL when there is none. */
const struct command *command_in(const struct command *table, const char *word);
const struct flag *flag_find(const struct command *command, struct str name, char letter);

static inline const struct command *args_command(const struct args *args)
{
        return args->path[args->depth - 1];
}

/* True if the command (or the root) has this flag at all. */
bool args_knows(const struct args *args, const char *name);
/* What was given last, or NULL. The flag must exist in the command's table. */
const char *args_text(const struct args *args, const char *name);
bool args_bool(const struct args *args, const char *name); /* false unless given */
/* False when not given; numbers and durations were checked by args_parse. */
bool args_number(const struct args *args, const char *name, int64_t *ret);
bool args_duration_ms(const struct args *args, const char *name, int64_t *ret);
/* Steps through a repeatable flag: *at starts at 0; NULL behind the last. */
const char *args_next(const struct args *args, const char *name, int *at);

/* Go's forms: 1, t, true, 0, f, false and their capitals. */
bool flag_parse_bool(const char *text, bool *ret);
bool flag_parse_duration_ms(const char *text, int64_t *ret);

/* Help in cobra's layout: the text above, usage, aliases, examples, commands, flags. */
void help_print(FILE *out, const struct args *args);
/* The part from "Usage:" on. */
void usage_print(FILE *out, const struct args *args);

/* All commands below the root, and the global flags, as Markdown. */
void help_markdown(FILE *out, const struct command *root);

/* "dispatch create function" */
void args_path_text(const struct args *args, char *out, size_t size);

#endif
