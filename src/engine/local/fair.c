/* engine/local/fair.c: the ledger of the host's instances. See fair.h. */
#include "engine/local/fair.h"

#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
        SHARE_BUCKETS = 256,
        SPARE_PARTS = 8 /* one of so many places, and one more, is kept for functions */
};

struct fair_share {
        struct fair_share *next;
        uint32_t refs;
        uint32_t instances;
        char organization[];
};

struct turn {
        struct loop *loop;
        bool posted;
};

struct fair {
        pthread_mutex_t lock;
        uint32_t refs; /* the engine's, and one for each posted turn */
        bool closed;
        uint32_t used, max;
        uint32_t leaving; /* instances that were given up or evicted for somebody, not gone yet */
        atomic_uint hungry, used_seen;
        struct fair_claim *first, *last; /* waiting */
        struct fair_share *shares[SHARE_BUCKETS];
        void (*turn)(void *ctx, size_t home);
        void *ctx;
        size_t count;
        struct turn turns[];
};

struct posted {
        struct loop_task task;
        struct fair *fair;
        size_t home;
};

enum err_code fair_create(struct loop *const *loops, size_t count, uint32_t instances_max,
                          void (*turn)(void *ctx, size_t home), void *ctx, struct fair **ret, struct err *err)
{
        struct fair *fair = calloc(1, sizeof(*fair) + count * sizeof(fair->turns[0]));

        if (fair == NULL)
                return err_nomem(err);
        pthread_mutex_init(&fair->lock, NULL);
        fair->refs = 1;
        fair->max = instances_max;
        fair->turn = turn;
        fair->ctx = ctx;
        fair->count = count;
        for (size_t i = 0; i < count; i++)
                fair->turns[i].loop = loops[i];
        *ret = fair;
        return ERR_OK;
}

/* Unlocks it, too. */
static void drop(struct fair *fair)
{
        bool last = --fair->refs == 0;

        pthread_mutex_unlock(&fair->lock);
        if (!last)
                return;
        pthread_mutex_destroy(&fair->lock);
        free(fair);
}

void fair_destroy(struct fair *fair)
{
        if (fair == NULL)
                return;
        pthread_mutex_lock(&fair->lock);
        fair->closed = true;
        for (size_t i = 0; i < SHARE_BUCKETS; i++) {
                while (fair->shares[i] != NULL) {
                        struct fair_share *share = fair->shares[i];
                        fair->shares[i] = share->next;
                        free(share);
                }
        }
        drop(fair);
}

static void turn_run(struct loop_task *task)
{
        struct posted *posted = (struct posted *)task;
        struct fair *fair = posted->fair;

        pthread_mutex_lock(&fair->lock);
        bool closed = fair->closed;
        fair->turns[posted->home].posted = false;
        pthread_mutex_unlock(&fair->lock);
        /* Engine and loop end on one thread: it cannot be closed meanwhile. */
        if (!closed)
                fair->turn(fair->ctx, posted->home);
        pthread_mutex_lock(&fair->lock);
        drop(fair);
        free(posted);
}

/* Under the lock. Without memory the home's tick sees to it. */
static void turn_post(struct fair *fair, size_t home)
{
        struct posted *posted;

        if (fair->turns[home].posted || (posted = malloc(sizeof(*posted))) == NULL)
                return;
        *posted = (struct posted){.task.run = turn_run, .fair = fair, .home = home};
        fair->turns[home].posted = true;
        fair->refs++;
        loop_post(fair->turns[home].loop, &posted->task);
}

static struct fair_share **share_slot(struct fair *fair, const char *organization)
{
        uint64_t hash = 0xcbf29ce484222325ULL;

        for (const char *c = organization; *c != '\0'; c++)
                hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;

        struct fair_share **slot = &fair->shares[hash % SHARE_BUCKETS];
        while (*slot != NULL && strcmp((*slot)->organization, organization) != 0)
                slot = &(*slot)->next;
        return slot;
}

enum err_code fair_claim_init(struct fair *fair, struct fair_claim *claim, const char *organization,
                              size_t home, void *pool, struct err *err)
{
        size_t len = strlen(organization) + 1;

        assert(home < fair->count);
        pthread_mutex_lock(&fair->lock);
        struct fair_share **slot = share_slot(fair, organization);
        if (*slot == NULL && (*slot = calloc(1, sizeof(**slot) + len)) != NULL)
                memcpy((*slot)->organization, organization, len);
        struct fair_share *share = *slot;
        if (share != NULL)
                share->refs++;
        pthread_mutex_unlock(&fair->lock);
        if (share == NULL)
                return err_nomem(err);
        *claim = (struct fair_claim){.share = share, .home = home, .pool = pool};
        return ERR_OK;
}

static void wait_end(struct fair *fair, struct fair_claim *claim)
{
        if (!claim->waiting)
                return;
        if (claim->prev != NULL)
                claim->prev->next = claim->next;
        else
                fair->first = claim->next;
        if (claim->next != NULL)
                claim->next->prev = claim->prev;
        else
                fair->last = claim->prev;
        claim->next = claim->prev = NULL;
        claim->waiting = false;
        atomic_fetch_sub(&fair->hungry, 1);
}

void fair_claim_finish(struct fair *fair, struct fair_claim *claim)
{
        assert(claim->instances == 0);
        pthread_mutex_lock(&fair->lock);
        wait_end(fair, claim);
        if (--claim->share->refs == 0) {
                struct fair_share **slot = share_slot(fair, claim->share->organization);
                assert(*slot == claim->share);
                *slot = claim->share->next;
                free(claim->share);
        }
        pthread_mutex_unlock(&fair->lock);
}

/* a before b. */
static bool goes_first(const struct fair_claim *a, const struct fair_claim *b)
{
        if (a->share->instances != b->share->instances)
                return a->share->instances < b->share->instances;
        if (a->instances != b->instances)
                return a->instances < b->instances;
        return a->since_us < b->since_us;
}

static struct fair_claim *best_waiting(const struct fair *fair)
{
        struct fair_claim *best = fair->first;

        for (struct fair_claim *each = best; each != NULL; each = each->next) {
                if (goes_first(each, best))
                        best = each;
        }
        return best;
}

static void used_set(struct fair *fair, uint32_t used)
{
        fair->used = used;
        atomic_store_explicit(&fair->used_seen, used, memory_order_relaxed);
}

static void wait_begin(struct fair *fair, struct fair_claim *claim)
{
        if (claim->waiting)
                return;
        claim->waiting = true;
        claim->since_us = clock_mono_us();
        claim->next = NULL;
        claim->prev = fair->last;
        if (fair->last != NULL)
                fair->last->next = claim;
        else
                fair->first = claim;
        fair->last = claim;
        atomic_fetch_add(&fair->hungry, 1);
        /* Any home may have an idle instance to give. */
        for (size_t i = 0; i < fair->count; i++)
                turn_post(fair, i);
}

bool fair_enter(struct fair *fair, struct fair_claim *claim, bool wait)
{
        bool entered = false;

        pthread_mutex_lock(&fair->lock);
        if (fair->used < fair->max && (fair->first == NULL || best_waiting(fair) == claim)) {
                wait_end(fair, claim);
                used_set(fair, fair->used + 1);
                claim->instances++;
                claim->share->instances++;
                entered = true;
        } else if (wait) {
                wait_begin(fair, claim);
        }
        pthread_mutex_unlock(&fair->lock);
        return entered;
}

bool fair_enter_spare(struct fair *fair)
{
        pthread_mutex_lock(&fair->lock);
        uint32_t left = fair->max > fair->used ? fair->max - fair->used : 0;
        bool entered = left > fair->max / SPARE_PARTS + 1 && fair->first == NULL;
        if (entered)
                used_set(fair, fair->used + 1);
        pthread_mutex_unlock(&fair->lock);
        return entered;
}

/* Under the lock: the home of who is next, if there is a place. */
static void next_tell(struct fair *fair)
{
        const struct fair_claim *best = fair->used < fair->max ? best_waiting(fair) : NULL;

        if (best != NULL)
                turn_post(fair, best->home);
}

void fair_leave(struct fair *fair, struct fair_claim *claim)
{
        pthread_mutex_lock(&fair->lock);
        assert(fair->used > 0);
        used_set(fair, fair->used - 1);
        if (fair->leaving > 0)
                fair->leaving--;
        if (claim != NULL) {
                assert(claim->instances > 0);
                claim->instances--;
                claim->share->instances--;
        }
        next_tell(fair);
        pthread_mutex_unlock(&fair->lock);
}

void fair_forget(struct fair *fair, struct fair_claim *claim)
{
        if (!claim->waiting) /* written by this thread alone */
                return;
        pthread_mutex_lock(&fair->lock);
        wait_end(fair, claim);
        next_tell(fair); /* it may have been this one's turn */
        pthread_mutex_unlock(&fair->lock);
}

uint32_t fair_hungry(const struct fair *fair)
{
        return atomic_load_explicit(&fair->hungry, memory_order_relaxed);
}

uint32_t fair_used(const struct fair *fair)
{
        return atomic_load_explicit(&fair->used_seen, memory_order_relaxed);
}

/* Under the lock: places that those who wait still miss. */
static bool places_missing(const struct fair *fair)
{
        uint32_t coming = fair->leaving + (fair->max > fair->used ? fair->max - fair->used : 0);

        return fair_hungry(fair) > coming;
}

bool fair_evict(struct fair *fair)
{
        if (fair_hungry(fair) == 0)
                return false;
        pthread_mutex_lock(&fair->lock);
        bool wanted = places_missing(fair);
        if (wanted)
                fair->leaving++;
        pthread_mutex_unlock(&fair->lock);
        return wanted;
}

/* Would the place be better with who waits? Between one and one more it would only go to and fro; but who has
 * none gets it after a while. */
static bool has_more(uint32_t mine, uint32_t theirs, bool patient)
{
        return mine >= theirs + 2 || (patient && theirs == 0);
}

bool fair_yield(struct fair *fair, const struct fair_claim *claim)
{
        bool wanted = false;

        if (fair_hungry(fair) == 0)
                return false;
        pthread_mutex_lock(&fair->lock);
        const struct fair_claim *best = places_missing(fair) ? best_waiting(fair) : NULL;
        if (best != NULL && best != claim) {
                bool patient = clock_mono_us() - best->since_us >= FAIR_PATIENCE_US;
                wanted = best->share == claim->share
                                 ? has_more(claim->instances, best->instances, patient)
                                 : has_more(claim->share->instances, best->share->instances, patient);
        }
        if (wanted)
                fair->leaving++;
        pthread_mutex_unlock(&fair->lock);
        return wanted;
}

void *fair_next(struct fair *fair, size_t home)
{
        void *pool = NULL;

        if (fair_hungry(fair) == 0)
                return NULL;
        pthread_mutex_lock(&fair->lock);
        const struct fair_claim *best = fair->used < fair->max ? best_waiting(fair) : NULL;
        if (best != NULL && best->home == home)
                pool = best->pool;
        else if (best != NULL)
                turn_post(fair, best->home);
        pthread_mutex_unlock(&fair->lock);
        return pool;
}
