/*
 * spawn/build.h: build jobs: dispatch-build in a sandbox that sees the host's programs and libraries, the
 * job's input, and an empty folder that becomes a layer when all went well.
 */
#ifndef DISPATCH_SPAWN_BUILD_H
#define DISPATCH_SPAWN_BUILD_H

#include "wire/spawn.h"

struct spawn;
struct link;

/* SPAWN_BUILD; the answer is SPAWN_BUILT. fds, as many as the frame names, stay the caller's. */
void build_start(struct spawn *spawn, struct link *link, const struct spawn_build *build, const int *fds);

/* SPAWN_BUILT that says why a job was not even begun. */
void build_refuse(struct link *link, uint64_t id, enum err_code code, const char *text);

#endif
