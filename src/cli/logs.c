/*
 * cli/logs.c: what a function's handler printed: of its newest run, of one run, or of each run as it ends.
 * What went to standard output and to standard error there goes to the same here.
 */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/interrupt.h"
#include "cli/list.h"
#include "cli/runs.h"
#include "cli/text.h"

#include <string.h>
#include <unistd.h>

enum { FOLLOW_PERIOD_MS = 1000 };

/* A terminal gets nothing that steers it; a file or a pipe gets the lines as they are. */
static enum err_code print_line(FILE *out, struct str line, bool on_terminal, struct err *err)
{
        own_buf struct buf safe = {.max = CLI_TEXT_MAX};

        if (on_terminal) {
                if (text_append_safe(&safe, line) != ERR_OK)
                        return err_nomem(err);
                line = (struct str){safe.data, safe.len};
        }
        if (line.len > 0)
                fwrite(line.p, 1, line.len, out);
        fputc('\n', out);
        return ERR_OK;
}

static enum err_code print_lines(FILE *out, const json_t *lines, struct err *err)
{
        bool on_terminal = isatty(fileno(out)) == 1;
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(lines) && code == ERR_OK; i++) {
                const json_t *line = json_array_get(lines, i);
                code = print_line(out, (struct str){json_string_value(line), json_string_length(line)},
                                  on_terminal, err);
        }
        return code;
}

static enum err_code print_logs(struct cli *cli, const json_t *run, struct err *err)
{
        const json_t *logs = json_object_get(run, "logs");
        enum err_code code = print_lines(cli->out, json_object_get(logs, "stdout"), err);

        fflush(cli->out);
        return code == ERR_OK ? print_lines(cli->err, json_object_get(logs, "stderr"), err) : code;
}

/* All of them, or with a limit the first page. */
static enum err_code get_list(struct cli *cli, int64_t since_s, const char *limit, json_t **ret,
                              struct err *err)
{
        const char *path;
        enum err_code code = runs_path(cli, cli->args.values[0], NULL, since_s, &path, err);

        if (code == ERR_OK && limit != NULL)
                code = client_query(&cli->arena, path, "limit", limit, &path, err);
        if (code != ERR_OK)
                return code;
        return limit != NULL ? cli_get(cli, path, ret, err) : list_get(cli, path, ret, err);
}

/* *ret is borrowed from the list; NULL when it is empty. */
static enum err_code get_newest(struct cli *cli, json_t **list, json_t **ret, struct err *err)
{
        enum err_code code = get_list(cli, runs_since_ever_s, "1", list, err);

        *ret = NULL;
        for (size_t i = 0; code == ERR_OK && i < json_array_size(*list); i++) {
                if (*ret == NULL || runs_is_later(json_array_get(*list, i), *ret))
                        *ret = json_array_get(*list, i);
        }
        return code;
}

static enum err_code print_newest(struct cli *cli, struct err *err)
{
        own_json json_t *list = NULL;
        json_t *newest;
        enum err_code code = get_newest(cli, &list, &newest, err);

        if (code == ERR_OK && newest == NULL)
                code = err_set(err, ERR_NOT_FOUND, "there is no run of function %s", cli->args.values[0]);
        return code == ERR_OK ? print_logs(cli, newest, err) : code;
}

static bool is_over(const json_t *run)
{
        struct str status = json_str(run, "status");

        return str_eq(status, STR("READY")) || str_eq(status, STR("ERROR"));
}

static bool has_name(const json_t *list, struct str name)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *run = json_array_get(list, i);
                if (is_over(run) && str_eq(json_str(run, "name"), name))
                        return true;
        }
        return false;
}

/* Those that are over and were not in the last answer; that comes newest first. */
static enum err_code print_new(struct cli *cli, const json_t *list, const json_t *before, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = json_array_size(list); i-- > 0 && code == ERR_OK;) {
                const json_t *run = json_array_get(list, i);
                if (is_over(run) && !has_name(before, json_str(run, "name")))
                        code = print_logs(cli, run, err);
        }
        return code;
}

/* What is over already, the newest of which is printed. */
static enum err_code start_following(struct cli *cli, int64_t since_s, json_t **before, struct err *err)
{
        own_json json_t *list = NULL;
        json_t *newest = NULL;
        enum err_code code = get_list(cli, since_s, NULL, before, err);

        if (code == ERR_OK)
                code = get_newest(cli, &list, &newest, err);
        if (code != ERR_OK || newest == NULL)
                return code;
        if (json_is_array(*before) && json_array_append(*before, newest) < 0)
                return err_nomem(err);
        return is_over(newest) ? print_logs(cli, newest, err) : ERR_OK;
}

/* Each answer overlaps the one before by a second, since the API counts in whole ones. */
static enum err_code follow(struct cli *cli, struct err *err)
{
        own_json json_t *before = NULL;
        int64_t since_s = clock_wall_s() - 1;
        enum err_code code = start_following(cli, since_s, &before, err);

        while (code == ERR_OK && fflush(cli->out) == 0 && !interrupt_came()) {
                own_json json_t *list = NULL;
                int64_t polled_at_s;

                interrupt_pause_ms(FOLLOW_PERIOD_MS); /* the API cannot say when there is something new */
                polled_at_s = clock_wall_s();
                code = get_list(cli, since_s, NULL, &list, err);
                if (code == ERR_OK)
                        code = print_new(cli, list, before, err);
                json_decref(before);
                before = take_ptr(&list);
                since_s = polled_at_s - 1;
        }
        return interrupt_came() ? ERR_OK : code;
}

static enum err_code print_run(struct cli *cli, const char *name, struct err *err)
{
        own_json json_t *run = NULL;
        const char *path;
        enum err_code code = runs_path(cli, cli->args.values[0], name, runs_since_ever_s, &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, &run, err);
        return code == ERR_OK ? print_logs(cli, run, err) : code;
}

enum err_code logs_run(struct cli *cli, struct err *err)
{
        const char *run = args_text(&cli->args, "run");
        bool follows = args_bool(&cli->args, "follow");

        if (run != NULL && follows)
                return err_set(err, ERR_INVALID, "--follow and --run do not go together");
        if (cli->args.values[0][0] == '\0')
                return err_set(err, ERR_INVALID, "the function's name must not be empty");
        if (run != NULL)
                return print_run(cli, run, err);
        if (!follows)
                return print_newest(cli, err);
        interrupt_catch();
        return follow(cli, err);
}
