/*
 * base/arena.h: memory that lives as long as one request and is released at once.
 *
 * Grows in blocks up to a maximum; arena_alloc returns NULL past it or when memory is out. Not thread-safe.
 * Memory is aligned for any type and not zeroed (arena_zalloc is).
 */
#ifndef DISPATCH_BASE_ARENA_H
#define DISPATCH_BASE_ARENA_H

#include "base/str.h"

#include <stddef.h>

struct arena_block;

struct arena {
        struct arena_block *blocks;
        size_t used_bytes;
        size_t max_bytes;
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_finish(struct arena *arena);
/* Releases what was allocated but keeps one block, for the next request on the same connection. */
void arena_reset(struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size);
void *arena_zalloc(struct arena *arena, size_t size);
/* A NUL-terminated copy; NULL when out. */
char *arena_strdup(struct arena *arena, struct str text);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define own_arena __attribute__((cleanup(arena_finish)))

#endif
