/*
 * engine/local/cancel.c: ends runs early: one that its caller gives up, by its address; or one that somebody
 * names, by its id.
 *
 * Either travels to where the run is. By the time it arrives the run may be over and its memory another's, so
 * the id always decides.
 */
#include "engine/local/home.h"

#include <stdlib.h>
#include <string.h>

struct cancel {
        struct loop_task task;
        struct home *home;
        const struct invocation *inv;
        struct revision *revision;
        char run_id[UUID_LEN + 1];
};

static void cancel_task(struct loop_task *task)
{
        struct cancel *cancel = (struct cancel *)task;
        struct pool *pool = *home_pool_slot(cancel->home, cancel->revision);

        if (pool != NULL)
                pool_cancel(pool, cancel->inv, cancel->run_id);
        revision_unref(cancel->revision);
        free(cancel);
}

void local_cancel(struct engine *base, struct invocation *inv)
{
        struct cancel *cancel = malloc(sizeof(*cancel));

        (void)base;
        if (cancel == NULL)
                return; /* the run goes on to its end, which is only a waste */
        *cancel = (struct cancel){.task = {.run = cancel_task},
                                  .home = inv->home,
                                  .inv = inv,
                                  .revision = revision_ref(inv->revision)};
        memcpy(cancel->run_id, inv->run_id, sizeof(cancel->run_id));
        loop_post(cancel->home->loop, &cancel->task);
}

/* Goes from home to home, then back to who asked. */
struct search {
        struct loop_task task;
        struct local_engine *engine;
        size_t at;
        char *organization, *project;
        char run_id[UUID_LEN + 1];
        void (*done)(void *arg, bool found);
        void *arg;
        bool found;
};

static void search_over(struct loop_task *task)
{
        struct search *search = (struct search *)task;

        search->done(search->arg, search->found);
        free(search->organization);
        free(search->project);
        free(search);
}

static bool is_theirs(const struct search *search, const struct revision *revision)
{
        return strcmp(revision->organization, search->organization) == 0 &&
               strcmp(revision->project, search->project) == 0;
}

static const struct invocation *in_queue(const struct pool *pool, const char *run_id)
{
        const struct invocation *inv = pool->queue_head;

        while (inv != NULL && strcmp(inv->run_id, run_id) != 0)
                inv = inv->next;
        return inv;
}

static const struct invocation *in_instance(const struct instance *instance, const char *run_id)
{
        for (const struct run *run = instance->runs; run != NULL; run = run->next) {
                if (run->inv != NULL && strcmp(run->inv->run_id, run_id) == 0)
                        return run->inv;
        }
        return NULL;
}

static bool search_home(const struct search *search, struct home *home)
{
        for (size_t i = 0; i < HOME_BUCKETS; i++) {
                for (struct pool *pool = home->by_revision[i]; pool != NULL; pool = pool->next) {
                        const struct invocation *inv = in_queue(pool, search->run_id);
                        if (inv != NULL && is_theirs(search, pool->revision))
                                return pool_cancel(pool, inv, search->run_id);
                }
                for (struct instance *each = home->by_id[i]; each != NULL; each = each->next_by_id) {
                        const struct invocation *inv = in_instance(each, search->run_id);
                        if (inv != NULL && is_theirs(search, each->pool->revision))
                                return pool_cancel(each->pool, inv, search->run_id);
                }
        }
        return false;
}

static void search_task(struct loop_task *task)
{
        struct search *search = (struct search *)task;
        struct local_engine *engine = search->engine;

        search->found = search_home(search, &engine->homes[search->at]);
        search->at++;
        if (search->found || search->at == engine->config.loop_count) {
                search->task.run = search_over;
                loop_post(engine->config.control, &search->task);
        } else {
                loop_post(engine->homes[search->at].loop, &search->task);
        }
}

enum err_code local_cancel_named(struct engine *base, struct str organization, struct str project,
                                 struct str run_id, void (*done)(void *arg, bool found), void *arg,
                                 struct err *err)
{
        struct search *search = calloc(1, sizeof(*search));

        if (search == NULL)
                return err_nomem(err);
        *search = (struct search){.task = {.run = search_task},
                                  .engine = (struct local_engine *)base,
                                  .organization = strndup(organization.p, organization.len),
                                  .project = strndup(project.p, project.len),
                                  .done = done,
                                  .arg = arg};
        if (search->organization == NULL || search->project == NULL) {
                free(search->organization);
                free(search->project);
                free(search);
                return err_nomem(err);
        }
        /* A longer name is no id, and fits none. */
        memcpy(search->run_id, run_id.p, run_id.len < UUID_LEN ? run_id.len : UUID_LEN);
        loop_post(search->engine->homes[0].loop, &search->task);
        return ERR_OK;
}
