/*
 * engine/local/budget.h: the memory that waits for requests: idle instances, children forked ahead,
 * templates, zygotes and stems, measured by their cgroups, against --pool-memory and against what the host
 * has left.
 *
 * Over the budget, or when the host is short (MemAvailable below a twentieth of its memory, or tasks that
 * stall for memory, /proc/pressure/memory), each home gives back its own, a bounded number a tick, in this
 * order: idle instances, least recently used first, then those forked ahead, templates, stems, zygotes. While
 * it is short nothing new is made ahead of need.
 *
 * Counters are shared by all homes; budget_set and budget_is_short may be called on any of them.
 */
#ifndef DISPATCH_ENGINE_LOCAL_BUDGET_H
#define DISPATCH_ENGINE_LOCAL_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_class {
        BUDGET_NONE, /* not waiting: it runs, starts or ends */
        BUDGET_IDLE,
        BUDGET_AHEAD,
        BUDGET_TEMPLATE,
        BUDGET_ZYGOTE,
        BUDGET_STEM,
        BUDGET_CLASSES
};

enum {
        BUDGET_GUESS_BYTES = 4 << 20, /* what one holds where nobody can measure it */
        BUDGET_TICK_MAX = 64          /* that a home gives back in one tick */
};

struct budget {
        uint64_t limit_bytes; /* 0: none */
        atomic_uint_fast64_t bytes[BUDGET_CLASSES], counts[BUDGET_CLASSES];
        atomic_uint_fast64_t evicted;       /* for memory, so far */
        atomic_uint_fast64_t missing_bytes; /* that the host has too little, by the last look */
};

/* What one holds; zeroed is nothing. */
struct budget_item {
        enum budget_class class;
        uint64_t bytes;
};

void budget_init(struct budget *budget, uint64_t limit_bytes);
void budget_set(struct budget *budget, struct budget_item *item, enum budget_class class, uint64_t bytes);
/* Reads the host's state; once a tick, by one home. */
void budget_look(struct budget *budget);
/* The same from the texts of /proc/meminfo and /proc/pressure/memory ("": not there). */
void budget_judge(struct budget *budget, const char *meminfo, const char *pressure);
/* How much should be given back. */
uint64_t budget_over(const struct budget *budget);
/* Nothing should be made ahead of need. */
bool budget_is_short(const struct budget *budget);

#endif
