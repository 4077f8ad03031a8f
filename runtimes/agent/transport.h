/*
 * runtimes/agent/transport.h: how invocations come in and replies go out; one implementation a transport.
 *
 * Requests in hand are named by their stream. A transport that cannot have several in hand says so, and is
 * asked for the next one only when none is. log and reply are called with the agent's lock held; next and
 * poll are not, and take it where they send.
 */
#ifndef DISPATCH_AGENT_TRANSPORT_H
#define DISPATCH_AGENT_TRANSPORT_H

#include "base/err.h"
#include "runtimes/agent/capture.h"
#include "runtimes/agent/request.h"

#include <pthread.h>

struct transport;

/* What an instance is specialised with. Strings are NUL-terminated and live as long as the transport. */
struct specialisation {
        const char *function, *handler;
        uint64_t timeout_ms, log_bytes_max, reply_bytes_max;
        uint64_t start_timeout_ms; /* 0: not known */
        uint64_t concurrency;
        struct str secrets; /* a JSON object or empty */
};

struct transport_ops {
        bool several;          /* requests may be in hand at once */
        bool enforces_timeout; /* nobody but the agent ends a run that takes too long */
        /* Waits for what the instance is to become and sets its environment. */
        enum err_code (*specialise)(struct transport *t, struct specialisation *ret, struct err *err);
        /* The handler is loaded; or it is not, and *error is the error's JSON. */
        enum err_code (*ready)(struct transport *t, const struct buf *error, struct err *err);
        /* Waits for a whole request; valid until reply. ERR_CANCELLED: there will be none (closed, SIGTERM).
         */
        enum err_code (*next)(struct transport *t, struct agent_request *ret, struct err *err);
        /* The same without waiting. ERR_LIMIT: none is whole yet. */
        enum err_code (*try_next)(struct transport *t, struct agent_request *ret, struct err *err);
        /* After how many milliseconds try_next or poll is to be called even though nothing came; -1: never.
         */
        int (*wait_ms)(const struct transport *t);
        /* `request`: 0 for what belongs to none. */
        void (*log)(struct transport *t, uint32_t request, int stream, struct str text);
        /* Ends the request. A caller that is gone is no failure. */
        enum err_code (*reply)(struct transport *t, uint32_t request, const struct agent_reply *reply,
                               const struct frame_usage *usage, struct err *err);
        int (*poll_fd)(const struct transport *t);
        /* Before anything was taken: nothing has come, and once it does poll_fd says so. NULL: poll_fd always
         * does. */
        bool (*nothing_yet)(struct transport *t);
        /* Takes what came meanwhile, without waiting. False: the caller of the one request at hand is gone,
         * or the agent has to end. */
        bool (*poll)(struct transport *t);
        /* A request in hand whose caller is gone, each once; 0: none. NULL: never. */
        uint32_t (*cancelled)(struct transport *t);
        /* Nobody will hear a reply any more. NULL: never. */
        bool (*closed)(const struct transport *t);
        /* In an instance forked from this process, with a channel of its own in the old one's places: forgets
         * what was of the old one. NULL: it cannot. */
        enum err_code (*renew)(struct transport *t, struct err *err);
        /* In a forked child: the descriptors are the parent's business. */
        void (*abandon)(struct transport *t);
        void (*destroy)(struct transport *t);
};

struct transport {
        const struct transport_ops *ops;
        pthread_mutex_t *lock;
        int wake_fd; /* readable once SIGTERM came */
        bool queues; /* a reply that cannot be sent at once is kept, so that nobody waits for it */
        bool last;   /* the agent ends after the reply in hand: the server must not count on it any more */
        const char *note;    /* for READY: why it is no fork server, which it was to be; else NULL */
        const char *refused; /* why what stands for the reply in hand is none; else NULL */
};

/* The invocation channel over a pair of rings: their file, the read end of the pipe that wakes us and the
 * write end of the one that wakes the server, all of which it takes over; in case of an error too. */
enum { CHANNEL_FDS = 3 };
enum err_code channel_create(const int fds[CHANNEL_FDS], int wake_fd, pthread_mutex_t *lock,
                             struct transport **ret, struct err *err);

/* The Function Runtime API on TCP $PORT. Descriptors 1 and 2 become captured ones, the two of `capture`,
 * until it is destroyed. */
enum err_code port_create(int wake_fd, pthread_mutex_t *lock, struct capture *capture, struct transport **ret,
                          struct err *err);

#endif
