/*
 * spawn/events.h: spawn's own event loop: descriptors through epoll, and a few timers. One thread.
 *
 * A source is embedded in what it belongs to. It may be removed, and its owner given to events_free_later,
 * from any callback; its own callback is not called again after that.
 */
#ifndef DISPATCH_SPAWN_EVENTS_H
#define DISPATCH_SPAWN_EVENTS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVENTS_BATCH = 32 };

struct events_source {
        int fd; /* -1: not in the loop */
        void (*ready)(struct events_source *source, uint32_t epoll_events);
};

struct events_timer {
        uint64_t at_ms; /* 0: not running */
        void (*fire)(struct events_timer *timer);
        struct events_timer *next;
};

struct events {
        int epoll_fd;
        struct events_timer *timers; /* those that run, soonest first */
        struct events_garbage *garbage;
        bool stop;
};

/* The struct that holds a member: OWNER_OF(source, struct link, source). */
#define OWNER_OF(member, type, field) ((type *)(void *)((char *)(member)-offsetof(type, field)))

enum err_code events_init(struct events *events, struct err *err);
void events_finish(struct events *events);

/* want: EPOLLIN, EPOLLOUT. The descriptor stays the owner's. */
enum err_code events_add(struct events *events, struct events_source *source, int fd, uint32_t want,
                         void (*ready)(struct events_source *source, uint32_t epoll_events), struct err *err);
void events_want(struct events *events, struct events_source *source, uint32_t want);
void events_remove(struct events *events,
                   struct events_source *source); /* one that is not in the loop is fine */

/* Moves it when it runs already. */
void events_timer_start(struct events *events, struct events_timer *timer, uint64_t delay_ms);
void events_timer_stop(struct events *events, struct events_timer *timer);

/* Frees the memory when the running callback and those of the same batch are through. Its first bytes are
 * overwritten: no source may be in the loop any more. */
void events_free_later(struct events *events, void *memory);

/* Runs until events->stop. idle is called when nothing is waiting; it returns true if it wants to be called
 * again. */
enum err_code events_run(struct events *events, bool (*idle)(void *arg), void *arg, struct err *err);

#endif
