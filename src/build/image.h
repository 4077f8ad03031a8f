/*
 * build/image.h: the root of a built-in base image while it is made: what is copied from the host and what is
 * written for it. The host is trusted (its packages are what the image consists of) but only what anybody may
 * read is taken.
 *
 * Paths are the host's, absolute, NUL-terminated. Where the host merged /bin, /lib and the like into /usr
 * (file-hierarchy(7)), the image does the same and a path through the old names means the one in /usr. A path
 * whose folder is a link on the host elsewhere is copied to where its path says.
 */
#ifndef DISPATCH_BUILD_IMAGE_H
#define DISPATCH_BUILD_IMAGE_H

#include "base/err.h"
#include "base/str.h"
#include "build/tree.h"

#include <stdbool.h>
#include <stdint.h>

enum { IMAGE_MERGED_MAX = 8 };

struct image_merged {
        const char *name; /* "lib64" */
        char target[64];  /* "usr/lib64" */
};

struct image {
        int host_fd; /* the host's root */
        struct tree *tree;
        uint64_t unreadable; /* files left out because this user may not read them */
        size_t merged_count;
        struct image_merged merged[IMAGE_MERGED_MAX];
};

/* Looks how the host's /usr is merged. Keeps the pointers. */
void image_init(struct image *image, int host_fd, struct tree *tree);
/* Makes the links of the merged /usr that lead to what is in the image; once everything else is there. */
enum err_code image_merge(struct image *image, struct err *err);

/* The path in the image, relative to its root. */
enum err_code image_path(const struct image *image, const char *path, char out[PATH_MAX], struct err *err);

/* Copies a file or link of the host from `from` to `to`; folders, and what is not there, are left out; so are
 * files that are not readable. The time is kept. */
enum err_code image_copy(struct image *image, const char *from, const char *to, struct err *err);
enum err_code image_write(struct image *image, const char *path, struct str content, struct err *err);
enum err_code image_link(struct image *image, const char *path, const char *target, struct err *err);
enum err_code image_folder(struct image *image, const char *path, struct err *err);

/* Is there a file in the image that this path leads to, as seen from inside? */
bool image_has(const struct image *image, const char *path);

#endif
