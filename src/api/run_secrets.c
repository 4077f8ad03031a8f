/* api/run_secrets.c: the secrets that one run adds to its function's, as CONTRACT 0.9 lays them out. */
#include "api/run.h"

static enum err_code secret_open(struct run_call *run, const char *name, json_t **ret, struct err *err)
{
        const struct api_config *config = &run->api->config;
        const struct run_record *record = run->record;
        struct store_key key = {MODEL_SECRET, str_of(record->organization), str_of(record->project),
                                str_of(name)};
        own_row struct store_row row = {0};
        enum err_code code = store_get(config->store, &key, &row, err);

        if (code == ERR_NOT_FOUND)
                return err_set(
                        err, code,
                        "error when retrieving secrets from secret store: [Code: 404] secret %s not found",
                        name);
        if (code != ERR_OK)
                return code;
        return secrets_open_sealed(config->secrets, &key, row.id,
                                   json_object_get(row.internal, SECRETS_SEALED), ret, err);
}

static void wipe_release(json_t **map)
{
        secrets_wipe(*map);
}
#define own_secret __attribute__((cleanup(wipe_release)))

/* Its keys, over those of earlier secrets; and under its own name the whole, unless a key has that name.
 * Strings are copied, so that each tree can be wiped alone. */
static enum err_code secret_merge(json_t *all, json_t *whole, const char *name, json_t *values,
                                  struct err *err)
{
        char *text = json_dumps(values, JSON_COMPACT);
        const char *key;
        json_t *value;
        int failed;

        if (text == NULL)
                return err_nomem(err);
        failed = json_object_set_new(whole, name, json_string(text));
        explicit_bzero(text, strlen(text));
        free(text);
        json_object_foreach(values, key, value) failed |=
                json_object_set_new(all, key, json_deep_copy(value));
        return failed == 0 ? ERR_OK : err_nomem(err);
}

static enum err_code whole_add(json_t *all, json_t *whole, struct err *err)
{
        const char *key;
        json_t *value;
        int failed = 0;

        json_object_foreach(whole, key, value)
        {
                if (json_object_get(all, key) == NULL)
                        failed |= json_object_set_new(all, key, json_deep_copy(value));
        }
        return failed == 0 ? ERR_OK : err_nomem(err);
}

enum err_code run_secrets_read(struct run_call *run, struct err *err)
{
        own_secret json_t *all = json_object();
        own_secret json_t *whole = json_object();
        const json_t *name;
        size_t i;

        if (json_array_size(run->record->secret_names) == 0)
                return ERR_OK;
        json_array_foreach(run->record->secret_names, i, name)
        {
                own_secret json_t *values = NULL;
                const char *text = json_string_value(name);
                enum err_code code = secret_open(run, text, &values, err);

                if (code != ERR_OK || (code = secret_merge(all, whole, text, values, err)) != ERR_OK)
                        return code;
        }
        enum err_code code = whole_add(all, whole, err);
        return code == ERR_OK ? json_print(all, &run->secrets, err) : code;
}
