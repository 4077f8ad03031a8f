/*
 * cli/pack.c: walks a source tree and writes the archive through libarchive. Links are resolved by their real
 * path, which must lie below the real path of the directory that the user named.
 */
#include "cli/pack.h"

#include "base/own.h"
#include "cli/file.h"
#include "cli/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

enum { COPY_STEP = 64 * 1024 };

struct pack {
        struct archive *archive;
        struct buf *out;
        char root[PATH_MAX]; /* real path of the directory */
        struct {
                dev_t device;
                ino_t inode;
        } open_dirs[PACK_DEPTH_MAX]; /* the way down, to notice a link to a directory above */
        int depth;
        int file_count;
        uint64_t byte_count;
        enum err_code write_code; /* why libarchive could not write */
};

static void release_archive(struct archive **archive)
{
        archive_write_free(*archive);
}

static void release_entry(struct archive_entry **entry)
{
        archive_entry_free(*entry);
}

static la_ssize_t keep_bytes(struct archive *archive, void *context, const void *bytes, size_t len)
{
        struct pack *pack = context;

        pack->write_code = buf_append(pack->out, bytes, len);
        if (pack->write_code == ERR_OK)
                return (la_ssize_t)len;
        archive_set_error(archive, ENOSPC, "the packed source is too large");
        return -1;
}

static enum err_code archive_failed(const struct pack *pack, const char *path, struct err *err)
{
        if (pack->write_code == ERR_TOO_LARGE)
                return err_set(err, ERR_TOO_LARGE,
                               "the packed source exceeds the limit of %d MiB at '%s': leave out what the "
                               "function does not need, or move it into the image",
                               PACK_BYTES_MAX >> 20, path);
        if (pack->write_code == ERR_NO_MEMORY)
                return err_nomem(err);
        return err_set(err, ERR_SYSTEM, "failed to pack '%s': %s", path, archive_error_string(pack->archive));
}

static enum err_code count_file(struct pack *pack, const char *path, const struct stat *st, struct err *err)
{
        if (pack->file_count == PACK_FILES_MAX)
                return err_set(err, ERR_TOO_LARGE, "the source exceeds the limit of %d files at '%s'",
                               PACK_FILES_MAX, path);
        pack->file_count++;
        pack->byte_count += (uint64_t)st->st_size;
        if (pack->byte_count > PACK_UNPACKED_MAX)
                return err_set(err, ERR_TOO_LARGE, "the source exceeds the limit of %d MiB at '%s'",
                               PACK_UNPACKED_MAX >> 20, path);
        return ERR_OK;
}

static enum err_code write_header(struct pack *pack, const char *member, const char *path,
                                  const struct stat *st, struct err *err)
{
        __attribute__((cleanup(release_entry))) struct archive_entry *entry = archive_entry_new();

        if (entry == NULL)
                return err_nomem(err);
        archive_entry_set_pathname(entry, member);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, st->st_mode & 0777);
        archive_entry_set_mtime(entry, st->st_mtime, 0);
        archive_entry_set_size(entry, st->st_size);
        if (archive_write_header(pack->archive, entry) < ARCHIVE_WARN)
                return archive_failed(pack, path, err);
        return ERR_OK;
}

/* Exactly the bytes that the header announced: a file that changes meanwhile is an error, not a short member.
 */
static enum err_code copy_content(struct pack *pack, int fd, const char *path, uint64_t left, struct err *err)
{
        own_mem char *bytes = malloc(COPY_STEP);

        if (bytes == NULL)
                return err_nomem(err);
        while (left > 0) {
                ssize_t got = read(fd, bytes, left < COPY_STEP ? (size_t)left : (size_t)COPY_STEP);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return file_error(err, "read", path);
                if (got == 0)
                        return err_set(err, ERR_CONFLICT, "'%s' became shorter while it was packed", path);
                if (archive_write_data(pack->archive, bytes, (size_t)got) != got)
                        return archive_failed(pack, path, err);
                left -= (uint64_t)got;
        }
        return ERR_OK;
}

static enum err_code pack_file(struct pack *pack, int fd, const char *path, const char *member,
                               struct err *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return file_error(err, "stat", path);

        enum err_code code = count_file(pack, path, &st, err);
        if (code == ERR_OK)
                code = write_header(pack, member, path, &st, err);
        if (code == ERR_OK)
                code = copy_content(pack, fd, path, (uint64_t)st.st_size, err);
        return code;
}

/* The real path of a link, which must stay below the root. */
static enum err_code resolve_link(const struct pack *pack, const char *path, char real[PATH_MAX],
                                  struct err *err)
{
        size_t root_len = strlen(pack->root);

        if (realpath(path, real) == NULL)
                return file_error(err, "resolve the link", path);
        if (strcmp(pack->root, "/") == 0 || strcmp(real, pack->root) == 0 ||
            (strncmp(real, pack->root, root_len) == 0 && real[root_len] == '/'))
                return ERR_OK;
        return err_set(err, ERR_INVALID, "the link '%s' leads out of the source directory, to '%s'", path,
                       real);
}

static enum err_code pack_directory(struct pack *pack, const char *path, const char *member, struct err *err);

static enum err_code pack_entry(struct pack *pack, const char *path, const char *member, struct err *err)
{
        char real[PATH_MAX];
        const char *open_path = path;
        struct stat st;

        if (lstat(path, &st) < 0)
                return file_error(err, "stat", path);
        if (S_ISLNK(st.st_mode)) {
                enum err_code code = resolve_link(pack, path, real, err);
                if (code != ERR_OK)
                        return code;
                if (lstat(real, &st) < 0)
                        return file_error(err, "stat", real);
                open_path = real;
        }
        if (S_ISDIR(st.st_mode))
                return pack_directory(pack, path, member, err);
        if (!S_ISREG(st.st_mode))
                return ERR_OK; /* sockets, pipes and devices are no source */

        own_fd int fd = open(open_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return file_error(err, "open", path);
        return pack_file(pack, fd, path, member, err);
}

static int is_not_dots(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* By bytes, not by the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static enum err_code enter(struct pack *pack, const char *path, struct err *err)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return file_error(err, "stat", path);
        for (int i = 0; i < pack->depth; i++) {
                if (pack->open_dirs[i].device == st.st_dev && pack->open_dirs[i].inode == st.st_ino)
                        return err_set(err, ERR_INVALID,
                                       "the link '%s' leads to a directory that contains it", path);
        }
        if (pack->depth == PACK_DEPTH_MAX)
                return err_set(err, ERR_TOO_LARGE, "'%s' lies deeper than %d directories", path,
                               PACK_DEPTH_MAX);
        pack->open_dirs[pack->depth].device = st.st_dev;
        pack->open_dirs[pack->depth++].inode = st.st_ino;
        return ERR_OK;
}

static enum err_code pack_child(struct pack *pack, const char *directory, const char *member,
                                const char *name, struct err *err)
{
        char path[PATH_MAX], child_member[PATH_MAX];
        const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";

        if (snprintf(path, sizeof(path), "%s%s%s", directory, slash, name) >= (int)sizeof(path) ||
            snprintf(child_member, sizeof(child_member), "%s/%s", member, name) >= (int)sizeof(child_member))
                return err_set(err, ERR_INVALID, "the path of '%s' is longer than %d bytes", name, PATH_MAX);
        return pack_entry(pack, path, child_member, err);
}

static enum err_code pack_directory(struct pack *pack, const char *path, const char *member, struct err *err)
{
        struct dirent **entries = NULL;
        enum err_code code = enter(pack, path, err);
        int count;

        if (code != ERR_OK)
                return code;
        count = scandir(path, &entries, is_not_dots, by_name);
        if (count < 0)
                return file_error(err, "open", path);
        for (int i = 0; i < count; i++) {
                if (code == ERR_OK)
                        code = pack_child(pack, path, member, entries[i]->d_name, err);
                free(entries[i]);
        }
        free(entries);
        pack->depth--;
        return code;
}

static enum err_code pack_single(struct pack *pack, const char *path, struct err *err)
{
        const char *slash = strrchr(path, '/');
        char member[PATH_MAX];
        struct stat st;

        own_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return file_error(err, "open", path);
        if (fstat(fd, &st) < 0)
                return file_error(err, "stat", path);
        if (!S_ISREG(st.st_mode))
                return err_set(err, ERR_INVALID, "'%s' is neither a regular file nor a directory", path);
        if (snprintf(member, sizeof(member), "./%s", slash != NULL ? slash + 1 : path) >= (int)sizeof(member))
                return err_set(err, ERR_INVALID, "the path '%s' is too long", path);
        return pack_file(pack, fd, path, member, err);
}

enum err_code pack_is_directory(const char *path, bool *ret, struct err *err)
{
        struct stat st;

        if (stat(path, &st) < 0) {
                file_error(err, "stat", path);
                return err_wrap(err, ERR_SYSTEM, "failed to determine if path is dir: '%s'", path);
        }
        *ret = S_ISDIR(st.st_mode);
        return ERR_OK;
}

/* No time in the gzip header, so that packing twice gives the same bytes. */
static bool start_archive(struct pack *pack)
{
        struct archive *archive = pack->archive;

        return archive_write_add_filter_gzip(archive) == ARCHIVE_OK &&
               archive_write_set_format_ustar(archive) == ARCHIVE_OK &&
               archive_write_set_options(archive, "gzip:!timestamp") == ARCHIVE_OK &&
               archive_write_set_bytes_in_last_block(archive, 1) == ARCHIVE_OK &&
               archive_write_open(archive, pack, NULL, keep_bytes, NULL) == ARCHIVE_OK;
}

enum err_code pack_source(const char *path, struct buf *out, struct err *err)
{
        struct pack pack = {.out = out}; /* before the archive, which writes into it until it is freed */
        __attribute__((cleanup(release_archive))) struct archive *archive = archive_write_new();
        bool directory;
        enum err_code code = pack_is_directory(path, &directory, err);

        if (code != ERR_OK)
                return code;
        if (archive == NULL)
                return err_nomem(err);
        pack.archive = archive;
        if (!start_archive(&pack))
                return archive_failed(&pack, path, err);
        if (directory && realpath(path, pack.root) == NULL)
                return file_error(err, "open", path);
        code = directory ? pack_directory(&pack, path, ".", err) : pack_single(&pack, path, err);
        if (code == ERR_OK && archive_write_close(archive) != ARCHIVE_OK)
                code = archive_failed(&pack, path, err);
        return code;
}
