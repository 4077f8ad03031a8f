/*
 * api/function_build.c: the jobs that make a function: its source is unpacked into a layer, one instance is
 * booted to prove that the handler loads, and only then does the new revision serve. A job whose definition
 * is over does nothing more.
 */
#include "api/function_build.h"
#include "api/explain.h"
#include "api/foreign_image.h"
#include "api/foreign_pull.h"
#include "api/function_image.h"
#include "api/functions.h"
#include "api/images.h"
#include "api/resource.h"
#include "api/rows.h"
#include "api/runs.h"
#include "api/sources.h"

#include "base/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct function_job {
        struct function_job *next;
        struct api *api;
        bool stale;   /* the definition changed, or went */
        bool rebuilt; /* the layer was made anew once: what its build had found was not known */
        char *organization, *project, *name;
        char id[UUID_LEN + 1];
        int64_t revision;
        char key[SOURCE_HEX_LEN + 1];
        char *url;    /* of the source's object; NULL: none */
        bool fetched; /* from there, once */
        char layer[SPAWN_NAME_MAX];
        char language[SPAWN_NAME_MAX];
        json_t *layers;
        json_t *env;     /* of a function that is an image: the image's, else NULL */
        json_t *brought; /* of an image that was not made here: what it says of itself (image_inherit) */
        char *command;   /* likewise, what to start of it */
        json_t *pulled;  /* likewise, what was pulled */
        uint64_t pull;   /* likewise, its pull while it is under way; else 0 */
        struct revision *candidate;
};

static void source_stage(struct function_job *job);

static void job_free(struct function_job *job)
{
        if (job == NULL)
                return;
        json_decref(job->layers);
        json_decref(job->env);
        json_decref(job->pulled);
        json_decref(job->brought);
        free(job->command);
        revision_unref(job->candidate);
        free(job->organization);
        free(job->project);
        free(job->name);
        free(job->url);
        free(job);
}

/* A guard's view of job_free. */
static void job_release(struct function_job **job)
{
        job_free(*job);
}

static void job_end(struct function_job *job)
{
        for (struct function_job **at = &job->api->jobs; *at != NULL; at = &(*at)->next) {
                if (*at == job) {
                        *at = job->next;
                        break;
                }
        }
        job_free(job);
}

void functions_finish(struct api *api)
{
        while (api->jobs != NULL)
                job_end(api->jobs);
}

void functions_stale(struct api *api, const char *function_id)
{
        for (struct function_job *job = api->jobs; job != NULL; job = job->next) {
                if (strcmp(job->id, function_id) != 0)
                        continue;
                job->stale = true;
                if (job->pull != 0)
                        foreign_pull_cancel(api, job->pull);
        }
}

bool function_job_running(const struct api *api, const struct store_row *row)
{
        for (const struct function_job *job = api->jobs; job != NULL; job = job->next) {
                if (!job->stale && strcmp(job->id, row->id) == 0)
                        return true;
        }
        return false;
}

/* The job's row as it is now; false when the job is over: its function was changed or deleted. */
static bool job_row(const struct function_job *job, struct store_row *row)
{
        struct store_key key =
                api_key(MODEL_FUNCTION, str_of(job->organization), str_of(job->project), str_of(job->name));
        struct err err;

        if (job->stale)
                return false;
        enum err_code code = store_get(job->api->config.store, &key, row, &err);
        if (code != ERR_OK) {
                if (code != ERR_NOT_FOUND)
                        api_stumble(job->api, "read a function in work", &err);
                return false;
        }
        return row->revision == job->revision && strcmp(row->id, job->id) == 0;
}

static enum err_code activate(struct function_job *job, struct store_row *row, struct err *err)
{
        struct api *api = job->api;
        own_json json_t *before = json_deep_copy(row->internal);
        bool made = job->command == NULL;
        own_json json_t *active = json_pack(
                "{s:I, s:O, s:s, s:O, s:s, s:s*, s:s*, s:s*, s:O*, s:O*}", "number",
                (json_int_t)row->revision, "document", row->document, "language", job->language, "layers",
                job->layers, "handler", job->candidate->handler, "key", made ? job->key : NULL, "layer",
                made ? job->layer : NULL, "url", job->url, "env", job->env, "image", job->pulled);

        if (before == NULL || (job->brought != NULL && json_object_update(active, job->brought) < 0) ||
            json_object_set(row->internal, "active", active) < 0)
                return err_nomem(err);
        enum err_code code = status_save(api->config.store, MODEL_FUNCTION, row, STATUS_READY, NULL, err);
        if (code == ERR_OK)
                sources_swap(api, before, row->internal);
        return code;
}

static void deployed(void *arg, enum err_code code, const struct err *why, struct str trace)
{
        struct function_job *job = arg;
        struct api *api = job->api;
        struct engine *engine = api->config.engine;
        own_row struct store_row row = {0};
        struct err err;

        if (!job_row(job, &row)) {
                engine->ops->retire(engine, job->candidate);
        } else if (api_is_passing(code)) {
                engine->ops->retire(engine, job->candidate);
                api_explain(api, MODEL_FUNCTION, &row, why->text);
                api_reconcile_later(api);
        } else if (code != ERR_OK) {
                own_json json_t *reasons = function_trace_reasons(why, trace);

                engine->ops->retire(engine, job->candidate);
                function_fail_reasons(api, &row, reasons);
                if (code == ERR_NOT_FOUND)
                        layers_missing(api); /* made again, they wake it */
        } else if (activate(job, &row, &err) != ERR_OK) {
                engine->ops->retire(engine, job->candidate);
                api_stumble(api, "save that a function is READY", &err);
        } else {
                function_moved(api, &row, job->candidate);
                function_push_later(api, &row);
        }
        job_end(job);
}

/* The image's own; NULL: the runtime's. */
static const char *job_interpreter(const struct function_job *job)
{
        return json_string_value(json_object_get(job->brought, "interpreter"));
}

static enum err_code candidate_create(struct function_job *job, const struct store_row *row,
                                      const char *handler, struct err *err)
{
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        struct revision_build build = {.language = job->language,
                                       .handler = handler,
                                       .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                       .code = job->layer,
                                       .interpreter = job_interpreter(job),
                                       .env = job->env,
                                       .timeout_default_ms = job->api->config.run_timeout_ms,
                                       .epoch = job->api->epoch};
        const json_t *layer;
        size_t i;

        if (json_array_size(job->layers) == 0 || json_array_size(job->layers) > SPAWN_LAYERS_MAX)
                return err_set(err, ERR_LIMIT, "the image has %zu layers, at most %d are possible",
                               json_array_size(job->layers), SPAWN_LAYERS_MAX);
        json_array_foreach(job->layers, i, layer)
                snprintf(layers[i], sizeof(layers[i]), "%s", json_string_value(layer));
        build.layer_count = (uint32_t)json_array_size(job->layers);
        return revision_create(row, &build, &job->candidate, err);
}

static void deploy_stage(struct function_job *job, struct store_row *row, const char *handler)
{
        struct engine *engine = job->api->config.engine;
        struct err err;

        if (candidate_create(job, row, handler, &err) != ERR_OK) {
                function_fail_or_wait(job->api, row, &err);
                job_end(job);
                return;
        }
        engine->ops->deploy(engine, job->candidate, deployed, job);
}

/* What the build of a layer found is known from the build itself, or from an earlier one in this process;
 * else (a crash fell between a build and its row) the layer is made once more. "" is a build that found no
 * default. */
static const char *handler_of(struct function_job *job, const struct builder_result *result, bool *ret_known)
{
        own_json json_t *info = NULL;

        if (result->info != NULL && result->info[0] != '\0' &&
            json_parse(str_of(result->info), &info, NULL) == ERR_OK && json_object_size(info) > 0) {
                *ret_known = true;
                source_handler_set(job->api, job->layer, json_str(info, "handler"));
                return source_handler(job->api, job->layer);
        }
        const char *handler = source_handler(job->api, job->layer);
        *ret_known = handler[0] != '\0' || job->rebuilt;
        return handler;
}

static void source_apply(struct function_job *job, struct store_row *row, const struct builder_result *result)
{
        struct str named = json_str(row->document, "handler");
        bool known = true;

        if (api_is_passing(result->code)) {
                api_explain(job->api, MODEL_FUNCTION, row, result->text);
                api_reconcile_later(job->api);
                job_end(job);
                return;
        }
        api_progress(job->api);
        if (result->code != ERR_OK) {
                function_fail(job->api, row, result->text != NULL ? result->text : err_name(result->code));
                job_end(job);
                return;
        }
        const char *handler = named.len > 0 ? named.p : handler_of(job, result, &known);
        if (!known) {
                job->rebuilt = true;
                if (source_remake_claim(job->api, job->layer))
                        builder_drop(job->api->config.builder, job->layer);
                source_stage(job);
                return;
        }
        if (handler[0] == '\0') {
                function_fail(job->api, row,
                              "handler is required: the source has no single file that could be the default");
                job_end(job);
                return;
        }
        deploy_stage(job, row, handler);
}

static void source_built(void *arg, const struct builder_result *result)
{
        struct function_job *job = arg;
        struct api *api = job->api;
        own_row struct store_row row = {0};
        char layer[SPAWN_NAME_MAX];

        memcpy(layer, job->layer, sizeof(layer));
        if (job_row(job, &row)) {
                source_apply(job, &row, result);
        } else {
                job_end(job);
                source_layer_abandoned(api, layer);
        }
}

static void source_missing(struct function_job *job, const struct err *err)
{
        struct api *api = job->api;
        own_row struct store_row row = {0};

        if (job_row(job, &row) && api_is_passing(err->code)) {
                api_explain(api, MODEL_FUNCTION, &row, err->text);
                api_reconcile_later(api);
        } else if (row.id != NULL) {
                function_fail_or_wait(api, &row, err);
        }
        job_end(job);
}

static void source_here(void *arg, enum err_code code, const struct err *err)
{
        struct function_job *job = arg;

        if (code == ERR_OK)
                source_stage(job);
        else
                source_missing(job, err);
}

static void source_stage(struct function_job *job)
{
        struct api *api = job->api;
        struct source_place place = {job->organization, job->project, job->key, job->url};
        struct err err;
        int fd;

        if (source_open(api, job->key, &fd, &err) == ERR_OK) {
                source_build(api, job->layer, job->language, job->layers, job_interpreter(job), fd,
                             source_built, job);
        } else if (err.code == ERR_NOT_FOUND && job->url != NULL && !job->fetched) {
                job->fetched = true;
                source_fetch(api, &place, source_here, job);
        } else {
                source_missing(job, &err);
        }
}

/* A job on the row as it is, of whatever kind. */
static struct function_job *job_of(struct api *api, const struct store_row *row, struct err *err)
{
        __attribute__((cleanup(job_release))) struct function_job *job = calloc(1, sizeof(*job));

        if (job == NULL) {
                err_nomem(err);
                return NULL;
        }
        job->api = api;
        job->revision = row->revision;
        job->organization = strdup(row->organization);
        job->project = strdup(row->project);
        job->name = strdup(row->name);
        if (job->organization == NULL || job->project == NULL || job->name == NULL) {
                err_nomem(err);
                return NULL;
        }
        snprintf(job->id, sizeof(job->id), "%s", row->id);
        return take_ptr(&job);
}

static struct function_job *job_create(struct api *api, const struct store_row *row,
                                       const struct store_row *image, struct err *err)
{
        __attribute__((cleanup(job_release))) struct function_job *job = job_of(api, row, err);
        const json_t *source = json_object_get(row->internal, "source");
        const char *key = json_string_value(json_object_get(source, "key"));
        const char *url = json_string_value(json_object_get(source, "url"));
        const char *language = json_string_value(json_object_get(image->internal, "language"));
        json_t *layers = json_object_get(image->internal, "layers");

        if (job == NULL)
                return NULL;
        job->layers = json_incref(layers);
        job->brought = json_object();
        if (job->brought == NULL || image_inherit(job->brought, image->internal) < 0) {
                err_nomem(err);
                return NULL;
        }
        job->url = url != NULL ? strdup(url) : NULL;
        if (url != NULL && job->url == NULL) {
                err_nomem(err);
                return NULL;
        }
        if (key == NULL || language == NULL || layers == NULL) {
                err_set(err, ERR_INVALID,
                        "what is stored of the function or its image is not whole: update both");
                return NULL;
        }
        snprintf(job->key, sizeof(job->key), "%s", key);
        snprintf(job->language, sizeof(job->language), "%s", language);
        source_layer(api, job->key, job->language, job->layers, job_interpreter(job), job->layer);
        return take_ptr(&job);
}

/* The row names the layer before it is made, so that it is found again whatever happens. */
static enum err_code layer_name_save(struct function_job *job, struct store_row *row, struct err *err)
{
        enum status status = status_of(row->document);
        own_json json_t *before = json_deep_copy(row->internal);
        json_t *source = json_object_get(row->internal, "source");

        if (before == NULL || json_object_set_new(source, "layer", json_string(job->layer)) < 0)
                return err_nomem(err);
        if (status == STATUS_INITIALIZED)
                status = STATUS_CREATING;
        if (status == status_of(row->document) && json_equal(before, row->internal))
                return ERR_OK; /* goes on after a restart */

        enum err_code code =
                status == status_of(row->document)
                        ? store_set_state(job->api->config.store, MODEL_FUNCTION, str_of(row->id),
                                          row->document, row->internal, err)
                        : status_save(job->api->config.store, MODEL_FUNCTION, row, status, NULL, err);
        if (code == ERR_OK)
                sources_swap(job->api, before, row->internal);
        return code;
}

void function_build_start(struct api *api, struct store_row *row, const struct store_row *image)
{
        struct err err;
        struct function_job *job = job_create(api, row, image, &err);

        if (job == NULL) {
                function_fail_or_wait(api, row, &err);
                return;
        }
        if (layer_name_save(job, row, &err) != ERR_OK) {
                api_stumble(api, "save that a function is being built", &err);
                job_free(job);
                return;
        }
        job->next = api->jobs;
        api->jobs = job;
        source_stage(job);
}

/* What was pulled says what runs: the layers, and what to start in them. */
static enum err_code pulled_take(struct function_job *job, const struct store_row *row, const json_t *result,
                                 struct err *err)
{
        const json_t *config = json_object_get(result, "config");
        enum err_code code = foreign_image_command(row->document, config, &job->command, err);

        if (code != ERR_OK)
                return code;
        job->layers = json_incref(json_object_get(result, "layers"));
        job->env = json_incref(json_object_get(config, "Env"));
        job->pulled = json_pack(
                "{s:O, s:O*, s:O*, s:O*, s:s}", "reference", json_object_get(row->document, "functionImage"),
                "digest", json_object_get(result, "digest"), "user", json_object_get(config, "User"), "blobs",
                json_object_get(result, "blobs"), "protocol", foreign_image_protocol(row->document, config));
        return job->pulled != NULL ? ERR_OK : err_nomem(err);
}

static void image_pulled(void *arg, enum err_code code, const char *text, const json_t *result)
{
        struct function_job *job = arg;
        struct api *api = job->api;
        own_row struct store_row row = {0};
        struct err err;

        job->pull = 0;
        if (!job_row(job, &row)) {
                job_end(job);
                return;
        }
        if (api_is_passing(code)) {
                api_explain(api, MODEL_FUNCTION, &row, text);
                api_reconcile_later(api);
                job_end(job);
                return;
        }
        api_progress(api);
        if (code == ERR_OK)
                code = pulled_take(job, &row, result, &err);
        else
                err_set(&err, code, "%s", text);
        if (code == ERR_OK) {
                deploy_stage(job, &row, job->command);
                return;
        }
        function_fail_or_wait(api, &row, &err);
        job_end(job);
}

void function_foreign_start(struct api *api, struct store_row *row)
{
        struct err err;
        struct function_job *job = job_of(api, row, &err);

        if (job == NULL) {
                function_fail_or_wait(api, row, &err);
                return;
        }
        snprintf(job->language, sizeof(job->language), "%s", FOREIGN_IMAGE_RUNTIME);
        if (status_of(row->document) == STATUS_INITIALIZED &&
            status_save(api->config.store, MODEL_FUNCTION, row, STATUS_CREATING, NULL, &err) != ERR_OK) {
                api_stumble(api, "save that a function's image is being pulled", &err);
                job_free(job);
                return;
        }
        job->next = api->jobs;
        api->jobs = job;

        uint64_t pull = foreign_pull(api, row, image_pulled, job);
        /* It may have ended at once, and its job with it. */
        for (struct function_job *at = api->jobs; at != NULL && pull != 0; at = at->next) {
                if (at == job && at->pulled == NULL)
                        at->pull = pull;
        }
}
