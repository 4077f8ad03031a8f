/*
 * engine/local/local.h: the engine of one machine: sandboxes made by dispatch-spawn, one for each instance.
 *
 * A function's instances, queue and pool belong to one loop, its home (a hash of the function's id), so that
 * a pool needs no lock and its limits are exact. A request that arrived on another loop hops there and back
 * (two loop_post).
 */
#ifndef DISPATCH_ENGINE_LOCAL_LOCAL_H
#define DISPATCH_ENGINE_LOCAL_LOCAL_H

#include "engine/engine.h"

struct local_limits {
        uint32_t queue_requests_max; /* of a function: 1000; past it 429 */
        uint32_t queue_wait_ms_max;  /* 30 s; past it 429 */
        uint32_t start_timeout_ms;   /* 30 s from the start of an instance until its handler is loaded */
        uint64_t reply_bytes_max;    /* 10 MiB */
        uint64_t log_bytes_max;      /* 1 MiB a run, both streams together */
        uint32_t instances_max;      /* on this host, all functions together */
        uint32_t pids_max;           /* of an instance: 256 */
        uint32_t tmp_mib;            /* of an instance: 64 */
        uint64_t pool_bytes;         /* that what waits may hold (budget.h); 0: what the host has */
};
extern const struct local_limits local_limits_default;

/* What the engine needs of the process around it; ctx is the host's. */
struct local_host {
        void *ctx;
        /* argv of a language's agent for an instance of that size, each NUL-terminated; false: no such
         * runtime. Any loop. */
        bool (*runtime_argv)(void *ctx, const char *language, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                             uint32_t *argc);
        /* A memfd with the revision's secrets; called on the control loop, where blocking is fine. */
        enum err_code (*secrets)(void *ctx, const struct revision *revision, int *ret_fd, struct err *err);
        /* Bits of enum runtime_start: how else than by booting a language starts. May be NULL. Any loop. */
        uint32_t (*runtime_starts)(void *ctx, const char *language);
};

struct local_config {
        struct loop *control;
        struct loop **loops;
        const int *link_fds; /* spawn's link of each loop; they stay the caller's */
        size_t loop_count;
        struct local_limits limits;
        struct local_host host;
        const char *cgroup_folder; /* usage.h; may be NULL */
};

enum err_code local_engine_create(const struct local_config *config, struct engine **ret, struct err *err);

enum { LOCAL_POOLS = 5, LOCAL_KINDS = START_BOOT + 1 };
/* "idle", "ahead", "template", "zygote", "stem" */
const char *local_pool_name(size_t pool);

/* What runs now, over all loops; for metrics. Any thread. */
struct local_counts {
        uint64_t instances, busy, queued, starts, failures;
        uint64_t starts_of[LOCAL_KINDS]; /* by enum start_kind: runs that had that start */
        uint64_t fall_backs;             /* starts that went on with another kind */
        uint64_t waiting;                /* functions that wait for a place on the host */
        uint64_t evicted;                /* ended because memory was short */
        uint64_t pool_count[LOCAL_POOLS], pool_bytes[LOCAL_POOLS], pool_limit_bytes;
};
void local_engine_counts(const struct engine *engine, struct local_counts *ret);

#endif
