/* schema/eval_array.c: keywords about arrays. */
#include "schema/run.h"

#include <stdlib.h>

static enum verdict eval_item(struct run *run, const struct frame *frame, const struct node *node,
                              size_t index)
{
        const struct place place = {frame->place, NULL, index};
        enum verdict verdict = eval(run, frame, node, json_array_get(frame->value, index), &place, NULL);

        if (verdict == VALID)
                marks_set_index(frame->marks, index);
        return verdict;
}

enum verdict eval_array_size(struct run *run, const struct frame *frame, const struct rule *rule)
{
        bool max = rule->keyword == KEYWORD_MAX_ITEMS;
        size_t count = json_array_size(frame->value);

        if (!json_is_array(frame->value) || (max ? count <= rule->u.limit : count >= rule->u.limit))
                return VALID;
        return run_violate(run, frame, rule, "it must have %s %llu items, and has %zu",
                           max ? "at most" : "at least", (unsigned long long)rule->u.limit, count);
}

enum verdict eval_prefix_items(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(frame->value);
        enum verdict verdict = VALID;

        if (!json_is_array(frame->value))
                return VALID;
        for (size_t i = 0; i < rule->u.list.count && i < count && verdict == VALID; i++)
                verdict = eval_item(run, frame, rule->u.list.nodes[i], i);
        return verdict;
}

enum verdict eval_items(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(frame->value);
        enum verdict verdict = VALID;

        if (!json_is_array(frame->value))
                return VALID;
        for (size_t i = rule->u.items.first; i < count && verdict == VALID; i++)
                verdict = eval_item(run, frame, rule->u.items.node, i);
        return verdict;
}

enum verdict eval_contains(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(frame->value);
        uint64_t found = 0;
        struct frame unmarked = *frame;

        if (!json_is_array(frame->value))
                return VALID;
        if (!rule->u.contains.marks)
                unmarked.marks = NULL;
        /* All are looked at when it matters which they are. */
        bool all = unmarked.marks != NULL || rule->u.contains.max != UINT64_MAX;
        for (size_t i = 0; i < count && (all || found < rule->u.contains.min); i++) {
                run->quiet++;
                enum verdict verdict = eval_item(run, &unmarked, rule->u.contains.node, i);
                run->quiet--;
                if (verdict == STOPPED)
                        return STOPPED;
                found += verdict == VALID;
        }
        if (found < rule->u.contains.min)
                return run_violate(run, frame, rule, "it must contain at least %llu items of its schema",
                                   (unsigned long long)rule->u.contains.min);
        if (found > rule->u.contains.max)
                return run_violate(run, frame, rule, "it must contain at most %llu items of its schema",
                                   (unsigned long long)rule->u.contains.max);
        return VALID;
}

struct hashed {
        uint64_t hash;
        size_t index;
};

static int by_hash(const void *left, const void *right)
{
        const struct hashed *a = left, *b = right;

        if (a->hash != b->hash)
                return a->hash < b->hash ? -1 : 1;
        return a->index < b->index ? -1 : a->index > b->index;
}

/* Neighbours of the same hash are compared, each with all: steps bound what chosen collisions can do. */
static enum verdict find_pair(struct run *run, const struct frame *frame, const struct rule *rule,
                              const struct hashed *items, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                for (size_t k = i + 1; k < count && items[k].hash == items[i].hash; k++) {
                        enum verdict verdict = equal(run, json_array_get(frame->value, items[i].index),
                                                     json_array_get(frame->value, items[k].index), 0);
                        if (verdict == STOPPED)
                                return STOPPED;
                        if (verdict == VALID)
                                return run_violate(run, frame, rule, "the items %zu and %zu are the same",
                                                   items[i].index, items[k].index);
                }
        }
        return VALID;
}

enum verdict eval_unique(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(frame->value), bytes = count * sizeof(struct hashed);
        enum verdict verdict = STOPPED;

        if (!json_is_array(frame->value) || rule->u.limit == 0 || count < 2)
                return VALID;
        if (!run_step(run, count) || !run_take_bytes(run, bytes))
                return STOPPED;
        struct hashed *items = malloc(bytes);
        if (items == NULL)
                return run_stop(run, ERR_NO_MEMORY, "out of memory");
        for (size_t i = 0; i < count && run->stopped == ERR_OK; i++)
                items[i] = (struct hashed){equal_hash(run, json_array_get(frame->value, i), 0), i};
        if (run->stopped == ERR_OK) {
                qsort(items, count, sizeof(*items), by_hash);
                verdict = find_pair(run, frame, rule, items, count);
        }
        free(items);
        run->bytes_left += bytes;
        return verdict;
}

enum verdict eval_unevaluated_items(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = json_array_size(frame->value);
        enum verdict verdict = VALID;

        if (!json_is_array(frame->value))
                return VALID;
        for (size_t i = 0; i < count && verdict == VALID; i++) {
                if (!run_step(run, 1))
                        return STOPPED;
                if (!marks_has_index(frame->marks, i))
                        verdict = eval_item(run, frame, rule->u.node, i);
        }
        return verdict;
}
