/* tests/unit/base/test_loop.c: the event loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/own.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { POSTS = 2000, POSTERS = 3 };

struct fixture {
        struct loop *loop;
        int fired;
        int events;
        struct loop_poll *poll;
        struct loop_timer *timer;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        assert_int_equal(loop_create(&fixture->loop, NULL), ERR_OK);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;

        loop_destroy(fixture->loop);
        free(fixture);
        return 0;
}

static void count_and_stop(void *arg)
{
        struct fixture *fixture = arg;

        fixture->fired++;
        loop_stop(fixture->loop);
}

static void a_timer_fires_once_after_its_delay(void **state)
{
        struct fixture *fixture = *state;
        struct loop_timer *timer = loop_timer_create(fixture->loop, count_and_stop, fixture);
        uint64_t start = clock_mono_ms();

        loop_timer_start(timer, 20);
        loop_run(fixture->loop);
        assert_true(clock_mono_ms() - start >= 19);
        loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 1);
        loop_timer_destroy(timer);
}

static void count(void *arg)
{
        struct fixture *fixture = arg;

        fixture->fired++;
}

static void a_waiting_step_ends_when_a_timer_fired(void **state)
{
        struct fixture *fixture = *state;
        struct loop_timer *due = loop_timer_create(fixture->loop, count, fixture);
        struct loop_timer *later = loop_timer_create(fixture->loop, count, fixture);
        uint64_t start = clock_mono_ms();

        loop_timer_start(due, 0);
        loop_timer_start(later, 5000);
        while (fixture->fired == 0)
                loop_step(fixture->loop, true);
        assert_true(clock_mono_ms() - start < 4000);
        loop_timer_destroy(due);
        loop_timer_destroy(later);
}

static void starting_a_running_timer_moves_it(void **state)
{
        struct fixture *fixture = *state;
        struct loop_timer *timer = loop_timer_create(fixture->loop, count_and_stop, fixture);

        loop_timer_start(timer, 60000);
        loop_timer_start(timer, 1);
        loop_run(fixture->loop);
        assert_int_equal(fixture->fired, 1);
        loop_timer_destroy(timer);
}

static void a_stopped_or_destroyed_timer_never_fires(void **state)
{
        struct fixture *fixture = *state;
        struct loop_timer *stopped = loop_timer_create(fixture->loop, count_and_stop, fixture);
        struct loop_timer *destroyed = loop_timer_create(fixture->loop, count_and_stop, fixture);

        loop_timer_start(stopped, 0);
        loop_timer_start(destroyed, 0);
        loop_timer_stop(stopped);
        loop_timer_destroy(destroyed);
        loop_step(fixture->loop, false);
        loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 0);
        loop_timer_destroy(stopped);
}

static void destroy_itself(void *arg)
{
        struct fixture *fixture = arg;

        loop_timer_destroy(fixture->timer);
        count_and_stop(arg);
}

static void a_timer_may_destroy_itself_when_it_fires(void **state)
{
        struct fixture *fixture = *state;

        fixture->timer = loop_timer_create(fixture->loop, destroy_itself, fixture);
        loop_timer_start(fixture->timer, 0);
        loop_run(fixture->loop);
        assert_int_equal(fixture->fired, 1);
}

static void a_stop_before_the_run_is_not_lost(void **state)
{
        struct fixture *fixture = *state;

        loop_stop(fixture->loop);
        loop_run(fixture->loop);
}

struct posted {
        struct loop_task task;
        struct poster *poster;
        int number;
};

struct poster {
        struct fixture *fixture;
        struct posted posts[POSTS];
        int next;
};

static void take_in_order(struct loop_task *task)
{
        struct posted *posted = (struct posted *)task;

        assert_int_equal(posted->number, posted->poster->next);
        posted->poster->next++;
        if (++posted->poster->fixture->fired == POSTS * POSTERS)
                loop_stop(posted->poster->fixture->loop);
}

static void *post_all(void *arg)
{
        struct poster *poster = arg;

        for (int i = 0; i < POSTS; i++) {
                poster->posts[i] = (struct posted){{.run = take_in_order}, poster, i};
                loop_post(poster->fixture->loop, &poster->posts[i].task);
        }
        return NULL;
}

static void tasks_of_each_thread_run_in_the_order_they_were_posted(void **state)
{
        struct fixture *fixture = *state;
        struct poster *posters = calloc(POSTERS, sizeof(*posters));
        pthread_t threads[POSTERS];

        assert_non_null(posters);
        for (int i = 0; i < POSTERS; i++) {
                posters[i].fixture = fixture;
                assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
        }
        loop_run(fixture->loop);
        for (int i = 0; i < POSTERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(fixture->fired, POSTS * POSTERS);
        free(posters);
}

static void free_itself(struct loop_task *task)
{
        free(task);
}

static void a_task_may_free_itself_and_runs_at_the_latest_when_the_loop_is_destroyed(void **state)
{
        struct fixture *fixture = *state;

        for (int i = 0; i < 2; i++) {
                struct loop_task *task = calloc(1, sizeof(*task));
                assert_non_null(task);
                task->run = free_itself;
                loop_post(fixture->loop, task);
        }
}

static void note_events(void *arg, int events)
{
        struct fixture *fixture = arg;

        fixture->fired++;
        fixture->events |= events;
}

static void readiness_is_level_triggered_and_follows_what_is_wanted(void **state)
{
        struct fixture *fixture = *state;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        own_fd int near = fds[0], far = fds[1];
        struct loop_poll *poll = loop_poll_create(fixture->loop, near, note_events, fixture);

        assert_non_null(poll);
        assert_true(fcntl(near, F_GETFL) & O_NONBLOCK);
        loop_poll_want(poll, LOOP_READABLE);
        loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 0);

        assert_int_equal(write(far, "x", 1), 1);
        loop_step(fixture->loop, true);
        loop_step(fixture->loop, true);
        assert_int_equal(fixture->fired, 2);
        assert_int_equal(fixture->events, LOOP_READABLE);

        loop_poll_want(poll, 0);
        loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 2);

        loop_poll_want(poll, LOOP_READABLE | LOOP_WRITABLE);
        loop_step(fixture->loop, true);
        assert_int_equal(fixture->events, LOOP_READABLE | LOOP_WRITABLE);
        loop_poll_destroy(poll);
}

static void the_end_of_the_peer_is_reported_until_the_poll_is_gone(void **state)
{
        struct fixture *fixture = *state;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        own_fd int near = fds[1];
        struct loop_poll *poll = loop_poll_create(fixture->loop, near, note_events, fixture);

        assert_non_null(poll);
        close(fds[0]);
        loop_poll_want(poll, LOOP_WRITABLE);
        for (int i = 0; i < 3; i++)
                loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 3);
        assert_true(fixture->events & LOOP_WRITABLE);
        loop_poll_destroy(poll);
        loop_step(fixture->loop, false);
        assert_int_equal(fixture->fired, 3);
}

static void a_regular_file_cannot_be_polled(void **state)
{
        struct fixture *fixture = *state;
        own_fd int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_null(loop_poll_create(fixture->loop, fd, note_events, fixture));
}

static void a_signal_reaches_the_loop(void **state)
{
        struct fixture *fixture = *state;
        struct loop_signal *handle = loop_signal_create(fixture->loop, SIGUSR1, count_and_stop, fixture);

        assert_non_null(handle);
        raise(SIGUSR1);
        loop_run(fixture->loop);
        assert_int_equal(fixture->fired, 1);
        loop_signal_destroy(handle);
}

static void destroying_nothing_does_nothing(void **state)
{
        (void)state;
        loop_timer_destroy(NULL);
        loop_poll_destroy(NULL);
        loop_signal_destroy(NULL);
        loop_destroy(NULL);
}

#define loop_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                loop_test(a_timer_fires_once_after_its_delay),
                loop_test(a_waiting_step_ends_when_a_timer_fired),
                loop_test(starting_a_running_timer_moves_it),
                loop_test(a_stopped_or_destroyed_timer_never_fires),
                loop_test(a_timer_may_destroy_itself_when_it_fires),
                loop_test(a_stop_before_the_run_is_not_lost),
                loop_test(tasks_of_each_thread_run_in_the_order_they_were_posted),
                loop_test(a_task_may_free_itself_and_runs_at_the_latest_when_the_loop_is_destroyed),
                loop_test(readiness_is_level_triggered_and_follows_what_is_wanted),
                loop_test(the_end_of_the_peer_is_reported_until_the_poll_is_gone),
                loop_test(a_regular_file_cannot_be_polled),
                loop_test(a_signal_reaches_the_loop),
                cmocka_unit_test(destroying_nothing_does_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
