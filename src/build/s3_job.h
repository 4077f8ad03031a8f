/*
 * build/s3_job.h: the jobs that talk to the function store's object store.
 *
 * The input is one JSON object, at most S3_INPUT_BYTES_MAX long: "endpoint" (http[s]://HOST[:PORT]),
 * "bucket", "region", "accessKey", "secretKey", "sessionToken", "ca" (PEM), "pathStyle", "stallMs",
 * "partBytes", and
 *
 *      s3-put      "key", "size", "sha256"; data: the file. Info {"there": it was there already}
 *      s3-get      "key", "bytesMax"; data: the file to fill. Info {"size", "sha256"}
 *      s3-delete   "key", "uploadsOnly": what was begun to be uploaded, not the object itself
 *      s3-list     "prefix". Result {"objects": [[key, size, age in seconds]...], "uploads": [[key, age]...],
 *                  "more": there was no room for all}
 *      s3-check    "prefix", "create". Info {"created": the bucket was made}
 *
 * "key" and "prefix" are of what stands behind the bucket. Errors as in build/s3.h.
 */
#ifndef DISPATCH_BUILD_S3_JOB_H
#define DISPATCH_BUILD_S3_JOB_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

enum {
        S3_INPUT_BYTES_MAX = 1 << 20,
        S3_LIST_ENTRIES_MAX = 40000 /* of a result: with keys of ours they stay below SPAWN_RESULT_MAX */
};

/* One of the kinds above? */
bool s3_job_is(const char *kind);

/* *ret_info: a new object. The list is written to log_fd, as a line of type R. */
enum err_code s3_job_run(const char *kind, int input_fd, int log_fd, int data_fd, json_t **ret_info,
                         struct err *err);

#endif
