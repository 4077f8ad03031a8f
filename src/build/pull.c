/* build/pull.c: see pull.h. From a layout or an archive, fetched or found, to layers and blobs in /out. */
#include "build/pull.h"

#include "base/buf.h"
#include "base/own.h"
#include "build/layer.h"
#include "build/oci_read.h"
#include "build/pull_fetch.h"
#include "build/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define BLOBS "blobs/sha256"

enum { HAVE_MAX = 64 << 20, LAYER_HEX_LEN = 40 };

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

struct pull {
        const struct job *job;
        json_t *input, *config;
        const char *from, *mark;
        int layout_fd, blobs_fd;
        int source_fd;    /* the folder that the image is read from */
        struct buf have;  /* names of layers that are there, each in a line of its own */
        json_t *document; /* of a docker archive */
        const json_t *paths;
        uint64_t bytes, files; /* unpacked so far */
        struct oci_image image;
        char names[OCI_IMAGE_LAYERS_MAX][SPAWN_NAME_MAX];
};

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text != NULL ? text : "";
}

static enum err_code file_read(int fd, size_t max, const char *what, struct buf *ret, struct err *err)
{
        buf_init(ret, max + 1);
        for (;;) {
                if (buf_reserve(ret, ret->max - ret->len < 65536 ? ret->max - ret->len : 65536) != ERR_OK)
                        return err_nomem(err);
                ssize_t got = read(fd, ret->data + ret->len, ret->capacity - ret->len);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read the %s", what);
                if (got == 0)
                        return ERR_OK;
                ret->len += (size_t)got;
                if (ret->len > max)
                        return err_set(err, ERR_TOO_LARGE, "the %s is larger than %zu bytes", what, max);
        }
}

/* A file of the source; links in it lead nowhere else. */
static enum err_code source_open(const struct pull *pull, const char *path, int *ret_fd, struct err *err)
{
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_BENEATH};
        char text[TREE_TEXT_MAX];
        struct stat status;
        own_fd int fd = (int)syscall(SYS_openat2, pull->source_fd, path, &how, sizeof(how));

        if (fd < 0 && errno == EACCES)
                return err_set(err, ERR_UNPROCESSABLE,
                               "'%s' may not be read: it must be readable by everybody",
                               tree_text(path, text));
        if (fd < 0)
                return err_set(err, ERR_NOT_FOUND, "no such image, or not all of it: there is no '%s'",
                               tree_text(path, text));
        if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
                return err_set(err, ERR_UNPROCESSABLE, "'%s' is not a file", tree_text(path, text));
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

/* A blob, of the layout or of the store. */
static enum err_code blob_open(const struct pull *pull, const char *digest, int *ret_fd, struct err *err)
{
        char path[OCI_DIGEST_MAX + 16];

        snprintf(path, sizeof(path), BLOBS "/%s", digest + 7);
        enum err_code code = source_open(pull, path, ret_fd, err);
        if (code == ERR_OK || pull->blobs_fd < 0 || pull->source_fd != pull->layout_fd)
                return code;
        *ret_fd = openat(pull->blobs_fd, digest + 7, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd >= 0 ? ERR_OK : code;
}

static enum err_code document_read(const struct pull *pull, const struct oci_blob *blob, const char *what,
                                   struct buf *ret, struct err *err)
{
        unsigned char sum[32];
        char hex[65] = "";
        own_fd int fd = -1;
        enum err_code code = blob_open(pull, blob->digest, &fd, err);

        if (code == ERR_OK)
                code = file_read(fd, OCI_DOCUMENT_MAX, what, ret, err);
        if (code != ERR_OK)
                return code;
        if (EVP_Digest(ret->data, ret->len, sum, NULL, EVP_sha256(), NULL) != 1)
                return err_nomem(err);
        hex_encode(sum, sizeof(sum), hex);
        if (strcmp(hex, blob->digest + 7) != 0)
                return err_set(err, ERR_CORRUPT, "wrong digest: the %s is not the one that was asked for",
                               what);
        return ERR_OK;
}

static struct str view(const struct buf *buf)
{
        return (struct str){buf->data, buf->len};
}

static enum err_code layout_read(struct pull *pull, const char *name, struct err *err)
{
        own_buf struct buf index = {0}, manifest = {0}, config = {0};
        struct oci_blob blob;
        bool again = false;
        own_fd int fd = -1;
        enum err_code code = source_open(pull, "index.json", &fd, err);

        if (code == ERR_OK)
                code = file_read(fd, OCI_DOCUMENT_MAX, "image index", &index, err);
        if (code == ERR_OK)
                code = oci_index_pick(view(&index), name, oci_architecture(), &blob, &again, err);
        for (int depth = 0; code == ERR_OK && again; depth++) {
                buf_finish(&index);
                index = (struct buf){0};
                if (depth == OCI_DEPTH_MAX)
                        return err_set(err, ERR_UNPROCESSABLE, "indexes in indexes, more than %d deep",
                                       OCI_DEPTH_MAX);
                code = document_read(pull, &blob, "image index", &index, err);
                if (code == ERR_OK)
                        code = oci_index_pick(view(&index), "", oci_architecture(), &blob, &again, err);
        }
        if (code == ERR_OK)
                code = document_read(pull, &blob, "manifest", &manifest, err);
        if (code == ERR_OK)
                code = oci_manifest_parse(view(&manifest), &pull->image, err);
        if (code == ERR_OK)
                code = document_read(pull, &pull->image.config, "configuration", &config, err);
        if (code == ERR_OK)
                code = oci_config_parse(view(&config), oci_architecture(), &pull->image, &pull->config, err);
        if (code == ERR_OK)
                memcpy(pull->image.manifest, blob.digest, sizeof(blob.digest));
        return code;
}

static enum err_code docker_read(struct pull *pull, const char *name, struct err *err)
{
        own_buf struct buf manifest = {0}, config = {0};
        const char *config_path;
        unsigned char sum[32];
        own_fd int fd = -1, config_fd = -1;
        enum err_code code = source_open(pull, "manifest.json", &fd, err);

        if (code == ERR_OK)
                code = file_read(fd, OCI_DOCUMENT_MAX, "manifest.json", &manifest, err);
        if (code == ERR_OK)
                code = docker_manifest_parse(view(&manifest), name, &pull->document, &config_path,
                                             &pull->paths, err);
        if (code == ERR_OK)
                code = source_open(pull, config_path, &config_fd, err);
        if (code == ERR_OK)
                code = file_read(config_fd, OCI_DOCUMENT_MAX, "configuration", &config, err);
        if (code != ERR_OK)
                return code;
        pull->image.layer_count = json_array_size(pull->paths);
        if (EVP_Digest(config.data, config.len, sum, NULL, EVP_sha256(), NULL) != 1)
                return err_nomem(err);
        /* An archive has no manifest of a registry: its configuration names it. */
        memcpy(pull->image.manifest, "sha256:", 7);
        hex_encode(sum, sizeof(sum), pull->image.manifest + 7);
        return oci_config_parse(view(&config), oci_architecture(), &pull->image, &pull->config, err);
}

/* Layers of docker's archives are tars as a rule, and then the file's digest is the layer's. */
static enum err_code docker_layer_open(struct pull *pull, size_t i, int *ret_fd, struct err *err)
{
        struct oci_layer *layer = &pull->image.layers[i];
        const char *path = json_string_value(json_array_get(pull->paths, i));
        unsigned char magic[2] = {0};
        own_fd int fd = -1;
        struct stat status;
        enum err_code code = source_open(pull, path != NULL ? path : "", &fd, err);

        if (code != ERR_OK)
                return code;
        if (fstat(fd, &status) < 0 || pread(fd, magic, sizeof(magic), 0) < 0)
                return err_sys(err, "read a layer");
        bool packed = magic[0] == 0x1f && magic[1] == 0x8b;
        snprintf(layer->media_type, sizeof(layer->media_type), "application/vnd.oci.image.layer.v1.tar%s",
                 packed ? "+gzip" : "");
        if (!packed) {
                memcpy(layer->blob.digest, layer->diff_id, sizeof(layer->blob.digest));
                layer->blob.size = (uint64_t)status.st_size;
        }
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static bool list_has(const struct pull *pull, size_t before, const char *name)
{
        char line[SPAWN_NAME_MAX + 1];
        int len = snprintf(line, sizeof(line), "%s\n", name);

        for (size_t i = 0; i < before; i++) {
                if (strcmp(pull->names[i], name) == 0)
                        return true;
        }
        return pull->have.len > 0 && memmem(pull->have.data, pull->have.len, line, (size_t)len) != NULL;
}

static enum err_code folder_make(int dir_fd, const char *path, int *ret_fd, struct err *err)
{
        if (mkdirat(dir_fd, path, 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder '%s'", path);
        if (ret_fd == NULL)
                return ERR_OK;
        *ret_fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd < 0 ? err_sys(err, "open the folder '%s'", path) : ERR_OK;
}

static enum err_code layer_make(struct pull *pull, size_t i, int blob_fd, struct err *err)
{
        char path[SPAWN_NAME_MAX + 16];
        own_fd int fd = -1;
        struct tree tree;

        snprintf(path, sizeof(path), "layers/%s", pull->names[i]);
        enum err_code code = folder_make(pull->job->out_fd, path, &fd, err);
        if (code != ERR_OK)
                return code;
        tree_init(&tree, fd, (pull->job->disk_mib << 20) - pull->bytes, pull->job->files_max - pull->files);
        code = layer_unpack(blob_fd, &pull->image.layers[i], &tree, err);
        pull->bytes += tree.bytes;
        pull->files += tree.files;
        tree_finish(&tree);
        return code;
}

static enum err_code bytes_copy(int from_fd, int to_fd, struct err *err)
{
        loff_t at = 0;

        for (;;) {
                ssize_t got = copy_file_range(from_fd, &at, to_fd, NULL, 1 << 30, 0);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got == 0 ? ERR_OK : err_disk(err, "keep a blob");
        }
}

/* What is kept of an image that did not come from a registry. */
static enum err_code blob_keep(const struct pull *pull, const struct oci_blob *blob, int blob_fd,
                               struct err *err)
{
        const char *hex = blob->digest + 7;
        struct stat status;

        if (pull->source_fd == pull->layout_fd ||
            (pull->blobs_fd >= 0 && fstatat(pull->blobs_fd, hex, &status, 0) == 0))
                return ERR_OK;
        own_fd int dir_fd = openat(pull->layout_fd, BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_fd int fd = openat(dir_fd, hex, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        if (fd < 0)
                return errno == EEXIST ? ERR_OK : err_disk(err, "keep a blob");
        return bytes_copy(blob_fd, fd, err);
}

static enum err_code layer_take(struct pull *pull, size_t i, struct err *err)
{
        struct oci_layer *layer = &pull->image.layers[i];
        own_fd int fd = -1;
        enum err_code code = ERR_OK;

        snprintf(pull->names[i], SPAWN_NAME_MAX, "oci-%s-%.*s", pull->mark, LAYER_HEX_LEN,
                 layer->diff_id + 7);
        bool there = list_has(pull, i, pull->names[i]);
        if (pull->paths != NULL)
                code = docker_layer_open(pull, i, &fd, err);
        if (code == ERR_OK && there && layer->blob.digest[0] != '\0' && pull->source_fd == pull->layout_fd)
                return ERR_OK;
        if (code == ERR_OK && pull->paths == NULL)
                code = blob_open(pull, layer->blob.digest, &fd, err);
        if (code == ERR_OK && (!there || layer->blob.digest[0] == '\0'))
                code = layer_make(pull, i, fd, err);
        if (code == ERR_OK)
                code = blob_keep(pull, &layer->blob, fd, err);
        return code;
}

static enum err_code layers_take(struct pull *pull, struct err *err)
{
        enum err_code code = folder_make(pull->job->out_fd, "layers", NULL, err);

        for (size_t i = 0; code == ERR_OK && i < pull->image.layer_count; i++) {
                dprintf(pull->job->log_fd, "P layer %zu/%zu\n", i + 1, pull->image.layer_count);
                code = layer_take(pull, i, err);
                if (code != ERR_OK)
                        return err_wrap(err, code, "layer %zu of %zu", i + 1, pull->image.layer_count);
                dprintf(pull->job->log_fd, "L layer %zu of %zu: %s\n", i + 1, pull->image.layer_count,
                        pull->image.layers[i].diff_id);
        }
        return code;
}

/* The list, as a layer of its own; *ret_name is its name. */
static enum err_code stack_write(struct pull *pull, char name[SPAWN_NAME_MAX], struct err *err)
{
        own_buf struct buf list;
        char path[SPAWN_NAME_MAX + 32], hex[65] = "";
        unsigned char sum[32];

        buf_init(&list, OCI_IMAGE_LAYERS_MAX * SPAWN_NAME_MAX);
        for (size_t i = 0; i < pull->image.layer_count; i++) {
                if (buf_printf(&list, "%s\n", pull->names[i]) != ERR_OK)
                        return err_nomem(err);
        }
        if (EVP_Digest(list.data, list.len, sum, NULL, EVP_sha256(), NULL) != 1)
                return err_nomem(err);
        hex_encode(sum, sizeof(sum), hex);
        snprintf(name, SPAWN_NAME_MAX, "stack-%s-%.*s", pull->mark, LAYER_HEX_LEN, hex);
        snprintf(path, sizeof(path), "layers/%s", name);
        enum err_code code = folder_make(pull->job->out_fd, path, NULL, err);
        if (code != ERR_OK)
                return code;
        snprintf(path, sizeof(path), "layers/%s/layers", name);
        own_fd int fd = openat(pull->job->out_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return fd < 0 ? err_disk(err, "write the list of layers")
                      : tree_write(fd, list.data, list.len, 0, err);
}

static json_t *blobs_list(const struct pull *pull)
{
        json_t *list = json_array();

        for (size_t i = 0; i < pull->image.layer_count; i++) {
                const struct oci_layer *layer = &pull->image.layers[i];
                json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s, s:s}", "layer", pull->names[i],
                                                      "digest", layer->blob.digest, "size",
                                                      (json_int_t)layer->blob.size, "mediaType",
                                                      layer->media_type, "diffID", layer->diff_id));
        }
        return list;
}

static enum err_code result_write(struct pull *pull, struct err *err)
{
        own_json json_t *layers = json_array();
        char stack[SPAWN_NAME_MAX];
        enum err_code code = ERR_OK;

        if (pull->image.layer_count > PULL_LAYERS_DIRECT) {
                code = stack_write(pull, stack, err);
                if (code == ERR_OK)
                        json_array_append_new(layers, json_string(stack));
        } else {
                for (size_t i = 0; i < pull->image.layer_count; i++)
                        json_array_append_new(layers, json_string(pull->names[i]));
        }
        if (code != ERR_OK)
                return code;
        own_json json_t *result =
                json_pack("{s:O, s:o, s:O, s:s}", "layers", layers, "blobs", blobs_list(pull), "config",
                          pull->config, "digest", pull->image.manifest);
        own_mem char *text = result != NULL ? json_dumps(result, JSON_COMPACT) : NULL;
        if (text == NULL || strlen(text) >= SPAWN_RESULT_MAX)
                return err_nomem(err);
        return dprintf(pull->job->log_fd, "R %s\n", text) < 0 ? err_sys(err, "hand over the result") : ERR_OK;
}

/* An archive, laid out in a folder. */
static enum err_code archive_open(struct pull *pull, struct err *err)
{
        struct tree tree;
        enum err_code code = folder_make(pull->job->out_fd, "archive", &pull->source_fd, err);

        if (code != ERR_OK)
                return code;
        tree_init(&tree, pull->source_fd, pull->job->disk_mib << 20, pull->job->files_max);
        code = unpack_archive(pull->job->data_fd, &tree, err);
        tree_finish(&tree);
        return code;
}

/* A blob of the store may have gone bad on its disk: then once more, with none of them. */
static enum err_code registry_pull(struct pull *pull, struct err *err)
{
        struct pull_fetch fetch = {.input = pull->input,
                                   .layout_fd = pull->layout_fd,
                                   .blobs_fd = pull->blobs_fd,
                                   .log_fd = pull->job->log_fd,
                                   .bytes_max = pull->job->disk_mib << 20};
        enum err_code code = ERR_CORRUPT;

        pull->source_fd = pull->layout_fd;
        for (int attempt = 0; attempt < 2 && code == ERR_CORRUPT; attempt++) {
                json_decref(pull->config);
                pull->config = NULL;
                code = pull_fetch(&fetch, attempt > 0, err);
                if (code == ERR_OK)
                        code = layout_read(pull, "", err);
                if (code == ERR_OK)
                        code = layers_take(pull, err);
        }
        return code;
}

static enum err_code source_pull(struct pull *pull, struct err *err)
{
        const char *name = text_of(pull->input, "name");
        enum err_code code = ERR_OK;

        if (strcmp(pull->from, "registry") == 0)
                return registry_pull(pull, err);
        if (strcmp(pull->from, "oci") == 0)
                pull->source_fd = pull->job->data_fd;
        else
                code = archive_open(pull, err);
        if (code == ERR_OK)
                code = strcmp(pull->from, "docker-archive") == 0 ? docker_read(pull, name, err)
                                                                 : layout_read(pull, name, err);
        return code == ERR_OK ? layers_take(pull, err) : code;
}

static enum err_code pull_open(struct pull *pull, struct err *err)
{
        own_buf struct buf text = {0};
        own_fd int have_fd = openat(pull->job->out_fd, "have", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        enum err_code code = file_read(pull->job->input_fd, PULL_INPUT_MAX, "input", &text, err);

        if (code == ERR_OK) {
                pull->input = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
                buf_wipe(&text);
                pull->from = text_of(pull->input, "from");
                pull->mark = text_of(pull->input, "mark");
                if (pull->from[0] == '\0' || strlen(pull->mark) != SPAWN_MARK_LEN)
                        return err_set(err, ERR_INVALID, "what is to be pulled is not said");
        }
        if (code == ERR_OK && have_fd >= 0)
                code = file_read(have_fd, HAVE_MAX, "list of layers", &pull->have, err);
        if (code == ERR_OK)
                code = folder_make(pull->job->out_fd, "layout", &pull->layout_fd, err);
        if (code == ERR_OK)
                code = folder_make(pull->layout_fd, "blobs", NULL, err);
        if (code == ERR_OK)
                code = folder_make(pull->layout_fd, BLOBS, NULL, err);
        pull->blobs_fd = open("/blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return code;
}

enum err_code pull_run(const struct job *job, struct err *err)
{
        own_mem struct pull *pull = calloc(1, sizeof(*pull));

        if (pull == NULL)
                return err_nomem(err);
        pull->job = job;
        pull->from = pull->mark = "";
        pull->layout_fd = pull->blobs_fd = pull->source_fd = -1;
        enum err_code code = pull_open(pull, err);
        if (code == ERR_OK)
                code = source_pull(pull, err);
        if (code == ERR_OK)
                code = result_write(pull, err);
        if (code != ERR_OK && strcmp(pull->from, "registry") != 0)
                code = err_wrap(err, code, "image");
        json_decref(pull->input);
        json_decref(pull->config);
        json_decref(pull->document);
        buf_finish(&pull->have);
        own_fd_release(&pull->layout_fd);
        own_fd_release(&pull->blobs_fd);
        return code;
}
