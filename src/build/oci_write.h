/*
 * build/oci_write.h: an image as an OCI image layout (OCI image specification 1.0: image-layout.md,
 * manifest.md, config.md): a folder with `oci-layout`, `index.json` and `blobs/sha256/HEX`.
 *
 * It depends on nothing but what it is given: no times (or SOURCE_DATE_EPOCH), names sorted, gzip with a
 * header that says nothing. The same library for compressing gives the same digests on each machine; diffIDs
 * are the same with any. Every blob is written once, under its digest, and found if it is there already.
 *
 *      oci_open, then for each layer, lowest first, one of oci_layer_tree, oci_layer_tar, oci_layer_blob or
 *      oci_layer_begin ... oci_layer_end; then oci_image, oci_close.
 *
 * Blocking; not thread-safe.
 */
#ifndef DISPATCH_BUILD_OCI_WRITE_H
#define DISPATCH_BUILD_OCI_WRITE_H

#include "build/tar_tree.h"

#include <jansson.h>
#include <stdbool.h>

enum {
        OCI_DIGEST_MAX = 72 /* "sha256:" and 64 digits, with the NUL */,
        OCI_LAYERS_MAX = 256,
        OCI_TYPE_MAX = 96
};

#define OCI_TYPE_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"

struct oci_blob {
        char digest[OCI_DIGEST_MAX];
        uint64_t size;
};

struct oci_layer {
        struct oci_blob blob;
        char media_type[OCI_TYPE_MAX];
        char diff_id[OCI_DIGEST_MAX]; /* digest of the tar */
        char created_by[128];         /* one line for the history */
};

struct oci {
        int root_fd; /* the caller's */
        int blobs_fd;
        int64_t time;
        uint64_t bytes; /* of blobs that were written */
        uint64_t bytes_max;
        size_t layer_count;
        struct oci_layer *layers;
        struct oci_sink *sink; /* the layer that is being written */
};

/* The folder of the layout, empty or a layout already; `time` as in struct tar_tree. */
enum err_code oci_open(struct oci *oci, int root_fd, int64_t time, uint64_t bytes_max, struct err *err);
/* Takes a zeroed one. */
void oci_close(struct oci *oci);

/* A layer of a folder's content; with tree->prefix in a folder of that name. */
enum err_code oci_layer_tree(struct oci *oci, int folder_fd, const struct tar_tree *tree,
                             const char *created_by, struct err *err);
/* A layer of the bytes of a tar, as they are, from the descriptor's place up to its end. */
enum err_code oci_layer_tar(struct oci *oci, int tar_fd, const char *created_by, struct err *err);
/* A layer that is compressed already: its blob `name` in a folder is copied and must have this digest and
 * size (ERR_CORRUPT). */
enum err_code oci_layer_blob(struct oci *oci, int folder_fd, const char *name, const struct oci_layer *layer,
                             struct err *err);
/* A layer member by member. What begins ends, or oci_close drops it. */
enum err_code oci_layer_begin(struct oci *oci, struct tar_out *ret, struct err *err);
enum err_code oci_layer_end(struct oci *oci, const char *created_by, struct err *err);

/* A small blob. */
enum err_code oci_blob_put(struct oci *oci, const void *bytes, size_t len, struct oci_blob *ret,
                           struct err *err);

struct oci_about {
        const char *architecture; /* as Go calls it (oci_architecture) */
        json_t *config;           /* User, Env, Entrypoint, ...; borrowed */
        json_t *annotations;      /* of the manifest, or NULL */
        const char *ref_name;     /* "" for none */
};
/* Configuration, manifest, index and oci-layout; *ret is the manifest. */
enum err_code oci_image(struct oci *oci, const struct oci_about *about, struct oci_blob *ret,
                        struct err *err);

/* This machine's, as images call it: "amd64", "arm64", ... */
const char *oci_architecture(void);

#endif
