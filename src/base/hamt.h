/*
 * base/hamt.h: a persistent map from bytes to pointers, a hash array mapped trie (Bagwell, "Ideal Hash
 * Trees", 2001).
 *
 * Every version is immutable and shares all but O(log n) nodes with the one it was made from; nodes are
 * counted atomically, so versions may be read and dropped by any thread while another makes the next. The
 * hash is keyed (SipHash-1-3, Aumasson and Bernstein 2012, key per process), so that chosen keys cannot be
 * made to collide.
 */
#ifndef DISPATCH_BASE_HAMT_H
#define DISPATCH_BASE_HAMT_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct hamt_node;

/* How values are kept: ref is called when a leaf takes one, unref when the last leaf with it goes. */
struct hamt_ops {
        void (*ref)(void *value);
        void (*unref)(void *value);
};

struct hamt {
        const struct hamt_ops *ops;
        struct hamt_node *root;
        size_t count;
};

void hamt_init(struct hamt *map, const struct hamt_ops *ops);
void hamt_finish(struct hamt *map);
/* Another handle on the same version. */
struct hamt hamt_share(const struct hamt *map);

/* The value, borrowed from this version, or NULL. */
void *hamt_get(const struct hamt *map, struct str key);
/* Change the handle to a new version; other handles keep theirs. ERR_NO_MEMORY: nothing changed. */
enum err_code hamt_set(struct hamt *map, struct str key, void *value);
enum err_code hamt_remove(struct hamt *map, struct str key); /* an absent key is fine */

/* Every value, in no useful order; each returns false to stop. */
void hamt_each(const struct hamt *map, bool (*each)(void *arg, struct str key, void *value), void *arg);

#endif
