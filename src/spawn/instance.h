/*
 * spawn/instance.h: what runs in sandboxes for the servers: instances, and build jobs (build.h), which share
 * the table, the sandbox's lifecycle and SPAWN_KILL.
 */
#ifndef DISPATCH_SPAWN_INSTANCE_H
#define DISPATCH_SPAWN_INSTANCE_H

#include "sandbox/sandbox.h"
#include "spawn/channel.h"
#include "spawn/events.h"
#include "spawn/garbage.h"
#include "wire/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spawn;
struct link;
struct egress_link;
struct fork_server;
struct fork_child;
struct instance;

/* How an instance ended. */
struct instance_end {
        bool by_signal;
        int value;
        struct cgroup_usage usage;
};

/* What differs between an instance and a build job. */
struct instance_kind {
        /* Its process runs its program. */
        void (*running)(struct instance *instance);
        /* It could not be made or run; `ended` still follows. */
        void (*failed)(struct instance *instance, enum err_code code, const char *text);
        /* Its sandbox is gone; instance_free, now or later. */
        void (*ended)(struct instance *instance, const struct instance_end *end);
};

struct instance {
        struct events_source control, exit;
        const struct instance_kind *kind;
        struct spawn *spawn;
        struct link *link;     /* NULL: closed since */
        struct instance *next; /* in its bucket */
        uint64_t id;
        uint64_t begun_us;
        bool has_slot;
        unsigned slot;                   /* its user id is the range's first + slot */
        struct fork_server *forks;       /* of a template or zygote (fork.h) */
        struct fork_child *forked;       /* of what comes from one; NULL: it is booted */
        struct spawn_start *stem;        /* of an unclaimed stem: how it was booted (stem.h) */
        bool claimed;                    /* it was one */
        struct egress_link *egress;      /* its network; NULL: only lo */
        struct channel_ends channel;     /* until they are sent */
        bool failed;                     /* to start */
        bool killed;                     /* by SPAWN_KILL */
        uint64_t uses[GARBAGE_USES_MAX]; /* layers (garbage.h), ends with 0 */
        struct sandbox sandbox;
        struct cgroup *cgroup;
};

enum { INSTANCES_BUCKETS = 256, INSTANCES_MAX = 16384 };

struct instances {
        struct instance *buckets[INSTANCES_BUCKETS];
        unsigned char slots[INSTANCES_MAX / 8]; /* taken: 1 */
        unsigned max;                           /* what the host carries */
        unsigned count;
        unsigned slot_next; /* where the search begins: a slot rests before it is taken again */
};

/* By the host's memory, processes and descriptors. */
void instances_init(struct instances *instances);

/* SPAWN_START, or SPAWN_START_EGRESS with its allow-list; the answer is SPAWN_STARTED. */
void instance_start(struct spawn *spawn, struct link *link, const struct spawn_start *start,
                    const char *allow);
/* SPAWN_FREEZE and SPAWN_THAW; an id that is not there is fine. */
void instance_freeze(struct instances *instances, const struct link *link, uint64_t id, bool freeze);
/* What the parts of spawn that start instances share. NULL: out of memory. */
struct instance *instance_new(struct spawn *spawn, struct link *link, uint64_t id,
                              const struct instance_kind *kind);
/* NULL: the link has none of that id. */
struct instance *instance_find(struct instances *instances, const struct link *link, uint64_t id);
struct cgroup_limits instance_limits(const struct spawn_start *start);
/* First step: a user id, and a sandbox that is being made and watched. */
enum err_code instance_make_sandbox(struct instance *instance, const struct spawn_start *start,
                                    struct err *err);
/* It becomes an instance of that link's, which has none of that id; or of none (NULL). */
void instance_rename(struct instance *instance, struct link *link, uint64_t id);
/* It cannot run after all: its server is told, its sandbox ends. */
void instance_start_failed(struct instance *instance, enum err_code code, struct err *err);
/* What its sandbox has to say by now. */
void instance_reports_read(struct instance *instance);
void instance_kill_sandbox(struct instance *instance);

/* SPAWN_KILL; an id that is not there is fine. */
void instance_kill(struct instances *instances, const struct link *link, uint64_t id);
/* Kills everything of the link, which goes on without it. */
void instances_link_closed(struct instances *instances, struct link *link);
/* Kills everything. */
void instances_kill_all(struct instances *instances);

/* Adds one whose sandbox is being made to the table and the loop. */
enum err_code instance_watch(struct instance *instance, struct err *err);
/* Takes it out of the table and gives back its cgroup. A sandbox that still runs is ended. */
void instance_free(struct instance *instance);

#endif
