/* json/array.c: arrays, grown by doubling. */
#include "json/internal.h"

enum { ITEMS_INITIAL = 4 };

json_t *json_array(void)
{
        struct json_array *array = json_memory(sizeof(*array));

        if (array == NULL)
                return NULL;
        *array = (struct json_array){.holder = {.value = {JSON_ARRAY, 1}}};
        return &array->holder.value;
}

size_t json_array_size(const json_t *array)
{
        return json_is_array(array) ? json_as_array(array)->size : 0;
}

json_t *json_array_get(const json_t *array, size_t index)
{
        return index < json_array_size(array) ? json_as_array(array)->items[index] : NULL;
}

/* Room for `extra` more; nothing changes when it fails. */
static bool reserve(struct json_array *array, size_t extra)
{
        size_t wanted = array->size + extra, capacity = array->capacity * 2;
        json_t **items;

        if (wanted < extra || wanted > SIZE_MAX / 2 / sizeof(json_t *))
                return false;
        if (wanted <= array->capacity)
                return true;
        capacity = capacity > wanted ? capacity : wanted;
        capacity = capacity > ITEMS_INITIAL ? capacity : ITEMS_INITIAL;
        items = json_memory(capacity * sizeof(json_t *));
        if (items == NULL)
                return false;
        if (array->size > 0)
                memcpy(items, array->items, array->size * sizeof(json_t *));
        json_memory_free(array->items);
        array->items = items;
        array->capacity = capacity;
        return true;
}

int json_array_set_new(json_t *array, size_t index, json_t *value)
{
        if (value == NULL || value == array || index >= json_array_size(array)) {
                json_decref(value);
                return -1;
        }
        json_t **slot = &json_as_array(array)->items[index], *old = *slot;
        *slot = value;
        json_decref(old);
        return 0;
}

int json_array_append_new(json_t *array, json_t *value)
{
        return json_array_insert_new(array, json_array_size(array), value);
}

int json_array_insert_new(json_t *array, size_t index, json_t *value)
{
        if (value == NULL || value == array || !json_is_array(array) || index > json_array_size(array) ||
            !reserve(json_as_array(array), 1)) {
                json_decref(value);
                return -1;
        }
        struct json_array *self = json_as_array(array);
        memmove(self->items + index + 1, self->items + index, (self->size - index) * sizeof(json_t *));
        self->items[index] = value;
        self->size++;
        return 0;
}

int json_array_remove(json_t *array, size_t index)
{
        if (index >= json_array_size(array))
                return -1;
        struct json_array *self = json_as_array(array);
        json_t *old = self->items[index];
        self->size--;
        memmove(self->items + index, self->items + index + 1, (self->size - index) * sizeof(json_t *));
        json_decref(old);
        return 0;
}

int json_array_clear(json_t *array)
{
        if (!json_is_array(array))
                return -1;
        struct json_array *self = json_as_array(array);
        while (self->size > 0)
                json_decref(self->items[--self->size]);
        return 0;
}

int json_array_extend(json_t *array, json_t *other)
{
        if (!json_is_array(array) || !json_is_array(other))
                return -1;
        struct json_array *self = json_as_array(array);
        size_t count = json_array_size(other); /* `other` may be the same array */
        if (!reserve(self, count))
                return -1;
        for (size_t i = 0; i < count; i++)
                self->items[self->size++] = json_incref(json_as_array(other)->items[i]);
        return 0;
}
