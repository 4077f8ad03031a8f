/* api/secrets.c: secrets: sealed before they reach the store, opened for their owner's eyes. */
#include "api/functions.h"
#include "api/resource.h"

/* The values leave the document here; only sealed do they go on. */
static enum err_code secret_check(struct change *change, struct err *err)
{
        json_t *values = json_object_get(change->document, "secrets");

        change->plain = values != NULL ? json_incref(values) : json_object();
        if (change->plain == NULL)
                return err_nomem(err);
        json_object_del(change->document, "secrets");
        return ERR_OK;
}

/* A sealed value is bound to the row's id, which exists only now. */
static enum err_code secret_within(struct change *change, struct err *err)
{
        struct store_row *row = &change->after;
        json_t *sealed;

        if (change->verb == VERB_DELETE)
                return ERR_OK;

        struct store_key key = api_row_key(MODEL_SECRET, row);
        enum err_code code =
                secrets_seal(change->api->config.secrets, &key, row->id, change->plain, &sealed, err);
        if (code != ERR_OK)
                return code;
        if (json_object_set_new(row->internal, SECRETS_SEALED, sealed) < 0)
                return err_nomem(err);
        return store_set_state(change->api->config.store, MODEL_SECRET, str_of(row->id), row->document,
                               row->internal, err);
}

/* Functions that name it get instances with the new values; those that failed without it try again. */
static bool secret_committed(struct change *change)
{
        const struct store_row *row = change->verb == VERB_DELETE ? &change->before : &change->after;

        return functions_secret_changed(change->api, str_of(row->organization), str_of(row->project),
                                        str_of(row->name));
}

static enum err_code secret_reveal(struct api *api, const struct store_row *row, json_t *document,
                                   struct err *err)
{
        struct store_key key = api_row_key(MODEL_SECRET, row);
        json_t *values;
        enum err_code code =
                secrets_open_sealed(api->config.secrets, &key, row->id,
                                    json_object_get(row->internal, SECRETS_SEALED), &values, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "secret %s", row->name);
        if (json_object_set_new(document, "secrets", values) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static const char *const secret_owned[] = {NULL};

const struct api_resource api_secrets = {
        .kind = MODEL_SECRET,
        .created = 201,
        .updated = 201,
        .deleted = 204,
        .owned = secret_owned,
        .check = secret_check,
        .within = secret_within,
        .committed = secret_committed,
        .reveal = secret_reveal,
};
