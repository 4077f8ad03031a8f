/* cli/context.c: the contexts of the configuration file. None of these talks to a server. */
#include "cli/commands.h"

#include "base/own.h"
#include "cli/show.h"
#include "cli/table.h"

#include <string.h>

static enum err_code no_such(const char *name, struct err *err)
{
        return err_set(err, ERR_NOT_FOUND, "No such context %s", name);
}

static json_t *find(struct cli *cli, const char *name)
{
        return json_object_get(config_contexts(&cli->config), name);
}

/* The lines of the context as JSON with two blanks, its cookie blanked. */
static enum err_code add_config(struct table *table, const json_t *context, struct err *err)
{
        own_json json_t *shown = json_deep_copy(context);
        own_mem char *text = NULL;
        struct str lines[64], rest;
        size_t count = 0;

        if (json_object_get(shown, "cookie") != NULL)
                json_object_set_new(shown, "cookie", json_string(""));
        text = shown != NULL ? json_dumps(shown, JSON_INDENT(2)) : NULL;
        if (text == NULL)
                return err_nomem(err);
        rest = str_of(text);
        while (rest.len > 0 && count < sizeof(lines) / sizeof(lines[0]))
                lines[count++] = str_cut(&rest, '\n');
        return table_add_lines(table, lines, count) == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code add_context(struct cli *cli, struct table *table, const char *name,
                                 const json_t *context, struct err *err)
{
        bool current = strcmp(name, config_current_name(&cli->config)) == 0;
        const char *title = arena_printf(&cli->arena, "%s%s", current ? "* " : "", name);

        if (title == NULL || table_add(table, str_of(title)) != ERR_OK)
                return err_nomem(err);
        return add_config(table, context, err);
}

static enum err_code list_as_table(struct cli *cli, struct err *err)
{
        static const char *const titles[] = {"CONTEXT", "CONFIG"};
        own_table struct table table = {.cells = NULL};
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        const char *name;
        json_t *context;

        table_init(&table, &cli->arena, titles, 2);
        table.no_wrap = true;
        json_object_foreach(config_contexts(&cli->config), name, context)
        {
                enum err_code code = add_context(cli, &table, name, context, err);
                if (code != ERR_OK)
                        return code;
        }
        if (table_print(&table, &text) != ERR_OK)
                return err_nomem(err);
        fwrite(text.data, 1, text.len, cli->out);
        return ERR_OK;
}

enum err_code context_list(struct cli *cli, struct err *err)
{
        const char *name;
        json_t *context;

        switch (cli->output) {
        case OUTPUT_JSON:
        case OUTPUT_YAML:
                return show_value(cli, config_contexts(&cli->config), err);
        case OUTPUT_NAME:
                json_object_foreach(config_contexts(&cli->config), name, context) cli_say(cli, "%s\n", name);
                return ERR_OK;
        case OUTPUT_TABLE:
        case OUTPUT_WIDE:
                break;
        }
        return list_as_table(cli, err);
}

static enum err_code set_current(struct cli *cli, const char *name, struct err *err)
{
        enum err_code code;

        if (find(cli, name) == NULL)
                return no_such(name, err);
        if (json_object_set_new(cli->config.root, "current", json_string(name)) < 0)
                return err_nomem(err);
        code = config_save(&cli->config, err);
        if (code == ERR_OK)
                cli_say(cli, "Set context to %s\n", name);
        return code;
}

enum err_code context_manage(struct cli *cli, struct err *err)
{
        const char *name = args_text(&cli->args, "set");

        return name != NULL ? set_current(cli, name, err) : context_list(cli, err);
}

enum err_code context_set(struct cli *cli, struct err *err)
{
        return set_current(cli, cli->args.values[0], err);
}

enum err_code context_current(struct cli *cli, struct err *err)
{
        const char *name = config_current_name(&cli->config);

        if (name[0] == '\0')
                return err_set(err, ERR_NOT_FOUND, "no context is set");
        cli_say(cli, "%s\n", name);
        return ERR_OK;
}

/* Deleting the current one leaves none current, rather than a name that leads nowhere. */
enum err_code context_delete(struct cli *cli, struct err *err)
{
        const char *name = cli->args.values[0];
        enum err_code code;

        if (find(cli, name) == NULL)
                return no_such(name, err);
        json_object_del(config_contexts(&cli->config), name);
        if (strcmp(name, config_current_name(&cli->config)) == 0 &&
            json_object_set_new(cli->config.root, "current", json_string("")) < 0)
                return err_nomem(err);
        code = config_save(&cli->config, err);
        if (code == ERR_OK)
                cli_say(cli, "Deleted context %s\n", name);
        return code;
}
