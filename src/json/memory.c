/* json/memory.c: where memory comes from, and how a value goes: without recursion and without allocating. */
#include "json/internal.h"

#include <stdlib.h>

static json_malloc_t memory_get = malloc;
static json_free_t memory_put = free;

void json_set_alloc_funcs(json_malloc_t malloc_function, json_free_t free_function)
{
        memory_get = malloc_function;
        memory_put = free_function;
}

void json_get_alloc_funcs(json_malloc_t *malloc_function, json_free_t *free_function)
{
        if (malloc_function != NULL)
                *malloc_function = memory_get;
        if (free_function != NULL)
                *free_function = memory_put;
}

void *json_memory(size_t size)
{
        return memory_get(size > 0 ? size : 1);
}

void json_memory_free(void *memory)
{
        if (memory != NULL)
                memory_put(memory);
}

static void scalar_free(json_t *json)
{
        if (json->type == JSON_STRING)
                json_memory_free(((struct json_string *)(void *)json)->text);
        json_memory_free(json);
}

/* Gives back the reference to a child; one that was the last goes, or waits in the list if it holds others.
 */
static void release(json_t *child, struct json_holder **doomed)
{
        if (child->refcount == SIZE_MAX || --child->refcount > 0)
                return;
        if (child->type != JSON_ARRAY && child->type != JSON_OBJECT) {
                scalar_free(child);
                return;
        }
        struct json_holder *holder = (struct json_holder *)(void *)child;
        holder->doomed = *doomed;
        *doomed = holder;
}

static void array_free(struct json_array *array, struct json_holder **doomed)
{
        for (size_t i = 0; i < array->size; i++)
                release(array->items[i], doomed);
        json_memory_free(array->items);
        json_memory_free(array);
}

static void object_free(struct json_object *object, struct json_holder **doomed)
{
        for (struct json_member *member = object->first, *after; member != NULL; member = after) {
                after = member->after;
                release(member->value, doomed);
                json_memory_free(member);
        }
        json_memory_free(object->buckets);
        json_memory_free(object);
}

void json_delete(json_t *json)
{
        struct json_holder *doomed = NULL;

        if (json == NULL)
                return;
        json->refcount = 1;
        release(json, &doomed);
        while (doomed != NULL) {
                struct json_holder *holder = doomed;
                doomed = holder->doomed;
                if (holder->value.type == JSON_ARRAY)
                        array_free((struct json_array *)holder, &doomed);
                else
                        object_free((struct json_object *)holder, &doomed);
        }
}
