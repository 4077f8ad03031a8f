/*
 * build/layer.c: two readers of libarchive, one behind the other: the first takes the compression off, the
 * second reads the tar. What goes into each is hashed on the way, and both are read to their ends.
 */
#include "build/layer.h"

#include "base/own.h"
#include "base/str.h"
#include "build/member.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum {
        CHUNK = 65536,
        HEADER_BYTES_MAX = 4096, /* of a member's headers, on average */
        SHA256_LEN = 32,
        XATTRS_MAX = 64,     /* of a member */
        XATTR_MAX = 64 << 10 /* bytes of a value, and of all of a member's */
};

struct layer_reader {
        int fd;
        uint64_t size;             /* of the blob, as far as it was read */
        uint64_t bytes, bytes_max; /* unpacked */
        bool over;
        int failed; /* errno of a read */
        EVP_MD_CTX *blob_hash, *tar_hash;
        struct archive *raw, *tar;
        struct tree *tree;
        char path[PATH_MAX]; /* of the member */
        unsigned char in[CHUNK], out[CHUNK];
};

static la_ssize_t blob_read(struct archive *archive, void *arg, const void **ret)
{
        struct layer_reader *reader = arg;
        ssize_t got;

        do
                got = read(reader->fd, reader->in, sizeof(reader->in));
        while (got < 0 && errno == EINTR);
        if (got < 0) {
                reader->failed = errno;
                archive_set_error(archive, errno, "the blob cannot be read");
                return ARCHIVE_FATAL;
        }
        if (EVP_DigestUpdate(reader->blob_hash, reader->in, (size_t)got) != 1)
                return ARCHIVE_FATAL;
        reader->size += (uint64_t)got;
        *ret = reader->in;
        return got;
}

static la_ssize_t tar_read(struct archive *archive, void *arg, const void **ret)
{
        struct layer_reader *reader = arg;
        la_ssize_t got = archive_read_data(reader->raw, reader->out, sizeof(reader->out));

        if (got < 0) {
                archive_set_error(archive, EIO, "%s", archive_error_string(reader->raw));
                return ARCHIVE_FATAL;
        }
        reader->bytes += (uint64_t)got;
        if (reader->bytes > reader->bytes_max) {
                reader->over = true;
                archive_set_error(archive, EFBIG, "too large");
                return ARCHIVE_FATAL;
        }
        if (EVP_DigestUpdate(reader->tar_hash, reader->out, (size_t)got) != 1)
                return ARCHIVE_FATAL;
        *ret = reader->out;
        return got;
}

static enum err_code damaged(const struct layer_reader *reader, struct err *err)
{
        const char *text = archive_error_string(reader->tar);

        if (text == NULL)
                text = archive_error_string(reader->raw);
        if (reader->over)
                return err_set(err, ERR_TOO_LARGE, "it unpacks to more than %llu MiB",
                               (unsigned long long)(reader->bytes_max >> 20));
        if (reader->failed != 0) {
                errno = reader->failed;
                return err_sys(err, "read the blob");
        }
        return err_set(err, ERR_CORRUPT, "it is truncated or damaged (%.100s)",
                       text != NULL ? text : "unknown reason");
}

/* A file system that takes none of them costs the image what it brought of them, no more. */
static enum err_code attributes_set(int fd, struct archive_entry *entry, struct err *err)
{
        const char *name;
        const void *value;
        size_t size, count = 0, bytes = 0;

        archive_entry_xattr_reset(entry);
        while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
                if (name == NULL || strncmp(name, "user.", 5) != 0 ||
                    strncmp(name, "user.overlay.", 13) == 0 || strlen(name) > NAME_MAX)
                        continue;
                bytes += size;
                if (++count > XATTRS_MAX || bytes > XATTR_MAX)
                        return err_set(err, ERR_TOO_LARGE, "more than %d attributes or %d bytes of them",
                                       XATTRS_MAX, XATTR_MAX);
                if (fsetxattr(fd, name, value, size, 0) < 0 && errno != ENOTSUP && errno != ENOSPC &&
                    errno != E2BIG)
                        return err_sys(err, "set an attribute");
        }
        return ERR_OK;
}

static enum err_code data_copy(struct layer_reader *reader, struct archive_entry *entry, int fd,
                               struct err *err)
{
        bool whole;
        enum err_code code = member_data(reader->tar, entry, reader->tree, fd, &whole, err);

        return code == ERR_OK && !whole ? damaged(reader, err) : code;
}

static enum err_code put_file(struct layer_reader *reader, struct archive_entry *entry, struct err *err)
{
        bool executable = (archive_entry_perm(entry) & 0111) != 0;
        own_fd int fd = -1;
        enum err_code code = tree_file(reader->tree, reader->path, executable, &fd, err);

        if (code == ERR_OK)
                code = data_copy(reader, entry, fd, err);
        if (code == ERR_OK)
                code = attributes_set(fd, entry, err);
        if (code == ERR_OK)
                code = member_time(fd, entry, err);
        return code;
}

static enum err_code put_folder(struct layer_reader *reader, struct archive_entry *entry, struct err *err)
{
        own_fd int fd = -1;
        enum err_code code = tree_folder(reader->tree, reader->path, err);

        if (code == ERR_OK && archive_entry_xattr_count(entry) > 0) {
                code = tree_folder_open(reader->tree, reader->path, &fd, err);
                if (code == ERR_OK)
                        code = attributes_set(fd, entry, err);
        }
        return code;
}

static enum err_code put_link(struct layer_reader *reader, struct archive_entry *entry, struct err *err)
{
        const char *target = archive_entry_symlink(entry);

        if (target == NULL || target[0] == '\0' || strlen(target) >= PATH_MAX)
                return err_set(err, ERR_INVALID, "a link without a target, or with one that is too long");
        return tree_symlink(reader->tree, reader->path, target, err);
}

static enum err_code put_hardlink(struct layer_reader *reader, const char *name, struct err *err)
{
        char target[PATH_MAX];
        enum err_code code = tree_path_clean(name, target, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "it links to");
        return tree_hardlink(reader->tree, reader->path, target, err);
}

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

/* layer.md, "Whiteouts". Other names of the kind are aufs's own business. */
static enum err_code put_whiteout(struct layer_reader *reader, size_t name_at, struct err *err)
{
        char *name = reader->path + name_at;
        const size_t prefix = sizeof(WHITEOUT) - 1;
        own_fd int fd = -1;
        enum err_code code;

        if (strcmp(name, WHITEOUT_OPAQUE) == 0) {
                reader->path[name_at > 0 ? name_at - 1 : 0] = '\0';
                code = tree_folder_open(reader->tree, reader->path, &fd, err);
                if (code == ERR_OK && fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
                        code = err_disk(err, "mark a folder as opaque");
                return code;
        }
        size_t len = strlen(name);

        if (strncmp(name + prefix, WHITEOUT, prefix) == 0)
                return ERR_OK;
        for (size_t i = prefix; i <= len; i++)
                name[i - prefix] = name[i];
        if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return err_set(err, ERR_INVALID, "a whiteout of nothing");
        return tree_whiteout(reader->tree, reader->path, err);
}

static enum err_code put_member(struct layer_reader *reader, struct archive_entry *entry, struct err *err)
{
        const char *name = archive_entry_pathname(entry);
        const char *hardlink = archive_entry_hardlink(entry);
        mode_t type = archive_entry_filetype(entry);

        if (name == NULL || name[0] == '\0')
                return err_set(err, ERR_INVALID, "a member without a name");
        /* Tools that write "/bin" mean the image's. */
        enum err_code code = tree_path_clean(name + strspn(name, "/"), reader->path, err);
        if (code != ERR_OK)
                return code;
        if (reader->path[0] == '\0')
                return type == AE_IFDIR ? ERR_OK
                                        : err_set(err, ERR_INVALID, "only a folder can have this name");
        const char *slash = strrchr(reader->path, '/');
        size_t name_at = slash != NULL ? (size_t)(slash - reader->path) + 1 : 0;
        if (strncmp(reader->path + name_at, WHITEOUT, sizeof(WHITEOUT) - 1) == 0)
                return put_whiteout(reader, name_at, err);
        if (hardlink != NULL)
                return put_hardlink(reader, hardlink, err);
        if (type == AE_IFDIR)
                return put_folder(reader, entry, err);
        if (type == AE_IFLNK)
                return put_link(reader, entry, err);
        return type == AE_IFREG ? put_file(reader, entry, err) : ERR_OK;
}

static enum err_code put_members(struct layer_reader *reader, struct err *err)
{
        struct archive_entry *entry;
        char text[TREE_TEXT_MAX];
        const void *rest;
        la_ssize_t left;
        int got;

        while ((got = archive_read_next_header(reader->tar, &entry)) == ARCHIVE_OK || got == ARCHIVE_WARN) {
                enum err_code code = put_member(reader, entry, err);
                const char *name = archive_entry_pathname(entry);

                if (code == ERR_CORRUPT)
                        return code;
                if (code != ERR_OK)
                        return err_wrap(err, code, "member '%s'", tree_text(name != NULL ? name : "", text));
        }
        if (got != ARCHIVE_EOF)
                return damaged(reader, err);
        while ((left = tar_read(reader->tar, reader, &rest)) > 0)
                ;
        return left < 0 ? damaged(reader, err) : ERR_OK;
}

static bool hash_text(EVP_MD_CTX *hash, char out[OCI_DIGEST_MAX])
{
        unsigned char sum[SHA256_LEN];

        if (EVP_DigestFinal_ex(hash, sum, NULL) != 1)
                return false;
        memcpy(out, "sha256:", 7);
        hex_encode(sum, sizeof(sum), out + 7);
        out[OCI_DIGEST_MAX - 1] = '\0';
        return true;
}

/* What is behind the end of the compressed data counts too. */
static enum err_code digests_check(struct layer_reader *reader, struct oci_layer *layer, struct err *err)
{
        char blob[OCI_DIGEST_MAX], tar[OCI_DIGEST_MAX];
        const void *rest;
        la_ssize_t left;

        while ((left = blob_read(reader->raw, reader, &rest)) > 0)
                ;
        if (left < 0)
                return damaged(reader, err);
        if (!hash_text(reader->blob_hash, blob) || !hash_text(reader->tar_hash, tar))
                return err_nomem(err);
        if (layer->blob.digest[0] == '\0') {
                memcpy(layer->blob.digest, blob, sizeof(blob));
                layer->blob.size = reader->size;
        }
        if (strcmp(blob, layer->blob.digest) != 0)
                return err_set(err, ERR_CORRUPT, "wrong digest: its bytes have %.23s...", blob);
        if (reader->size != layer->blob.size)
                return err_set(err, ERR_CORRUPT, "wrong size: it has %llu bytes, not %llu",
                               (unsigned long long)reader->size, (unsigned long long)layer->blob.size);
        if (strcmp(tar, layer->diff_id) != 0)
                return err_set(err, ERR_CORRUPT,
                               "wrong digest: it unpacks to %.23s..., and the configuration says %.23s...",
                               tar, layer->diff_id);
        return ERR_OK;
}

static enum err_code readers_open(struct layer_reader *reader, struct err *err)
{
        struct archive_entry *entry;

        reader->raw = archive_read_new();
        reader->tar = archive_read_new();
        reader->blob_hash = EVP_MD_CTX_new();
        reader->tar_hash = EVP_MD_CTX_new();
        if (reader->raw == NULL || reader->tar == NULL || reader->blob_hash == NULL ||
            reader->tar_hash == NULL || EVP_DigestInit_ex(reader->blob_hash, EVP_sha256(), NULL) != 1 ||
            EVP_DigestInit_ex(reader->tar_hash, EVP_sha256(), NULL) != 1)
                return err_nomem(err);
        if (lseek(reader->fd, 0, SEEK_SET) < 0)
                return err_sys(err, "seek in the blob");
        if (archive_read_support_filter_gzip(reader->raw) != ARCHIVE_OK ||
            archive_read_support_filter_zstd(reader->raw) != ARCHIVE_OK ||
            archive_read_support_format_raw(reader->raw) != ARCHIVE_OK ||
            archive_read_open(reader->raw, reader, NULL, blob_read, NULL) != ARCHIVE_OK ||
            archive_read_next_header(reader->raw, &entry) != ARCHIVE_OK)
                return damaged(reader, err);
        if (archive_read_support_format_tar(reader->tar) != ARCHIVE_OK ||
            archive_read_support_format_empty(reader->tar) != ARCHIVE_OK ||
            archive_read_open(reader->tar, reader, NULL, tar_read, NULL) != ARCHIVE_OK)
                return damaged(reader, err);
        return ERR_OK;
}

static void reader_close(struct layer_reader *reader)
{
        if (reader->tar != NULL)
                archive_read_free(reader->tar);
        if (reader->raw != NULL)
                archive_read_free(reader->raw);
        EVP_MD_CTX_free(reader->blob_hash);
        EVP_MD_CTX_free(reader->tar_hash);
}

enum err_code layer_unpack(int blob_fd, struct oci_layer *layer, struct tree *tree, struct err *err)
{
        own_mem struct layer_reader *reader = calloc(1, sizeof(*reader));

        if (reader == NULL)
                return err_nomem(err);
        reader->fd = blob_fd;
        reader->tree = tree;
        reader->bytes_max = tree->bytes_max + tree->files_max * HEADER_BYTES_MAX + CHUNK;
        enum err_code code = readers_open(reader, err);
        if (code == ERR_OK)
                code = put_members(reader, err);
        if (code == ERR_OK)
                code = digests_check(reader, layer, err);
        reader_close(reader);
        return code;
}
