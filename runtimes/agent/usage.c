/* runtimes/agent/usage.c: see usage.h. */
#include "runtimes/agent/usage.h"

#include "base/clock.h"

#include <assert.h>
#include <sys/resource.h>

static uint64_t micros(struct timeval t)
{
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* CPU time of this process and of the children it waited for; the largest resident size of any of them. */
static uint64_t measure(uint64_t *ret_peak_bytes)
{
        struct rusage self, children;

        getrusage(RUSAGE_SELF, &self);
        getrusage(RUSAGE_CHILDREN, &children);
        long peak = self.ru_maxrss > children.ru_maxrss ? self.ru_maxrss : children.ru_maxrss;
        *ret_peak_bytes = (uint64_t)peak * 1024;
        return micros(self.ru_utime) + micros(self.ru_stime) + micros(children.ru_utime) +
               micros(children.ru_stime);
}

/* Shares out what was used since the last event. */
static void charge(struct usage_meter *meter, uint64_t *ret_peak_bytes)
{
        uint64_t cpu_us = measure(ret_peak_bytes);

        if (meter->runs > 0 && cpu_us > meter->cpu_us)
                meter->share_ns += (cpu_us - meter->cpu_us) * 1000 / meter->runs;
        meter->cpu_us = cpu_us;
}

void usage_begin(struct usage_meter *meter, struct usage_start *start)
{
        uint64_t peak;

        charge(meter, &peak);
        meter->runs++;
        *start = (struct usage_start){.mono_us = clock_mono_us(), .share_ns = meter->share_ns};
}

void usage_end(struct usage_meter *meter, const struct usage_start *start, struct frame_usage *ret)
{
        assert(meter->runs > 0);
        charge(meter, &ret->memory_peak_bytes);
        meter->runs--;
        ret->handler_us = clock_mono_us() - start->mono_us;
        ret->cpu_us = (meter->share_ns - start->share_ns) / 1000;
}
