/*
 * api/pull.h: brings an image into the layer store, for whoever needs one. On the control loop.
 *
 * A reference is one of a registry, as docker takes it (short names are docker.io's), or on this host's disk:
 * oci:PATH[:NAME], oci-archive:PATH[:NAME], docker-archive:PATH[:NAME], with a path below one of the folders
 * that the administrator named (--image-folders).
 */
#ifndef DISPATCH_API_PULL_H
#define DISPATCH_API_PULL_H

#include "api/internal.h"

struct pull_request {
        const char *organization, *project; /* whose it is; project of the secret, "" for none */
        struct str reference;
        struct str secret; /* name of a secret with credentials; empty: the administrator's */
        /* With `done`'s arg, or NULL: an L line for the log, or a P line, how far it is. */
        void (*line)(void *arg, char type, struct str text);
};

/* `result`: {"layers": [...], "blobs": [...], "config": {...}, "digest": ...}, valid during the call; else
 * NULL, and `text` says why. Called exactly once, later. */
typedef void (*pull_done)(void *arg, enum err_code code, const char *text, const json_t *result);

/* The reference's form alone. ERR_UNPROCESSABLE. */
enum err_code pull_check(struct str reference, struct err *err);

/* *ret_id is for pull_cancel. Fails at once, without `done`, where a secret or a file is not there. */
enum err_code pull_start(struct api *api, const struct pull_request *request, pull_done done, void *arg,
                         uint64_t *ret_id, struct err *err);
/* `done` follows with ERR_CANCELLED. One that is over is fine. */
void pull_cancel(struct api *api, uint64_t id);
void pulls_finish(struct api *api);

/* The organization's name in frames: one that has not the form of a name is named by its hash. */
void pull_organization(const char *organization, char out[SPAWN_GROUP_MAX]);

#endif
