/*
 * spawn/rootjob.h: what a build job that is root of a range of user ids has beside others: the range, a
 * bounded disk for what it writes, and an image that it may write to.
 *
 *   DIR/mnt/disk-N           its disk, attached there while it runs
 *   DIR/mnt/disk-N/upper     what it wrote, which becomes the layer (flatten.h)
 *   DIR/mnt/disk-N/work      overlayfs's own
 */
#ifndef DISPATCH_SPAWN_ROOTJOB_H
#define DISPATCH_SPAWN_ROOTJOB_H

#include "base/err.h"
#include "spawn/disk.h"
#include "spawn/flatten.h"
#include "spawn/worker.h"

#include <stdbool.h>
#include <stddef.h>

struct spawn;

struct rootjob {
        bool open;
        unsigned slot; /* of the ranges */
        uid_t uid;     /* its root, of the host */
        struct disk disk;
        struct flatten_rules rules;
};

/* staging: the job's folder there, by name. ERR_LIMIT: both ranges are in use. */
enum err_code rootjob_open(struct spawn *spawn, const char *staging, uint32_t disk_mib, uint32_t files_max,
                           struct rootjob *ret, struct err *err);
/* Once its sandbox is gone. Takes a zeroed one, and one that was closed. */
void rootjob_close(struct spawn *spawn, struct rootjob *job);

/* The image as a root that it may write to, a detached mount. */
enum err_code rootjob_image_open(struct spawn *spawn, const struct rootjob *job, const int *layer_fds,
                                 size_t layer_count, int *ret_fd, struct err *err);
/* The folder of what it wrote alone, writable, as a detached mount. */
enum err_code rootjob_out_open(const struct rootjob *job, int *ret_fd, struct err *err);

/* A worker's task (task->rootjob): copies what it wrote into a layer, and puts that in its place. */
enum err_code rootjob_commit(const struct worker_task *task, struct err *err);

#endif
