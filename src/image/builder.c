/*
 * image/builder.c: the queue of build jobs and their conversation with dispatch-spawn. The control loop reads
 * the link for everybody, so the builder only writes to it; a frame that does not fit into the socket now is
 * tried again with the next answer or after RETRY_MS.
 */
#include "image/builder.h"

#include "base/clock.h"
#include "base/own.h"
#include "image/job_log.h"

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 10 };

/* Frame ids of instances are the engine's, counted from 1; those of jobs have the top bit. */
static const uint64_t ID_FIRST = UINT64_C(1) << 63;

enum job_kind { JOB_RUN, JOB_CHECK, JOB_DROP };

enum job_state {
        JOB_WAITING,  /* in the queue */
        JOB_ASKING,   /* LAYER_STAT is out */
        JOB_FOUND,    /* the layer is not there: BUILD is to be sent */
        JOB_BUILDING, /* BUILD is out */
        JOB_KILLED,   /* past its deadline or cancelled, KILL is out */
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
        char layer[SPAWN_NAME_MAX]; /* "": the job names it */
        char serial[BUILDER_SERIAL_MAX];
        bool slow, cancelled;
        struct spawn_build *build; /* of JOB_RUN */
        uint64_t begun_ms;         /* when it was asked for */
        uint64_t deadline_ms;
        int input_fd, data_fd;
        builder_line line;
        struct job_log *log;
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
        size_t slow;           /* of the running ones */
        uint64_t store_id;     /* of the list that was asked for; 0: none */
        builder_stored stored; /* who asked */
        void *stored_arg;
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
        job_log_close(job->log);
        own_fd_release(&job->input_fd);
        own_fd_release(&job->data_fd);
        free(job->build);
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
        job->builder->slow -= job->slow && states[job->state].running;
        job->builder->running += states[to].running;
        job->builder->slow += job->slow && states[to].running;
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

static uint64_t deadline_of(const struct job *job)
{
        return job->deadline_ms != 0 ? job->deadline_ms : job->builder->deadline_ms;
}

/* What a job that was stopped says. */
static enum err_code stopped_text(const struct job *job, char text[SPAWN_TEXT_MAX])
{
        if (job->cancelled)
                snprintf(text, SPAWN_TEXT_MAX, "the build was cancelled");
        else
                snprintf(text, SPAWN_TEXT_MAX, "the build took longer than %llu ms",
                         (unsigned long long)deadline_of(job));
        return job->cancelled ? ERR_CANCELLED : ERR_TIMEOUT;
}

/* Past its deadline, or cancelled. */
static void job_stop(struct job *job)
{
        struct builder *builder = job->builder;
        union spawn_frame frame = {.head = {.op = SPAWN_KILL, .id = job->id}};
        char text[SPAWN_TEXT_MAX];
        enum err_code why = stopped_text(job, text);
        enum err_code code = ERR_CANCELLED;

        if (job->state == JOB_BUILDING)
                code = spawn_send(builder->link_fd, &frame, NULL, 0, NULL);
        if (code == ERR_LIMIT) {
                loop_timer_start(job->deadline, RETRY_MS);
                return;
        }
        if (code != ERR_OK) {
                job_fail(job, why, text);
                pump(builder);
                return;
        }
        job_move(job, JOB_KILLED);
        loop_timer_start(job->deadline, builder->kill_ms);
}

static void deadline_fire(void *arg)
{
        job_stop(arg);
}

/* Does an earlier job concern the same thing? Then this one waits, and finds what that one made or removed.
 */
static bool job_has_elder(const struct builder *builder, const struct job *job)
{
        for (const struct job *elder = builder->jobs; elder != job; elder = elder->next)
                if ((job->layer[0] != '\0' && strcmp(elder->layer, job->layer) == 0) ||
                    (job->serial[0] != '\0' && strcmp(elder->serial, job->serial) == 0))
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
        union spawn_frame frame = {.build = *job->build};
        own_fd int log_fd = -1;
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;

        if (job->line != NULL) {
                enum err_code code =
                        job_log_open(job->builder->loop, job->line, job->arg, &job->log, &log_fd, err);
                if (code != ERR_OK)
                        return code;
        }
        frame.build.head = (struct spawn_head){.op = SPAWN_BUILD, .id = job->id};
        if (job->input_fd >= 0)
                fds[count++] = job->input_fd;
        if (log_fd >= 0)
                fds[count++] = log_fd;
        if (job->data_fd >= 0)
                fds[count++] = job->data_fd;
        enum err_code code = spawn_send(job->builder->link_fd, &frame, fds, count, err);
        if (code != ERR_OK) {
                job_log_close(job->log);
                job->log = NULL;
        }
        return code;
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
        if (job->layer[0] != '\0') {
                enum err_code code = send_layer(job, SPAWN_LAYER_STAT, err);

                if (code != ERR_OK)
                        return code;
        }
        loop_timer_start(job->deadline, deadline_of(job));
        job_move(job, job->layer[0] != '\0' ? JOB_ASKING : JOB_FOUND);
        return ERR_OK;
}

static enum err_code job_build(struct job *job, struct err *err)
{
        enum err_code code = send_build(job, err);

        if (code != ERR_OK)
                return code;
        job_move(job, JOB_BUILDING);
        own_fd_release(&job->input_fd);
        own_fd_release(&job->data_fd);
        job->input_fd = job->data_fd = -1;
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

static bool job_has_room(const struct builder *builder, const struct job *job)
{
        return job->kind == JOB_DROP ||
               (builder->running < BUILDER_JOBS_MAX && (!job->slow || builder->slow < BUILDER_SLOW_MAX));
}

static struct job *next_ready(const struct builder *builder)
{
        struct job *job = builder->jobs;

        for (; job != NULL; job = job->next) {
                if (job->state == JOB_FOUND)
                        return job;
                if (job->state == JOB_WAITING && job_has_room(builder, job) && !job_has_elder(builder, job))
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

static bool name_or_nothing(char out[SPAWN_NAME_MAX], const char *name)
{
        return name == NULL || name[0] == '\0' || name_copy(out, name);
}

static void submit_failed(struct job *job, enum err_code code, const char *text)
{
        if (job->done != NULL)
                job->done(job->arg,
                          &(struct builder_result){.code = code, .text = text, .layer = "", .info = "{}"});
        job_destroy(job);
}

/* Takes the job over. The id, or 0 when it has ended. */
static uint64_t submit(struct builder *builder, struct job *job)
{
        struct job **slot = &builder->jobs;

        if (builder->count == BUILDER_QUEUE_MAX) {
                submit_failed(job, ERR_LIMIT, "too many builds are waiting");
                return 0;
        }
        job->builder = builder;
        job->id = builder->id_next++;
        job->begun_ms = clock_mono_ms();
        while (*slot != NULL)
                slot = &(*slot)->next;
        *slot = job;
        builder->count++;
        pump_later(builder);
        return job->id;
}

static struct job *job_create(enum job_kind kind, const char *layer, builder_done done, void *arg)
{
        struct job *job = calloc(1, sizeof(*job));

        if (job == NULL) {
                if (done != NULL)
                        done(arg, &(struct builder_result){.code = ERR_NO_MEMORY,
                                                           .text = "out of memory",
                                                           .layer = "",
                                                           .info = "{}"});
                return NULL;
        }
        bool named = name_or_nothing(job->layer, layer);
        assert(named);
        job->kind = kind;
        job->input_fd = job->data_fd = -1;
        job->done = done;
        job->arg = arg;
        return job;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
        return value != 0 ? value : otherwise;
}

static void build_fill(struct spawn_build *build, const struct builder_task *task)
{
        bool named = strlen(task->kind) < sizeof(build->kind) && name_or_nothing(build->layer, task->layer) &&
                     name_or_nothing(build->language, task->language) &&
                     task->layer_count <= SPAWN_LAYERS_MAX;

        for (uint32_t i = 0; named && i < task->layer_count; i++)
                named = name_copy(build->layers[i], task->layers[i]);
        assert(named && spawn_kind_find(task->kind) != NULL);
        snprintf(build->kind, sizeof(build->kind), "%s", task->kind);
        snprintf(build->organization, sizeof(build->organization), "%s",
                 task->organization != NULL ? task->organization : "");
        snprintf(build->program, sizeof(build->program), "%s", task->program != NULL ? task->program : "");
        build->layer_count = task->layer_count;
        build->network = task->network;
        build->fds = (task->input_fd >= 0 ? SPAWN_BUILD_INPUT : 0) |
                     (task->line != NULL ? SPAWN_BUILD_LOG : 0) | (task->data_fd >= 0 ? SPAWN_BUILD_DATA : 0);
        build->memory_mib = or_default(task->memory_mib, BUILDER_MEMORY_MIB);
        build->cpu_millicores = or_default(task->cpu_millicores, BUILDER_CPU_MILLICORES);
        build->pids_max = or_default(task->pids_max, BUILDER_PIDS_MAX);
        build->tmp_mib = or_default(task->tmp_mib, BUILDER_TMP_MIB);
        build->disk_mib = or_default(task->disk_mib, BUILDER_SOURCE_DISK_MIB);
        build->files_max = or_default(task->files_max, BUILDER_SOURCE_FILES_MAX);
}

uint64_t builder_run(struct builder *builder, const struct builder_task *task, builder_done done, void *arg)
{
        own_fd int input_fd = task->input_fd, data_fd = task->data_fd;
        struct job *job = job_create(JOB_RUN, task->layer, done, arg);

        if (job == NULL)
                return 0;
        job->input_fd = take_fd(&input_fd);
        job->data_fd = take_fd(&data_fd);
        if (task->program != NULL && strlen(task->program) >= SPAWN_PROGRAM_MAX) {
                submit_failed(job, ERR_UNPROCESSABLE, "the path of the image's interpreter is too long");
                return 0;
        }
        job->build = calloc(1, sizeof(*job->build));
        if (job->build == NULL) {
                submit_failed(job, ERR_NO_MEMORY, "out of memory");
                return 0;
        }
        build_fill(job->build, task);
        snprintf(job->serial, sizeof(job->serial), "%s", task->serial != NULL ? task->serial : "");
        job->slow = task->slow;
        job->deadline_ms = task->deadline_ms;
        job->line = task->line;
        return submit(builder, job);
}

void builder_cancel(struct builder *builder, uint64_t id)
{
        struct job *job = builder->jobs;

        while (job != NULL && job->id != id)
                job = job->next;
        if (job == NULL || job->cancelled || job->state == JOB_KILLED)
                return;
        job->cancelled = true;
        /* `done` comes later, also for a job that has not begun. */
        if (job->deadline == NULL)
                job->deadline = loop_timer_create(builder->loop, deadline_fire, job);
        if (job->deadline != NULL)
                loop_timer_start(job->deadline, 0);
}

void builder_compile(struct builder *builder, const char *layer, const char *language,
                     const char (*image)[SPAWN_NAME_MAX], uint32_t image_count, const char *interpreter,
                     int archive_fd, builder_done done, void *arg)
{
        const struct builder_task task = {.kind = "source",
                                          .layer = layer,
                                          .language = language,
                                          .layers = image,
                                          .layer_count = image_count,
                                          .program = interpreter,
                                          .input_fd = archive_fd,
                                          .data_fd = -1};

        assert(archive_fd >= 0);
        (void)builder_run(builder, &task, done, arg);
}

void builder_source(struct builder *builder, const char *layer, const char *language, int archive_fd,
                    builder_done done, void *arg)
{
        builder_compile(builder, layer, language, NULL, 0, NULL, archive_fd, done, arg);
}

void builder_builtin(struct builder *builder, const char *language, builder_done done, void *arg)
{
        char serial[BUILDER_SERIAL_MAX];
        const struct builder_task task = {.kind = "builtin",
                                          .language = language,
                                          .serial = serial,
                                          .disk_mib = BUILDER_BUILTIN_DISK_MIB,
                                          .files_max = BUILDER_BUILTIN_FILES_MAX,
                                          .input_fd = -1,
                                          .data_fd = -1};

        snprintf(serial, sizeof(serial), "builtin %s", language);
        (void)builder_run(builder, &task, done, arg);
}

void builder_check(struct builder *builder, const char *layer, builder_done done, void *arg)
{
        struct job *job = job_create(JOB_CHECK, layer, done, arg);

        if (job != NULL)
                (void)submit(builder, job);
}

void builder_drop(struct builder *builder, const char *layer)
{
        struct job *job = job_create(JOB_DROP, layer, NULL, NULL);

        if (job != NULL)
                (void)submit(builder, job);
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
        bool stopped = job->state == JOB_KILLED && code != ERR_OK;
        char text[SPAWN_TEXT_MAX];

        if (job->state != JOB_BUILDING && job->state != JOB_KILLED)
                return;
        if (job->log != NULL)
                job_log_drain(job->log);
        if (stopped) {
                code = stopped_text(job, text);
                job_fail(job, code, text);
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

enum err_code builder_store_list(struct builder *builder, builder_stored done, void *arg, struct err *err)
{
        union spawn_frame frame = {.head = {.op = SPAWN_STORE_LIST, .id = builder->id_next}};

        if (builder->store_id != 0)
                return err_set(err, ERR_CONFLICT, "what is kept is being listed already");
        if (spawn_send(builder->link_fd, &frame, NULL, 0, err) != ERR_OK)
                return err_wrap(err, ERR_UNAVAILABLE, "ask dispatch-spawn");
        builder->store_id = builder->id_next++;
        builder->stored = done;
        builder->stored_arg = arg;
        return ERR_OK;
}

void builder_deliver_store(struct builder *builder, const union spawn_frame *frame, int fd)
{
        enum err_code code = (enum err_code)frame->store.code;

        if (frame->head.id != builder->store_id)
                return;
        builder->store_id = 0;
        own_fd int copy = code == ERR_OK && fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (code == ERR_OK && copy < 0)
                code = ERR_SYSTEM;
        builder->stored(builder->stored_arg, code, take_fd(&copy));
}

void builder_blob_drop(struct builder *builder, const char *folder, const char *name)
{
        union spawn_frame frame = {.blob = {.head = {.op = SPAWN_BLOB_DROP}}};

        if (name_copy(frame.blob.folder, folder) && name_copy(frame.blob.name, name))
                (void)spawn_send(builder->link_fd, &frame, NULL, 0, NULL);
}

uint64_t builder_oldest_ms(const struct builder *builder)
{
        return builder->jobs != NULL ? clock_mono_ms() - builder->jobs->begun_ms + 1 : 0;
}
