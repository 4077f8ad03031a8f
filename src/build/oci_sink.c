/* build/oci_sink.c: one blob, by zlib and OpenSSL's SHA-256. */
#include "build/oci_sink.h"

#include "base/own.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ZLIB_CONST /* what is compressed is not written to */
#include <zlib.h>

/* zlib's gzip header has no name, no time and system 3 (Unix). */
enum { OUT_SIZE = 131072, GZIP_WINDOW_BITS = 15 + 16, GZIP_MEM_LEVEL = 8, SHA256_LEN = 32 };

#define PART_NAME ".part"

struct oci_sink {
        struct oci *oci;
        int fd;
        bool placed; /* PART_NAME is gone */
        bool compress;
        z_stream z;
        EVP_MD_CTX *raw; /* of what comes in; NULL where it is what goes out */
        EVP_MD_CTX *written;
        uint64_t size;
        unsigned char out[OUT_SIZE];
};

static EVP_MD_CTX *sha_begin(void)
{
        EVP_MD_CTX *sha = EVP_MD_CTX_new();

        if (sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1)
                return sha;
        EVP_MD_CTX_free(sha);
        return NULL;
}

static enum err_code sha_end(EVP_MD_CTX *sha, char out[OCI_DIGEST_MAX], struct err *err)
{
        unsigned char digest[EVP_MAX_MD_SIZE];

        if (EVP_DigestFinal_ex(sha, digest, NULL) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 failed");
        memcpy(out, "sha256:", 7);
        hex_encode(digest, SHA256_LEN, out + 7);
        out[OCI_DIGEST_MAX - 1] = '\0';
        return ERR_OK;
}
_Static_assert(OCI_DIGEST_MAX == 7 + 2 * SHA256_LEN + 1, "a digest fits exactly");

void oci_sink_destroy(struct oci_sink *sink)
{
        if (sink == NULL)
                return;
        if (sink->compress)
                deflateEnd(&sink->z);
        EVP_MD_CTX_free(sink->raw);
        EVP_MD_CTX_free(sink->written);
        own_fd_release(&sink->fd);
        if (!sink->placed)
                unlinkat(sink->oci->blobs_fd, PART_NAME, 0);
        free(sink);
}

static void sink_release(struct oci_sink **sink)
{
        oci_sink_destroy(*sink);
}

enum err_code oci_sink_create(struct oci *oci, bool compress, struct oci_sink **ret, struct err *err)
{
        __attribute__((cleanup(sink_release))) struct oci_sink *sink = calloc(1, sizeof(*sink));

        if (sink == NULL)
                return err_nomem(err);
        sink->oci = oci;
        sink->fd = openat(oci->blobs_fd, PART_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        sink->placed = sink->fd < 0;
        if (sink->fd < 0)
                return err_disk(err, "create a blob");
        sink->written = sha_begin();
        if (compress)
                sink->raw = sha_begin();
        if (sink->written == NULL || (compress && sink->raw == NULL))
                return err_nomem(err);
        if (compress && deflateInit2(&sink->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS,
                                     GZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
                return err_nomem(err);
        sink->compress = compress;
        *ret = take_ptr(&sink);
        return ERR_OK;
}

/* Bytes of the blob itself. */
static enum err_code sink_put(struct oci_sink *sink, const unsigned char *bytes, size_t len, struct err *err)
{
        if (len > sink->oci->bytes_max - sink->oci->bytes)
                return err_set(err, ERR_TOO_LARGE, "the image has more than %llu MiB",
                               (unsigned long long)(sink->oci->bytes_max >> 20));
        sink->oci->bytes += len;
        sink->size += len;
        if (EVP_DigestUpdate(sink->written, bytes, len) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 failed");
        while (len > 0) {
                ssize_t wrote = write(sink->fd, bytes, len);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return err_disk(err, "write a blob");
                bytes += wrote;
                len -= (size_t)wrote;
        }
        return ERR_OK;
}

static enum err_code sink_deflate(struct oci_sink *sink, int flush, struct err *err)
{
        int said = Z_OK;

        do {
                sink->z.next_out = sink->out;
                sink->z.avail_out = OUT_SIZE;
                said = deflate(&sink->z, flush);
                assert(said == Z_OK || said == Z_STREAM_END || said == Z_BUF_ERROR);

                enum err_code code = sink_put(sink, sink->out, OUT_SIZE - sink->z.avail_out, err);

                if (code != ERR_OK)
                        return code;
        } while (sink->z.avail_out == 0 || (flush == Z_FINISH && said != Z_STREAM_END));
        return ERR_OK;
}

enum err_code oci_sink_write(struct oci_sink *sink, const void *bytes, size_t len, struct err *err)
{
        const unsigned char *from = bytes;

        if (!sink->compress)
                return sink_put(sink, from, len, err);
        if (EVP_DigestUpdate(sink->raw, bytes, len) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 failed");
        while (len > 0) {
                unsigned part = len < 1u << 30 ? (unsigned)len : 1u << 30;

                sink->z.next_in = from;
                sink->z.avail_in = part;

                enum err_code code = sink_deflate(sink, Z_NO_FLUSH, err);

                if (code != ERR_OK)
                        return code;
                from += part;
                len -= part;
        }
        return ERR_OK;
}

enum err_code oci_sink_end(struct oci_sink *sink, struct oci_blob *ret, char diff_id[OCI_DIGEST_MAX],
                           struct err *err)
{
        struct oci_blob blob = {0};
        char raw[OCI_DIGEST_MAX];
        enum err_code code = ERR_OK;

        if (sink->compress)
                code = sink_deflate(sink, Z_FINISH, err);
        if (code == ERR_OK)
                code = sha_end(sink->written, blob.digest, err);
        if (code == ERR_OK && sink->compress)
                code = sha_end(sink->raw, raw, err);
        if (code != ERR_OK)
                return code;
        if (renameat(sink->oci->blobs_fd, PART_NAME, sink->oci->blobs_fd, blob.digest + 7) < 0)
                return err_sys(err, "name a blob");
        sink->placed = true;
        blob.size = sink->size;
        if (diff_id != NULL)
                memcpy(diff_id, sink->compress ? raw : blob.digest, OCI_DIGEST_MAX);
        *ret = blob;
        return ERR_OK;
}
