/*
 * spawn/state.h: the state directory: its lock and its folders.
 *
 *   DIR            0711 root
 *   DIR/lock       held as long as spawn or a server of it runs; in it the generation of the last server
 *   DIR/cgroups    where its cgroups stand (sandbox/cgroup.h)
 *   DIR/network    there while the kernel has something of its sandboxes' networks
 *   DIR/server     0700 the server's user: all that is the server's
 *   DIR/layers     0700 root: one folder a layer
 *   DIR/staging    0700 root: layers being made (job-N) or removed (drop-N)
 *   DIR/blobs      0711 root: one folder an organization, of its images' compressed layers by SHA-256
 *   DIR/points     root: the highest layer of roots that were not made here (spawn/root.h)
 *   DIR/mnt        0700 root: where spawn attaches its mounts, in its own mount namespace
 */
#ifndef DISPATCH_SPAWN_STATE_H
#define DISPATCH_SPAWN_STATE_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum {
        /* User ids of sandboxes: each state directory has a block of its own, so that servers beside each
           other do not share any. */
        STATE_UID_FIRST = 0x70000000,
        STATE_UID_BLOCK = 0x10000,
        STATE_ROOT_JOBS = 2, /* whole blocks behind it, for jobs that are root of a range of ids */
        STATE_UID_GROUP = STATE_UID_BLOCK * (1 + STATE_ROOT_JOBS),
        STATE_UID_GROUPS = 0x554, /* up to 0x7ffc0000: what is above has other uses */
        STATE_JOB_UIDS = 0x100,   /* the last of a block are the build jobs': layers keep them as owner */
        STATE_DNS_UID = STATE_JOB_UIDS - 1 /* of these, dispatch-dns's */
};
enum { STATE_ID_RESERVED = 63200, STATE_CGROUP_NAME_MAX = 32 };

struct state {
        char *path; /* absolute, without links */
        int fd;
        int lock_fd;
        int server_fd, layers_fd, staging_fd, mnt_fd;
        int blobs_fd;
        int points_fd; /* spawn/root.h */
        uid_t uid;     /* the server's user */
        gid_t gid;
        uid_t sandbox_uid_first; /* of the instances, one each */
        uid_t job_uid_first;     /* of the build jobs */
        uid_t root_uid_first;    /* of STATE_ROOT_JOBS blocks of STATE_UID_BLOCK ids */
        uint64_t next_drop;
};

/* user: a name, or a number. A name that does not exist is the reserved id; a number is its own group unless
 * the user database says otherwise. */
enum err_code state_user_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err);

/* Makes what is missing. ERR_CONFLICT: another server runs on it. After sandbox_host_enter. */
enum err_code state_open(const char *path, uid_t uid, gid_t gid, struct state *ret, struct err *err);
void state_finish(struct state *state);

/*
 * A generation that no server on this state directory has had: what an older one accepted is known as such.
 * After a power cut the file may be an old one; the clock has moved on by then.
 */
enum err_code state_generation_next(struct state *state, uint32_t *ret, struct err *err);

/* "dispatch-" and a hash of the path. */
void state_cgroup_name(const struct state *state, char out[STATE_CGROUP_NAME_MAX]);

/* Gives a folder of layers or staging to the remover (a name drop-N). */
enum err_code state_discard(struct state *state, int dir_fd, const char *name, struct err *err);
/* Gives all that an older spawn left in staging to the remover. */
enum err_code state_discard_leftovers(struct state *state, struct err *err);
/* Removes everything that was given to the remover. Blocks: for a worker. */
enum err_code state_discarded_remove(int staging_fd, struct err *err);

#endif
