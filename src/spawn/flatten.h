/*
 * spawn/flatten.h: copies what a job with root rights wrote, the upper folder of an overlay, into a folder
 * that can be a layer.
 *
 * The source is hostile. Copied are folders, files with their holes and hard links, links, whiteouts (0:0
 * character devices) and the mark of an opaque folder. Left out is everything else: devices, sockets, pipes,
 * other attributes, setuid and setgid, owners. Everything becomes root's and readable by everybody: 0755 for
 * folders and programs, 0644 for other files. What a file or folder was, where that is not this, stays with
 * it as the attribute FLATTEN_OWNER, "UID:GID:MODE" as the job saw them (mode in octal), for who makes an
 * archive of the layer. Times of the build itself become FLATTEN_TIME: the same packages leave the same
 * layer.
 *
 * Nothing may change either folder meanwhile. Blocking: for a worker.
 */
#ifndef DISPATCH_SPAWN_FLATTEN_H
#define DISPATCH_SPAWN_FLATTEN_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FLATTEN_OWNER "user.dispatch.owner"

enum {
        FLATTEN_DEPTH_MAX = 128,
        FLATTEN_TIME = 315532800 /* 1980-01-01, the first that a zip file can hold */
};

struct flatten_rules {
        uid_t uid_first;    /* of the host: who was root in the job */
        uint32_t uid_count; /* ids of others are left out */
        uint64_t bytes_max; /* of all files, holes included */
        uint64_t files_max;
        time_t begun; /* times from then on are the build's own */
};

/* links_fd: an empty folder on the file system of to_fd, which is full of names afterwards. ERR_TOO_LARGE
 * past a bound, ERR_UNPROCESSABLE for what cannot be a layer, ERR_UNAVAILABLE without room. */
enum err_code flatten(int from_fd, int to_fd, int links_fd, const struct flatten_rules *rules,
                      struct err *err);

#endif
