/*
 * cli/pack.h: a function's source as the server takes it (CONTRACT.md 2.4): a gzip stream of a ustar archive.
 *
 * Members are regular files only, "./sub/x.txt", sorted by name, with their mode and time but without owners,
 * so that the same source packs to the same bytes for everybody. A symbolic link is packed as what it points
 * to; one that leads out of the directory is an error that names it. Blocks.
 */
#ifndef DISPATCH_CLI_PACK_H
#define DISPATCH_CLI_PACK_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum {
        PACK_BYTES_MAX = 64 << 20,     /* packed */
        PACK_UNPACKED_MAX = 512 << 20, /* the files together */
        PACK_FILES_MAX = 20000,
        PACK_DEPTH_MAX = 64 /* directories within directories */
};

/* "failed to determine if path is dir: 'P': stat P: no such file or directory" */
enum err_code pack_is_directory(const char *path, bool *ret, struct err *err);

/* Appends the archive of a directory or a single file. out->max should be PACK_BYTES_MAX. */
enum err_code pack_source(const char *path, struct buf *out, struct err *err);

#endif
