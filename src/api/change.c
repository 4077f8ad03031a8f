/*
 * api/change.c: the common way of create, update and delete, from the body to the reply. What is stored is
 * read, compared with what the caller expects and written in one transaction, so that of two changes made
 * from one copy one is refused.
 */
#include "api/precondition.h"
#include "api/resource.h"

#include "base/own.h"

#include <stdio.h>
#include <stdlib.h>

/* All that was made of what the caller sent. */
static void change_clear(struct change *change)
{
        json_decref(take_ptr(&change->document));
        json_decref(take_ptr(&change->internal));
        json_decref(take_ptr(&change->plain));
        buf_finish(&change->source);
        change->source = (struct buf){0};
        store_row_finish(&change->before);
        store_row_finish(&change->after);
        change->before = change->after = (struct store_row){0};
}

static void change_destroy(struct change *change)
{
        change_clear(change);
        /* All others that shared its parts are gone: what was sent of a secret can be overwritten. */
        if (change->resource->kind == MODEL_SECRET)
                secrets_wipe(change->sent);
        else
                json_decref(change->sent);
        free(change);
}

static void change_reply(struct change *change)
{
        const struct api_resource *resource = change->resource;

        if (change->verb == VERB_CREATE)
                api_row_reply(change->call, resource, resource->created, resource->creating, &change->after);
        else if (change->verb == VERB_UPDATE)
                api_row_reply(change->call, resource, resource->updated, resource->updating, &change->after);
        else
                api_row_reply(change->call, resource, resource->deleted, NULL, &change->before);
        change_destroy(change);
}

static void change_published(void *arg)
{
        change_reply(arg);
}

static void change_fail(struct change *change, const struct err *err)
{
        if (err_http_status(err->code) == 500)
                api_problem(change->api, "change a resource", err);
        api_call_fail(change->call, err);
        change_destroy(change);
}

/* Everything is durable: make it visible, then answer. */
static void change_finish(struct change *change)
{
        if (change->resource->committed != NULL && change->resource->committed(change))
                snapshot_publish(change->api->config.hub, change_published, change);
        else
                change_reply(change);
}

static struct change *change_create(const struct api_resource *resource, struct api_call *call)
{
        struct change *change = calloc(1, sizeof(*change));

        if (change == NULL)
                return NULL;
        change->api = call->api;
        change->call = call;
        change->resource = resource;
        change->verb = call->route.verb;
        return change;
}

/* The name in the body must be the path's, or be absent; then the path's is filled in. Secrets may say it in
 * `meta`. */
static enum err_code name_agree(struct change *change, struct err *err)
{
        struct str path = change->call->name;
        struct str names[2] = {json_str(change->sent, "name"),
                               json_str(json_object_get(change->sent, "meta"), "name")};
        bool named = false;

        if (!json_is_object(change->sent))
                return ERR_OK; /* the model's table says what is wrong */
        for (size_t i = 0; i < 2; i++) {
                if (names[i].len == 0)
                        continue;
                if (!str_eq(names[i], path))
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "name in body is '%.*s', but the path names '%.*s'",
                                       (int)(names[i].len < 128 ? names[i].len : 128), names[i].p,
                                       (int)(path.len < 128 ? path.len : 128), path.p);
                named = true;
        }
        if (!named && json_object_set_new(change->sent, "name", json_of(path)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

/* Secrets have theirs in `meta`, as the rest of what others have at the top. */
static struct str meta_sent(const json_t *sent, const char *key)
{
        struct str top = json_str(sent, key);

        return top.len > 0 ? top : json_str(json_object_get(sent, "meta"), key);
}

static enum err_code stale(const struct change *change, const char *what, struct str sent, struct err *err)
{
        return err_set(
                err, ERR_CONFLICT, "%s %s was changed meanwhile: it is at revision %lld, not at %s %.*s",
                model_resource(change->resource->kind)->label, change->before.name,
                (long long)change->before.revision, what, (int)(sent.len < 64 ? sent.len : 64), sent.p);
}

/* An update made from an old copy must not undo a newer one, nor one of another resource of that name. */
static enum err_code revision_check(const struct change *change, struct err *err)
{
        struct str revision = meta_sent(change->sent, "revision"), id = meta_sent(change->sent, "id");
        enum err_code code = precondition_check(change->call, change->resource->kind, &change->before, err);
        char current[32];

        if (code != ERR_OK || revision.len == 0)
                return code;
        snprintf(current, sizeof(current), "%lld", (long long)change->before.revision);
        if (!str_eq(revision, str_of(current)))
                return stale(change, "revision", revision, err);
        if (id.len > 0 && !str_eq_nocase(id, str_of(change->before.id)))
                return stale(change, "that of id", id, err);
        return ERR_OK;
}

/* Keys that the server sets come from the row, whatever a caller sent. */
static enum err_code owned_carry(struct change *change, struct err *err)
{
        for (const char *const *key = change->resource->owned; *key != NULL; key++) {
                json_t *value = change->before.document != NULL
                                        ? json_object_get(change->before.document, *key)
                                        : NULL;

                if (value == NULL)
                        json_object_del(change->document, *key);
                else if (json_object_set(change->document, *key, value) < 0)
                        return err_nomem(err);
        }
        return ERR_OK;
}

/* A name that is taken is said before anything that may be wrong with the rest. */
static enum err_code absent_check(const struct change *change, struct err *err)
{
        struct store_key key = api_call_key(change->call, change->resource->kind);
        own_row struct store_row row = {0};

        key.name = json_str(change->document, "name");
        enum err_code code = store_get(change->api->config.store, &key, &row, err);
        if (code != ERR_OK)
                return code == ERR_NOT_FOUND ? ERR_OK : code;
        if (str_eq(str_trim(change->call->if_none_match, " \t"), STR("*")))
                return precondition_check(change->call, change->resource->kind, &row, err);
        return err_set(err, ERR_CONFLICT, "%s %s already exists",
                       model_resource(change->resource->kind)->label, row.name);
}

/* What is there, and whether the caller may replace it. */
static enum err_code before_read(struct change *change, struct err *err)
{
        enum err_code code = api_row_get(change->call, change->resource, &change->before, err);

        if (code == ERR_OK && change->verb == VERB_UPDATE)
                code = name_agree(change, err);
        return code == ERR_OK ? revision_check(change, err) : code;
}

static enum err_code change_check(struct change *change, struct err *err)
{
        const struct model_resource *model = model_resource(change->resource->kind);
        enum err_code code = ERR_OK;

        if (change->verb == VERB_UPDATE && (code = before_read(change, err)) != ERR_OK)
                return code;
        code = model_parse(model, change->sent, change->before.document, &change->document, err);
        if (code != ERR_OK)
                return code;
        change->internal =
                change->before.internal != NULL ? json_deep_copy(change->before.internal) : json_object();
        if (change->internal == NULL)
                return err_nomem(err);
        if ((code = owned_carry(change, err)) != ERR_OK ||
            (change->verb == VERB_CREATE && (code = absent_check(change, err)) != ERR_OK))
                return code;
        return change->resource->check != NULL ? change->resource->check(change, err) : ERR_OK;
}

static enum err_code change_store_row(struct change *change, struct err *err)
{
        struct store *store = change->api->config.store;
        struct store_key key = api_call_key(change->call, change->resource->kind);

        if (change->verb == VERB_UPDATE)
                return store_update(store, &key, change->before.revision, change->document, change->internal,
                                    &change->after, err);

        key.name = json_str(change->document, "name");
        change->after.document = json_incref(change->document);
        change->after.internal = json_incref(change->internal);
        return store_insert(store, &key, &change->after, err);
}

static enum err_code change_apply(struct change *change, struct err *err)
{
        enum err_code code = change_check(change, err);

        if (code == ERR_OK)
                code = change_store_row(change, err);
        if (code == ERR_OK && change->resource->within != NULL)
                code = change->resource->within(change, err);
        return code;
}

static enum err_code delete_apply(struct change *change, struct err *err)
{
        struct store_key key = api_call_key(change->call, change->resource->kind);
        enum err_code code = before_read(change, err);

        if (code == ERR_OK)
                code = store_delete(change->api->config.store, &key, err);
        if (code == ERR_OK && change->resource->within != NULL)
                code = change->resource->within(change, err);
        return code;
}

static enum err_code transact(struct change *change,
                              enum err_code (*apply)(struct change *change, struct err *err), struct err *err)
{
        struct store *store = change->api->config.store;
        enum err_code code = store_begin(store, err);

        if (code != ERR_OK)
                return code;
        if ((code = apply(change, err)) != ERR_OK) {
                store_rollback(store);
                return code;
        }
        return store_commit(store, err);
}

static void change_store(struct change *change)
{
        struct err err;

        if (transact(change, change_apply, &err) != ERR_OK)
                change_fail(change, &err);
        else
                change_finish(change);
}

/* Looks at the change without making it: what is wrong is said before anything is prepared for it. */
static void change_prepare(struct change *change)
{
        struct store *store = change->api->config.store;
        struct err err;
        enum err_code code = store_begin(store, &err);

        if (code == ERR_OK) {
                code = change_check(change, &err);
                store_rollback(store);
        }
        if (code != ERR_OK)
                change_fail(change, &err);
        else
                change->resource->prepare(change);
}

void api_change_go_on(struct change *change, enum err_code code, const struct err *err)
{
        if (code != ERR_OK) {
                change_fail(change, err);
                return;
        }
        change_clear(change); /* what it was checked against may have changed meanwhile */
        change_store(change);
}

void api_change_drop(struct change *change)
{
        change_destroy(change);
}

void api_call_change(const struct api_resource *resource, struct api_call *call)
{
        struct change *change = change_create(resource, call);
        struct err err;

        if (change == NULL) {
                err_nomem(&err);
                api_call_fail(call, &err);
        } else if (api_body_parse(call, resource->kind, &change->sent, &err) != ERR_OK) {
                change_fail(change, &err);
        } else if (resource->prepares != NULL && resource->prepares(change)) {
                change_prepare(change);
        } else {
                change_store(change);
        }
}

static enum err_code delete_store(struct change *change, struct err *err)
{
        enum err_code code = ERR_OK;

        if (change->resource->before_delete != NULL)
                code = change->resource->before_delete(change->api, err);
        return code == ERR_OK ? transact(change, delete_apply, err) : code;
}

void api_call_delete(const struct api_resource *resource, struct api_call *call)
{
        struct change *change = change_create(resource, call);
        struct err err;

        if (change == NULL) {
                err_nomem(&err);
                api_call_fail(call, &err);
                return;
        }
        if (delete_store(change, &err) != ERR_OK) {
                change_fail(change, &err);
                return;
        }
        /* The reply shows the resource on its way out; whatever it was before, the table lets it go. */
        json_object_set_new(change->before.document, "status", json_string(status_name(STATUS_DELETING)));
        change_finish(change);
}
