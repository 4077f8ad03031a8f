/*
 * engine/snapshot.c: the hub of the control thread and the copies that the loops read.
 *
 * One publication is under way at a time: it posts the new snapshot to each loop, each loop swaps its pointer
 * and counts itself off, and the last one wakes the control loop, which calls those who waited and starts the
 * next publication if something changed meanwhile.
 */
#include "engine/snapshot.h"

#include "base/hamt.h"
#include "engine/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FUNCTION_KEY_MAX = 512, PUBLISH_RETRY_MS = 10 };

struct snapshot {
        atomic_uint refs;
        struct hamt functions;
        struct hamt routes;
};

struct waiter {
        struct waiter *next;
        void (*done)(void *arg);
        void *arg;
};

/* A loop's side: the task that brings it a snapshot, and the one it reads. */
struct reader {
        struct loop_task task;
        struct snapshot_hub *hub;
        struct loop *loop;
        struct snapshot *current;
};

struct snapshot_hub {
        struct loop *control;
        struct snapshot working; /* never shared itself: its tries are */
        struct snapshot *publishing;
        struct loop_task published;
        atomic_size_t pending;
        struct waiter *waiters; /* of the publication under way */
        struct waiter *next;    /* of the one after it */
        bool dirty;
        struct loop_timer *retry;
        size_t reader_count;
        struct reader readers[];
};

static void entry_ref(void *value)
{
        function_entry_ref(value);
}

static void entry_unref(void *value)
{
        function_entry_unref(value);
}

static const struct hamt_ops function_ops = {entry_ref, entry_unref};

static struct snapshot *snapshot_of(const struct snapshot *working)
{
        struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

        if (snapshot == NULL)
                return NULL;
        atomic_init(&snapshot->refs, 1);
        snapshot->functions = hamt_share(&working->functions);
        snapshot->routes = hamt_share(&working->routes);
        return snapshot;
}

static void snapshot_unref(struct snapshot *snapshot)
{
        if (snapshot == NULL || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
                return;
        hamt_finish(&snapshot->functions);
        hamt_finish(&snapshot->routes);
        free(snapshot);
}

static void reader_take(struct loop_task *task)
{
        struct reader *reader = (struct reader *)task;
        struct snapshot_hub *hub = reader->hub;
        struct snapshot *old = reader->current;

        atomic_fetch_add_explicit(&hub->publishing->refs, 1, memory_order_relaxed);
        reader->current = hub->publishing;
        snapshot_unref(old);
        if (atomic_fetch_sub_explicit(&hub->pending, 1, memory_order_acq_rel) == 1)
                loop_post(hub->control, &hub->published);
}

static void hub_start(struct snapshot_hub *hub)
{
        assert(hub->publishing == NULL);
        hub->publishing = snapshot_of(&hub->working);
        if (hub->publishing == NULL) {
                loop_timer_start(hub->retry, PUBLISH_RETRY_MS);
                return;
        }
        hub->dirty = false;
        hub->waiters = hub->next;
        hub->next = NULL;
        atomic_store(&hub->pending, hub->reader_count);
        for (size_t i = 0; i < hub->reader_count; i++)
                loop_post(hub->readers[i].loop, &hub->readers[i].task);
}

static void hub_retry(void *arg)
{
        struct snapshot_hub *hub = arg;

        if (hub->publishing == NULL)
                hub_start(hub);
}

static void call_waiters(struct waiter *waiter)
{
        struct waiter *reversed = NULL, *next;

        for (; waiter != NULL; waiter = next) {
                next = waiter->next;
                waiter->next = reversed;
                reversed = waiter;
        }
        for (waiter = reversed; waiter != NULL; waiter = next) {
                next = waiter->next;
                waiter->done(waiter->arg);
                free(waiter);
        }
}

static void hub_published(struct loop_task *task)
{
        struct snapshot_hub *hub =
                (struct snapshot_hub *)(void *)((char *)task - offsetof(struct snapshot_hub, published));
        struct waiter *waiters = hub->waiters;

        hub->waiters = NULL;
        snapshot_unref(hub->publishing);
        hub->publishing = NULL;
        if (hub->dirty)
                hub_start(hub);
        call_waiters(waiters);
}

enum err_code snapshot_hub_create(struct loop *control, struct loop **loops, size_t loop_count,
                                  struct snapshot_hub **ret, struct err *err)
{
        assert(loop_count > 0);

        struct snapshot_hub *hub = calloc(1, sizeof(*hub) + loop_count * sizeof(hub->readers[0]));
        if (hub == NULL)
                return err_nomem(err);
        hub->control = control;
        hub->published.run = hub_published;
        hub->reader_count = loop_count;
        hamt_init(&hub->working.functions, &function_ops);
        hamt_init(&hub->working.routes, &route_set_ops);
        hub->retry = loop_timer_create(control, hub_retry, hub);
        if (hub->retry == NULL) {
                free(hub);
                return err_nomem(err);
        }
        for (size_t i = 0; i < loop_count; i++) {
                hub->readers[i] = (struct reader){.task = {.run = reader_take},
                                                  .hub = hub,
                                                  .loop = loops[i],
                                                  .current = snapshot_of(&hub->working)};
                if (hub->readers[i].current == NULL) {
                        snapshot_hub_destroy(hub);
                        return err_nomem(err);
                }
        }
        *ret = hub;
        return ERR_OK;
}

void snapshot_hub_destroy(struct snapshot_hub *hub)
{
        struct waiter *next;

        if (hub == NULL)
                return;
        for (size_t i = 0; i < hub->reader_count; i++)
                snapshot_unref(hub->readers[i].current);
        snapshot_unref(hub->publishing);
        for (struct waiter *waiter = hub->waiters; waiter != NULL; waiter = next) {
                next = waiter->next;
                free(waiter);
        }
        for (struct waiter *waiter = hub->next; waiter != NULL; waiter = next) {
                next = waiter->next;
                free(waiter);
        }
        hamt_finish(&hub->working.functions);
        hamt_finish(&hub->working.routes);
        loop_timer_destroy(hub->retry);
        free(hub);
}

/* "ORG\0PROJECT\0NAME"; an empty view when it does not fit. */
static struct str function_key(char space[FUNCTION_KEY_MAX], struct str organization, struct str project,
                               struct str name)
{
        int len = snprintf(space, FUNCTION_KEY_MAX, "%.*s%c%.*s%c%.*s", STR_ARG(organization), '\0',
                           STR_ARG(project), '\0', STR_ARG(name));

        return len > 0 && len < FUNCTION_KEY_MAX ? (struct str){space, (size_t)len} : (struct str){NULL, 0};
}

enum err_code snapshot_put_function(struct snapshot_hub *hub, struct str organization, struct str project,
                                    struct str name, struct function_entry *entry, struct err *err)
{
        char space[FUNCTION_KEY_MAX];
        struct str key = function_key(space, organization, project, name);

        if (key.p == NULL)
                return err_set(err, ERR_UNPROCESSABLE,
                               "name is too long: at most %d bytes with organization and project",
                               FUNCTION_KEY_MAX - 3);
        return hamt_set(&hub->working.functions, key, entry) == ERR_OK ? ERR_OK : err_nomem(err);
}

enum err_code snapshot_drop_function(struct snapshot_hub *hub, struct str organization, struct str project,
                                     struct str name, struct err *err)
{
        char space[FUNCTION_KEY_MAX];
        struct str key = function_key(space, organization, project, name);

        if (key.p == NULL)
                return ERR_OK;
        return hamt_remove(&hub->working.functions, key) == ERR_OK ? ERR_OK : err_nomem(err);
}

enum err_code snapshot_check_endpoint(struct snapshot_hub *hub, const struct endpoint_entry *entry,
                                      const struct endpoint_entry *replaces, struct err *err)
{
        return route_check(&hub->working.routes, entry, replaces, err);
}

enum err_code snapshot_put_endpoint(struct snapshot_hub *hub, struct endpoint_entry *entry,
                                    struct endpoint_entry *replaces, struct err *err)
{
        struct hamt next = hamt_share(&hub->working.routes);
        enum err_code code = route_check(&next, entry, replaces, err);

        if (code == ERR_OK && replaces != NULL)
                code = route_remove(&next, replaces, err);
        if (code == ERR_OK)
                code = route_add(&next, entry, err);
        if (code != ERR_OK) {
                hamt_finish(&next);
                return code;
        }
        hamt_finish(&hub->working.routes);
        hub->working.routes = next;
        return ERR_OK;
}

enum err_code snapshot_drop_endpoint(struct snapshot_hub *hub, struct endpoint_entry *entry, struct err *err)
{
        return route_remove(&hub->working.routes, entry, err);
}

void snapshot_publish(struct snapshot_hub *hub, void (*done)(void *arg), void *arg)
{
        struct waiter *waiter = done != NULL ? malloc(sizeof(*waiter)) : NULL;

        if (waiter != NULL) {
                *waiter = (struct waiter){.next = hub->next, .done = done, .arg = arg};
                hub->next = waiter;
        }
        hub->dirty = true;
        if (hub->publishing == NULL)
                hub_start(hub);
        /* Without memory for a waiter the caller goes on now: a little early is better than never. */
        if (waiter == NULL && done != NULL)
                done(arg);
}

const struct snapshot *snapshot_working(struct snapshot_hub *hub)
{
        return &hub->working;
}

const struct snapshot *snapshot_of_loop(struct snapshot_hub *hub, size_t index)
{
        assert(index < hub->reader_count);
        return hub->readers[index].current;
}

struct function_entry *snapshot_function(const struct snapshot *snapshot, struct str organization,
                                         struct str project, struct str name)
{
        char space[FUNCTION_KEY_MAX];
        struct str key = function_key(space, organization, project, name);

        return key.p != NULL ? hamt_get(&snapshot->functions, key) : NULL;
}

enum route_result snapshot_route(const struct snapshot *snapshot, struct str host, struct str path,
                                 unsigned method, struct endpoint_entry **ret, unsigned *ret_methods)
{
        return route_find(&snapshot->routes, host, path, method, ret, ret_methods);
}
