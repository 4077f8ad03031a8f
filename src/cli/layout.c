/* cli/layout.c: reads the tar through libarchive, member by member. */
#include "cli/layout.h"

#include "base/own.h"
#include "base/sha256.h"
#include "base/str.h"
#include "cli/file.h"
#include "model/json.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS "blobs/sha256/"

enum { HEX_LEN = 2 * SHA256_LEN };

struct blob {
        char digest[LAYOUT_DIGEST_MAX];
        uint64_t size;
        char *text; /* of a small one, which may be a document */
};

struct layout {
        struct archive *archive;
        int dir_fd;
        bool has_layout;
        json_t *index;
        size_t count;
        struct blob blobs[LAYOUT_BLOBS_MAX];
};

static void layout_finish(struct layout *layout)
{
        for (size_t i = 0; i < layout->count; i++)
                free(layout->blobs[i].text);
        json_decref(layout->index);
        archive_read_free(layout->archive);
        free(layout);
}

static void layout_release(struct layout **layout)
{
        if (*layout != NULL)
                layout_finish(*layout);
}

static enum err_code bad(struct err *err, const char *why)
{
        return err_set(err, ERR_BAD_REPLY, "the server sent what is no image layout: %s", why);
}

static enum err_code write_all(int fd, const char *bytes, size_t len, struct err *err)
{
        while (len > 0) {
                ssize_t wrote = write(fd, bytes, len);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return file_error(err, "write", "the image");
                bytes += wrote;
                len -= (size_t)wrote;
        }
        return ERR_OK;
}

/* The member's bytes: to the file, into the digest, and, of a small one, kept. */
static enum err_code content_take(struct layout *layout, int fd, uint64_t size, struct sha256 *sha,
                                  char **keep, struct err *err)
{
        own_mem char *kept = size <= LAYOUT_DOCUMENT_MAX ? malloc((size_t)size + 1) : NULL;
        own_mem char *chunk = malloc(65536);
        uint64_t at = 0;

        if (chunk == NULL || (kept == NULL && size <= LAYOUT_DOCUMENT_MAX))
                return err_nomem(err);
        for (;;) {
                la_ssize_t got = archive_read_data(layout->archive, chunk, 65536);
                enum err_code code = ERR_OK;

                if (got < 0 || (uint64_t)got > size - at)
                        return bad(err, "a member of it is cut off");
                if (got == 0)
                        break;
                sha256_add(sha, chunk, (size_t)got);
                if (kept != NULL)
                        memcpy(kept + at, chunk, (size_t)got);
                at += (uint64_t)got;
                if (fd >= 0)
                        code = write_all(fd, chunk, (size_t)got, err);
                if (code != ERR_OK)
                        return code;
        }
        if (at != size)
                return bad(err, "a member of it is cut off");
        if (kept != NULL)
                kept[size] = '\0';
        *keep = take_ptr(&kept);
        return ERR_OK;
}

static enum err_code member_open(const struct layout *layout, const char *name, int *ret_fd, struct err *err)
{
        if (layout->dir_fd < 0)
                return ERR_OK;
        *ret_fd = openat(layout->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (*ret_fd >= 0)
                return ERR_OK;
        return errno == EEXIST ? bad(err, "a member is in it twice") : file_error(err, "create", name);
}

static enum err_code folder_make(const struct layout *layout, const char *name, struct err *err)
{
        if (layout->dir_fd >= 0 && mkdirat(layout->dir_fd, name, 0755) < 0 && errno != EEXIST)
                return file_error(err, "mkdir", name);
        return ERR_OK;
}

static const struct blob *blob_find(const struct layout *layout, struct str digest)
{
        for (size_t i = 0; i < layout->count; i++)
                if (str_eq(str_of(layout->blobs[i].digest), digest))
                        return &layout->blobs[i];
        return NULL;
}

static bool is_hex(const char *text)
{
        return strlen(text) == HEX_LEN && strspn(text, "0123456789abcdef") == HEX_LEN;
}

static enum err_code blob_take(struct layout *layout, const char *name, uint64_t size, struct err *err)
{
        struct blob *blob = &layout->blobs[layout->count];
        unsigned char digest[SHA256_LEN];
        struct sha256 sha;
        own_fd int fd = -1;
        enum err_code code = ERR_OK;

        if (layout->count == LAYOUT_BLOBS_MAX)
                return bad(err, "more blobs than an image has");
        memcpy(blob->digest, "sha256:", 7);
        snprintf(blob->digest + 7, HEX_LEN + 1, "%s", name + strlen(BLOBS));
        if (blob_find(layout, str_of(blob->digest)) != NULL)
                return bad(err, "a member is in it twice");
        code = folder_make(layout, "blobs", err);
        if (code == ERR_OK)
                code = folder_make(layout, "blobs/sha256", err);
        if (code == ERR_OK)
                code = member_open(layout, name, &fd, err);
        if (code != ERR_OK)
                return code;
        blob->size = size;
        blob->text = NULL;
        layout->count++;
        sha256_begin(&sha);
        code = content_take(layout, fd, size, &sha, &blob->text, err);
        if (code != ERR_OK)
                return code;
        sha256_end(&sha, digest);

        char hex[HEX_LEN];

        hex_encode(digest, SHA256_LEN, hex);
        return memcmp(hex, blob->digest + 7, HEX_LEN) == 0
                       ? ERR_OK
                       : err_set(err, ERR_BAD_REPLY,
                                 "the server sent a damaged image: blob %s has another digest", blob->digest);
}

static enum err_code document_take(struct layout *layout, const char *name, uint64_t size, struct err *err)
{
        own_mem char *text = NULL;
        struct sha256 sha;
        own_fd int fd = -1;
        enum err_code code = member_open(layout, name, &fd, err);

        if (size > LAYOUT_DOCUMENT_MAX)
                return bad(err, "a document of it is too large");
        sha256_begin(&sha);
        if (code == ERR_OK)
                code = content_take(layout, fd, size, &sha, &text, err);
        if (code != ERR_OK)
                return code;
        if (strcmp(name, "oci-layout") == 0 ? layout->has_layout : layout->index != NULL)
                return bad(err, "a member is in it twice");
        if (strcmp(name, "oci-layout") == 0)
                layout->has_layout = true;
        else if (json_parse_own((struct str){text, (size_t)size}, &layout->index, err) != ERR_OK)
                return bad(err, "its index is no JSON");
        return ERR_OK;
}

static enum err_code member_take(struct layout *layout, struct archive_entry *entry, struct err *err)
{
        const char *name = archive_entry_pathname(entry);
        int64_t size = archive_entry_size(entry);
        bool folder = archive_entry_filetype(entry) == AE_IFDIR;

        if (name == NULL)
                return bad(err, "a member of it has no name");
        if (folder && (strcmp(name, "blobs/") == 0 || strcmp(name, "blobs/sha256/") == 0))
                return ERR_OK; /* made when something is in it */
        if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL || size < 0)
                return bad(err, "something in it is no file");
        if (strncmp(name, BLOBS, strlen(BLOBS)) == 0 && is_hex(name + strlen(BLOBS)))
                return blob_take(layout, name, (uint64_t)size, err);
        if (strcmp(name, "oci-layout") == 0 || strcmp(name, "index.json") == 0)
                return document_take(layout, name, (uint64_t)size, err);
        return bad(err, "a file in it has no place there");
}

/* What a descriptor names, with its size. */
static enum err_code descriptor_check(const struct layout *layout, const json_t *descriptor,
                                      const struct blob **ret, struct err *err)
{
        const struct blob *blob = blob_find(layout, json_str(descriptor, "digest"));

        if (blob == NULL)
                return bad(err, "a blob that it names is missing");
        if (json_integer_value(json_object_get(descriptor, "size")) != (json_int_t)blob->size)
                return bad(err, "a blob of it has another size than it says");
        *ret = blob;
        return ERR_OK;
}

static enum err_code manifest_check(const struct layout *layout, const struct blob *blob, struct err *err)
{
        own_json json_t *manifest = NULL;
        const struct blob *part = NULL;
        const json_t *layers;
        enum err_code code;

        if (blob->text == NULL ||
            json_parse_own((struct str){blob->text, (size_t)blob->size}, &manifest, err) != ERR_OK)
                return bad(err, "its manifest is no JSON");
        code = descriptor_check(layout, json_object_get(manifest, "config"), &part, err);
        layers = json_object_get(manifest, "layers");
        for (size_t i = 0; code == ERR_OK && i < json_array_size(layers); i++)
                code = descriptor_check(layout, json_array_get(layers, i), &part, err);
        return code;
}

static enum err_code index_check(const struct layout *layout, char digest[LAYOUT_DIGEST_MAX], struct err *err)
{
        const json_t *manifests = json_object_get(layout->index, "manifests");
        const struct blob *blob = NULL;
        enum err_code code;

        if (!layout->has_layout || json_array_size(manifests) != 1)
                return bad(err, "it has not exactly one image");
        code = descriptor_check(layout, json_array_get(manifests, 0), &blob, err);
        if (code == ERR_OK)
                code = manifest_check(layout, blob, err);
        if (code == ERR_OK)
                memcpy(digest, blob->digest, LAYOUT_DIGEST_MAX);
        return code;
}

static enum err_code members_take(struct layout *layout, struct err *err)
{
        for (;;) {
                struct archive_entry *entry = NULL;
                int said = archive_read_next_header(layout->archive, &entry);
                enum err_code code;

                if (said == ARCHIVE_EOF)
                        return ERR_OK;
                if (said != ARCHIVE_OK)
                        return bad(err, "it is no tar");
                code = member_take(layout, entry, err);
                if (code != ERR_OK)
                        return code;
        }
}

enum err_code layout_take(int tar_fd, int dir_fd, char digest[LAYOUT_DIGEST_MAX], struct err *err)
{
        __attribute__((cleanup(layout_release))) struct layout *layout = calloc(1, sizeof(*layout));
        enum err_code code;

        if (layout == NULL)
                return err_nomem(err);
        layout->dir_fd = dir_fd;
        layout->archive = archive_read_new();
        if (layout->archive == NULL)
                return err_nomem(err);
        if (lseek(tar_fd, 0, SEEK_SET) < 0)
                return file_error(err, "read", "the image");
        if (archive_read_support_format_tar(layout->archive) != ARCHIVE_OK ||
            archive_read_open_fd(layout->archive, tar_fd, 65536) != ARCHIVE_OK)
                return bad(err, "it is no tar");
        code = members_take(layout, err);
        return code == ERR_OK ? index_check(layout, digest, err) : code;
}
