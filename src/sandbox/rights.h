/*
 * sandbox/rights.h: gives up what a process started as root may do. Each step is for good.
 *
 * Everything here runs between fork and exec; it allocates nothing and reports by errno.
 */
#ifndef DISPATCH_SANDBOX_RIGHTS_H
#define DISPATCH_SANDBOX_RIGHTS_H

#include "sandbox/filters.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Resource limits of a sandbox: no core file, few descriptors, no locked memory to speak of, no real-time
 * class. file_bytes_max bounds each file written; 0: no bound but the file system's. */
int rights_limit(uint64_t file_bytes_max);

/* Becomes the user, without supplementary groups; the capabilities stay until rights_drop. */
int rights_become(uid_t uid, gid_t gid);

/* Empties and locks all capability sets, sets no_new_privs and, unless NULL, installs the filter. */
int rights_drop(const struct filter *filter);

/*
 * The same for root of a sandbox's own range of ids: what dpkg and the scripts of packages need stays
 * (owners, modes, users, signals to its own, file capabilities), in its user namespace alone; mounts,
 * devices, the network, other processes' memory and the rest are gone for good, and chroot unless it is asked
 * for.
 */
int rights_drop_root(const struct filter *filter, bool chroot);

#endif
