/* cli/instances.c: get instances and describe function: what the engine has now. */
#include "base/own.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#include <string.h>

static const char *const titles[] = {"FUNCTION", "ID",   "KIND",   "STATE", "START", "AGE",
                                     "IDLE",     "RUNS", "MEMORY", "CPU",   "PEAK",  "READ/WRITTEN"};

static json_int_t number(const json_t *object, const char *key)
{
        return json_integer_value(json_object_get(object, key));
}

/* "42s", "7m", "3h", "2d" */
static const char *duration(struct cli *cli, json_int_t millis)
{
        long long s = millis / 1000;

        if (s < 120)
                return arena_printf(&cli->arena, "%llds", s);
        if (s < 7200)
                return arena_printf(&cli->arena, "%lldm", s / 60);
        return s < 172800 ? arena_printf(&cli->arena, "%lldh", s / 3600)
                          : arena_printf(&cli->arena, "%lldd", s / 86400);
}

static const char *mebibytes(struct cli *cli, const json_t *row, const char *key)
{
        if (json_object_get(row, key) == NULL)
                return "";
        return arena_printf(&cli->arena, "%.1fMi", (double)number(row, key) / (1 << 20));
}

static enum err_code add(struct table *table, const char *text)
{
        return text != NULL ? table_add(table, str_of(text)) : ERR_NO_MEMORY;
}

static enum err_code add_texts(struct table *table, const json_t *row)
{
        static const char *const keys[] = {"functionName", "id", "kind", "state", "start"};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && code == ERR_OK; i++) {
                const char *text = json_string_value(json_object_get(row, keys[i]));
                code = add(table, text != NULL ? text : "-");
        }
        return code;
}

static enum err_code add_row(struct cli *cli, struct table *table, const json_t *row)
{
        bool wide = cli->output == OUTPUT_WIDE;
        bool measured = json_object_get(row, "cpuMicros") != NULL;
        const char *cells[] = {
                duration(cli, number(row, "ageMillis")),
                number(row, "running") > 0 ? "" : duration(cli, number(row, "idleMillis")),
                arena_printf(&cli->arena, "%lld", (long long)number(row, "runs")),
                mebibytes(cli, row, "memoryBytes"),
                measured ? arena_printf(&cli->arena, "%.3fs", (double)number(row, "cpuMicros") / 1000000)
                         : "",
                mebibytes(cli, row, "memoryPeakBytes"),
                measured ? arena_printf(&cli->arena, "%lld/%lld", (long long)number(row, "ioReadBytes"),
                                        (long long)number(row, "ioWriteBytes"))
                         : ""};
        enum err_code code = add_texts(table, row);

        for (size_t i = 0; i < (wide ? 7U : 5U) && code == ERR_OK; i++)
                code = add(table, cells[i]);
        return code;
}

static enum err_code show_table(struct cli *cli, const json_t *list, struct err *err)
{
        own_arena struct arena arena = {.max_bytes = CLI_MEMORY_MAX};
        own_table struct table table = {.cells = NULL};
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        enum err_code code = ERR_OK;

        table_init(&table, &arena, titles, cli->output == OUTPUT_WIDE ? 12 : 10);
        for (size_t i = 0; i < json_array_size(list) && code == ERR_OK; i++)
                code = add_row(cli, &table, json_array_get(list, i));
        if (code == ERR_OK)
                code = table_print(&table, &text);
        if (code != ERR_OK)
                return code == ERR_NO_MEMORY ? err_nomem(err)
                                             : err_set(err, code, "the table is too large to print");
        fwrite(text.data, 1, text.len, cli->out);
        return ERR_OK;
}

static void show_ids(struct cli *cli, const json_t *list)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *id = json_string_value(json_object_get(json_array_get(list, i), "id"));
                cli_say(cli, "%s\n", id != NULL ? id : "");
        }
}

enum err_code instances_get(struct cli *cli, struct err *err)
{
        const char *path = "/v1/instances";
        own_json json_t *list = NULL;
        enum err_code code = ERR_OK;

        if (cli->args.count > 0)
                code = client_query(&cli->arena, path, "functionName", cli->args.values[0], &path, err);
        if (code == ERR_OK)
                code = cli_get(cli, path, &list, err);
        if (code != ERR_OK)
                return code;
        if (!json_is_array(list))
                return err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: the reply is not a list");
        switch (cli->output) {
        case OUTPUT_TABLE:
        case OUTPUT_WIDE:
                return show_table(cli, list, err);
        case OUTPUT_NAME:
                show_ids(cli, list);
                return ERR_OK;
        case OUTPUT_JSON:
        case OUTPUT_YAML:
                break;
        }
        return show_value(cli, list, err);
}

/* A text of the server's, safe for a terminal. */
static const char *safe(struct cli *cli, const json_t *object, const char *key)
{
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        const char *copy;

        if (text_append_safe(&text, json_str(object, key)) != ERR_OK)
                return "";
        copy = arena_strdup(&cli->arena, (struct str){text.data, text.len});
        return copy != NULL ? copy : "";
}

static void say_source(struct cli *cli, const json_t *pool, const char *kind)
{
        const json_t *source = json_object_get(pool, kind);
        const char *reason = safe(cli, source, "reason");

        if (source == NULL)
                return;
        cli_say(cli, "  %-9s %s", kind, safe(cli, source, "state"));
        if (number(source, "parked") > 0)
                cli_say(cli, ", %s old", duration(cli, number(source, "ageMillis")));
        if (json_object_get(source, "starts") != NULL)
                cli_say(cli, ", %lld starts from it", (long long)number(source, "starts"));
        cli_say(cli, reason[0] != '\0' ? ": %s\n" : "%s\n", reason);
}

static void say_pool(struct cli *cli, const json_t *pool)
{
        static const char *const kinds[] = {"template", "zygote", "stem"};

        cli_say(cli, "Revision %lld%s\n", (long long)number(pool, "revision"),
                json_is_true(json_object_get(pool, "retired")) ? " (ends with its runs)" : "");
        cli_say(cli, "  instances %lld: %lld idle, %lld busy, %lld starting\n",
                (long long)number(pool, "instances"), (long long)number(pool, "idle"),
                (long long)number(pool, "busy"), (long long)number(pool, "starting"));
        cli_say(cli, "  queue     %lld waiting%s\n", (long long)number(pool, "queued"),
                json_is_true(json_object_get(pool, "waitsForHost")) ? ", for a place on the host" : "");
        cli_say(cli, "  runs      %.3f ms lately\n", (double)number(pool, "runMicros") / 1000);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                say_source(cli, pool, kinds[i]);
}

static void say_failures(struct cli *cli, const json_t *failures)
{
        if (json_array_size(failures) == 0)
                return;
        cli_say(cli, "Last failures\n");
        for (size_t i = 0; i < json_array_size(failures); i++) {
                const json_t *failure = json_array_get(failures, i);
                cli_say(cli, "  %s %s: %s\n", safe(cli, failure, "time"), safe(cli, failure, "what"),
                        safe(cli, failure, "message"));
        }
}

static void say_function(struct cli *cli, const json_t *function, const json_t *state)
{
        const json_t *pools = json_object_get(state, "pools");

        cli_say(cli, "Function    %s\nStatus      %s\nImage       %s\n", safe(cli, function, "name"),
                safe(cli, function, "status"), safe(cli, function, "image"));
        if (json_array_size(pools) == 0)
                cli_say(cli, "Nothing of it runs or waits.\n");
        for (size_t i = 0; i < json_array_size(pools); i++)
                say_pool(cli, json_array_get(pools, i));
        say_failures(cli, json_object_get(state, "failures"));
}

enum err_code describe_function(struct cli *cli, struct err *err)
{
        own_json json_t *function = NULL, *state = NULL;
        const char *path, *pool_path;
        enum err_code code = client_path(&cli->arena, "function", cli->args.values[0], &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, &function, err);
        if (code != ERR_OK)
                return code;
        pool_path = arena_printf(&cli->arena, "%s/pool", path);
        if (pool_path == NULL)
                return err_nomem(err);
        code = cli_get(cli, pool_path, &state, err);
        if (code != ERR_OK)
                return code;
        if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML) {
                if (!json_is_object(state) || json_object_set(state, "function", function) < 0)
                        return err_nomem(err);
                return show_value(cli, state, err);
        }
        say_function(cli, function, state);
        return ERR_OK;
}
