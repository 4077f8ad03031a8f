/* build/s3_job.c: from a job's input to its outcome. */
#include "build/s3_job.h"
#include "build/s3.h"

#include "base/own.h"
#include "wire/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STALL_MS = 30000, PART_BYTES = 16 << 20 };

static const char *const kinds[] = {"s3-put", "s3-get", "s3-delete", "s3-list", "s3-check"};

bool s3_job_is(const char *kind)
{
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (strcmp(kind, kinds[i]) == 0)
                        return true;
        }
        return false;
}

static void json_release(json_t **json)
{
        json_decref(*json);
}
#define own_json __attribute__((cleanup(json_release)))

static const char *text_of(const json_t *input, const char *name)
{
        const char *value = json_string_value(json_object_get(input, name));

        return value != NULL ? value : "";
}

static uint64_t number_of(const json_t *input, const char *name, uint64_t initial)
{
        json_int_t value = json_integer_value(json_object_get(input, name));

        return value > 0 ? (uint64_t)value : initial;
}

static enum err_code input_read(int fd, json_t **ret, struct err *err)
{
        own_buf struct buf text = {.max = S3_INPUT_BYTES_MAX};

        for (;;) {
                if (buf_reserve(&text, 4096) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the job's input is larger than %d bytes",
                                       S3_INPUT_BYTES_MAX);
                ssize_t got = pread(fd, text.data + text.len, 4096, (off_t)text.len);
                if (got < 0)
                        return err_sys(err, "read the job's input");
                if (got == 0)
                        break;
                text.len += (size_t)got;
        }
        *ret = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        buf_wipe(&text);
        return json_is_object(*ret) ? ERR_OK : err_set(err, ERR_INVALID, "the job's input is no JSON object");
}

/* Cuts "http://HOST" at its scheme; the host stays within `endpoint`. */
static bool endpoint_cut(char *endpoint, struct s3_config *config)
{
        char *host = strstr(endpoint, "://");

        if (host == NULL || host[3] == '\0' || strchr(host + 3, '/') != NULL)
                return false;
        *host = '\0';
        config->scheme = endpoint;
        config->host = host + 3;
        return strcmp(endpoint, "http") == 0 || strcmp(endpoint, "https") == 0;
}

static enum err_code config_read(const json_t *input, char *endpoint, struct s3_config *config,
                                 struct err *err)
{
        *config = (struct s3_config){.bucket = text_of(input, "bucket"),
                                     .region = text_of(input, "region"),
                                     .access_key = text_of(input, "accessKey"),
                                     .secret_key = text_of(input, "secretKey"),
                                     .session_token = text_of(input, "sessionToken"),
                                     .ca = text_of(input, "ca"),
                                     .path_style = json_is_true(json_object_get(input, "pathStyle")),
                                     .stall_ms = (uint32_t)number_of(input, "stallMs", STALL_MS),
                                     .part_bytes = number_of(input, "partBytes", PART_BYTES)};
        if (config->part_bytes < S3_PART_BYTES_MIN)
                config->part_bytes = S3_PART_BYTES_MIN;
        if (!endpoint_cut(endpoint, config) || config->bucket[0] == '\0' || config->region[0] == '\0')
                return err_set(err, ERR_INVALID, "the job's input names no endpoint, bucket or region");
        return ERR_OK;
}

static enum err_code run_put(struct s3 *s3, const json_t *input, int data_fd, json_t **ret_info,
                             struct err *err)
{
        bool there;
        enum err_code code = s3_put(s3, text_of(input, "key"), data_fd, number_of(input, "size", 0),
                                    text_of(input, "sha256"), &there, err);

        if (code == ERR_OK)
                *ret_info = json_pack("{sb}", "there", there);
        return code;
}

static enum err_code run_get(struct s3 *s3, const json_t *input, int data_fd, json_t **ret_info,
                             struct err *err)
{
        char sha256[SIGV4_HEX_LEN + 1];
        uint64_t size;
        enum err_code code = s3_get(s3, text_of(input, "key"), data_fd, number_of(input, "bytesMax", 0),
                                    &size, sha256, err);

        if (code == ERR_OK)
                *ret_info = json_pack("{sIss}", "size", (json_int_t)size, "sha256", sha256);
        return code;
}

/* What s3-list collects. */
struct listing {
        json_t *objects, *uploads;
        time_t now;
        bool full;
        bool failed;
};

static bool listing_add(void *arg, const struct s3_found *found)
{
        struct listing *listing = arg;
        json_int_t age =
                found->when > 0 && found->when < listing->now ? (json_int_t)(listing->now - found->when) : 0;
        json_t *key = json_stringn(found->key.p, found->key.len);

        if (key == NULL)
                return true; /* not UTF-8: none of ours */
        if (json_array_size(listing->objects) + json_array_size(listing->uploads) == S3_LIST_ENTRIES_MAX) {
                json_decref(key);
                listing->full = true;
                return false;
        }
        json_t *entry = found->upload.len > 0 ? json_pack("[oI]", key, age)
                                              : json_pack("[oII]", key, (json_int_t)found->size, age);
        if (json_array_append_new(found->upload.len > 0 ? listing->uploads : listing->objects, entry) < 0)
                listing->failed = true;
        return !listing->failed;
}

static enum err_code line_write(int fd, const char *line, size_t len, struct err *err)
{
        while (len > 0) {
                ssize_t wrote = write(fd, line, len);
                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return err_sys(err, "write the job's result");
                line += wrote;
                len -= (size_t)wrote;
        }
        return ERR_OK;
}

static enum err_code listing_write(const struct listing *listing, int log_fd, struct err *err)
{
        own_json json_t *result = json_pack("{sOsOsb}", "objects", listing->objects, "uploads",
                                            listing->uploads, "more", listing->full);
        own_mem char *text = result != NULL ? json_dumps(result, JSON_COMPACT) : NULL;
        own_buf struct buf line = {.max = SPAWN_RESULT_MAX};

        if (text == NULL)
                return err_nomem(err);
        if (buf_printf(&line, "R %s\n", text) != ERR_OK)
                return err_set(err, ERR_TOO_LARGE, "the list of what the object store has is too long");
        return line_write(log_fd, line.data, line.len, err);
}

static enum err_code run_list(struct s3 *s3, const json_t *input, int log_fd, json_t **ret_info,
                              struct err *err)
{
        own_json json_t *objects = json_array();
        own_json json_t *uploads = json_array();
        struct listing listing = {.objects = objects, .uploads = uploads, .now = time(NULL)};
        const char *prefix = text_of(input, "prefix");
        enum err_code code = s3_list_uploads(s3, prefix, listing_add, &listing, err);

        if (code == ERR_OK)
                code = s3_list(s3, prefix, listing_add, &listing, err);
        if (code == ERR_OK && (listing.failed || objects == NULL || uploads == NULL))
                code = err_nomem(err);
        if (code == ERR_OK)
                code = listing_write(&listing, log_fd, err);
        if (code == ERR_OK)
                *ret_info = json_object();
        return code;
}

static enum err_code run_check(struct s3 *s3, const json_t *input, json_t **ret_info, struct err *err)
{
        bool created;
        enum err_code code = s3_check(s3, text_of(input, "prefix"),
                                      json_is_true(json_object_get(input, "create")), &created, err);

        if (code == ERR_OK)
                *ret_info = json_pack("{sb}", "created", created);
        return code;
}

static enum err_code run(const char *kind, struct s3 *s3, const json_t *input, int log_fd, int data_fd,
                         json_t **ret_info, struct err *err)
{
        if (strcmp(kind, "s3-put") == 0)
                return run_put(s3, input, data_fd, ret_info, err);
        if (strcmp(kind, "s3-get") == 0)
                return run_get(s3, input, data_fd, ret_info, err);
        if (strcmp(kind, "s3-list") == 0)
                return run_list(s3, input, log_fd, ret_info, err);
        if (strcmp(kind, "s3-check") == 0)
                return run_check(s3, input, ret_info, err);
        *ret_info = json_object();
        return json_is_true(json_object_get(input, "uploadsOnly"))
                       ? s3_abort_uploads(s3, text_of(input, "key"), err)
                       : s3_delete(s3, text_of(input, "key"), err);
}

enum err_code s3_job_run(const char *kind, int input_fd, int log_fd, int data_fd, json_t **ret_info,
                         struct err *err)
{
        __attribute__((cleanup(s3_finish))) struct s3 s3 = {0};
        own_json json_t *input = NULL, *info = NULL;
        struct s3_config config;
        enum err_code code = input_read(input_fd, &input, err);

        own_mem char *endpoint = strdup(text_of(input, "endpoint"));
        if (code == ERR_OK && endpoint == NULL)
                code = err_nomem(err);
        if (code == ERR_OK)
                code = config_read(input, endpoint, &config, err);
        if (code == ERR_OK)
                code = s3_init(&s3, &config, err);
        if (code == ERR_OK)
                code = run(kind, &s3, input, log_fd, data_fd, &info, err);
        if (code == ERR_OK && info == NULL)
                code = err_nomem(err);
        if (code == ERR_OK)
                *ret_info = take_ptr(&info);
        return code;
}
