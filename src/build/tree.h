/*
 * build/tree.h: writes files, folders and links below one folder, and nowhere else, whatever the names say.
 *
 * A path is taken apart here and walked component by component with O_NOFOLLOW, so a link that was written
 * before cannot lead a later write elsewhere. What is written counts against two bounds. Modes are 0755 for
 * folders, 0755 or 0644 for files; the process's umask must let these through. Not thread-safe; blocking.
 */
#ifndef DISPATCH_BUILD_TREE_H
#define DISPATCH_BUILD_TREE_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
        TREE_DEPTH_MAX = 128, /* components of a path */
        TREE_TEXT_MAX = 128   /* of a name in an error's text, with its NUL */
};

struct tree {
        int root_fd; /* the caller's */
        uint64_t bytes_max;
        uint64_t files_max; /* files, folders and links together */
        uint64_t bytes;     /* of all files that were written, holes included */
        uint64_t files;
        int parent_fd; /* the folder that was used last, and its path */
        char parent[PATH_MAX];
};

void tree_init(struct tree *tree, int root_fd, uint64_t bytes_max, uint64_t files_max);
void tree_finish(struct tree *tree);

/* The path in its plain form, without leading "./", doubled slashes, "." and a slash at the end; "" for the
 * folder itself. ERR_INVALID: absolute, "..", too long (PATH_MAX, NAME_MAX a component) or too deep. */
enum err_code tree_path_clean(const char *path, char out[PATH_MAX], struct err *err);

/* All paths below are plain. Folders that are missing on the way are made. */

/* A folder that is there already is fine. */
enum err_code tree_folder(struct tree *tree, const char *path, struct err *err);
/* A new, empty file, open for writing; the caller closes it. A file or link of that name is replaced (in an
 * archive the last one counts), a folder is not. */
enum err_code tree_file(struct tree *tree, const char *path, bool executable, int *ret_fd, struct err *err);
enum err_code tree_symlink(struct tree *tree, const char *path, const char *target, struct err *err);
/* The same, and it is opened for reading. */
enum err_code tree_folder_open(struct tree *tree, const char *path, int *ret_fd, struct err *err);
/* A character device 0:0: in a layer of overlayfs, what is below it is hidden. A folder that is there, or
 * comes later, is marked as opaque instead; a file hides it by itself. */
enum err_code tree_whiteout(struct tree *tree, const char *path, struct err *err);
/* A second name for a regular file of this tree. */
enum err_code tree_hardlink(struct tree *tree, const char *path, const char *target, struct err *err);

/* Counts bytes that are about to be written. ERR_TOO_LARGE past the bound, and then nothing is counted. */
enum err_code tree_reserve(struct tree *tree, uint64_t bytes, struct err *err);
enum err_code tree_write(int fd, const void *bytes, size_t len, uint64_t offset, struct err *err);

/* ERR_INVALID unless what the link at `path` leads to lies in this tree, or nowhere. */
enum err_code tree_link_check(const struct tree *tree, const char *path, struct err *err);

/* Everything that was written is on the disk when this returns. */
enum err_code tree_sync(const struct tree *tree, struct err *err);

/* A name from outside for an error's text: printable, cut with "..." */
const char *tree_text(const char *name, char out[TREE_TEXT_MAX]);

#endif
