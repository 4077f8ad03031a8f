/* schema/marks.c: which members or items were evaluated: bits by number, and numbers for an object's keys. */
#include "schema/run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct key_slot {
        const char *key;
        size_t number;
};

/* Open addressing by the pointer, which is the object's own and so is enough to know a key. */
struct keys {
        size_t mask;
        struct key_slot slots[];
};

static size_t slot_of(const struct keys *keys, const char *key)
{
        size_t at = (size_t)(((uintptr_t)key >> 3) * 0x9e3779b97f4a7c15ULL >> 20) & keys->mask;

        while (keys->slots[at].key != NULL && keys->slots[at].key != key)
                at = (at + 1) & keys->mask;
        return at;
}

static size_t keys_bytes(size_t slots)
{
        return sizeof(struct keys) + slots * sizeof(struct key_slot);
}

struct keys *keys_make(struct run *run, const json_t *object)
{
        size_t count = json_object_size(object), slots = 8, number = 0;
        const char *key;
        json_t *value;

        while (slots < 2 * count)
                slots *= 2;
        if (!run_step(run, 1 + count / 4) || !run_take_bytes(run, keys_bytes(slots)))
                return NULL;
        struct keys *keys = calloc(1, keys_bytes(slots));
        if (keys == NULL) {
                run_stop(run, ERR_NO_MEMORY, "out of memory");
                return NULL;
        }
        keys->mask = slots - 1;
        json_object_foreach((json_t *)object, key, value)
        {
                keys->slots[slot_of(keys, key)] = (struct key_slot){key, number++};
        }
        return keys;
}

void keys_free(struct run *run, struct keys *keys)
{
        if (keys != NULL)
                run->bytes_left += keys_bytes(keys->mask + 1);
        free(keys);
}

static size_t words(const struct marks *marks)
{
        return (marks->count + 63) / 64;
}

static bool is_few(const struct marks *marks)
{
        return words(marks) <= sizeof(marks->few) / sizeof(marks->few[0]);
}

bool marks_init(struct run *run, struct marks *marks, const json_t *value, const struct keys *keys)
{
        *marks = (struct marks){.keys = keys,
                                .count = json_is_object(value) ? json_object_size(value)
                                                               : json_array_size(value)};
        marks->bits = marks->few;
        if (is_few(marks))
                return true;
        marks->bits = NULL;
        if (!run_step(run, 1 + marks->count / 256) || !run_take_bytes(run, words(marks) * sizeof(uint64_t)))
                return false;
        marks->bits = calloc(words(marks), sizeof(uint64_t));
        if (marks->bits == NULL) {
                run_stop(run, ERR_NO_MEMORY, "out of memory");
                return false;
        }
        return true;
}

void marks_finish(struct run *run, struct marks *marks)
{
        if (marks->bits == NULL || is_few(marks))
                return;
        run->bytes_left += words(marks) * sizeof(uint64_t);
        free(marks->bits);
}

void marks_set_index(struct marks *marks, size_t index)
{
        if (marks == NULL)
                return;
        assert(index < marks->count);
        marks->bits[index / 64] |= UINT64_C(1) << (index % 64);
}

bool marks_has_index(const struct marks *marks, size_t index)
{
        return (marks->bits[index / 64] >> (index % 64) & 1) != 0;
}

void marks_set_key(struct marks *marks, const char *key)
{
        if (marks != NULL)
                marks_set_index(marks, marks->keys->slots[slot_of(marks->keys, key)].number);
}

bool marks_has_key(const struct marks *marks, const char *key)
{
        return marks_has_index(marks, marks->keys->slots[slot_of(marks->keys, key)].number);
}

void marks_set_all(struct marks *marks)
{
        if (marks != NULL)
                memset(marks->bits, 0xff, words(marks) * sizeof(uint64_t));
}

void marks_add(struct marks *to, const struct marks *from)
{
        assert(to->count == from->count);
        for (size_t i = 0; i < words(to); i++)
                to->bits[i] |= from->bits[i];
}
