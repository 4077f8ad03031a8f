/* engine/local/starts.c: the sources that instances start from, and the choice between them. See starts.h. */
#include "engine/local/home.h"

#include "base/clock.h"
#include "image/runtime.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FALL_BACK_MS = 60 * 1000, SOURCE_FAILURES_MAX = 3, SOURCES_MAX = 256 };

#define TO(state) (1U << SOURCE_##state)

static const struct {
        const char *name;
        uint32_t next; /* bit set of the states reachable in one move */
} states[] = {
        [SOURCE_ABSENT] = {"absent", TO(STARTING)},
        [SOURCE_STARTING] = {"starting", TO(PARKED) | TO(ABSENT) | TO(IMPOSSIBLE)},
        [SOURCE_PARKED] = {"parked", TO(ABSENT) | TO(STARTING)},
        [SOURCE_IMPOSSIBLE] = {"impossible", 0},
};

const char *source_state_name(enum source_state state)
{
        return states[state].name;
}

static void move(struct source *source, enum source_state state)
{
        assert(source->state == state || (states[source->state].next & (1U << state)) != 0);
        source->state = state;
}

/* The state that goes by what there is. */
static void settle(struct source *source)
{
        if (source->state != SOURCE_IMPOSSIBLE)
                move(source, source->parked_count > 0   ? SOURCE_PARKED
                             : source->starting != NULL ? SOURCE_STARTING
                                                        : SOURCE_ABSENT);
}

static uint64_t now_ms(const struct home *home)
{
        return loop_now_ms(home->loop);
}

static void why_set(struct source *source, struct str why)
{
        size_t len = why.len < sizeof(source->why) - 1 ? why.len : sizeof(source->why) - 1;

        /* It goes into replies and logs: plain characters only. */
        for (size_t i = 0; i < len; i++)
                source->why[i] = (char)(why.p[i] >= 0x20 && why.p[i] < 0x7f ? why.p[i] : '?');
        source->why[len] = '\0';
}

/* It failed: it rests, each time longer. */
static void rest(struct source *source, const char *why)
{
        uint64_t ms = STARTS_REST_MS;

        for (uint32_t i = 0; i < source->failures && ms < STARTS_REST_MS_MAX; i++)
                ms *= 2;
        source->failures++;
        source->rest_until_ms = now_ms(source->home) + (ms < STARTS_REST_MS_MAX ? ms : STARTS_REST_MS_MAX);
        why_set(source, str_of(why));
}

static uint32_t way_of(enum start_kind kind)
{
        return kind == START_TEMPLATE ? RUNTIME_TEMPLATE
               : kind == START_ZYGOTE ? RUNTIME_ZYGOTE
                                      : RUNTIME_STEM;
}

/* The bits of enum runtime_start that are open to the pool now. */
static uint32_t ways(const struct pool *pool)
{
        const struct local_host *host = &pool->home->engine->config.host;
        uint32_t bits;

        if (host->runtime_starts == NULL)
                return 0;
        bits = host->runtime_starts(host->ctx, pool->revision->language);
        if (now_ms(pool->home) < pool->refused_until_ms)
                bits &= ~pool->refused;
        /* The network of a stem's sandbox is made already, and it has none. */
        return pool->revision->egress ? bits & ~(uint32_t)RUNTIME_STEM : bits;
}

static struct source *source_create(struct home *home, enum start_kind kind, struct pool *pool)
{
        struct source *source = calloc(1, sizeof(*source));

        if (source != NULL)
                *source = (struct source){
                        .home = home, .kind = kind, .pool = pool, .wanted = 1, .used_ms = now_ms(home)};
        return source;
}

/* Starts one more of what it consists of, if that is wanted and there is room for it. */
static void source_begin(struct source *source)
{
        struct local_engine *engine = source->home->engine;
        struct err err;

        if (source->starting != NULL || source->parked_count >= source->wanted ||
            source->state == SOURCE_IMPOSSIBLE || now_ms(source->home) < source->rest_until_ms ||
            budget_is_short(&engine->budget) || !fair_enter_spare(engine->fair))
                return;
        if (instance_start_source(source, &err) == ERR_OK) {
                settle(source);
                return;
        }
        fair_leave(engine->fair, NULL);
        rest(source, err.text);
}

static bool same_image(const struct revision *a, const struct revision *b)
{
        if (strcmp(a->organization, b->organization) != 0 || strcmp(a->language, b->language) != 0 ||
            strcmp(a->interpreter, b->interpreter) != 0 || a->layer_count != b->layer_count)
                return false;
        for (uint32_t i = 0; i < a->layer_count; i++) {
                if (strcmp(a->layers[i], b->layers[i]) != 0)
                        return false;
        }
        return true;
}

/* A stem's command line may go by the memory of the function that will claim it. */
static bool fits(const struct source *source, enum start_kind kind, const struct revision *revision)
{
        return source->kind == kind && same_image(source->pool->revision, revision) &&
               (kind != START_STEM || source->pool->revision->memory_mib == revision->memory_mib);
}

bool starts_source_fits(const struct source *source, const struct revision *revision)
{
        return fits(source, source->kind, revision);
}

static void image_source_free(struct source *source)
{
        revision_unref(source->pool->revision);
        free(source->pool);
        free(source);
}

static struct source *image_source_create(struct home *home, enum start_kind kind,
                                          const struct revision *revision)
{
        struct pool *pool = calloc(1, sizeof(*pool));
        struct source *source = pool != NULL ? source_create(home, kind, pool) : NULL;

        if (source == NULL) {
                free(pool);
                return NULL;
        }
        pool->home = home;
        pool->revision = revision_of_image(revision, start_kind_name(kind));
        if (pool->revision == NULL) {
                image_source_free(source);
                return NULL;
        }
        source->next = home->sources;
        home->sources = source;
        home->source_count++;
        return source;
}

/* NULL: there is none, and none can be. */
static struct source *image_source(struct pool *pool, enum start_kind kind)
{
        struct home *home = pool->home;

        for (struct source *each = home->sources; each != NULL; each = each->next) {
                if (fits(each, kind, pool->revision))
                        return each;
        }
        return home->source_count < SOURCES_MAX ? image_source_create(home, kind, pool->revision) : NULL;
}

/* A fork server stays; a stem is taken, the oldest first, and another made in its place. */
static struct start_plan plan_from(struct source *source)
{
        struct start_plan plan = {source->kind, source, source->parked[0]};

        if (source->kind == START_STEM) {
                starts_unpark(plan.from);
                source_begin(source);
        }
        return plan;
}

struct start_plan starts_plan(struct pool *pool)
{
        static const enum start_kind of_images[] = {START_ZYGOTE, START_STEM};
        uint32_t bits = ways(pool);

        if ((bits & RUNTIME_TEMPLATE) != 0 && pool->template != NULL) {
                pool->template->used_ms = now_ms(pool->home);
                if (pool->template->parked_count > 0)
                        return plan_from(pool->template);
        }
        for (size_t i = 0; i < sizeof(of_images) / sizeof(of_images[0]); i++) {
                struct source *source =
                        (bits & way_of(of_images[i])) != 0 ? image_source(pool, of_images[i]) : NULL;
                if (source == NULL)
                        continue;
                source->used_ms = now_ms(pool->home);
                source->asked++;
                if (source->parked_count > 0)
                        return plan_from(source);
                source_begin(source);
        }
        return (struct start_plan){START_BOOT, NULL, NULL};
}

void starts_ran_first(struct pool *pool, enum start_kind kind, uint64_t import_us)
{
        struct revision *revision = pool->revision;
        bool worth = kind == START_BOOT || pool->starts > 1 || import_us >= STARTS_IMPORT_US;

        if (kind == START_TEMPLATE || !worth || (ways(pool) & RUNTIME_TEMPLATE) == 0 ||
            atomic_load(&revision->retired) || atomic_load(&revision->no_template))
                return;
        if (pool->template == NULL)
                pool->template = source_create(pool->home, START_TEMPLATE, pool);
        if (pool->template != NULL)
                source_begin(pool->template);
}

/* Memory without a measure is the least that such a thing has. */
static enum budget_class class_of(const struct source *source)
{
        return source->kind == START_TEMPLATE ? BUDGET_TEMPLATE
               : source->kind == START_ZYGOTE ? BUDGET_ZYGOTE
                                              : BUDGET_STEM;
}

void starts_parked(struct instance *instance, struct str why_not)
{
        struct source *source = instance->source;
        struct revision *revision = source->pool->revision;

        assert(source->starting == instance && source->parked_count < STARTS_STEMS_MAX);
        source->starting = NULL;
        if (why_not.len > 0) {
                why_set(source, why_not);
                snprintf(revision->no_template_why, sizeof(revision->no_template_why), "%s", source->why);
                atomic_store(&revision->no_template, true);
                move(source, SOURCE_IMPOSSIBLE);
                instance_end(instance, ERR_CANCELLED, NULL, "it cannot be parked");
                return;
        }
        source->failures = 0;
        source->why[0] = '\0';
        source->parked_ms = now_ms(source->home);
        source->parked[source->parked_count++] = instance;
        settle(source);
        instance_measure(instance, class_of(source));
        source_begin(source);
}

void starts_failed(struct instance *instance, enum err_code code, const char *text)
{
        struct source *source = instance->source;

        if (code == ERR_NOT_IMPLEMENTED && source->state == SOURCE_STARTING) {
                why_set(source, str_of(text));
                move(source, SOURCE_IMPOSSIBLE);
        } else if (source->state != SOURCE_IMPOSSIBLE) {
                rest(source, text);
        }
        failures_note(source->home, source->pool->revision, start_kind_name(source->kind), text);
}

void starts_unpark(struct instance *instance)
{
        struct source *source = instance->source;

        for (uint32_t i = 0; i < source->parked_count; i++) {
                if (source->parked[i] != instance)
                        continue;
                source->parked_count--;
                memmove(source->parked + i, source->parked + i + 1,
                        (source->parked_count - i) * sizeof(source->parked[0]));
        }
        settle(source);
}

void starts_gone(struct instance *instance)
{
        struct source *source = instance->source;

        budget_set(&source->home->engine->budget, &instance->held, BUDGET_NONE, 0);
        fair_leave(source->home->engine->fair, NULL);
        starts_unpark(instance);
        if (source->starting == instance)
                source->starting = NULL;
        settle(source);
}

void starts_take(struct instance *instance, const struct start_plan *plan)
{
        instance->kind = plan->kind;
        instance->from = plan->source;
        instance->from_id = plan->from != NULL ? plan->from->id : 0;
        if (plan->source != NULL)
                plan->source->takers++;
}

void starts_let(struct instance *instance)
{
        if (instance->from != NULL)
                instance->from->takers--;
        instance->from = NULL;
}

void starts_came(struct instance *instance)
{
        struct source *source = instance->from;

        if (source == NULL)
                return;
        source->starts++;
        source->failures = 0;
        starts_let(instance);
}

/* A stem that could not be claimed is of no use to anybody. */
static void stem_drop(const struct instance *instance)
{
        struct instance *stem = home_find(instance->home, instance->from_id);

        if (instance->kind == START_STEM && stem != NULL && stem->role == SPAWN_ROLE_STEM)
                instance_end(stem, ERR_CANCELLED, NULL, "it could not be claimed");
}

bool starts_fall_back(struct instance *instance, const char *text)
{
        struct source *source = instance->from;
        struct pool *pool = instance->pool;
        uint32_t way;

        if (source == NULL || instance->ready || instance->runs != NULL)
                return false;
        way = way_of(source->kind);
        pool->refused = now_ms(pool->home) < pool->refused_until_ms ? pool->refused | way : way;
        pool->refused_until_ms = now_ms(pool->home) + FALL_BACK_MS;
        why_set(source, str_of(text));
        failures_note(pool->home, pool->revision, start_kind_name(source->kind), text);
        atomic_fetch_add(&pool->home->engine->fall_backs, 1);
        stem_drop(instance);
        starts_let(instance);
        if (++source->failures >= SOURCE_FAILURES_MAX && source->parked_count > 0)
                instance_end(source->parked[0], ERR_CANCELLED, NULL, "what starts from it fails");
        return true;
}

static void source_end(struct source *source, const char *why)
{
        while (source->parked_count > 0)
                instance_end(source->parked[0], ERR_CANCELLED, NULL, "%s", why);
        if (source->starting != NULL)
                instance_end(source->starting, ERR_CANCELLED, NULL, "%s", why);
}

/* As many stems as one second asked for, and one; fewer by and by. */
static void stems_adapt(struct source *source)
{
        uint32_t asked = source->asked + (source->asked > 0 ? 1 : 0);

        if (asked > source->wanted)
                source->wanted = asked < STARTS_STEMS_MAX ? asked : STARTS_STEMS_MAX;
        else if (source->asked == 0 && source->wanted > 1 && ++source->quiet >= STARTS_QUIET_TICKS)
                source->wanted--;
        if (source->asked > 0 || source->quiet >= STARTS_QUIET_TICKS)
                source->quiet = 0;
        source->asked = 0;
}

/* What is too old, or what nothing starts from. */
static void source_tick(struct source *source)
{
        uint64_t now = now_ms(source->home);
        bool used = now - source->used_ms < STARTS_UNUSED_MS;

        if (source->kind == START_STEM) {
                stems_adapt(source);
                /* They come before their interpreter is up, and grow until then. */
                for (uint32_t i = 0; i < source->parked_count; i++)
                        instance_measure(source->parked[i], BUDGET_STEM);
        }
        if (!used)
                source_end(source, "nothing starts from it");
        else if (source->parked_count > 0 && now - source->parked_ms >= STARTS_LIFE_MS)
                source_end(source, "it is an hour old");
        if (used)
                source_begin(source);
}

static bool source_is_over(const struct source *source)
{
        return source->state != SOURCE_IMPOSSIBLE && source->starting == NULL && source->parked_count == 0 &&
               source->pool->roles == 0 && source->takers == 0 &&
               now_ms(source->home) - source->used_ms >= STARTS_UNUSED_MS;
}

void starts_tick(struct home *home)
{
        for (struct source **at = &home->sources; *at != NULL;) {
                struct source *source = *at;
                source_tick(source);
                if (!source_is_over(source)) {
                        at = &source->next;
                        continue;
                }
                *at = source->next;
                home->source_count--;
                image_source_free(source);
        }
}

void starts_tick_template(struct pool *pool)
{
        if (pool->template == NULL)
                return;
        if (atomic_load(&pool->revision->retired))
                source_end(pool->template, "its function has changed");
        else
                source_tick(pool->template);
}

bool starts_template_is_over(const struct pool *pool)
{
        return pool->template == NULL || (pool->roles == 0 && pool->template->takers == 0);
}

static void older(struct source **best, struct source *source)
{
        if (source != NULL && source->parked_count > 0 &&
            (*best == NULL || source->used_ms < (*best)->used_ms))
                *best = source;
}

/* NULL: nothing is parked. */
static struct source *evictable(const struct home *home)
{
        struct source *best = NULL;

        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct pool *pool = home->by_revision[i]; pool != NULL; pool = pool->next)
                        older(&best, pool->template);
        }
        for (struct source *each = home->sources; best == NULL && each != NULL; each = each->next) {
                if (each->kind == START_STEM)
                        older(&best, each);
        }
        for (struct source *each = best == NULL ? home->sources : NULL; each != NULL; each = each->next)
                older(&best, each);
        return best;
}

bool starts_can_evict(const struct home *home)
{
        return evictable(home) != NULL;
}

bool starts_evict(struct home *home, const char *why)
{
        struct source *best = evictable(home);

        if (best != NULL)
                instance_end(best->parked[0], ERR_CANCELLED, NULL, "%s", why);
        return best != NULL;
}

void starts_finish(struct home *home)
{
        while (home->sources != NULL) {
                struct source *source = home->sources;
                home->sources = source->next;
                image_source_free(source);
        }
}
