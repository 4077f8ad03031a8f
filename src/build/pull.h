/*
 * build/pull.h: kind "pull": brings an image into the layer store (wire/spawn.h, `many`). Its input, JSON:
 *
 *      from          "registry", "oci" (the data is a folder that is an image layout), "oci-archive",
 *                    "docker-archive" (the data is the file)
 *      reference     of a registry, as skopeo takes it behind docker://
 *      name          which image of a layout or archive; "" for the only one
 *      mark          of the organization (spawn_mark)
 *      patience      seconds without a byte after which a registry is given up
 *      insecure, auth, authority   as in build/push.h
 *
 * Its result, on the log: {"layers": [NAME, ...], "digest": of the manifest, "config": the configuration's
 * part of that name, "blobs": [{"layer", "digest", "size", "mediaType", "diffID"}, ...]}.
 */
#ifndef DISPATCH_BUILD_PULL_H
#define DISPATCH_BUILD_PULL_H

#include "build/job.h"

enum {
        PULL_INPUT_MAX = 4 << 20,
        PULL_LAYERS_DIRECT = 4 /* up to so many layers are named one by one, more by a stack */
};

enum err_code pull_run(const struct job *job, struct err *err);

/* What skopeo's last words mean. The text begins with the registry. */
enum err_code pull_explain(struct str registry, struct str said, struct err *err);

#endif
