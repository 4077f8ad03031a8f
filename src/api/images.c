/*
 * api/images.c: base images and images. A base image is a reference resolved to a built-in image of this
 * server, whose layer dispatch-build makes; an image adds what it depends on to a base image of that name, or
 * to a reference of its own.
 */
#include "api/images.h"
#include "api/base_images.h"
#include "api/explain.h"
#include "api/function_image.h"
#include "api/functions.h"
#include "api/image_build.h"
#include "api/image_log.h"
#include "api/resource.h"
#include "api/rows.h"

#include "base/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A built-in image that is being made for a row. */
struct layer_job {
        struct layer_job *next;
        struct api *api;
        enum model_kind kind;
        char *organization, *project, *name;
        char id[UUID_LEN + 1];
        int64_t revision;
        char language[SPAWN_NAME_MAX];
};

static void job_free(struct layer_job *job)
{
        free(job->organization);
        free(job->project);
        free(job->name);
        free(job);
}

static void job_unlink(struct layer_job *job)
{
        for (struct layer_job **at = &job->api->layer_jobs; *at != NULL; at = &(*at)->next) {
                if (*at == job) {
                        *at = job->next;
                        return;
                }
        }
}

void images_finish(struct api *api)
{
        while (api->layer_jobs != NULL) {
                struct layer_job *job = api->layer_jobs;

                api->layer_jobs = job->next;
                job_free(job);
        }
}

static bool job_running(const struct api *api, const struct store_row *row)
{
        for (const struct layer_job *job = api->layer_jobs; job != NULL; job = job->next) {
                if (job->revision == row->revision && strcmp(job->id, row->id) == 0)
                        return true;
        }
        return false;
}

static struct layer_job *job_create(struct api *api, enum model_kind kind, const struct store_row *row,
                                    const char *language)
{
        struct layer_job *job = calloc(1, sizeof(*job));

        if (job == NULL)
                return NULL;
        job->api = api;
        job->kind = kind;
        job->revision = row->revision;
        snprintf(job->id, sizeof(job->id), "%s", row->id);
        snprintf(job->language, sizeof(job->language), "%s", language);
        job->organization = strdup(row->organization);
        job->project = strdup(row->project);
        job->name = strdup(row->name);
        if (job->organization == NULL || job->project == NULL || job->name == NULL) {
                job_free(job);
                return NULL;
        }
        job->next = api->layer_jobs;
        api->layer_jobs = job;
        return job;
}

/* An image that waits for its base image goes on; one that failed because of it tries again. */
static void base_image_moved(struct api *api, enum model_kind kind, struct store_row *row)
{
        struct err err;

        if (status_of(row->document) == STATUS_READY)
                return; /* it keeps the layers that it has until it is updated */
        if (status_of(row->document) == STATUS_ERROR &&
            status_save(api->config.store, kind, row, STATUS_INITIALIZED, NULL, &err) != ERR_OK) {
                api_stumble(api, "try an image again", &err);
                return;
        }
        images_reconcile(api, kind, row);
}

/* Whoever waits for this row goes on. */
static void wake(struct api *api, enum model_kind kind, const struct store_row *row)
{
        struct store_key key = {MODEL_IMAGE, str_of(row->organization), STR(""), STR("")};
        bool works = status_of(row->document) == STATUS_READY;
        struct err err;

        if (kind == MODEL_IMAGE)
                functions_image_changed(api, row);
        else if (api_rows_each(api, &key, api_row_of_base_image, str_of(row->name),
                               works ? base_image_moved : images_reconcile, &err) != ERR_OK)
                api_stumble(api, "find the images of a base image", &err);
}

static void save(struct api *api, enum model_kind kind, struct store_row *row, enum status to,
                 const json_t *reasons)
{
        struct err err;

        if (status_save(api->config.store, kind, row, to, reasons, &err) != ERR_OK) {
                api_stumble(api, "save an image's status", &err);
        } else if (!status_is_pending(to)) {
                image_log_moved(api, row->id);
                wake(api, kind, row);
                if (kind == MODEL_IMAGE)
                        image_push_later(api, row);
        }
}

static void fail(struct api *api, enum model_kind kind, struct store_row *row, const char *text)
{
        own_json json_t *clean = json_of(str_of(text));
        own_json json_t *reasons = json_pack("[O]", clean != NULL ? clean : json_null());

        save(api, kind, row, STATUS_ERROR, reasons);
}

static bool ready(struct api *api, enum model_kind kind, struct store_row *row, const char *language,
                  json_t *layers)
{
        if (json_object_set_new(row->internal, "language", json_string(language)) < 0 ||
            json_object_set(row->internal, "layers", layers) < 0 ||
            json_object_set_new(row->document, "language", json_string(language)) < 0)
                return false;
        save(api, kind, row, STATUS_READY, NULL);
        return true;
}

int image_inherit(json_t *to, const json_t *from)
{
        static const char *const keys[] = {"config", "blobs", "digest", "interpreter"};

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                json_t *value = json_object_get(from, keys[i]);

                if (value == NULL)
                        (void)json_object_del(to, keys[i]);
                else if (json_object_set(to, keys[i], value) < 0)
                        return -1;
        }
        return 0;
}

void images_fail(struct api *api, enum model_kind kind, struct store_row *row, const char *text)
{
        fail(api, kind, row, text);
}

static enum status busy_status(const struct store_row *row)
{
        enum status status = status_of(row->document);

        return status == STATUS_INITIALIZED ? STATUS_CREATING : status;
}

void images_built(struct api *api, struct store_row *row, const char *language, json_t *layers, json_t *base)
{
        struct err err;

        if (json_object_set(row->internal, "base", base) < 0 ||
            !ready(api, MODEL_IMAGE, row, language, layers)) {
                err_nomem(&err);
                api_stumble(api, "finish an image", &err);
        }
}

void images_failed(struct api *api, struct store_row *row, const char *text)
{
        fail(api, MODEL_IMAGE, row, text);
}

/* What its base image has is there: the image is that, or more. */
static void base_found(struct api *api, enum model_kind kind, struct store_row *row, const char *language,
                       json_t *layers)
{
        struct err err;

        if (kind != MODEL_IMAGE) {
                if (!ready(api, kind, row, language, layers)) {
                        err_nomem(&err);
                        api_stumble(api, "finish a base image", &err);
                }
        } else if (!image_build_wanted(row->document)) {
                images_built(api, row, language, layers, layers);
        } else {
                if (busy_status(row) != status_of(row->document))
                        save(api, kind, row, busy_status(row), NULL);
                image_build_start(api, row, language, layers);
        }
}

void images_layer_gone(struct api *api, enum model_kind kind, struct store_row *row)
{
        struct err err;

        if (status_of(row->document) != STATUS_READY)
                return;
        if (status_save(api->config.store, kind, row, STATUS_UPDATING, NULL, &err) != ERR_OK)
                api_stumble(api, "make an image again", &err);
        else
                images_reconcile(api, kind, row);
}

void images_base_found(struct api *api, enum model_kind kind, struct store_row *row, const char *language,
                       json_t *layers)
{
        base_found(api, kind, row, language, layers);
}

void images_layer_made(struct api *api, enum model_kind kind, struct store_row *row)
{
        own_json json_t *layers = json_pack("[s]", api->layer_made);
        const char *named = json_string_value(json_object_get(row->internal, "language"));
        char language[SPAWN_NAME_MAX]; /* the row's own is replaced */
        struct err err;

        if (status_of(row->document) != STATUS_READY || named == NULL)
                return;
        snprintf(language, sizeof(language), "%s", named);
        if (json_equal(layers, json_object_get(row->internal, "layers"))) {
                wake(api, kind, row);
        } else if (layers == NULL || !ready(api, kind, row, language, layers)) {
                err_nomem(&err);
                api_stumble(api, "name the new layer of an image", &err);
        }
}

static void job_apply(struct layer_job *job, const struct builder_result *result)
{
        struct api *api = job->api;
        struct store_key key =
                api_key(job->kind, str_of(job->organization), str_of(job->project), str_of(job->name));
        own_row struct store_row row = {0};
        struct err err;

        enum err_code code = store_get(api->config.store, &key, &row, &err);
        if (code == ERR_NOT_FOUND)
                return; /* deleted meanwhile */
        if (code != ERR_OK) {
                api_stumble(api, "read an image in work", &err);
                return;
        }
        if (row.revision != job->revision || strcmp(row.id, job->id) != 0)
                return; /* changed meanwhile: its own job comes */
        if (api_is_passing(result->code)) {
                api_explain(api, job->kind, &row, result->text);
                api_reconcile_later(api);
                return;
        }
        api_progress(api);
        if (result->code != ERR_OK) {
                fail(api, job->kind, &row, result->text != NULL ? result->text : err_name(result->code));
                return;
        }
        own_json json_t *layers = json_pack("[s]", result->layer);
        if (layers == NULL) {
                err_nomem(&err);
                api_stumble(api, "finish an image", &err);
        } else {
                base_found(api, job->kind, &row, job->language, layers);
        }
}

static void job_done(void *arg, const struct builder_result *result)
{
        struct layer_job *job = arg;

        job_unlink(job);
        job_apply(job, result);
        job_free(job);
}

void images_begin_work(struct api *api, enum model_kind kind, struct store_row *row)
{
        if (busy_status(row) != status_of(row->document))
                save(api, kind, row, busy_status(row), NULL);
}

static void builtin_start(struct api *api, enum model_kind kind, struct store_row *row, struct str reference)
{
        struct reference_base base;
        struct err err;

        if (reference_is_foreign(api->config.references, reference)) {
                base_image_pull(api, kind, row, reference);
                return;
        }
        if (reference_resolve(api->config.references, reference, &base, &err) != ERR_OK) {
                fail(api, kind, row, err.text);
                return;
        }
        struct str declared = json_str(row->document, "language");
        if (kind == MODEL_BASE_IMAGE && declared.len > 0 && !str_eq(declared, str_of(base.language))) {
                err_set(&err, ERR_UNPROCESSABLE, "language is %.*s, but the image is one for %s",
                        (int)(declared.len < 64 ? declared.len : 64), declared.p, base.language);
                fail(api, kind, row, err.text);
                return;
        }
        struct layer_job *job = job_create(api, kind, row, base.language);
        if (job == NULL) {
                err_nomem(&err);
                api_stumble(api, "begin an image", &err);
                return;
        }
        if (busy_status(row) != status_of(row->document))
                save(api, kind, row, busy_status(row), NULL);
        builder_builtin(api->config.builder, base.language, job_done, job);
}

/* The image takes over what its base image has. */
static void base_apply(struct api *api, struct store_row *row, const struct store_row *base)
{
        char why[1024];
        struct err err;

        switch (status_of(base->document)) {
        case STATUS_READY:
                if (image_inherit(row->internal, base->internal) < 0) {
                        err_nomem(&err);
                        api_stumble(api, "finish an image", &err);
                        break;
                }
                base_found(api, MODEL_IMAGE, row,
                           json_string_value(json_object_get(base->internal, "language")),
                           json_object_get(base->internal, "layers"));
                break;
        case STATUS_ERROR:
                status_reason_text(base->document, why, sizeof(why));
                err_set(&err, ERR_UNPROCESSABLE, "base image %s is in ERROR: %s", base->name, why);
                fail(api, MODEL_IMAGE, row, err.text);
                break;
        case STATUS_NONE:
        case STATUS_INITIALIZED:
        case STATUS_CREATING:
        case STATUS_UPDATING:
        case STATUS_DELETING:
        case STATUS_COUNT:
                break; /* it wakes us */
        }
}

static bool is_reference(struct str name)
{
        return str_find(name, '/') < name.len || str_find(name, ':') < name.len ||
               str_find(name, '@') < name.len;
}

static void image_reconcile(struct api *api, struct store_row *row)
{
        struct str base = json_str(row->document, "baseImageName");
        struct store_key key = {MODEL_BASE_IMAGE, str_of(row->organization), STR(""), base};
        own_row struct store_row base_row = {0};
        struct err err;

        enum err_code code = store_get(api->config.store, &key, &base_row, &err);
        if (code == ERR_OK)
                base_apply(api, row, &base_row);
        else if (code == ERR_NOT_FOUND && is_reference(base))
                builtin_start(api, MODEL_IMAGE, row, base);
        else if (code == ERR_NOT_FOUND)
                fail(api, MODEL_IMAGE, row, err.text);
        else
                api_stumble(api, "read a base image", &err);
}

void images_reconcile(struct api *api, enum model_kind kind, struct store_row *row)
{
        if (!status_is_pending(status_of(row->document)) || job_running(api, row) ||
            image_build_running(api, row) || base_image_pulling(api, row))
                return;
        if (kind == MODEL_IMAGE)
                image_reconcile(api, row);
        else
                builtin_start(api, kind, row, json_str(row->document, "dockerUrl"));
}

/* An image that is new or changed begins here; functions that run on it keep the layers they have. */
enum err_code image_begin(struct change *change, struct err *err)
{
        enum status to = change->verb == VERB_CREATE || change->before.document == NULL ||
                                         status_of(change->before.document) == STATUS_INITIALIZED ||
                                         status_of(change->before.document) == STATUS_CREATING
                                 ? STATUS_INITIALIZED
                                 : STATUS_UPDATING;

        return status_move(change->document, change->internal, to, NULL, err);
}

/* Where the registry has it (function_push.c), until it has another; else the caller's, else the one that the
 * image has, else a new one. */
static enum err_code destination_keep(struct change *change, struct err *err)
{
        json_t *stored = json_object_get(change->before.document, "imageDestination");

        bool pushed = json_object_get(change->before.internal, "pushed") != NULL &&
                      strchr(json_string_value(stored) != NULL ? json_string_value(stored) : "", '@') != NULL;

        if (!pushed && json_object_get(change->document, "imageDestination") != NULL)
                return ERR_OK;
        stored = stored != NULL ? json_incref(stored) : api_image_url(change->api);
        return json_object_set_new(change->document, "imageDestination", stored) == 0 ? ERR_OK
                                                                                      : err_nomem(err);
}

static enum err_code image_check(struct change *change, struct err *err)
{
        struct str base = json_str(change->document, "baseImageName");
        struct store_key key = api_key(MODEL_BASE_IMAGE, change->call->caller.organization, STR(""), base);
        own_row struct store_row row = {0};
        enum err_code code = store_get(change->api->config.store, &key, &row, err);

        if (code != ERR_OK && (code != ERR_NOT_FOUND || !is_reference(base)))
                return code;
        if (code != ERR_OK && base_image_reference_check(base, err) != ERR_OK)
                return err_wrap(err, ERR_UNPROCESSABLE, "baseImageName in body");
        if (code == ERR_OK && json_str(change->document, "registrySecret").len > 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "registrySecret in body goes with a reference: base image %s has its own",
                               row.name);
        code = destination_keep(change, err);
        return code == ERR_OK ? image_begin(change, err) : code;
}

static void reconcile_again(struct change *change)
{
        struct store_key key = api_row_key(change->resource->kind, &change->after);
        own_row struct store_row row = {0};
        struct err err;

        if (store_get(change->api->config.store, &key, &row, &err) == ERR_OK)
                images_reconcile(change->api, change->resource->kind, &row);
        else
                api_stumble(change->api, "read an image again", &err);
}

/* The reply says INITIALIZED or UPDATING, so the work starts on a row of its own. */
bool image_committed(struct change *change)
{
        if (change->verb != VERB_CREATE) {
                image_build_stop(change->api, change->before.id);
                base_image_stop(change->api, change->before.id);
        }
        if (change->verb == VERB_DELETE) {
                image_log_remove(change->api, change->before.id);
                image_push_stop(change->api, change->before.id);
        } else {
                image_log_begin(change->api, change->after.id);
                reconcile_again(change);
        }
        return false;
}

enum err_code image_reveal(struct api *api, const struct store_row *row, json_t *document, struct err *err)
{
        json_t *layers = json_object_get(row->internal, "layers");

        (void)api;
        if (layers == NULL)
                return ERR_OK;
        if (json_object_set_new(document, "backingObject", json_pack("{s:O}", "layers", layers)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static const char *const image_owned[] = {"status", "reason", "spec", "language", NULL};

const struct api_resource api_images = {
        .kind = MODEL_IMAGE,
        .created = 201,
        .updated = 200,
        .deleted = 200,
        .names_others = true,
        .owned = image_owned,
        .check = image_check,
        .committed = image_committed,
        .reveal = image_reveal,
};
