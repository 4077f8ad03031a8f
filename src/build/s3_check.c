/* build/s3_check.c: what a server wants to know of its store when it starts. */
#include "build/s3.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>

/* A bucket elsewhere than in S3's first region is made with the region's name in the request. */
static enum err_code bucket_make(struct s3 *s3, struct err *err)
{
        own_call struct s3_call call = S3_CALL("PUT", NULL);
        own_buf struct buf body = {.max = SIGV4_TEXT_MAX};
        char hash[SIGV4_HEX_LEN + 1];

        if (strcmp(s3->config.region, "us-east-1") != 0 &&
            buf_printf(&body,
                       "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint>"
                       "</CreateBucketConfiguration>",
                       s3->config.region) != ERR_OK)
                return err_nomem(err);
        sigv4_sha256(body.data, body.len, hash);
        call.payload = hash;
        call.body = (struct str){body.len > 0 ? body.data : "", body.len};
        return s3_send(s3, &call, err);
}

/* One way to know whether something can be written is to write it. */
static enum err_code write_try(struct s3 *s3, const char *prefix, struct err *err)
{
        own_call struct s3_call put = S3_CALL("PUT", NULL), delete = S3_CALL("DELETE", NULL);
        own_buf struct buf key = {.max = SIGV4_TEXT_MAX};
        char hash[SIGV4_HEX_LEN + 1];

        if (buf_printf(&key, "%scheck", prefix) != ERR_OK || buf_text(&key) == NULL)
                return err_nomem(err);
        put.key = delete.key = key.data;
        put.body = STR("dispatch");
        sigv4_sha256(put.body.p, put.body.len, hash);
        put.payload = hash;
        enum err_code code = s3_send(s3, &put, err);
        if (code == ERR_OK)
                code = s3_send(s3, &delete, err);
        return code;
}

enum err_code s3_check(struct s3 *s3, const char *prefix, bool create, bool *ret_created, struct err *err)
{
        own_call struct s3_call call = S3_CALL("GET", NULL);
        const struct sigv4_field query[] = {
                {"list-type", STR("2")}, {"max-keys", STR("1")}, {"prefix", str_of(prefix)}};

        memcpy(call.query, query, sizeof(query));
        call.query_count = 3;
        enum err_code code = s3_send(s3, &call, err);
        *ret_created = create && strcmp(call.code, "NoSuchBucket") == 0;
        if (*ret_created)
                code = bucket_make(s3, err);
        return code == ERR_OK ? write_try(s3, prefix, err) : code;
}
