/* cli/image.c: logs of builds, and packages. */
#include "cli/image.h"

#include "base/own.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/text.h"

#include <string.h>
#include <unistd.h>

enum { FOLLOW_WAIT_S = 20 };

bool image_has_log(const struct resource *resource)
{
        return resource == &resource_image || resource == &resource_base_image;
}

static enum err_code path_of(struct cli *cli, const struct resource *resource, const char *name,
                             const char *view, const char **ret, struct err *err)
{
        const char *path;
        enum err_code code = client_path(&cli->arena, resource_model(resource)->collection, name, &path, err);

        if (code != ERR_OK)
                return code;
        *ret = arena_printf(&cli->arena, "%s/%s", path, view);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code print_text(FILE *out, struct str text, struct err *err)
{
        bool on_terminal = isatty(fileno(out)) == 1;

        while (text.len > 0) {
                struct str line = str_cut(&text, '\n');
                own_buf struct buf safe = {.max = CLI_TEXT_MAX};

                if (on_terminal && text_append_safe(&safe, line) != ERR_OK)
                        return err_nomem(err);
                if (on_terminal)
                        line = (struct str){safe.data, safe.len};
                if (line.len > 0)
                        fwrite(line.p, 1, line.len, out);
                fputc('\n', out);
        }
        fflush(out);
        return ERR_OK;
}

static enum err_code log_path(struct cli *cli, const struct image_log *log, unsigned wait_s, const char **ret,
                              struct err *err)
{
        char number[32];
        enum err_code code = path_of(cli, log->resource, log->name, "logs", ret, err);

        snprintf(number, sizeof(number), "%llu", (unsigned long long)log->offset);
        if (code == ERR_OK)
                code = client_query(&cli->arena, *ret, "offset", number, ret, err);
        snprintf(number, sizeof(number), "%u", wait_s);
        return code == ERR_OK ? client_query(&cli->arena, *ret, "wait", number, ret, err) : code;
}

enum err_code image_log_next(struct cli *cli, struct image_log *log, unsigned wait_s, FILE *out,
                             void (*before)(void *arg), void *arg, struct err *err)
{
        own_json json_t *reply = NULL;
        const char *path;
        enum err_code code = log_path(cli, log, wait_s, &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, &reply, err);
        if (code != ERR_OK)
                return code;
        struct str text = json_str(reply, "text"), progress = json_str(reply, "progress");
        log->over = json_is_true(json_object_get(reply, "over"));
        log->offset = (uint64_t)json_integer_value(json_object_get(reply, "offset"));
        snprintf(log->progress, sizeof(log->progress), "%.*s",
                 (int)(progress.len < sizeof(log->progress) - 1 ? progress.len : sizeof(log->progress) - 1),
                 progress.len > 0 ? progress.p : "");
        if (text.len > 0 && before != NULL)
                before(arg);
        return print_text(out, text, err);
}

enum err_code image_logs_run(struct cli *cli, struct err *err)
{
        bool follows = args_bool(&cli->args, "follow");
        struct image_log log = {.resource = resource_of(cli), .name = cli->args.values[0]};
        uint64_t before;
        enum err_code code;

        if (follows)
                interrupt_catch();
        do {
                before = log.offset;
                code = image_log_next(cli, &log, follows ? FOLLOW_WAIT_S : 0, cli->out, NULL, NULL, err);
        } while (code == ERR_OK && !log.over && (follows || log.offset > before) && !interrupt_came());
        return interrupt_came() ? ERR_OK : code;
}

enum { COLUMNS = 5 };

/* The last column is for images that have packages whose origin is known. */
static size_t columns_of(const json_t *packages)
{
        const json_t *package;
        size_t i;

        json_array_foreach(packages, i, package)
        {
                if (json_str(package, "origin").len > 0)
                        return COLUMNS;
        }
        return COLUMNS - 1;
}

static enum err_code package_add(struct table *table, size_t columns, const json_t *package)
{
        static const char *const keys[COLUMNS] = {"type", "name", "version", "from", "origin"};

        for (size_t i = 0; i < columns; i++) {
                enum err_code code = table_add(table, json_str(package, keys[i]));
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

enum err_code image_show_packages(struct cli *cli, const struct resource *resource, const char *name,
                                  struct err *err)
{
        static const char *const titles[COLUMNS] = {"TYPE", "PACKAGE", "VERSION", "FROM", "ORIGIN"};
        own_json json_t *reply = NULL;
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        own_table struct table table;
        const json_t *list;
        const char *path;
        enum err_code code = path_of(cli, resource, name, "packages", &path, err);

        table_init(&table, &cli->arena, titles, COLUMNS - 1);
        if (code == ERR_OK)
                code = cli_get(cli, path, &reply, err);
        if (code != ERR_OK)
                return code;
        list = json_object_get(reply, "packages");
        size_t columns = columns_of(list);
        table_init(&table, &cli->arena, titles, columns);
        table.no_wrap = true;
        for (size_t i = 0; code == ERR_OK && i < json_array_size(list); i++)
                code = package_add(&table, columns, json_array_get(list, i));
        if (code == ERR_OK)
                code = table_print(&table, &text);
        if (code != ERR_OK)
                return err_set(err, code, "print the packages");
        cli_say(cli, "\n%.*s", (int)text.len, text.len > 0 ? text.data : "");
        return ERR_OK;
}

enum err_code image_show_sbom(struct cli *cli, const struct resource *resource, const char *name,
                              struct err *err)
{
        own_json json_t *reply = NULL;
        const char *path;
        enum err_code code = path_of(cli, resource, name, "sbom", &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, &reply, err);
        return code == ERR_OK ? show_value(cli, reply, err) : code;
}
