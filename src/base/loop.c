/*
 * base/loop.c: the event loop on libuv. Each handle is one heap object whose first member is libuv's; libuv
 * closes handles asynchronously, so *_destroy frees in the close callback, at the latest in loop_destroy.
 *
 * Posted tasks go onto a lock-free stack; the loop takes all of it at once and reverses it, which keeps the
 * order of each poster. Who finds the stack empty wakes the loop, by an eventfd (eventfd(2)): not uv_async_t,
 * of which the receiver spins while a sender is preempted between its two steps (libuv's uv__async_spin),
 * seen as 13 % of a busy server's time where requests hop between loops.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

struct loop {
        uv_loop_t uv;
        uv_poll_t wake;
        int wake_fd;
        _Atomic(struct loop_task *) posted;
        atomic_bool stop;
        bool stepping;         /* in loop_step, which ends with the first callback */
        unsigned handle_count; /* handles not yet destroyed, without wake */
};

struct loop_timer {
        uv_timer_t uv;
        struct loop *loop;
        void (*fire)(void *arg);
        void *arg;
};

struct loop_poll {
        uv_poll_t uv;
        struct loop *loop;
        void (*ready)(void *arg, int events);
        void *arg;
        int wanted;
};

struct loop_signal {
        uv_signal_t uv;
        struct loop *loop;
        void (*fire)(void *arg);
        void *arg;
};

static enum err_code loop_uv_error(struct err *err, int status, const char *what)
{
        err_set(err, ERR_SYSTEM, "%s: %s", what, uv_strerror(status));
        if (err != NULL)
                err->sys_errno = -status;
        return ERR_SYSTEM;
}

static struct loop_task *loop_tasks_take(struct loop *loop)
{
        struct loop_task *stack = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
        struct loop_task *queue = NULL, *next;

        for (; stack != NULL; stack = next) {
                next = stack->next;
                stack->next = queue;
                queue = stack;
        }
        return queue;
}

static void loop_tasks_run(struct loop *loop)
{
        struct loop_task *next;

        for (struct loop_task *task = loop_tasks_take(loop); task != NULL; task = next) {
                next = task->next; /* run may free the task */
                task->run(task);
        }
}

/* In one pass libuv runs timers and then waits for descriptors: a step must not wait after a timer fired. */
static void loop_happened(struct loop *loop)
{
        if (loop->stepping)
                uv_stop(&loop->uv);
}

/* Cannot fail: a counter that is full wakes as well. */
static void loop_wake(struct loop *loop)
{
        static const uint64_t one = 1;

        (void)!write(loop->wake_fd, &one, sizeof(one));
}

static void loop_on_wake(uv_poll_t *wake, int status, int events)
{
        struct loop *loop = wake->data;
        uint64_t count;

        (void)status;
        (void)events;
        (void)!read(loop->wake_fd, &count,
                    sizeof(count)); /* before the tasks are taken, or one could be missed */
        loop_happened(loop);
        loop_tasks_run(loop);
        if (atomic_load(&loop->stop))
                uv_stop(&loop->uv);
}

/* A status of libuv's. */
static int loop_wake_init(struct loop *loop)
{
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (loop->wake_fd < 0)
                return -errno;
        int status = uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
        if (status < 0) {
                close(loop->wake_fd);
                return status;
        }
        loop->wake.data = loop;
        return uv_poll_start(&loop->wake, UV_READABLE, loop_on_wake);
}

enum err_code loop_create(struct loop **ret, struct err *err)
{
        struct loop *loop = calloc(1, sizeof(*loop));

        if (loop == NULL)
                return err_nomem(err);
        int status = uv_loop_init(&loop->uv);
        if (status < 0) {
                free(loop);
                return loop_uv_error(err, status, "make an event loop");
        }
        status = loop_wake_init(loop);
        if (status < 0) {
                uv_loop_close(&loop->uv);
                free(loop);
                return loop_uv_error(err, status, "make an event loop");
        }
        *ret = loop;
        return ERR_OK;
}

void loop_destroy(struct loop *loop)
{
        if (loop == NULL)
                return;
        while (atomic_load(&loop->posted) != NULL)
                loop_tasks_run(loop);
        assert(loop->handle_count == 0);
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT); /* the close callbacks that are still due */

        int status = uv_loop_close(&loop->uv);
        assert(status == 0);
        (void)status;
        close(loop->wake_fd);
        free(loop);
}

void loop_run(struct loop *loop)
{
        while (!atomic_load(&loop->stop))
                uv_run(&loop->uv, UV_RUN_DEFAULT);
        atomic_store(&loop->stop, false);
}

void loop_stop(struct loop *loop)
{
        atomic_store(&loop->stop, true);
        loop_wake(loop);
}

uint64_t loop_now_ms(const struct loop *loop)
{
        return uv_now(&loop->uv);
}

void loop_step(struct loop *loop, bool wait)
{
        loop->stepping = wait;
        uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        loop->stepping = false;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
        struct loop_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);

        do {
                task->next = head;
        } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release,
                                                        memory_order_relaxed));
        if (head == NULL)
                loop_wake(loop);
}

/* Each handle struct starts with libuv's, so the address of one is that of the other. */
static void loop_on_closed(uv_handle_t *handle)
{
        free(handle);
}

static void loop_timer_on_fire(uv_timer_t *uv)
{
        struct loop_timer *timer = uv->data;

        loop_happened(timer->loop);
        timer->fire(timer->arg);
}

struct loop_timer *loop_timer_create(struct loop *loop, void (*fire)(void *arg), void *arg)
{
        struct loop_timer *timer = calloc(1, sizeof(*timer));

        if (timer == NULL)
                return NULL;
        uv_timer_init(&loop->uv, &timer->uv);
        timer->uv.data = timer;
        timer->loop = loop;
        timer->fire = fire;
        timer->arg = arg;
        loop->handle_count++;
        return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms)
{
        /* libuv counts from the start of this iteration, which can be long ago. */
        uv_update_time(&timer->loop->uv);
        uv_timer_start(&timer->uv, loop_timer_on_fire, delay_ms, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
        uv_timer_stop(&timer->uv);
}

void loop_timer_destroy(struct loop_timer *timer)
{
        if (timer == NULL)
                return;
        timer->loop->handle_count--;
        uv_close((uv_handle_t *)&timer->uv, loop_on_closed);
}

static void loop_poll_on_ready(uv_poll_t *uv, int status, int uv_events);

static void loop_poll_apply(struct loop_poll *poll)
{
        int events = (poll->wanted & LOOP_READABLE ? UV_READABLE : 0) |
                     (poll->wanted & LOOP_WRITABLE ? UV_WRITABLE : 0);

        if (events == 0)
                uv_poll_stop(&poll->uv);
        else
                uv_poll_start(&poll->uv, events, loop_poll_on_ready);
}

static void loop_poll_on_ready(uv_poll_t *uv, int status, int uv_events)
{
        struct loop_poll *poll = uv->data;
        int events =
                (uv_events & UV_READABLE ? LOOP_READABLE : 0) | (uv_events & UV_WRITABLE ? LOOP_WRITABLE : 0);

        loop_happened(poll->loop);
        if (status < 0)
                events = LOOP_READABLE | LOOP_WRITABLE;
        poll->ready(poll->arg, events);
        /* libuv stops a poll that saw an error; level-triggered means that it is reported until dealt with.
         */
        if (status < 0 && !uv_is_closing((uv_handle_t *)uv))
                loop_poll_apply(poll);
}

struct loop_poll *loop_poll_create(struct loop *loop, int fd, void (*ready)(void *arg, int events), void *arg)
{
        struct loop_poll *poll = calloc(1, sizeof(*poll));

        if (poll == NULL)
                return NULL;
        if (uv_poll_init(&loop->uv, &poll->uv, fd) < 0) {
                free(poll);
                return NULL;
        }
        poll->uv.data = poll;
        poll->loop = loop;
        poll->ready = ready;
        poll->arg = arg;
        loop->handle_count++;
        return poll;
}

void loop_poll_want(struct loop_poll *poll, int events)
{
        assert((events & ~(LOOP_READABLE | LOOP_WRITABLE)) == 0);
        if (poll->wanted == events)
                return; /* libuv would spend two system calls */
        poll->wanted = events;
        loop_poll_apply(poll);
}

void loop_poll_destroy(struct loop_poll *poll)
{
        if (poll == NULL)
                return;
        poll->loop->handle_count--;
        uv_close((uv_handle_t *)&poll->uv, loop_on_closed);
}

static void loop_signal_on_fire(uv_signal_t *uv, int signum)
{
        struct loop_signal *signal = uv->data;

        (void)signum;
        loop_happened(signal->loop);
        signal->fire(signal->arg);
}

struct loop_signal *loop_signal_create(struct loop *loop, int signum, void (*fire)(void *arg), void *arg)
{
        struct loop_signal *signal = calloc(1, sizeof(*signal));

        if (signal == NULL)
                return NULL;
        uv_signal_init(&loop->uv, &signal->uv);
        signal->uv.data = signal;
        signal->loop = loop;
        signal->fire = fire;
        signal->arg = arg;
        loop->handle_count++;
        if (uv_signal_start(&signal->uv, loop_signal_on_fire, signum) < 0) {
                loop_signal_destroy(signal);
                return NULL;
        }
        return signal;
}

void loop_signal_destroy(struct loop_signal *signal)
{
        if (signal == NULL)
                return;
        signal->loop->handle_count--;
        uv_close((uv_handle_t *)&signal->uv, loop_on_closed);
}
