/*
 * api/storage.h: where the function store keeps sources when it is an object store. Set once, at start.
 */
#ifndef DISPATCH_API_STORAGE_H
#define DISPATCH_API_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Strings are kept by pointer. */
struct api_storage {
        const char *scheme;   /* of sources' URLs: "minio" or "s3"; NULL: sources are files alone */
        const char *endpoint; /* http[s]://HOST[:PORT] */
        const char *bucket, *region;
        const char *prefix; /* "" or ends with '/' */
        const char *access_key, *secret_key, *session_token;
        const char *ca; /* PEM; "": the host's */
        bool path_style;
        bool create_bucket; /* make the bucket while no function needs it */
        uint32_t stall_ms;
        uint64_t part_bytes;
};

#endif
