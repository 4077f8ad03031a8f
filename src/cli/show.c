/* cli/show.c: resources as tables, JSON, YAML or names. */
#include "cli/show.h"

#include "base/own.h"
#include "cli/form.h"
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

static const json_t *field_of(const json_t *object, const char *field)
{
        struct str rest = str_of(field);
        char first[64];

        if (str_find(rest, '.') == rest.len)
                return json_object_get(object, field);
        struct str head = str_cut(&rest, '.');
        assert(head.len < sizeof(first));
        memcpy(first, head.p, head.len);
        first[head.len] = '\0';
        return json_object_get(json_object_get(object, first), rest.p);
}

static struct str text_of(const json_t *value)
{
        return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                     : STR("");
}

static enum err_code add_lines(struct table *table, const json_t *list)
{
        struct str lines[128];
        size_t count = json_array_size(list) < 128 ? json_array_size(list) : 128;

        for (size_t i = 0; i < count; i++)
                lines[i] = text_of(json_array_get(list, i));
        if (json_array_size(list) > count)
                lines[count - 1] = STR("... (more)");
        return table_add_lines(table, lines, count);
}

static enum err_code add_joined(struct table *table, const json_t *list)
{
        own_buf struct buf joined = {.max = CLI_TEXT_MAX};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(list) && code == ERR_OK; i++) {
                if (i > 0)
                        code = buf_append_text(&joined, ", ");
                if (code == ERR_OK)
                        code = text_append_line(&joined, text_of(json_array_get(list, i)));
        }
        return code == ERR_OK ? table_add(table, (struct str){joined.data, joined.len}) : code;
}

static enum err_code add_number(struct table *table, const json_t *value)
{
        char text[32];

        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return table_add(table, str_of(text));
}

/* PROTO://HOST[:PORT]URI for each uri and protocol: where the gateway of the server that was asked has it. */
static enum err_code add_urls(struct cli *cli, struct table *table, const json_t *object)
{
        const json_t *uris = json_object_get(object, "uris");
        const json_t *protocols = json_object_get(object, "protocols");
        struct str lines[128];
        size_t count = 0;

        for (size_t i = 0; i < json_array_size(uris); i++) {
                for (size_t j = 0; j < json_array_size(protocols) && count < 128; j++) {
                        struct str uri = text_of(json_array_get(uris, i));
                        struct str protocol = text_of(json_array_get(protocols, j));
                        const char *url = settings_gateway_url(&cli->settings, table->arena, protocol, uri);
                        if (url == NULL)
                                return ERR_NO_MEMORY;
                        lines[count++] = str_of(url);
                }
        }
        return table_add_lines(table, lines, count);
}

static enum err_code add_cell(struct cli *cli, struct table *table, const struct column *column,
                              const json_t *object)
{
        const json_t *value = field_of(object, column->field);
        char time[TEXT_TIME_MAX];

        switch (column->type) {
        case COLUMN_TEXT:
                return table_add(table, text_of(value));
        case COLUMN_LINES:
                return add_lines(table, value);
        case COLUMN_JOINED:
                return add_joined(table, value);
        case COLUMN_NUMBER:
                return add_number(table, value);
        case COLUMN_TIME:
                text_time(json_integer_value(value), time);
                return table_add(table, str_of(time));
        case COLUMN_BOOL:
                return table_add(table, json_is_true(value) ? STR("true") : STR("false"));
        case COLUMN_HIDDEN:
                return table_add(table, STR("<hidden>"));
        case COLUMN_URLS:
                return add_urls(cli, table, object);
        }
        return ERR_OK;
}

static enum err_code add_row(struct cli *cli, struct table *table, const struct form *form,
                             const json_t *object)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < table->column_count && code == ERR_OK; i++)
                code = add_cell(cli, table, &form->columns[i], object);
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
        table.rows_only = rows_only || cli->no_headers;
        for (size_t i = 0; i < json_array_size(list) && code == ERR_OK; i++)
                code = add_row(cli, &table, form, json_array_get(list, i));
        if (code == ERR_OK && form->note != NULL && !table.rows_only)
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
