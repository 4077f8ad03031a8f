/* api/resource.c: the common way of create, read, update and delete. */
#include "api/resource.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_BYTES_MAX = CALL_REPLY_BYTES_MAX };

enum err_code api_not_found(enum model_kind kind, struct str name, struct err *err)
{
        return err_set(err, ERR_NOT_FOUND, "%s %.*s not found", model_resource(kind)->label,
                       (int)(name.len < 128 ? name.len : 128), name.p);
}

json_t *api_image_url(const struct api *api)
{
        char uuid[UUID_LEN + 1];

        uuid_generate(uuid);
        return json_sprintf("%s/%s", api->config.image_registry, uuid);
}

enum err_code api_body_parse(const struct api_call *call, enum model_kind kind, json_t **ret, struct err *err)
{
        struct err inner;

        if (call->body.len == 0) {
                err_set(err, ERR_UNPROCESSABLE, "body in body is required");
                err->detail = 602;
                return ERR_UNPROCESSABLE;
        }

        enum err_code code = json_parse((struct str){call->body.data, call->body.len}, ret, &inner);
        if (code == ERR_OK)
                return ERR_OK;
        if (code == ERR_NO_MEMORY)
                return err_nomem(err);
        return err_set(err, ERR_INVALID, "parsing %s body from \"\" failed, because %s",
                       model_resource(kind)->body_name, inner.text);
}

/* What a row knows beside its document. */
static int show_meta(const struct api *api, json_t *document, const struct model_resource *model,
                     const struct store_row *row)
{
        const char *project = row->project[0] != '\0' ? row->project : api->config.project;
        int failed = 0;

        failed |= json_object_set_new(document, "kind", json_string(model->kind_name));
        failed |= json_object_set_new(document, "name", json_string(row->name));
        failed |= json_object_set_new(document, "id", json_string(row->id));
        failed |= json_object_set_new(document, "project", json_string(project));
        failed |= json_object_set_new(document, "org", json_string(row->organization));
        failed |= json_object_set_new(document, "createdTime", json_integer(row->created_us / 1000000));
        failed |= json_object_set_new(document, "modifiedTime", json_integer(row->modified_us / 1000000));
        failed |= json_object_set_new(document, "revision", json_sprintf("%lld", (long long)row->revision));
        return failed;
}

enum err_code api_row_show(struct api *api, const struct api_resource *resource, const struct store_row *row,
                           json_t **ret, struct err *err)
{
        const struct model_resource *model = model_resource(resource->kind);
        own_json json_t *document = json_copy(row->document);

        if (document == NULL || show_meta(api, document, model, row) != 0 ||
            json_object_set_new(document, "conditions", status_conditions(document, row->internal)) < 0)
                return err_nomem(err);
        if (resource->reveal != NULL) {
                enum err_code code = resource->reveal(api, row, document, err);
                if (code != ERR_OK)
                        return code;
        }
        if ((*ret = model_print(model, document, MODEL_PRINT_ALL)) == NULL)
                return err_nomem(err);
        return ERR_OK;
}

static void reply_row(struct api_call *call, const struct api_resource *resource, int status,
                      const struct store_row *row)
{
        own_json json_t *shown = NULL;
        char etag[32];
        struct err err;

        if (status == 204) {
                api_call_empty(call, status);
                return;
        }
        if (api_row_show(call->api, resource, row, &shown, &err) != ERR_OK) {
                api_problem(call->api, "show a resource", &err);
                api_call_fail(call, &err);
                return;
        }
        snprintf(etag, sizeof(etag), "\"%lld\"", (long long)row->revision);
        api_call_field(call, "ETag", etag);
        api_call_json(call, status, shown);
}

static struct store_key call_key(const struct api_call *call, enum model_kind kind)
{
        return api_key(kind, call->caller.organization, call->caller.project, call->name);
}

struct listing {
        struct api *api;
        const struct api_resource *resource;
        struct buf *out;
        size_t count;
        enum err_code code;
        struct err err;
};

static bool list_row(void *arg, struct store_row *row)
{
        struct listing *listing = arg;
        own_json json_t *shown = NULL;

        listing->code = api_row_show(listing->api, listing->resource, row, &shown, &listing->err);
        if (listing->code != ERR_OK)
                return false;
        if (listing->count++ > 0)
                listing->code = buf_append_text(listing->out, ",");
        if (listing->code == ERR_OK)
                listing->code = json_print(shown, listing->out, &listing->err);
        else
                err_set(&listing->err, listing->code, "the list does not fit in %d bytes", LIST_BYTES_MAX);
        return listing->code == ERR_OK;
}

static void call_list(const struct api_resource *resource, struct api_call *call)
{
        struct store_key key = call_key(call, resource->kind);
        struct listing listing = {.api = call->api, .resource = resource, .out = &call->reply};
        struct err err;

        key.name = STR("");
        buf_append_text(&call->reply, "[");
        enum err_code code = store_list(call->api->config.store, &key, list_row, &listing, &err);
        if (code == ERR_OK && listing.code != ERR_OK)
                err = listing.err;
        if (code != ERR_OK || listing.code != ERR_OK || buf_append_text(&call->reply, "]\n") != ERR_OK) {
                if (code == ERR_OK && listing.code == ERR_OK)
                        err_nomem(&err);
                api_problem(call->api, "list", &err);
                api_call_fail(call, &err);
                return;
        }
        api_call_field(call, "Content-Type", "application/json");
        call->status = 200;
        api_call_finish(call);
}

static void call_get(const struct api_resource *resource, struct api_call *call)
{
        struct store_key key = call_key(call, resource->kind);
        own_row struct store_row row = {0};
        struct err err;

        if (store_get(call->api->config.store, &key, &row, &err) != ERR_OK)
                api_call_fail(call, &err);
        else
                reply_row(call, resource, 200, &row);
}

static void change_destroy(struct change *change)
{
        json_decref(change->sent);
        json_decref(change->document);
        json_decref(change->internal);
        json_decref(change->plain);
        buf_finish(&change->source);
        store_row_finish(&change->before);
        store_row_finish(&change->after);
        free(change);
}

static void change_reply(struct change *change)
{
        const struct api_resource *resource = change->resource;

        if (change->verb == VERB_CREATE)
                reply_row(change->call, resource, resource->created, &change->after);
        else if (change->verb == VERB_UPDATE)
                reply_row(change->call, resource, resource->updated, &change->after);
        else
                reply_row(change->call, resource, resource->deleted, &change->before);
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

/* An update made from an old copy must not undo a newer one. */
static enum err_code revision_check(const struct change *change, struct err *err)
{
        struct str sent = json_str(change->sent, "revision"), match = str_trim(change->call->if_match, " \t");
        char current[32];

        snprintf(current, sizeof(current), "%lld", (long long)change->before.revision);
        if (match.len > 0 && !str_eq(match, STR("*")) && !str_eq(str_trim(match, "\""), str_of(current)))
                return err_set(err, ERR_PRECONDITION, "%s %s is at revision %s, If-Match names %.*s",
                               model_resource(change->resource->kind)->label, change->before.name, current,
                               (int)(match.len < 64 ? match.len : 64), match.p);
        if (sent.len > 0 && !str_eq(sent, str_of(current)))
                return err_set(err, ERR_CONFLICT,
                               "%s %s was changed meanwhile: it is at revision %s, not %.*s",
                               model_resource(change->resource->kind)->label, change->before.name, current,
                               (int)(sent.len < 64 ? sent.len : 64), sent.p);
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

static enum err_code change_parse(struct change *change, struct err *err)
{
        const struct model_resource *model = model_resource(change->resource->kind);
        enum err_code code = api_body_parse(change->call, change->resource->kind, &change->sent, err);

        if (code != ERR_OK)
                return code;
        if (change->verb == VERB_UPDATE) {
                struct store_key key = call_key(change->call, change->resource->kind);

                if ((code = store_get(change->api->config.store, &key, &change->before, err)) != ERR_OK ||
                    (code = name_agree(change, err)) != ERR_OK ||
                    (code = revision_check(change, err)) != ERR_OK)
                        return code;
        }
        code = model_parse(model, change->sent, change->before.document, &change->document, err);
        if (code != ERR_OK)
                return code;
        change->internal =
                change->before.internal != NULL ? json_deep_copy(change->before.internal) : json_object();
        if (change->internal == NULL)
                return err_nomem(err);
        if ((code = owned_carry(change, err)) != ERR_OK)
                return code;
        return change->resource->check != NULL ? change->resource->check(change, err) : ERR_OK;
}

static enum err_code change_store_row(struct change *change, struct err *err)
{
        struct store *store = change->api->config.store;
        struct store_key key = call_key(change->call, change->resource->kind);

        if (change->verb == VERB_UPDATE)
                return store_update(store, &key, change->before.revision, change->document, change->internal,
                                    &change->after, err);

        key.name = json_str(change->document, "name");
        change->after.document = json_incref(change->document);
        change->after.internal = json_incref(change->internal);
        return store_insert(store, &key, &change->after, err);
}

static enum err_code change_store(struct change *change, struct err *err)
{
        struct store *store = change->api->config.store;
        enum err_code code = store_begin(store, err);

        if (code != ERR_OK)
                return code;
        code = change_store_row(change, err);
        if (code == ERR_OK && change->resource->within != NULL)
                code = change->resource->within(change, err);
        if (code != ERR_OK) {
                store_rollback(store);
                return code;
        }
        return store_commit(store, err);
}

static void call_change(const struct api_resource *resource, struct api_call *call)
{
        struct change *change = change_create(resource, call);
        struct err err;

        if (change == NULL) {
                err_nomem(&err);
                api_call_fail(call, &err);
        } else if (change_parse(change, &err) != ERR_OK || change_store(change, &err) != ERR_OK) {
                change_fail(change, &err);
        } else {
                change_finish(change);
        }
}

static enum err_code delete_store(struct change *change, struct err *err)
{
        struct store *store = change->api->config.store;
        struct store_key key = call_key(change->call, change->resource->kind);
        enum err_code code = store_get(store, &key, &change->before, err);

        if (code != ERR_OK || (code = revision_check(change, err)) != ERR_OK)
                return code;
        if (change->resource->before_delete != NULL &&
            (code = change->resource->before_delete(change->api, err)) != ERR_OK)
                return code;
        if ((code = store_begin(store, err)) != ERR_OK)
                return code;
        code = store_delete(store, &key, err);
        if (code == ERR_OK && change->resource->within != NULL)
                code = change->resource->within(change, err);
        if (code != ERR_OK) {
                store_rollback(store);
                return code;
        }
        return store_commit(store, err);
}

static void call_delete(const struct api_resource *resource, struct api_call *call)
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

void api_resource_call(const struct api_resource *resource, struct api_call *call)
{
        switch (call->route.verb) {
        case VERB_LIST:
                call_list(resource, call);
                break;
        case VERB_GET:
                call_get(resource, call);
                break;
        case VERB_CREATE:
        case VERB_UPDATE:
                call_change(resource, call);
                break;
        case VERB_DELETE:
                call_delete(resource, call);
                break;
        }
}
