/* schema/equal.c: JSON values as JSON Schema compares them: numbers by value, objects without order. */
#include "schema/run.h"

#include <string.h>

enum { CHARS_A_STEP = 64 };

static enum verdict too_deep(struct run *run)
{
        return run_stop(run, ERR_LIMIT, "the instance is nested deeper than the limit of %d",
                        SCHEMA_DEPTH_MAX);
}

static enum verdict equal_strings(struct run *run, const json_t *a, const json_t *b)
{
        size_t len = json_string_length(a);

        if (len != json_string_length(b))
                return INVALID;
        if (!run_step(run, len / CHARS_A_STEP))
                return STOPPED;
        return memcmp(json_string_value(a), json_string_value(b), len) == 0 ? VALID : INVALID;
}

static enum verdict equal_arrays(struct run *run, const json_t *a, const json_t *b, unsigned depth)
{
        enum verdict verdict = VALID;

        if (json_array_size(a) != json_array_size(b))
                return INVALID;
        for (size_t i = 0; i < json_array_size(a) && verdict == VALID; i++)
                verdict = equal(run, json_array_get(a, i), json_array_get(b, i), depth + 1);
        return verdict;
}

static enum verdict equal_objects(struct run *run, const json_t *a, const json_t *b, unsigned depth)
{
        const char *key;
        json_t *value;

        if (json_object_size(a) != json_object_size(b))
                return INVALID;
        json_object_foreach((json_t *)a, key, value)
        {
                const json_t *other = json_object_get(b, key);
                enum verdict verdict = other != NULL ? equal(run, value, other, depth + 1) : INVALID;
                if (verdict != VALID)
                        return verdict;
        }
        return VALID;
}

enum verdict equal(struct run *run, const json_t *a, const json_t *b, unsigned depth)
{
        if (depth > SCHEMA_DEPTH_MAX)
                return too_deep(run);
        if (!run_step(run, 1))
                return STOPPED;
        if (json_is_number(a) && json_is_number(b))
                return number_compare(a, b) == 0 ? VALID : INVALID;
        if (json_typeof(a) != json_typeof(b))
                return INVALID;
        if (json_is_string(a))
                return equal_strings(run, a, b);
        if (json_is_array(a))
                return equal_arrays(run, a, b, depth);
        if (json_is_object(a))
                return equal_objects(run, a, b, depth);
        return VALID;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
        hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
        return hash ^ hash >> 29;
}

static uint64_t hash_bytes(const char *text, size_t len)
{
        uint64_t hash = 0xcbf29ce484222325ULL ^ len;

        for (size_t i = 0; i < len; i++)
                hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ULL;
        return mix(1, hash);
}

static uint64_t hash_object(struct run *run, const json_t *object, unsigned depth)
{
        uint64_t hash = mix(2, json_object_size(object));
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)object, key, value)
        {
                size_t len = strlen(key);
                if (!run_step(run, len / CHARS_A_STEP))
                        return 0;
                hash += mix(hash_bytes(key, len), equal_hash(run, value, depth + 1)); /* in any order */
        }
        return hash;
}

uint64_t equal_hash(struct run *run, const json_t *value, unsigned depth)
{
        uint64_t hash = mix(3, json_array_size(value));

        if (depth > SCHEMA_DEPTH_MAX) {
                too_deep(run);
                return 0;
        }
        if (run->stopped != ERR_OK || !run_step(run, 1))
                return 0;
        if (json_is_number(value))
                return mix(4, number_hash(value));
        if (json_is_object(value))
                return hash_object(run, value, depth);
        if (json_is_string(value)) {
                size_t len = json_string_length(value);
                return run_step(run, len / CHARS_A_STEP) ? hash_bytes(json_string_value(value), len) : 0;
        }
        if (!json_is_array(value))
                return mix(5, (uint64_t)json_typeof(value));
        for (size_t i = 0; i < json_array_size(value); i++)
                hash = mix(hash, equal_hash(run, json_array_get(value, i), depth + 1));
        return hash;
}
