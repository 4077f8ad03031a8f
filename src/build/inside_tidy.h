/*
 * build/inside_tidy.h: makes a layer of a folder that somebody else's programs have filled: nothing in it but
 * files, folders and links, everything readable by everybody, no setuid or setgid, within bounds.
 */
#ifndef DISPATCH_BUILD_INSIDE_TIDY_H
#define DISPATCH_BUILD_INSIDE_TIDY_H

#include "build/tree.h"

/* Counts into the tree. ERR_TOO_LARGE past its bounds, ERR_INVALID: something that is none of the three. */
enum err_code inside_tidy(struct tree *tree, struct err *err);

/* Bytes on the disk and number of entries below a folder, while it changes: what cannot be looked at does not
 * count. Stops counting past the bounds. */
void inside_measure(int root_fd, uint64_t bytes_max, uint64_t files_max, uint64_t *bytes, uint64_t *files);

/* Removes a folder of the tree and all in it. */
enum err_code inside_remove(int root_fd, const char *name, struct err *err);

#endif
