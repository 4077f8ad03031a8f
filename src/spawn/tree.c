/*
 * spawn/tree.c: removes a tree of any depth with two descriptors.
 *
 * A folder inside the one at hand is not descended into but moved up, beside it, and removed in its turn: so
 * the walk is a loop over one flat folder, and neither a path nor a stack grows with what somebody built.
 */
#include "spawn/tree.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Names that the moved folders get; no layer or staging folder begins with a dot. */
static enum err_code folder_move_up(int from_fd, const char *name, int to_fd, unsigned *number,
                                    struct err *err)
{
        char moved[32];

        for (;;) {
                snprintf(moved, sizeof(moved), ".moved-%u", (*number)++);
                /* EEXIST or ENOTEMPTY: left by a removal that was interrupted. */
                if (renameat2(from_fd, name, to_fd, moved, RENAME_NOREPLACE) == 0)
                        return ERR_OK;
                if (errno != EEXIST)
                        return err_sys(err, "move a folder to be removed");
        }
}

static bool entry_is_folder(int dir_fd, const struct dirent *entry)
{
        struct stat status;

        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
        return fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* Empties one folder; the folders in it go beside it. */
static enum err_code folder_flatten(int dir_fd, const char *name, unsigned *number, struct err *err)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (dir == NULL)
                return err_sys(err, "open a folder to be removed");
        int opened = take_fd(&fd);
        while ((entry = readdir(dir)) != NULL) {
                enum err_code code = ERR_OK;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (entry_is_folder(opened, entry))
                        code = folder_move_up(opened, entry->d_name, dir_fd, number, err);
                else if (unlinkat(opened, entry->d_name, 0) < 0)
                        code = err_sys(err, "remove a file");
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* Finds one folder that was moved up. False: there is none left. */
static bool moved_find(int dir_fd, char *out, size_t size)
{
        own_fd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (dir == NULL)
                return false;
        (void)take_fd(&fd);
        while ((entry = readdir(dir)) != NULL) {
                if (strncmp(entry->d_name, ".moved-", 7) == 0) {
                        snprintf(out, size, "%s", entry->d_name);
                        return true;
                }
        }
        return false;
}

static enum err_code folder_remove(int dir_fd, const char *name, unsigned *number, struct err *err)
{
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                return ERR_OK;
        if (errno == ENOTDIR)
                return unlinkat(dir_fd, name, 0) == 0 ? ERR_OK : err_sys(err, "remove '%s'", name);
        if (errno != ENOTEMPTY && errno != EEXIST)
                return err_sys(err, "remove '%s'", name);
        enum err_code code = folder_flatten(dir_fd, name, number, err);
        if (code != ERR_OK)
                return code;
        return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ? ERR_OK : err_sys(err, "remove '%s'", name);
}

enum err_code tree_remove(int dir_fd, const char *name, struct err *err)
{
        char moved[256];
        unsigned number = 0;
        enum err_code code = folder_remove(dir_fd, name, &number, err);

        while (code == ERR_OK && moved_find(dir_fd, moved, sizeof(moved)))
                code = folder_remove(dir_fd, moved, &number, err);
        return code;
}
