/*
 * runtimes/http/service.h: the image's process as a server on this host's port, and one exchange with it.
 *
 * One connection at a time, kept between runs; everything waits in service_wait, which meanwhile takes what
 * the process prints, sees its end, and hears whether the caller is still there.
 */
#ifndef DISPATCH_RUNTIME_HTTP_SERVICE_H
#define DISPATCH_RUNTIME_HTTP_SERVICE_H

#include "http/parser.h"
#include "runtimes/agent/agent.h"
#include "runtimes/http/command.h"
#include "runtimes/http/process.h"

enum {
        ANSWER_FIELDS_MAX = 100,
        ANSWER_HEAD_MAX = 65536,
        ANSWER_INTERIM_MAX = 16, /* 1xx replies before the one that counts */
        KEPT_MS =
                1000 /* a connection that was idle for longer may be about to be closed: a new one is made */
};

struct service {
        struct agent *agent;
        struct command command;
        struct process process;
        const char *secrets_folder;
        uint64_t reply_bytes_max;
        bool in_run; /* the channel is listened to as well */
        int fd;      /* -1: not connected */
        bool used;   /* it has carried an exchange */
        uint64_t idle_since_ms;
        bool six; /* it listens on ::1, not on 127.0.0.1 */
};

/* What is asked. `fields` without Host and those of the framing, which are added. */
struct ask {
        struct str method, target, host;
        const struct http_field *fields;
        size_t field_count;
        struct str body;
};

/* What was answered; answer_finish in any case. */
struct answer {
        int status;
        struct http_field fields[ANSWER_FIELDS_MAX]; /* point into head */
        size_t field_count;
        struct buf head, body;
};
void answer_init(struct answer *answer);
void answer_finish(struct answer *answer);

/* Polls `fd` (-1: none) with everything else. ERR_OK: *ret_events of it, 0 when the time is over or something
 * else was looked after. ERR_UNAVAILABLE: the process has ended. ERR_CANCELLED: the caller is gone. */
enum err_code service_wait(struct service *service, int fd, short events, int timeout_ms, short *ret_events,
                           struct err *err);

/* Connects, where there is no connection. ERR_NOT_FOUND: nothing listens there; else as service_wait. */
enum err_code service_connect(struct service *service, struct err *err);
void service_disconnect(struct service *service);

/* ERR_BAD_REPLY: what came is no reply. ERR_TOO_LARGE: more than reply_bytes_max. Else as service_wait. */
enum err_code service_exchange(struct service *service, const struct ask *ask, struct answer *ret,
                               struct err *err);

#endif
