/* build/export.c: puts a function's image together in /out. */
#include "build/export.h"

#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"
#include "build/oci_write.h"
#include "build/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the compiler leaves beside a runtime that runs from its build folder. */
#define BUILD_LEFTOVERS ".p"

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

struct export
{
        const struct job *job;
        const struct export_places *places;
        struct oci oci;
};

bool export_is(const char *kind)
{
        return strcmp(kind, "export") == 0 || strcmp(kind, "push") == 0;
}

static enum err_code input_read(int fd, json_t **ret, struct err *err)
{
        own_buf struct buf text;

        buf_init(&text, EXPORT_INPUT_MAX);
        for (;;) {
                if (buf_reserve(&text, 1) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE,
                                       "what is to be exported takes more than %d bytes to say",
                                       EXPORT_INPUT_MAX);

                ssize_t got = pread(fd, text.data + text.len, text.capacity - text.len, (off_t)text.len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read what is to be exported");
                if (got == 0)
                        break;
                text.len += (size_t)got;
        }
        *ret = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        return *ret != NULL ? ERR_OK : err_set(err, ERR_INVALID, "what is to be exported is no JSON");
}

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text != NULL ? text : "";
}

static enum err_code layer_folder(struct export *export, int fd, const char *prefix, const char *except,
                                  bool owners, const char *by, struct err *err)
{
        struct tar_tree tree = {
                .prefix = prefix, .time = export->oci.time, .except = except, .owners = owners};

        if (strlen(prefix) > NAME_MAX || strchr(prefix, '/') != NULL)
                return err_set(err, ERR_INVALID, "a layer's folder must be a name");
        return oci_layer_tree(&export->oci, fd, &tree, by, err);
}

static enum err_code layer_part(struct export *export, const json_t *layer, struct err *err)
{
        char name[24];

        snprintf(name, sizeof(name), "%lld", (long long)json_integer_value(json_object_get(layer, "part")));

        own_fd int fd = openat(export->places->layers_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open layer %s", name);
        return layer_folder(export, fd, text_of(layer, "prefix"), NULL,
                            json_is_true(json_object_get(layer, "owners")), text_of(layer, "by"), err);
}

static enum err_code layer_blob(struct export *export, const json_t *layer, struct err *err)
{
        struct oci_layer blob = {.blob.size = (uint64_t)json_integer_value(json_object_get(layer, "size"))};
        const char *digest = text_of(layer, "digest");
        unsigned char bytes[32];

        if (strlen(digest) != OCI_DIGEST_MAX - 1 || !str_starts(str_of(digest), STR("sha256:")) ||
            !hex_decode(str_of(digest + 7), bytes))
                return err_set(err, ERR_INVALID, "a layer's digest must be sha256: and 64 digits");
        snprintf(blob.blob.digest, sizeof(blob.blob.digest), "%s", digest);
        snprintf(blob.media_type, sizeof(blob.media_type), "%s", text_of(layer, "mediaType"));
        snprintf(blob.diff_id, sizeof(blob.diff_id), "%s", text_of(layer, "diffID"));
        snprintf(blob.created_by, sizeof(blob.created_by), "%s", text_of(layer, "by"));
        if (export->places->blobs_fd < 0)
                return err_set(err, ERR_NOT_FOUND, "blob %s is missing", digest);
        return oci_layer_blob(&export->oci, export->places->blobs_fd, digest + 7, &blob, err);
}

static enum err_code layer_make(struct export *export, const json_t *layer, struct err *err)
{
        if (json_object_get(layer, "part") != NULL)
                return layer_part(export, layer, err);
        if (json_object_get(layer, "digest") != NULL)
                return layer_blob(export, layer, err);
        if (export->job->runtime_fd < 0)
                return err_set(err, ERR_NOT_FOUND, "no runtime for %s on this server", export->job->language);
        return layer_folder(export, export->job->runtime_fd, "runtime", BUILD_LEFTOVERS, false,
                            text_of(layer, "by"), err);
}

static enum err_code layers_make(struct export *export, const json_t *layers, struct err *err)
{
        size_t count = json_array_size(layers);
        enum err_code code = ERR_OK;

        if (count == 0)
                return err_set(err, ERR_INVALID, "an image without layers");
        for (size_t i = 0; code == ERR_OK && i < count; i++) {
                const json_t *layer = json_array_get(layers, i);

                dprintf(export->job->log_fd, "P %zu/%zu layers: %s\n", i, count, text_of(layer, "by"));
                code = layer_make(export, layer, err);
        }
        return code;
}

static enum err_code data_write(void *arg, const void *bytes, size_t len, struct err *err)
{
        const int *fd = arg;
        const char *from = bytes;

        while (len > 0) {
                ssize_t wrote = write(*fd, from, len);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return err_disk(err, "write the image");
                from += wrote;
                len -= (size_t)wrote;
        }
        return ERR_OK;
}

/* The layout as a tar. */
static enum err_code archive_write(struct export *export, struct err *err)
{
        int fd = export->job->data_fd;
        struct tar_out out = {.write = data_write, .arg = &fd};
        struct tar_tree tree = {.prefix = "", .time = export->oci.time};
        enum err_code code = tar_tree(&out, export->job->out_fd, &tree, err);

        return code == ERR_OK ? tar_write_end(&out, err) : code;
}

static enum err_code image_make(struct export *export, const json_t *input, json_t **ret_info,
                                struct err *err)
{
        const char *reference = text_of(input, "reference");
        struct oci_about about = {.architecture = oci_architecture(),
                                  .config = json_object_get(input, "config"),
                                  .annotations = json_object_get(input, "annotations"),
                                  .ref_name = reference};
        struct oci_blob manifest;
        enum err_code code = layers_make(export, json_object_get(input, "layers"), err);

        if (code == ERR_OK && !json_is_object(about.config))
                return err_set(err, ERR_INVALID, "an image without a configuration");
        if (code == ERR_OK)
                code = oci_image(&export->oci, &about, &manifest, err);
        if (code != ERR_OK)
                return code;
        *ret_info = json_pack("{sssIsI}", "digest", manifest.digest, "size", (json_int_t)manifest.size,
                              "bytes", (json_int_t) export->oci.bytes);
        return *ret_info != NULL ? ERR_OK : err_nomem(err);
}

enum err_code export_run(const struct job *job, const struct export_places *places, json_t **ret_info,
                         struct err *err)
{
        own_json json_t *input = NULL;
        own_json json_t *info = NULL;
        struct export export = {.job = job, .places = places};
        bool pushes = strcmp(job->kind, "push") == 0;
        enum err_code code = input_read(job->input_fd, &input, err);

        if (code == ERR_OK)
                code = oci_open(&export.oci, job->out_fd, json_integer_value(json_object_get(input, "time")),
                                job->disk_mib << 20, err);
        if (code != ERR_OK)
                return code;
        code = image_make(&export, input, &info, err);
        if (code == ERR_OK)
                code = pushes ? push_run(json_object_get(input, "push"), "/out", job->log_fd, err)
                              : archive_write(&export, err);
        oci_close(&export.oci);
        if (code == ERR_OK)
                *ret_info = take_ptr(&info);
        return code;
}
