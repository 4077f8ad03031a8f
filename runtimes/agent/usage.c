/* runtimes/agent/usage.c: see usage.h. */
#include "runtimes/agent/usage.h"

#include "base/clock.h"

#include <assert.h>
#include <sys/resource.h>

static uint64_t micros(struct timeval t)
{
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

enum { BLOCK_BYTES = 512 };

struct measured {
        uint64_t cpu_us, peak_bytes;
        uint64_t read_blocks, written_blocks;
};

/* CPU time and I/O of this process and of the children it waited for; the largest resident size of any of
 * them. */
static void measure(struct measured *ret)
{
        struct rusage self, children;

        getrusage(RUSAGE_SELF, &self);
        getrusage(RUSAGE_CHILDREN, &children);
        long peak = self.ru_maxrss > children.ru_maxrss ? self.ru_maxrss : children.ru_maxrss;
        *ret = (struct measured){.cpu_us = micros(self.ru_utime) + micros(self.ru_stime) +
                                           micros(children.ru_utime) + micros(children.ru_stime),
                                 .peak_bytes = (uint64_t)peak * 1024,
                                 .read_blocks = (uint64_t)(self.ru_inblock + children.ru_inblock),
                                 .written_blocks = (uint64_t)(self.ru_oublock + children.ru_oublock)};
}

/* Shares out what was used since the last event. */
static void charge(struct usage_meter *meter, struct measured *ret)
{
        measure(ret);
        if (meter->runs > 0 && ret->cpu_us > meter->cpu_us)
                meter->share_ns += (ret->cpu_us - meter->cpu_us) * 1000 / meter->runs;
        meter->cpu_us = ret->cpu_us;
}

void usage_begin(struct usage_meter *meter, struct usage_start *start)
{
        struct measured now;

        charge(meter, &now);
        meter->runs++;
        *start = (struct usage_start){.mono_us = clock_mono_us(),
                                      .share_ns = meter->share_ns,
                                      .read_blocks = now.read_blocks,
                                      .written_blocks = now.written_blocks};
}

void usage_end(struct usage_meter *meter, const struct usage_start *start, struct frame_usage *ret)
{
        struct measured now;

        assert(meter->runs > 0);
        charge(meter, &now);
        meter->runs--;
        ret->handler_us = clock_mono_us() - start->mono_us;
        ret->cpu_us = (meter->share_ns - start->share_ns) / 1000;
        ret->memory_peak_bytes = now.peak_bytes;
        ret->read_bytes = (now.read_blocks - start->read_blocks) * BLOCK_BYTES;
        ret->written_bytes = (now.written_blocks - start->written_blocks) * BLOCK_BYTES;
}
