/* api/rows.c: going over stored rows while changing them. */
#include "api/rows.h"
#include "api/status.h"

#include "base/own.h"

#include <stdlib.h>

struct named {
        char *organization, *project, *name;
};

struct names {
        struct named *items;
        size_t count, capacity;
        bool (*match)(const struct store_row *row, struct str value);
        struct str value;
        bool no_memory;
};

static bool names_add(struct names *names, const struct store_row *row)
{
        if (names->count == names->capacity) {
                size_t capacity = names->capacity * 2 + 16;
                struct named *items = reallocarray(names->items, capacity, sizeof(*items));

                if (items == NULL)
                        return false;
                names->items = items;
                names->capacity = capacity;
        }
        struct named *item = &names->items[names->count++];
        item->organization = strdup(row->organization);
        item->project = strdup(row->project);
        item->name = strdup(row->name);
        return item->organization != NULL && item->project != NULL && item->name != NULL;
}

static bool names_take(void *arg, struct store_row *row)
{
        struct names *names = arg;

        if (names->match(row, names->value) && !names_add(names, row))
                names->no_memory = true;
        return !names->no_memory;
}

static void names_finish(struct names *names)
{
        for (size_t i = 0; i < names->count; i++) {
                free(names->items[i].organization);
                free(names->items[i].project);
                free(names->items[i].name);
        }
        free(names->items);
}

enum err_code api_rows_each(struct api *api, const struct store_key *key,
                            bool (*match)(const struct store_row *row, struct str value), struct str value,
                            void (*act)(struct api *api, enum model_kind kind, struct store_row *row),
                            struct err *err)
{
        __attribute__((cleanup(names_finish))) struct names names = {.match = match, .value = value};
        enum err_code code = store_list(api->config.store, key, names_take, &names, err);

        if (code != ERR_OK)
                return code;
        if (names.no_memory)
                return err_nomem(err);
        for (size_t i = 0; i < names.count; i++) {
                const struct named *named = &names.items[i];
                struct store_key one = {key->kind, str_of(named->organization), str_of(named->project),
                                        str_of(named->name)};
                own_row struct store_row row = {0};

                code = store_get(api->config.store, &one, &row, err);
                if (code == ERR_OK)
                        act(api, key->kind, &row);
                else if (code != ERR_NOT_FOUND)
                        return code;
        }
        return ERR_OK;
}

bool api_list_has(const json_t *list, struct str text)
{
        const json_t *item;
        size_t i;

        json_array_foreach(list, i, item)
        {
                if (json_is_string(item) && str_eq(str_of(json_string_value(item)), text))
                        return true;
        }
        return false;
}

bool api_row_of_base_image(const struct store_row *row, struct str value)
{
        return str_eq(json_str(row->document, "baseImageName"), value);
}

bool api_row_of_image(const struct store_row *row, struct str value)
{
        return str_eq(json_str(row->document, "image"), value);
}

bool api_row_of_secret(const struct store_row *row, struct str value)
{
        const json_t *active = json_object_get(json_object_get(row->internal, "active"), "document");

        return api_list_has(json_object_get(row->document, "secrets"), value) ||
               api_list_has(json_object_get(active, "secrets"), value);
}

bool api_row_pending(const struct store_row *row, struct str value)
{
        (void)value;
        return status_is_pending(status_of(row->document));
}
