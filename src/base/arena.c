/* base/arena.c: a bump allocator over a list of blocks; large pieces get a block of their own. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 4096 };

struct arena_block {
        struct arena_block *next;
        size_t size;
        size_t used;
        alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
        assert(max_bytes < SIZE_MAX / 2);
        *arena = (struct arena){.max_bytes = max_bytes};
}

void arena_finish(struct arena *arena)
{
        struct arena_block *next;

        for (struct arena_block *block = arena->blocks; block != NULL; block = next) {
                next = block->next;
                free(block);
        }
        arena->blocks = NULL;
        arena->used_bytes = 0;
}

void arena_reset(struct arena *arena)
{
        struct arena_block *keep = NULL, *next;

        for (struct arena_block *block = arena->blocks; block != NULL; block = next) {
                next = block->next;
                if (keep == NULL && block->size == ARENA_BLOCK)
                        keep = block;
                else
                        free(block);
        }
        if (keep != NULL) {
                keep->next = NULL;
                keep->used = 0;
        }
        arena->blocks = keep;
        arena->used_bytes = 0;
}

static struct arena_block *arena_grow(struct arena *arena, size_t size)
{
        size_t block_size = size > ARENA_BLOCK / 4 ? size : ARENA_BLOCK;
        struct arena_block *block = malloc(sizeof(*block) + block_size);

        if (block == NULL)
                return NULL;
        block->size = block_size;
        block->used = 0;
        /* A block made for one large piece goes behind the current one, which still has room. */
        if (block_size != ARENA_BLOCK && arena->blocks != NULL) {
                block->next = arena->blocks->next;
                arena->blocks->next = block;
        } else {
                block->next = arena->blocks;
                arena->blocks = block;
        }
        return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
        if (size > arena->max_bytes)
                return NULL;
        size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
        if (size > arena->max_bytes - arena->used_bytes)
                return NULL;

        struct arena_block *block = arena->blocks;
        if (block == NULL || block->size - block->used < size)
                block = arena_grow(arena, size);
        if (block == NULL)
                return NULL;

        void *piece = block->bytes + block->used;
        block->used += size;
        arena->used_bytes += size;
        return piece;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
        void *piece = arena_alloc(arena, size);

        if (piece != NULL)
                memset(piece, 0, size);
        return piece;
}

char *arena_strdup(struct arena *arena, struct str text)
{
        char *copy = arena_alloc(arena, text.len + 1);

        if (copy == NULL)
                return NULL;
        if (text.len > 0)
                memcpy(copy, text.p, text.len);
        copy[text.len] = '\0';
        return copy;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
        va_list args, again;

        va_start(args, fmt);
        va_copy(again, args);
        int len = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
        if (text != NULL)
                vsnprintf(text, (size_t)len + 1, fmt, again);
        va_end(again);
        return text;
}
