/*
 * engine/local/local.c: the engine's face: which home a function has, the hops there and back, the link to
 * spawn.
 */
#include "engine/check.h"
#include "engine/local/home.h"

#include "base/clock.h"
#include "base/own.h"
#include "model/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct local_limits local_limits_default = {
        .queue_requests_max = 1000,
        .queue_wait_ms_max = 30000,
        .start_timeout_ms = 30000,
        .reply_bytes_max = 10 << 20,
        .log_bytes_max = 1 << 20,
        .instances_max = 4096,
        .pids_max = 256,
        .tmp_mib = 64,
};

static struct local_engine *engine_of(struct engine *engine)
{
        return (struct local_engine *)engine;
}

/* All revisions of a function live on one loop: FNV-1a of its id. */
static struct home *home_of(struct local_engine *engine, const struct revision *revision)
{
        uint64_t hash = 0xcbf29ce484222325ULL;

        for (const char *c = revision->function_id; *c != '\0'; c++)
                hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
        return &engine->homes[hash % engine->config.loop_count];
}

struct instance *home_find(struct home *home, uint64_t id)
{
        struct instance *instance = home->by_id[id % HOME_BUCKETS];

        while (instance != NULL && instance->id != id)
                instance = instance->next_by_id;
        return instance;
}

void home_add(struct home *home, struct instance *instance)
{
        struct instance **slot = &home->by_id[instance->id % HOME_BUCKETS];

        instance->next_by_id = *slot;
        *slot = instance;
}

void home_remove(struct home *home, struct instance *instance)
{
        struct instance **slot = &home->by_id[instance->id % HOME_BUCKETS];

        while (*slot != instance) {
                assert(*slot != NULL);
                slot = &(*slot)->next_by_id;
        }
        *slot = instance->next_by_id;
}

/* Where the revision's pool hangs, or would. */
struct pool **home_pool_slot(struct home *home, const struct revision *revision)
{
        struct pool **slot = &home->by_revision[((uintptr_t)revision >> 6) % HOME_BUCKETS];

        while (*slot != NULL && (*slot)->revision != revision)
                slot = &(*slot)->next;
        return slot;
}

enum err_code home_send(struct home *home, const union spawn_frame *frame, struct err *err)
{
        return spawn_send(home->link_fd, frame, NULL, 0, err);
}

static void drain_check(struct local_engine *engine)
{
        if (!atomic_load(&engine->draining) || atomic_load(&engine->running) != 0)
                return;
        if (!atomic_exchange(&engine->drain_posted, true))
                loop_post(engine->config.control, &engine->drained_task);
}

static struct invocation *invocation_of(struct loop_task *task)
{
        return (struct invocation *)(void *)((char *)task - offsetof(struct invocation, task));
}

static void call_done(struct loop_task *task)
{
        struct invocation *inv = invocation_of(task);

        inv->done(inv);
}

/* {"type","message","stacktrace"} of an error that the engine itself states. */
static void error_json(struct buf *out, const char *type, const char *text)
{
        buf_clear(out);
        if (buf_printf(out, "{\"type\":\"%s\",\"message\":", type) != ERR_OK ||
            json_quote(str_of(text), out) != ERR_OK ||
            buf_append_text(out, ",\"stacktrace\":null}") != ERR_OK) {
                buf_clear(out);
                buf_printf(out, "{\"type\":\"%s\",\"message\":\"\",\"stacktrace\":null}", type);
        }
}

/* Makes an error of the engine's own the run's result. */
static void state_error(struct invocation *inv, enum err_code code, const char *type, const char *text)
{
        inv->code = err_set(&inv->err, code, "%s", text);
        inv->error_type = type;
        error_json(&inv->error, type, text);
        buf_clear(&inv->body);
        buf_clear(&inv->head);
}

static void one_over(struct local_engine *engine)
{
        if (atomic_fetch_sub(&engine->running, 1) == 1)
                drain_check(engine);
}

/* On the invocation's loop, when nobody is in the middle of something. */
static void finish_later(struct local_engine *engine, struct invocation *inv)
{
        inv->task.run = call_done;
        loop_post(inv->loop, &inv->task);
        one_over(engine);
}

/* A payload that a loop has no time for: `then` is called on the invocation's loop once it was checked.
 * False: that cannot be, and the result says why. */
static bool check_elsewhere(struct local_engine *engine, struct invocation *inv,
                            void (*work)(struct invocation *inv), void (*then)(struct loop_task *task))
{
        struct err err;

        inv->task.run = then;
        if (checker_post(engine->checker, inv, work, &err) == ERR_OK)
                return true;
        state_error(inv, err.code, "SystemError", err.text);
        return false;
}

static void output_checked(struct loop_task *task)
{
        struct invocation *inv = invocation_of(task);
        struct home *home = inv->home;

        inv->done(inv);
        one_over(home->engine);
}

void local_finish(struct home *home, struct invocation *inv)
{
        struct local_engine *engine = home->engine;

        if (inv->code == ERR_OK && inv->error_type == NULL && check_output(inv) == CHECK_LATER &&
            check_elsewhere(engine, inv, check_output_fully, output_checked))
                return;
        if (inv->loop != home->loop || home->submitting) {
                finish_later(engine, inv);
                return;
        }
        inv->done(inv);
        one_over(engine);
}

void local_fail(struct home *home, struct invocation *inv, enum err_code code, const char *type,
                const char *text)
{
        state_error(inv, code, type, text);
        atomic_fetch_add(&home->engine->failures, 1);
        failures_note(home, inv->revision, "run", text);
        local_finish(home, inv);
}

static void submit(struct home *home, struct invocation *inv)
{
        struct pool *pool = pool_of(home, inv->revision);

        if (pool == NULL) {
                local_fail(home, inv, ERR_NO_MEMORY, "SystemError", "out of memory");
                return;
        }
        pool_submit(pool, inv);
}

static void submit_task(struct loop_task *task)
{
        struct invocation *inv =
                (struct invocation *)(void *)((char *)task - offsetof(struct invocation, task));

        submit(inv->home, inv);
}

/* To the function's home, on the invocation's loop. */
static void invoke_checked(struct invocation *inv)
{
        struct home *home = inv->home;

        if (inv->loop == home->loop) {
                home->submitting = true;
                submit(home, inv);
                home->submitting = false;
                return;
        }
        inv->task.run = submit_task;
        loop_post(home->loop, &inv->task);
}

static void input_checked(struct loop_task *task)
{
        struct invocation *inv = invocation_of(task);
        struct home *home = inv->home;

        if (inv->error_type == NULL) {
                invoke_checked(inv);
                return;
        }
        atomic_fetch_add(&home->engine->failures, 1);
        inv->done(inv);
        one_over(home->engine);
}

static void local_invoke(struct engine *base, struct invocation *inv)
{
        struct local_engine *engine = engine_of(base);
        struct home *home = home_of(engine, inv->revision);

        atomic_fetch_add(&engine->running, 1);
        inv->body.max = engine->config.limits.reply_bytes_max;
        inv->log_stdout.max = inv->log_stderr.max =
                engine->config.limits.log_bytes_max + 256; /* + the mark of a cut */
        inv->queued_us = clock_mono_us();
        inv->home = home;
        switch (check_input(inv)) {
        case CHECK_PASSED:
                invoke_checked(inv);
                return;
        case CHECK_LATER:
                if (check_elsewhere(engine, inv, check_input_fully, input_checked))
                        return;
                break;
        case CHECK_FAILED:
                break;
        }
        atomic_fetch_add(&engine->failures, 1);
        finish_later(engine, inv);
}

static void deploy_free(struct deploy *deploy)
{
        revision_unref(deploy->revision);
        buf_finish(&deploy->trace);
        free(deploy);
}

static void deploy_done(struct loop_task *task)
{
        struct deploy *deploy = (struct deploy *)task;
        struct str trace = {deploy->trace.data, deploy->trace.len};

        deploy->done(deploy->arg, deploy->code, &deploy->err, trace);
        deploy_free(deploy);
}

void deploy_finish(struct deploy *deploy, enum err_code code, const struct err *err, struct str trace)
{
        deploy->code = code;
        if (err != NULL)
                deploy->err = *err;
        /* A trace that is too long is left out; the message stays. */
        if (trace.len > 0 && buf_append(&deploy->trace, trace.p, trace.len) != ERR_OK)
                buf_clear(&deploy->trace);
        deploy->task.run = deploy_done;
        loop_post(deploy->home->engine->config.control, &deploy->task);
}

static void deploy_task(struct loop_task *task)
{
        struct deploy *deploy = (struct deploy *)task;
        struct pool *pool = pool_of(deploy->home, deploy->revision);
        struct err err;

        if (pool == NULL)
                deploy_finish(deploy, err_nomem(&err), &err, (struct str){NULL, 0});
        else
                pool_deploy(pool, deploy);
}

static void local_deploy(struct engine *base, struct revision *revision, engine_deployed done, void *arg)
{
        struct local_engine *engine = engine_of(base);
        struct deploy *deploy = calloc(1, sizeof(*deploy));
        struct err err;

        if (deploy == NULL) {
                done(arg, err_nomem(&err), &err, (struct str){NULL, 0});
                return;
        }
        *deploy = (struct deploy){.task = {.run = deploy_task},
                                  .home = home_of(engine, revision),
                                  .revision = revision_ref(revision),
                                  .done = done,
                                  .arg = arg};
        buf_init(&deploy->trace, 1 << 20);
        loop_post(deploy->home->loop, &deploy->task);
}

struct retire {
        struct loop_task task;
        struct home *home;
        struct revision *revision;
};

static void retire_task(struct loop_task *task)
{
        struct retire *retire = (struct retire *)task;
        struct pool *pool = *home_pool_slot(retire->home, retire->revision);

        if (pool != NULL)
                pool_tick(pool);
        revision_unref(retire->revision);
        free(retire);
}

static void local_retire(struct engine *base, struct revision *revision)
{
        struct retire *retire = malloc(sizeof(*retire));

        atomic_store(&revision->retired, true);
        if (retire == NULL)
                return; /* the next tick sees the flag */
        *retire = (struct retire){.task = {.run = retire_task},
                                  .home = home_of(engine_of(base), revision),
                                  .revision = revision_ref(revision)};
        loop_post(retire->home->loop, &retire->task);
}

static void drained_run(struct loop_task *task)
{
        struct local_engine *engine =
                (struct local_engine *)(void *)((char *)task - offsetof(struct local_engine, drained_task));

        engine->drained(engine->drained_arg);
}

static void local_drain(struct engine *base, void (*drained)(void *arg), void *arg)
{
        struct local_engine *engine = engine_of(base);

        engine->drained = drained;
        engine->drained_arg = arg;
        engine->drained_task.run = drained_run;
        atomic_store(&engine->draining, true);
        drain_check(engine);
}

/* A hostile or confused frame of spawn's is not possible: it is the more trusted side. One for an unknown id
 * is late news. */
static void link_frame(struct home *home, const union spawn_frame *frame, int fds[SPAWN_FDS_MAX])
{
        struct instance *instance = home_find(home, frame->head.id);

        if (instance == NULL)
                return;
        if (frame->head.op == SPAWN_STARTED)
                instance_started(instance, &frame->started, fds);
        else if (frame->head.op == SPAWN_EXITED)
                instance_exited(instance, &frame->exited);
}

static void link_ready(void *arg, int events)
{
        struct home *home = arg;
        union spawn_frame frame;

        (void)events;
        for (;;) {
                int fds[SPAWN_FDS_MAX] = {-1, -1, -1};
                size_t count = 0;
                struct err err;
                enum err_code code = spawn_receive(home->link_fd, &frame, fds, &count, &err);
                if (code == ERR_CANCELLED)
                        loop_poll_want(home->link, 0); /* spawn is gone; the server ends, see server/main.c */
                if (code == ERR_LIMIT || code == ERR_CANCELLED)
                        return;
                if (code != ERR_OK && code != ERR_NO_MEMORY) /* then it has come, without its descriptors */
                        continue;
                link_frame(home, &frame, fds);
                for (size_t i = 0; i < count; i++)
                        own_fd_release(&fds[i]);
        }
}

static void home_turn(void *ctx, size_t index);

static void home_tick(void *arg)
{
        struct home *home = arg;
        struct pool *next;

        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct instance *instance = home->by_id[i]; instance != NULL;
                     instance = instance->next_by_id) {
                        if (instance->kill_unsent)
                                instance_kill(instance);
                }
                for (struct pool *pool = home->by_revision[i]; pool != NULL; pool = next) {
                        next = pool->next;
                        pool_tick(pool);
                }
        }
        starts_tick(home);
        if (home->index == 0)
                budget_look(&home->engine->budget);
        pool_give_back(home, budget_over(&home->engine->budget));
        home_turn(home->engine, home->index);
        loop_timer_start(home->tick, HOME_TICK_MS);
}

/* Something may be for this home: places for what waits, or a wish for the places of what is idle. */
static void home_turn(void *ctx, size_t index)
{
        struct local_engine *engine = ctx;
        struct home *home = &engine->homes[index];
        struct pool *pool;

        for (int i = 0; i < HOME_TURN_MAX && pool_evict(home); i++)
                continue;
        for (int i = 0; i < HOME_TURN_MAX && (pool = fair_next(engine->fair, index)) != NULL; i++)
                pool_turn(pool);
}

static enum err_code home_init(struct home *home, struct local_engine *engine, size_t index, struct err *err)
{
        home->engine = engine;
        home->index = index;
        home->loop = engine->config.loops[index];
        home->link_fd = engine->config.link_fds[index];
        buf_init(&home->scratch, 2 * FRAME_PAYLOAD_MAX);
        home->link = loop_poll_create(home->loop, home->link_fd, link_ready, home);
        home->tick = loop_timer_create(home->loop, home_tick, home);
        if (home->link == NULL || home->tick == NULL)
                return err_nomem(err);
        loop_poll_want(home->link, LOOP_READABLE);
        loop_timer_start(home->tick, HOME_TICK_MS);
        return ERR_OK;
}

/* Whoever asked for them goes down too and is not told. */
static void deploys_drop(struct pool *pool)
{
        while (pool->deploys != NULL) {
                struct deploy *deploy = pool->deploys;
                pool->deploys = deploy->next;
                deploy_free(deploy);
        }
}

static void home_free(struct home *home)
{
        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                while (home->by_id[i] != NULL)
                        instance_destroy(home->by_id[i]);
                while (home->by_revision[i] != NULL) {
                        struct pool *pool = home->by_revision[i];
                        home->by_revision[i] = pool->next;
                        deploys_drop(pool);
                        free(pool->template);
                        loop_timer_destroy(pool->timer);
                        revision_unref(pool->revision);
                        free(pool);
                }
        }
        starts_finish(home);
        loop_poll_destroy(home->link);
        loop_timer_destroy(home->tick);
        buf_finish(&home->scratch);
}

/* After the loops have stopped. */
static void local_destroy(struct engine *base)
{
        struct local_engine *engine = engine_of(base);

        if (engine == NULL)
                return;
        for (size_t i = 0; i < engine->config.loop_count; i++)
                home_free(&engine->homes[i]);
        checker_destroy(engine->checker);
        fair_destroy(engine->fair);
        usage_close(&engine->usage);
        free(engine);
}

static const struct engine_ops local_ops = {
        .name = "local",
        .deploy = local_deploy,
        .retire = local_retire,
        .invoke = local_invoke,
        .cancel = local_cancel,
        .cancel_named = local_cancel_named,
        .inspect = local_inspect,
        .drain = local_drain,
        .destroy = local_destroy,
};

enum err_code local_engine_create(const struct local_config *config, struct engine **ret, struct err *err)
{
        assert(config->loop_count > 0);

        struct local_engine *engine =
                calloc(1, sizeof(*engine) + config->loop_count * sizeof(engine->homes[0]));
        if (engine == NULL)
                return err_nomem(err);
        engine->base.ops = &local_ops;
        engine->config = *config;
        enum err_code made = checker_create(&engine->checker, err);
        if (made == ERR_OK)
                made = fair_create(config->loops, config->loop_count, config->limits.instances_max, home_turn,
                                   engine, &engine->fair, err);
        if (made != ERR_OK) {
                checker_destroy(engine->checker);
                free(engine);
                return made;
        }
        budget_init(&engine->budget, config->limits.pool_bytes);
        usage_open(&engine->usage, config->cgroup_folder);
        for (size_t i = 0; i < config->loop_count; i++) {
                enum err_code code = home_init(&engine->homes[i], engine, i, err);
                if (code != ERR_OK) {
                        local_destroy(&engine->base);
                        return code;
                }
        }
        *ret = &engine->base;
        return ERR_OK;
}

const char *local_pool_name(size_t pool)
{
        static const char *const names[LOCAL_POOLS] = {"idle", "ahead", "template", "zygote", "stem"};

        return names[pool];
}

void local_engine_counts(const struct engine *base, struct local_counts *ret)
{
        const struct local_engine *engine = (const struct local_engine *)base;

        *ret = (struct local_counts){.instances = fair_used(engine->fair),
                                     .busy = atomic_load(&engine->busy),
                                     .queued = atomic_load(&engine->queued),
                                     .starts = atomic_load(&engine->starts),
                                     .failures = atomic_load(&engine->failures),
                                     .fall_backs = atomic_load(&engine->fall_backs),
                                     .waiting = fair_hungry(engine->fair),
                                     .evicted = atomic_load(&engine->budget.evicted),
                                     .pool_limit_bytes = engine->budget.limit_bytes};
        for (size_t i = 0; i < LOCAL_KINDS; i++)
                ret->starts_of[i] = atomic_load(&engine->starts_of[i]);
        for (size_t i = 0; i < LOCAL_POOLS; i++) {
                ret->pool_count[i] = atomic_load(&engine->budget.counts[i + 1]);
                ret->pool_bytes[i] = atomic_load(&engine->budget.bytes[i + 1]);
        }
}
