/*
 * build/unpack.h: a source archive into a tree: tar (ustar, pax, GNU), plain or gzip'd (once), and zip.
 *
 * Regular files, folders, symbolic links that stay inside, hard links to earlier files. Anything else, and
 * any name that leads elsewhere, ends the unpacking with a text that names the member; what was written until
 * then stays and is the caller's to throw away. A member that comes twice counts as it comes last. Of its
 * metadata the time and the executable bit are kept. Needs a UTF-8 locale (LC_CTYPE) for names in pax
 * headers.
 */
#ifndef DISPATCH_BUILD_UNPACK_H
#define DISPATCH_BUILD_UNPACK_H

#include "build/tree.h"

/* Reads from the descriptor's beginning. ERR_INVALID: a wrong or empty archive; ERR_TOO_LARGE: past the
 * tree's bounds. */
enum err_code unpack_archive(int archive_fd, struct tree *tree, struct err *err);

#endif
