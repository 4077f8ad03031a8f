/*
 * build/sigv4.h: AWS Signature Version 4, as S3 wants it: headers signed, the payload named by its SHA-256,
 * the path encoded once and not normalised.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 *
 * Nothing here touches the network or the clock. The secret key stays the caller's; what is derived from it
 * is wiped.
 */
#ifndef DISPATCH_BUILD_SIGV4_H
#define DISPATCH_BUILD_SIGV4_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <time.h>

enum {
        SIGV4_HEX_LEN = 64,    /* a SHA-256; without its NUL */
        SIGV4_DATE_LEN = 16,   /* 20130524T000000Z; without its NUL */
        SIGV4_FIELDS_MAX = 16, /* headers of a request, and parameters of its query */
        SIGV4_TEXT_MAX = 64 * 1024
};

struct sigv4_keys {
        const char *access_key;
        const char *secret_key;
        const char *region;  /* us-east-1 */
        const char *service; /* s3 */
};

/* A header (its name in lower case) or a parameter of the query (not encoded). */
struct sigv4_field {
        const char *name;
        struct str value;
};

struct sigv4_request {
        const char *method;
        struct str path; /* not encoded, starts with '/' */
        const struct sigv4_field *query;
        size_t query_count;
        const struct sigv4_field *headers; /* all of them are signed; host and x-amz-date have to be there */
        size_t header_count;
        const char *payload; /* SHA-256 of the body in hex, or UNSIGNED-PAYLOAD */
};

/* Appends text, of which only A-Z a-z 0-9 - . _ ~ (and '/', where it is kept) stay as they are (RFC 3986,
 * section 2.3). */
enum err_code sigv4_encode(struct buf *out, struct str text, bool keep_slash);

/* Appends the query as it has to stand in the URL: encoded, in order, without '?'. */
enum err_code sigv4_query(struct buf *out, const struct sigv4_field *query, size_t count);

/* The value of x-amz-date. */
void sigv4_date(time_t when, char out[SIGV4_DATE_LEN + 1]);

void sigv4_sha256(const void *bytes, size_t len, char out[SIGV4_HEX_LEN + 1]);

/* Appends the canonical request. ERR_LIMIT: more than SIGV4_FIELDS_MAX of something. */
enum err_code sigv4_canonical(const struct sigv4_request *request, struct buf *out, struct err *err);

/* Appends the value of the Authorization header. date: what x-amz-date says. */
enum err_code sigv4_authorize(const struct sigv4_keys *keys, const struct sigv4_request *request,
                              const char date[SIGV4_DATE_LEN + 1], struct buf *out, struct err *err);

#endif
