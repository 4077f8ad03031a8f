/* engine/checker.c: see checker.h. */
#include "engine/checker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

struct job {
        struct invocation *inv;
        void (*work)(struct invocation *inv);
};

struct checker {
        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool started, stopping;
        size_t first, count;
        struct job jobs[CHECKER_QUEUE_MAX]; /* a ring */
};

/* The next job; false: there will be none. */
static bool take(struct checker *checker, struct job *ret)
{
        pthread_mutex_lock(&checker->mutex);
        while (checker->count == 0 && !checker->stopping)
                pthread_cond_wait(&checker->changed, &checker->mutex);
        bool goes_on = !checker->stopping;
        if (goes_on) {
                *ret = checker->jobs[checker->first];
                checker->first = (checker->first + 1) % CHECKER_QUEUE_MAX;
                checker->count--;
        }
        pthread_mutex_unlock(&checker->mutex);
        return goes_on;
}

static void *checker_run(void *arg)
{
        struct checker *checker = arg;
        struct job job;

        while (take(checker, &job)) {
                job.work(job.inv);
                pthread_mutex_lock(&checker->mutex);
                if (!checker->stopping)
                        loop_post(job.inv->loop, &job.inv->task);
                pthread_mutex_unlock(&checker->mutex);
        }
        return NULL;
}

/* Below the loops, whatever their class is, and without their signals. Under the mutex. */
static enum err_code start(struct checker *checker, struct err *err)
{
        const struct sched_param ordinary = {.sched_priority = 0};
        sigset_t all, before;
        pthread_attr_t attributes;

        if (pthread_attr_init(&attributes) != 0)
                return err_nomem(err);
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
        pthread_attr_setschedparam(&attributes, &ordinary);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        errno = pthread_create(&checker->thread, &attributes, checker_run, checker);
        checker->started = errno == 0;
        enum err_code code =
                checker->started ? ERR_OK : err_sys(err, "start the thread that checks large payloads");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return code;
}

enum err_code checker_create(struct checker **ret, struct err *err)
{
        struct checker *checker = calloc(1, sizeof(*checker));

        if (checker == NULL)
                return err_nomem(err);
        pthread_mutex_init(&checker->mutex, NULL);
        pthread_cond_init(&checker->changed, NULL);
        *ret = checker;
        return ERR_OK;
}

void checker_destroy(struct checker *checker)
{
        if (checker == NULL)
                return;
        pthread_mutex_lock(&checker->mutex);
        checker->stopping = true;
        bool started = checker->started;
        pthread_cond_signal(&checker->changed);
        pthread_mutex_unlock(&checker->mutex);
        if (started)
                pthread_join(checker->thread, NULL);
        pthread_cond_destroy(&checker->changed);
        pthread_mutex_destroy(&checker->mutex);
        free(checker);
}

enum err_code checker_post(struct checker *checker, struct invocation *inv,
                           void (*work)(struct invocation *inv), struct err *err)
{
        enum err_code code = ERR_OK;

        pthread_mutex_lock(&checker->mutex);
        if (checker->count == CHECKER_QUEUE_MAX)
                code = err_set(
                        err, ERR_LIMIT,
                        "%d large payloads wait to be checked against their schemas, which is the limit",
                        CHECKER_QUEUE_MAX);
        else if (!checker->started)
                code = start(checker, err);
        if (code == ERR_OK) {
                checker->jobs[(checker->first + checker->count++) % CHECKER_QUEUE_MAX] =
                        (struct job){inv, work};
                pthread_cond_signal(&checker->changed);
        }
        pthread_mutex_unlock(&checker->mutex);
        return code;
}
