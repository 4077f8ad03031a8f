/* api/image_catalogue.c: the jobs that look packages up, and who asked for them. */
#include "api/image_catalogue.h"
#include "api/resource.h"
#include "api/status.h"

#include "base/own.h"
#include "image/package_list.h"

#include <stdio.h>
#include <stdlib.h>

enum { PACKAGES_NAMED_MAX = 5 };

struct catalogue_job {
        struct catalogue_job *next;
        struct api *api;
        char organization[SPAWN_GROUP_MAX];
        json_t *layers, *base; /* base: NULL once it is looked up, or there is none of its own */
        json_t *base_packages, *line;
        image_catalogue_done done;
        void *arg;
};

static void job_free(struct catalogue_job *job)
{
        json_decref(job->layers);
        json_decref(job->base);
        json_decref(job->base_packages);
        json_decref(job->line);
        free(job);
}

static void job_unlink(struct catalogue_job *job)
{
        struct catalogue_job **at = &job->api->catalogue_jobs;

        while (*at != job)
                at = &(*at)->next;
        *at = job->next;
}

void image_catalogues_finish(struct api *api)
{
        while (api->catalogue_jobs != NULL) {
                struct catalogue_job *job = api->catalogue_jobs;
                api->catalogue_jobs = job->next;
                job_free(job);
        }
}

static void job_end(struct catalogue_job *job, json_t *packages, const struct err *err)
{
        job_unlink(job);
        job->done(job->arg, packages, err);
        job_free(job);
}

/* A line of the job: only R counts, and the last. */
static void job_line(void *arg, char type, struct str text)
{
        struct catalogue_job *job = arg;
        json_t *result = NULL;

        if (type != 'R' || json_parse(text, &result, NULL) != ERR_OK)
                return;
        json_decref(job->line);
        job->line = result;
}

static bool same_package(const json_t *one, const json_t *other)
{
        static const char *const keys[] = {"type", "name", "version", "architecture"};

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                if (!str_eq(json_str(one, keys[i]), json_str(other, keys[i])))
                        return false;
        }
        return true;
}

/* Both lists are sorted alike, but who knows: found by looking on from where the last one was. */
static bool is_of_base(const json_t *base, const json_t *package, size_t *at)
{
        size_t count = json_array_size(base);

        for (size_t i = 0; i < count; i++) {
                size_t index = (*at + i) % count;
                if (same_package(json_array_get(base, index), package)) {
                        *at = index + 1;
                        return true;
                }
        }
        return false;
}

static json_t *package_clean(const json_t *package, const char *from)
{
        struct str type = json_str(package, "type"), name = json_str(package, "name");
        struct str version = json_str(package, "version"), architecture = json_str(package, "architecture");
        struct str origin = json_str(package, "origin");

        if (type.len == 0 || name.len == 0 || version.len == 0)
                return NULL;
        json_t *clean = json_pack("{s:o, s:o, s:o, s:s}", "type", json_of(type), "name", json_of(name),
                                  "version", json_of(version), "from", from);
        if (architecture.len > 0)
                (void)json_object_set_new(clean, "architecture", json_of(architecture));
        if (origin.len > 0)
                (void)json_object_set_new(clean, "origin", json_of(origin));
        return clean;
}

/* The found packages in the form of the header; new. */
static json_t *result_of(const struct catalogue_job *job)
{
        static const char *const texts[] = {"distribution", "release"};
        const json_t *found = json_object_get(job->line, "packages"), *package;
        json_t *list = json_array(), *result = json_object();
        size_t i, at = 0;

        json_array_foreach(found, i, package)
        {
                bool base = job->base_packages == NULL || is_of_base(job->base_packages, package, &at);
                json_t *clean = package_clean(package, base ? "base" : "image");

                if (clean != NULL)
                        (void)json_array_append_new(list, clean);
        }
        for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct str text = json_str(job->line, texts[i]);
                if (text.len > 0)
                        (void)json_object_set_new(result, texts[i], json_of(text));
        }
        (void)json_object_set_new(result, "packages", list);
        return result;
}

static void job_run(struct catalogue_job *job);

static void job_done(void *arg, const struct builder_result *result)
{
        struct catalogue_job *job = arg;
        struct err err;

        if (result->code == ERR_OK && job->line == NULL) {
                err_set(&err, ERR_SYSTEM, "what is installed on the image could not be looked up");
                job_end(job, NULL, &err);
        } else if (result->code != ERR_OK) {
                err_set(&err, result->code, "look up what is installed on the image: %s", result->text);
                job_end(job, NULL, &err);
        } else if (job->base != NULL) {
                job->base_packages = json_incref(json_object_get(job->line, "packages"));
                json_decref(job->base);
                json_decref(job->line);
                job->base = job->line = NULL;
                job_run(job);
        } else {
                own_json json_t *packages = result_of(job);
                job_end(job, packages, NULL);
        }
}

static void job_run(struct catalogue_job *job)
{
        const json_t *list = job->base != NULL ? job->base : job->layers, *layer;
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        size_t i;

        json_array_foreach(list, i, layer)
                snprintf(layers[i], sizeof(layers[i]), "%s", json_string_value(layer));
        const struct builder_task task = {.kind = "catalogue",
                                          .organization = job->organization,
                                          .layers = (const char(*)[SPAWN_NAME_MAX])layers,
                                          .layer_count = (uint32_t)json_array_size(list),
                                          .line = job_line,
                                          .input_fd = -1,
                                          .data_fd = -1};
        (void)builder_run(job->api->config.builder, &task, job_done, job);
}

static bool layers_valid(const json_t *layers)
{
        const json_t *layer;
        size_t i;

        if (json_array_size(layers) == 0 || json_array_size(layers) > SPAWN_LAYERS_MAX)
                return false;
        json_array_foreach(layers, i, layer)
        {
                const char *name = json_string_value(layer);
                if (name == NULL || !spawn_name_valid(name, SPAWN_NAME_MAX))
                        return false;
        }
        return true;
}

void image_catalogue_run(struct api *api, const char *organization, const json_t *layers, const json_t *base,
                         image_catalogue_done done, void *arg)
{
        struct catalogue_job *job = calloc(1, sizeof(*job));
        struct err err;

        if (job == NULL || !layers_valid(layers)) {
                free(job);
                err_set(&err, ERR_CONFLICT, "the image has no layers yet: it has to be READY first");
                done(arg, NULL, &err);
                return;
        }
        job->api = api;
        job->done = done;
        job->arg = arg;
        if (spawn_name_valid(organization, SPAWN_GROUP_MAX))
                snprintf(job->organization, sizeof(job->organization), "%s", organization);
        job->layers = json_deep_copy(layers);
        if (layers_valid(base) && !json_equal(base, layers))
                job->base = json_deep_copy(base);
        job->next = api->catalogue_jobs;
        api->catalogue_jobs = job;
        job_run(job);
}

enum err_code image_catalogue_allowed(const json_t *packages, struct str list, struct err *err)
{
        const json_t *package;
        char names[320] = "";
        size_t i, len = 0, count = 0;

        json_array_foreach(json_object_get(packages, "packages"), i, package)
        {
                struct str type = json_str(package, "type"), name = json_str(package, "name");
                struct str version = json_str(package, "version");

                if (str_eq(json_str(package, "from"), STR("base")) ||
                    package_list_has(list, type, name, version))
                        continue;
                if (count++ < PACKAGES_NAMED_MAX && len + 8 < sizeof(names))
                        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.*s:%.*s %.*s",
                                                len > 0 ? ", " : "", STR_ARG(type),
                                                (int)(name.len < 80 ? name.len : 80), name.p,
                                                (int)(version.len < 40 ? version.len : 40), version.p);
                if (len >= sizeof(names))
                        len = sizeof(names) - 1;
        }
        if (count == 0)
                return ERR_OK;
        return err_set(err, ERR_UNPROCESSABLE, "not on the list of allowed packages (--package-allow): %s%s",
                       names, count > PACKAGES_NAMED_MAX ? " and more" : "");
}

struct asked {
        struct api_call *call;
        char *name;
        bool sbom;
};

static void asked_reply(void *arg, json_t *packages, const struct err *err)
{
        struct asked *asked = arg;

        if (packages == NULL) {
                api_call_fail(asked->call, err);
        } else if (asked->sbom) {
                own_json json_t *body = image_sbom(asked->name, packages);
                api_call_json(asked->call, 200, body);
        } else {
                api_call_json(asked->call, 200, packages);
        }
        free(asked->name);
        free(asked);
}

static void ask(struct api_call *call, const struct store_row *row, bool sbom)
{
        struct asked *asked = calloc(1, sizeof(*asked));
        char *name = strdup(row->name);
        struct err err;

        if (asked == NULL || name == NULL) {
                free(asked);
                free(name);
                err_nomem(&err);
                api_call_fail(call, &err);
                return;
        }
        *asked = (struct asked){call, name, sbom};
        image_catalogue_run(call->api, row->organization, json_object_get(row->internal, "layers"),
                            json_object_get(row->internal, "base"), asked_reply, asked);
}

void image_packages_call(struct api_call *call, const struct store_row *row)
{
        ask(call, row, false);
}

void image_sbom_call(struct api_call *call, const struct store_row *row)
{
        ask(call, row, true);
}
