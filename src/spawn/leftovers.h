/*
 * spawn/leftovers.h: what is worth keeping of jobs that a killed spawn left in staging.
 */
#ifndef DISPATCH_SPAWN_LEFTOVERS_H
#define DISPATCH_SPAWN_LEFTOVERS_H

#include "spawn/state.h"

/*
 * Notes on the staging folder of a job whose blobs they are, where the job cannot reach it (an attribute of
 * "trusted."). On a file system without attributes nothing is noted, and what the job fetches is fetched
 * again.
 */
enum err_code leftovers_note(int staging_fd, const char *name, const char *organization, struct err *err);

/*
 * Moves the whole blobs of folders with a note to the blobs of the organization; one that is there stays.
 * They need not be on the disk whole if the host went down: who reads a blob compares its digest
 * (build/layer.h, build/oci_write.h), and fetches anew what is damaged. Nothing of the jobs may run any more.
 * What cannot be kept is logged, no more.
 */
void leftovers_keep(const struct state *state);

#endif
