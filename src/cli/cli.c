/* cli/cli.c: what every command has in common: parse, configure, run, report. */
#include "cli/cli.h"

#include "cli/complete.h"
#include "cli/man.h"
#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The original sends no credentials for these, not even that it has none. */
static bool takes_no_cookie(const char *path)
{
        static const char *const open[] = {"/v1/baseimage", "/v1/function", "/v1/image",
                                           "/v1/runs",      "/v1/secret",   "/v1/version"};

        for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
                if (str_starts(str_of(path), str_of(open[i])))
                        return true;
        }
        return false;
}

enum err_code cli_call(struct cli *cli, const struct call *call, json_t **ret, struct err *err)
{
        struct call sent = *call;
        enum err_code code = ERR_OK;

        sent.no_cookie = takes_no_cookie(call->path);
        if (cli->client == NULL)
                code = client_create(&cli->settings, &cli->client, err);
        return code == ERR_OK ? client_call(cli->client, &sent, ret, err) : code;
}

enum err_code cli_get(struct cli *cli, const char *path, json_t **ret, struct err *err)
{
        const struct call call = {.method = "GET", .path = path};

        return cli_call(cli, &call, ret, err);
}

void cli_say(struct cli *cli, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        vfprintf(cli->out, fmt, args);
        va_end(args);
}

/* The original takes anything that has "json" or "yaml" in it, and prints a table unless it is exactly that.
 */
static enum err_code choose_output(struct cli *cli, struct err *err)
{
        static const struct {
                const char *name;
                enum output output;
        } names[] = {{"", OUTPUT_TABLE},
                     {"json", OUTPUT_JSON},
                     {"yaml", OUTPUT_YAML},
                     {"wide", OUTPUT_WIDE},
                     {"name", OUTPUT_NAME}};
        const char *given = args_text(&cli->args, "output");

        cli->no_headers = args_knows(&cli->args, "no-headers") && args_bool(&cli->args, "no-headers");
        cli->output = args_bool(&cli->args, "json") ? OUTPUT_JSON : OUTPUT_TABLE;
        if (given == NULL)
                return ERR_OK;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (strcmp(given, names[i].name) == 0) {
                        cli->output = names[i].output != OUTPUT_TABLE ? names[i].output : cli->output;
                        return ERR_OK;
                }
        }
        if (strstr(given, "json") != NULL || strstr(given, "yaml") != NULL)
                return ERR_OK;
        cli_say(cli, "invalid format option [yaml|json]\n");
        return err_set(err, ERR_INVALID, "-o takes json, yaml, wide or name");
}

enum err_code cli_read_config(struct cli *cli, struct err *err)
{
        const char *path = args_text(&cli->args, "config");

        if (path == NULL || path[0] == '\0')
                path = cli->lookup("DISPATCH_CONFIG");
        if (path != NULL && path[0] == '\0')
                path = NULL;
        return config_load(&cli->config, &cli->arena, path, err);
}

enum err_code cli_read_settings(struct cli *cli, struct err *err)
{
        const json_t *context = NULL;
        enum err_code code = cli_read_config(cli, err);

        /* A context that is gone must not keep the commands that choose another from running. */
        if (code == ERR_OK && !args_command(&cli->args)->local)
                code = config_current(&cli->config, &context, err);
        if (code == ERR_OK)
                code = settings_resolve(&cli->settings, &cli->arena, &cli->args, cli->lookup, context, err);
        return code;
}

static enum err_code usage_error(struct cli *cli, const struct err *err)
{
        fprintf(cli->err, "Error: %s\n", err->text);
        if (cli->args.depth == 1 && err->code == ERR_NOT_FOUND)
                fprintf(cli->err, "Run '%s --help' for usage.\n", cli->args.path[0]->name);
        else
                usage_print(cli->err, &cli->args);
        return err->code;
}

static enum err_code run_command(struct cli *cli, struct err *err)
{
        enum err_code code = cli_read_settings(cli, err);

        if (code == ERR_OK)
                code = choose_output(cli, err);
        if (code == ERR_OK)
                code = args_command(&cli->args)->run(cli, err);
        if (code != ERR_OK)
                fprintf(cli->err, "%s\n", client_failure(cli->client, err));
        return code;
}

/* "help create function" is "create function --help". */
static enum err_code parse(struct cli *cli, int argc, char *const argv[], struct err *err)
{
        bool asks = argc > 1 && strcmp(argv[1], "help") == 0;
        enum err_code code =
                args_parse(&cli_commands, asks ? argc - 1 : argc, asks ? argv + 1 : argv, &cli->args, err);

        cli->args.help = cli->args.help || asks;
        return code;
}

static enum err_code run(struct cli *cli, int argc, char *const argv[])
{
        struct err err = {.code = ERR_OK};

        if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
                complete_line(cli, argc - 2, argv + 2);
                return ERR_OK;
        }
        if (argc == 4 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "--man") == 0) {
                enum err_code written = man_write(&cli_commands, argv[3], &err);
                if (written != ERR_OK)
                        fprintf(cli->err, "%s\n", err.text);
                return written;
        }
        if (argc == 3 && strcmp(argv[1], "help") == 0 && strcmp(argv[2], "--markdown") == 0) {
                help_markdown(cli->out, &cli_commands); /* for docs/cli.md */
                return ERR_OK;
        }

        enum err_code code = parse(cli, argc, argv, &err);

        if (code != ERR_OK)
                return usage_error(cli, &err);
        if (cli->args.help || args_command(&cli->args)->run == NULL) {
                help_print(cli->out, &cli->args);
                return ERR_OK;
        }
        code = args_check(&cli->args, &err);
        return code == ERR_OK ? run_command(cli, &err) : usage_error(cli, &err);
}

/* A reader that went away (`| head`) is no error worth a line; a full disk is. */
static enum err_code finish_output(struct cli *cli)
{
        char reason[TEXT_ERRNO_MAX];

        if (fflush(cli->out) == 0 && ferror(cli->out) == 0)
                return ERR_OK;
        if (errno != EPIPE)
                fprintf(cli->err, "writing the output failed: %s\n", text_errno(errno, reason));
        return ERR_SYSTEM;
}

static const char *environment(const char *name)
{
        return getenv(name);
}

int cli_main(int argc, char *const argv[], FILE *out, FILE *err, int in_fd)
{
        struct cli cli = {.out = out, .err = err, .in_fd = in_fd, .lookup = environment};

        arena_init(&cli.arena, CLI_MEMORY_MAX);
        enum err_code code = run(&cli, argc, argv);
        enum err_code written = finish_output(&cli);

        client_destroy(cli.client);
        config_finish(&cli.config);
        arena_finish(&cli.arena);
        return code == ERR_OK && written == ERR_OK ? 0 : 1;
}
