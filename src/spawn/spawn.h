/*
 * spawn/spawn.h: what the parts of dispatch-spawn share: the host, the loop, the tables. One of it, one
 * thread.
 */
#ifndef DISPATCH_SPAWN_SPAWN_H
#define DISPATCH_SPAWN_SPAWN_H

#include "sandbox/sandbox.h"
#include "spawn/buildroot.h"
#include "spawn/events.h"
#include "spawn/garbage.h"
#include "spawn/instance.h"
#include "spawn/listen.h"
#include "spawn/options.h"
#include "spawn/state.h"
#include "spawn/worker.h"

#include <stdbool.h>

enum { SPAWN_JOBS_MAX = 16 };

struct server;
struct egress;

struct spawn {
        struct options options;
        struct events events;
        struct events_source signals;
        struct state state;
        struct listen_set listeners;
        char *listeners_text;
        struct sandbox_host host;
        struct cgroup_tree *cgroups;
        struct events_timer sweep; /* asks again for cgroups that could not be removed */

        int runtime_fd; /* the folder of the runtimes */
        int helper_fd;  /* dispatch-build */
        int inside_fd;  /* dispatch-inside */
        int dns_fd;     /* dispatch-dns */
        int system_fd;  /* dispatch-system */
        int build_roots[BUILDROOT_KINDS];

        struct egress *egress; /* NULL: no sandbox had a network yet */

        struct instances instances;
        unsigned jobs_taken;      /* bits: slots of the build jobs' user ids */
        unsigned root_jobs_taken; /* bits: their ranges of ids */
        uint64_t jobs_started;
        struct worker remover;
        bool remover_wanted; /* something was discarded since it started */
        struct garbage garbage;
        struct listing *listings; /* lists that are being made */

        struct server *servers; /* the current one first, then those that drain */
        struct events_timer restart;
        unsigned failures; /* in a row */
        bool ever_ready;
        bool stopping;
        int exit_status;
};

/* Starts the remover, unless it runs: then it is started again afterwards. */
void spawn_remover_wake(struct spawn *spawn);

#endif
