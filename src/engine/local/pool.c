/*
 * engine/local/pool.c: the instances of one revision and the queue in front of them.
 *
 * A request takes the instance that was used last. Without one it waits; the first starts an instance at
 * once, and from then on another starts only when a request has waited POOL_SCALE_MS, so that a burst of
 * short runs is worked off by those that are there.
 */
#include "engine/local/home.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        if (pool->timer == NULL) {
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
        if (pool->total > 0 || pool->queue_head != NULL || pool->deploys != NULL)
                return;

        struct pool **slot = home_pool_slot(pool->home, pool->revision);
        assert(*slot == pool);
        *slot = pool->next;
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
}

static void idle_push(struct pool *pool, struct instance *instance)
{
        instance->prev_idle = NULL;
        instance->next_idle = pool->idle;
        if (pool->idle != NULL)
                pool->idle->prev_idle = instance;
        pool->idle = instance;
        instance->idle_since_ms = loop_now_ms(pool->home->loop);
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
}

/* Makes room on a full host: the instance of this home that was idle longest, of whatever function. */
static bool evict_one(struct home *home)
{
        struct instance *oldest = NULL;

        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct instance *each = home->by_id[i]; each != NULL; each = each->next_by_id) {
                        if (each->state == INSTANCE_IDLE &&
                            (oldest == NULL || each->idle_since_ms < oldest->idle_since_ms))
                                oldest = each;
                }
        }
        if (oldest == NULL)
                return false;
        instance_end(oldest, ERR_CANCELLED, NULL, "the host is full");
        return true;
}

/* ERR_LIMIT: as many as may be are there already; what waits goes on waiting. */
static enum err_code pool_start_one(struct pool *pool, struct err *err)
{
        struct local_engine *engine = pool->home->engine;
        uint32_t most = pool->revision->instances_max;

        if (most > 0 && pool->total >= most)
                return err_set(err, ERR_LIMIT, "function %s has its maxInstances of %u", pool->revision->name,
                               most);
        if (atomic_load(&engine->instances) >= engine->config.limits.instances_max && !evict_one(pool->home))
                return err_set(err, ERR_LIMIT, "the host carries no more than %u instances",
                               engine->config.limits.instances_max);
        return instance_start(pool, err);
}

static void timer_arm(struct pool *pool)
{
        if (pool->timer_on || pool->queue_head == NULL)
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

        if (code == ERR_OK)
                return;
        fail_deploys(pool, code == ERR_LIMIT ? ERR_UNAVAILABLE : code, &err, (struct str){NULL, 0});
        if (code != ERR_LIMIT) /* that waits in the queue until there is room */
                fail_queue(pool, ERR_UNAVAILABLE, "SystemError", err.text, (struct str){NULL, 0});
}

static void expire_queue(struct pool *pool)
{
        uint64_t now_us = clock_mono_us(), now_ms = now_us / 1000;
        uint32_t wait_ms_max = pool->home->engine->config.limits.queue_wait_ms_max;
        struct invocation *next;
        char text[ERR_TEXT_MAX];

        for (struct invocation *inv = pool->queue_head; inv != NULL; inv = next) {
                next = inv->next;
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
                                 "function %s is busy: waited %u ms in its queue (--queue-wait-ms); try "
                                 "again later",
                                 pool->revision->name, wait_ms_max);
                        local_fail(pool->home, inv, ERR_LIMIT, "SystemError", text);
                }
        }
}

/* Runs every POOL_SCALE_MS while requests wait. */
static void pool_scale(void *arg)
{
        struct pool *pool = arg;

        pool->timer_on = false;
        expire_queue(pool);
        if (pool->queue_head == NULL) {
                pool_free_if_unused(pool);
                return;
        }
        if (clock_mono_us() - pool->queue_head->queued_us >= POOL_SCALE_MS * 1000) {
                uint32_t wanted = (pool->queued + 1) / 2;
                struct err err;
                while (pool->starting < POOL_STARTING_MAX && pool->starting < wanted) {
                        if (pool_start_one(pool, &err) != ERR_OK)
                                break;
                }
        }
        timer_arm(pool);
}

void pool_submit(struct pool *pool, struct invocation *inv)
{
        struct local_engine *engine = pool->home->engine;
        struct instance *instance = pool->idle;
        char text[ERR_TEXT_MAX];

        if (instance != NULL) {
                pool_idle_remove(pool, instance);
                instance_run(instance, inv);
                return;
        }
        if (pool->queued >= engine->config.limits.queue_requests_max) {
                snprintf(text, sizeof(text),
                         "function %s is busy: %u requests wait for it already (--queue-requests); try again "
                         "later",
                         pool->revision->name, pool->queued);
                local_fail(pool->home, inv, ERR_LIMIT, "SystemError", text);
                return;
        }
        queue_push(pool, inv);
        timer_arm(pool);
        if (pool->total == 0)
                start_first(pool);
}

/* The address alone does not say that it is the same run: memory is used again. */
static bool same_run(const struct invocation *each, const struct invocation *inv, const char *run_id)
{
        return each == inv && strcmp(each->run_id, run_id) == 0;
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
                        if (each->state == INSTANCE_BUSY && same_run(each->inv, inv, run_id)) {
                                instance_end(each, ERR_CANCELLED, "SystemError", "the run was cancelled");
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
        deploy->next = pool->deploys;
        pool->deploys = deploy;
        if (pool->total > 0)
                return;

        struct err err;
        enum err_code code = pool_start_one(pool, &err);
        if (code != ERR_OK)
                fail_deploys(pool, code == ERR_LIMIT ? ERR_UNAVAILABLE : code, &err, (struct str){NULL, 0});
        pool_free_if_unused(pool);
}

void pool_tick(struct pool *pool)
{
        uint64_t now_ms = loop_now_ms(pool->home->loop);
        struct instance *next;
        bool retired = pool_retired(pool);
        struct err err;

        for (struct instance *instance = pool->idle; instance != NULL; instance = next) {
                next = instance->next_idle;
                bool spare = pool->total > pool->revision->instances_min;
                if (retired || (spare && now_ms - instance->idle_since_ms >= pool->revision->idle_timeout_ms))
                        instance_end(instance, ERR_CANCELLED, NULL, "it was idle");
        }
        if (!retired && pool->total < pool->revision->instances_min && pool->starting == 0)
                pool_start_one(pool, &err); /* best effort: tried again with each tick */
        pool_free_if_unused(pool);
}

void pool_instance_idle(struct pool *pool, struct instance *instance, bool first)
{
        struct invocation *inv = pool->queue_head;

        if (first) {
                pool->starting--;
                pool->starts_killed = 0;
                fail_deploys(pool, ERR_OK, NULL, (struct str){NULL, 0});
        }
        if (inv != NULL) {
                queue_remove(pool, inv);
                instance_run(instance, inv);
                return;
        }
        idle_push(pool, instance);
        if (pool_retired(pool))
                instance_end(instance, ERR_CANCELLED, NULL, "its function has changed");
}

void pool_instance_failed(struct pool *pool, enum err_code code, const struct err *err, struct str trace)
{
        assert(pool->starting > 0);
        pool->starting--;
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
        if ((pool->queue_head != NULL || pool->deploys != NULL) && pool->total == 0)
                start_first(pool);
        pool_free_if_unused(pool);
}
