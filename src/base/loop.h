/*
 * base/loop.h: one thread's event loop, behind it libuv.
 *
 * A loop belongs to the thread that runs it. Everything here is called on that thread, except loop_post and
 * loop_stop, which any thread may call. Nothing on a loop may block. Handles are heap objects of ours: after
 * *_destroy returns, their callback is never called again.
 */
#ifndef DISPATCH_BASE_LOOP_H
#define DISPATCH_BASE_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

enum err_code loop_create(struct loop **ret, struct err *err);
/* The loop must not be running; every handle of it must have been destroyed. Runs the tasks that are still
 * posted. NULL is fine. */
void loop_destroy(struct loop *loop);
/* Runs until loop_stop; a loop_stop that came before is not lost. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Monotonic time of this iteration in milliseconds, without a system call. */
uint64_t loop_now_ms(const struct loop *loop);
/* Runs one pass without waiting (0) or until something happened (1); for tests. */
void loop_step(struct loop *loop, bool wait);

/*
 * Work for a loop from any thread: tasks of one poster run in the order they were posted. The struct is the
 * caller's and must stay until run was called; run may free it.
 */
struct loop_task {
        void (*run)(struct loop_task *task);
        struct loop_task *next; /* the loop's */
};
void loop_post(struct loop *loop, struct loop_task *task);

/* A one-shot timer; starting a running one moves it. It may fire up to a millisecond early. */
struct loop_timer;
struct loop_timer *loop_timer_create(struct loop *loop, void (*fire)(void *arg),
                                     void *arg); /* NULL: no memory */
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_destroy(struct loop_timer *timer); /* takes NULL */

/* Readiness of a descriptor (level-triggered). The descriptor becomes non-blocking and stays the caller's;
 * destroy before closing it. One poll a descriptor. NULL: no memory, or not a descriptor that can be polled.
 */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
struct loop_poll;
struct loop_poll *loop_poll_create(struct loop *loop, int fd, void (*ready)(void *arg, int events),
                                   void *arg);
/* events 0 pauses. An error is reported as both readable and writable, a hang-up as what was wanted. */
void loop_poll_want(struct loop_poll *poll, int events);
void loop_poll_destroy(struct loop_poll *poll); /* takes NULL */

/* Calls fire(arg) on the loop when the process gets the signal. One a signal. */
struct loop_signal;
struct loop_signal *loop_signal_create(struct loop *loop, int signum, void (*fire)(void *arg), void *arg);
void loop_signal_destroy(struct loop_signal *signal); /* takes NULL */

#endif
