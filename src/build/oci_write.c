/* build/oci_write.c: layers, and the JSON documents around them, whose keys are sorted. */
#include "build/oci_write.h"

#include "base/own.h"
#include "base/str.h"
#include "build/oci_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

enum { CHUNK = 131072, TIME_TEXT_MAX = 32 };

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

static enum err_code folder_make(int dir_fd, const char *name, struct err *err)
{
        if (mkdirat(dir_fd, name, 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make folder '%s'", name);
        return ERR_OK;
}

enum err_code oci_open(struct oci *oci, int root_fd, int64_t time, uint64_t bytes_max, struct err *err)
{
        own_mem struct oci_layer *layers = calloc(OCI_LAYERS_MAX, sizeof(*layers));
        enum err_code code = folder_make(root_fd, "blobs", err);

        if (code == ERR_OK)
                code = folder_make(root_fd, "blobs/sha256", err);
        if (code != ERR_OK)
                return code;
        if (layers == NULL)
                return err_nomem(err);

        int blobs_fd = openat(root_fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (blobs_fd < 0)
                return err_sys(err, "open the blobs");
        *oci = (struct oci){.root_fd = root_fd,
                            .blobs_fd = blobs_fd,
                            .time = time,
                            .bytes_max = bytes_max,
                            .layers = take_ptr(&layers)};
        return ERR_OK;
}

void oci_close(struct oci *oci)
{
        if (oci->layers == NULL)
                return;
        oci_sink_destroy(oci->sink);
        own_fd_release(&oci->blobs_fd);
        free(oci->layers);
        *oci = (struct oci){.blobs_fd = -1};
}

static enum err_code layer_room(const struct oci *oci, struct err *err)
{
        if (oci->layer_count == OCI_LAYERS_MAX)
                return err_set(err, ERR_TOO_LARGE, "an image of more than %d layers", OCI_LAYERS_MAX);
        return ERR_OK;
}

static enum err_code layer_write(void *arg, const void *bytes, size_t len, struct err *err)
{
        return oci_sink_write(arg, bytes, len, err);
}

enum err_code oci_layer_begin(struct oci *oci, struct tar_out *ret, struct err *err)
{
        enum err_code code = layer_room(oci, err);

        assert(oci->sink == NULL);
        if (code == ERR_OK)
                code = oci_sink_create(oci, true, &oci->sink, err);
        if (code == ERR_OK)
                *ret = (struct tar_out){.write = layer_write, .arg = oci->sink};
        return code;
}

static enum err_code layer_add(struct oci *oci, const char *created_by, struct err *err)
{
        struct oci_layer *layer = &oci->layers[oci->layer_count];
        enum err_code code = oci_sink_end(oci->sink, &layer->blob, layer->diff_id, err);

        if (code != ERR_OK)
                return code;
        snprintf(layer->media_type, sizeof(layer->media_type), "%s", OCI_TYPE_LAYER_GZIP);
        snprintf(layer->created_by, sizeof(layer->created_by), "%s", created_by);
        oci->layer_count++;
        oci_sink_destroy(take_ptr(&oci->sink));
        return ERR_OK;
}

enum err_code oci_layer_end(struct oci *oci, const char *created_by, struct err *err)
{
        struct tar_out out = {.write = layer_write, .arg = oci->sink};
        enum err_code code = tar_write_end(&out, err);

        return code == ERR_OK ? layer_add(oci, created_by, err) : code;
}

enum err_code oci_layer_tree(struct oci *oci, int folder_fd, const struct tar_tree *tree,
                             const char *created_by, struct err *err)
{
        struct tar_out out;
        enum err_code code = oci_layer_begin(oci, &out, err);

        if (code == ERR_OK)
                code = tar_tree(&out, folder_fd, tree, err);
        return code == ERR_OK ? oci_layer_end(oci, created_by, err) : code;
}

static enum err_code copy_all(struct oci_sink *sink, int fd, struct err *err)
{
        own_mem char *chunk = malloc(CHUNK);

        if (chunk == NULL)
                return err_nomem(err);
        for (;;) {
                ssize_t got = read(fd, chunk, CHUNK);
                enum err_code code;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read");
                if (got == 0)
                        return ERR_OK;
                code = oci_sink_write(sink, chunk, (size_t)got, err);
                if (code != ERR_OK)
                        return code;
        }
}

enum err_code oci_layer_tar(struct oci *oci, int tar_fd, const char *created_by, struct err *err)
{
        struct tar_out out;
        enum err_code code = oci_layer_begin(oci, &out, err);

        if (code == ERR_OK)
                code = copy_all(oci->sink, tar_fd, err);
        return code == ERR_OK ? layer_add(oci, created_by, err) : code;
}

static void sink_release(struct oci_sink **sink)
{
        oci_sink_destroy(*sink);
}

enum err_code oci_layer_blob(struct oci *oci, int folder_fd, const char *name, const struct oci_layer *layer,
                             struct err *err)
{
        __attribute__((cleanup(sink_release))) struct oci_sink *sink = NULL;
        own_fd int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct oci_blob blob;
        enum err_code code = layer_room(oci, err);

        if (code != ERR_OK)
                return code;
        if (fd < 0 && errno == ENOENT)
                return err_set(err, ERR_NOT_FOUND, "blob %s is missing", layer->blob.digest);
        if (fd < 0)
                return err_sys(err, "open blob %s", layer->blob.digest);
        code = oci_sink_create(oci, false, &sink, err);
        if (code == ERR_OK)
                code = copy_all(sink, fd, err);
        if (code == ERR_OK)
                code = oci_sink_end(sink, &blob, NULL, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "blob %s", layer->blob.digest);
        if (strcmp(blob.digest, layer->blob.digest) != 0 || blob.size != layer->blob.size)
                return err_set(err, ERR_CORRUPT, "blob %s is damaged: it has digest %s and %llu bytes",
                               layer->blob.digest, blob.digest, (unsigned long long)blob.size);
        oci->layers[oci->layer_count++] = *layer;
        return ERR_OK;
}

enum err_code oci_blob_put(struct oci *oci, const void *bytes, size_t len, struct oci_blob *ret,
                           struct err *err)
{
        __attribute__((cleanup(sink_release))) struct oci_sink *sink = NULL;
        enum err_code code = oci_sink_create(oci, false, &sink, err);

        if (code == ERR_OK)
                code = oci_sink_write(sink, bytes, len, err);
        return code == ERR_OK ? oci_sink_end(sink, ret, NULL, err) : code;
}

static enum err_code json_blob(struct oci *oci, const json_t *json, struct oci_blob *ret, struct err *err)
{
        own_mem char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

        return text != NULL ? oci_blob_put(oci, text, strlen(text), ret, err) : err_nomem(err);
}

static enum err_code file_put(int dir_fd, const char *name, const char *text, struct err *err)
{
        size_t len = strlen(text);
        own_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

        if (fd < 0)
                return err_disk(err, "create '%s'", name);
        if (write(fd, text, len) != (ssize_t)len)
                return err_disk(err, "write '%s'", name);
        return ERR_OK;
}

static const char *time_text(int64_t seconds, char out[TIME_TEXT_MAX])
{
        time_t clock = (time_t)seconds;
        struct tm tm;

        if (gmtime_r(&clock, &tm) == NULL || strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                snprintf(out, TIME_TEXT_MAX, "1970-01-01T00:00:00Z");
        return out;
}

static json_t *descriptor(const char *media_type, const struct oci_blob *blob)
{
        return json_pack("{sssssI}", "mediaType", media_type, "digest", blob->digest, "size",
                         (json_int_t)blob->size);
}

/* rootfs and history; NULL: memory is out. */
static json_t *config_json(const struct oci *oci, const struct oci_about *about)
{
        own_json json_t *diff_ids = json_array();
        own_json json_t *history = json_array();
        char time[TIME_TEXT_MAX];
        int failed = 0;

        time_text(oci->time, time);
        for (size_t i = 0; i < oci->layer_count; i++) {
                const struct oci_layer *layer = &oci->layers[i];

                failed |= json_array_append_new(diff_ids, json_string(layer->diff_id));
                failed |= json_array_append_new(
                        history, json_pack("{ssss}", "created", time, "created_by", layer->created_by));
        }
        if (failed != 0)
                return NULL;
        return json_pack("{sssssssOsOs{sssO}}", "created", time, "architecture", about->architecture, "os",
                         "linux", "config", about->config, "history", history, "rootfs", "type", "layers",
                         "diff_ids", diff_ids);
}

static json_t *manifest_json(const struct oci *oci, const struct oci_about *about,
                             const struct oci_blob *config)
{
        own_json json_t *layers = json_array();
        own_json json_t *manifest = NULL;
        int failed = 0;

        for (size_t i = 0; i < oci->layer_count; i++)
                failed |= json_array_append_new(layers,
                                                descriptor(oci->layers[i].media_type, &oci->layers[i].blob));
        if (failed != 0)
                return NULL;
        manifest = json_pack(
                "{sisssosO}", "schemaVersion", 2, "mediaType", "application/vnd.oci.image.manifest.v1+json",
                "config", descriptor("application/vnd.oci.image.config.v1+json", config), "layers", layers);
        if (manifest != NULL && about->annotations != NULL && json_object_size(about->annotations) > 0)
                failed = json_object_set(manifest, "annotations", about->annotations);
        return failed == 0 ? take_ptr(&manifest) : NULL;
}

static enum err_code index_write(struct oci *oci, const struct oci_about *about,
                                 const struct oci_blob *manifest, struct err *err)
{
        own_json json_t *entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
        int failed = entry == NULL;

        if (entry != NULL && about->ref_name[0] != '\0')
                failed |= json_object_set_new(
                        entry, "annotations",
                        json_pack("{ss}", "org.opencontainers.image.ref.name", about->ref_name));
        failed |= json_object_set_new(
                entry, "platform", json_pack("{ssss}", "architecture", about->architecture, "os", "linux"));

        own_json json_t *index =
                failed == 0 ? json_pack("{sisss[O]}", "schemaVersion", 2, "mediaType",
                                        "application/vnd.oci.image.index.v1+json", "manifests", entry)
                            : NULL;
        own_mem char *text = index != NULL ? json_dumps(index, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

        if (text == NULL)
                return err_nomem(err);
        return file_put(oci->root_fd, "index.json", text, err);
}

enum err_code oci_image(struct oci *oci, const struct oci_about *about, struct oci_blob *ret, struct err *err)
{
        own_json json_t *config = config_json(oci, about);
        own_json json_t *manifest = NULL;
        struct oci_blob blob;
        enum err_code code;

        assert(oci->sink == NULL && oci->layer_count > 0);
        if (config == NULL)
                return err_nomem(err);
        code = json_blob(oci, config, &blob, err);
        if (code != ERR_OK)
                return code;
        manifest = manifest_json(oci, about, &blob);
        if (manifest == NULL)
                return err_nomem(err);
        code = json_blob(oci, manifest, &blob, err);
        if (code == ERR_OK)
                code = index_write(oci, about, &blob, err);
        if (code == ERR_OK)
                code = file_put(oci->root_fd, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err);
        if (code == ERR_OK)
                *ret = blob;
        return code;
}

const char *oci_architecture(void)
{
        static const char *const names[][2] = {
                {"x86_64", "amd64"},    {"aarch64", "arm64"}, {"armv7l", "arm"},     {"i686", "386"},
                {"ppc64le", "ppc64le"}, {"s390x", "s390x"},   {"riscv64", "riscv64"}};
        static struct utsname machine;

        if (uname(&machine) < 0)
                return "unknown";
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strcmp(machine.machine, names[i][0]) == 0)
                        return names[i][1];
        return machine.machine;
}
