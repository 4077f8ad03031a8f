/*
 * runtimes/agent/park.h: a fork server's side of wire/fork.h: a process that has loaded what many instances
 * need, is parked, and forks them.
 *
 * A template is parked with its handler imported, a zygote before it is specialised. What is forked goes on
 * from where the fork server was parked, in a sandbox and with a channel of its own.
 */
#ifndef DISPATCH_AGENT_PARK_H
#define DISPATCH_AGENT_PARK_H

#include "base/err.h"
#include "runtimes/agent/agent.h"
#include "wire/fork.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARK_KEPT_MAX = 8, PARK_FD_MAX = 1024, PARK_WHY_MAX = 200 };

struct park {
        int fd; /* to spawn; -1: this is no fork server */
        bool zygote;
        int kept[PARK_KEPT_MAX]; /* descriptors that the language opens anew in what is forked */
        size_t kept_count;
        unsigned char before[PARK_FD_MAX / 8]; /* descriptors that were there before the handler */
        size_t shared_before;                  /* writable mappings that forks share, likewise */
        char why[PARK_WHY_MAX];                /* why it cannot be parked */
};

/* Finds the descriptor that spawn left for a fork server, and what it is to be. */
void park_find(struct park *park);
/* It is none after all. */
void park_close(struct park *park);
/* What is there before the handler is imported is the agent's own. */
void park_before(struct park *park);
/* True when forks of this process could do without it: one thread, no child, no descriptor, shared memory,
 * file or timer that an import left and that would be shared or missing. Else park->why says what it is, for
 * the function's owner. */
bool park_possible(struct park *park);
/* Tells spawn. */
enum err_code park_tell(const struct park *park, struct err *err);

/*
 * Forks whenever spawn asks for it. Returns ERR_OK in each process that was forked: it is in its sandbox,
 * without rights, and has its own descriptors 1, 2 and those of its channel in the old one's places;
 * everything else is still the fork server's. Returns ERR_CANCELLED in the fork server once it is to end
 * (wake_fd is readable, or spawn has gone).
 */
enum err_code park_serve(struct park *park, const struct agent_runtime *runtime, int wake_fd,
                         struct err *err);

/* park_join.c: what is forked, into which sandbox. */
struct park_join {
        int sandbox_fd; /* its init */
        const int *cgroup_fds;
        size_t cgroup_count;
};

/* Returns true in the forked process, in its sandbox and with the rights that one has. In the fork server
 * false: *ret says how it went. Both in its memory, so that the processes in between can tell it. */
bool park_fork(const struct park_join *join, volatile struct fork_answer *ret);

#endif
