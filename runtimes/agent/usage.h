/*
 * runtimes/agent/usage.h: what a run used, by the process's own clock and getrusage(2).
 *
 * CPU time is the process's. While several runs are in hand, what is used between two events (a run begins or
 * ends) is shared out evenly among them, so that all runs together are charged with what was used while any
 * was in hand. What was read and written on disks is the process's during the run, also by others that were
 * in hand.
 */
#ifndef DISPATCH_AGENT_USAGE_H
#define DISPATCH_AGENT_USAGE_H

#include "wire/frame.h"

#include <stddef.h>

struct usage_meter {
        uint64_t cpu_us;   /* of the process at the last event */
        uint64_t share_ns; /* what a run that was there from the beginning would be charged with */
        size_t runs;
};

struct usage_start {
        uint64_t mono_us, share_ns;
        uint64_t read_blocks, written_blocks;
};

void usage_begin(struct usage_meter *meter, struct usage_start *start);
void usage_end(struct usage_meter *meter, const struct usage_start *start, struct frame_usage *ret);

#endif
