/* build/s3_object.c: single objects: put, get, delete. */
#include "build/s3.h"

#include "base/own.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

/* Of a size: an object of this name is of this content, since it is named by it. */
static enum err_code object_there(struct s3 *s3, const char *key, uint64_t size, bool *ret, struct err *err)
{
        own_call struct s3_call call = S3_CALL("HEAD", key);
        enum err_code code = s3_send(s3, &call, err);

        *ret = code == ERR_OK && call.length == size;
        /* Whoever may not list a bucket gets a 403 for what is not there: the upload will tell. */
        return code == ERR_NOT_FOUND || call.status == 403 ? ERR_OK : code;
}

enum err_code s3_put(struct s3 *s3, const char *key, int fd, uint64_t size, const char *sha256,
                     bool *ret_there, struct err *err)
{
        own_call struct s3_call call = S3_CALL("PUT", key);
        enum err_code code = object_there(s3, key, size, ret_there, err);

        if (code != ERR_OK || *ret_there)
                return code;
        if (size > s3->config.part_bytes)
                return s3_put_parts(s3, key, fd, size, err);
        call.payload = sha256;
        call.body = (struct str){NULL, size};
        call.body_fd = fd;
        return s3_send(s3, &call, err);
}

static enum err_code file_digest(int fd, char sha256[SIGV4_HEX_LEN + 1], struct err *err)
{
        static char chunk[65536];
        unsigned char hash[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        off_t at = 0;
        ssize_t got = -1;

        if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(context);
                return err_nomem(err);
        }
        while ((got = pread(fd, chunk, sizeof(chunk), at)) > 0) {
                EVP_DigestUpdate(context, chunk, (size_t)got);
                at += got;
        }
        EVP_DigestFinal_ex(context, hash, NULL);
        EVP_MD_CTX_free(context);
        if (got < 0)
                return err_sys(err, "read what the object store sent");
        hex_encode(hash, SIGV4_HEX_LEN / 2, sha256);
        sha256[SIGV4_HEX_LEN] = '\0';
        return ERR_OK;
}

enum err_code s3_get(struct s3 *s3, const char *key, int fd, uint64_t bytes_max, uint64_t *ret_size,
                     char sha256[SIGV4_HEX_LEN + 1], struct err *err)
{
        own_call struct s3_call call = S3_CALL("GET", key);

        call.sink_fd = fd;
        call.sink_max = bytes_max;
        enum err_code code = s3_send(s3, &call, err);
        if (code != ERR_OK)
                return code;
        /* A try that broke may have written more than the one that did not. */
        if (ftruncate(fd, (off_t)call.sunk) < 0 || fsync(fd) < 0)
                return err_disk(err, "write a source's file");
        *ret_size = call.sunk;
        return file_digest(fd, sha256, err);
}

enum err_code s3_delete(struct s3 *s3, const char *key, struct err *err)
{
        own_call struct s3_call call = S3_CALL("DELETE", key);
        enum err_code code = s3_send(s3, &call, err);

        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        return s3_abort_uploads(s3, key, err);
}
