/* json/internal.h: how the values of jansson.h lie in memory, for the files of this folder alone. */
#ifndef DISPATCH_JSON_INTERNAL_H
#define DISPATCH_JSON_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>

/* What holds others begins with this. `doomed` links what json_delete has yet to take apart, so that it needs
 * neither memory nor recursion, however deep a value is. */
struct json_holder {
        json_t value;
        struct json_holder *doomed;
};

struct json_array {
        struct json_holder holder;
        size_t size, capacity;
        json_t **items;
};

struct json_member {
        struct json_member *before, *after; /* in the order of insertion */
        struct json_member *chain;          /* in the bucket */
        json_t *value;
        uint64_t hash;
        size_t len;
        char key[]; /* with a NUL behind it */
};

struct json_object {
        struct json_holder holder;
        struct json_member *first, *last;
        struct json_member *
                *buckets; /* bucket_count of them, a power of two; NULL while there is no member */
        size_t size, bucket_count;
};

struct json_string {
        json_t value;
        size_t len;
        char *text; /* with a NUL behind it */
};

struct json_integer {
        json_t value;
        json_int_t number;
};

struct json_real {
        json_t value;
        double number;
};

void *json_memory(size_t size); /* NULL when out of memory */
void json_memory_free(void *memory);

static inline struct json_array *json_as_array(const json_t *json)
{
        return (struct json_array *)(void *)json;
}

static inline struct json_object *json_as_object(const json_t *json)
{
        return (struct json_object *)(void *)json;
}

/* Takes over `text`, which has room for a NUL at `len`. NULL: out of memory, and it is freed. */
json_t *json_string_own(char *text, size_t len);

bool json_text_is_utf8(const char *text, size_t len);

#endif
