/*
 * build/tree.c: the one place of dispatch-build that creates anything. Folders are never removed or replaced,
 * so the descriptor of the last parent stays good and spares the walk for the next file beside it.
 */
#include "build/tree.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Up to this many entries each one is synced by itself; past it the whole file system is. */
enum { SYNC_EACH_MAX = 32 };

enum { FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

void tree_init(struct tree *tree, int root_fd, uint64_t bytes_max, uint64_t files_max)
{
        assert(root_fd >= 0);
        tree->root_fd = root_fd;
        tree->bytes_max = bytes_max;
        tree->files_max = files_max;
        tree->bytes = 0;
        tree->files = 0;
        tree->parent_fd = -1;
        tree->parent[0] = '\0';
}

void tree_finish(struct tree *tree)
{
        own_fd_release(&tree->parent_fd);
        tree->parent_fd = -1;
}

const char *tree_text(const char *name, char out[TREE_TEXT_MAX])
{
        size_t used = 0;

        for (; *name != '\0'; name++) {
                if (used + 1 + strlen("...") >= TREE_TEXT_MAX) {
                        memcpy(out + used, "...", 3);
                        used += 3;
                        break;
                }
                out[used++] = *name >= ' ' && *name <= '~' ? *name : '?';
        }
        out[used] = '\0';
        return out;
}

enum err_code tree_path_clean(const char *path, char out[PATH_MAX], struct err *err)
{
        char text[TREE_TEXT_MAX];
        size_t used = 0;
        int depth = 0;

        if (path[0] == '/')
                return err_set(err, ERR_INVALID, "'%s' is an absolute path", tree_text(path, text));
        while (*path != '\0') {
                size_t len = strcspn(path, "/");

                if (len == 2 && memcmp(path, "..", 2) == 0)
                        return err_set(err, ERR_INVALID, "a name with '..' in it");
                if (len > NAME_MAX)
                        return err_set(err, ERR_INVALID, "'%s': a name longer than %d bytes",
                                       tree_text(path, text), NAME_MAX);
                if (len > 0 && !(len == 1 && path[0] == '.')) {
                        if (used + len + 2 > PATH_MAX || ++depth > TREE_DEPTH_MAX)
                                return err_set(err, ERR_INVALID,
                                               "a path longer than %d bytes or %d folders deep", PATH_MAX - 1,
                                               TREE_DEPTH_MAX);
                        if (used > 0)
                                out[used++] = '/';
                        memcpy(out + used, path, len);
                        used += len;
                }
                path += len + (path[len] == '/');
        }
        out[used] = '\0';
        return ERR_OK;
}

static enum err_code count_entry(struct tree *tree, struct err *err)
{
        if (tree->files >= tree->files_max)
                return err_set(err, ERR_TOO_LARGE, "more than %llu files",
                               (unsigned long long)tree->files_max);
        tree->files++;
        return ERR_OK;
}

enum err_code tree_reserve(struct tree *tree, uint64_t bytes, struct err *err)
{
        if (bytes > tree->bytes_max - tree->bytes)
                return err_set(err, ERR_TOO_LARGE, "more than %llu MiB unpacked",
                               (unsigned long long)(tree->bytes_max >> 20));
        tree->bytes += bytes;
        return ERR_OK;
}

/* Why `name` could not be opened as a folder. */
static enum err_code not_a_folder(int dir_fd, const char *name, struct err *err)
{
        char text[TREE_TEXT_MAX];
        struct stat st;
        int saved = errno;

        if ((saved == ENOTDIR || saved == ELOOP) && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return err_set(err, ERR_INVALID,
                               S_ISLNK(st.st_mode) ? "it would be written through the link '%s'"
                                                   : "'%s' is a file, not a folder",
                               tree_text(name, text));
        errno = saved;
        return err_sys(err, "open folder '%s'", tree_text(name, text));
}

static bool is_whiteout(int dir_fd, const char *name)
{
        struct stat st;

        return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode);
}

/* overlayfs's: nothing of the same folder in lower layers is seen. */
static enum err_code opaque_set(int dir_fd, const char *name, struct err *err)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
                return err_disk(err, "mark a folder as opaque");
        return ERR_OK;
}

/* What was there below is gone, and a folder is in its place. */
static enum err_code whiteout_enter(int dir_fd, const char *name, int *ret_fd, struct err *err)
{
        if (unlinkat(dir_fd, name, 0) < 0 || mkdirat(dir_fd, name, 0755) < 0)
                return err_disk(err, "replace a whiteout by a folder");
        enum err_code code = opaque_set(dir_fd, name, err);
        if (code != ERR_OK)
                return code;
        *ret_fd = openat(dir_fd, name, FOLDER_FLAGS);
        return *ret_fd < 0 ? err_sys(err, "open a folder") : ERR_OK;
}

/* Opens the folder `name`, making it where it is missing. */
static enum err_code enter(struct tree *tree, int dir_fd, const char *name, int *ret_fd, struct err *err)
{
        char text[TREE_TEXT_MAX];
        int fd = openat(dir_fd, name, FOLDER_FLAGS);

        if (fd < 0 && errno == ENOENT) {
                if (count_entry(tree, err) != ERR_OK)
                        return ERR_TOO_LARGE;
                if (mkdirat(dir_fd, name, 0755) < 0)
                        return err_disk(err, "make folder '%s'", tree_text(name, text));
                fd = openat(dir_fd, name, FOLDER_FLAGS);
        }
        if (fd < 0 && errno == ENOTDIR && is_whiteout(dir_fd, name))
                return whiteout_enter(dir_fd, name, ret_fd, err);
        if (fd < 0)
                return not_a_folder(dir_fd, name, err);
        *ret_fd = fd;
        return ERR_OK;
}

/* Walks to the folder `path` ("" is the root) and keeps it as the parent. */
static enum err_code walk(struct tree *tree, const char *path, struct err *err)
{
        char parts[PATH_MAX];
        char *rest = parts;
        own_fd int fd = openat(tree->root_fd, ".", FOLDER_FLAGS);

        if (fd < 0)
                return err_sys(err, "open the folder");
        snprintf(parts, sizeof(parts), "%s", path);
        while (*rest != '\0') {
                char *name = rest;
                int next = -1;

                rest += strcspn(rest, "/");
                if (*rest == '/')
                        *rest++ = '\0';

                enum err_code code = enter(tree, fd, name, &next, err);

                if (code != ERR_OK)
                        return code;
                close(fd);
                fd = next;
        }
        own_fd_release(&tree->parent_fd);
        tree->parent_fd = take_fd(&fd);
        snprintf(tree->parent, sizeof(tree->parent), "%s", path);
        return ERR_OK;
}

/* Makes the folder that `path` lies in the tree's parent; *ret_name points to the last component. */
static enum err_code walk_to_parent(struct tree *tree, const char *path, const char **ret_name,
                                    struct err *err)
{
        const char *slash = strrchr(path, '/');
        size_t len = slash != NULL ? (size_t)(slash - path) : 0;
        char folder[PATH_MAX];

        assert(path[0] != '\0' && path[0] != '/');
        *ret_name = slash != NULL ? slash + 1 : path;
        if (tree->parent_fd >= 0 && strlen(tree->parent) == len && memcmp(tree->parent, path, len) == 0)
                return ERR_OK;
        memcpy(folder, path, len);
        folder[len] = '\0';
        return walk(tree, folder, err);
}

enum err_code tree_folder(struct tree *tree, const char *path, struct err *err)
{
        return walk(tree, path, err);
}

/* Clears the way for a new file or link: what has that name goes, unless it is a folder. */
static enum err_code make_room(struct tree *tree, const char *name, struct err *err)
{
        struct stat st;

        if (fstatat(tree->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? count_entry(tree, err) : err_sys(err, "look at what is there");
        if (S_ISDIR(st.st_mode))
                return err_set(err, ERR_INVALID, "a folder has this name already");
        if (unlinkat(tree->parent_fd, name, 0) < 0)
                return err_disk(err, "replace");
        return ERR_OK;
}

enum err_code tree_file(struct tree *tree, const char *path, bool executable, int *ret_fd, struct err *err)
{
        const char *name;
        enum err_code code = walk_to_parent(tree, path, &name, err);

        if (code == ERR_OK)
                code = make_room(tree, name, err);
        if (code != ERR_OK)
                return code;

        int fd = openat(tree->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        executable ? 0755 : 0644);

        if (fd < 0)
                return err_disk(err, "create");
        *ret_fd = fd;
        return ERR_OK;
}

enum err_code tree_symlink(struct tree *tree, const char *path, const char *target, struct err *err)
{
        const char *name;
        enum err_code code = walk_to_parent(tree, path, &name, err);

        if (code == ERR_OK)
                code = make_room(tree, name, err);
        if (code != ERR_OK)
                return code;
        if (symlinkat(target, tree->parent_fd, name) < 0)
                return err_disk(err, "make link");
        return ERR_OK;
}

enum err_code tree_folder_open(struct tree *tree, const char *path, int *ret_fd, struct err *err)
{
        enum err_code code = walk(tree, path, err);

        if (code != ERR_OK)
                return code;
        *ret_fd = openat(tree->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? err_sys(err, "open a folder") : ERR_OK;
}

/* One of a name that is there in this same layer says nothing of that (layer.md). */
enum err_code tree_whiteout(struct tree *tree, const char *path, struct err *err)
{
        const char *name;
        struct stat st;
        enum err_code code = walk_to_parent(tree, path, &name, err);

        if (code != ERR_OK)
                return code;
        if (fstatat(tree->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return S_ISDIR(st.st_mode) ? opaque_set(tree->parent_fd, name, err) : ERR_OK;
        code = make_room(tree, name, err);
        if (code == ERR_OK && mknodat(tree->parent_fd, name, S_IFCHR | 0644, 0) < 0)
                return err_disk(err, "make a whiteout");
        return code;
}

/* Opens the folder that an existing file lies in, without making anything or following a link. */
static enum err_code find_file(const struct tree *tree, const char *path, int *ret_fd, const char **ret_name,
                               struct err *err)
{
        struct open_how how = {.flags = FOLDER_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        char folder[PATH_MAX], text[TREE_TEXT_MAX];
        struct stat st;

        snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) : 1,
                 slash != NULL ? path : ".");

        own_fd int fd = (int)syscall(SYS_openat2, tree->root_fd, folder, &how, sizeof(how));

        if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_set(err, ERR_INVALID, "it links to '%s', which is no earlier file of the archive",
                               tree_text(path, text));
        if (!S_ISREG(st.st_mode))
                return err_set(err, ERR_INVALID, "it links to '%s', which is not a file",
                               tree_text(path, text));
        *ret_fd = take_fd(&fd);
        *ret_name = name;
        return ERR_OK;
}

enum err_code tree_hardlink(struct tree *tree, const char *path, const char *target, struct err *err)
{
        const char *name, *target_name;
        own_fd int fd = -1;
        enum err_code code;

        if (target[0] == '\0' || strcmp(path, target) == 0)
                return err_set(err, ERR_INVALID, "it links to itself");
        code = find_file(tree, target, &fd, &target_name, err);
        if (code == ERR_OK)
                code = walk_to_parent(tree, path, &name, err);
        if (code == ERR_OK)
                code = make_room(tree, name, err);
        if (code != ERR_OK)
                return code;
        if (linkat(fd, target_name, tree->parent_fd, name, 0) < 0)
                return err_disk(err, "make hard link");
        return ERR_OK;
}

enum err_code tree_write(int fd, const void *bytes, size_t len, uint64_t offset, struct err *err)
{
        const char *p = bytes;

        while (len > 0) {
                ssize_t wrote = pwrite(fd, p, len, (off_t)offset);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return err_disk(err, "write");
                p += wrote;
                offset += (uint64_t)wrote;
                len -= (size_t)wrote;
        }
        return ERR_OK;
}

enum err_code tree_link_check(const struct tree *tree, const char *path, struct err *err)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
        own_fd int fd = (int)syscall(SYS_openat2, tree->root_fd, path, &how, sizeof(how));

        if (fd >= 0 || errno == ENOENT || errno == ELOOP || errno == ENOTDIR || errno == ENAMETOOLONG)
                return ERR_OK;
        if (errno == EXDEV)
                return err_set(err, ERR_INVALID, "it links to a place outside the archive");
        return err_sys(err, "look where it links to");
}

static enum err_code sync_fd(int fd, struct err *err)
{
        return fsync(fd) < 0 ? err_disk(err, "fsync") : ERR_OK;
}

/* Syncs the folder and what is in it; only ever called for trees of a few entries. */
static enum err_code sync_folder(int folder_fd, struct err *err)
{
        own_fd int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return err_sys(err, "open folder");
        (void)take_fd(&fd);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                enum err_code code = ERR_OK;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                own_fd int child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0 && errno == ELOOP)
                        continue; /* a link lives in its folder */
                if (child < 0)
                        return err_sys(err, "open '%s'", entry->d_name);
                code = entry->d_type == DT_DIR ? sync_folder(child, err) : sync_fd(child, err);
                if (code != ERR_OK)
                        return code;
        }
        return sync_fd(dirfd(dir), err);
}

enum err_code tree_sync(const struct tree *tree, struct err *err)
{
        if (tree->files <= SYNC_EACH_MAX)
                return sync_folder(tree->root_fd, err);
        if (syncfs(tree->root_fd) < 0)
                return err_disk(err, "syncfs");
        return ERR_OK;
}
