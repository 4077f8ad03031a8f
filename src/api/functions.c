/* api/functions.c: a function's definition: what is checked, kept and shown of it. */
#include "api/functions.h"
#include "api/foreign_image.h"
#include "api/foreign_pull.h"
#include "api/object_store.h"
#include "api/resource.h"
#include "api/rows.h"
#include "api/runs.h"
#include "api/sources.h"

#include "base/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static enum err_code refuse(struct err *err, const char *what, const char *why)
{
        return err_set(err, ERR_UNPROCESSABLE, "%s is not available in this version of Dispatch%s", what,
                       why);
}

/* Nothing is accepted and then ignored: what this version cannot honour is refused by name. */
static enum err_code unsupported_check(const json_t *document, struct err *err)
{
        if (json_array_size(json_object_get(document, "services")) > 0)
                return refuse(err, "services", "");
        return ERR_OK;
}

/* Whether the handler can take several runs at a time, only loading it tells. */
static enum err_code concurrency_check(const json_t *document, struct err *err)
{
        if (json_integer_value(json_object_get(document, "concurrency")) <= 1)
                return ERR_OK;
        if (str_eq(json_str(document, "isolation"), STR("run")))
                return err_set(err, ERR_UNPROCESSABLE,
                               "concurrency in body must be 1 with isolation run: each run has a process of "
                               "its own");
        if (foreign_image_of(document).len > 0)
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "concurrency in body must be 1 with functionImage: its server gets one request "
                        "at a time");
        return ERR_OK;
}

/* A schema that cannot be used is refused here, not at the first run. */
static enum err_code schema_check(const json_t *document, const char *field, struct err *err)
{
        struct schema *schema = NULL;
        enum err_code code = revision_schema(document, field, &schema, err);

        schema_unref(schema);
        return code;
}

static enum err_code image_check(const struct change *change, struct err *err)
{
        const struct caller *caller = &change->call->caller;
        struct str image = json_str(change->document, "image");
        struct store_key key = api_key(MODEL_IMAGE, caller->organization, caller->project, image);
        own_row struct store_row row = {0};

        if (image.len == 0) {
                err_set(err, ERR_UNPROCESSABLE, "image in body is required");
                err->detail = 602;
                return ERR_UNPROCESSABLE;
        }
        return store_get(change->api->config.store, &key, &row, err);
}

static enum err_code source_decode(struct change *change, struct str base64, struct err *err)
{
        struct buf *archive = &change->source;
        uint64_t max = change->api->config.source_bytes_max;
        size_t len, bad;

        if (base64.len / 4 * 3 > max + 3)
                return err_set(err, ERR_TOO_LARGE, "source is larger than the limit of %llu bytes",
                               (unsigned long long)max);
        buf_init(archive, base64.len);
        if (buf_reserve(archive, base64.len) != ERR_OK)
                return err_nomem(err);
        if (!base64_decode(base64, archive->data, &len, &bad))
                return err_set(
                        err, ERR_INVALID,
                        "parsing body body from \"\" failed, because illegal base64 data at input byte %zu",
                        bad);
        archive->len = len;
        return ERR_OK;
}

/* Where it will be, in the row and for its reader. */
static enum err_code source_name(struct change *change, const char *key, const char *digest, struct err *err)
{
        const struct caller *caller = &change->call->caller;
        char url[OBJECT_URL_MAX] = "";
        bool object = object_store_on(change->api);
        enum err_code code = object ? object_url(change->api, key, url, err) : ERR_OK;

        if (code != ERR_OK)
                return code;
        json_t *shown = object ? json_string(url)
                               : json_sprintf("file:///store/%.*s/%.*s/%s", STR_ARG(caller->organization),
                                              STR_ARG(caller->project), digest);
        if (json_object_set_new(change->document, "sourceURL", shown) < 0 ||
            json_object_set_new(change->internal, "source",
                                json_pack("{s:s, s:s, s:s*}", "key", key, "digest", digest, "url",
                                          object ? url : NULL)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

/* Names the archive in the row; the file is written in the transaction. */
static enum err_code source_take(struct change *change, struct str base64, struct err *err)
{
        const struct caller *caller = &change->call->caller;
        char digest[SOURCE_HEX_LEN + 1], key[SOURCE_HEX_LEN + 1];
        enum err_code code = source_decode(change, base64, err);

        if (code != ERR_OK)
                return code;
        source_digest((struct str){change->source.data, change->source.len}, digest);
        source_key(caller->organization, caller->project, digest, key);

        return source_name(change, key, digest, err);
}

static enum err_code source_check(struct change *change, struct err *err)
{
        own_json json_t *source = json_incref(json_object_get(change->document, "source"));
        struct str url = json_str(change->document, "sourceURL"), stored = {0};

        json_object_del(change->document, "source");
        if (json_string_length(source) > 0)
                return source_take(change,
                                   (struct str){json_string_value(source), json_string_length(source)}, err);
        if (change->before.document != NULL)
                stored = json_str(change->before.document, "sourceURL");
        if (stored.len == 0 && url.len == 0)
                return err_set(err, ERR_INVALID, "either source or sourceURL must be specified");
        if (url.len > 0 && !str_eq(url, stored))
                return refuse(err, "fetching a sourceURL", ": send the archive in source");
        /* An update without a source keeps the one that is there. */
        if (json_object_set_new(change->document, "sourceURL", json_of(stored)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

/* An image that is the whole function: no source, and no image to build on. */
static enum err_code whole_check(struct change *change, struct err *err)
{
        const struct caller *caller = &change->call->caller;
        struct str secret = json_str(change->document, "registrySecret");
        struct store_key key = api_key(MODEL_SECRET, caller->organization, caller->project, secret);
        own_row struct store_row row = {0};
        enum err_code code = foreign_pull_check(change->api, foreign_image_of(change->document), err);

        if (code != ERR_OK)
                return err_wrap(err, code, "functionImage in body");
        if (secret.len > 0)
                code = store_get(change->api->config.store, &key, &row, err);
        if (code != ERR_OK)
                return code;
        json_object_del(change->document, "source");
        json_object_del(change->document, "sourceURL");
        json_object_del(change->internal, "source");
        return ERR_OK;
}

/* What it is made of. */
static enum err_code material_check(struct change *change, struct err *err)
{
        enum err_code code;

        if (foreign_image_of(change->document).len > 0)
                return whole_check(change, err);
        code = image_check(change, err);
        return code == ERR_OK ? source_check(change, err) : code;
}

/* One id for the function and for what runs it: a run's record names it as both. It stays through updates. */
static enum err_code identity_make(struct change *change, struct err *err)
{
        char uuid[UUID_LEN + 1];

        if (change->verb == VERB_UPDATE)
                return ERR_OK;
        uuid_generate(uuid);
        change->after.id = strdup(uuid);
        if (change->after.id == NULL ||
            json_object_set_new(change->document, "faasId", json_string(uuid)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

/* The image that it is, or that it would be. */
static enum err_code image_url_make(struct change *change, struct err *err)
{
        struct str reference = foreign_image_of(change->document);
        struct str id = json_str(change->document, "faasId");

        /* What was pushed is in the registry until something else is (function_push.c). */
        if (change->verb == VERB_UPDATE && reference.len == 0 &&
            foreign_image_of(change->before.document).len == 0 &&
            json_str(change->document, "functionImageURL").len > 0)
                return ERR_OK;

        json_t *url = reference.len > 0
                              ? json_of(reference)
                              : json_sprintf("%s/%.*s", change->api->config.image_registry, STR_ARG(id));

        return json_object_set_new(change->document, "functionImageURL", url) < 0 ? err_nomem(err) : ERR_OK;
}

static enum err_code function_check(struct change *change, struct err *err)
{
        enum err_code code = unsupported_check(change->document, err);

        if (code != ERR_OK || (code = concurrency_check(change->document, err)) != ERR_OK ||
            (code = schema_check(change->document, "in", err)) != ERR_OK ||
            (code = schema_check(change->document, "out", err)) != ERR_OK ||
            (code = material_check(change, err)) != ERR_OK || (code = identity_make(change, err)) != ERR_OK ||
            (code = image_url_make(change, err)) != ERR_OK)
                return code;

        bool serving = json_object_get(change->internal, "active") != NULL;
        return status_move(change->document, change->internal, serving ? STATUS_UPDATING : STATUS_INITIALIZED,
                           NULL, err);
}

/* Before the row is committed, so that no row names a source that a crash took. */
static enum err_code function_within(struct change *change, struct err *err)
{
        struct api *api = change->api;
        const json_t *source = json_object_get(change->internal, "source");

        if (change->verb == VERB_DELETE)
                return store_run_delete(api->config.store, str_of(change->before.organization),
                                        str_of(change->before.project), str_of(change->before.id), err);
        if (change->source.len == 0)
                return ERR_OK;
        return source_save(api, json_string_value(json_object_get(source, "key")),
                           (struct str){change->source.data, change->source.len}, err);
}

/* Into the object store, where there is one. */
static bool function_prepares(const struct change *change)
{
        return object_store_on(change->api) &&
               json_string_length(json_object_get(change->sent, "source")) > 0;
}

static void function_deleted(struct change *change)
{
        struct api *api = change->api;
        const struct store_row *row = &change->before;
        struct revision *serving = function_serving(api, row);
        struct err err;

        if (serving != NULL)
                revision_ref(serving);
        if (snapshot_drop_function(api->config.hub, str_of(row->organization), str_of(row->project),
                                   str_of(row->name), &err) != ERR_OK)
                api_stumble_snapshot(api, "drop a function", &err);
        functions_stale(api, row->id);
        function_publish_retire(api, serving);
        revision_unref(serving);
        sources_swap(api, row->internal, NULL);
        runs_function_changed(api, row->id);
}

static void function_begun(struct change *change)
{
        struct api *api = change->api;
        struct store_key key = api_row_key(MODEL_FUNCTION, &change->after);
        own_row struct store_row row = {0};
        struct err err;

        sources_swap(api, change->before.internal, change->after.internal);
        functions_stale(api, change->after.id);
        if (function_entry_put(api, &change->after, function_serving(api, &change->after), &err) != ERR_OK)
                api_stumble_snapshot(api, "publish a function", &err);
        /* The reply shows the row as it was stored, so the work starts on one of its own. */
        if (store_get(api->config.store, &key, &row, &err) != ERR_OK)
                api_stumble(api, "read a function again", &err);
        else
                functions_reconcile(api, MODEL_FUNCTION, &row);
}

static bool function_committed(struct change *change)
{
        if (change->verb == VERB_DELETE)
                function_deleted(change);
        else
                function_begun(change);
        return true;
}

/* Records that are still to be written must not come after the function's runs were deleted. */
static enum err_code function_before_delete(struct api *api, struct err *err)
{
        return recorder_flush(api->config.recorder, err);
}

/* What serves, which may be an older revision than the definition shown. */
static enum err_code function_reveal(struct api *api, const struct store_row *row, json_t *document,
                                     struct err *err)
{
        const json_t *active = json_object_get(row->internal, "active");
        json_t *backing;

        (void)api;
        if (active == NULL)
                return ERR_OK;
        backing = json_pack("{s:O, s:O, s:O, s:O, s:O*, s:O*}", "revision", json_object_get(active, "number"),
                            "language", json_object_get(active, "language"), "handler",
                            json_object_get(active, "handler"), "layers", json_object_get(active, "layers"),
                            "code", json_object_get(active, "layer"), "image",
                            json_object_get(active, "image"));
        if (json_object_set_new(document, "backingObject", backing) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static const char *const function_owned[] = {"status", "reason", "functionImageURL", "faasId", NULL};

const struct api_resource api_functions = {
        .kind = MODEL_FUNCTION,
        .created = 201,
        .updated = 200,
        .deleted = 200,
        .names_others = true,
        .owned = function_owned,
        .check = function_check,
        .prepares = function_prepares,
        .prepare = source_upload,
        .before_delete = function_before_delete,
        .within = function_within,
        .committed = function_committed,
        .reveal = function_reveal,
};
