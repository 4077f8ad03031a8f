/* engine/local/budget.c: counts what waits, and looks at what the host has left. See budget.h. */
#include "engine/local/budget.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
        TEXT_MAX = 2048,
        RESERVE_PARTS = 20, /* one of so many parts of the host's memory stays free */
        STALL_PERCENT = 10, /* tasks that waited for memory in the last ten seconds */
        STALL_PARTS = 50    /* then one of so many parts is to be given back */
};

void budget_init(struct budget *budget, uint64_t limit_bytes)
{
        *budget = (struct budget){.limit_bytes = limit_bytes};
}

void budget_set(struct budget *budget, struct budget_item *item, enum budget_class class, uint64_t bytes)
{
        if (item->class == class && item->bytes == bytes)
                return;
        atomic_fetch_sub(&budget->bytes[item->class], item->bytes);
        atomic_fetch_add(&budget->bytes[class], bytes);
        if (item->class != BUDGET_NONE)
                atomic_fetch_sub(&budget->counts[item->class], 1);
        if (class != BUDGET_NONE)
                atomic_fetch_add(&budget->counts[class], 1);
        *item = (struct budget_item){class, bytes};
}

/* The number of kB behind "name" at the start of a line. */
static uint64_t kib(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void budget_judge(struct budget *budget, const char *meminfo, const char *pressure)
{
        uint64_t total = kib(meminfo, "MemTotal:") << 10, left = kib(meminfo, "MemAvailable:") << 10;
        const char *stalled = strstr(pressure, "some avg10=");
        uint64_t reserve = total / RESERVE_PARTS, missing = 0;

        if (total > 0 && left < reserve)
                missing = reserve - left;
        if (stalled != NULL && strtod(stalled + strlen("some avg10="), NULL) >= STALL_PERCENT &&
            missing < total / STALL_PARTS)
                missing = total / STALL_PARTS;
        atomic_store(&budget->missing_bytes, missing);
}

static void file_read(const char *path, char text[TEXT_MAX])
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, TEXT_MAX - 1) : 0;

        text[n > 0 ? n : 0] = '\0';
}

void budget_look(struct budget *budget)
{
        char meminfo[TEXT_MAX], pressure[TEXT_MAX];

        file_read("/proc/meminfo", meminfo);
        file_read("/proc/pressure/memory", pressure);
        budget_judge(budget, meminfo, pressure);
}

static uint64_t held(const struct budget *budget)
{
        uint64_t sum = 0;

        for (size_t i = BUDGET_NONE + 1; i < BUDGET_CLASSES; i++)
                sum += atomic_load_explicit(&budget->bytes[i], memory_order_relaxed);
        return sum;
}

uint64_t budget_over(const struct budget *budget)
{
        uint64_t sum = held(budget), missing = atomic_load(&budget->missing_bytes);
        uint64_t over = budget->limit_bytes > 0 && sum > budget->limit_bytes ? sum - budget->limit_bytes : 0;

        return over > missing ? over : missing;
}

bool budget_is_short(const struct budget *budget)
{
        return atomic_load_explicit(&budget->missing_bytes, memory_order_relaxed) > 0 ||
               (budget->limit_bytes > 0 && held(budget) >= budget->limit_bytes);
}
