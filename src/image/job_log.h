/*
 * image/job_log.h: the lines that a build job writes while it works (wire/spawn.h), read from a pipe on the
 * control loop. What writes there is a tenant's as likely as ours, so it is bounded and made harmless:
 * control characters and what is not UTF-8 become '?', a line is cut at SPAWN_LINE_MAX, a result (type R)
 * that exceeds SPAWN_RESULT_MAX is dropped. Past JOB_LOG_BYTES_MAX nothing more is read: the job waits at its
 * pipe until its deadline.
 */
#ifndef DISPATCH_IMAGE_JOB_LOG_H
#define DISPATCH_IMAGE_JOB_LOG_H

#include "base/loop.h"
#include "base/str.h"

#include <stdint.h>

enum { JOB_LOG_BYTES_MAX = 64 << 20 };

struct job_log;

/* *ret_write_fd is the caller's, for the job. ERR_SYSTEM, ERR_NO_MEMORY. */
enum err_code job_log_open(struct loop *loop, void (*line)(void *arg, char type, struct str text), void *arg,
                           struct job_log **ret, int *ret_write_fd, struct err *err);
/* Reads what is there, now that nobody writes any more, a last line without its end too. */
void job_log_drain(struct job_log *log);
void job_log_close(struct job_log *log); /* takes NULL */

#endif
