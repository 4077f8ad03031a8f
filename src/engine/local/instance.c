/*
 * engine/local/instance.c: the life of one instance, from START to EXITED.
 *
 * Its channel (channel.h) is its own; what the agent sends there is hostile (exchange.c checks it). An
 * instance that misbehaves, runs over a deadline or is not needed any more is killed, never asked.
 */
#include "engine/local/home.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        IN_BYTES_MAX = FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN + RING_BYTES,
        OUT_BYTES_MAX = 8 << 20, /* one HEAD, all SECRETS and a window of DATA fit */
        SECRETS_BYTES_MAX = 4 << 20,
        RUN_BYTES_MAX = 3 * (FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN), /* what each further run adds to that */
        IDLE_BYTES = 4096,  /* a larger buffer is given back while idle */
        READS_AT_ONCE = 4,  /* ring fulls from one instance, then it is another's turn */
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
        instance->secrets_fd = -1;
        instance->begun_us = clock_mono_us();
        channel_init(&instance->channel, IN_BYTES_MAX,
                     OUT_BYTES_MAX + (size_t)pool->revision->concurrency * RUN_BYTES_MAX);
        home_add(pool->home, instance);
        return instance;
}

/* Takes it off every list and frees it. */
void instance_destroy(struct instance *instance)
{
        channel_finish(&instance->channel);
        loop_timer_destroy(instance->timer);
        runs_free(instance);
        if (instance->secrets_fd >= 0)
                close(instance->secrets_fd);
        starts_let(instance);
        budget_set(&instance->home->engine->budget, &instance->held, BUDGET_NONE, 0);
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
        channel_close(&instance->channel);
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
        channel_close(&instance->channel);
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

static bool take(struct instance *instance);

void instance_exited(struct instance *instance, const struct spawn_exited *exited)
{
        struct err err;

        /* What it had sent before it died still counts. */
        while (channel_is_open(&instance->channel) && take(instance))
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
        channel_flush(&instance->channel);
}

static void is_no_reply(struct instance *instance, const struct err *err)
{
        instance_end(instance, ERR_BAD_REPLY, "FunctionError", "the reply of function %s is no reply: %s",
                     instance->pool->revision->name, err->text);
}

/* Takes whole frames off the buffer. False: the channel is dead or gone. */
static bool frames_take(struct instance *instance)
{
        struct buf *in = &instance->channel.in;
        size_t used = 0;
        struct frame frame;
        struct err err;

        while (channel_is_open(&instance->channel)) {
                size_t len = 0;
                struct str rest = {in->data + used, in->len - used};
                enum err_code code = frame_parse(rest, &frame, &len, &err);
                if (code == ERR_LIMIT)
                        break;
                if (code == ERR_OK)
                        code = exchange_frame(instance, &frame, &err);
                if (code != ERR_OK) {
                        is_no_reply(instance, &err);
                        return false;
                }
                used += len;
        }
        if (!channel_is_open(&instance->channel))
                return false;
        buf_consume(in, used);
        return true;
}

/* What the channel says, other than that it has something. */
static void channel_failed(struct instance *instance, enum err_code code, const struct err *err)
{
        if (code == ERR_CANCELLED)
                instance_lost(instance);
        else if (code == ERR_NO_MEMORY)
                instance_end(instance, ERR_NO_MEMORY, "SystemError", "out of memory");
        else
                is_no_reply(instance, err);
}

/* A ring full at most, and the frames in it. False: nothing was there, or the channel is gone. */
static bool take(struct instance *instance)
{
        struct err err;
        enum err_code code = channel_read(&instance->channel, &err);

        if (code == ERR_OK)
                return frames_take(instance);
        if (code != ERR_LIMIT)
                channel_failed(instance, code, &err);
        return false;
}

/* Room has come for what the agent is to get. */
static void send_more(struct instance *instance)
{
        channel_flush(&instance->channel);
        if (instance->state == INSTANCE_BUSY && instance->channel.out.len == 0 &&
            exchange_pump(instance) == ERR_OK)
                channel_flush(&instance->channel);
}

static void channel_ready(void *arg)
{
        struct instance *instance = arg;
        enum err_code code = ERR_LIMIT;
        struct err err;

        for (int i = 0; i < READS_AT_ONCE && code == ERR_LIMIT; i++) {
                if (instance->channel.out.len > 0)
                        send_more(instance);
                take(instance);
                if (!channel_is_open(&instance->channel))
                        return;
                code = channel_rest(&instance->channel, &err);
        }
        if (code == ERR_LIMIT)
                channel_again(&instance->channel);
        else if (code != ERR_OK)
                channel_failed(instance, code, &err);
        else if (instance->state == INSTANCE_IDLE)
                channel_trim(&instance->channel, IDLE_BYTES);
}

/* The secrets' JSON object, in pieces. Room for all is made first, so that no part of it stays behind where a
 * buffer was. */
static enum err_code put_secrets(struct instance *instance)
{
        own_fd int fd = take_fd(&instance->secrets_fd);
        struct buf *out = &instance->channel.out;
        struct stat st;

        if (fd < 0)
                return ERR_OK;
        if (fstat(fd, &st) < 0 || st.st_size > SECRETS_BYTES_MAX)
                return ERR_TOO_LARGE;
        size_t left = (size_t)st.st_size, pieces = left / FRAME_PAYLOAD_MAX + 1;
        if (buf_reserve(out, left + (pieces + 1) * (FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX)) != ERR_OK)
                return ERR_NO_MEMORY;
        own_buf struct buf piece = {.max = FRAME_PAYLOAD_MAX};
        if (buf_reserve(&piece, FRAME_PAYLOAD_MAX) != ERR_OK)
                return ERR_NO_MEMORY;
        instance->channel.secret = true;
        for (off_t at = 0; left > 0; at += (off_t)piece.len, left -= piece.len) {
                ssize_t n = pread(fd, piece.data, left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX, at);
                if (n <= 0)
                        return ERR_SYSTEM;
                piece.len = (size_t)n;
                frame_put(out, FRAME_SECRETS, 0, (struct str){piece.data, piece.len});
        }
        explicit_bzero(piece.data, piece.capacity);
        return ERR_OK;
}

/* The first message: what it runs, behind the secrets. */
static void specialise(struct instance *instance)
{
        if (put_secrets(instance) != ERR_OK) {
                instance_end(instance, ERR_SYSTEM, "SystemError",
                             "the secrets of function %s cannot be handed over",
                             instance->pool->revision->name);
                return;
        }
        if (exchange_specialise(instance, &instance->channel.out) != ERR_OK) {
                instance_end(instance, ERR_UNPROCESSABLE, "SystemError",
                             "environment and handler of function %s are too large",
                             instance->pool->revision->name);
                return;
        }
        channel_flush(&instance->channel);
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
 * EXITED of it follows. Not ERR_OK: it had ended, or said something, just before, or nobody waits any more.
 */
static enum err_code channel_adopt(struct instance *instance, struct err *err)
{
        struct instance *stem = home_find(instance->home, instance->from_id);
        enum err_code code = err_set(err, ERR_SYSTEM, "the process that it was to be is gone");

        if (stem == NULL || stem->role != SPAWN_ROLE_STEM)
                return code;
        if (stem->state == INSTANCE_PARKED && stem->channel.in.len == 0 &&
            instance->state == INSTANCE_LOADING)
                code = channel_move(&instance->channel, &stem->channel, instance->home->loop, instance, err);
        instance_gone(stem);
        return code;
}

/* The channel that spawn has made. */
static enum err_code channel_take(struct instance *instance, int fds[CHANNEL_FDS], struct err *err)
{
        if (fds[CHANNEL_FDS - 1] < 0)
                return err_set(err, ERR_UNAVAILABLE,
                               "the server may not have more descriptors; raise its limit (ulimit -n)");
        return channel_open(&instance->channel, instance->home->loop, fds, channel_ready, instance, err);
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

void instance_started(struct instance *instance, const struct spawn_started *started, int fds[CHANNEL_FDS])
{
        struct err err;

        if (!started->ok) {
                start_refused(instance, started);
                return;
        }
        if (instance->state != INSTANCE_STARTING) {
                if (instance->kind == START_STEM)
                        (void)channel_adopt(instance, &err);
                return; /* killed meanwhile: EXITED follows */
        }
        instance_move(instance, INSTANCE_LOADING);
        instance->sandbox_us = started->sandbox_us;
        instance->cgroup = started->cgroup;
        enum err_code code = instance->kind == START_STEM ? channel_adopt(instance, &err)
                                                          : channel_take(instance, fds, &err);
        if (code != ERR_OK) {
                if (instance->kind == START_STEM)
                        (void)start_otherwise(instance, err.text);
                instance_end(instance, code, "SystemError", "%s", err.text);
                return;
        }
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
