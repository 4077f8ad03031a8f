/* spawn/events.c: the loop; see events.h. */
#include "spawn/events.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What is to be freed is linked through itself, so that nothing needs to be allocated for it. */
struct events_garbage {
        struct events_garbage *next;
};

enum err_code events_init(struct events *events, struct err *err)
{
        *events = (struct events){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
        return events->epoll_fd < 0 ? err_sys(err, "epoll_create1") : ERR_OK;
}

static void garbage_free(struct events *events)
{
        while (events->garbage != NULL) {
                struct events_garbage *one = events->garbage;
                events->garbage = one->next;
                free(one);
        }
}

void events_finish(struct events *events)
{
        garbage_free(events);
        if (events->epoll_fd >= 0)
                close(events->epoll_fd);
        events->epoll_fd = -1;
}

void events_free_later(struct events *events, void *memory)
{
        struct events_garbage *one = memory;

        one->next = events->garbage;
        events->garbage = one;
}

enum err_code events_add(struct events *events, struct events_source *source, int fd, uint32_t want,
                         void (*ready)(struct events_source *source, uint32_t epoll_events), struct err *err)
{
        struct epoll_event event = {.events = want, .data.ptr = source};

        if (epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
                source->fd = -1;
                return err_sys(err, "epoll_ctl");
        }
        source->fd = fd;
        source->ready = ready;
        return ERR_OK;
}

void events_want(struct events *events, struct events_source *source, uint32_t want)
{
        struct epoll_event event = {.events = want, .data.ptr = source};

        int result = epoll_ctl(events->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
        assert(result == 0);
        (void)result;
}

void events_remove(struct events *events, struct events_source *source)
{
        if (source->fd < 0)
                return;
        (void)epoll_ctl(events->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
        source->fd = -1;
        source->ready = NULL;
}

void events_timer_stop(struct events *events, struct events_timer *timer)
{
        for (struct events_timer **slot = &events->timers; *slot != NULL; slot = &(*slot)->next) {
                if (*slot == timer) {
                        *slot = timer->next;
                        break;
                }
        }
        timer->at_ms = 0;
}

void events_timer_start(struct events *events, struct events_timer *timer, uint64_t delay_ms)
{
        struct events_timer **slot = &events->timers;

        assert(timer->fire != NULL);
        events_timer_stop(events, timer);
        timer->at_ms = clock_mono_ms() + delay_ms;
        while (*slot != NULL && (*slot)->at_ms <= timer->at_ms)
                slot = &(*slot)->next;
        timer->next = *slot;
        *slot = timer;
}

static void timers_fire(struct events *events)
{
        uint64_t now = events->timers != NULL ? clock_mono_ms() : 0;

        while (events->timers != NULL && events->timers->at_ms <= now) {
                struct events_timer *timer = events->timers;
                events_timer_stop(events, timer);
                timer->fire(timer);
        }
}

static int wait_ms(const struct events *events)
{
        if (events->timers == NULL)
                return -1;
        uint64_t now = clock_mono_ms();
        return events->timers->at_ms > now ? (int)(events->timers->at_ms - now) : 0;
}

enum err_code events_run(struct events *events, bool (*idle)(void *arg), void *arg, struct err *err)
{
        struct epoll_event batch[EVENTS_BATCH];
        bool idle_wanted = true;

        while (!events->stop) {
                int count =
                        epoll_wait(events->epoll_fd, batch, EVENTS_BATCH, idle_wanted ? 0 : wait_ms(events));
                if (count < 0 && errno != EINTR)
                        return err_sys(err, "epoll_wait");
                for (int i = 0; i < count; i++) {
                        struct events_source *source = batch[i].data.ptr;
                        if (source->ready != NULL) /* removed by one before it */
                                source->ready(source, batch[i].events);
                }
                timers_fire(events);
                garbage_free(events);
                idle_wanted = count > 0 || (idle_wanted && idle(arg));
        }
        return ERR_OK;
}
