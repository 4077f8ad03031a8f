/* cli/cell.c: one field of an object as a cell of its table. */
#include "cli/cell.h"

#include "base/own.h"
#include "cli/text.h"

#include <assert.h>
#include <string.h>

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

static enum err_code add_joined(struct table *table, const json_t *list, const char *separator)
{
        own_buf struct buf joined = {.max = CLI_TEXT_MAX};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(list) && code == ERR_OK; i++) {
                if (i > 0)
                        code = buf_append_text(&joined, separator);
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

/* key=value, or the key alone. */
static enum err_code add_pairs(struct table *table, const json_t *list)
{
        struct str lines[128];
        size_t count = 0;

        for (size_t i = 0; i < json_array_size(list) && count < 128; i++) {
                struct str key = json_str(json_array_get(list, i), "key");
                struct str value = json_str(json_array_get(list, i), "value");
                const char *line = arena_printf(table->arena, "%.*s%s%.*s", (int)key.len,
                                                key.p != NULL ? key.p : "", value.len > 0 ? "=" : "",
                                                (int)value.len, value.p != NULL ? value.p : "");
                if (line == NULL)
                        return ERR_NO_MEMORY;
                lines[count++] = str_of(line);
        }
        return table_add_lines(table, lines, count);
}

static enum err_code add_names(struct table *table, const json_t *objects)
{
        own_buf struct buf joined = {.max = CLI_TEXT_MAX};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(objects) && code == ERR_OK; i++) {
                if (i > 0)
                        code = buf_append_text(&joined, " ");
                if (code == ERR_OK)
                        code = text_append_line(&joined, json_str(json_array_get(objects, i), "name"));
        }
        return code == ERR_OK ? table_add(table, (struct str){joined.data, joined.len}) : code;
}

/* JSON with two blanks, line by line. */
static enum err_code add_json(struct table *table, const json_t *value)
{
        own_mem char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;
        struct str lines[256], rest = str_of(text);
        size_t count = 0;

        if (text == NULL && value != NULL)
                return ERR_NO_MEMORY;
        while (rest.len > 0 && count < 256)
                lines[count++] = str_cut(&rest, '\n');
        return table_add_lines(table, lines, count);
}

enum err_code cell_add(struct cli *cli, struct table *table, const struct column *column,
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
                return add_joined(table, value, ", ");
        case COLUMN_NUMBER:
                return add_number(table, value);
        case COLUMN_TIME:
                text_time(json_integer_value(value), time);
                return table_add(table, str_of(time));
        case COLUMN_BOOL:
                return table_add(table, json_is_true(value) ? STR("true") : STR("false"));
        case COLUMN_HIDDEN:
                return table_add(table, STR("<hidden>"));
        case COLUMN_COMMA:
                return add_joined(table, value, ",");
        case COLUMN_PAIRS:
                return add_pairs(table, value);
        case COLUMN_NAMES:
                return add_names(table, value);
        case COLUMN_JSON:
                return add_json(table, value);
        case COLUMN_READY:
                return table_add(table, str_eq(text_of(value), STR("READY")) ? STR("true") : STR("false"));
        case COLUMN_URLS:
                return add_urls(cli, table, object);
        }
        return ERR_OK;
}
