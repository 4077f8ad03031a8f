/*
 * base/hamt.c: branches of up to 32 children with a bitmap, leaves with their key, and, below the last bit of
 * the hash, a list of leaves.
 */
#include "base/hamt.h"

#include "base/hash.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { HAMT_BITS = 5, HAMT_HASH_BITS = 64 };

enum node_kind { NODE_BRANCH, NODE_LEAF, NODE_LIST };

struct hamt_node {
        atomic_uint refs;
        uint8_t kind;
        uint32_t map;  /* NODE_BRANCH: which children are there; NODE_LIST: how many */
        uint32_t len;  /* NODE_LEAF: of the key */
        uint64_t hash; /* NODE_LEAF */
        void *value;   /* NODE_LEAF */
        union {
                struct hamt_node *children[1];
                char key[1];
        } tail[];
};

static struct hamt_node **children_of(struct hamt_node *node)
{
        return node->tail[0].children;
}

/* How many bits are set. In place: what the compiler has for processors without the instruction is a call. */
static inline uint32_t bit_count(uint32_t bits)
{
        bits -= bits >> 1 & 0x55555555U;
        bits = (bits & 0x33333333U) + (bits >> 2 & 0x33333333U);
        return ((bits + (bits >> 4)) & 0x0f0f0f0fU) * 0x01010101U >> 24;
}

static uint32_t child_count(const struct hamt_node *node)
{
        return node->kind == NODE_BRANCH ? bit_count(node->map) : node->map;
}

static struct str key_of(const struct hamt_node *leaf)
{
        return (struct str){leaf->tail[0].key, leaf->len};
}

static struct hamt_node *node_ref(struct hamt_node *node)
{
        atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
        return node;
}

static void node_unref(const struct hamt_ops *ops, struct hamt_node *node)
{
        if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (node->kind == NODE_LEAF) {
                ops->unref(node->value);
        } else {
                for (uint32_t i = 0; i < child_count(node); i++)
                        node_unref(ops, children_of(node)[i]);
        }
        free(node);
}

static struct hamt_node *node_create(enum node_kind kind, uint32_t map, uint32_t children)
{
        struct hamt_node *node = calloc(1, sizeof(*node) + children * sizeof(struct hamt_node *));

        if (node == NULL)
                return NULL;
        atomic_init(&node->refs, 1);
        node->kind = (uint8_t)kind;
        node->map = map;
        return node;
}

static struct hamt_node *leaf_create(const struct hamt_ops *ops, struct str key, void *value)
{
        struct hamt_node *leaf = calloc(1, sizeof(*leaf) + key.len + 1);

        if (leaf == NULL)
                return NULL;
        atomic_init(&leaf->refs, 1);
        leaf->kind = NODE_LEAF;
        leaf->len = (uint32_t)key.len;
        leaf->hash = hash_keyed(key);
        leaf->value = value;
        if (key.len > 0)
                memcpy(leaf->tail[0].key, key.p, key.len);
        ops->ref(value);
        return leaf;
}

static unsigned digit_of(uint64_t hash, unsigned shift)
{
        return (unsigned)(hash >> shift) & ((1U << HAMT_BITS) - 1);
}

static uint32_t position_of(uint32_t map, uint32_t bit)
{
        return bit_count(map & (bit - 1));
}

/*
 * A copy of `node` in which the child at `at` is `child` (whose reference is taken over): put in its place,
 * inserted when `insert`, left out when child is NULL. NULL: no memory, and child is still the caller's.
 */
static struct hamt_node *node_copy(struct hamt_node *node, uint32_t map, uint32_t at, struct hamt_node *child,
                                   bool insert)
{
        uint32_t count = child_count(node);
        uint32_t kept = child != NULL ? count + (insert ? 1 : 0) : count - 1;
        struct hamt_node *copy = node_create((enum node_kind)node->kind, map, kept);

        if (copy == NULL)
                return NULL;
        for (uint32_t from = 0, to = 0; to < kept; to++) {
                if (to == at && child != NULL) {
                        children_of(copy)[to] = child;
                        from += insert ? 0 : 1;
                        continue;
                }
                if (from == at && child == NULL)
                        from++;
                children_of(copy)[to] = node_ref(children_of(node)[from++]);
        }
        return copy;
}

/* Two leaves whose hashes are alike so far become a subtree; `old` gets a reference, `leaf` is taken over on
 * success. */
static struct hamt_node *node_split(const struct hamt_ops *ops, struct hamt_node *old, struct hamt_node *leaf,
                                    unsigned shift)
{
        if (shift >= HAMT_HASH_BITS) {
                struct hamt_node *list = node_create(NODE_LIST, 2, 2);
                if (list == NULL)
                        return NULL;
                children_of(list)[0] = node_ref(old);
                children_of(list)[1] = leaf;
                return list;
        }

        unsigned old_digit = digit_of(old->hash, shift), new_digit = digit_of(leaf->hash, shift);
        if (old_digit == new_digit) {
                struct hamt_node *branch = node_create(NODE_BRANCH, 1U << old_digit, 1);
                if (branch == NULL)
                        return NULL;
                children_of(branch)[0] = node_split(ops, old, leaf, shift + HAMT_BITS);
                if (children_of(branch)[0] == NULL) {
                        free(branch);
                        return NULL;
                }
                return branch;
        }
        struct hamt_node *branch = node_create(NODE_BRANCH, 1U << old_digit | 1U << new_digit, 2);
        if (branch == NULL)
                return NULL;
        children_of(branch)[old_digit < new_digit ? 0 : 1] = node_ref(old);
        children_of(branch)[old_digit < new_digit ? 1 : 0] = leaf;
        return branch;
}

static struct hamt_node *list_set(struct hamt_node *list, struct hamt_node *leaf, bool *ret_added)
{
        for (uint32_t i = 0; i < list->map; i++) {
                if (str_eq(key_of(children_of(list)[i]), key_of(leaf)))
                        return node_copy(list, list->map, i, leaf, false);
        }
        *ret_added = true;
        return node_copy(list, list->map + 1, list->map, leaf, true);
}

/* A version of `node` with the leaf in it, whose reference is taken over on success. */
static struct hamt_node *node_set(const struct hamt_ops *ops, struct hamt_node *node, struct hamt_node *leaf,
                                  unsigned shift, bool *ret_added)
{
        if (node->kind == NODE_LEAF) {
                if (node->hash == leaf->hash && str_eq(key_of(node), key_of(leaf)))
                        return leaf;
                *ret_added = true;
                return node_split(ops, node, leaf, shift);
        }
        if (node->kind == NODE_LIST)
                return list_set(node, leaf, ret_added);

        uint32_t bit = 1U << digit_of(leaf->hash, shift), at = position_of(node->map, bit);
        if ((node->map & bit) == 0) {
                *ret_added = true;
                return node_copy(node, node->map | bit, at, leaf, true);
        }
        struct hamt_node *child = node_set(ops, children_of(node)[at], leaf, shift + HAMT_BITS, ret_added);
        if (child == NULL)
                return NULL;
        struct hamt_node *copy = node_copy(node, node->map, at, child, false);
        if (copy == NULL && child != leaf) {
                node_ref(leaf); /* it goes back to the caller */
                node_unref(ops, child);
        }
        return copy;
}

void hamt_init(struct hamt *map, const struct hamt_ops *ops)
{
        *map = (struct hamt){.ops = ops};
}

void hamt_finish(struct hamt *map)
{
        node_unref(map->ops, map->root);
        map->root = NULL;
        map->count = 0;
}

struct hamt hamt_share(const struct hamt *map)
{
        if (map->root != NULL)
                node_ref(map->root);
        return *map;
}

static struct hamt_node *list_find(struct hamt_node *list, struct str key)
{
        for (uint32_t i = 0; i < list->map; i++) {
                if (str_eq(key_of(children_of(list)[i]), key))
                        return children_of(list)[i];
        }
        return NULL;
}

void *hamt_get(const struct hamt *map, struct str key)
{
        struct hamt_node *node = map->root;
        uint64_t hash = hash_keyed(key);

        for (unsigned shift = 0; node != NULL && node->kind == NODE_BRANCH; shift += HAMT_BITS) {
                uint32_t bit = 1U << digit_of(hash, shift);
                node = (node->map & bit) != 0 ? children_of(node)[position_of(node->map, bit)] : NULL;
        }
        if (node != NULL && node->kind == NODE_LIST)
                node = list_find(node, key);
        return node != NULL && node->hash == hash && str_eq(key_of(node), key) ? node->value : NULL;
}

enum err_code hamt_set(struct hamt *map, struct str key, void *value)
{
        struct hamt_node *leaf = leaf_create(map->ops, key, value), *root = leaf;
        bool added = map->root == NULL;

        if (leaf == NULL)
                return ERR_NO_MEMORY;
        if (map->root != NULL)
                root = node_set(map->ops, map->root, leaf, 0, &added);
        if (root == NULL) {
                node_unref(map->ops, leaf);
                return ERR_NO_MEMORY;
        }
        node_unref(map->ops, map->root);
        map->root = root;
        map->count += added ? 1 : 0;
        return ERR_OK;
}

enum removal { REMOVAL_ABSENT, REMOVAL_DONE, REMOVAL_NO_MEMORY };

/* *ret: the version without the key, NULL when nothing is left of it; only for REMOVAL_DONE. */
static enum removal node_remove(const struct hamt_ops *ops, struct hamt_node *node, struct str key,
                                uint64_t hash, unsigned shift, struct hamt_node **ret)
{
        struct hamt_node *child = NULL;
        uint32_t at = 0, bit = 0;

        if (node->kind == NODE_LEAF) {
                *ret = NULL;
                return node->hash == hash && str_eq(key_of(node), key) ? REMOVAL_DONE : REMOVAL_ABSENT;
        }
        if (node->kind == NODE_LIST) {
                while (at < node->map && !str_eq(key_of(children_of(node)[at]), key))
                        at++;
                if (at == node->map)
                        return REMOVAL_ABSENT;
        } else {
                bit = 1U << digit_of(hash, shift);
                at = position_of(node->map, bit);
                if ((node->map & bit) == 0)
                        return REMOVAL_ABSENT;
                enum removal below =
                        node_remove(ops, children_of(node)[at], key, hash, shift + HAMT_BITS, &child);
                if (below != REMOVAL_DONE)
                        return below;
        }

        uint32_t count = child_count(node);
        if (child == NULL && count == 1) {
                *ret = NULL;
                return REMOVAL_DONE;
        }
        uint32_t map = node->kind == NODE_LIST ? count - 1 : child == NULL ? node->map & ~bit : node->map;
        *ret = node_copy(node, map, at, child, false);
        if (*ret != NULL)
                return REMOVAL_DONE;
        node_unref(ops, child);
        return REMOVAL_NO_MEMORY;
}

enum err_code hamt_remove(struct hamt *map, struct str key)
{
        struct hamt_node *root = NULL;

        if (map->root == NULL)
                return ERR_OK;
        switch (node_remove(map->ops, map->root, key, hash_keyed(key), 0, &root)) {
        case REMOVAL_ABSENT:
                return ERR_OK;
        case REMOVAL_NO_MEMORY:
                return ERR_NO_MEMORY;
        case REMOVAL_DONE:
                break;
        }
        assert(map->count > 0);
        node_unref(map->ops, map->root);
        map->root = root;
        map->count--;
        return ERR_OK;
}

static bool node_each(const struct hamt_node *node, bool (*each)(void *arg, struct str key, void *value),
                      void *arg)
{
        if (node->kind == NODE_LEAF)
                return each(arg, key_of(node), node->value);
        for (uint32_t i = 0; i < child_count(node); i++) {
                if (!node_each(node->tail[0].children[i], each, arg))
                        return false;
        }
        return true;
}

void hamt_each(const struct hamt *map, bool (*each)(void *arg, struct str key, void *value), void *arg)
{
        if (map->root != NULL)
                node_each(map->root, each, arg);
}
