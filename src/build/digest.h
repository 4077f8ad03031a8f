/*
 * build/digest.h: the digest of a tree, by which a layer is named: SHA-256 over every entry in the order of
 * the names, each folder's before what is in it, as "TYPE MODE PATH NUL" and, for a file, "SIZE NUL" with its
 * content, for a link its target and a NUL. Times and owners do not count. Blocking.
 */
#ifndef DISPATCH_BUILD_DIGEST_H
#define DISPATCH_BUILD_DIGEST_H

#include "base/err.h"

enum { DIGEST_HEX_LEN = 64 /* without its NUL */ };

/* Files, folders and links only: anything else is ERR_INVALID. */
enum err_code digest_tree(int root_fd, char out[DIGEST_HEX_LEN + 1], struct err *err);

#endif
