/* build/inside_tidy.c: walks a folder three ways. The programs that filled it are gone, but for measuring. */
#include "build/inside_tidy.h"

#include "base/own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_dots(const char *name)
{
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes the descriptor over. */
static DIR *folder_list(int fd)
{
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL && fd >= 0)
                close(fd);
        return dir;
}

static int folder_open(int dir_fd, const char *name)
{
        return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static enum err_code tidy_entry(struct tree *tree, int dir_fd, const char *name, int depth, struct err *err);

static enum err_code tidy_folder(struct tree *tree, int fd, int depth, struct err *err)
{
        own_dir DIR *dir = folder_list(fd);
        enum err_code code = ERR_OK;

        if (dir == NULL)
                return err_sys(err, "list a folder");
        for (struct dirent *entry; code == ERR_OK && (entry = readdir(dir)) != NULL;) {
                if (!is_dots(entry->d_name))
                        code = tidy_entry(tree, dirfd(dir), entry->d_name, depth, err);
        }
        return code;
}

static enum err_code mode_set(int dir_fd, const char *name, mode_t mode, mode_t wanted, struct err *err)
{
        char text[TREE_TEXT_MAX];

        if ((mode & 07777) != wanted && fchmodat(dir_fd, name, wanted, 0) < 0)
                return err_sys(err, "set the mode of '%s'", tree_text(name, text));
        return ERR_OK;
}

static enum err_code tidy_entry(struct tree *tree, int dir_fd, const char *name, int depth, struct err *err)
{
        char text[TREE_TEXT_MAX];
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(err, "look at '%s'", tree_text(name, text));
        if (++tree->files > tree->files_max)
                return err_set(err, ERR_TOO_LARGE, "more than %llu files",
                               (unsigned long long)tree->files_max);
        if (S_ISLNK(st.st_mode))
                return ERR_OK;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return err_set(err, ERR_INVALID, "'%s' is no file, folder or link", tree_text(name, text));

        bool executable = S_ISDIR(st.st_mode) || (st.st_mode & 0111) != 0;
        enum err_code code = mode_set(dir_fd, name, st.st_mode, executable ? 0755 : 0644, err);

        if (code == ERR_OK && S_ISREG(st.st_mode))
                return tree_reserve(tree, (uint64_t)st.st_size, err);
        if (code != ERR_OK)
                return code;
        if (depth == TREE_DEPTH_MAX)
                return err_set(err, ERR_TOO_LARGE, "folders more than %d deep", TREE_DEPTH_MAX);
        int fd = folder_open(dir_fd, name);
        if (fd < 0)
                return err_sys(err, "open '%s'", tree_text(name, text));
        return tidy_folder(tree, fd, depth + 1, err);
}

enum err_code inside_tidy(struct tree *tree, struct err *err)
{
        int fd = folder_open(tree->root_fd, ".");

        if (fd < 0)
                return err_sys(err, "open the folder");
        tree->bytes = tree->files = 0;
        return tidy_folder(tree, fd, 1, err);
}

struct measure {
        uint64_t bytes, files, bytes_max, files_max;
};

static void measure_folder(struct measure *measure, int fd, int depth)
{
        own_dir DIR *dir = folder_list(fd);
        struct stat st;

        if (dir == NULL)
                return;
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (is_dots(entry->d_name) ||
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                measure->files++;
                measure->bytes += (uint64_t)st.st_blocks * 512;
                if (measure->files > measure->files_max || measure->bytes > measure->bytes_max)
                        return;
                if (S_ISDIR(st.st_mode) && depth < TREE_DEPTH_MAX)
                        measure_folder(measure, folder_open(dirfd(dir), entry->d_name), depth + 1);
        }
}

void inside_measure(int root_fd, uint64_t bytes_max, uint64_t files_max, uint64_t *bytes, uint64_t *files)
{
        struct measure measure = {.bytes_max = bytes_max, .files_max = files_max};

        measure_folder(&measure, folder_open(root_fd, "."), 1);
        *bytes = measure.bytes;
        *files = measure.files;
}

static enum err_code remove_entry(int dir_fd, const char *name, int depth, struct err *err)
{
        char text[TREE_TEXT_MAX];
        enum err_code code = ERR_OK;

        if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
                return ERR_OK;
        if (errno != EISDIR && errno != EPERM)
                return err_sys(err, "remove '%s'", tree_text(name, text));
        /* A folder may have lost its owner's rights. */
        if (fchmodat(dir_fd, name, 0700, 0) < 0)
                return err_sys(err, "remove '%s'", tree_text(name, text));
        own_dir DIR *dir = depth < TREE_DEPTH_MAX ? folder_list(folder_open(dir_fd, name)) : NULL;
        if (dir == NULL)
                return err_sys(err, "open '%s'", tree_text(name, text));
        for (struct dirent *entry; code == ERR_OK && (entry = readdir(dir)) != NULL;) {
                if (!is_dots(entry->d_name))
                        code = remove_entry(dirfd(dir), entry->d_name, depth + 1, err);
        }
        if (code == ERR_OK && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
                return err_sys(err, "remove '%s'", tree_text(name, text));
        return code;
}

enum err_code inside_remove(int root_fd, const char *name, struct err *err)
{
        return remove_entry(root_fd, name, 1, err);
}
