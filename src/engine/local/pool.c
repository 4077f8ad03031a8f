/*
 * engine/local/pool.c: the instances of one revision and the queue in front of them.
 *
 * A request takes the instance that was used last. Without one it waits; the first starts an instance at
 * once, and from then on another starts only when a request has waited POOL_SCALE_MS, so that a burst of
 * short runs is worked off by those that are there. On a full host a pool waits for its turn (fair.h).
 */
#include "engine/local/home.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_AFTER_S_MAX = 60 };

static void pool_scale(void *arg);

struct pool *pool_of(struct home *home, struct revision *revision)
{
        struct pool **slot = home_pool_slot(home, revision);

        if (*slot != NULL)
                return *slot;

        struct pool *pool = calloc(1, sizeof(*pool));
        if (pool == NULL)
                return NULL;
        pool->home = home;
        pool->timer = loop_timer_create(home->loop, pool_scale, pool);
        if (pool->timer == NULL || fair_claim_init(home->engine->fair, &pool->claim, revision->organization,
                                                   home->index, pool, NULL) != ERR_OK) {
                loop_timer_destroy(pool->timer);
                free(pool);
                return NULL;
        }
        pool->revision = revision_ref(revision);
        *slot = pool;
        return pool;
}

static bool pool_retired(const struct pool *pool)
{
        return atomic_load_explicit(&pool->revision->retired, memory_order_relaxed);
}

static void pool_free_if_unused(struct pool *pool)
{
        if (pool->total > 0 || pool->queue_head != NULL || pool->deploys != NULL ||
            !starts_template_is_over(pool))
                return;

        struct pool **slot = home_pool_slot(pool->home, pool->revision);
        assert(*slot == pool);
        *slot = pool->next;
        fair_claim_finish(pool->home->engine->fair, &pool->claim);
        free(pool->template);
        loop_timer_destroy(pool->timer);
        revision_unref(pool->revision);
        free(pool);
}

static void queue_push(struct pool *pool, struct invocation *inv)
{
        inv->next = NULL;
        inv->prev = pool->queue_tail;
        if (pool->queue_tail != NULL)
                pool->queue_tail->next = inv;
        else
                pool->queue_head = inv;
        pool->queue_tail = inv;
        inv->queued = true;
        pool->queued++;
        atomic_fetch_add(&pool->home->engine->queued, 1);
}

static void queue_remove(struct pool *pool, struct invocation *inv)
{
        assert(inv->queued);
        if (inv->prev != NULL)
                inv->prev->next = inv->next;
        else
                pool->queue_head = inv->next;
        if (inv->next != NULL)
                inv->next->prev = inv->prev;
        else
                pool->queue_tail = inv->prev;
        inv->queued = false;
        pool->queued--;
        atomic_fetch_sub(&pool->home->engine->queued, 1);
        if (pool->queue_head == NULL && pool->deploys == NULL)
                fair_forget(pool->home->engine->fair, &pool->claim);
}

static void idle_push(struct pool *pool, struct instance *instance)
{
        instance->prev_idle = NULL;
        instance->next_idle = pool->idle;
        if (pool->idle != NULL)
                pool->idle->prev_idle = instance;
        pool->idle = instance;
        instance->listed = true;
}

void pool_idle_remove(struct pool *pool, struct instance *instance)
{
        if (instance->prev_idle != NULL)
                instance->prev_idle->next_idle = instance->next_idle;
        else
                pool->idle = instance->next_idle;
        if (instance->next_idle != NULL)
                instance->next_idle->prev_idle = instance->prev_idle;
        instance->next_idle = instance->prev_idle = NULL;
        instance->listed = false;
}

void pool_instance_full(struct pool *pool, struct instance *instance)
{
        if (instance->listed)
                pool_idle_remove(pool, instance);
}

/* The first with room for that run. */
static struct instance *roomy(const struct pool *pool, const struct invocation *inv)
{
        struct instance *instance = pool->idle;

        while (instance != NULL && !instance_has_room(instance, inv))
                instance = instance->next_idle;
        return instance;
}

/* Those that have run go before those that were made ahead of need. */
static bool goes_before(const struct instance *a, const struct instance *b)
{
        if (a->ran != b->ran)
                return a->ran;
        return a->idle_since_ms < b->idle_since_ms;
}

static struct instance *idle_oldest(const struct home *home)
{
        struct instance *oldest = NULL;

        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct instance *each = home->by_id[i]; each != NULL; each = each->next_by_id) {
                        if (each->state == INSTANCE_IDLE && (oldest == NULL || goes_before(each, oldest)))
                                oldest = each;
                }
        }
        return oldest;
}

bool pool_evict(struct home *home)
{
        struct fair *fair = home->engine->fair;
        struct instance *oldest = fair_hungry(fair) > 0 ? idle_oldest(home) : NULL;

        if (fair_hungry(fair) == 0 || (oldest == NULL && !starts_can_evict(home)) || !fair_evict(fair))
                return false;
        if (oldest == NULL)
                return starts_evict(home, "the host is full");
        instance_end(oldest, ERR_CANCELLED, NULL, "the host is full");
        return true;
}

/* ERR_LIMIT: as many as may be are there already; what waits goes on waiting. */
static enum err_code pool_start_one(struct pool *pool, struct err *err)
{
        struct local_engine *engine = pool->home->engine;
        uint32_t most = pool->revision->instances_max;
        bool waits = pool->queue_head != NULL || pool->deploys != NULL;

        if (most > 0 && pool->total >= most)
                return err_set(err, ERR_LIMIT, "function %s has its maxInstances of %u", pool->revision->name,
                               most);
        if (!fair_enter(engine->fair, &pool->claim, waits))
                return err_set(err, ERR_LIMIT, "the host carries no more than %u instances",
                               engine->config.limits.instances_max);
        enum err_code code = instance_start(pool, err);
        if (code != ERR_OK)
                fair_leave(engine->fair, &pool->claim);
        return code;
}

static void timer_arm(struct pool *pool)
{
        if (pool->timer_on || (pool->queue_head == NULL && pool->deploys == NULL))
                return;
        pool->timer_on = true;
        loop_timer_start(pool->timer, POOL_SCALE_MS);
}

/* No instance can be had at all: whoever waits is told why. */
static void fail_queue(struct pool *pool, enum err_code code, const char *type, const char *text,
                       struct str trace)
{
        while (pool->queue_head != NULL) {
                struct invocation *inv = pool->queue_head;
                queue_remove(pool, inv);
                if (trace.len > 0 && buf_append(&inv->error, trace.p, trace.len) == ERR_OK) {
                        inv->code = err_set(&inv->err, code, "%s", text);
                        inv->error_type = type;
                        local_finish(pool->home, inv);
                } else {
                        local_fail(pool->home, inv, code, type, text);
                }
        }
}

static void fail_deploys(struct pool *pool, enum err_code code, const struct err *err, struct str trace)
{
        struct deploy *next;

        for (struct deploy *deploy = pool->deploys; deploy != NULL; deploy = next) {
                next = deploy->next;
                deploy_finish(deploy, code, err, trace);
        }
        pool->deploys = NULL;
}

static void start_first(struct pool *pool)
{
        struct err err;
        enum err_code code = pool_start_one(pool, &err);

        if (code == ERR_OK || code == ERR_LIMIT) /* that waits until there is room */
                return;
        fail_deploys(pool, code, &err, (struct str){NULL, 0});
        fail_queue(pool, ERR_UNAVAILABLE, "SystemError", err.text, (struct str){NULL, 0});
}

/* When whoever stands at that position may be served, by how long runs take. */
static uint32_t retry_after_s(const struct pool *pool, uint32_t position)
{
        uint64_t us = pool->run_us * position / (pool->total > 0 ? pool->total : 1);
        uint64_t s = (us + 999999) / 1000000;

        return s < 1 ? 1 : (uint32_t)(s < RETRY_AFTER_S_MAX ? s : RETRY_AFTER_S_MAX);
}

static void fail_busy(struct pool *pool, struct invocation *inv, uint32_t position, const char *text)
{
        inv->queue_position = position;
        inv->retry_after_s = retry_after_s(pool, position);
        local_fail(pool->home, inv, ERR_LIMIT, "SystemError", text);
}

static void expire_queue(struct pool *pool)
{
        uint64_t now_us = clock_mono_us(), now_ms = now_us / 1000;
        uint32_t wait_ms_max = pool->home->engine->config.limits.queue_wait_ms_max, position = 0;
        struct invocation *next;
        char text[ERR_TEXT_MAX];

        for (struct invocation *inv = pool->queue_head; inv != NULL; inv = next) {
                next = inv->next;
                position++;
                if (inv->deadline_ms <= now_ms) {
                        queue_remove(pool, inv);
                        snprintf(text, sizeof(text),
                                 "Function execution exceeded the timeout of %u ms while it waited for an "
                                 "instance of %s",
                                 pool->revision->timeout_ms, pool->revision->name);
                        local_fail(pool->home, inv, ERR_TIMEOUT, "FunctionError", text);
                } else if (now_us - inv->queued_us > (uint64_t)wait_ms_max * 1000) {
                        queue_remove(pool, inv);
                        snprintf(text, sizeof(text),
                                 "function %s is busy: waited %u ms in its queue (--queue-wait-ms), now at "
                                 "position %u; try again later",
                                 pool->revision->name, wait_ms_max, position);
                        fail_busy(pool, inv, position, text);
                }
        }
}

static void expire_deploys(struct pool *pool)
{
        uint64_t wait_us = (uint64_t)pool->home->engine->config.limits.start_timeout_ms * 1000;
        uint32_t most = pool->home->engine->config.limits.instances_max;
        struct err err;

        if (pool->deploys == NULL || pool->total > 0 || clock_mono_us() - pool->deploys->since_us < wait_us)
                return;
        err_set(&err, ERR_UNAVAILABLE,
                "the host carries no more than %u instances, and none has become free for function %s", most,
                pool->revision->name);
        fail_deploys(pool, ERR_UNAVAILABLE, &err, (struct str){NULL, 0});
}

static void scale_out(struct pool *pool)
{
        uint32_t at_once = pool->revision->concurrency;
        uint32_t wanted = ((pool->queued + at_once - 1) / at_once + 1) / 2;
        struct err err;

        if (pool->queue_head == NULL || clock_mono_us() - pool->queue_head->queued_us < POOL_SCALE_MS * 1000)
                return;
        while (pool->starting < POOL_STARTING_MAX && pool->starting < wanted) {
                if (pool_start_one(pool, &err) != ERR_OK)
                        break;
        }
}

/* Runs every POOL_SCALE_MS while requests or deploys wait. */
static void pool_scale(void *arg)
{
        struct pool *pool = arg;

        pool->timer_on = false;
        expire_queue(pool);
        expire_deploys(pool);
        if (pool->queue_head == NULL && pool->deploys == NULL) {
                fair_forget(pool->home->engine->fair, &pool->claim);
                pool_free_if_unused(pool);
                return;
        }
        if (pool->total == 0)
                start_first(pool);
        scale_out(pool);
        timer_arm(pool);
        pool_free_if_unused(pool);
}

void pool_turn(struct pool *pool)
{
        struct err err;

        bool waits = pool->queue_head != NULL || pool->deploys != NULL;
        if (waits && pool->total == 0)
                start_first(pool);
        else if (!waits || pool_start_one(pool, &err) != ERR_OK)
                fair_forget(pool->home->engine->fair, &pool->claim); /* the timer tries again */
        pool_free_if_unused(pool);
}

void pool_submit(struct pool *pool, struct invocation *inv)
{
        struct local_engine *engine = pool->home->engine;
        /* Nobody passes those that wait: they may wait for an instance of their own. */
        struct instance *instance = pool->queue_head == NULL ? roomy(pool, inv) : NULL;
        char text[ERR_TEXT_MAX];

        if (instance != NULL) {
                instance_run(instance, inv);
                return;
        }
        if (pool->queued >= engine->config.limits.queue_requests_max) {
                snprintf(text, sizeof(text),
                         "function %s is busy: %u requests wait for it already (--queue-requests); try again "
                         "later",
                         pool->revision->name, pool->queued);
                fail_busy(pool, inv, pool->queued + 1, text);
                return;
        }
        pool->misses++;
        queue_push(pool, inv);
        timer_arm(pool);
        if (pool->total == 0)
                start_first(pool);
}

void pool_ran(struct pool *pool, uint64_t us)
{
        pool->run_us = pool->run_us == 0 ? us : (pool->run_us * 7 + us) / 8;
}

/* The address alone does not say that it is the same run: memory is used again. */
static bool same_run(const struct invocation *each, const struct invocation *inv, const char *run_id)
{
        return each == inv && strcmp(each->run_id, run_id) == 0;
}

static struct run *run_of(const struct instance *instance, const struct invocation *inv, const char *run_id)
{
        struct run *run = instance->runs;

        while (run != NULL && (run->inv == NULL || !same_run(run->inv, inv, run_id)))
                run = run->next;
        return run;
}

bool pool_cancel(struct pool *pool, const struct invocation *inv, const char *run_id)
{
        for (struct invocation *each = pool->queue_head; each != NULL; each = each->next) {
                if (!same_run(each, inv, run_id))
                        continue;
                queue_remove(pool, each);
                local_fail(pool->home, each, ERR_CANCELLED, "SystemError", "the run was cancelled");
                return true;
        }
        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct instance *each = pool->home->by_id[i]; each != NULL; each = each->next_by_id) {
                        struct run *run = each->pool == pool ? run_of(each, inv, run_id) : NULL;
                        if (run != NULL) {
                                run_give_up(run, ERR_CANCELLED, "SystemError", "the run was cancelled");
                                return true;
                        }
                }
        }
        return false;
}

void pool_deploy(struct pool *pool, struct deploy *deploy)
{
        if (pool->idle != NULL || pool->total > pool->starting) {
                deploy_finish(deploy, ERR_OK, NULL, (struct str){NULL, 0});
                return;
        }
        deploy->since_us = clock_mono_us();
        deploy->next = pool->deploys;
        pool->deploys = deploy;
        timer_arm(pool);
        if (pool->total == 0)
                start_first(pool);
        pool_free_if_unused(pool);
}

/* As many children ahead as a start takes, times those that were missing in a second; fewer by and by. Only
 * where that is a matter of a fork. */
static void ahead_adapt(struct pool *pool)
{
        uint32_t most = pool->misses < POOL_AHEAD_MAX ? pool->misses : POOL_AHEAD_MAX;

        if (pool->template == NULL || pool->template->parked_count == 0)
                pool->ahead_wanted = 0;
        else if (most > pool->ahead_wanted)
                pool->ahead_wanted = most;
        else if (pool->misses > 0)
                pool->quiet = 0;
        else if (pool->ahead_wanted > 0 && ++pool->quiet >= POOL_QUIET_TICKS)
                pool->ahead_wanted--, pool->quiet = 0;
        pool->misses = 0;
}

static uint32_t idle_count(const struct pool *pool)
{
        uint32_t count = 0;

        for (const struct instance *each = pool->idle; each != NULL; each = each->next_idle)
                count += each->state == INSTANCE_IDLE;
        return count;
}

/* Up to the minimum, and what is wanted ahead of need while there is room. */
static void fill_up(struct pool *pool)
{
        const struct local_engine *engine = pool->home->engine;
        uint32_t least = pool->revision->instances_min;
        struct err err;

        for (uint32_t i = pool->starting; i < POOL_STARTING_MAX && pool->total < least; i++) {
                if (pool_start_one(pool, &err) != ERR_OK)
                        return; /* best effort: tried again with each tick */
        }
        if (pool->ahead_wanted == 0 || budget_is_short(&engine->budget) || fair_hungry(engine->fair) > 0)
                return;
        for (uint32_t i = idle_count(pool) + pool->starting; i < pool->ahead_wanted; i++) {
                if (pool_start_one(pool, &err) != ERR_OK)
                        return;
        }
}

/* What is idle for long ends, what is idle for a moment stops. */
static void idle_tick(struct pool *pool, bool retired)
{
        uint64_t now_ms = loop_now_ms(pool->home->loop);
        struct instance *next;

        for (struct instance *instance = pool->idle; instance != NULL; instance = next) {
                next = instance->next_idle;
                bool spare = pool->total > pool->revision->instances_min;
                if (instance->state != INSTANCE_IDLE)
                        continue;
                if (retired ||
                    (spare && now_ms - instance->idle_since_ms >= pool->revision->idle_timeout_ms)) {
                        instance_end(instance, ERR_CANCELLED, NULL, "it was idle");
                } else if (!instance->frozen && now_ms - instance->idle_since_ms >= POOL_FREEZE_MS) {
                        instance_measure(instance, instance->held.class);
                        instance_freeze(instance);
                }
        }
}

void pool_tick(struct pool *pool)
{
        bool retired = pool_retired(pool);

        idle_tick(pool, retired);
        starts_tick_template(pool);
        ahead_adapt(pool);
        if (!retired)
                fill_up(pool);
        pool_free_if_unused(pool);
}

void pool_give_back(struct home *home, uint64_t bytes)
{
        struct budget *budget = &home->engine->budget;

        for (int i = 0; i < BUDGET_TICK_MAX && bytes > 0; i++) {
                struct instance *oldest = idle_oldest(home);
                uint64_t held = oldest != NULL ? oldest->held.bytes : BUDGET_GUESS_BYTES;

                if (oldest != NULL)
                        instance_end(oldest, ERR_CANCELLED, NULL, "memory is short (--pool-memory)");
                else if (!starts_evict(home, "memory is short (--pool-memory)"))
                        return;
                atomic_fetch_add(&budget->evicted, 1);
                bytes -= held < bytes ? held : bytes;
        }
}

void pool_instance_idle(struct pool *pool, struct instance *instance, bool first)
{
        if (first) {
                pool->starting--;
                pool->starts_killed = 0;
                fail_deploys(pool, ERR_OK, NULL, (struct str){NULL, 0});
        }
        bool given_up = !first && fair_yield(pool->home->engine->fair, &pool->claim);
        while (!given_up && pool->queue_head != NULL && instance_has_room(instance, pool->queue_head)) {
                struct invocation *inv = pool->queue_head;
                queue_remove(pool, inv);
                instance_run(instance, inv);
        }
        if (instance->state == INSTANCE_BUSY && given_up)
                instance_spend(instance); /* those in it end first */
        if (!instance_has_room(instance, NULL))
                return;
        if (!instance->listed)
                idle_push(pool, instance);
        if (instance->state != INSTANCE_IDLE)
                return;
        instance->idle_since_ms = loop_now_ms(pool->home->loop);
        budget_set(&pool->home->engine->budget, &instance->held, instance->ran ? BUDGET_IDLE : BUDGET_AHEAD,
                   instance->held.bytes > 0 ? instance->held.bytes : BUDGET_GUESS_BYTES);
        if (pool_retired(pool))
                instance_end(instance, ERR_CANCELLED, NULL, "its function has changed");
        else if (given_up || fair_evict(pool->home->engine->fair))
                instance_end(instance, ERR_CANCELLED, NULL, "another function waits for its place");
}

void pool_role_gone(struct pool *pool)
{
        assert(pool->roles > 0);
        pool->roles--;
        if (pool->timer != NULL) /* that of an image has no requests, and lives with its source */
                pool_free_if_unused(pool);
}

void pool_instance_fell_back(struct pool *pool)
{
        assert(pool->starting > 0);
        pool->starting--;
}

void pool_instance_failed(struct pool *pool, enum err_code code, const struct err *err, struct str trace)
{
        assert(pool->starting > 0);
        pool->starting--;
        failures_note(pool->home, pool->revision, "start", err->text);
        fail_deploys(pool, code, err, trace);
        /* Others of the pool may still serve what waits. */
        if (pool->total == 1)
                fail_queue(pool, code, trace.len > 0 ? "FunctionError" : "SystemError", err->text, trace);
}

bool pool_instance_killed(struct pool *pool)
{
        if (pool->starts_killed >= POOL_STARTS_KILLED_MAX)
                return false;
        assert(pool->starting > 0);
        pool->starting--;
        pool->starts_killed++;
        return true;
}

void pool_instance_gone(struct pool *pool)
{
        assert(pool->total > 0);
        pool->total--;
        fair_leave(pool->home->engine->fair, &pool->claim);
        if ((pool->queue_head != NULL || pool->deploys != NULL) && pool->total == 0)
                start_first(pool);
        pool_free_if_unused(pool);
}
