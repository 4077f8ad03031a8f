/*
 * api/base_images.c: see base_images.h.
 *
 *   pull ─▶ inspect (has it the language's interpreter?) ─▶ READY
 */
#include "api/base_images.h"

#include "api/explain.h"
#include "api/functions.h"
#include "api/image_log.h"
#include "api/images.h"
#include "api/pull.h"
#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct base_pull {
        struct base_pull *next;
        struct api *api;
        enum model_kind kind;
        char *organization, *project, *name;
        char id[UUID_LEN + 1];
        int64_t revision;
        uint64_t pull;    /* its id */
        uint64_t inspect; /* the builder's; 0: it has not begun */
        bool labelled;    /* the image itself says its language */
        bool stale;       /* the log belongs to another build, or to nobody */
        char language[SPAWN_NAME_MAX];
        json_t *result; /* of the pull */
};

static void job_free(struct base_pull *job)
{
        for (struct base_pull **at = &job->api->base_pulls; *at != NULL; at = &(*at)->next) {
                if (*at == job) {
                        *at = job->next;
                        break;
                }
        }
        json_decref(job->result);
        free(job->organization);
        free(job->project);
        free(job->name);
        free(job);
}

void base_images_finish(struct api *api)
{
        while (api->base_pulls != NULL)
                job_free(api->base_pulls);
}

bool base_image_pulling(const struct api *api, const struct store_row *row)
{
        const struct base_pull *job = api->base_pulls;

        while (job != NULL && (job->revision != row->revision || strcmp(job->id, row->id) != 0))
                job = job->next;
        return job != NULL;
}

void base_image_stop(struct api *api, const char *id)
{
        for (struct base_pull *job = api->base_pulls; job != NULL; job = job->next) {
                if (strcmp(job->id, id) != 0)
                        continue;
                job->stale = true;
                if (job->inspect != 0)
                        builder_cancel(api->config.builder, job->inspect);
                else
                        pull_cancel(api, job->pull);
        }
}

static struct base_pull *job_create(struct api *api, enum model_kind kind, const struct store_row *row,
                                    struct str language)
{
        struct base_pull *job = calloc(1, sizeof(*job));

        if (job == NULL)
                return NULL;
        job->api = api;
        job->kind = kind;
        job->revision = row->revision;
        snprintf(job->id, sizeof(job->id), "%s", row->id);
        snprintf(job->language, sizeof(job->language), "%.*s", STR_ARG(language));
        job->organization = strdup(row->organization);
        job->project = strdup(row->project);
        job->name = strdup(row->name);
        job->next = api->base_pulls;
        api->base_pulls = job;
        if (job->organization == NULL || job->project == NULL || job->name == NULL) {
                job_free(job);
                return NULL;
        }
        return job;
}

/* The row as it is; false when the job is over: it was changed or deleted. */
static bool job_row(const struct base_pull *job, struct store_row *row)
{
        struct store_key key =
                api_key(job->kind, str_of(job->organization), str_of(job->project), str_of(job->name));
        struct err err;
        enum err_code code = store_get(job->api->config.store, &key, row, &err);

        if (code != ERR_OK && code != ERR_NOT_FOUND)
                api_stumble(job->api, "read an image in work", &err);
        return code == ERR_OK && row->revision == job->revision && strcmp(row->id, job->id) == 0;
}

static void pull_line(void *arg, char type, struct str text)
{
        struct base_pull *job = arg;

        if (job->stale)
                return;
        if (type == 'L')
                image_log_line(job->api, job->id, text);
        else if (type == 'P')
                image_log_progress(job->api, job->id, text);
}

static void job_fail(struct base_pull *job, enum err_code code, const char *text)
{
        own_row struct store_row row = {0};

        if (job_row(job, &row) && api_is_passing(code)) {
                pull_line(job, 'L', str_of(text)); /* the row itself has no reason while it is tried again */
                api_explain(job->api, job->kind, &row, text);
                api_reconcile_later(job->api);
        } else if (row.id != NULL && row.revision == job->revision) {
                api_progress(job->api);
                images_fail(job->api, job->kind, &row, text);
        }
        job_free(job);
}

static void inspected(void *arg, const struct builder_result *result)
{
        struct base_pull *job = arg;
        own_row struct store_row row = {0};
        own_json json_t *info = NULL;
        struct err err;

        if (result->code != ERR_OK) {
                job_fail(job, result->code, result->text);
                return;
        }
        if (json_parse(str_of(result->info), &info, &err) == ERR_OK && job_row(job, &row)) {
                struct str interpreter = json_str(info, "interpreter");
                api_progress(job->api);
                if (interpreter.len > 0)
                        json_object_set(job->result, "interpreter", json_object_get(info, "interpreter"));
                if (image_inherit(row.internal, job->result) < 0)
                        api_stumble(job->api, "finish an image", (err_nomem(&err), &err));
                else
                        images_base_found(job->api, job->kind, &row, job->language,
                                          json_object_get(job->result, "layers"));
        }
        job_free(job);
}

/* The variable PATH of the image's configuration. */
static struct str path_of(const json_t *config)
{
        static const struct str name = STR_INIT("PATH=");
        const json_t *pair;
        size_t i;

        json_array_foreach(json_object_get(config, "Env"), i, pair)
        {
                struct str text = {json_string_value(pair), json_string_length(pair)};
                if (text.p != NULL && str_starts(text, name))
                        return str_slice(text, name.len, text.len);
        }
        return STR("");
}

static void inspect_start(struct base_pull *job)
{
        struct str path = path_of(json_object_get(job->result, "config"));
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        const json_t *layer;
        size_t i;
        int fd = memfd_create("path", MFD_CLOEXEC);
        struct builder_task task = {.kind = "inspect",
                                    .organization = "",
                                    .language = job->language,
                                    .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                    .input_fd = fd,
                                    .data_fd = -1};

        if (fd < 0 || pwrite(fd, path.p, path.len, 0) != (ssize_t)path.len) {
                own_fd_release(&fd);
                job_fail(job, ERR_LIMIT, "out of memory");
                return;
        }
        json_array_foreach(json_object_get(job->result, "layers"), i, layer)
                snprintf(layers[task.layer_count++], SPAWN_NAME_MAX, "%s", json_string_value(layer));
        uint64_t id = builder_run(job->api->config.builder, &task, inspected, job);
        if (id != 0)
                job->inspect = id;
}

/* As much of a text as a reason has room for. */
static int cut(struct str text)
{
        return (int)(text.len < 128 ? text.len : 128);
}

static enum err_code language_check(const struct api *api, struct str language, struct err *err)
{
        const struct runtime_table *runtimes = reference_runtimes(api->config.references);
        const struct runtime *runtime = runtime_find(runtimes, language);
        char list[256];

        if (runtime != NULL && runtime_is_language(runtime))
                return ERR_OK;
        runtime_table_list(runtimes, list, sizeof(list));
        return err_set(err, ERR_UNPROCESSABLE, "no runtime for %.*s in this version (languages: %s)",
                       cut(language), language.p, list);
}

/* An image has no field for it: its label says which agent is to run in it, or a base image does. */
static enum err_code language_of_label(struct base_pull *job, struct err *err)
{
        const json_t *labels = json_object_get(json_object_get(job->result, "config"), "Labels");
        struct str language = json_str(labels, IMAGE_LANGUAGE_LABEL);
        char list[256];

        if (language.len == 0) {
                runtime_table_list(reference_runtimes(job->api->config.references), list, sizeof(list));
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "an image that has no label " IMAGE_LANGUAGE_LABEL
                        " needs a base image that names its "
                        "language: dispatch create base-image NAME REFERENCE --language LANGUAGE (languages: "
                        "%s)",
                        list);
        }
        enum err_code code = language_check(job->api, language, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "label " IMAGE_LANGUAGE_LABEL);
        snprintf(job->language, sizeof(job->language), "%.*s", STR_ARG(language));
        return ERR_OK;
}

static void pulled(void *arg, enum err_code code, const char *text, const json_t *result)
{
        struct base_pull *job = arg;
        struct err err;

        if (code != ERR_OK) {
                job_fail(job, code, text);
                return;
        }
        job->result = json_deep_copy(result);
        if (job->result == NULL)
                code = err_nomem(&err);
        else if (job->labelled)
                code = language_of_label(job, &err);
        if (code != ERR_OK)
                job_fail(job, code, err.text);
        else
                inspect_start(job);
}

/* The project that the row's secret is looked for in. */
static const char *project_of(const struct api *api, const struct store_row *row)
{
        const char *project = json_string_value(json_object_get(row->internal, "project"));

        if (row->project[0] != '\0')
                return row->project;
        return project != NULL ? project : api->config.project;
}

void base_image_pull(struct api *api, enum model_kind kind, struct store_row *row, struct str reference)
{
        struct pull_request request = {.organization = row->organization,
                                       .project = project_of(api, row),
                                       .reference = reference,
                                       .secret = json_str(row->document, "registrySecret"),
                                       .line = pull_line};
        bool labelled = kind == MODEL_IMAGE;
        struct str language = labelled ? STR("") : json_str(row->document, "language");
        struct err err;
        enum err_code code = labelled ? ERR_OK : language_check(api, language, &err);
        struct base_pull *job = code == ERR_OK ? job_create(api, kind, row, language) : NULL;

        if (code == ERR_OK && job == NULL) {
                api_stumble(api, "begin an image", (err_nomem(&err), &err));
                return;
        }
        if (code == ERR_OK) {
                uint64_t id = 0;
                job->labelled = labelled;
                images_begin_work(api, kind, row);
                code = pull_start(api, &request, pulled, job, &id, &err);
                if (code == ERR_OK && base_image_pulling(api, row))
                        job->pull = id;
                else if (code != ERR_OK)
                        job_free(job);
        }
        if (code != ERR_OK)
                images_fail(api, kind, row, err.text);
}

enum err_code base_image_reference_check(struct str reference, struct err *err)
{
        return str_starts(reference, STR("builtin:")) ? ERR_OK : pull_check(reference, err);
}

/* It belongs to no project, and its secret does: to that of whoever says so. */
static enum err_code base_image_check(struct change *change, struct err *err)
{
        struct str project = change->call->caller.project;
        enum err_code code = base_image_reference_check(json_str(change->document, "dockerUrl"), err);

        if (code != ERR_OK)
                return err_wrap(err, code, "dockerUrl in body");
        if (json_object_set_new(change->internal, "project", json_stringn(project.p, project.len)) < 0)
                return err_nomem(err);
        return image_begin(change, err);
}

static const char *const base_image_owned[] = {"status", "reason", "spec", NULL};

const struct api_resource api_base_images = {
        .kind = MODEL_BASE_IMAGE,
        .created = 201,
        .updated = 200,
        .deleted = 200,
        .owned = base_image_owned,
        .check = base_image_check,
        .committed = image_committed,
        .reveal = image_reveal,
};
