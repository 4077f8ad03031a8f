/*
 * engine/local/fair.h: who gets the host's next instance when there is not one for everybody.
 *
 * Every pool has a claim, every organization a share: how many instances each has now. While the host has
 * room a claim is let through and only counted. Once it is full, a pool that needs an instance waits; the
 * next free place goes to the organization with the fewest instances, in it to the function with the fewest,
 * and among equals to whoever waits longest. A place becomes free when an instance ends by itself, when an
 * idle one anywhere on the host is evicted, or when one that has just finished a run is given up because its
 * function has more than a waiting one: so a flood of calls to one function takes what nobody else wants, and
 * no more.
 *
 * The ledger is shared by all homes: a lock taken when an instance starts or ends, never by a run that finds
 * an instance; fair_hungry is the one atomic that a finished run reads.
 */
#ifndef DISPATCH_ENGINE_LOCAL_FAIR_H
#define DISPATCH_ENGINE_LOCAL_FAIR_H

#include "base/err.h"
#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fair;
struct fair_share;

enum { FAIR_PATIENCE_US = 250000 /* who has no instance waits no longer for the next that becomes free */ };

struct fair_claim {
        struct fair_claim *next, *prev; /* while it waits */
        struct fair_share *share;
        void *pool;
        size_t home;
        uint32_t instances;
        uint64_t since_us; /* it waits */
        bool waiting;
};

/* `turn` is called on a home's loop, with its index, when something may be for it: a place, or an eviction.
 */
enum err_code fair_create(struct loop *const *loops, size_t count, uint32_t instances_max,
                          void (*turn)(void *ctx, size_t home), void *ctx, struct fair **ret,
                          struct err *err);
/* No turn comes any more, also of those that were posted. NULL is fine. */
void fair_destroy(struct fair *fair);

/* A new claim of a pool of that organization. ERR_NO_MEMORY. */
enum err_code fair_claim_init(struct fair *fair, struct fair_claim *claim, const char *organization,
                              size_t home, void *pool, struct err *err);
/* It must have no instance. */
void fair_claim_finish(struct fair *fair, struct fair_claim *claim);

/* Takes a place. False: there is none; with `wait` the claim waits now, and its home has its turn later. */
bool fair_enter(struct fair *fair, struct fair_claim *claim, bool wait);
/* The same for what instances start from: only where nobody waits, and some places are left for functions. */
bool fair_enter_spare(struct fair *fair);
/* Gives it back; a NULL claim is one of fair_enter_spare. */
void fair_leave(struct fair *fair, struct fair_claim *claim);
/* It needs none any more. */
void fair_forget(struct fair *fair, struct fair_claim *claim);

/* How many claims wait. Any thread; one atomic read. */
uint32_t fair_hungry(const struct fair *fair);
/* How many instances there are. Any thread. */
uint32_t fair_used(const struct fair *fair);
/* An idle instance may go for those that wait: true as often as there are places missing. */
bool fair_evict(struct fair *fair);
/* An instance of the claim has finished a run: should it be given up for one that waits? */
bool fair_yield(struct fair *fair, const struct fair_claim *claim);
/* The pool whose turn it is, if it is one of that home and there is a place; NULL: none. Tells the other home
 * if it is one of its own. */
void *fair_next(struct fair *fair, size_t home);

#endif
