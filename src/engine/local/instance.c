/*
 * engine/local/instance.c: the life of one instance, from START to EXITED.
 *
 * Its channel is a stream socket of its own; what the agent sends there is hostile (exchange.c checks it). An
 * instance that misbehaves, runs over a deadline or is not needed any more is killed, never asked.
 */
#include "engine/local/home.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        READ_BYTES = 65536,
        IN_BYTES_MAX = FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN + READ_BYTES,
        OUT_BYTES_MAX = 4 << 20, /* one HEAD, one SECRETS and a window of DATA fit many times */
        RUN_BYTES_MAX = 3 * (FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN), /* what each further run adds to that */
        IDLE_BYTES = 4096,  /* a larger buffer is given back while idle */
        EXIT_WAIT_MS = 1000 /* for spawn to say why an instance died */
};

#define TO(state) (1U << INSTANCE_##state)

static const struct {
        const char *name;
        uint32_t next; /* bit set of the states reachable in one move */
        bool holds_run;
} states[] = {
        [INSTANCE_STARTING] = {"starting", TO(LOADING) | TO(ENDING) | TO(GONE), false},
        [INSTANCE_LOADING] = {"loading", TO(IDLE) | TO(PARKED) | TO(ENDING), false},
        [INSTANCE_IDLE] = {"idle", TO(BUSY) | TO(ENDING), false},
        [INSTANCE_BUSY] = {"busy", TO(IDLE) | TO(ENDING), true},
        [INSTANCE_PARKED] = {"parked", TO(ENDING) | TO(GONE), false},
        [INSTANCE_ENDING] = {"ending", TO(GONE), true},
        [INSTANCE_GONE] = {"gone", 0, false},
};

const char *instance_state_name(enum instance_state state)
{
        return states[state].name;
}

void instance_move(struct instance *instance, enum instance_state state)
{
        assert((states[instance->state].next & (1U << state)) != 0);
        assert(instance->runs == NULL || states[state].holds_run);
        if (state == INSTANCE_BUSY)
                atomic_fetch_add(&instance->home->engine->busy, 1);
        else if (instance->state == INSTANCE_BUSY)
                atomic_fetch_sub(&instance->home->engine->busy, 1);
        instance->state = state;
}

static enum err_code fill_start(struct spawn_start *start, struct home *home, const struct revision *revision,
                                struct err *err)
{
        const struct local_config *config = &home->engine->config;

        spawn_group(revision->organization, start->organization);
        spawn_group(revision->function_id, start->function);
        if (!config->host.runtime_argv(config->host.ctx, revision->language, revision->memory_mib,
                                       start->argv, &start->argc))
                return err_set(err, ERR_UNAVAILABLE, "no runtime for %s on this server", revision->language);
        if (revision->interpreter[0] != '\0' && !spawn_argv_program(start->argv, revision->interpreter))
                return err_set(err, ERR_UNPROCESSABLE, "the path of the image's interpreter is too long");
        snprintf(start->runtime, sizeof(start->runtime), "%s", revision->language);
        snprintf(start->code, sizeof(start->code), "%s", revision->code);
        snprintf(start->filter, sizeof(start->filter), "default");
        start->layer_count = revision->layer_count;
        memcpy(start->layers, revision->layers, revision->layer_count * sizeof(start->layers[0]));
        start->memory_mib = revision->memory_mib;
        start->cpu_millicores = revision->cpu_millicores;
        start->pids_max = config->limits.pids_max;
        start->tmp_mib = config->limits.tmp_mib;
        return ERR_OK;
}

static void fill_egress(union spawn_frame *frame, const struct revision *revision)
{
        frame->head.op = SPAWN_START_EGRESS;
        memset(frame->egress.allow, 0, sizeof(frame->egress.allow));
        if (revision->allow_len > 0)
                memcpy(frame->egress.allow, revision->allow, revision->allow_len);
}

static void instance_timeout(void *arg);

static struct instance *instance_create(struct pool *pool)
{
        struct instance *instance = calloc(1, sizeof(*instance));

        if (instance == NULL)
                return NULL;
        instance->timer = loop_timer_create(pool->home->loop, instance_timeout, instance);
        if (instance->timer == NULL) {
                free(instance);
                return NULL;
        }
        instance->home = pool->home;
        instance->pool = pool;
        instance->id = ++pool->home->last_id;
        instance->channel = -1;
        instance->secrets_fd = -1;
        instance->begun_us = clock_mono_us();
        buf_init(&instance->in, IN_BYTES_MAX);
        buf_init(&instance->out, OUT_BYTES_MAX + (size_t)pool->revision->concurrency * RUN_BYTES_MAX);
        home_add(pool->home, instance);
        return instance;
}

/* Takes it off every list and frees it. */
void instance_destroy(struct instance *instance)
{
        loop_poll_destroy(instance->poll);
        loop_timer_destroy(instance->timer);
        runs_free(instance);
        if (instance->channel >= 0)
                close(instance->channel);
        if (instance->secrets_fd >= 0)
                close(instance->secrets_fd);
        starts_let(instance);
        budget_set(&instance->home->engine->budget, &instance->held, BUDGET_NONE, 0);
        buf_finish(&instance->in);
        buf_finish(&instance->out);
        home_remove(instance->home, instance);
        free(instance);
}

/* The secrets of a revision are fetched by the control thread, which has the store. */
struct secret_fetch {
        struct loop_task task;
        struct home *home;
        struct revision *revision;
        uint64_t instance_id;
        enum err_code code;
        struct err err;
        int fd;
};

static void secret_fetched(struct loop_task *task)
{
        struct secret_fetch *fetch = (struct secret_fetch *)task;
        struct instance *instance = home_find(fetch->home, fetch->instance_id);

        if (instance != NULL)
                instance_secrets(instance, fetch->code, &fetch->err, &fetch->fd);
        if (fetch->fd >= 0)
                close(fetch->fd);
        revision_unref(fetch->revision);
        free(fetch);
}

static void secret_fetch_run(struct loop_task *task)
{
        struct secret_fetch *fetch = (struct secret_fetch *)task;
        const struct local_host *host = &fetch->home->engine->config.host;

        fetch->code = host->secrets(host->ctx, fetch->revision, &fetch->fd, &fetch->err);
        fetch->task.run = secret_fetched;
        loop_post(fetch->home->loop, &fetch->task);
}

static enum err_code secrets_ask(struct instance *instance, struct revision *revision, struct err *err)
{
        struct secret_fetch *fetch;

        if (revision->secret_count == 0)
                return ERR_OK;
        fetch = calloc(1, sizeof(*fetch));
        if (fetch == NULL)
                return err_nomem(err);
        *fetch = (struct secret_fetch){.task = {.run = secret_fetch_run},
                                       .home = instance->home,
                                       .revision = revision_ref(revision),
                                       .instance_id = instance->id,
                                       .fd = -1};
        instance->secrets_wanted = true;
        loop_post(instance->home->engine->config.control, &fetch->task);
        return ERR_OK;
}

/* A child of a template has its secrets already; what is made of an image has none. */
static bool needs_secrets(const struct instance *instance)
{
        return instance->kind != START_TEMPLATE && instance->role != SPAWN_ROLE_ZYGOTE &&
               instance->role != SPAWN_ROLE_STEM;
}

static enum err_code send_start(struct instance *instance, struct err *err)
{
        struct revision *revision = instance->pool->revision;
        union spawn_frame frame = {.start = {.head = {.op = SPAWN_START, .id = instance->id},
                                             .role = instance->role,
                                             .spares = instance->role == SPAWN_ROLE_TEMPLATE,
                                             .from = instance->from_id}};
        enum err_code code = fill_start(&frame.start, instance->home, revision, err);

        if (code == ERR_OK && revision->egress)
                fill_egress(&frame, revision);
        if (code == ERR_OK)
                code = home_send(instance->home, &frame, err);
        if (code == ERR_OK && needs_secrets(instance))
                code = secrets_ask(instance, revision, err);
        if (code == ERR_OK)
                loop_timer_start(instance->timer, instance->home->engine->config.limits.start_timeout_ms);
        return code;
}

enum err_code instance_start(struct pool *pool, struct err *err)
{
        struct instance *instance = instance_create(pool);
        struct start_plan plan;

        if (instance == NULL)
                return err_nomem(err);
        plan = starts_plan(pool);
        starts_take(instance, &plan);
        enum err_code code = send_start(instance, err);
        if (code != ERR_OK) {
                instance_destroy(instance);
                return code;
        }
        pool->total++;
        pool->starting++;
        pool->starts++;
        atomic_fetch_add(&pool->home->engine->starts, 1);
        return ERR_OK;
}

enum err_code instance_start_source(struct source *source, struct err *err)
{
        static const enum spawn_role roles[] = {[START_TEMPLATE] = SPAWN_ROLE_TEMPLATE,
                                                [START_ZYGOTE] = SPAWN_ROLE_ZYGOTE,
                                                [START_STEM] = SPAWN_ROLE_STEM};
        struct instance *instance = instance_create(source->pool);

        if (instance == NULL)
                return err_nomem(err);
        instance->role = roles[source->kind];
        instance->kind = START_BOOT;
        instance->source = source;
        enum err_code code = send_start(instance, err);
        if (code != ERR_OK) {
                instance_destroy(instance);
                return code;
        }
        source->starting = instance;
        source->pool->roles++;
        return ERR_OK;
}

const char *instance_group(const struct instance *instance)
{
        return instance->kind == START_STEM ? REVISION_IMAGE_GROUP : instance->pool->revision->function_id;
}

void instance_measure(struct instance *instance, enum budget_class class)
{
        const struct revision *revision = instance->pool->revision;
        struct local_engine *engine = instance->home->engine;
        uint64_t bytes = BUDGET_GUESS_BYTES;

        usage_memory(&engine->usage, revision->organization, instance_group(instance), instance->cgroup,
                     &bytes);
        budget_set(&engine->budget, &instance->held, class, bytes);
}

static void send_simple(struct instance *instance, enum spawn_op op)
{
        union spawn_frame frame = {.head = {.op = op, .id = instance->id}};

        home_send(instance->home, &frame, NULL);
}

void instance_kill(struct instance *instance)
{
        union spawn_frame frame = {.head = {.op = SPAWN_KILL, .id = instance->id}};
        struct err err;

        /* A full link is tried again with the next tick; a closed one means that spawn has killed everything.
         */
        instance->kill_unsent = home_send(instance->home, &frame, &err) == ERR_LIMIT;
}

static void channel_close(struct instance *instance)
{
        loop_poll_destroy(instance->poll);
        instance->poll = NULL;
        if (instance->channel >= 0)
                close(instance->channel);
        instance->channel = -1;
}

/* Tells whoever waits for it that it is over: the runs in hand, or the pool when it never was ready. */
static void report_end(struct instance *instance, enum err_code code, const char *type, const struct err *err)
{
        instance->lost = false;
        if (!runs_fail(instance, code, type, err->text) && !instance->ready) {
                instance->ready = true; /* told once */
                if (instance->role != SPAWN_ROLE_INSTANCE)
                        starts_failed(instance, code, err->text);
                else
                        pool_instance_failed(instance->pool, code, err, (struct str){NULL, 0});
        }
}

void instance_end(struct instance *instance, enum err_code code, const char *type, const char *fmt, ...)
{
        struct err err;
        va_list args;

        if (instance->state == INSTANCE_ENDING || instance->state == INSTANCE_GONE)
                return;
        va_start(args, fmt);
        err_vset(&err, code, fmt, args);
        va_end(args);
        pool_instance_full(instance->pool, instance);
        if (instance->state == INSTANCE_PARKED)
                starts_unpark(instance);
        instance_move(instance, INSTANCE_ENDING);
        loop_timer_stop(instance->timer);
        channel_close(instance);
        instance_kill(instance);
        report_end(instance, code, type, &err);
}

/* The channel has ended without a word: spawn's EXITED will say why. To kill it now would hide how its
 * process ended; one that lives on without a channel is killed when the timer says so. */
static void instance_lost(struct instance *instance)
{
        if (instance->state == INSTANCE_IDLE || instance->state == INSTANCE_PARKED) {
                instance_end(instance, ERR_CANCELLED, NULL, "it ended while idle");
                return;
        }
        pool_instance_full(instance->pool, instance);
        instance_move(instance, INSTANCE_ENDING);
        instance->lost = true;
        channel_close(instance);
        loop_timer_start(instance->timer, EXIT_WAIT_MS);
}

static void instance_timeout(void *arg)
{
        struct instance *instance = arg;
        const struct revision *revision = instance->pool->revision;
        struct err err;

        switch (instance->state) {
        case INSTANCE_STARTING:
        case INSTANCE_LOADING:
                instance_end(instance, ERR_TIMEOUT, "FunctionError",
                             "function %s did not load its handler within %u ms (--start-timeout)",
                             revision->name, instance->home->engine->config.limits.start_timeout_ms);
                return;
        case INSTANCE_ENDING:
                err_set(&err, ERR_SYSTEM, "the process of function %s ended before it answered",
                        revision->name);
                instance_kill(instance);
                if (instance->lost)
                        report_end(instance, ERR_SYSTEM, "FunctionError", &err);
                return;
        case INSTANCE_IDLE:
        case INSTANCE_BUSY: /* each run has its own */
        case INSTANCE_PARKED:
        case INSTANCE_GONE:
                return;
        }
}

static void why_exited(const struct instance *instance, const struct spawn_exited *exited, struct err *err)
{
        const struct revision *revision = instance->pool->revision;

        if (exited->oom_kills > 0 || (!exited->by_signal && exited->value == FRAME_EXIT_MEMORY))
                err_set(err, ERR_SYSTEM, "function %s exceeded its memory limit of %u MiB", revision->name,
                        revision->memory_mib);
        else if (exited->by_signal)
                err_set(err, ERR_SYSTEM,
                        "the process of function %s was killed by signal %d (%s) before it answered",
                        revision->name, exited->value, strsignal(exited->value));
        else
                err_set(err, ERR_SYSTEM,
                        "the process of function %s ended with status %d before it answered%s",
                        revision->name, exited->value,
                        exited->pids_refused > 0 ? "; it had reached its limit of processes" : "");
}

/* What it came from may be to blame: another way to start is tried. */
static bool start_otherwise(struct instance *instance, const char *why)
{
        if (!starts_fall_back(instance, why))
                return false;
        instance->ready = true; /* nobody is told */
        pool_instance_fell_back(instance->pool);
        return true;
}

/* Off every list; its pool hears of it last. */
static void instance_gone(struct instance *instance)
{
        struct pool *pool = instance->pool;
        bool role = instance->role != SPAWN_ROLE_INSTANCE;

        instance_move(instance, INSTANCE_GONE);
        if (role)
                starts_gone(instance);
        instance_destroy(instance);
        if (role)
                pool_role_gone(pool);
        else
                pool_instance_gone(pool);
}

/* The kernel's, an operator's or a fault's SIGKILL, not its memory limit: nothing is known against the
 * handler yet. */
static bool start_again(struct instance *instance, const struct spawn_exited *exited)
{
        if (start_otherwise(instance, "it ended before it was ready"))
                return true;
        if (instance->role != SPAWN_ROLE_INSTANCE || instance->ready || instance->runs != NULL ||
            !exited->by_signal || exited->value != SIGKILL || exited->oom_kills > 0 ||
            !pool_instance_killed(instance->pool))
                return false;
        instance->ready = true; /* nobody is told */
        return true;
}

static bool channel_read(struct instance *instance);

void instance_exited(struct instance *instance, const struct spawn_exited *exited)
{
        struct err err;

        /* What it had sent before it died still counts. */
        while (instance->channel >= 0 && channel_read(instance))
                continue;
        if (instance->state != INSTANCE_ENDING && instance->state != INSTANCE_STARTING)
                instance_lost(instance);
        if (instance->state == INSTANCE_STARTING)
                instance_move(instance, INSTANCE_ENDING);
        if (!start_again(instance, exited) && (instance->lost || !instance->ready)) {
                why_exited(instance, exited, &err);
                report_end(instance, ERR_SYSTEM, "FunctionError", &err);
        }
        instance_gone(instance);
}

void instance_flush(struct instance *instance)
{
        while (instance->out.len > 0) {
                ssize_t n = send(instance->channel, instance->out.data, instance->out.len,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break; /* EAGAIN: later; anything else shows up as the end of the channel */
                buf_consume(&instance->out, (size_t)n);
        }
        bool writes = instance->out.len > 0;
        if (writes != instance->poll_writes) {
                instance->poll_writes = writes;
                loop_poll_want(instance->poll, LOOP_READABLE | (writes ? LOOP_WRITABLE : 0));
        }
}

/* Takes whole frames off the buffer. False: the channel is dead or gone. */
static bool frames_take(struct instance *instance)
{
        size_t used = 0;
        struct frame frame;
        struct err err;

        while (instance->channel >= 0) {
                size_t len = 0;
                struct str rest = {instance->in.data + used, instance->in.len - used};
                enum err_code code = frame_parse(rest, &frame, &len, &err);
                if (code == ERR_LIMIT)
                        break;
                if (code == ERR_OK)
                        code = exchange_frame(instance, &frame, &err);
                if (code != ERR_OK) {
                        instance_end(instance, ERR_BAD_REPLY, "FunctionError",
                                     "the reply of function %s is no reply: %s",
                                     instance->pool->revision->name, err.text);
                        return false;
                }
                used += len;
        }
        if (instance->channel < 0)
                return false;
        buf_consume(&instance->in, used);
        return true;
}

/* One read and the frames in it. False: nothing more is to be had now. */
static bool channel_read(struct instance *instance)
{
        if (buf_reserve(&instance->in, READ_BYTES) != ERR_OK) {
                instance_end(instance, ERR_NO_MEMORY, "SystemError", "out of memory");
                return false;
        }
        ssize_t n = recv(instance->channel, instance->in.data + instance->in.len, READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0) {
                instance_lost(instance);
                return false;
        }
        instance->in.len += (size_t)n;
        if (!frames_take(instance))
                return false;
        if (instance->in.len == 0 && instance->state == INSTANCE_IDLE && instance->in.capacity > IDLE_BYTES)
                buf_finish(&instance->in);
        return n == READ_BYTES;
}

static void channel_ready(void *arg, int events)
{
        struct instance *instance = arg;

        if ((events & LOOP_WRITABLE) != 0 && instance->out.len > 0) {
                instance_flush(instance);
                if (instance->state == INSTANCE_BUSY && instance->out.len == 0 &&
                    exchange_pump(instance) == ERR_OK)
                        instance_flush(instance);
        }
        if ((events & LOOP_READABLE) != 0)
                channel_read(instance);
}

/* The first message: what it runs, with the secrets' descriptor beside it. */
static void specialise(struct instance *instance)
{
        own_buf struct buf message = {.max = OUT_BYTES_MAX};
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.bytes = {0}};

        if (exchange_specialise(instance, &message) != ERR_OK) {
                instance_end(instance, ERR_UNPROCESSABLE, "SystemError",
                             "environment and handler of function %s are too large",
                             instance->pool->revision->name);
                return;
        }
        struct iovec iov = {message.data, message.len};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        if (instance->secrets_fd >= 0) {
                msg.msg_control = control.bytes;
                msg.msg_controllen = sizeof(control.bytes);
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
                *cmsg = (struct cmsghdr){
                        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(cmsg), &instance->secrets_fd, sizeof(int));
        }
        ssize_t n = sendmsg(instance->channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0 && (size_t)n < message.len &&
            buf_append(&instance->out, message.data + n, message.len - (size_t)n) == ERR_OK)
                instance_flush(instance);
        if (instance->secrets_fd >= 0)
                close(take_fd(&instance->secrets_fd));
        instance->loading_us = clock_mono_us();
}

void instance_secrets(struct instance *instance, enum err_code code, const struct err *err, int *fd)
{
        if (instance->state != INSTANCE_STARTING && instance->state != INSTANCE_LOADING)
                return;
        if (code != ERR_OK) {
                instance_end(instance, code, "SystemError", "%s", err->text);
                return;
        }
        instance->secrets_fd = take_fd(fd);
        instance->secrets_wanted = false;
        if (instance->state == INSTANCE_LOADING)
                specialise(instance);
}

/* A stem's channel becomes that of the instance that has claimed it; the stem is gone with that, and no
 * EXITED of it follows. False: it had ended, or said something, just before, or nobody waits any more. */
static bool channel_adopt(struct instance *instance)
{
        struct instance *stem = home_find(instance->home, instance->from_id);

        if (stem == NULL || stem->role != SPAWN_ROLE_STEM)
                return false;
        if (stem->state == INSTANCE_PARKED && stem->in.len == 0 && instance->state == INSTANCE_LOADING) {
                loop_poll_destroy(stem->poll);
                stem->poll = NULL;
                instance->channel = take_fd(&stem->channel);
        }
        instance_gone(stem);
        return instance->channel >= 0;
}

/* Zygotes and stems come without being specialised; so do children of a template, which is. */
static bool comes_specialised(const struct instance *instance)
{
        return instance->role == SPAWN_ROLE_ZYGOTE || instance->kind == START_TEMPLATE;
}

static void stem_parked(struct instance *instance)
{
        loop_timer_stop(instance->timer);
        instance_move(instance, INSTANCE_PARKED);
        instance->ready = true;
        starts_parked(instance, (struct str){NULL, 0});
}

static void start_refused(struct instance *instance, const struct spawn_started *started)
{
        struct err err;

        if (instance->state == INSTANCE_STARTING && !start_otherwise(instance, started->text)) {
                err_set(&err, (enum err_code)started->code, "%s", started->text);
                report_end(instance, err.code, "SystemError", &err);
        }
        instance_gone(instance);
}

void instance_started(struct instance *instance, const struct spawn_started *started, int *channel)
{
        if (!started->ok) {
                start_refused(instance, started);
                return;
        }
        if (instance->state != INSTANCE_STARTING) {
                if (instance->kind == START_STEM)
                        (void)channel_adopt(instance);
                return; /* killed meanwhile: EXITED follows */
        }
        instance_move(instance, INSTANCE_LOADING);
        instance->sandbox_us = started->sandbox_us;
        instance->cgroup = started->cgroup;
        if (instance->kind == START_STEM && !channel_adopt(instance)) {
                (void)start_otherwise(instance, "the process that it was to be is gone");
                instance_end(instance, ERR_SYSTEM, "SystemError", "the process that it was to be is gone");
                return;
        }
        if (instance->kind != START_STEM)
                instance->channel = take_fd(channel);
        if (instance->channel < 0) {
                instance_end(instance, ERR_UNAVAILABLE, "SystemError",
                             "the server may not have more descriptors; raise its limit (ulimit -n)");
                return;
        }
        instance->poll = loop_poll_create(instance->home->loop, instance->channel, channel_ready, instance);
        if (instance->poll == NULL) {
                instance_end(instance, ERR_NO_MEMORY, "SystemError", "out of memory");
                return;
        }
        loop_poll_want(instance->poll, LOOP_READABLE);
        if (instance->role == SPAWN_ROLE_STEM)
                stem_parked(instance);
        else if (comes_specialised(instance))
                instance->loading_us = clock_mono_us();
        else if (!instance->secrets_wanted)
                specialise(instance);
}

void instance_loaded(struct instance *instance, struct str why_not)
{
        loop_timer_stop(instance->timer);
        instance->ready = true;
        instance->ready_us = clock_mono_us();
        if (instance->role != SPAWN_ROLE_INSTANCE) {
                instance_move(instance, INSTANCE_PARKED);
                starts_parked(instance, why_not);
                return;
        }
        instance_move(instance, INSTANCE_IDLE);
        starts_came(instance);
        pool_instance_idle(instance->pool, instance, true);
}

void instance_freeze(struct instance *instance)
{
        if (instance->frozen)
                return;
        instance->frozen = true;
        send_simple(instance, SPAWN_FREEZE);
}

void instance_failed(struct instance *instance, struct str trace)
{
        struct err err;

        err_set(&err, ERR_SYSTEM, "function %s could not load its handler", instance->pool->revision->name);
        instance->ready = true;
        if (instance->role != SPAWN_ROLE_INSTANCE)
                starts_failed(instance, ERR_SYSTEM, err.text);
        else
                pool_instance_failed(instance->pool, ERR_SYSTEM, &err, trace);
        instance_end(instance, ERR_SYSTEM, "FunctionError", "%s", err.text);
}

void instance_thaw(struct instance *instance)
{
        if (!instance->frozen)
                return;
        instance->frozen = false;
        send_simple(instance, SPAWN_THAW);
}
