/*
 * build/member.h: the content of a member of an archive, from libarchive's reader into a file of a tree.
 */
#ifndef DISPATCH_BUILD_MEMBER_H
#define DISPATCH_BUILD_MEMBER_H

#include "build/tree.h"

#include <archive.h>
#include <archive_entry.h>

/* A sane time: archives carry negative and far ones. */
enum err_code member_time(int fd, struct archive_entry *entry, struct err *err);

/* Holes stay holes, and count against the tree's bounds like what is written. *ret_whole is false when the
 * archive's reader failed; then archive_error_string says why. An archive that ends in the middle of a member
 * may read as one that is padded: whoever padded it has to know. */
enum err_code member_data(struct archive *archive, struct archive_entry *entry, struct tree *tree, int fd,
                          bool *ret_whole, struct err *err);

#endif
