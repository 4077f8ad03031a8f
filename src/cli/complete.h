/*
 * cli/complete.h: completion of command lines. A shell's function, which `dispatch completion SHELL` prints,
 * hands the words up to the cursor to the hidden `dispatch __complete WORD...`, which knows the tables of
 * commands and asks the server for names. So there is one completion for all shells.
 */
#ifndef DISPATCH_CLI_COMPLETE_H
#define DISPATCH_CLI_COMPLETE_H

#include "cli/cli.h"

enum { COMPLETE_TIMEOUT_MS = 2000 /* what a server may take to tell names */ };

/*
 * `words` are those behind `dispatch`, the last the one at the cursor (it may be empty). Prints what it can
 * become, one a line, each a whole word, with a tab and a description where there is one; at the end
 * ":files",
 * ":folders" or ":none", what else the shell shall offer. Errors, above all of the server, are silent.
 */
void complete_line(struct cli *cli, int count, char *const words[]);

/* What a word can stand for. */
enum complete_kind {
        COMPLETE_NOTHING,
        COMPLETE_WORDS,
        COMPLETE_FILES,
        COMPLETE_FOLDERS,
        COMPLETE_CONTEXTS,
        COMPLETE_NAMES,
        COMPLETE_RUNS
};

struct complete_source {
        enum complete_kind kind;
        const char *words;               /* COMPLETE_WORDS: with blanks between */
        const struct resource *resource; /* COMPLETE_NAMES */
};

/* Of a flag's value, and of the argument at `position`, from 0, of a command. */
struct complete_source complete_flag(const struct flag *flag);
struct complete_source complete_argument(const struct command *command, int position);

#endif
