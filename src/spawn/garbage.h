/*
 * spawn/garbage.h: what lies in the state directory, for the server's collector of garbage, and the removal
 * of layers that are in use: it waits until the last sandbox with them is gone.
 *
 * A list is text, a line for each thing, in no order: "layer NAME BYTES AGE", followed by "below NAME" for
 * each layer of a stack, and "blob FOLDER NAME BYTES AGE"; AGE in seconds since it was made or last asked
 * for.
 */
#ifndef DISPATCH_SPAWN_GARBAGE_H
#define DISPATCH_SPAWN_GARBAGE_H

#include "wire/spawn.h"

#include <stddef.h>
#include <stdint.h>

struct spawn;
struct link;
struct instance;
struct listing;

enum { GARBAGE_USES_MAX = SPAWN_LAYERS_MAX + 1, GARBAGE_PENDING_MAX = 256 };

/* Layers whose removal waits, by name. */
struct garbage {
        char pending[GARBAGE_PENDING_MAX][SPAWN_NAME_MAX];
        size_t count;
};

/* The instance or job uses these layers until it is freed. `code` may be "". */
void garbage_uses(struct instance *instance, const char (*layers)[SPAWN_NAME_MAX], size_t count,
                  const char *code);
/* SPAWN_LAYER_DROP: now, or when nothing uses it any more. */
void garbage_drop(struct spawn *spawn, const char *layer);
/* A layer that was to be removed is wanted again. */
void garbage_keep(struct spawn *spawn, const char *layer);
/* Something has ended: what waited for it goes. */
void garbage_ended(struct spawn *spawn);

/* SPAWN_STORE_LIST; the answer is SPAWN_STORE. */
void garbage_list(struct spawn *spawn, struct link *link, uint64_t id);
/* A server that is gone waits for no list. */
void garbage_link_closed(struct spawn *spawn, const struct link *link);
/* SPAWN_BLOB_DROP */
void garbage_blob_drop(struct spawn *spawn, const struct spawn_blob *blob);

#endif
