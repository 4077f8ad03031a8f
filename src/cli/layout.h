/*
 * cli/layout.h: an OCI image layout as the server sends it, a tar, checked and put in its place. The server
 * is not trusted: only `oci-layout`, `index.json` and `blobs/sha256/HEX` may be in it, each blob must have
 * the digest that is its name, and what the index names must be there.
 */
#ifndef DISPATCH_CLI_LAYOUT_H
#define DISPATCH_CLI_LAYOUT_H

#include "base/err.h"

enum { LAYOUT_BLOBS_MAX = 1024, LAYOUT_DIGEST_MAX = 72, LAYOUT_DOCUMENT_MAX = 4 << 20 };

/*
 * Reads the tar from the descriptor's beginning. With dir_fd >= 0 its files are written into that folder,
 * which is empty. `digest` is the image's: that of the manifest. ERR_BAD_REPLY: it is no such layout, or
 * damaged; the other errors are of writing. Blocking.
 */
enum err_code layout_take(int tar_fd, int dir_fd, char digest[LAYOUT_DIGEST_MAX], struct err *err);

#endif
