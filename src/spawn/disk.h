/*
 * spawn/disk.h: a bounded place for what a job with root rights writes: an ext4 of a fixed size and number of
 * files in a sparse file, on a loop device. The kernel alone writes its structures; a bound that is reached
 * is ENOSPC in the job, also for what was unlinked and is still open.
 *
 * It is attached in spawn's own mount namespace, so it is gone with spawn whatever happens.
 */
#ifndef DISPATCH_SPAWN_DISK_H
#define DISPATCH_SPAWN_DISK_H

#include "base/err.h"

#include <limits.h>
#include <stdint.h>

struct disk {
        char path[PATH_MAX - 64]; /* where it is attached; "": not */
};

/* file: the path of the sparse file, made and unlinked here. where: the folder to attach it at, made when
 * missing. Takes some 20 ms. ERR_UNAVAILABLE: the host has no loop devices, no mke2fs or no room. */
enum err_code disk_attach(const char *file, const char *where, uint64_t mib, uint64_t files, struct disk *ret,
                          struct err *err);
/* Takes a zeroed one. */
void disk_detach(struct disk *disk);

#endif
