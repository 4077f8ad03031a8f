/* runtimes/agent/usage.h: what a run used, by the process's own clock and getrusage(2). */
#ifndef DISPATCH_AGENT_USAGE_H
#define DISPATCH_AGENT_USAGE_H

#include "wire/frame.h"

struct usage_start {
        uint64_t mono_us, cpu_us;
};

void usage_begin(struct usage_start *start);
void usage_end(const struct usage_start *start, struct frame_usage *ret);

#endif
