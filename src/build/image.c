/* build/image.c: copies single files from the host's root into the tree. */
#include "build/image.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void image_init(struct image *image, int host_fd, struct tree *tree)
{
        static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

        *image = (struct image){.host_fd = host_fd, .tree = tree};
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                struct image_merged merged = {.name = names[i]};
                char target[sizeof(merged.target)];
                ssize_t len = readlinkat(host_fd, names[i], target, sizeof(target) - 1);

                if (len < 0) /* a folder, or nothing: then this one is not merged */
                        continue;
                target[len] = '\0';
                snprintf(merged.target, sizeof(merged.target), "%s", target + strspn(target, "/"));
                if (strncmp(merged.target, "usr/", 4) == 0)
                        image->merged[image->merged_count++] = merged;
        }
}

enum err_code image_merge(struct image *image, struct err *err)
{
        for (size_t i = 0; i < image->merged_count; i++) {
                const struct image_merged *merged = &image->merged[i];
                enum err_code code;

                if (faccessat(image->tree->root_fd, merged->target, F_OK, 0) < 0)
                        continue;
                code = tree_symlink(image->tree, merged->name, merged->target, err);
                if (code != ERR_OK)
                        return err_wrap(err, code, "/%s", merged->name);
        }
        return ERR_OK;
}

enum err_code image_path(const struct image *image, const char *path, char out[PATH_MAX], struct err *err)
{
        char plain[PATH_MAX];
        enum err_code code;

        assert(path[0] == '/');
        while (*path == '/')
                path++;
        code = tree_path_clean(path, plain, err);
        if (code != ERR_OK)
                return code;
        for (size_t i = 0; i < image->merged_count; i++) {
                size_t len = strlen(image->merged[i].name);

                if (strncmp(plain, image->merged[i].name, len) != 0 || plain[len] != '/')
                        continue;
                if (strlen(image->merged[i].target) + strlen(plain + len) >= PATH_MAX)
                        return err_set(err, ERR_INVALID, "a path that is too long");
                memcpy(out, image->merged[i].target, strlen(image->merged[i].target));
                memcpy(out + strlen(image->merged[i].target), plain + len, strlen(plain + len) + 1);
                return ERR_OK;
        }
        memcpy(out, plain, strlen(plain) + 1);
        return ERR_OK;
}

static enum err_code copy_bytes(struct image *image, int from_fd, int to_fd, uint64_t size, struct err *err)
{
        enum err_code code = tree_reserve(image->tree, size, err);

        while (code == ERR_OK && size > 0) {
                ssize_t moved = sendfile(to_fd, from_fd, NULL, size);

                if (moved < 0 && errno == EINTR)
                        continue;
                if (moved < 0)
                        return err_disk(err, "copy");
                if (moved == 0)
                        return err_set(err, ERR_UNAVAILABLE,
                                       "it became shorter while it was copied: try again");
                size -= (uint64_t)moved;
        }
        return code;
}

static enum err_code copy_file(struct image *image, const char *from, const struct stat *st, const char *to,
                               struct err *err)
{
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
        own_fd int from_fd = openat(image->host_fd, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        own_fd int to_fd = -1;

        if (from_fd < 0 && (errno == EACCES || errno == EPERM)) {
                image->unreadable++;
                return ERR_OK;
        }
        if (from_fd < 0)
                return err_sys(err, "open");

        enum err_code code = tree_file(image->tree, to, (st->st_mode & 0111) != 0, &to_fd, err);

        if (code == ERR_OK)
                code = copy_bytes(image, from_fd, to_fd, (uint64_t)st->st_size, err);
        /* Bytecode names the time of its source: without it each start would compile again. */
        if (code == ERR_OK && futimens(to_fd, times) < 0)
                return err_sys(err, "set time");
        return code;
}

static enum err_code copy_link(struct image *image, const char *from, const char *to, struct err *err)
{
        char target[PATH_MAX];
        ssize_t len = readlinkat(image->host_fd, from, target, sizeof(target) - 1);

        if (len < 0)
                return err_sys(err, "read link");
        target[len] = '\0';
        return tree_symlink(image->tree, to, target, err);
}

enum err_code image_copy(struct image *image, const char *from, const char *to, struct err *err)
{
        char path[PATH_MAX];
        struct stat st;
        enum err_code code = image_path(image, to, path, err);

        if (code != ERR_OK)
                return code;
        while (*from == '/')
                from++;
        if (from[0] == '\0' || path[0] == '\0')
                return ERR_OK;
        if (fstatat(image->host_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
                        return ERR_OK;
                return err_sys(err, "look at '/%s'", from);
        }
        if (S_ISREG(st.st_mode))
                code = copy_file(image, from, &st, path, err);
        else if (S_ISLNK(st.st_mode))
                code = copy_link(image, from, path, err);
        return code == ERR_OK ? code : err_wrap(err, code, "'/%s'", from);
}

enum err_code image_write(struct image *image, const char *path, struct str content, struct err *err)
{
        static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 0}};
        char plain[PATH_MAX];
        own_fd int fd = -1;
        enum err_code code = image_path(image, path, plain, err);

        if (code == ERR_OK)
                code = tree_file(image->tree, plain, false, &fd, err);
        if (code == ERR_OK)
                code = tree_reserve(image->tree, content.len, err);
        if (code == ERR_OK)
                code = tree_write(fd, content.p, content.len, 0, err);
        if (code == ERR_OK && futimens(fd, times) < 0)
                code = err_sys(err, "set time");
        return code == ERR_OK ? code : err_wrap(err, code, "'%s'", path);
}

enum err_code image_link(struct image *image, const char *path, const char *target, struct err *err)
{
        char plain[PATH_MAX];
        enum err_code code = image_path(image, path, plain, err);

        if (code == ERR_OK)
                code = tree_symlink(image->tree, plain, target, err);
        return code == ERR_OK ? code : err_wrap(err, code, "'%s'", path);
}

enum err_code image_folder(struct image *image, const char *path, struct err *err)
{
        char plain[PATH_MAX];
        enum err_code code = image_path(image, path, plain, err);

        if (code == ERR_OK)
                code = tree_folder(image->tree, plain, err);
        return code == ERR_OK ? code : err_wrap(err, code, "'%s'", path);
}

bool image_has(const struct image *image, const char *path)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
        struct stat st;
        own_fd int fd = (int)syscall(SYS_openat2, image->tree->root_fd, path, &how, sizeof(how));

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}
