/*
 * engine/local/usage.h: what an instance uses, read from its cgroup. dispatch-spawn shows the server its tree
 * read-only, at a folder with `memory` and `cpu` in it, which are one and the same on cgroup v2.
 */
#ifndef DISPATCH_ENGINE_LOCAL_USAGE_H
#define DISPATCH_ENGINE_LOCAL_USAGE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct usage {
        int memory_fd, cpu_fd; /* -1: nobody shows it */
        bool v2;
};

struct usage_counts {
        uint64_t memory_bytes, memory_peak_bytes;
        uint64_t cpu_us;
        uint64_t read_bytes, written_bytes; /* on disks; 0 where the host does not count it by cgroup */
};

/* `folder` NULL: nothing can be read. */
void usage_open(struct usage *usage, const char *folder);
void usage_close(struct usage *usage);

/* Of the instance with that number in the function's group. A few microseconds each; false: not there. */
bool usage_read(const struct usage *usage, const char *organization, const char *function, uint64_t number,
                struct usage_counts *ret);
/* Its memory alone. */
bool usage_memory(const struct usage *usage, const char *organization, const char *function, uint64_t number,
                  uint64_t *ret_bytes);

#endif
