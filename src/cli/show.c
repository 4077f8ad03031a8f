/* cli/show.c: resources as tables, JSON, YAML or names. */
#include "cli/show.h"

#include "base/own.h"
#include "cli/cell.h"
#include "cli/text.h"
#include "model/yaml.h"

#include <assert.h>
#include <string.h>

static enum err_code not_what(const char *what, struct err *err)
{
        return err_set(err, ERR_BAD_REPLY, "unexpected error received from server: the reply is not %s",
                       what);
}

static enum err_code write_text(struct cli *cli, const struct buf *text)
{
        if (text->len > 0)
                fwrite(text->data, 1, text->len, cli->out);
        return ERR_OK;
}

static enum err_code add_row(struct cli *cli, struct table *table, const struct form *form,
                             const json_t *object)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < table->column_count && code == ERR_OK; i++)
                code = cell_add(cli, table, &form->columns[i], object);
        return code;
}

/* A new list with every element in SEED's form. */
static enum err_code seed_list(const struct resource *resource, const json_t *list, json_t **ret,
                               struct err *err)
{
        own_json json_t *seed = json_array();

        if (seed == NULL)
                return err_nomem(err);
        if (list != NULL && !json_is_array(list) && !json_is_null(list))
                return not_what("a list", err);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *object = json_array_get(list, i);
                if (!json_is_object(object))
                        return not_what("a list of objects", err);
                json_t *printed = model_print(resource_model(resource), object, MODEL_PRINT_SEED);
                if (printed == NULL || json_array_append_new(seed, printed) < 0)
                        return err_nomem(err);
        }
        *ret = take_ptr(&seed);
        return ERR_OK;
}

static bool has_note(const struct cli *cli, const struct form *form)
{
        return form->note != NULL && !(form->note_narrow && cli->output == OUTPUT_WIDE);
}

static enum err_code show_table(struct cli *cli, const struct resource *resource, const json_t *list,
                                bool rows_only, struct err *err)
{
        const struct form *form = resource->form;
        const char *titles[TABLE_COLUMNS_MAX];
        own_arena struct arena arena = {.max_bytes = CLI_MEMORY_MAX};
        own_table struct table table = {.cells = NULL};
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < form->wide; i++)
                titles[i] = form->columns[i].title;
        table_init(&table, &arena, titles, cli->output == OUTPUT_WIDE ? form->wide : form->narrow);
        table.dash_rows = form->dash_rows;
        table.no_wrap = form->no_wrap;
        table.rows_only = rows_only || cli->no_headers;
        for (size_t i = 0; i < json_array_size(list) && code == ERR_OK; i++)
                code = add_row(cli, &table, form, json_array_get(list, i));
        if (code == ERR_OK && has_note(cli, form) && !table.rows_only)
                code = buf_append_text(&text, form->note);
        if (code == ERR_OK)
                code = table_print(&table, &text);
        if (code == ERR_NO_MEMORY)
                return err_nomem(err);
        return code == ERR_OK ? write_text(cli, &text)
                              : err_set(err, code, "the table is too large to print");
}

const char *show_name(struct cli *cli, const json_t *object, const char *otherwise)
{
        struct str name = json_str(object, "name");
        own_buf struct buf safe = {.max = CLI_TEXT_MAX};

        if (name.len == 0)
                name = json_str(json_object_get(object, "meta"), "name");
        if (name.len == 0)
                name = str_of(otherwise);
        if (text_append_safe(&safe, name) != ERR_OK)
                return NULL;
        return arena_strdup(&cli->arena, (struct str){safe.data, safe.len});
}

static enum err_code show_names(struct cli *cli, const json_t *list, struct err *err)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *name = show_name(cli, json_array_get(list, i), "");
                if (name == NULL)
                        return err_nomem(err);
                cli_say(cli, "%s\n", name);
        }
        return ERR_OK;
}

/* `value` is in SEED's form, an object or a list of them. */
static enum err_code show_text(struct cli *cli, const struct resource *resource, const json_t *value,
                               struct err *err)
{
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        enum err_code code = cli->output == OUTPUT_YAML
                                     ? model_print_yaml(resource_model(resource), value, &text, err)
                                     : model_print_json(value, true, &text, err);

        return code == ERR_OK ? write_text(cli, &text) : code;
}

static enum err_code show(struct cli *cli, const struct resource *resource, const json_t *seed, bool single,
                          bool rows_only, struct err *err)
{
        switch (cli->output) {
        case OUTPUT_TABLE:
        case OUTPUT_WIDE:
                return show_table(cli, resource, seed, rows_only, err);
        case OUTPUT_NAME:
                return show_names(cli, seed, err);
        case OUTPUT_JSON:
        case OUTPUT_YAML:
                break;
        }
        return show_text(cli, resource, single ? json_array_get(seed, 0) : seed, err);
}

enum err_code show_list(struct cli *cli, const struct resource *resource, const json_t *list, struct err *err)
{
        own_json json_t *seed = NULL;
        enum err_code code = seed_list(resource, list, &seed, err);

        return code == ERR_OK ? show(cli, resource, seed, false, false, err) : code;
}

enum err_code show_rows(struct cli *cli, const struct resource *resource, const json_t *list, struct err *err)
{
        own_json json_t *seed = NULL;
        enum err_code code = seed_list(resource, list, &seed, err);

        return code == ERR_OK ? show(cli, resource, seed, false, true, err) : code;
}

/* A list of the one object. */
static enum err_code list_of(const struct resource *resource, const json_t *object, json_t **ret,
                             struct err *err)
{
        own_json json_t *list = json_array();

        if (list == NULL)
                return err_nomem(err);
        if (object != NULL && !json_is_object(object))
                return not_what("an object", err);
        if ((object != NULL ? json_array_append(list, (json_t *)object)
                            : json_array_append_new(list, json_object())) < 0)
                return err_nomem(err);
        return seed_list(resource, list, ret, err);
}

enum err_code show_one(struct cli *cli, const struct resource *resource, const json_t *object,
                       struct err *err)
{
        own_json json_t *seed = NULL;
        enum err_code code = list_of(resource, object, &seed, err);

        return code == ERR_OK ? show(cli, resource, seed, true, false, err) : code;
}

enum err_code show_json(struct cli *cli, const struct resource *resource, const json_t *reply,
                        struct err *err)
{
        own_json json_t *seed = NULL;
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        enum err_code code = json_is_array(reply) ? seed_list(resource, reply, &seed, err)
                                                  : list_of(resource, reply, &seed, err);

        if (code == ERR_OK)
                code = model_print_json(json_is_array(reply) ? seed : json_array_get(seed, 0), true, &text,
                                        err);
        return code == ERR_OK ? write_text(cli, &text) : code;
}

enum err_code show_value(struct cli *cli, const json_t *value, struct err *err)
{
        own_buf struct buf text = {.max = CLI_TEXT_MAX};
        enum err_code code = cli->output == OUTPUT_YAML ? yaml_print(value, &text, err)
                                                        : model_print_json(value, true, &text, err);

        return code == ERR_OK ? write_text(cli, &text) : code;
}

enum err_code show_done(struct cli *cli, const struct resource *resource, const char *text, const char *name,
                        const json_t *object, struct err *err)
{
        switch (cli->output) {
        case OUTPUT_JSON:
        case OUTPUT_YAML:
                return show_one(cli, resource, object, err);
        case OUTPUT_NAME:
                cli_say(cli, "%s\n", name);
                return ERR_OK;
        case OUTPUT_TABLE:
        case OUTPUT_WIDE:
                break;
        }
        cli_say(cli, "%s: %s\n", text, name);
        return ERR_OK;
}
