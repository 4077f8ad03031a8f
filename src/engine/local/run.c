/*
 * engine/local/run.c: the runs in an instance, one or (where its function says so) several at a time: how
 * they begin, end, are given up, and what that means for the instance.
 *
 * A run that nobody waits for any more (its caller is gone, it was deleted, its time is over) is answered at
 * once. Where it is alone by the function's own definition, its instance ends with it. Where others may be in
 * the instance it is reset: the agent cancels it and says when it is over. One that has not ended after
 * RUN_GRACE_MS ends the instance: at once where the agent has not even heard of it (the run keeps the process
 * from anything else, and the others are told that), else as soon as nobody waits for any run in it.
 */
#include "engine/local/home.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { RUN_GRACE_MS = 2000, RUN_COUNTED_US = 10000 };

#define HEAD_TOO_LARGE "the head of the request is too large for a function"

static void run_timeout(void *arg);
static void note_usage(const struct run *run);

static struct run *run_create(struct instance *instance)
{
        struct run *run = instance->spare_run;

        if (run != NULL) {
                instance->spare_run = run->next;
                return run;
        }
        run = calloc(1, sizeof(*run));
        if (run == NULL)
                return NULL;
        run->timer = loop_timer_create(instance->home->loop, run_timeout, run);
        if (run->timer == NULL) {
                free(run);
                return NULL;
        }
        return run;
}

static void run_destroy(struct run *run)
{
        loop_timer_destroy(run->timer);
        free(run);
}

static void run_link(struct instance *instance, struct run *run)
{
        struct run **last = &instance->runs;

        while (*last != NULL)
                last = &(*last)->next;
        run->next = NULL;
        *last = run;
        instance->run_count++;
}

/* Off the instance's list; what it was for is the caller's. Its memory is kept for the next. */
static struct invocation *run_remove(struct run *run)
{
        struct instance *instance = run->instance;
        struct run **at = &instance->runs;
        struct invocation *inv = run->inv;

        while (*at != run) {
                assert(*at != NULL);
                at = &(*at)->next;
        }
        *at = run->next;
        instance->run_count--;
        loop_timer_stop(run->timer);
        run->inv = NULL;
        run->next = instance->spare_run;
        instance->spare_run = run;
        return inv;
}

void runs_free(struct instance *instance)
{
        while (instance->runs != NULL)
                run_remove(instance->runs);
        while (instance->spare_run != NULL) {
                struct run *run = instance->spare_run;
                instance->spare_run = run->next;
                run_destroy(run);
        }
}

struct run *run_find(const struct instance *instance, uint32_t stream)
{
        struct run *run = instance->runs;

        while (run != NULL && run->stream != stream)
                run = run->next;
        return run;
}

bool runs_fail(struct instance *instance, enum err_code code, const char *type, const char *text)
{
        bool any = instance->runs != NULL;

        /* Whoever is told may come back with another run, for another instance. */
        while (instance->runs != NULL) {
                note_usage(instance->runs);
                struct invocation *inv = run_remove(instance->runs);
                if (inv != NULL)
                        local_fail(instance->home, inv, code, type, text);
        }
        return any;
}

bool instance_has_room(const struct instance *instance, const struct invocation *inv)
{
        if (instance->spent || (instance->state != INSTANCE_IDLE && instance->state != INSTANCE_BUSY))
                return false;
        /* What only this run may know must not be where others are. */
        if (inv != NULL && inv->secrets.len > 0 && instance->run_count > 0)
                return false;
        return instance->run_count < instance->pool->revision->concurrency;
}

void instance_spend(struct instance *instance)
{
        instance->spent = true;
        pool_instance_full(instance->pool, instance);
}

/* One that was there before the request came is hot, or was made ahead of need. */
static enum start_kind start_of(const struct instance *instance, const struct invocation *inv)
{
        if (!instance->ran && instance->ready_us >= inv->queued_us)
                return instance->kind;
        return !instance->ran && (instance->kind == START_TEMPLATE || instance->kind == START_ZYGOTE)
                       ? START_AHEAD
                       : START_HOT;
}

/* Which start it had: how long it waited for what. */
static void note_start(const struct instance *instance, struct invocation *inv, uint64_t now_us)
{
        inv->timing.queue_us = now_us - inv->queued_us;
        inv->start = start_of(instance, inv);
        atomic_fetch_add_explicit(&instance->home->engine->starts_of[inv->start], 1, memory_order_relaxed);
        if (inv->start == START_HOT || inv->start == START_AHEAD)
                return;
        /* It waited for this instance: what it took stands in the stages, not in the queue. */
        uint64_t since_us = instance->begun_us > inv->queued_us ? instance->begun_us : inv->queued_us;
        inv->timing.queue_us = since_us - inv->queued_us;
        inv->timing.sandbox_us = instance->sandbox_us;
        inv->timing.start_us = instance->loading_us - instance->begun_us - instance->sandbox_us;
        inv->timing.import_us = instance->ready_us - instance->loading_us;
        if (instance->kind == START_TEMPLATE) { /* it has imported long ago */
                inv->timing.start_us += inv->timing.import_us;
                inv->timing.import_us = 0;
        }
}

/* What the kernel counts for the whole sandbox is the run's where it is alone there. Reading that costs
 * microseconds, so it is left to runs that take long enough not to notice; of others the agent tells. */
static bool is_counted(const struct instance *instance)
{
        const struct pool *pool = instance->pool;

        return pool->revision->concurrency <= 1 && (pool->run_us == 0 || pool->run_us >= RUN_COUNTED_US);
}

static bool count(const struct instance *instance, struct usage_counts *ret)
{
        const struct revision *revision = instance->pool->revision;

        return usage_read(&instance->home->engine->usage, revision->organization, instance_group(instance),
                          instance->cgroup, ret);
}

static void note_usage(const struct run *run)
{
        struct usage_counts now;

        if (!run->counted || run->inv == NULL || !count(run->instance, &now))
                return;
        if (now.cpu_us > run->before.cpu_us)
                run->inv->cpu_us = now.cpu_us - run->before.cpu_us;
        if (now.memory_peak_bytes > 0)
                run->inv->memory_peak_bytes = now.memory_peak_bytes;
        if (now.read_bytes + now.written_bytes > 0) {
                run->inv->read_bytes = now.read_bytes - run->before.read_bytes;
                run->inv->written_bytes = now.written_bytes - run->before.written_bytes;
        }
}

static void after_run(struct instance *instance);

/* It does not go to the agent at all. */
static void refuse(struct run *run, enum err_code code, const char *text)
{
        struct instance *instance = run->instance;
        struct invocation *inv = run_remove(run);

        if (instance->run_count == 0)
                instance_move(instance, INSTANCE_IDLE);
        local_fail(instance->home, inv, code, "SystemError", text);
        after_run(instance);
}

/* True unless no other run may come into the instance while, or after, this one is there. */
static bool shares(const struct instance *instance, const struct invocation *inv)
{
        /* A secret of this run alone may stay in its memory. */
        return instance->pool->revision->isolation == ISOLATION_INSTANCE && inv->secrets.len == 0;
}

void instance_run(struct instance *instance, struct invocation *inv)
{
        struct run *run = run_create(instance);
        uint64_t now_us = clock_mono_us(), now_ms = now_us / 1000;

        if (run == NULL) {
                local_fail(instance->home, inv, ERR_NO_MEMORY, "SystemError", "out of memory");
                pool_instance_idle(instance->pool, instance, false);
                return;
        }
        *run = (struct run){.timer = run->timer,
                            .instance = instance,
                            .inv = inv,
                            .stream = ++instance->last_stream,
                            .run_us = now_us};
        run->counted = is_counted(instance) && count(instance, &run->before);
        run_link(instance, run);
        if (instance->state == INSTANCE_IDLE) {
                instance_move(instance, INSTANCE_BUSY);
                /* What it held is a good guess when it waits again. */
                budget_set(&instance->home->engine->budget, &instance->held, BUDGET_NONE,
                           instance->held.bytes);
                instance_thaw(instance);
        }
        inv->instance = instance;
        note_start(instance, inv, now_us);
        instance->ran = true;
        if (!shares(instance, inv))
                instance_spend(instance);
        else if (!instance_has_room(instance, NULL))
                pool_instance_full(instance->pool, instance);
        loop_timer_start(run->timer, inv->deadline_ms > now_ms ? inv->deadline_ms - now_ms : 0);
        size_t queued = instance->channel.out.len;
        if (exchange_begin(run) == ERR_OK)
                instance_flush(instance);
        else if (instance->channel.out.len == queued)
                refuse(run, ERR_HEADER_LIMIT, HEAD_TOO_LARGE); /* the agent has not heard of it */
        else
                instance_end(instance, ERR_HEADER_LIMIT, "SystemError", HEAD_TOO_LARGE);
}

/* Nothing is left in it but runs that had their time to stop. */
static bool is_abandoned(const struct instance *instance)
{
        for (const struct run *run = instance->runs; run != NULL; run = run->next) {
                if (!run->overdue)
                        return false;
        }
        return instance->runs != NULL;
}

/* A run is off the list: the instance has room again, or has done its last. */
static void after_run(struct instance *instance)
{
        if (instance->state != INSTANCE_BUSY && instance->state != INSTANCE_IDLE)
                return; /* whoever was told has ended it */
        if (is_abandoned(instance)) {
                instance_end(instance, ERR_CANCELLED, NULL, "it has a run that does not stop");
                return;
        }
        if (instance->run_count > 0) {
                if (!instance->spent)
                        pool_instance_idle(instance->pool, instance, false);
                return;
        }
        if (instance->state == INSTANCE_BUSY)
                instance_move(instance, INSTANCE_IDLE);
        if (instance->spent)
                instance_end(instance, ERR_CANCELLED, NULL, "it has done its last run");
        else
                pool_instance_idle(instance->pool, instance, false);
}

void run_finish(struct run *run)
{
        struct instance *instance = run->instance;

        note_usage(run);
        pool_ran(instance->pool, clock_mono_us() - run->run_us);
        struct invocation *inv = run_remove(run);
        if (instance->run_count == 0)
                instance_move(instance, INSTANCE_IDLE);
        if (inv != NULL)
                local_finish(instance->home, inv);
        if (++instance->answered == 1)
                starts_ran_first(instance->pool, instance->kind, instance->ready_us - instance->loading_us);
        after_run(instance);
}

/* The agent is told to end it, and has a while to do so. */
static void run_reset(struct run *run)
{
        struct instance *instance = run->instance;

        run->inv = NULL;
        run->sent_all = true;
        loop_timer_start(run->timer, RUN_GRACE_MS);
        if (frame_put(&instance->channel.out, FRAME_RESET, run->stream, (struct str){NULL, 0}) != ERR_OK)
                instance_end(instance, ERR_NO_MEMORY, "SystemError", "out of memory");
        else
                instance_flush(instance);
}

void run_give_up(struct run *run, enum err_code code, const char *type, const char *text)
{
        struct instance *instance = run->instance;
        struct invocation *inv = run->inv;

        note_usage(run);
        if (instance->state != INSTANCE_BUSY || instance->pool->revision->concurrency <= 1) {
                instance_end(instance, code, type, "%s", text);
                return;
        }
        run_reset(run);
        local_fail(instance->home, inv, code, type, text);
}

/* It was to stop, and has not. */
static void grace_over(struct run *run)
{
        struct instance *instance = run->instance;

        if (!run->heard) {
                instance_end(instance, ERR_SYSTEM, "FunctionError",
                             "the instance of function %s was ended with this run in it: another run, which "
                             "was to stop, kept it from doing anything else for %d ms",
                             instance->pool->revision->name, RUN_GRACE_MS);
                return;
        }
        run->overdue = true;
        instance_spend(instance);
        after_run(instance);
}

static void run_timeout(void *arg)
{
        struct run *run = arg;
        const struct revision *revision = run->instance->pool->revision;
        char text[ERR_TEXT_MAX];

        if (run->instance->state != INSTANCE_BUSY)
                return; /* lost: EXITED will tell */
        if (run->inv == NULL) {
                grace_over(run);
                return;
        }
        snprintf(text, sizeof(text), "Function execution exceeded the timeout of %u ms",
                 revision->timeout_ms);
        run_give_up(run, ERR_TIMEOUT, "FunctionError", text);
}
