/*
 * build/oci_read.h: the JSON documents of an image (OCI image specification 1.1: image-index.md, manifest.md,
 * config.md; docker's image manifest version 2, schema 2, and the manifest.json of its archives) as what is
 * needed of them. They are anybody's: everything is checked and bounded.
 */
#ifndef DISPATCH_BUILD_OCI_READ_H
#define DISPATCH_BUILD_OCI_READ_H

#include "base/err.h"
#include "base/str.h"
#include "build/oci_write.h"

#include <jansson.h>
#include <limits.h>

enum {
        OCI_DOCUMENT_MAX = 4 << 20, /* bytes of one document; no registry takes more */
        OCI_IMAGE_LAYERS_MAX = 128,
        OCI_DEPTH_MAX = 4, /* indexes in indexes */
        OCI_TAG_MAX = 256
};

struct oci_image {
        struct oci_blob config;
        size_t layer_count;
        struct oci_layer layers[OCI_IMAGE_LAYERS_MAX]; /* lowest first; diff_id only after oci_config_parse */
        char manifest[OCI_DIGEST_MAX];
};

/* "sha256:" and 64 digits of lower case. */
bool oci_digest_valid(const char *digest);

/* Which of an index is wanted: the one of this name (annotation org.opencontainers.image.ref.name) unless
 * that is
 * "", and of this architecture where the index tells. *ret_index: it is an index again. ERR_NOT_FOUND: no
 * such name; ERR_UNPROCESSABLE: none for this architecture. */
enum err_code oci_index_pick(struct str text, const char *ref_name, const char *architecture,
                             struct oci_blob *ret, bool *ret_index, struct err *err);

/* Fills config and layers. */
enum err_code oci_manifest_parse(struct str text, struct oci_image *ret, struct err *err);

/* Fills the layers' diff_id, and *ret with the part `config` of the document (new). ERR_UNPROCESSABLE: it is
 * for another architecture or system. */
enum err_code oci_config_parse(struct str text, const char *architecture, struct oci_image *image,
                               json_t **ret, struct err *err);

/* Of a docker archive: the paths of the configuration and the layers of the image with this tag, or of the
 * only one. `layers` and `config` are the text's, in *ret_document (new). */
enum err_code docker_manifest_parse(struct str text, const char *tag, json_t **ret_document,
                                    const char **ret_config, const json_t **ret_layers, struct err *err);

#endif
