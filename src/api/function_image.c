/*
 * api/function_image.c: the calls for a function's image. GET waits for the job and answers with the file
 * that it filled, POST with where the registry has it. A caller that goes takes the job with it.
 */
#include "api/function_image.h"
#include "api/functions.h"
#include "api/resource.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REFERENCE_MAX = 513, TAG_MAX = 128 };

struct image_job {
        struct image_job *next;
        struct api *api;
        struct api_call *call;
        uint64_t id;  /* the builder's */
        bool streams; /* the caller hears of progress */
        int data_fd;  /* of an export */
        char reference[REFERENCE_MAX];
};

static void job_free(struct image_job *job)
{
        own_fd_release(&job->data_fd);
        free(job);
}

static void job_unlink(struct image_job *job)
{
        for (struct image_job **at = &job->api->image_jobs; *at != NULL; at = &(*at)->next) {
                if (*at == job) {
                        *at = job->next;
                        return;
                }
        }
}

void function_images_finish(struct api *api)
{
        while (api->image_jobs != NULL) {
                struct image_job *job = api->image_jobs;

                api->image_jobs = job->next;
                job_free(job);
        }
}

void function_image_gone(struct api *api, uint64_t serial)
{
        for (struct image_job *job = api->image_jobs; job != NULL; job = job->next) {
                if (job->call->serial == serial) {
                        builder_cancel(api->config.builder, job->id);
                        return;
                }
        }
}

/* A file without a name, on the disk of the sources: gone with its descriptor, whatever happens. */
static enum err_code data_open(struct api *api, int *ret_fd, struct err *err)
{
        char name[] = ".image-XXXXXX";
        own_fd int fd = openat(api->sources_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
                char uuid[UUID_LEN + 1];

                uuid_generate(uuid);
                memcpy(name + 7, uuid, 6);
                fd = openat(api->sources_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
                if (fd >= 0)
                        unlinkat(api->sources_fd, name, 0);
        }
        if (fd < 0)
                return err_disk(err, "make a file for the image");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static void reply_file(struct image_job *job, const char *digest)
{
        struct api_call *call = job->call;
        char tag[TAG_MAX];
        struct stat status;
        struct err err;

        if (fstat(job->data_fd, &status) < 0) {
                err_sys(&err, "look at the image");
                api_call_fail(call, &err);
                return;
        }
        snprintf(tag, sizeof(tag), "\"%.100s\"", digest);
        api_call_field(call, "ETag", tag);
        api_call_field(call, "Content-Type", "application/x-tar");
        call->reply_fd = take_fd(&job->data_fd);
        call->reply_len = (uint64_t)status.st_size;
        call->status = 200;
        api_call_finish(call);
}

static void reply_pushed(struct image_job *job, const char *digest)
{
        char name[REFERENCE_MAX];

        image_name(job->reference, name);

        own_json json_t *reply =
                json_pack("{s:o, s:s}", "image", json_sprintf("%s@%s", name, digest), "digest", digest);

        api_call_json(job->call, 200, reply);
}

static void job_done(void *arg, const struct builder_result *result)
{
        struct image_job *job = arg;
        own_json json_t *info = NULL;
        struct err err;

        job_unlink(job);
        if (result->code != ERR_OK) {
                err_set(&err, result->code, "%s", result->text);
                api_call_fail(job->call, &err);
        } else if (json_parse(str_of(result->info), &info, &err) != ERR_OK ||
                   json_str(info, "digest").len == 0) {
                err_set(&err, ERR_SYSTEM, "the build of the image did not say its digest");
                api_call_fail(job->call, &err);
        } else if (job->data_fd >= 0) {
                reply_file(job, json_str(info, "digest").p);
        } else {
                reply_pushed(job, json_str(info, "digest").p);
        }
        job_free(job);
}

static void job_line(void *arg, char type, struct str text)
{
        struct image_job *job = arg;
        own_buf struct buf line = {0};

        if (type != 'P' || !job->streams)
                return;
        buf_init(&line, SPAWN_LINE_MAX * 8);
        if (buf_append_text(&line, "{\"progress\":") == ERR_OK && json_quote(text, &line) == ERR_OK &&
            buf_append_text(&line, "}\n") == ERR_OK)
                api_call_stream(job->call, &line);
}

static struct image_job *job_create(struct api_call *call)
{
        struct image_job *job = calloc(1, sizeof(*job));

        if (job == NULL)
                return NULL;
        job->api = call->api;
        job->call = call;
        job->data_fd = -1;
        job->streams = call->streams;
        job->next = call->api->image_jobs;
        call->api->image_jobs = job;
        return job;
}

/* Takes over the descriptors. */
static void job_start(struct api_call *call, const struct store_row *row, const struct image_input *input,
                      int data_fd, const char *reference, const char *registry)
{
        own_fd int theirs = data_fd >= 0 ? fcntl(data_fd, F_DUPFD_CLOEXEC, 3) : -1;
        struct image_job *job = data_fd < 0 || theirs >= 0 ? job_create(call) : NULL;
        struct err err;

        if (job == NULL) {
                own_fd_release(&data_fd);
                err_nomem(&err);
                api_call_fail(call, &err);
                return;
        }
        job->data_fd = data_fd;
        snprintf(job->reference, sizeof(job->reference), "%s", reference);

        uint64_t id =
                image_job_run(call->api, row, input, take_fd(&theirs), registry, job_line, job_done, job);

        if (id != 0)
                job->id = id;
}

static bool tag_valid(struct str tag)
{
        if (tag.len == 0 || tag.len >= TAG_MAX || tag.p[0] == '-' || tag.p[0] == '.')
                return false;
        for (size_t i = 0; i < tag.len; i++) {
                char c = tag.p[i];

                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.'))
                        return false;
        }
        return true;
}

static enum err_code export_begin(struct api_call *call, const struct store_row *row, struct err *err)
{
        __attribute__((cleanup(image_input_finish))) struct image_input input = {0};
        struct str tag = {0};
        char reference[TAG_MAX] = "latest";
        int data_fd = -1;
        enum err_code code = api_query_get(call->query, STR("tag"), &call->arena, &tag);

        if (code == ERR_OK && tag.len > 0 && !tag_valid(tag))
                return err_set(err, ERR_INVALID, "tag takes letters, digits, '_', '-' and '.', at most %d",
                               TAG_MAX - 1);
        if (code != ERR_OK)
                return err_set(err, ERR_INVALID, "the query is malformed");
        if (tag.len > 0)
                snprintf(reference, sizeof(reference), "%.*s", STR_ARG(tag));
        code = image_compose(call->api, row, reference, &input, err);
        if (code == ERR_OK)
                code = data_open(call->api, &data_fd, err);
        if (code == ERR_OK)
                job_start(call, row, &input, data_fd, reference, "");
        return code;
}

void image_name(const char *reference, char *name)
{
        const char *slash = strrchr(reference, '/');
        const char *colon = strrchr(slash != NULL ? slash : reference, ':');
        size_t len = colon != NULL ? (size_t)(colon - reference) : strlen(reference);

        snprintf(name, REFERENCE_MAX, "%.*s", (int)len, reference);
}

/* With a tag: latest where it has none. */
static enum err_code reference_take(struct str sent, char reference[REFERENCE_MAX],
                                    char registry[REGISTRY_MAX], struct err *err)
{
        struct str scheme = STR("docker://");
        struct str given = str_starts(sent, scheme) ? str_slice(sent, scheme.len, sent.len) : sent;
        char name[REFERENCE_MAX];

        if (given.len > REFERENCE_MAX - 16 || !registry_of(given, registry))
                return err_set(err, ERR_UNPROCESSABLE,
                               "reference takes HOST[:PORT]/PATH[:TAG], without a digest");
        snprintf(reference, REFERENCE_MAX, "%.*s", STR_ARG(given));
        image_name(reference, name);
        if (strlen(name) == strlen(reference))
                memcpy(reference + strlen(reference), ":latest",
                       sizeof(":latest")); /* REFERENCE_MAX has room */
        return ERR_OK;
}

/* The secret that the caller names, else the administrator's file. */
static enum err_code auth_take(struct api_call *call, struct str secret, const char *registry, json_t **ret,
                               struct err *err)
{
        const struct api_config *config = &call->api->config;
        struct store_key key = api_key(MODEL_SECRET, call->caller.organization, call->caller.project, secret);
        own_row struct store_row row = {0};
        json_t *values = NULL;

        if (secret.len == 0) {
                *ret = registries_auth(config->registries, registry);
                return ERR_OK;
        }

        enum err_code code = store_get(config->store, &key, &row, err);

        if (code == ERR_OK)
                code = secrets_open_sealed(config->secrets, &key, row.id,
                                           json_object_get(row.internal, SECRETS_SEALED), &values, err);
        if (code == ERR_OK)
                code = registries_secret_auth(values, registry, ret, err);
        secrets_wipe(values);
        return code;
}

static enum err_code push_begin(struct api_call *call, const struct store_row *row, struct err *err)
{
        __attribute__((cleanup(image_input_finish))) struct image_input input = {0};
        own_json json_t *body = NULL;
        json_t *auth = NULL;
        char reference[REFERENCE_MAX], registry[REGISTRY_MAX];
        enum err_code code = json_parse((struct str){call->body.data, call->body.len}, &body, err);

        if (code != ERR_OK || !json_is_object(body))
                return err_set(err, ERR_INVALID,
                               "the body must be {\"reference\": ..., \"registrySecret\": ...}");
        code = reference_take(json_str(body, "reference"), reference, registry, err);
        if (code == ERR_OK)
                code = auth_take(call, json_str(body, "registrySecret"), registry, &auth, err);
        if (code == ERR_OK)
                code = image_compose(call->api, row, "latest", &input, err);
        if (code == ERR_OK)
                code = image_compose_push(call->api, &input, reference, registry, auth, err);
        secrets_wipe(auth);
        if (code == ERR_OK)
                job_start(call, row, &input, -1, reference, registry);
        return code;
}

void function_image_call(struct api_call *call)
{
        own_row struct store_row row = {0};
        struct err err;
        enum err_code code = api_row_get(call, &api_functions, &row, &err);

        if (code == ERR_OK)
                code = call->route.verb == VERB_GET ? export_begin(call, &row, &err)
                                                    : push_begin(call, &row, &err);
        if (code != ERR_OK)
                api_call_fail(call, &err);
}
