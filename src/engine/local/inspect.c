/*
 * engine/local/inspect.c: walks the homes, one after the other and a part of each at a time, so that no loop
 * stops for it, and makes JSON of what it finds. See inspect.h.
 */
#include "engine/local/inspect.h"
#include "engine/local/home.h"

#include "base/clock.h"
#include "model/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_A_TURN = 64 };

struct inspection {
        struct loop_task task;
        struct local_engine *engine;
        char *organization, *project;
        char function_id[UUID_LEN + 1]; /* "": all */
        bool pool;
        size_t home, bucket;
        json_t *found;
        engine_inspected done;
        void *arg;
};

void failures_note(struct home *home, const struct revision *revision, const char *what, const char *text)
{
        struct failure *failure = &home->failures.ring[home->failures.count++ % INSPECT_FAILURES];

        failure->wall_us = clock_wall_us();
        failure->what = what;
        memcpy(failure->function_id, revision->function_id, sizeof(failure->function_id));
        snprintf(failure->text, sizeof(failure->text), "%s", text);
}

static void set_new(json_t *object, const char *key, json_t *value)
{
        json_object_set_new(object, key, value);
}

static json_t *time_json(int64_t wall_us)
{
        char text[CLOCK_RFC3339_LEN];

        clock_rfc3339(wall_us, text);
        return json_string(text);
}

static const char *role_name(enum spawn_role role)
{
        static const char *const names[] = {[SPAWN_ROLE_INSTANCE] = "instance",
                                            [SPAWN_ROLE_TEMPLATE] = "template",
                                            [SPAWN_ROLE_ZYGOTE] = "zygote",
                                            [SPAWN_ROLE_STEM] = "stem"};

        return names[role];
}

static const char *state_of(const struct instance *instance)
{
        return instance->frozen ? "frozen" : instance_state_name(instance->state);
}

static void put_usage(const struct inspection *inspection, const struct instance *instance, json_t *row)
{
        const struct revision *revision = instance->pool->revision;
        struct usage_counts counts;

        if (!usage_read(&inspection->engine->usage, revision->organization, instance_group(instance),
                        instance->cgroup, &counts))
                return;
        set_new(row, "memoryBytes", json_integer((json_int_t)counts.memory_bytes));
        set_new(row, "memoryPeakBytes", json_integer((json_int_t)counts.memory_peak_bytes));
        set_new(row, "cpuMicros", json_integer((json_int_t)counts.cpu_us));
        set_new(row, "ioReadBytes", json_integer((json_int_t)counts.read_bytes));
        set_new(row, "ioWriteBytes", json_integer((json_int_t)counts.written_bytes));
}

static json_t *instance_row(const struct inspection *inspection, const struct instance *instance)
{
        const struct revision *revision = instance->pool->revision;
        uint64_t now_us = clock_mono_us();
        bool image = instance->role == SPAWN_ROLE_ZYGOTE || instance->role == SPAWN_ROLE_STEM;
        json_t *row = json_object();

        set_new(row, "id", json_sprintf("%zu-%llu", instance->home->index, (unsigned long long)instance->id));
        set_new(row, "kind", json_string(role_name(instance->role)));
        set_new(row, "functionName", image ? json_null() : json_string(revision->name));
        set_new(row, "functionId", image ? json_null() : json_string(revision->function_id));
        set_new(row, "revision", json_integer(revision->number));
        set_new(row, "language", json_string(revision->language));
        set_new(row, "state", json_string(state_of(instance)));
        set_new(row, "start", json_string(start_kind_name(instance->kind)));
        set_new(row, "createdAt", time_json(clock_wall_us() - (int64_t)(now_us - instance->begun_us)));
        set_new(row, "ageMillis", json_integer((json_int_t)((now_us - instance->begun_us) / 1000)));
        set_new(row, "idleMillis",
                json_integer(
                        instance->state == INSTANCE_IDLE
                                ? (json_int_t)(loop_now_ms(instance->home->loop) - instance->idle_since_ms)
                                : 0));
        set_new(row, "runs", json_integer((json_int_t)instance->answered));
        set_new(row, "running", json_integer(instance->run_count));
        put_usage(inspection, instance, row);
        return row;
}

static bool is_asked_for(const struct inspection *inspection, const struct instance *instance)
{
        const struct revision *revision = instance->pool->revision;

        if (strcmp(revision->organization, inspection->organization) != 0)
                return false;
        if (inspection->function_id[0] != '\0')
                return strcmp(revision->function_id, inspection->function_id) == 0;
        /* What is made of an image belongs to an organization as a whole. */
        return revision->project[0] == '\0' || strcmp(revision->project, inspection->project) == 0;
}

static void list_bucket(struct inspection *inspection, const struct home *home)
{
        for (const struct instance *each = home->by_id[inspection->bucket]; each != NULL;
             each = each->next_by_id) {
                if (is_asked_for(inspection, each))
                        json_array_append_new(inspection->found, instance_row(inspection, each));
        }
}

static json_t *source_json(const struct source *source)
{
        const struct home *home = source->home;
        json_t *json = json_object();

        set_new(json, "state", json_string(source_state_name(source->state)));
        set_new(json, "parked", json_integer(source->parked_count));
        set_new(json, "starts", json_integer((json_int_t)source->starts));
        set_new(json, "failures", json_integer(source->failures));
        if (source->parked_count > 0)
                set_new(json, "ageMillis",
                        json_integer((json_int_t)(loop_now_ms(home->loop) - source->parked_ms)));
        if (source->why[0] != '\0')
                set_new(json, "reason", json_string(source->why));
        return json;
}

static json_t *template_json(const struct pool *pool)
{
        const struct revision *revision = pool->revision;

        if (atomic_load(&revision->no_template))
                return json_pack("{s:s, s:s}", "state", source_state_name(SOURCE_IMPOSSIBLE), "reason",
                                 revision->no_template_why);
        if (pool->template != NULL)
                return source_json(pool->template);
        return json_pack("{s:s}", "state", source_state_name(SOURCE_ABSENT));
}

static json_t *pool_json(const struct pool *pool)
{
        json_t *json = json_object();
        uint32_t idle = 0, busy = 0;

        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (const struct instance *each = pool->home->by_id[i]; each != NULL;
                     each = each->next_by_id) {
                        if (each->pool != pool || each->role != SPAWN_ROLE_INSTANCE)
                                continue;
                        idle += each->state == INSTANCE_IDLE;
                        busy += each->state == INSTANCE_BUSY;
                }
        }
        set_new(json, "revision", json_integer(pool->revision->number));
        set_new(json, "retired", json_boolean(atomic_load(&pool->revision->retired)));
        set_new(json, "instances", json_integer(pool->total));
        set_new(json, "starting", json_integer(pool->starting));
        set_new(json, "idle", json_integer(idle));
        set_new(json, "busy", json_integer(busy));
        set_new(json, "queued", json_integer(pool->queued));
        set_new(json, "ahead", json_integer(pool->ahead_wanted));
        set_new(json, "waitsForHost", json_boolean(pool->claim.waiting));
        set_new(json, "starts", json_integer((json_int_t)pool->starts));
        set_new(json, "runMicros", json_integer((json_int_t)pool->run_us));
        set_new(json, "template", template_json(pool));
        for (const struct source *each = pool->home->sources; each != NULL; each = each->next) {
                if (starts_source_fits(each, pool->revision))
                        set_new(json, start_kind_name(each->kind), source_json(each));
        }
        return json;
}

static void list_failures(const struct inspection *inspection, const struct failures *failures)
{
        json_t *list = json_object_get(inspection->found, "failures");
        uint64_t first = failures->count > INSPECT_FAILURES ? failures->count - INSPECT_FAILURES : 0;

        for (uint64_t i = failures->count; i-- > first;) { /* the newest first */
                const struct failure *each = &failures->ring[i % INSPECT_FAILURES];
                if (strcmp(each->function_id, inspection->function_id) != 0)
                        continue;
                json_t *row = json_object();
                set_new(row, "time", time_json(each->wall_us));
                set_new(row, "what", json_string(each->what));
                set_new(row, "message", json_string(each->text));
                json_array_append_new(list, row);
        }
}

static void pools_bucket(struct inspection *inspection, const struct home *home)
{
        for (const struct pool *each = home->by_revision[inspection->bucket]; each != NULL;
             each = each->next) {
                if (strcmp(each->revision->function_id, inspection->function_id) == 0)
                        json_array_append_new(json_object_get(inspection->found, "pools"), pool_json(each));
        }
}

static void inspection_over(struct loop_task *task)
{
        struct inspection *inspection = (struct inspection *)task;

        inspection->done(inspection->arg, inspection->found);
        free(inspection->organization);
        free(inspection->project);
        free(inspection);
}

static void inspection_step(struct loop_task *task)
{
        struct inspection *inspection = (struct inspection *)task;
        struct local_engine *engine = inspection->engine;
        const struct home *home = &engine->homes[inspection->home];
        struct loop *next = home->loop;

        for (size_t i = 0; i < BUCKETS_A_TURN; i++, inspection->bucket++) {
                if (inspection->pool)
                        pools_bucket(inspection, home);
                else
                        list_bucket(inspection, home);
        }
        if (inspection->bucket == HOME_BUCKETS) {
                if (inspection->pool)
                        list_failures(inspection, &home->failures);
                inspection->bucket = 0;
                inspection->home++;
                if (inspection->home == engine->config.loop_count)
                        task->run = inspection_over;
                next = inspection->home == engine->config.loop_count ? engine->config.control
                                                                     : engine->homes[inspection->home].loop;
        }
        loop_post(next, task);
}

void local_inspect(struct engine *base, const struct engine_query *query, engine_inspected done, void *arg)
{
        struct local_engine *engine = (struct local_engine *)base;
        struct inspection *inspection = calloc(1, sizeof(*inspection));

        static_assert(HOME_BUCKETS % BUCKETS_A_TURN == 0, "a turn is whole");
        if (inspection == NULL) {
                done(arg, NULL);
                return;
        }
        *inspection = (struct inspection){.task.run = inspection_step,
                                          .engine = engine,
                                          .organization = strdup(query->organization),
                                          .project = strdup(query->project),
                                          .pool = query->pool,
                                          .done = done,
                                          .arg = arg};
        if (query->function_id != NULL)
                snprintf(inspection->function_id, sizeof(inspection->function_id), "%s", query->function_id);
        inspection->found = query->pool ? json_pack("{s:[], s:[]}", "pools", "failures") : json_array();
        if (inspection->organization == NULL || inspection->project == NULL || inspection->found == NULL) {
                json_decref(inspection->found);
                inspection->found = NULL;
                inspection->task.run = inspection_over;
                loop_post(engine->config.control, &inspection->task);
                return;
        }
        loop_post(engine->homes[0].loop, &inspection->task);
}
