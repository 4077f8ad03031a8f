/*
 * sandbox/overlay.h: a writable root for a job that is root of a range of user ids: an overlay whose lower
 * folders are layers, seen as that root's own (idmapped mounts, Linux 5.19), and whose upper folder takes
 * what is written, with the range's ids as owners.
 *
 * The overlay keeps to what a layer may hold: no redirects, no metadata-only copies, no index.
 */
#ifndef DISPATCH_SANDBOX_OVERLAY_H
#define DISPATCH_SANDBOX_OVERLAY_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

struct overlay_spec {
        const int *layer_fds; /* lowest first */
        size_t layer_count;   /* 1 to MOUNTS_LAYERS_MAX */
        const char *upper,
                *work;     /* absolute paths of two empty folders on one file system; upper is the root's */
        const char *where; /* an absolute path below which folders for mounts may be made */
        uid_t root;        /* of the host; 65536 ids from there on are the job's */
};

/* A detached mount, the caller's. ERR_UNAVAILABLE: the kernel or the file system of the layers cannot; the
 * text says which. */
enum err_code overlay_open_writable(const struct overlay_spec *spec, int *ret_fd, struct err *err);

#endif
