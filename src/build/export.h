/*
 * build/export.h: kinds "export" and "push": an image's layers, the agent and the code of a function become
 * one OCI image. "export" leaves it as a tar of an image layout in the job's data; "push" has skopeo(1) bring
 * it to a registry. Nobody's code runs here.
 *
 * Input, JSON:
 *
 *      layers        lowest first: {"part": N} is what lies at /layers/N, in a folder "prefix" if it has one,
 *                    with "owners" as build/tar_tree.h has them;
 *                    {"runtime": true} is /runtime, as the folder runtime; {"digest", "size", "mediaType",
 *                    "diffID"} is a blob of /blobs as it came. Each has "by", its line in the history
 *      config        the image's configuration: User, Env, Entrypoint, ...
 *      annotations   of the manifest
 *      reference     what the layout calls it, "" for nothing
 *      push          where to, for "push" (build/push.h)
 *
 * The report's info: {"digest", "size", "bytes"}: of the manifest, and of all blobs together.
 */
#ifndef DISPATCH_BUILD_EXPORT_H
#define DISPATCH_BUILD_EXPORT_H

#include "build/job.h"

#include <jansson.h>
#include <stdbool.h>

enum { EXPORT_INPUT_MAX = 1 << 20 };

bool export_is(const char *kind);

/* The folders that a job has at /layers and /blobs; -1: it has none. */
struct export_places {
        int layers_fd;
        int blobs_fd;
};

enum err_code export_run(const struct job *job, const struct export_places *places, json_t **ret_info,
                         struct err *err);

#endif
