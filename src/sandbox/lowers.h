/*
 * sandbox/lowers.h: overlays of open folders, by the calls that the kernel has. fsconfig takes folders one by
 * one (`lowerdir+`) in recent kernels, and in older ones no text that is longer than 255 bytes, which is 14
 * folders; mount(2) takes a page of options in all of them, but wants a folder to attach to.
 *
 * Only spawn calls this, which has one thread: the folder to attach to is used by one mount at a time.
 */
#ifndef DISPATCH_SANDBOX_LOWERS_H
#define DISPATCH_SANDBOX_LOWERS_H

#include "base/err.h"

#include <stddef.h>

struct lowers {
        const int *dir_fds;    /* lowest first; in the caller's mount namespace */
        size_t count;          /* 1 to MOUNTS_LAYERS_MAX; without an upper folder at least 2 */
        int upper_fd, work_fd; /* two empty folders on one file system; -1: the overlay is read-only */
        int where_fd;          /* a folder of the caller's in which one for a mount may be made and stays */
};

/* *ret_fd: a detached mount, without devices and setuid; nothing stays attached. An attribute
 * user.overlay.opaque counts. -1: errno and *ret_step, what was being done. */
int lowers_mount(const struct lowers *lowers, int *ret_fd, const char **ret_step);

#endif
