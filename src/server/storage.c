/* server/storage.c: checks the options of the function store and puts them together. */
#include "server/storage.h"

#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_BYTES_MAX = 4096, BUCKET_MIN = 3, BUCKET_MAX = 63 };

static const char secret_variable[] = "DISPATCH_S3_SECRET_KEY";

static bool all_of(const char *text, const char *extra)
{
        for (; *text != '\0'; text++) {
                if (!isalnum((unsigned char)*text) && strchr(extra, *text) == NULL)
                        return false;
        }
        return true;
}

/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, as far as they matter here.
 */
static bool bucket_valid(const char *name)
{
        size_t len = strlen(name);

        for (const char *c = name; *c != '\0'; c++) {
                if (isupper((unsigned char)*c))
                        return false;
        }
        return len >= BUCKET_MIN && len <= BUCKET_MAX && all_of(name, ".-") &&
               isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[len - 1]) &&
               strstr(name, "..") == NULL;
}

/* In place: "http://h:80" and "http://h/" are "http://h", as the Host field will say. */
static bool endpoint_settle(char *endpoint)
{
        bool tls = strncmp(endpoint, "https://", 8) == 0;
        char *host = endpoint + (tls ? 8 : 7);

        if (!tls && strncmp(endpoint, "http://", 7) != 0)
                return false;
        size_t len = strlen(endpoint);
        if (len > 0 && endpoint[len - 1] == '/')
                endpoint[--len] = '\0';
        const char *usual = tls ? ":443" : ":80";
        if (str_ends(str_of(endpoint), str_of(usual)))
                endpoint[len - strlen(usual)] = '\0';
        return host[0] != '\0' && host[0] != ':' && all_of(host, ".-_:[]");
}

static enum err_code endpoint_read(const struct server_options *options, bool minio, struct storage *storage,
                                   struct err *err)
{
        const char *given = options->s3_endpoint;
        int len;

        if (given[0] != '\0')
                len = snprintf(storage->endpoint, sizeof(storage->endpoint), "%s", given);
        else if (minio)
                len = snprintf(storage->endpoint, sizeof(storage->endpoint), "%s%s",
                               strstr(options->minio_address, "://") != NULL ? "" : "http://",
                               options->minio_address);
        else
                len = snprintf(storage->endpoint, sizeof(storage->endpoint), "https://s3.%s.amazonaws.com",
                               options->s3_region);
        const char *flag = given[0] == '\0' && minio ? "minio-address" : "s3-endpoint";
        if (len >= (int)sizeof(storage->endpoint) || !endpoint_settle(storage->endpoint))
                return err_set(err, ERR_INVALID, "--%s takes %s, not '%.200s'", flag,
                               strcmp(flag, "s3-endpoint") == 0 ? "http://HOST[:PORT] or https://HOST[:PORT]"
                                                                : "HOST:PORT",
                               given[0] != '\0' ? given : options->minio_address);
        storage->api.endpoint = storage->endpoint;
        return ERR_OK;
}

/* Ends with '/', so that no object of another prefix begins with it. */
static enum err_code prefix_read(const struct server_options *options, struct storage *storage,
                                 struct err *err)
{
        const char *given = options->s3_prefix;
        bool slash = given[0] == '\0' || str_ends(str_of(given), STR("/"));
        int len = snprintf(storage->prefix, sizeof(storage->prefix), "%s%s", given, slash ? "" : "/");

        if (len >= (int)sizeof(storage->prefix) || given[0] == '/' || strstr(given, "//") != NULL ||
            strstr(given, "./") != NULL || !all_of(given, "/._-"))
                return err_set(err, ERR_INVALID,
                               "--s3-prefix takes letters, digits and . _ - in parts between /, not '%.200s'",
                               given);
        storage->api.prefix = storage->prefix;
        return ERR_OK;
}

static enum err_code need(bool there, const char *flag, const char *kind, struct err *err)
{
        return there ? ERR_OK : err_set(err, ERR_INVALID, "--storage %s needs --%s", kind, flag);
}

static enum err_code keys_read(const struct server_options *options, bool minio, struct storage *storage,
                               struct err *err)
{
        struct api_storage *api = &storage->api;
        const char *kind = options->storage;

        api->access_key = options->s3_access_key;
        api->secret_key = options->s3_secret_key;
        if (minio && api->access_key[0] == '\0')
                api->access_key = options->minio_username;
        if (minio && api->secret_key[0] == '\0')
                api->secret_key = options->minio_password;
        api->session_token = options->s3_session_token;
        enum err_code code =
                need(api->access_key[0] != '\0', minio ? "minio-username" : "s3-access-key", kind, err);
        if (code == ERR_OK)
                code = need(api->secret_key[0] != '\0' || options->s3_secret_key_file[0] != '\0',
                            minio ? "minio-password" : "s3-secret-key-file", kind, err);
        if (code == ERR_OK && (!all_of(api->access_key, "._-+=@") || strlen(api->access_key) > 256))
                return err_set(err, ERR_INVALID, "--%s has characters that no access key has",
                               minio && options->s3_access_key[0] == '\0' ? "minio-username"
                                                                          : "s3-access-key");
        return code;
}

enum err_code storage_read(const struct server_options *options, struct storage *storage, struct err *err)
{
        bool minio = strcmp(options->storage, "minio") == 0;
        struct api_storage *api = &storage->api;
        const char *ca = getenv(STORAGE_ENV_CA);

        *storage = (struct storage){0};
        if (strcmp(options->storage, "file") == 0)
                return ERR_OK;
        if (!minio && strcmp(options->storage, "s3") != 0)
                return err_set(err, ERR_INVALID, "--storage takes file, minio or s3, not '%.100s'",
                               options->storage);
        api->bucket = options->s3_bucket[0] == '\0' && minio ? "dispatch" : options->s3_bucket;
        api->region = options->s3_region;
        api->ca = ca != NULL && options->s3_ca[0] != '\0' ? ca : "";
        api->path_style = minio || options->s3_path_style;
        api->create_bucket = minio;
        api->stall_ms = (uint32_t)options->s3_timeout_ms;
        api->part_bytes = options->s3_part_mib << 20;
        enum err_code code = need(api->bucket[0] != '\0', "s3-bucket", options->storage, err);
        if (code == ERR_OK && !bucket_valid(api->bucket))
                code = err_set(err, ERR_INVALID,
                               "--s3-bucket takes 3 to 63 of a-z, 0-9, . and -, not '%.100s'", api->bucket);
        if (code == ERR_OK && (api->region[0] == '\0' || !all_of(api->region, "-_")))
                code = err_set(err, ERR_INVALID, "--s3-region takes a name such as eu-central-1");
        if (code == ERR_OK)
                code = endpoint_read(options, minio, storage, err);
        if (code == ERR_OK)
                code = prefix_read(options, storage, err);
        if (code == ERR_OK)
                code = keys_read(options, minio, storage, err);
        if (code == ERR_OK && options->s3_ca[0] != '\0' && strncmp(storage->endpoint, "https://", 8) != 0)
                code = err_set(err, ERR_INVALID, "--s3-ca is for an endpoint that begins with https://");
        if (code == ERR_OK)
                api->scheme = minio ? "minio" : "s3";
        return code;
}

/* The whole file, at most `max` bytes. */
static enum err_code file_read(const char *flag, const char *path, size_t max, struct buf *out,
                               struct err *err)
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return err_sys(err, "--%s: open '%s'", flag, path);
        out->max = max + 1;
        for (;;) {
                if (buf_reserve(out, 1) != ERR_OK || out->len > max)
                        return err_set(err, ERR_TOO_LARGE, "--%s: '%s' has more than %zu bytes", flag, path,
                                       max);
                size_t room = out->max - out->len < out->capacity - out->len ? out->max - out->len
                                                                             : out->capacity - out->len;
                ssize_t got = read(fd, out->data + out->len, room);
                if (got < 0)
                        return err_sys(err, "--%s: read '%s'", flag, path);
                if (got == 0)
                        return ERR_OK;
                out->len += (size_t)got;
        }
}

static enum err_code secret_file_export(const char *path, struct err *err)
{
        own_buf struct buf text = {0};
        enum err_code code = file_read("s3-secret-key-file", path, SECRET_BYTES_MAX, &text, err);

        if (code != ERR_OK)
                return code;
        while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
                text.len--;
        const char *secret = buf_text(&text);
        if (secret == NULL)
                return err_nomem(err);
        if (secret[0] == '\0' || strlen(secret) != text.len || strchr(secret, '\n') != NULL)
                code = err_set(err, ERR_INVALID, "--s3-secret-key-file: '%s' is not one line with a key",
                               path);
        else if (setenv(secret_variable, secret, 1) < 0)
                code = err_sys(err, "set a variable");
        buf_wipe(&text);
        return code;
}

static enum err_code ca_export(const char *path, struct err *err)
{
        own_buf struct buf text = {0};
        enum err_code code = file_read("s3-ca", path, STORAGE_CA_MAX, &text, err);

        if (code != ERR_OK)
                return code;
        const char *pem = buf_text(&text);
        if (pem == NULL)
                return err_nomem(err);
        if (strlen(pem) != text.len || strstr(pem, "-----BEGIN CERTIFICATE-----") == NULL)
                return err_set(err, ERR_INVALID, "--s3-ca: '%s' holds no certificate (PEM)", path);
        return setenv(STORAGE_ENV_CA, pem, 1) < 0 ? err_sys(err, "set a variable") : ERR_OK;
}

static void secret_export(void *arg, const char *variable, const char *value)
{
        bool *failed = arg;

        *failed |= setenv(variable, value, 1) < 0;
}

enum err_code storage_export(const struct server_options *options, struct err *err)
{
        struct storage storage;
        bool failed = false;
        enum err_code code = storage_read(options, &storage, err);

        if (code != ERR_OK)
                return code;
        options_each_secret(options, secret_export, &failed);
        if (failed)
                return err_sys(err, "set a variable");
        if (storage.api.scheme != NULL && options->s3_secret_key_file[0] != '\0')
                code = secret_file_export(options->s3_secret_key_file, err);
        if (code == ERR_OK && storage.api.scheme != NULL && options->s3_ca[0] != '\0')
                code = ca_export(options->s3_ca, err);
        return code;
}
