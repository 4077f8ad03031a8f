/* build/oci_read.c: see oci_read.h. */
#include "build/oci_read.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

bool oci_digest_valid(const char *digest)
{
        return strncmp(digest, "sha256:", 7) == 0 && strlen(digest) == 7 + 64 &&
               strspn(digest + 7, "0123456789abcdef") == 64;
}

static const char *text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text != NULL ? text : "";
}

static enum err_code document_parse(struct str text, const char *what, json_t **ret, struct err *err)
{
        json_error_t why;

        if (text.len > OCI_DOCUMENT_MAX)
                return err_set(err, ERR_TOO_LARGE, "the %s is larger than %d bytes", what, OCI_DOCUMENT_MAX);
        *ret = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &why);
        if (*ret == NULL)
                return err_set(err, ERR_UNPROCESSABLE, "the %s is not JSON (line %d)", what, why.line);
        return ERR_OK;
}

static enum err_code descriptor_parse(const json_t *json, const char *what, struct oci_blob *ret,
                                      struct err *err)
{
        const char *digest = text_of(json, "digest");
        json_int_t size = json_integer_value(json_object_get(json, "size"));

        if (!oci_digest_valid(digest))
                return err_set(err, ERR_UNPROCESSABLE, "the %s has no SHA-256 digest", what);
        if (size < 0)
                return err_set(err, ERR_UNPROCESSABLE, "the size of the %s is negative", what);
        memcpy(ret->digest, digest, sizeof(ret->digest));
        ret->size = (uint64_t)size;
        return ERR_OK;
}

static bool type_is_index(const char *type)
{
        return strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
               strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
}

static bool name_fits(const json_t *entry, const char *ref_name)
{
        const char *name =
                text_of(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name");

        return ref_name[0] == '\0' || strcmp(name, ref_name) == 0;
}

/* What tells nothing fits: the configuration will. */
static bool platform_fits(const json_t *entry, const char *architecture)
{
        const json_t *platform = json_object_get(entry, "platform");
        const char *os = text_of(platform, "os"), *machine = text_of(platform, "architecture");

        return (os[0] == '\0' || strcmp(os, "linux") == 0) &&
               (machine[0] == '\0' || strcmp(machine, architecture) == 0);
}

enum err_code oci_index_pick(struct str text, const char *ref_name, const char *architecture,
                             struct oci_blob *ret, bool *ret_index, struct err *err)
{
        own_json json_t *index = NULL;
        const json_t *entry;
        bool named = false;
        size_t i;
        enum err_code code = document_parse(text, "image index", &index, err);

        if (code != ERR_OK)
                return code;
        json_array_foreach(json_object_get(index, "manifests"), i, entry)
        {
                if (!name_fits(entry, ref_name))
                        continue;
                named = true;
                if (!platform_fits(entry, architecture))
                        continue;
                *ret_index = type_is_index(text_of(entry, "mediaType"));
                return descriptor_parse(entry, "image in the index", ret, err);
        }
        if (!named)
                return err_set(err, ERR_NOT_FOUND,
                               ref_name[0] != '\0' ? "no such image: there is no '%.100s' in it"
                                                   : "no such image: the index is empty%s",
                               ref_name);
        return err_set(err, ERR_UNPROCESSABLE, "wrong architecture: it has no image for linux/%s",
                       architecture);
}

/* The forms that a layer comes in; which compression it has is seen from its bytes. */
static bool type_is_layer(const char *type)
{
        static const char *const types[] = {"application/vnd.oci.image.layer.v1.tar",
                                            "application/vnd.oci.image.layer.v1.tar+gzip",
                                            "application/vnd.oci.image.layer.v1.tar+zstd",
                                            "application/vnd.oci.image.layer.nondistributable.v1.tar",
                                            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                                            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                                            "application/vnd.docker.image.rootfs.diff.tar",
                                            "application/vnd.docker.image.rootfs.diff.tar.gzip",
                                            "application/vnd.docker.image.rootfs.diff.tar.zstd"};

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                if (strcmp(type, types[i]) == 0)
                        return true;
        }
        return false;
}

static enum err_code layer_parse(const json_t *json, struct oci_layer *ret, struct err *err)
{
        const char *type = text_of(json, "mediaType");

        if (!type_is_layer(type))
                return err_set(err, ERR_UNPROCESSABLE,
                               "a layer of the type '%.100s' is not one of a file system", type);
        snprintf(ret->media_type, sizeof(ret->media_type), "%s", type);
        return descriptor_parse(json, "layer", &ret->blob, err);
}

enum err_code oci_manifest_parse(struct str text, struct oci_image *ret, struct err *err)
{
        own_json json_t *manifest = NULL;
        const json_t *layer, *layers;
        size_t i;
        enum err_code code = document_parse(text, "manifest", &manifest, err);

        if (code != ERR_OK)
                return code;
        layers = json_object_get(manifest, "layers");
        if (!json_is_array(layers) || !json_is_object(json_object_get(manifest, "config")))
                return err_set(err, ERR_UNPROCESSABLE,
                               "the manifest is not one of an image (schema 2 or OCI)");
        if (json_array_size(layers) == 0 || json_array_size(layers) > OCI_IMAGE_LAYERS_MAX)
                return err_set(err, ERR_UNPROCESSABLE, "the image has %zu layers; 1 to %d are possible",
                               json_array_size(layers), OCI_IMAGE_LAYERS_MAX);
        code = descriptor_parse(json_object_get(manifest, "config"), "configuration", &ret->config, err);
        ret->layer_count = json_array_size(layers);
        json_array_foreach(layers, i, layer)
        {
                if (code == ERR_OK)
                        code = layer_parse(layer, &ret->layers[i], err);
        }
        return code;
}

enum err_code oci_config_parse(struct str text, const char *architecture, struct oci_image *image,
                               json_t **ret, struct err *err)
{
        own_json json_t *document = NULL;
        const json_t *ids, *id, *config;
        size_t i;
        enum err_code code = document_parse(text, "configuration", &document, err);

        if (code != ERR_OK)
                return code;
        const char *machine = text_of(document, "architecture"), *os = text_of(document, "os");
        if (strcmp(machine, architecture) != 0 || strcmp(os, "linux") != 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "wrong architecture: the image is for %.30s/%.30s, this host is "
                               "linux/%s",
                               os, machine, architecture);
        ids = json_object_get(json_object_get(document, "rootfs"), "diff_ids");
        if (json_array_size(ids) != image->layer_count)
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "the configuration lists %zu layers, and the manifest %zu: the image is damaged",
                        json_array_size(ids), image->layer_count);
        json_array_foreach(ids, i, id)
        {
                const char *digest = json_string_value(id);
                if (digest == NULL || !oci_digest_valid(digest))
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "the configuration has a layer without a SHA-256 digest");
                memcpy(image->layers[i].diff_id, digest, sizeof(image->layers[i].diff_id));
        }
        config = json_object_get(document, "config");
        *ret = json_is_object(config) ? json_deep_copy(config) : json_object();
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static bool tag_fits(const json_t *entry, const char *tag)
{
        const json_t *name;
        size_t i, len = strlen(tag);

        if (len == 0)
                return true;
        json_array_foreach(json_object_get(entry, "RepoTags"), i, name)
        {
                const char *text = json_string_value(name);
                size_t have = text != NULL ? strlen(text) : 0;
                if (have >= len && strcmp(text + have - len, tag) == 0 &&
                    (have == len || text[have - len - 1] == ':' || text[have - len - 1] == '/'))
                        return true;
        }
        return false;
}

enum err_code docker_manifest_parse(struct str text, const char *tag, json_t **ret_document,
                                    const char **ret_config, const json_t **ret_layers, struct err *err)
{
        own_json json_t *document = NULL;
        const json_t *entry, *found = NULL;
        size_t i;
        enum err_code code = document_parse(text, "manifest.json", &document, err);

        if (code != ERR_OK)
                return code;
        json_array_foreach(document, i, entry)
        {
                if (found == NULL && tag_fits(entry, tag))
                        found = entry;
        }
        if (found == NULL)
                return err_set(err, ERR_NOT_FOUND, "no such image: the archive has no '%.100s'", tag);
        *ret_config = text_of(found, "Config");
        *ret_layers = json_object_get(found, "Layers");
        if ((*ret_config)[0] == '\0' || json_array_size(*ret_layers) == 0 ||
            json_array_size(*ret_layers) > OCI_IMAGE_LAYERS_MAX)
                return err_set(err, ERR_UNPROCESSABLE,
                               "manifest.json names no configuration, or not 1 to %d layers",
                               OCI_IMAGE_LAYERS_MAX);
        *ret_document = take_ptr(&document);
        return ERR_OK;
}
