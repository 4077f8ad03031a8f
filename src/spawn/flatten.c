/* spawn/flatten.c: a walk over two trees side by side, by descriptors; names are never joined to paths. */
#include "spawn/flatten.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { FOLDER_MODE = 0755, PROGRAM_MODE = 0755, FILE_MODE = 0644, ATTRIBUTE_MAX = 64 };

static const char *const opaque_attributes[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
enum { OPAQUE_NAMES = sizeof(opaque_attributes) / sizeof(opaque_attributes[0]) };

struct flattening {
        const struct flatten_rules *rules;
        int links_fd;
        uint64_t bytes, files;
        int depth;
};

/* One entry of the source, and where it goes. */
struct entry {
        int from_fd, to_fd; /* the folders */
        const char *name;
        struct stat status;
};

static enum err_code folder_copy(struct flattening *flattening, int from_fd, int to_fd, struct err *err);

static enum err_code counted(struct flattening *flattening, uint64_t bytes, struct err *err)
{
        const struct flatten_rules *rules = flattening->rules;

        if (++flattening->files > rules->files_max)
                return err_set(err, ERR_TOO_LARGE, "the layer would have more than %llu files",
                               (unsigned long long)rules->files_max);
        if (bytes > rules->bytes_max - flattening->bytes)
                return err_set(err, ERR_TOO_LARGE, "the layer would have more than %llu MiB of files",
                               (unsigned long long)(rules->bytes_max >> 20));
        flattening->bytes += bytes;
        return ERR_OK;
}

static uint32_t id_inside(const struct flatten_rules *rules, uint32_t id)
{
        uint32_t inside = id - rules->uid_first;

        return inside < rules->uid_count ? inside : 0;
}

/* Says on the copy what the original was. A file system without such attributes goes without. */
static enum err_code owner_note(const struct flattening *flattening, int fd, const struct stat *status,
                                mode_t flat, struct err *err)
{
        uint32_t uid = id_inside(flattening->rules, status->st_uid),
                 gid = id_inside(flattening->rules, status->st_gid);
        unsigned mode = status->st_mode & 07777U;
        char text[ATTRIBUTE_MAX];

        if (uid == 0 && gid == 0 && mode == flat)
                return ERR_OK;
        int len = snprintf(text, sizeof(text), "%u:%u:%o", (unsigned)uid, (unsigned)gid, mode);
        if (fsetxattr(fd, FLATTEN_OWNER, text, (size_t)len, 0) < 0 && errno != ENOTSUP)
                return err_disk(err, "note the owner of a file");
        return ERR_OK;
}

static enum err_code time_set(const struct flattening *flattening, int fd, const struct stat *status,
                              struct err *err)
{
        struct timespec times[2] = {{.tv_nsec = 0}, {.tv_sec = status->st_mtim.tv_sec}};

        if (times[1].tv_sec >= flattening->rules->begun || times[1].tv_sec < 0)
                times[1].tv_sec = FLATTEN_TIME;
        times[0] = times[1];
        return futimens(fd, times) == 0 ? ERR_OK : err_sys(err, "set the time of a file");
}

static enum err_code data_copy(int from_fd, int to_fd, off_t from, off_t to, struct err *err)
{
        if (lseek(to_fd, from, SEEK_SET) < 0)
                return err_sys(err, "seek");
        while (from < to) {
                ssize_t moved = sendfile(to_fd, from_fd, &from, (size_t)(to - from));
                if (moved < 0 && errno == EINTR)
                        continue;
                if (moved < 0)
                        return err_disk(err, "copy a file of the build");
                if (moved == 0)
                        break; /* it is what it is: the rest stays a hole */
        }
        return ERR_OK;
}

/* What lies between holes. */
static enum err_code content_copy(int from_fd, int to_fd, off_t size, struct err *err)
{
        off_t at = 0;

        while (at < size) {
                off_t data = lseek(from_fd, at, SEEK_DATA);
                if (data < 0 && errno == ENXIO)
                        break;
                off_t hole = data >= 0 ? lseek(from_fd, data, SEEK_HOLE) : -1;
                if (hole < 0)
                        return err_sys(err, "read a file of the build");
                enum err_code code = data_copy(from_fd, to_fd, data, hole < size ? hole : size, err);
                if (code != ERR_OK)
                        return code;
                at = hole;
        }
        return ftruncate(to_fd, size) == 0 ? ERR_OK : err_disk(err, "copy a file of the build");
}

static enum err_code file_make(struct flattening *flattening, const struct entry *entry, struct err *err)
{
        mode_t mode = (entry->status.st_mode & 0111) != 0 ? PROGRAM_MODE : FILE_MODE;
        enum err_code code = counted(flattening, (uint64_t)entry->status.st_size, err);

        if (code != ERR_OK)
                return code;
        own_fd int from_fd =
                openat(entry->from_fd, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (from_fd < 0)
                return err_sys(err, "open a file of the build");
        own_fd int to_fd = openat(entry->to_fd, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (to_fd < 0 || fchmod(to_fd, mode) < 0)
                return err_disk(err, "make a file of the layer");
        code = content_copy(from_fd, to_fd, entry->status.st_size, err);
        if (code == ERR_OK)
                code = owner_note(flattening, to_fd, &entry->status, mode, err);
        if (code == ERR_OK)
                code = time_set(flattening, to_fd, &entry->status, err);
        return code;
}

/* A file with several names is copied at the first, and kept by its inode's number for the others. */
static enum err_code file_copy(struct flattening *flattening, const struct entry *entry, struct err *err)
{
        char inode[24];

        if (entry->status.st_nlink == 1)
                return file_make(flattening, entry, err);
        snprintf(inode, sizeof(inode), "%llu", (unsigned long long)entry->status.st_ino);
        if (linkat(flattening->links_fd, inode, entry->to_fd, entry->name, 0) == 0)
                return counted(flattening, 0, err);
        if (errno != ENOENT)
                return err_disk(err, "make a second name of a file");
        enum err_code code = file_make(flattening, entry, err);
        if (code == ERR_OK && linkat(entry->to_fd, entry->name, flattening->links_fd, inode, 0) < 0)
                return err_disk(err, "make a second name of a file");
        return code;
}

static enum err_code link_copy(struct flattening *flattening, const struct entry *entry, struct err *err)
{
        char target[PATH_MAX];
        ssize_t len = readlinkat(entry->from_fd, entry->name, target, sizeof(target) - 1);
        struct timespec times[2] = {{.tv_sec = FLATTEN_TIME}, {.tv_sec = FLATTEN_TIME}};

        if (len < 0)
                return err_sys(err, "read a link of the build");
        target[len] = '\0';
        if (symlinkat(target, entry->to_fd, entry->name) < 0 ||
            utimensat(entry->to_fd, entry->name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return err_disk(err, "make a link of the layer");
        return counted(flattening, 0, err);
}

/* Other devices stay behind. */
static enum err_code device_copy(struct flattening *flattening, const struct entry *entry, struct err *err)
{
        struct timespec times[2] = {{.tv_sec = FLATTEN_TIME}, {.tv_sec = FLATTEN_TIME}};

        if (entry->status.st_rdev != makedev(0, 0))
                return ERR_OK;
        if (mknodat(entry->to_fd, entry->name, S_IFCHR | FILE_MODE, makedev(0, 0)) < 0 ||
            utimensat(entry->to_fd, entry->name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return err_disk(err, "make a whiteout of the layer");
        return counted(flattening, 0, err);
}

/* The overlay alone can have set it: who is in the sandbox may not. Two names: which is read depends on how
 * the layer is mounted. */
static enum err_code opaque_copy(int from_fd, int to_fd, struct err *err)
{
        char value[4];
        bool opaque = false;

        for (size_t i = 0; i < OPAQUE_NAMES; i++)
                opaque = opaque || (fgetxattr(from_fd, opaque_attributes[i], value, sizeof(value)) == 1 &&
                                    value[0] == 'y');
        for (size_t i = 0; opaque && i < OPAQUE_NAMES; i++) {
                if (fsetxattr(to_fd, opaque_attributes[i], "y", 1, 0) < 0)
                        return err_disk(err, "mark a folder as opaque");
        }
        return ERR_OK;
}

static enum err_code subfolder_copy(struct flattening *flattening, const struct entry *entry, struct err *err)
{
        enum err_code code = counted(flattening, 0, err);

        if (code != ERR_OK)
                return code;
        if (mkdirat(entry->to_fd, entry->name, FOLDER_MODE) < 0)
                return err_disk(err, "make a folder of the layer");
        own_fd int from_fd =
                openat(entry->from_fd, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_fd int to_fd = openat(entry->to_fd, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (from_fd < 0 || to_fd < 0 || fchmod(to_fd, FOLDER_MODE) < 0)
                return err_sys(err, "open a folder of the build");
        code = opaque_copy(from_fd, to_fd, err);
        if (code == ERR_OK)
                code = folder_copy(flattening, from_fd, to_fd, err);
        if (code == ERR_OK)
                code = owner_note(flattening, to_fd, &entry->status, FOLDER_MODE, err);
        if (code == ERR_OK)
                code = time_set(flattening, to_fd, &entry->status, err);
        return code;
}

static enum err_code entry_copy(struct flattening *flattening, struct entry *entry, struct err *err)
{
        if (fstatat(entry->from_fd, entry->name, &entry->status, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(err, "look at a file of the build");
        switch (entry->status.st_mode & S_IFMT) {
        case S_IFDIR:
                return subfolder_copy(flattening, entry, err);
        case S_IFREG:
                return file_copy(flattening, entry, err);
        case S_IFLNK:
                return link_copy(flattening, entry, err);
        case S_IFCHR:
                return device_copy(flattening, entry, err);
        default: /* pipes, sockets, disks */
                return ERR_OK;
        }
}

static enum err_code folder_copy(struct flattening *flattening, int from_fd, int to_fd, struct err *err)
{
        own_fd int fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *item;

        if (dir == NULL)
                return err_sys(err, "open a folder of the build");
        (void)take_fd(&fd);
        if (++flattening->depth > FLATTEN_DEPTH_MAX)
                return err_set(err, ERR_UNPROCESSABLE, "the build left folders %d deep", FLATTEN_DEPTH_MAX);
        errno = 0;
        while ((item = readdir(dir)) != NULL) {
                struct entry entry = {.from_fd = from_fd, .to_fd = to_fd, .name = item->d_name};
                if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
                        continue;
                enum err_code code = entry_copy(flattening, &entry, err);
                if (code != ERR_OK)
                        return code;
                errno = 0;
        }
        flattening->depth--;
        return errno == 0 ? ERR_OK : err_sys(err, "read a folder of the build");
}

enum err_code flatten(int from_fd, int to_fd, int links_fd, const struct flatten_rules *rules,
                      struct err *err)
{
        struct flattening flattening = {.rules = rules, .links_fd = links_fd};
        enum err_code code = folder_copy(&flattening, from_fd, to_fd, err);

        return code == ERR_OK || code == ERR_TOO_LARGE || code == ERR_UNPROCESSABLE
                       ? code
                       : err_wrap(err, code, "take over what was built");
}
