/*
 * build/s3.h: a client of object stores that speak the API of Amazon S3
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/): MinIO, Ceph, S3 itself and others.
 *
 * Blocking, for dispatch-build alone. An object is whole or not there: a small one is one request, a larger
 * one a multipart upload that is completed at its end or aborted. What may pass (no connection, no answer,
 * 5xx, SlowDown) is tried again S3_TRIES times in all, later each time. A clock that differs from the store's
 * is noticed and made up for. Reasons begin with "object store ENDPOINT: " and never hold a key.
 *
 * Errors: ERR_UNAVAILABLE may pass; ERR_BAD_REPLY is for the administrator (credentials, bucket, rights,
 * TLS); ERR_NOT_FOUND: there is no such object.
 */
#ifndef DISPATCH_BUILD_S3_H
#define DISPATCH_BUILD_S3_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "build/s3_curl.h"
#include "build/sigv4.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        S3_TRIES = 4,
        S3_BACKOFF_MS = 200,      /* before the second try; doubles */
        S3_BACKOFF_MS_MAX = 5000, /* what a store's Retry-After can ask for */
        S3_CONNECT_MS = 5000,
        S3_ANSWER_BYTES_MAX = 4 << 20, /* of a document */
        S3_PART_BYTES_MIN = 5 << 20,   /* the API's */
        S3_PARTS_MAX = 10000,
        S3_CODE_MAX = 64,
        S3_MESSAGE_MAX = 200,
        S3_ID_MAX = 1024 /* of an upload */
};

struct s3_config {
        /* Strings belong to the caller and outlive the client. */
        const char *scheme; /* http or https */
        const char *host;   /* with its port, unless that is the scheme's */
        const char *bucket;
        const char *region;
        const char *access_key, *secret_key;
        const char *session_token; /* "": none */
        const char *ca;            /* certificates (PEM) that TLS trusts in place of the host's; "" */
        bool path_style;           /* HOST/BUCKET/KEY, else BUCKET.HOST/KEY */
        uint32_t stall_ms;         /* without a byte, before it counts as no answer */
        uint64_t part_bytes;
};

struct s3 {
        struct s3_config config;
        const struct curl_library *curl;
        CURL *easy;
        int64_t skew_s; /* the store's clock less ours */
};

enum err_code s3_init(struct s3 *s3, const struct s3_config *config, struct err *err);
void s3_finish(struct s3 *s3); /* takes a zeroed one */

/* One request and its answer. */
struct s3_call {
        const char *method;
        const char *key; /* NULL: of the bucket itself */
        struct sigv4_field query[4];
        size_t query_count;
        const char *payload; /* SHA-256 of the body; NULL: there is none */
        struct str body;     /* it, or */
        int body_fd;         /* where body.p is NULL, body.len bytes of this from body_from on */
        uint64_t body_from;
        int sink_fd; /* >= 0: where the body of a 200 goes, from the start of the file */
        uint64_t sink_max;

        /* the answer; 0 and "" where it does not say */
        long status;
        uint64_t length; /* what it says of its body */
        uint64_t sunk;   /* bytes that went to sink_fd */
        time_t date;
        uint32_t retry_after_s;
        char etag[128];
        char region[64];
        char code[S3_CODE_MAX]; /* of an error */
        char message[S3_MESSAGE_MAX];
        struct buf answer; /* the caller's to finish; a document */
};

#define S3_CALL(verb, object)                                                                                \
        {                                                                                                    \
                .method = (verb), .key = (object), .body_fd = -1, .sink_fd = -1                              \
        }

/* Sends it, as often as it makes sense. ERR_OK: a 2xx. */
enum err_code s3_send(struct s3 *s3, struct s3_call *call, struct err *err);
void s3_call_finish(struct s3_call *call);
#define own_call __attribute__((cleanup(s3_call_finish)))

/* s3_reason.c: what went wrong, in words of the one who can change it. `result` is curl's. */
enum err_code s3_reason(const struct s3 *s3, const struct s3_call *call, CURLcode result, long os_error,
                        struct err *err);
/* Another try may go better. */
bool s3_may_pass(const struct s3_call *call, CURLcode result);

/* s3_object.c. `size` bytes of fd, whose SHA-256 in hex is `sha256`, become the object, unless it is there.
 */
enum err_code s3_put(struct s3 *s3, const char *key, int fd, uint64_t size, const char *sha256,
                     bool *ret_there, struct err *err);
/* Fills the file, from its start, with at most bytes_max bytes, and tells what came. ERR_TOO_LARGE. */
enum err_code s3_get(struct s3 *s3, const char *key, int fd, uint64_t bytes_max, uint64_t *ret_size,
                     char sha256[SIGV4_HEX_LEN + 1], struct err *err);
/* The object and what was begun to be uploaded of it. None there is fine. */
enum err_code s3_delete(struct s3 *s3, const char *key, struct err *err);

/* s3_multipart.c */
enum err_code s3_put_parts(struct s3 *s3, const char *key, int fd, uint64_t size, struct err *err);
/* Ends unfinished uploads of this very key. */
enum err_code s3_abort_uploads(struct s3 *s3, const char *key, struct err *err);

/* s3_list.c: objects and unfinished uploads whose keys begin with `prefix`. Stops when `found` returns false.
 * upload: "" for an object. Texts are the store's: as hostile as that. */
struct s3_found {
        struct str key, upload;
        uint64_t size;
        time_t when; /* of its last change or begin, by the store's clock; 0: it did not say */
};
typedef bool (*s3_each)(void *arg, const struct s3_found *found);
enum err_code s3_list(struct s3 *s3, const char *prefix, s3_each found, void *arg, struct err *err);
enum err_code s3_list_uploads(struct s3 *s3, const char *prefix, s3_each found, void *arg, struct err *err);
/* For s3_list and its fuzz target: reads one document of either kind. *ret_next: where the next begins, ""
 * at the end; its maximum is the caller's. False in *ret_more: `found` wants no more. */
enum err_code s3_list_read(struct str document, s3_each found, void *arg, struct buf *ret_next,
                           bool *ret_more, struct err *err);

/* s3_check.c: is the bucket there, and can it be read and written below `prefix`? Makes it first if `create`
 * says so. */
enum err_code s3_check(struct s3 *s3, const char *prefix, bool create, bool *ret_created, struct err *err);

#endif
