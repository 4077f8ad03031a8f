/*
 * build/s3_multipart.c: large objects, part after part. Nothing is to be seen of them before the last
 * request; what fails on the way is aborted, and what a killed process left behind is aborted by the next one
 * that uploads the same object, or by the collector of garbage (api/gc.c).
 */
#include "build/s3.h"
#include "build/xml.h"

#include "base/own.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COMPLETE_BYTES_MAX = 4 << 20, UPLOADS_MAX = 64 };

struct upload {
        struct s3 *s3;
        const char *key;
        int fd;
        char id[S3_ID_MAX];
        struct buf complete; /* the document that ends it */
};

static void upload_finish(struct upload *upload)
{
        buf_finish(&upload->complete);
}

static void on_id(void *arg, size_t depth, struct str name, struct str text)
{
        struct upload *upload = arg;

        if (depth == 2 && str_eq(name, STR("UploadId")) && text.len < sizeof(upload->id))
                snprintf(upload->id, sizeof(upload->id), "%.*s", STR_ARG(text));
}

static enum err_code upload_begin(struct upload *upload, struct err *err)
{
        own_call struct s3_call call = S3_CALL("POST", upload->key);

        call.query[call.query_count++] = (struct sigv4_field){"uploads", STR("")};
        call.payload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        call.body = STR("");
        enum err_code code = s3_send(upload->s3, &call, err);
        if (code != ERR_OK)
                return code;
        code = xml_read((struct str){call.answer.data, call.answer.len}, on_id, upload, err);
        if (code == ERR_OK && upload->id[0] == '\0')
                code = err_set(err, ERR_BAD_REPLY, "the object store named no upload");
        return code;
}

static enum err_code abort_id(struct s3 *s3, const char *key, const char *id, struct err *err)
{
        own_call struct s3_call call = S3_CALL("DELETE", key);

        call.query[call.query_count++] = (struct sigv4_field){"uploadId", str_of(id)};
        enum err_code code = s3_send(s3, &call, err);
        return code == ERR_NOT_FOUND || strcmp(call.code, "NoSuchUpload") == 0 ? ERR_OK : code;
}

/* Of a range of the file. */
static enum err_code range_digest(int fd, uint64_t from, uint64_t len, char out[SIGV4_HEX_LEN + 1],
                                  struct err *err)
{
        static char chunk[65536];
        unsigned char hash[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint64_t done = 0;

        if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(context);
                return err_nomem(err);
        }
        while (done < len) {
                size_t want = len - done < sizeof(chunk) ? (size_t)(len - done) : sizeof(chunk);
                ssize_t got = pread(fd, chunk, want, (off_t)(from + done));
                if (got <= 0) {
                        EVP_MD_CTX_free(context);
                        errno = got < 0 ? errno : EIO;
                        return err_sys(err, "read a source's file");
                }
                EVP_DigestUpdate(context, chunk, (size_t)got);
                done += (uint64_t)got;
        }
        EVP_DigestFinal_ex(context, hash, NULL);
        EVP_MD_CTX_free(context);
        hex_encode(hash, SIGV4_HEX_LEN / 2, out);
        out[SIGV4_HEX_LEN] = '\0';
        return ERR_OK;
}

/* An ETag is quoted in its header, and stands in the document as it came. */
static enum err_code part_note(struct upload *upload, unsigned number, const char *etag, struct err *err)
{
        enum err_code code = buf_printf(&upload->complete, "<Part><PartNumber>%u</PartNumber><ETag>", number);

        for (const char *c = etag; *c != '\0' && code == ERR_OK; c++) {
                if (*c == '<' || *c == '>' || *c == '&' || *c < ' ')
                        return err_set(err, ERR_BAD_REPLY, "the object store sent an ETag that is none");
                code = *c == '"' ? buf_append_text(&upload->complete, "&quot;")
                                 : buf_append(&upload->complete, c, 1);
        }
        if (code == ERR_OK)
                code = buf_append_text(&upload->complete, "</ETag></Part>");
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code part_send(struct upload *upload, unsigned number, uint64_t from, uint64_t len,
                               struct err *err)
{
        own_call struct s3_call call = S3_CALL("PUT", upload->key);
        char hash[SIGV4_HEX_LEN + 1], text[16];
        enum err_code code = range_digest(upload->fd, from, len, hash, err);

        if (code != ERR_OK)
                return code;
        snprintf(text, sizeof(text), "%u", number);
        call.query[call.query_count++] = (struct sigv4_field){"partNumber", str_of(text)};
        call.query[call.query_count++] = (struct sigv4_field){"uploadId", str_of(upload->id)};
        call.payload = hash;
        call.body = (struct str){NULL, len};
        call.body_fd = upload->fd;
        call.body_from = from;
        code = s3_send(upload->s3, &call, err);
        return code == ERR_OK ? part_note(upload, number, call.etag, err) : code;
}

static enum err_code upload_complete(struct upload *upload, struct err *err)
{
        own_call struct s3_call call = S3_CALL("POST", upload->key);
        char hash[SIGV4_HEX_LEN + 1];

        if (buf_append_text(&upload->complete, "</CompleteMultipartUpload>") != ERR_OK)
                return err_nomem(err);
        sigv4_sha256(upload->complete.data, upload->complete.len, hash);
        call.query[call.query_count++] = (struct sigv4_field){"uploadId", str_of(upload->id)};
        call.payload = hash;
        call.body = (struct str){upload->complete.data, upload->complete.len};
        return s3_send(upload->s3, &call, err);
}

static enum err_code parts_send(struct upload *upload, uint64_t size, struct err *err)
{
        uint64_t part = upload->s3->config.part_bytes, from = 0;
        enum err_code code = ERR_OK;

        if (size / part >= S3_PARTS_MAX)
                part = size / (S3_PARTS_MAX - 1) + 1;
        if (buf_append_text(&upload->complete, "<CompleteMultipartUpload>") != ERR_OK)
                return err_nomem(err);
        for (unsigned number = 1; from < size && code == ERR_OK; number++) {
                uint64_t len = size - from < part ? size - from : part;
                code = part_send(upload, number, from, len, err);
                from += len;
        }
        return code == ERR_OK ? upload_complete(upload, err) : code;
}

/* A completion that was tried again, since its answer was lost, may find the upload gone and the object
 * there. */
static bool is_whole(struct s3 *s3, const char *key, uint64_t size)
{
        own_call struct s3_call call = S3_CALL("HEAD", key);

        return s3_send(s3, &call, NULL) == ERR_OK && call.length == size;
}

enum err_code s3_put_parts(struct s3 *s3, const char *key, int fd, uint64_t size, struct err *err)
{
        __attribute__((cleanup(upload_finish))) struct upload upload = {
                .s3 = s3, .key = key, .fd = fd, .complete = {.max = COMPLETE_BYTES_MAX}};
        enum err_code code = s3_abort_uploads(s3, key, err);

        if (code == ERR_OK)
                code = upload_begin(&upload, err);
        if (code != ERR_OK)
                return code;
        code = parts_send(&upload, size, err);
        if (is_whole(s3, key, size))
                return ERR_OK;
        (void)abort_id(s3, key, upload.id, NULL);
        return code != ERR_OK
                       ? code
                       : err_set(err, ERR_UNAVAILABLE,
                                 "the object store has another object than was sent; it is tried again");
}

struct leftovers {
        const char *key;
        size_t count;
        char ids[UPLOADS_MAX][S3_ID_MAX];
};

static bool leftover_found(void *arg, const struct s3_found *found)
{
        struct leftovers *left = arg;

        if (!str_eq(found->key, str_of(left->key)) || found->upload.len >= S3_ID_MAX)
                return true;
        snprintf(left->ids[left->count++], S3_ID_MAX, "%.*s", STR_ARG(found->upload));
        return left->count < UPLOADS_MAX;
}

enum err_code s3_abort_uploads(struct s3 *s3, const char *key, struct err *err)
{
        own_mem struct leftovers *left = calloc(1, sizeof(*left));
        enum err_code code;

        if (left == NULL)
                return err_nomem(err);
        left->key = key;
        code = s3_list_uploads(s3, key, leftover_found, left, err);
        for (size_t i = 0; i < left->count && code == ERR_OK; i++)
                code = abort_id(s3, key, left->ids[i], err);
        return code;
}
