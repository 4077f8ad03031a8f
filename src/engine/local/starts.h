/*
 * engine/local/starts.h: from what an instance starts, cheapest first.
 *
 *      template   the function's own, which has imported the handler: fork
 *      zygote     of image and organization, interpreter and libraries loaded: fork, import the handler
 *      stem       a booted process of image and organization without code: claim it, import the handler
 *      boot       nothing
 *
 * What an instance starts from is a *source*: one for each revision (its template) and two for each image of
 * an organization (zygote, stems). A source is an instance of its own kind (struct instance with a role): it
 * has a sandbox and a channel, and takes no runs.
 *
 *      absent ──▶ starting ──▶ parked ──▶ absent        made when there is demand for it
 *                    └──▶ impossible                    the language or the function cannot (the text says
 * why)
 *
 * A start from a source that fails for a reason of the mechanism is counted, and the same start goes on with
 * the next kind. A source that fails rests for a while, each time longer. Sources count against the host's
 * instances, only where nobody waits for a place; they go when the memory of the pools is short (budget.h).
 * Zygotes and templates share address layout and hash seed with what they fork: they are made anew every
 * hour.
 */
#ifndef DISPATCH_ENGINE_LOCAL_STARTS_H
#define DISPATCH_ENGINE_LOCAL_STARTS_H

#include "engine/local/local.h"

struct home;
struct instance;
struct pool;
struct source;
struct spawn_start;

enum {
        SOURCE_WHY_MAX = 200,
        STARTS_STEMS_MAX = 4,          /* unclaimed ones of an image */
        STARTS_LIFE_MS = 3600 * 1000,  /* then a zygote or template is made anew */
        STARTS_UNUSED_MS = 900 * 1000, /* one that nothing starts from goes */
        STARTS_REST_MS = 1000,         /* after a failure, doubled with each in a row */
        STARTS_REST_MS_MAX = 600 * 1000,
        STARTS_QUIET_TICKS = 60, /* then one stem less is kept */
        STARTS_IMPORT_US = 2000  /* an import that takes this long is worth a template at once */
};

enum source_state { SOURCE_ABSENT, SOURCE_STARTING, SOURCE_PARKED, SOURCE_IMPOSSIBLE };
const char *source_state_name(enum source_state state);

struct source {
        struct source *next; /* in the home's list, for those of images */
        struct home *home;
        enum start_kind kind; /* START_TEMPLATE, START_ZYGOTE or START_STEM */
        enum source_state state;
        struct pool *pool; /* a template's function; others have one of their own, without requests */
        struct instance *starting;
        struct instance *parked[STARTS_STEMS_MAX]; /* one, or stems, oldest first */
        uint32_t parked_count, wanted;
        uint32_t asked, quiet; /* starts since the last tick; ticks without any */
        uint32_t takers;       /* instances that are coming from it */
        uint64_t parked_ms, used_ms, rest_until_ms;
        uint32_t failures;        /* in a row */
        uint64_t starts;          /* instances that came from it */
        char why[SOURCE_WHY_MAX]; /* it is impossible, or what failed last */
};

/* True for a zygote or stems that instances of the revision can start from. */
bool starts_source_fits(const struct source *source, const struct revision *revision);

/* How one instance is to start. */
struct start_plan {
        enum start_kind kind;
        struct source *source; /* NULL: boot */
        struct instance *from;
};

/* The cheapest way there is now. A source that this start misses is made, for the next. */
struct start_plan starts_plan(struct pool *pool);
/* An instance starts by that plan; it is over with the first of the three that follow. */
void starts_take(struct instance *instance, const struct start_plan *plan);
/* It has come (true or not to the plan, it is ready). */
void starts_came(struct instance *instance);
/* It was refused, or ended before it was ready: true if a source is to blame, so that the start goes on with
 * another kind. */
bool starts_fall_back(struct instance *instance, const char *text);
/* Neither: it is destroyed. */
void starts_let(struct instance *instance);

/* An instance of the pool, started so, has answered its first run: what would make the next start cheaper is
 * made. */
void starts_ran_first(struct pool *pool, enum start_kind kind, uint64_t import_us);

/* What becomes of an instance with a role. `why_not`: it cannot be what it should. */
void starts_parked(struct instance *instance, struct str why_not);
void starts_failed(struct instance *instance, enum err_code code, const char *text);
/* It is to end, or was claimed: nothing starts from it any more. */
void starts_unpark(struct instance *instance);
void starts_gone(struct instance *instance);

/* Once a second: what is too old or unused goes, what is wanted is made. */
void starts_tick(struct home *home);
void starts_tick_template(struct pool *pool);
/* The pool may be freed as far as its template is concerned. */
bool starts_template_is_over(const struct pool *pool);
/* Ends the parked process that was used least recently: a template, else a stem, else a zygote. False: there
 * is none. */
bool starts_evict(struct home *home, const char *why);
bool starts_can_evict(const struct home *home);
/* With the home. */
void starts_finish(struct home *home);

#endif
