/* api/object_store.c: jobs of the object store: their inputs, and what comes back. */
#include "api/object_store.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        DEADLINE_MS = 120000,
        DEADLINE_MS_PER_MIB = 2000, /* half a MiB a second is the slowest that is waited for */
        JOB_DISK_MIB = 2048,
        SLOW_BYTES = 4 << 20
};

struct object_job {
        struct object_job *next;
        struct api *api;
        object_done done;
        void *arg;
        json_t *listing;
};

bool object_store_on(const struct api *api)
{
        return api->config.storage != NULL && api->config.storage->scheme != NULL;
}

enum err_code object_store_init(struct api *api, struct err *err)
{
        static const char name[] = "sources.id";
        struct store *store = api->config.store;
        own_mem char *id = NULL;

        if (!object_store_on(api))
                return ERR_OK;
        enum err_code code = store_meta_get(store, name, &id, err);
        if (code == ERR_OK && uuid_valid(str_of(id))) {
                memcpy(api->object_id, id, sizeof(api->object_id));
                return ERR_OK;
        }
        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        uuid_generate(api->object_id);
        return store_meta_set(store, name, api->object_id, err);
}

void object_store_finish(struct api *api)
{
        while (api->object_jobs != NULL) {
                struct object_job *job = api->object_jobs;

                api->object_jobs = job->next;
                json_decref(job->listing);
                free(job);
        }
}

enum err_code object_url(const struct api *api, const char *key, char out[OBJECT_URL_MAX], struct err *err)
{
        const struct api_storage *storage = api->config.storage;
        int len = snprintf(out, OBJECT_URL_MAX, "%s://%s/%s%s/%s", storage->scheme, storage->bucket,
                           storage->prefix, api->object_id, key);

        return len < OBJECT_URL_MAX ? ERR_OK : err_set(err, ERR_TOO_LARGE, "--s3-prefix is too long");
}

/* SCHEME://BUCKET/OBJECT */
static bool url_split(const char *url, struct str *bucket, struct str *object)
{
        const char *at = strstr(url, "://");

        if (at == NULL)
                return false;
        *object = str_of(at + 3);
        *bucket = str_cut(object, '/');
        return bucket->len > 0 && object->len > 0;
}

static void job_remove(struct object_job *job)
{
        for (struct object_job **at = &job->api->object_jobs; *at != NULL; at = &(*at)->next) {
                if (*at == job) {
                        *at = job->next;
                        break;
                }
        }
        json_decref(job->listing);
        free(job);
}

static void job_line(void *arg, char type, struct str text)
{
        struct object_job *job = arg;
        json_t *listing = NULL;

        if (type != 'R' || json_parse(text, &listing, NULL) != ERR_OK)
                return;
        json_decref(job->listing);
        job->listing = listing;
}

static void job_done(void *arg, const struct builder_result *result)
{
        struct object_job *job = arg;
        own_json json_t *info = NULL;

        if (result->code == ERR_OK)
                (void)json_parse(str_of(result->info), &info, NULL);
        if (job->done != NULL)
                job->done(job->arg, &(struct object_result){.code = result->code,
                                                            .text = result->text,
                                                            .info = info,
                                                            .listing = job->listing});
        job_remove(job);
}

/* What every job is told of the store. `bucket`: of the object's URL. */
static json_t *input_make(const struct api *api, struct str bucket)
{
        const struct api_storage *storage = api->config.storage;

        return json_pack("{ss ss% ss ss ss ss ss sb sI sI}", "endpoint", storage->endpoint, "bucket",
                         bucket.p, bucket.len, "region", storage->region, "accessKey", storage->access_key,
                         "secretKey", storage->secret_key, "sessionToken", storage->session_token, "ca",
                         storage->ca, "pathStyle", storage->path_style, "stallMs",
                         (json_int_t)storage->stall_ms, "partBytes", (json_int_t)storage->part_bytes);
}

/* A file in memory that nobody can change any more. */
static enum err_code input_seal(const json_t *input, int *ret_fd, struct err *err)
{
        own_fd int fd = memfd_create("dispatch-job", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return err_sys(err, "make a job's input");
        if (json_dumpfd(input, fd, JSON_COMPACT) < 0)
                return err_disk(err, "write a job's input");
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(err, "seal a job's input");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static void fail_now(object_done done, void *arg, const struct err *err)
{
        if (done != NULL)
                done(arg, &(struct object_result){.code = err->code, .text = err->text});
}

/* Takes input and data_fd. */
static void job_start(struct api *api, const char *kind, const char *serial, json_t *input, int data_fd,
                      uint64_t bytes, object_done done, void *arg)
{
        own_fd int data = data_fd, input_fd = -1;
        own_json json_t *told = input;
        struct object_job *job = calloc(1, sizeof(*job));
        struct err err;

        if (told == NULL || job == NULL) {
                free(job);
                err_nomem(&err);
                fail_now(done, arg, &err);
                return;
        }
        if (input_seal(told, &input_fd, &err) != ERR_OK) {
                free(job);
                fail_now(done, arg, &err);
                return;
        }
        *job = (struct object_job){.next = api->object_jobs, .api = api, .done = done, .arg = arg};
        api->object_jobs = job;
        struct builder_task task = {.kind = kind,
                                    .serial = serial,
                                    .network = SPAWN_NETWORK_HOST,
                                    .slow = strcmp(kind, "s3-list") == 0 ||
                                            (strcmp(kind, "s3-put") == 0 && bytes > SLOW_BYTES),
                                    .disk_mib = JOB_DISK_MIB,
                                    .deadline_ms = DEADLINE_MS + (bytes >> 20) * DEADLINE_MS_PER_MIB,
                                    .input_fd = take_fd(&input_fd),
                                    .data_fd = take_fd(&data),
                                    .line = strcmp(kind, "s3-list") == 0 ? job_line : NULL};
        builder_run(api->config.builder, &task, job_done, job);
}

/* A job of one object; `more` (stolen) holds what else it is told. */
static void object_job(struct api *api, const char *kind, const char *url, json_t *more, int fd,
                       uint64_t bytes, object_done done, void *arg)
{
        own_json json_t *rest = more;
        struct str bucket, object;
        struct err err;

        if (!object_store_on(api) || !url_split(url, &bucket, &object)) {
                own_fd_release(&fd);
                err_set(&err, ERR_PRECONDITION,
                        "the source is at %s: start the server with --storage minio or s3", url);
                fail_now(done, arg, &err);
                return;
        }
        json_t *input = input_make(api, bucket);
        if (input != NULL && (json_object_set_new(input, "key", json_of(object)) < 0 ||
                              (rest != NULL && json_object_update(input, rest) < 0)))
                json_decref(take_ptr(&input));
        /* The end of the URL is its key, which tells objects apart. */
        size_t len = strlen(url);
        job_start(api, kind, url + (len > BUILDER_SERIAL_MAX - 1 ? len - (BUILDER_SERIAL_MAX - 1) : 0), input,
                  fd, bytes, done, arg);
}

void object_put(struct api *api, const char *url, int fd, uint64_t size, const char *sha256, object_done done,
                void *arg)
{
        object_job(api, "s3-put", url, json_pack("{sI ss}", "size", (json_int_t)size, "sha256", sha256), fd,
                   size, done, arg);
}

void object_get(struct api *api, const char *url, int fd, uint64_t bytes_max, object_done done, void *arg)
{
        object_job(api, "s3-get", url, json_pack("{sI}", "bytesMax", (json_int_t)bytes_max), fd, bytes_max,
                   done, arg);
}

void object_delete(struct api *api, const char *url, object_done done, void *arg)
{
        object_job(api, "s3-delete", url, NULL, -1, 0, done, arg);
}

void object_abort(struct api *api, const char *url)
{
        object_job(api, "s3-delete", url, json_pack("{sb}", "uploadsOnly", 1), -1, 0, NULL, NULL);
}

static json_t *prefix_input(struct api *api)
{
        const struct api_storage *storage = api->config.storage;
        json_t *input = input_make(api, str_of(storage->bucket));

        if (input != NULL &&
            json_object_set_new(input, "prefix", json_sprintf("%s%s/", storage->prefix, api->object_id)) < 0)
                json_decref(take_ptr(&input));
        return input;
}

void object_list(struct api *api, object_done done, void *arg)
{
        job_start(api, "s3-list", "s3-list", prefix_input(api), -1, 0, done, arg);
}

void object_check(struct api *api, bool create, object_done done, void *arg)
{
        json_t *input = prefix_input(api);

        if (input != NULL && json_object_set_new(input, "create", json_boolean(create)) < 0)
                json_decref(take_ptr(&input));
        job_start(api, "s3-check", "s3-check", input, -1, 0, done, arg);
}
