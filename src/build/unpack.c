/*
 * build/unpack.c: walks the members of an archive. libarchive only reads here: its own writer to disk works
 * with whole paths and undoes dangers one by one, while the tree cannot be led out of its folder in the first
 * place.
 */
#include "build/unpack.h"

#include "base/buf.h"
#include "base/own.h"
#include "build/member.h"
#include "build/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
        HEADER_BYTES_MAX =
                4096, /* of a member's headers, on average, when the stream's bound is worked out */
        LINK_PATHS_MAX = 16 << 20, /* bytes of all links' paths */
        LINK_TARGET_MAX = PATH_MAX
};

struct unpack {
        struct archive *archive;
        struct stream *stream; /* NULL for zip */
        struct tree *tree;
        struct buf links; /* paths of the symbolic links, each NUL-terminated */
        uint64_t members;
        char path[PATH_MAX]; /* of the member */
};

static enum err_code bad_archive(const struct unpack *unpack, struct err *err)
{
        const char *text = archive_error_string(unpack->archive);

        if (unpack->stream != NULL && unpack->stream->failed != NULL)
                text = unpack->stream->failed;
        if (unpack->stream != NULL && unpack->stream->over)
                return err_set(err, ERR_TOO_LARGE, "the archive unpacks to more than %llu MiB",
                               (unsigned long long)(unpack->tree->bytes_max >> 20));
        if (archive_errno(unpack->archive) == ENOMEM)
                return err_nomem(err);
        return err_set(err, ERR_INVALID, "the archive is damaged or not a tar or zip archive: %s",
                       text != NULL ? text : "unknown reason");
}

/* Were the last bytes of this member made up from the stream's padding? */
static bool cut_off(const struct unpack *unpack, struct archive_entry *entry)
{
        if (unpack->stream == NULL)
                return false;

        uint64_t end = (uint64_t)archive_filter_bytes(unpack->archive, 0);
        uint64_t size = archive_entry_size_is_set(entry) ? (uint64_t)archive_entry_size(entry) : 0;
        uint64_t padding = (STREAM_BLOCK - size % STREAM_BLOCK) % STREAM_BLOCK;

        /* A sparse member's stored size is another one: then the whole last block may be padding. */
        if (archive_entry_sparse_count(entry) > 0)
                padding = STREAM_BLOCK - 1;
        return end > padding && !stream_covers(unpack->stream, end - padding);
}

static enum err_code copy_data(struct unpack *unpack, struct archive_entry *entry, int fd, struct err *err)
{
        bool whole;
        enum err_code code = member_data(unpack->archive, entry, unpack->tree, fd, &whole, err);

        if (code != ERR_OK)
                return code;
        if (!whole)
                return bad_archive(unpack, err);
        return cut_off(unpack, entry) ? err_set(err, ERR_INVALID, "the archive is cut off here") : ERR_OK;
}

static enum err_code put_file(struct unpack *unpack, struct archive_entry *entry, struct err *err)
{
        bool executable = (archive_entry_perm(entry) & 0111) != 0;
        own_fd int fd = -1;
        enum err_code code = tree_file(unpack->tree, unpack->path, executable, &fd, err);

        if (code == ERR_OK)
                code = copy_data(unpack, entry, fd, err);
        if (code == ERR_OK)
                code = member_time(fd, entry, err);
        return code;
}

static enum err_code put_link(struct unpack *unpack, struct archive_entry *entry, struct err *err)
{
        const char *target = archive_entry_symlink(entry);

        if (target == NULL || target[0] == '\0' || strlen(target) >= LINK_TARGET_MAX)
                return err_set(err, ERR_INVALID, "a link without a target, or with one that is too long");
        if (target[0] == '/')
                return err_set(err, ERR_INVALID, "it links to a place outside the archive");
        if (buf_append(&unpack->links, unpack->path, strlen(unpack->path) + 1) != ERR_OK)
                return err_set(err, ERR_TOO_LARGE, "too many links");
        return tree_symlink(unpack->tree, unpack->path, target, err);
}

static enum err_code put_hardlink(struct unpack *unpack, const char *name, struct err *err)
{
        char target[PATH_MAX];
        enum err_code code = tree_path_clean(name, target, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "it links to");
        return tree_hardlink(unpack->tree, unpack->path, target, err);
}

static enum err_code refuse_type(mode_t type, struct err *err)
{
        const char *what = type == AE_IFCHR || type == AE_IFBLK ? "a device"
                           : type == AE_IFIFO                   ? "a named pipe"
                           : type == AE_IFSOCK                  ? "a socket"
                                                                : "of an unknown type";

        return err_set(err, ERR_INVALID, "it is %s; only files, folders and links can be in a source", what);
}

static enum err_code put_member(struct unpack *unpack, struct archive_entry *entry, struct err *err)
{
        const char *name = archive_entry_pathname(entry);
        const char *hardlink = archive_entry_hardlink(entry);
        mode_t type = archive_entry_filetype(entry);
        enum err_code code;

        if (name == NULL || name[0] == '\0')
                return err_set(err, ERR_INVALID, "a member without a name");
        code = tree_path_clean(name, unpack->path, err);
        if (code != ERR_OK)
                return code;
        if (unpack->path[0] == '\0')
                return type == AE_IFDIR ? ERR_OK
                                        : err_set(err, ERR_INVALID, "only a folder can have this name");
        unpack->members++;
        if (hardlink != NULL)
                return put_hardlink(unpack, hardlink, err);
        if (type == AE_IFDIR)
                return tree_folder(unpack->tree, unpack->path, err);
        if (type == AE_IFLNK)
                return put_link(unpack, entry, err);
        if (type == AE_IFREG)
                return put_file(unpack, entry, err);
        return refuse_type(type, err);
}

static enum err_code put_members(struct unpack *unpack, struct err *err)
{
        struct archive_entry *entry;
        char text[TREE_TEXT_MAX];
        int got;

        while ((got = archive_read_next_header(unpack->archive, &entry)) == ARCHIVE_OK ||
               got == ARCHIVE_WARN) {
                enum err_code code = put_member(unpack, entry, err);
                const char *name = archive_entry_pathname(entry);

                if (code != ERR_OK)
                        return err_wrap(err, code, "member '%s'", tree_text(name != NULL ? name : "", text));
        }
        if (got != ARCHIVE_EOF || (unpack->stream != NULL && !stream_drain(unpack->stream)))
                return bad_archive(unpack, err);
        if (unpack->members == 0)
                return err_set(err, ERR_INVALID, "the archive is empty");
        return ERR_OK;
}

/* Where links lead can be said only when everything is in place: one may go through another. */
static enum err_code check_links(const struct unpack *unpack, struct err *err)
{
        char text[TREE_TEXT_MAX];

        for (size_t at = 0; at < unpack->links.len;) {
                const char *path = unpack->links.data + at;
                enum err_code code = tree_link_check(unpack->tree, path, err);

                if (code != ERR_OK)
                        return err_wrap(err, code, "member '%s'", tree_text(path, text));
                at += strlen(path) + 1;
        }
        return ERR_OK;
}

static bool is_zip(int fd)
{
        char magic[4];

        return pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
               memcmp(magic, "PK\3\4", 4) == 0;
}

static enum err_code open_zip(struct unpack *unpack, int fd, struct err *err)
{
        if (archive_read_support_format_zip_seekable(unpack->archive) != ARCHIVE_OK ||
            archive_read_open_fd(unpack->archive, fd, STREAM_CHUNK) != ARCHIVE_OK)
                return bad_archive(unpack, err);
        return ERR_OK;
}

static enum err_code open_tar(struct unpack *unpack, struct stream *stream, int fd, struct err *err)
{
        const struct tree *tree = unpack->tree;
        uint64_t bytes_max = tree->bytes_max + tree->files_max * HEADER_BYTES_MAX + STREAM_CHUNK;
        enum err_code code = stream_open(stream, fd, bytes_max, err);

        if (code != ERR_OK)
                return code;
        unpack->stream = stream;
        if (archive_read_support_format_tar(unpack->archive) != ARCHIVE_OK ||
            archive_read_open(unpack->archive, stream, NULL, stream_read, NULL) != ARCHIVE_OK)
                return bad_archive(unpack, err);
        return ERR_OK;
}

static enum err_code unpack_run(struct unpack *unpack, struct stream *stream, int fd, struct err *err)
{
        enum err_code code;

        unpack->archive = archive_read_new();
        if (unpack->archive == NULL)
                return err_nomem(err);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_sys(err, "seek in the archive");
        code = is_zip(fd) ? open_zip(unpack, fd, err) : open_tar(unpack, stream, fd, err);
        if (code == ERR_OK)
                code = put_members(unpack, err);
        if (code == ERR_OK)
                code = check_links(unpack, err);
        return code;
}

enum err_code unpack_archive(int archive_fd, struct tree *tree, struct err *err)
{
        own_mem struct stream *stream = calloc(1, sizeof(*stream));
        struct unpack unpack = {.tree = tree};
        enum err_code code;

        if (stream == NULL)
                return err_nomem(err);
        buf_init(&unpack.links, LINK_PATHS_MAX);
        code = unpack_run(&unpack, stream, archive_fd, err);
        if (unpack.archive != NULL)
                archive_read_free(unpack.archive);
        stream_close(stream);
        buf_finish(&unpack.links);
        return code;
}
