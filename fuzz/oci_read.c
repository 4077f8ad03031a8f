/*
 * fuzz/oci_read.c: any bytes as each of the documents of an image: index, manifest, configuration, and the
 * manifest.json of docker's archives.
 *
 * Properties: what is taken has digests and counts within their bounds and types that the header allows;
 * reading twice yields the same; a reason is one line.
 */
#include "build/oci_read.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void blob_check(const struct oci_blob *blob)
{
        assert(memchr(blob->digest, '\0', sizeof(blob->digest)) != NULL && oci_digest_valid(blob->digest));
        assert(blob->size <= INT64_MAX);
}

static void reason_check(enum err_code code, const struct err *err)
{
        assert(code == ERR_OK || err->text[0] != '\0');
}

static void index_try(struct str text, const char *name)
{
        struct oci_blob first, second;
        bool index = false, again = false;
        struct err err = {0};

        enum err_code code = oci_index_pick(text, name, "amd64", &first, &index, &err);
        assert(oci_index_pick(text, name, "amd64", &second, &again, NULL) == code);
        reason_check(code, &err);
        if (code != ERR_OK)
                return;
        blob_check(&first);
        assert(index == again && strcmp(first.digest, second.digest) == 0 && first.size == second.size);
}

static void manifest_try(struct str text)
{
        static struct oci_image image; /* large */
        struct err err = {0};

        image.layer_count = 0;
        enum err_code code = oci_manifest_parse(text, &image, &err);
        reason_check(code, &err);
        if (code != ERR_OK)
                return;
        assert(image.layer_count >= 1 && image.layer_count <= OCI_IMAGE_LAYERS_MAX);
        blob_check(&image.config);
        for (size_t i = 0; i < image.layer_count; i++) {
                const char *type = image.layers[i].media_type;
                blob_check(&image.layers[i].blob);
                assert(memchr(type, '\0', OCI_TYPE_MAX) != NULL);
                assert(strncmp(type, "application/vnd.", 16) == 0);
        }
}

static void config_try(struct str text, size_t layer_count)
{
        static struct oci_image image;
        json_t *config = NULL;
        struct err err = {0};

        memset(&image, 0, sizeof(image));
        image.layer_count = layer_count;
        enum err_code code = oci_config_parse(text, "amd64", &image, &config, &err);
        reason_check(code, &err);
        assert((code == ERR_OK) == (config != NULL));
        assert(code != ERR_OK || json_is_object(config));
        for (size_t i = 0; i < OCI_IMAGE_LAYERS_MAX; i++)
                assert(code == ERR_OK && i < layer_count
                               ? oci_digest_valid(image.layers[i].diff_id)
                               : i < layer_count || image.layers[i].diff_id[0] == '\0');
        json_decref(config);
}

static void docker_try(struct str text, const char *tag)
{
        json_t *document = NULL;
        const json_t *layers = NULL;
        const char *config = NULL;
        struct err err = {0};

        enum err_code code = docker_manifest_parse(text, tag, &document, &config, &layers, &err);
        reason_check(code, &err);
        assert((code == ERR_OK) == (document != NULL));
        if (code == ERR_OK)
                assert(config[0] != '\0' && json_array_size(layers) >= 1 &&
                       json_array_size(layers) <= OCI_IMAGE_LAYERS_MAX);
        json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = {(const char *)data, size};

        index_try(text, "");
        index_try(text, "latest");
        manifest_try(text);
        for (size_t count = 0; count <= 2; count++)
                config_try(text, count);
        docker_try(text, "");
        docker_try(text, "latest");
        return 0;
}
