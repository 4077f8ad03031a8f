/*
 * engine/recorder.c: the queue in front of the store's runs, and the two counters that survive a crash.
 */
#include "engine/recorder.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
        BATCH_MAX = 512, /* so many do not wait for the timer */
        RETRY_MS = 1000,
        TRIM_MS = 60000
};

/* In a mapped file: what is there stays when the process dies, whatever it died of. */
struct counters {
        atomic_uint_fast64_t over;     /* runs that were over and handed to the recorder */
        atomic_uint_fast64_t written;  /* of those, in the store */
        atomic_int_fast64_t newest_us; /* by which the newest in the store is ordered */
};

enum { COUNTERS_OLD_BYTES = 16 }; /* without newest_us */

struct accept {
        struct accept *next;
        struct run_record *record;
        json_t *document;
        void (*done)(void *arg, enum err_code code, const struct err *err);
        void *arg;
};

struct recorder {
        struct loop *control;
        struct store *store;
        uint32_t generation;
        struct counters *counters;
        uint64_t lost;
        atomic_size_t waiting;
        struct run_record *head, *tail; /* linked by inv.next's task: see next_of */
        size_t queued;
        struct accept *accepts, **accepts_end;
        struct loop_timer *timer, *trim;
        bool timer_on;
        bool failing;
        uint64_t keep;
        void (*problem)(void *arg, const struct err *err);
        void *problem_arg;
        void (*missing)(void *arg);
        void *missing_arg;
};

/* A record's task is free once it has run; its link then holds the queue. */
static struct run_record *next_of(struct run_record *record)
{
        return (struct run_record *)record->task.next;
}

static void timer_arm(struct recorder *recorder, uint64_t delay_ms)
{
        if (recorder->timer_on && delay_ms > 0)
                return;
        recorder->timer_on = true;
        loop_timer_start(recorder->timer, delay_ms);
}

/* Runs are listed by this: it grows with each that is stored, also where the wall clock has been set back. */
static int64_t order_us(struct recorder *recorder, int64_t wall_us)
{
        int_fast64_t newest = atomic_load(&recorder->counters->newest_us), next;

        do {
                next = wall_us > newest || newest > INT64_MAX / 2 ? wall_us : newest + 1;
        } while (!atomic_compare_exchange_weak(&recorder->counters->newest_us, &newest, next));
        return next;
}

static enum err_code put_run(struct recorder *recorder, const struct run_record *record, json_t *document,
                             bool unfinished, struct err *err)
{
        int64_t wall_us = unfinished ? record->executed_us : record->finished_us;
        struct store_run run = {.id = str_of(record->inv.run_id),
                                .organization = str_of(record->organization),
                                .project = str_of(record->project),
                                .function = str_of(record->function),
                                .function_id = str_of(record->function_id),
                                .executed_us = record->executed_us,
                                .modified_us = order_us(recorder, wall_us),
                                .generation = recorder->generation,
                                .unfinished = unfinished,
                                .document = document};

        return store_run_put(recorder->store, &run, err);
}

static enum err_code write_record(struct recorder *recorder, const struct run_record *record, struct err *err)
{
        own_json json_t *document = NULL;
        enum err_code code = run_record_document(record, "READY", &document, err);

        return code == ERR_OK ? put_run(recorder, record, document, false, err) : code;
}

static enum err_code write_all(struct recorder *recorder, struct err *err)
{
        enum err_code code = store_begin(recorder->store, err);

        if (code != ERR_OK)
                return code;
        for (struct accept *accept = recorder->accepts; accept != NULL && code == ERR_OK;
             accept = accept->next)
                code = put_run(recorder, accept->record, accept->document, true, err);
        for (struct run_record *record = recorder->head; record != NULL && code == ERR_OK;
             record = next_of(record))
                code = write_record(recorder, record, err);
        if (code == ERR_OK)
                return store_commit(recorder->store, err);
        store_rollback(recorder->store);
        return code;
}

static void drop_records(struct recorder *recorder)
{
        struct run_record *next;

        for (struct run_record *record = recorder->head; record != NULL; record = next) {
                next = next_of(record);
                run_record_destroy(record);
        }
        atomic_fetch_add(&recorder->counters->written, recorder->queued);
        atomic_fetch_sub(&recorder->waiting, recorder->queued);
        recorder->head = recorder->tail = NULL;
        recorder->queued = 0;
}

/* Those who wait for a 202 hear of it, good or bad: a failed one is not tried again behind their back. */
static void answer_accepts(struct recorder *recorder, enum err_code code, const struct err *err)
{
        struct accept *accept = recorder->accepts, *next;

        recorder->accepts = NULL;
        recorder->accepts_end = &recorder->accepts;
        for (; accept != NULL; accept = next) {
                next = accept->next;
                accept->done(accept->arg, code, err);
                json_decref(accept->document);
                free(accept);
        }
}

static void tell_problem(struct recorder *recorder, const struct err *err)
{
        bool failing = err != NULL;

        if (failing != recorder->failing && recorder->problem != NULL)
                recorder->problem(recorder->problem_arg, err);
        recorder->failing = failing;
}

enum err_code recorder_flush(struct recorder *recorder, struct err *err)
{
        struct err why;

        if (recorder->head == NULL && recorder->accepts == NULL)
                return ERR_OK;
        enum err_code code = write_all(recorder, &why);
        if (code == ERR_OK)
                drop_records(recorder);
        tell_problem(recorder, code == ERR_OK ? NULL : &why);
        answer_accepts(recorder, code, &why);
        if (code != ERR_OK && err != NULL)
                *err = why;
        return code;
}

static void timer_fire(void *arg)
{
        struct recorder *recorder = arg;

        recorder->timer_on = false;
        if (recorder_flush(recorder, NULL) != ERR_OK)
                timer_arm(recorder, RETRY_MS);
}

static void trim_fire(void *arg)
{
        struct recorder *recorder = arg;
        uint64_t count;
        struct err err;

        if (recorder->keep > 0 && store_run_trim(recorder->store, recorder->keep, &count, &err) != ERR_OK)
                tell_problem(recorder, &err);
        loop_timer_start(recorder->trim, TRIM_MS);
}

static enum err_code counters_map(const char *dir, struct counters **ret, struct err *err)
{
        char path[4096];

        if (snprintf(path, sizeof(path), "%s/runs.counters", dir) >= (int)sizeof(path))
                return err_set(err, ERR_INVALID, "state directory '%s' has too long a name", dir);
        own_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return err_sys(err, "open '%s'", path);
        struct stat status;
        /* Of another size it is not what this program wrote: it begins anew. */
        if (fstat(fd, &status) < 0 || (status.st_size != sizeof(struct counters) &&
                                       status.st_size != COUNTERS_OLD_BYTES && ftruncate(fd, 0) < 0))
                return err_sys(err, "set the size of '%s'", path);
        /* With its block: writing to the map when the disk is full would be a SIGBUS. */
        if ((errno = posix_fallocate(fd, 0, sizeof(struct counters))) != 0)
                return err_disk(err, "make '%s'", path);
        void *map = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return err_sys(err, "map '%s'", path);
        *ret = map;
        return ERR_OK;
}

/* What an earlier process had taken and not written is lost; the sum stands in the store. */
static enum err_code count_lost(struct recorder *recorder, bool alone, struct err *err)
{
        own_mem char *text = NULL;
        char value[24];
        enum err_code code = store_meta_get(recorder->store, "runs.lost", &text, err);

        if (code == ERR_OK && !str_to_u64(str_of(text), &recorder->lost))
                recorder->lost = 0;
        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        uint64_t over = atomic_load(&recorder->counters->over),
                 written = atomic_load(&recorder->counters->written);
        if (!alone || over == written)
                return ERR_OK;
        recorder->lost += over > written ? over - written : 0;
        snprintf(value, sizeof(value), "%llu", (unsigned long long)recorder->lost);
        code = store_meta_set(recorder->store, "runs.lost", value, err);
        if (code == ERR_OK)
                atomic_store(&recorder->counters->written, over);
        return code;
}

enum err_code recorder_create(struct loop *control, struct store *store, const char *dir, uint32_t generation,
                              bool alone, struct recorder **ret, struct err *err)
{
        struct recorder *recorder = calloc(1, sizeof(*recorder));

        if (recorder == NULL)
                return err_nomem(err);
        recorder->control = control;
        recorder->store = store;
        recorder->generation = generation;
        recorder->accepts_end = &recorder->accepts;
        recorder->timer = loop_timer_create(control, timer_fire, recorder);
        recorder->trim = loop_timer_create(control, trim_fire, recorder);
        enum err_code code = recorder->timer != NULL && recorder->trim != NULL
                                     ? counters_map(dir, &recorder->counters, err)
                                     : err_nomem(err);
        if (code == ERR_OK)
                code = count_lost(recorder, alone, err);
        if (code != ERR_OK) {
                recorder_destroy(recorder);
                return code;
        }
        loop_timer_start(recorder->trim, TRIM_MS);
        *ret = recorder;
        return ERR_OK;
}

void recorder_destroy(struct recorder *recorder)
{
        if (recorder == NULL)
                return;
        recorder_flush(recorder, NULL);
        loop_timer_destroy(recorder->timer);
        loop_timer_destroy(recorder->trim);
        if (recorder->counters != NULL)
                munmap(recorder->counters, sizeof(*recorder->counters));
        free(recorder);
}

void recorder_keep(struct recorder *recorder, uint64_t runs)
{
        recorder->keep = runs;
}

void recorder_on_problem(struct recorder *recorder, void (*problem)(void *arg, const struct err *err),
                         void *arg)
{
        recorder->problem = problem;
        recorder->problem_arg = arg;
}

void recorder_on_missing(struct recorder *recorder, void (*missing)(void *arg), void *arg)
{
        recorder->missing = missing;
        recorder->missing_arg = arg;
}

uint64_t recorder_lost(const struct recorder *recorder)
{
        return recorder->lost;
}

static void record_arrived(struct loop_task *task)
{
        struct run_record *record =
                (struct run_record *)(void *)((char *)task - offsetof(struct run_record, task));
        struct recorder *recorder = record->recorder;

        record->task.next = NULL;
        if (recorder->tail != NULL)
                recorder->tail->task.next = (struct loop_task *)record;
        else
                recorder->head = record;
        recorder->tail = record;
        recorder->queued++;
        if (record->inv.code == ERR_NOT_FOUND && record->inv.start == START_NONE && recorder->missing != NULL)
                recorder->missing(recorder->missing_arg);
        /* A full batch is written once everything that has been posted is here: the further behind, the
         * larger the transaction. */
        if (recorder->failing)
                timer_arm(recorder, RETRY_MS);
        else
                timer_arm(recorder, recorder->queued == BATCH_MAX ? 0 : RECORDER_DELAY_MS);
}

void recorder_put(struct recorder *recorder, struct run_record *record)
{
        atomic_fetch_add(&recorder->counters->over, 1);
        if (atomic_fetch_add(&recorder->waiting, 1) >= RECORDER_QUEUE_MAX) {
                /* over stays ahead of written: that is the count of what was lost. */
                atomic_fetch_sub(&recorder->waiting, 1);
                run_record_destroy(record);
                return;
        }
        record->recorder = recorder;
        record->task.run = record_arrived;
        loop_post(recorder->control, &record->task);
}

/* What a recovery needs beside the document, under a key that no reply shows. */
static enum err_code add_recovery(const struct run_record *record, json_t *document, struct err *err)
{
        const struct invocation *inv = &record->inv;
        size_t len = base64_encoded_len(inv->payload.len);
        own_mem char *payload = malloc(len + 1);

        if (payload == NULL)
                return err_nomem(err);
        base64_encode(inv->payload.p, inv->payload.len, payload);
        json_t *recovery = json_object();
        json_object_set_new(recovery, "payload", json_stringn(payload, len));
        if (inv->content_type.p != NULL)
                json_object_set_new(recovery, "contentType",
                                    json_stringn(inv->content_type.p, inv->content_type.len));
        json_object_set_new(recovery, "method", json_stringn(inv->method.p, inv->method.len));
        json_object_set_new(recovery, "target", json_stringn(inv->target.p, inv->target.len));
        json_object_set_new(
                recovery, "httpContext",
                json_stringn(inv->http_context.p != NULL ? inv->http_context.p : "", inv->http_context.len));
        return json_object_set_new(document, "recovery", recovery) == 0 ? ERR_OK : err_nomem(err);
}

void recorder_accept(struct recorder *recorder, struct run_record *record, const char *status,
                     void (*done)(void *arg, enum err_code code, const struct err *err), void *arg)
{
        struct accept *accept = calloc(1, sizeof(*accept));
        struct err err;
        enum err_code code = accept == NULL ? err_nomem(&err) : ERR_OK;

        if (code == ERR_OK)
                code = run_record_document(record, status, &accept->document, &err);
        if (code == ERR_OK)
                code = add_recovery(record, accept->document, &err);
        if (code != ERR_OK) {
                if (accept != NULL)
                        json_decref(accept->document);
                free(accept);
                done(arg, code, &err);
                return;
        }
        accept->record = record;
        accept->done = done;
        accept->arg = arg;
        *recorder->accepts_end = accept;
        recorder->accepts_end = &accept->next;
        timer_arm(recorder, 0);
}

struct recovery {
        void (*each)(void *arg, struct run_record *record);
        void *arg;
        enum err_code code;
};

static bool copy_view(struct buf *into, struct str text, size_t *ret_at)
{
        *ret_at = into->len;
        return buf_append(into, text.p, text.len) == ERR_OK;
}

static char *copy_str(struct str text)
{
        return strndup(text.p != NULL ? text.p : "", text.len);
}

static bool recover_payload(struct run_record *record, struct str text)
{
        size_t len, bad;

        if (buf_reserve(&record->input, text.len / 4 * 3 + 3) != ERR_OK ||
            !base64_decode(text, record->input.data, &len, &bad))
                return false;
        record->input.len = len;
        record->inv.payload = (struct str){record->input.data, len};
        return true;
}

static bool recover_fill(struct run_record *record, const struct store_run *run)
{
        const json_t *recovery = json_object_get(run->document, "recovery");
        struct str type = json_str(recovery, "contentType"), method = json_str(recovery, "method");
        struct str target = json_str(recovery, "target"), context = json_str(recovery, "httpContext");
        size_t at[4];

        if (run->id.len != UUID_LEN || run->function_id.len > UUID_LEN ||
            !recover_payload(record, json_str(recovery, "payload")))
                return false;
        memcpy(record->inv.run_id, run->id.p, UUID_LEN);
        memcpy(record->function_id, run->function_id.p, run->function_id.len);
        record->function = copy_str(run->function);
        record->organization = copy_str(run->organization);
        record->project = copy_str(run->project);
        record->executed_us = run->executed_us;
        record->begun_us = 0;
        record->blocking = false;
        record->keep_payload = true;
        record->secret_names = json_incref(json_object_get(run->document, "secrets"));
        record->tags = json_incref(json_object_get(run->document, "tags"));
        if (!copy_view(&record->request, type, &at[0]) || !copy_view(&record->request, method, &at[1]) ||
            !copy_view(&record->request, target, &at[2]) || !copy_view(&record->request, context, &at[3]))
                return false;
        const char *base = record->request.data;
        if (type.p != NULL)
                record->inv.content_type = (struct str){base + at[0], type.len};
        record->inv.method = (struct str){base + at[1], method.len};
        record->inv.target = (struct str){base + at[2], target.len};
        record->inv.http_context = (struct str){base + at[3], context.len};
        record->inv.scheme = STR("http");
        return record->function != NULL && record->organization != NULL && record->project != NULL;
}

static bool recover_one(void *arg, const struct store_run *run)
{
        struct recovery *recovery = arg;
        struct run_record *record = run_record_create();

        if (record == NULL) {
                recovery->code = ERR_NO_MEMORY;
                return false;
        }
        if (!recover_fill(record, run)) {
                run_record_destroy(record);
                return true; /* a damaged record cannot run; it stays as it is */
        }
        recovery->each(recovery->arg, record);
        return true;
}

enum err_code recorder_recover(struct recorder *recorder, uint32_t draining_generation,
                               void (*each)(void *arg, struct run_record *record), void *arg, struct err *err)
{
        struct recovery recovery = {.each = each, .arg = arg};
        enum err_code code = store_run_unfinished(recorder->store, recorder->generation, draining_generation,
                                                  recover_one, &recovery, err);

        return code == ERR_OK && recovery.code != ERR_OK ? err_nomem(err) : code;
}
