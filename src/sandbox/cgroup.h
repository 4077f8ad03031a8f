/*
 * sandbox/cgroup.h: limits and measures of a sandbox, in a tree dispatch-HASH/org-NAME/fn-NAME/i-NUMBER (the
 * prefixes keep a function called "tasks" apart from the kernel's file of that name). One interface, two
 * implementations: the unified hierarchy (v2), and one hierarchy a controller (v1). A host that has both has
 * its controllers in one of them; that one is used.
 *
 * The tree stands below this process's own cgroup, so that limits set on the service hold for the functions
 * too. Where it stands is written to a file in the state directory, for the process that clears up after this
 * one. Nothing here blocks for long; removal is retried, off the path, by cgroup_sweep.
 */
#ifndef DISPATCH_SANDBOX_CGROUP_H
#define DISPATCH_SANDBOX_CGROUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_limits {
        uint64_t memory_bytes; /* swap is off */
        uint32_t cpu_millicores;
        uint32_t pids_max;
};

struct cgroup_usage {
        uint32_t oom_kills;
        uint32_t pids_refused;
        uint64_t cpu_us; /* 0: the host does not measure it */
        uint64_t memory_peak_bytes;
};

struct cgroup_tree;
struct cgroup;

/*
 * Makes the tree `name` ("dispatch-" and a hash), after clearing what an older process left of it: its
 * processes are killed, and waited for. record_fd is the state directory, where the file "cgroups" is kept.
 * ERR_UNAVAILABLE: a controller is missing; the text says which, and what to do.
 */
enum err_code cgroup_tree_create(int record_fd, const char *name, struct cgroup_tree **ret, struct err *err);
/* Kills what is left in it, removes it and the record. NULL is fine. */
void cgroup_tree_destroy(struct cgroup_tree *tree);
unsigned cgroup_tree_version(const struct cgroup_tree *tree);

struct quota;
/* What each organization may have together (wire/quota.h); kept. Holds for folders of organizations made from
 * now on. */
void cgroup_tree_quotas(struct cgroup_tree *tree, const struct quota *quotas, size_t count);

/* Organization and function are valid names of a frame. */
enum err_code cgroup_create(struct cgroup_tree *tree, const char *organization, const char *function,
                            const struct cgroup_limits *limits, struct cgroup **ret, struct err *err);

/* For CLONE_INTO_CGROUP; -1 where that does not apply: then cgroup_enter, in the new process. */
int cgroup_clone_fd(const struct cgroup *cgroup);
/* This process, of one thread, enters. A thread that moves itself need not wait until no process of the host
 * forks or ends, which takes the kernel 10 ms and more and stops all others that fork meanwhile. Allocates
 * nothing; reports by errno. */
int cgroup_enter(const struct cgroup *cgroup);

/* The N of its folder i-N; 0 for NULL. */
uint64_t cgroup_number_of(const struct cgroup *cgroup);
/* Stops its processes, and all that they fork, or lets them go on; NULL is fine. Where the host cannot (the
 * first version without its controller) nothing happens. Nothing waits until all of them have stopped. */
void cgroup_freeze(struct cgroup *cgroup, bool freeze);

/* A descriptor of the tree's folder in the hierarchy that measures "memory" or "cpu", the tree's; -1: none.
 */
int cgroup_tree_fd(const struct cgroup_tree *tree, const char *measure);
enum { CGROUP_ENTRIES_MAX = 6 };

/* The files by which a process without rights enters, one that writes "0" into each: opened for writing, the
 * caller's. It takes the group's process limit like a fork. */
enum err_code cgroup_entries_open(const struct cgroup *cgroup, int fds[CGROUP_ENTRIES_MAX], size_t *ret_count,
                                  struct err *err);

/*
 * Its processes become somebody else's: other limits hold, and what it has used and failed so far does not
 * count any more (of the peak of its memory: where the host lets us, which is cgroup v1). It stays where it
 * is: to move a process that runs takes the kernel 10 ms and more a hierarchy, and leaves its memory charged
 * to where it was.
 */
enum err_code cgroup_claim(struct cgroup *cgroup, const struct cgroup_limits *limits, struct err *err);

/* A measure that cannot be read is 0. */
void cgroup_usage(const struct cgroup *cgroup, struct cgroup_usage *ret);

/* Hands the cgroup back: it is removed by a later sweep, its empty parents with it. NULL is fine. */
void cgroup_release(struct cgroup *cgroup);

/* Removes at most `max` released cgroups; returns how many still wait. A removal may take milliseconds. */
size_t cgroup_sweep(struct cgroup_tree *tree, size_t max);

#endif
