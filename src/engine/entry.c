/* engine/entry.c: what a snapshot holds: functions and endpoints, immutable and counted. */
#include "engine/snapshot.h"

#include <stdlib.h>

struct function_entry *function_entry_create(const char *function_id, enum function_state state,
                                             const char *reason, struct revision *revision)
{
        struct function_entry *entry = calloc(1, sizeof(*entry));

        if (entry == NULL)
                return NULL;
        atomic_init(&entry->refs, 1);
        entry->state = state;
        size_t len = strnlen(function_id, UUID_LEN);
        memcpy(entry->function_id, function_id, len);
        if (reason != NULL && (entry->reason = strdup(reason)) == NULL) {
                free(entry);
                return NULL;
        }
        if (revision != NULL)
                entry->revision = revision_ref(revision);
        return entry;
}

struct function_entry *function_entry_ref(struct function_entry *entry)
{
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        return entry;
}

void function_entry_unref(struct function_entry *entry)
{
        if (entry == NULL || atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
                return;
        revision_unref(entry->revision);
        free(entry->reason);
        free(entry->image);
        free(entry);
}

struct endpoint_entry *endpoint_entry_create(void)
{
        struct endpoint_entry *entry = calloc(1, sizeof(*entry));

        if (entry != NULL)
                atomic_init(&entry->refs, 1);
        return entry;
}

struct endpoint_entry *endpoint_entry_ref(struct endpoint_entry *entry)
{
        atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
        return entry;
}

static void free_texts(char **texts, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(texts[i]);
        free(texts);
}

void endpoint_entry_unref(struct endpoint_entry *entry)
{
        if (entry == NULL || atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
                return;
        free_texts(entry->hosts, entry->host_count);
        free_texts(entry->paths, entry->path_count);
        free(entry->organization);
        free(entry->project);
        free(entry->name);
        free(entry->function);
        free(entry);
}

unsigned route_method_bit(struct str method)
{
        static const struct {
                struct str name;
                unsigned bit;
        } methods[] = {
                {STR_INIT("GET"), ROUTE_GET},         {STR_INIT("POST"), ROUTE_POST},
                {STR_INIT("PUT"), ROUTE_PUT},         {STR_INIT("HEAD"), ROUTE_HEAD},
                {STR_INIT("DELETE"), ROUTE_DELETE},   {STR_INIT("PATCH"), ROUTE_PATCH},
                {STR_INIT("OPTIONS"), ROUTE_OPTIONS},
        };

        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
                if (str_eq(methods[i].name, method))
                        return methods[i].bit;
        }
        return ROUTE_OTHER;
}
