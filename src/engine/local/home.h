/*
 * engine/local/home.h: what one loop owns of the local engine: its link to spawn, its pools and their
 * instances. Private to engine/local; everything is called on the home's loop.
 */
#ifndef DISPATCH_ENGINE_LOCAL_HOME_H
#define DISPATCH_ENGINE_LOCAL_HOME_H

#include "engine/checker.h"
#include "engine/local/budget.h"
#include "engine/local/channel.h"
#include "engine/local/fair.h"
#include "engine/local/inspect.h"
#include "engine/local/local.h"
#include "engine/local/starts.h"
#include "engine/local/usage.h"
#include "wire/frame.h"

#include <stdatomic.h>

struct local_engine;
struct instance;
struct pool;

enum {
        HOME_BUCKETS = 1024,       /* of the tables by id and by revision */
        HOME_TICK_MS = 1000,       /* how often idle instances are looked at */
        HOME_TURN_MAX = 64,        /* instances that one turn (fair.h) starts or ends */
        POOL_SCALE_MS = 20,        /* a request that waited this long starts another instance */
        POOL_STARTING_MAX = 4,     /* instances of one pool that start at once */
        POOL_FREEZE_MS = 2000,     /* an instance that was idle so long is stopped until its next run */
        POOL_AHEAD_MAX = 4,        /* children that are forked ahead of need */
        POOL_QUIET_TICKS = 10,     /* ticks after which one less of them is kept */
        POOL_STARTS_KILLED_MAX = 3 /* starts in a row that somebody outside killed and that are tried again */
};

struct home {
        struct local_engine *engine;
        struct loop *loop;
        size_t index;
        int link_fd;
        struct loop_poll *link;
        struct loop_timer *tick;
        uint64_t last_id;
        bool submitting; /* inside invoke: done must not be called yet */
        struct instance *by_id[HOME_BUCKETS];
        struct pool *by_revision[HOME_BUCKETS];
        struct source *sources; /* zygotes and stems */
        uint32_t source_count;
        struct failures failures;
        struct buf scratch; /* for one call at a time */
};

struct local_engine {
        struct engine base;
        struct local_config config;
        struct checker *checker;
        struct fair *fair;
        struct budget budget;
        struct usage usage;
        atomic_uint_fast64_t fall_backs, starts_of[LOCAL_KINDS];
        atomic_uint_fast64_t busy, queued, starts, failures;
        atomic_uint_fast64_t running; /* invocations between invoke and done */
        atomic_bool draining, drain_posted;
        void (*drained)(void *arg);
        void *drained_arg;
        struct loop_task drained_task;
        struct home homes[];
};

/* A deploy under way: waits in the pool for its first instance. */
struct deploy {
        struct loop_task task;
        struct deploy *next;
        struct home *home;
        struct revision *revision;
        uint64_t since_us; /* it waits in the pool */
        engine_deployed done;
        void *arg;
        enum err_code code;
        struct err err;
        struct buf trace;
};

/* All instances of one revision, and the requests that wait for one. */
struct pool {
        struct pool *next; /* in its bucket */
        struct home *home;
        struct revision *revision;
        struct fair_claim claim;
        struct invocation *queue_head, *queue_tail;
        uint32_t queued;
        struct instance *idle; /* with room for a run, most recently used first; some are BUSY */
        uint32_t total, starting;
        uint32_t roles;               /* instances that are templates, or what else a source is made of */
        struct source *template;      /* NULL: none was wanted yet */
        uint32_t refused;             /* ways (enum runtime_start) that failed lately, */
        uint64_t refused_until_ms;    /* and until when they are left out */
        uint64_t starts;              /* instances started */
        uint32_t misses;              /* requests since the last tick that found no instance */
        uint32_t ahead_wanted, quiet; /* children kept ahead of need; ticks without a miss */
        uint32_t starts_killed;       /* in a row, by somebody outside */
        uint64_t run_us;              /* of its runs lately, smoothed: for Retry-After */
        struct deploy *deploys;
        struct loop_timer *timer; /* runs while requests or deploys wait */
        bool timer_on;
};

enum instance_state {
        INSTANCE_STARTING, /* spawn makes the sandbox */
        INSTANCE_LOADING,  /* the agent loads the handler */
        INSTANCE_IDLE,
        INSTANCE_BUSY,
        INSTANCE_PARKED, /* a template, zygote or stem: others start from it */
        INSTANCE_ENDING, /* killed or dead; spawn has not said so yet */
        INSTANCE_GONE
};

/* One run in an instance. */
struct run {
        struct run *next;
        struct instance *instance;
        struct invocation *inv;   /* NULL: its caller was told already, but the agent is not done with it */
        struct loop_timer *timer; /* its deadline; then how long it may take to stop */
        uint32_t stream;
        bool heard;   /* the agent knows that it is to be ended */
        bool overdue; /* and has had its time for that */
        bool sent_all;
        bool replied; /* HEAD of the reply has come */
        bool log_cut;
        uint64_t sent;     /* bytes of the payload */
        uint64_t window;   /* bytes of it that the agent lets us send now */
        uint64_t consumed; /* bytes of the reply since our last CREDIT */
        uint64_t logged;
        uint64_t run_us; /* when it began */
        bool counted;    /* its cgroup tells what it used: */
        struct usage_counts before;
};

struct instance {
        struct instance *next_by_id;
        struct instance *next_idle, *prev_idle;
        uint64_t id;
        struct home *home;
        struct pool *pool;
        enum instance_state state;
        enum spawn_role role;
        enum start_kind kind;  /* how it started */
        struct source *source; /* that it is, with a role */
        struct source *from;   /* that it is coming from */
        uint64_t from_id;
        uint64_t cgroup;         /* its number there; 0: not known */
        struct budget_item held; /* while it waits */
        uint64_t answered;       /* runs so far */
        bool frozen;
        bool kill_unsent;    /* the link was full */
        bool ready;          /* has loaded its handler */
        bool ran;            /* has answered before: the next start is hot */
        bool lost;           /* its channel ended and nobody knows why yet: EXITED will tell */
        bool secrets_wanted; /* waits for the control thread */
        bool spent;          /* no further run comes into it */
        bool listed;         /* on its pool's list of those with room */
        int secrets_fd;
        struct channel channel;   /* open once spawn sent it */
        struct loop_timer *timer; /* of the start, the wait for EXITED */
        uint32_t last_stream;
        uint32_t run_count;
        struct run *runs; /* in it, in the order in which they began */
        struct run *spare_run;
        uint64_t begun_us, sandbox_us, loading_us, ready_us;
        uint64_t idle_since_ms;
};

/* local.c */
void local_finish(struct home *home, struct invocation *inv);
/* Gives the run an error of its own (type, and the JSON that goes with it) and finishes it. */
void local_fail(struct home *home, struct invocation *inv, enum err_code code, const char *type,
                const char *text);
struct instance *home_find(struct home *home, uint64_t id);
void home_add(struct home *home, struct instance *instance);
void home_remove(struct home *home, struct instance *instance);
struct pool **home_pool_slot(struct home *home, const struct revision *revision);
/* ERR_LIMIT: the link is full. */
enum err_code home_send(struct home *home, const union spawn_frame *frame, struct err *err);

/* cancel.c */
void local_cancel(struct engine *base, struct invocation *inv);
enum err_code local_cancel_named(struct engine *base, struct str organization, struct str project,
                                 struct str run_id, void (*done)(void *arg, bool found), void *arg,
                                 struct err *err);

/* pool.c */
struct pool *pool_of(struct home *home, struct revision *revision); /* NULL: no memory */
void pool_submit(struct pool *pool, struct invocation *inv);
bool pool_cancel(struct pool *pool, const struct invocation *inv, const char *run_id);
void pool_deploy(struct pool *pool, struct deploy *deploy);
/* Ends what is idle too long, fills up to the minimum; may free the pool. */
void pool_tick(struct pool *pool);
/* The pool's turn in the order of fair.h: there is a place for an instance. May free the pool. */
void pool_turn(struct pool *pool);
/* Ends the idle instance of the home that was used least recently, or what instances start from, if somebody
 * waits for its place. */
bool pool_evict(struct home *home);
/* A run took that long. */
void pool_ran(struct pool *pool, uint64_t us);
void deploy_finish(struct deploy *deploy, enum err_code code, const struct err *err, struct str trace);
/* An instance can take a run (it has just loaded its handler, or finished a run). */
void pool_instance_idle(struct pool *pool, struct instance *instance, bool first);
/* It has no room any more: off the list, if it is on it. */
void pool_instance_full(struct pool *pool, struct instance *instance);
/* An instance ends before it was ever ready; trace is the handler's error as JSON, or empty. */
void pool_instance_failed(struct pool *pool, enum err_code code, const struct err *err, struct str trace);
/* A start failed for a reason of the mechanism: whoever waits goes on waiting, for another once this one is
 * gone. */
void pool_instance_fell_back(struct pool *pool);
/* A start was killed from outside. True: whoever waits goes on waiting, for another once this one is gone. */
bool pool_instance_killed(struct pool *pool);
void pool_instance_gone(struct pool *pool); /* may free the pool */
void pool_idle_remove(struct pool *pool, struct instance *instance);

/* One with a role is gone; may free the pool. */
void pool_role_gone(struct pool *pool);
/* What waits gives back so much memory, as far as a tick goes. */
void pool_give_back(struct home *home, uint64_t bytes);

/* instance.c */
enum err_code instance_start(struct pool *pool, struct err *err);
/* What a source is made of; it is source->starting then. */
enum err_code instance_start_source(struct source *source, struct err *err);
/* Counts what it holds, now that it waits. */
void instance_measure(struct instance *instance, enum budget_class class);
/* The group of its cgroup below its organization: the function, or the image where a stem was claimed, which
 * stays in the cgroup that it was booted in. */
const char *instance_group(const struct instance *instance);
/* The folder of its function, or image, in the tree of cgroups. */
const char *instance_group(const struct instance *instance);
/* Stops the processes of an idle one until its next run. */
void instance_freeze(struct instance *instance);
void instance_thaw(struct instance *instance);
/* Kills it; runs in hand are told (code, type, text) unless the kernel gives a better reason (memory). */
void instance_end(struct instance *instance, enum err_code code, const char *type, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
void instance_started(struct instance *instance, const struct spawn_started *started, int fds[CHANNEL_FDS]);
void instance_exited(struct instance *instance, const struct spawn_exited *exited);
void instance_secrets(struct instance *instance, enum err_code code, const struct err *err, int *fd);
void instance_kill(struct instance *instance);
void instance_flush(struct instance *instance);
void instance_destroy(struct instance *instance);
/* READY, with why a template cannot be one, and FAILED. */
void instance_loaded(struct instance *instance, struct str why_not);
void instance_failed(struct instance *instance, struct str trace);
/* One step in the life that instance.c lists; any other is a programmer's error. */
void instance_move(struct instance *instance, enum instance_state state);
const char *instance_state_name(enum instance_state state);

/* run.c: the runs in an instance. */
/* Room for another run; with `inv`, for that one. */
bool instance_has_room(const struct instance *instance, const struct invocation *inv);
/* It must have room. */
void instance_run(struct instance *instance, struct invocation *inv);
/* No further run comes into it; it ends after those that are there. */
void instance_spend(struct instance *instance);
struct run *run_find(const struct instance *instance, uint32_t stream);
/* The agent has answered, or says that it has stopped; the run is gone, the instance may be ENDING. */
void run_finish(struct run *run);
/* Answers its caller now and sees to it that the agent stops; the run, and the instance, may be gone. */
void run_give_up(struct run *run, enum err_code code, const char *type, const char *text);
/* Answers all of them; the instance is ENDING. False: there was none. */
bool runs_fail(struct instance *instance, enum err_code code, const char *type, const char *text);
void runs_free(struct instance *instance);

/* exchange.c: one run's frames, both ways. */
enum err_code exchange_specialise(struct instance *instance, struct buf *out);
enum err_code exchange_begin(struct run *run);
/* Queues what the agent's windows and the channel's buffer allow of the payloads. */
enum err_code exchange_pump(struct instance *instance);
/* One frame from the agent. Anything but ERR_OK means that the channel is dead. */
enum err_code exchange_frame(struct instance *instance, const struct frame *frame, struct err *err);

#endif
