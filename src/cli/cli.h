/*
 * cli/cli.h: one invocation of the client, from its command line to its exit code. Data goes to `out`,
 * everything else to `err`.
 */
#ifndef DISPATCH_CLI_CLI_H
#define DISPATCH_CLI_CLI_H

#include "base/arena.h"
#include "base/err.h"
#include "cli/client.h"
#include "cli/config.h"
#include "cli/flags.h"

#include <stdbool.h>
#include <stdio.h>

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_WIDE, OUTPUT_NAME };

enum {
        CLI_MEMORY_MAX = 512 << 20, /* of the arena: texts, cells, paths */
        CLI_TEXT_MAX = 256 << 20    /* of what is printed at once */
};

struct cli {
        FILE *out, *err;
        int in_fd;
        settings_lookup *lookup; /* the environment */
        struct arena arena;
        struct args args;
        struct config config;
        struct settings settings;
        struct client *client; /* made by the first call */
        const char *subject;   /* the name of what is created or changed */
        enum output output;
        bool no_headers; /* of tables */
};

/* Runs a command line; 0 or 1. Reads `in_fd` only where the command does. */
int cli_main(int argc, char *const argv[], FILE *out, FILE *err, int in_fd);

/* A call with the settings of this invocation; see client_call. */
enum err_code cli_call(struct cli *cli, const struct call *call, json_t **ret, struct err *err);
/* GET of "/v1/COLLECTION/NAME" and the like. */
enum err_code cli_get(struct cli *cli, const char *path, json_t **ret, struct err *err);

/* The configuration file, and the settings that it, environment and flags add up to. Once an invocation. */
enum err_code cli_read_config(struct cli *cli, struct err *err);
enum err_code cli_read_settings(struct cli *cli, struct err *err);

/* "FORMAT" on cli->out. Failures of the stream are noticed at the end. */
void cli_say(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Tables of the whole client: the root of the tree. */
extern const struct command cli_commands;

#endif
