/*
 * cli/list.c: selectors and sorting. The server is asked to filter by tags; since servers of older versions
 * take the question and ignore it, the answer is filtered again.
 */
#include "cli/list.h"

#include "base/own.h"
#include "model/tables.h"

#include <stdlib.h>
#include <string.h>

static enum err_code add_page(json_t *whole, const json_t *page, struct err *err)
{
        if (!json_is_array(page))
                return err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: the reply is not a list");
        if (json_array_size(whole) + json_array_size(page) > LIST_ENTRIES_MAX)
                return err_set(err, ERR_LIMIT, "the list has more than %d entries", LIST_ENTRIES_MAX);
        for (size_t i = 0; i < json_array_size(page); i++) {
                if (json_array_append(whole, json_array_get(page, i)) < 0)
                        return err_nomem(err);
        }
        return ERR_OK;
}

/* The next page's path out of the client, which forgets it with the next call. */
static enum err_code next_path(struct cli *cli, const char **ret, struct err *err)
{
        const char *next = client_next(cli->client);

        *ret = next != NULL ? arena_strdup(&cli->arena, str_of(next)) : NULL;
        return next != NULL && *ret == NULL ? err_nomem(err) : ERR_OK;
}

enum err_code list_get(struct cli *cli, const char *path, json_t **ret, struct err *err)
{
        own_json json_t *whole = NULL;
        enum err_code code = cli_get(cli, path, &whole, err);

        if (code == ERR_OK)
                code = next_path(cli, &path, err);
        for (int pages = 1; code == ERR_OK && path != NULL && json_is_array(whole); pages++) {
                own_json json_t *page = NULL;

                if (pages == LIST_PAGES_MAX)
                        return err_set(err, ERR_LIMIT, "the list has more than %d pages", LIST_PAGES_MAX);
                code = cli_get(cli, path, &page, err);
                if (code == ERR_OK)
                        code = add_page(whole, page, err);
                if (code == ERR_OK)
                        code = next_path(cli, &path, err);
        }
        if (code == ERR_OK)
                *ret = take_ptr(&whole);
        return code;
}

struct selectors {
        struct {
                struct str key, value;
        } at[LIST_SELECTORS_MAX];
        size_t count;
};

static enum err_code add_selector(struct selectors *selectors, struct str text, struct err *err)
{
        struct str value = text, key = str_cut(&value, '=');

        if (key.len == 0 || key.len == text.len || !str_is_utf8(text))
                return err_set(err, ERR_INVALID,
                               "invalid argument \"%.*s\" for \"-l, --selector\" flag: must be KEY=VALUE",
                               STR_ARG(text));
        if (selectors->count == LIST_SELECTORS_MAX)
                return err_set(err, ERR_LIMIT, "more than %d selectors", LIST_SELECTORS_MAX);
        selectors->at[selectors->count].key = key;
        selectors->at[selectors->count++].value = value;
        return ERR_OK;
}

static enum err_code read_selectors(const struct cli *cli, struct selectors *ret, struct err *err)
{
        enum err_code code = ERR_OK;
        const char *text;
        int at = 0;

        ret->count = 0;
        if (!args_knows(&cli->args, "selector"))
                return ERR_OK;
        while (code == ERR_OK && (text = args_next(&cli->args, "selector", &at)) != NULL) {
                struct str rest = str_of(text);
                while (rest.len > 0 && code == ERR_OK)
                        code = add_selector(ret, str_cut(&rest, ','), err);
        }
        return code;
}

static bool has_tag(const json_t *tags, struct str key, struct str value)
{
        for (size_t i = 0; i < json_array_size(tags); i++) {
                const json_t *tag = json_array_get(tags, i);
                if (str_eq(json_str(tag, "key"), key) && str_eq(json_str(tag, "value"), value))
                        return true;
        }
        return false;
}

static bool is_selected(const struct selectors *selectors, const json_t *object)
{
        const json_t *tags = json_object_get(object, "tags");
        const json_t *meta = json_object_get(json_object_get(object, "meta"), "tags");

        for (size_t i = 0; i < selectors->count; i++) {
                if (!has_tag(tags, selectors->at[i].key, selectors->at[i].value) &&
                    !has_tag(meta, selectors->at[i].key, selectors->at[i].value))
                        return false;
        }
        return true;
}

static enum err_code select_objects(const struct selectors *selectors, json_t **list, struct err *err)
{
        own_json json_t *kept = json_array();

        if (kept == NULL)
                return err_nomem(err);
        for (size_t i = 0; i < json_array_size(*list); i++) {
                json_t *object = json_array_get(*list, i);
                if (is_selected(selectors, object) && json_array_append(kept, object) < 0)
                        return err_nomem(err);
        }
        json_decref(*list);
        *list = take_ptr(&kept);
        return ERR_OK;
}

/* Bottom-up merging of runs that double: stable, without recursion. */
static void merge(json_t **from, json_t **to, size_t count, size_t run, list_compare *compare,
                  const void *arg)
{
        for (size_t start = 0; start < count; start += run * 2) {
                size_t middle = start + run < count ? start + run : count;
                size_t end = middle + run < count ? middle + run : count;
                size_t left = start, right = middle;

                for (size_t at = start; at < end; at++) {
                        bool take_left =
                                right == end || (left < middle && compare(from[left], from[right], arg) <= 0);
                        to[at] = take_left ? from[left++] : from[right++];
                }
        }
}

enum err_code list_sort(json_t **list, list_compare *compare, const void *arg, struct err *err)
{
        size_t count = json_array_size(*list);
        own_json json_t *sorted = json_array();
        own_mem json_t **from = calloc(count + 1, sizeof(*from));
        own_mem json_t **to = calloc(count + 1, sizeof(*to));

        if (sorted == NULL || from == NULL || to == NULL)
                return err_nomem(err);
        for (size_t i = 0; i < count; i++)
                from[i] = json_array_get(*list, i);
        for (size_t run = 1; run < count; run *= 2) {
                json_t **other = to;
                merge(from, to, count, run, compare, arg);
                to = from;
                from = other;
        }
        for (size_t i = 0; i < count; i++) {
                if (json_array_append(sorted, from[i]) < 0)
                        return err_nomem(err);
        }
        json_decref(*list);
        *list = take_ptr(&sorted);
        return ERR_OK;
}

static const json_t *member_of(const json_t *object, const char *member)
{
        const json_t *value = json_object_get(object, member);

        return value != NULL ? value : json_object_get(json_object_get(object, "meta"), member);
}

static int compare_texts(struct str a, struct str b)
{
        int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_values(const json_t *a, const json_t *b)
{
        if (json_is_string(a) && json_is_string(b))
                return compare_texts((struct str){json_string_value(a), json_string_length(a)},
                                     (struct str){json_string_value(b), json_string_length(b)});
        if (json_is_string(a) || json_is_string(b))
                return json_is_string(a) ? 1 : -1;
        if (json_is_integer(a) && json_is_integer(b))
                return (json_integer_value(a) > json_integer_value(b)) -
                       (json_integer_value(a) < json_integer_value(b));
        return (json_is_true(a) ? 1 : 0) - (json_is_true(b) ? 1 : 0);
}

int list_compare_member(const json_t *a, const json_t *b, const void *member)
{
        const json_t *left = member_of(a, member), *right = member_of(b, member);

        if (left == NULL || right == NULL)
                return (left != NULL) - (right != NULL);
        return compare_values(left, right);
}

static bool is_sortable(const struct model_field *field)
{
        return field->type == MODEL_STRING || field->type == MODEL_INTEGER || field->type == MODEL_BOOL ||
               field->type == MODEL_UUID;
}

/* Secrets have their times in their metadata. */
static const struct model_field *find_field(const struct resource *resource, const char *name)
{
        const struct model_field *fields = resource_model(resource)->fields;
        const struct model_field *field = model_field_find(fields, name),
                                 *nested = model_field_nested(fields);

        return field == NULL && nested != NULL ? model_field_find(nested->sub, name) : field;
}

/* The member of --sort-by, or NULL. */
static enum err_code sort_member(const struct cli *cli, const struct resource *resource, const char **ret,
                                 struct err *err)
{
        const char *name = args_knows(&cli->args, "sort-by") ? args_text(&cli->args, "sort-by") : NULL;
        const struct model_field *field = name != NULL ? find_field(resource, name) : NULL;

        if (name != NULL && (field == NULL || !is_sortable(field)))
                return err_set(err, ERR_INVALID,
                               "invalid argument \"%s\" for \"--sort-by\" flag: must be a field of -o json "
                               "that holds a text, a number or a boolean, such as name or status",
                               name);
        *ret = name;
        return ERR_OK;
}

enum err_code list_query(struct cli *cli, const struct resource *resource, const char **path, struct err *err)
{
        struct selectors selectors;
        const char *member;
        enum err_code code = sort_member(cli, resource, &member, err);

        if (code == ERR_OK)
                code = read_selectors(cli, &selectors, err);
        for (size_t i = 0; code == ERR_OK && i < selectors.count; i++) {
                const char *tag = arena_printf(&cli->arena, "%.*s=%.*s", STR_ARG(selectors.at[i].key),
                                               STR_ARG(selectors.at[i].value));
                code = tag != NULL ? client_query(&cli->arena, *path, "tags", tag, path, err)
                                   : err_nomem(err);
        }
        return code;
}

enum err_code list_shape(struct cli *cli, const struct resource *resource, json_t **list, struct err *err)
{
        struct selectors selectors;
        const char *member = NULL;
        enum err_code code = read_selectors(cli, &selectors, err);

        if (code == ERR_OK && selectors.count > 0 && json_is_array(*list))
                code = select_objects(&selectors, list, err);
        if (code == ERR_OK)
                code = sort_member(cli, resource, &member, err);
        return code == ERR_OK && member != NULL && json_is_array(*list)
                       ? list_sort(list, list_compare_member, member, err)
                       : code;
}
