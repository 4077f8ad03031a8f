/*
 * image/builder.c: the queue of build jobs and their conversation with dispatch-spawn. The control loop reads
 * the link for everybody, so the builder only writes to it; a frame that does not fit into the socket now is
 * tried again with the next answer or after RETRY_MS.
 */
#include "image/builder.h"

#include "base/own.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 10 };

/* Frame ids of instances are the engine's, counted from 1; those of jobs have the top bit. */
static const uint64_t ID_FIRST = UINT64_C(1) << 63;

enum job_kind { JOB_SOURCE, JOB_BUILTIN, JOB_CHECK, JOB_DROP };

enum job_state {
        JOB_WAITING,  /* in the queue */
        JOB_ASKING,   /* LAYER_STAT is out */
        JOB_FOUND,    /* the layer is not there: BUILD is to be sent */
        JOB_BUILDING, /* BUILD is out */
        JOB_KILLED,   /* past its deadline, KILL is out */
        JOB_ENDED
};

#define TO(state) (1u << JOB_##state)
static const struct {
        const char *name;
        uint32_t next; /* bit set of the states reachable in one move */
        bool running;  /* counts against BUILDER_JOBS_MAX */
} states[] = {
        [JOB_WAITING] = {"waiting", TO(ASKING) | TO(FOUND) | TO(ENDED), false},
        [JOB_ASKING] = {"asking", TO(FOUND) | TO(ENDED), true},
        [JOB_FOUND] = {"found", TO(BUILDING) | TO(ENDED), true},
        [JOB_BUILDING] = {"building", TO(KILLED) | TO(ENDED), true},
        [JOB_KILLED] = {"killed", TO(ENDED), true},
        [JOB_ENDED] = {"ended", 0, false},
};
#undef TO

struct job {
        struct builder *builder;
        struct job *next;
        enum job_kind kind;
        enum job_state state;
        uint64_t id;
        char layer[SPAWN_NAME_MAX]; /* builtin: "" */
        char language[SPAWN_NAME_MAX];
        int archive_fd;
        struct loop_timer *deadline; /* while it runs */
        builder_done done;
        void *arg;
};

struct builder {
        struct loop *loop;
        int link_fd;
        uint64_t id_next;
        uint64_t deadline_ms;
        uint64_t kill_ms;
        struct job *jobs; /* in the order they came; ended ones leave at once */
        size_t count;
        size_t running;
        struct loop_timer *retry;
        bool pumping;
};

static void pump(struct builder *builder);

static void retry_fire(void *arg)
{
        pump(arg);
}

enum err_code builder_create(struct loop *loop, int link_fd, struct builder **ret, struct err *err)
{
        assert(link_fd >= 0);

        struct builder *builder = calloc(1, sizeof(*builder));

        if (builder == NULL)
                return err_nomem(err);
        builder->loop = loop;
        builder->link_fd = link_fd;
        builder->id_next = ID_FIRST;
        builder_deadlines_set(builder, BUILDER_DEADLINE_MS, BUILDER_KILL_MS);
        builder->retry = loop_timer_create(loop, retry_fire, builder);
        if (builder->retry == NULL) {
                free(builder);
                return err_nomem(err);
        }
        *ret = builder;
        return ERR_OK;
}

void builder_deadlines_set(struct builder *builder, uint64_t deadline_ms, uint64_t kill_ms)
{
        builder->deadline_ms = deadline_ms;
        builder->kill_ms = kill_ms;
}

static void job_destroy(struct job *job)
{
        loop_timer_destroy(job->deadline);
        own_fd_release(&job->archive_fd);
        free(job);
}

void builder_destroy(struct builder *builder)
{
        if (builder == NULL)
                return;
        while (builder->jobs != NULL) {
                struct job *job = builder->jobs;

                builder->jobs = job->next;
                job_destroy(job);
        }
        loop_timer_destroy(builder->retry);
        free(builder);
}

static void job_move(struct job *job, enum job_state to)
{
        assert((states[job->state].next & 1u << to) != 0);
        job->builder->running -= states[job->state].running;
        job->builder->running += states[to].running;
        job->state = to;
}

static void job_end(struct job *job, const struct builder_result *result)
{
        struct builder *builder = job->builder;
        struct job **slot = &builder->jobs;

        while (*slot != job)
                slot = &(*slot)->next;
        *slot = job->next;
        builder->count--;
        job_move(job, JOB_ENDED);
        if (job->done != NULL)
                job->done(job->arg, result);
        job_destroy(job);
}

static void job_fail(struct job *job, enum err_code code, const char *text)
{
        job_end(job, &(struct builder_result){.code = code, .text = text, .layer = "", .info = "{}"});
}

static void deadline_fire(void *arg)
{
        struct job *job = arg;
        struct builder *builder = job->builder;
        union spawn_frame frame = {.head = {.op = SPAWN_KILL, .id = job->id}};
        char text[SPAWN_TEXT_MAX];

        snprintf(text, sizeof(text), "the build took longer than %llu ms",
                 (unsigned long long)builder->deadline_ms);
        if (job->state != JOB_BUILDING) {
                job_fail(job, ERR_TIMEOUT, text);
                pump(builder);
                return;
        }

        enum err_code code = spawn_send(builder->link_fd, &frame, NULL, 0, NULL);

        if (code == ERR_LIMIT) {
                loop_timer_start(job->deadline, RETRY_MS);
                return;
        }
        if (code != ERR_OK) {
                job_fail(job, ERR_TIMEOUT, text);
                pump(builder);
                return;
        }
        job_move(job, JOB_KILLED);
        loop_timer_start(job->deadline, builder->kill_ms);
}

/* Does an earlier job concern the same thing? Then this one waits, and finds what that one made or removed.
 */
static bool job_has_elder(const struct builder *builder, const struct job *job)
{
        for (const struct job *elder = builder->jobs; elder != job; elder = elder->next)
                if (strcmp(elder->layer, job->layer) == 0 &&
                    (job->layer[0] != '\0' || strcmp(elder->language, job->language) == 0))
                        return true;
        return false;
}

static enum err_code send_layer(struct job *job, enum spawn_op op, struct err *err)
{
        union spawn_frame frame = {.layer = {.head = {.op = op, .id = job->id}}};

        memcpy(frame.layer.layer, job->layer, sizeof(frame.layer.layer));
        return spawn_send(job->builder->link_fd, &frame, NULL, 0, err);
}

static enum err_code send_build(struct job *job, struct err *err)
{
        bool source = job->kind == JOB_SOURCE;
        union spawn_frame frame = {
                .build = {.head = {.op = SPAWN_BUILD, .id = job->id},
                          .memory_mib = BUILDER_MEMORY_MIB,
                          .disk_mib = source ? BUILDER_SOURCE_DISK_MIB : BUILDER_BUILTIN_DISK_MIB,
                          .files_max = source ? BUILDER_SOURCE_FILES_MAX : BUILDER_BUILTIN_FILES_MAX}};

        snprintf(frame.build.kind, sizeof(frame.build.kind), "%s", source ? "source" : "builtin");
        memcpy(frame.build.language, job->language, sizeof(frame.build.language));
        memcpy(frame.build.layer, job->layer, sizeof(frame.build.layer));
        return spawn_send(job->builder->link_fd, &frame, &job->archive_fd, source ? 1 : 0, err);
}

/* Starts a waiting job, with its timer first: without it a job could stay for ever. */
static enum err_code job_start(struct job *job, struct err *err)
{
        if (job->kind == JOB_DROP)
                return send_layer(job, SPAWN_LAYER_DROP, err);
        if (job->deadline == NULL)
                job->deadline = loop_timer_create(job->builder->loop, deadline_fire, job);
        if (job->deadline == NULL)
                return err_nomem(err);
        if (job->kind != JOB_BUILTIN) {
                enum err_code code = send_layer(job, SPAWN_LAYER_STAT, err);

                if (code != ERR_OK)
                        return code;
        }
        loop_timer_start(job->deadline, job->builder->deadline_ms);
        job_move(job, job->kind == JOB_BUILTIN ? JOB_FOUND : JOB_ASKING);
        return ERR_OK;
}

static enum err_code job_build(struct job *job, struct err *err)
{
        enum err_code code = send_build(job, err);

        if (code != ERR_OK)
                return code;
        job_move(job, JOB_BUILDING);
        own_fd_release(&job->archive_fd);
        job->archive_fd = -1;
        return ERR_OK;
}

/* Moves one job on. ERR_LIMIT: the link is full. Past any other failure the job is gone. */
static enum err_code job_step(struct job *job)
{
        struct err err = {0};
        enum err_code code = ERR_OK;

        if (job->state == JOB_WAITING)
                code = job_start(job, &err);
        if (code == ERR_OK && job->state == JOB_FOUND)
                code = job_build(job, &err);
        if (code == ERR_LIMIT)
                return code;
        if (code != ERR_OK) {
                err_wrap(&err, code, "ask dispatch-spawn");
                job_fail(job, code == ERR_SYSTEM ? ERR_UNAVAILABLE : code, err.text);
        } else if (job->kind == JOB_DROP) {
                job_end(job, NULL);
        }
        return ERR_OK;
}

static struct job *next_ready(const struct builder *builder)
{
        struct job *job = builder->jobs;

        for (; job != NULL; job = job->next) {
                if (job->state == JOB_FOUND)
                        return job;
                if (job->state == JOB_WAITING &&
                    (job->kind == JOB_DROP || builder->running < BUILDER_JOBS_MAX) &&
                    !job_has_elder(builder, job))
                        return job;
        }
        return NULL;
}

/* Moves on what can move. A `done` may ask for another job: the flag keeps the walk from starting inside
 * itself. */
static void pump(struct builder *builder)
{
        struct job *job;

        if (builder->pumping)
                return;
        builder->pumping = true;
        while ((job = next_ready(builder)) != NULL) {
                if (job_step(job) == ERR_LIMIT) {
                        loop_timer_start(builder->retry, RETRY_MS);
                        break;
                }
        }
        builder->pumping = false;
}

static void pump_later(struct builder *builder)
{
        loop_timer_start(builder->retry, 0);
}

static bool name_copy(char out[SPAWN_NAME_MAX], const char *name)
{
        if (strlen(name) >= SPAWN_NAME_MAX)
                return false;
        snprintf(out, SPAWN_NAME_MAX, "%s", name);
        return spawn_name_valid(out, SPAWN_NAME_MAX);
}

static void submit_failed(struct job *job, enum err_code code, const char *text)
{
        own_fd_release(&job->archive_fd);
        if (job->done != NULL)
                job->done(job->arg,
                          &(struct builder_result){.code = code, .text = text, .layer = "", .info = "{}"});
}

static void submit(struct builder *builder, struct job job)
{
        struct job **slot = &builder->jobs;

        if (builder->count == BUILDER_QUEUE_MAX) {
                submit_failed(&job, ERR_LIMIT, "too many builds are waiting");
                return;
        }

        struct job *kept = malloc(sizeof(*kept));

        if (kept == NULL) {
                submit_failed(&job, ERR_NO_MEMORY, "out of memory");
                return;
        }
        *kept = job;
        kept->builder = builder;
        kept->id = builder->id_next++;
        while (*slot != NULL)
                slot = &(*slot)->next;
        *slot = kept;
        builder->count++;
        pump_later(builder);
}

void builder_source(struct builder *builder, const char *layer, const char *language, int archive_fd,
                    builder_done done, void *arg)
{
        struct job job = {.kind = JOB_SOURCE, .archive_fd = archive_fd, .done = done, .arg = arg};
        bool named = name_copy(job.layer, layer) && name_copy(job.language, language);

        assert(named && archive_fd >= 0);
        submit(builder, job);
}

void builder_builtin(struct builder *builder, const char *language, builder_done done, void *arg)
{
        struct job job = {.kind = JOB_BUILTIN, .archive_fd = -1, .done = done, .arg = arg};
        bool named = name_copy(job.language, language);

        assert(named);
        submit(builder, job);
}

void builder_check(struct builder *builder, const char *layer, builder_done done, void *arg)
{
        struct job job = {.kind = JOB_CHECK, .archive_fd = -1, .done = done, .arg = arg};
        bool named = name_copy(job.layer, layer);

        assert(named);
        submit(builder, job);
}

void builder_drop(struct builder *builder, const char *layer)
{
        struct job job = {.kind = JOB_DROP, .archive_fd = -1};
        bool named = name_copy(job.layer, layer);

        assert(named);
        submit(builder, job);
}

static void deliver_layer(struct job *job, const struct spawn_layer *answer)
{
        if (job->state != JOB_ASKING)
                return;
        if (answer->exists == 0 && job->kind == JOB_CHECK) {
                job_fail(job, ERR_NOT_FOUND, "the layer is missing");
                return;
        }
        if (answer->exists == 0) {
                job_move(job, JOB_FOUND);
                return;
        }
        job_end(job, &(struct builder_result){.code = ERR_OK,
                                              .text = "",
                                              .layer = job->layer,
                                              .info = answer->info[0] != '\0' ? answer->info : "{}"});
}

static void deliver_built(struct job *job, const struct spawn_built *built)
{
        enum err_code code = built->code < ERR_CODE_COUNT ? (enum err_code)built->code : ERR_SYSTEM;
        bool timed_out = job->state == JOB_KILLED && code != ERR_OK;
        char text[SPAWN_TEXT_MAX];

        if (job->state != JOB_BUILDING && job->state != JOB_KILLED)
                return;
        if (timed_out) {
                snprintf(text, sizeof(text), "the build took longer than %llu ms",
                         (unsigned long long)job->builder->deadline_ms);
                job_fail(job, ERR_TIMEOUT, text);
                return;
        }
        job_end(job, &(struct builder_result){.code = code,
                                              .text = built->text,
                                              .layer = code == ERR_OK ? built->layer : "",
                                              .info = built->info[0] != '\0' ? built->info : "{}"});
}

void builder_deliver(struct builder *builder, const union spawn_frame *frame)
{
        struct job *job = builder->jobs;

        while (job != NULL && job->id != frame->head.id)
                job = job->next;
        if (job != NULL && frame->head.op == SPAWN_LAYER)
                deliver_layer(job, &frame->layer);
        else if (job != NULL && frame->head.op == SPAWN_BUILT)
                deliver_built(job, &frame->built);
        pump(builder);
}
