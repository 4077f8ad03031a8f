/*
 * runtimes/native/run.h: one run of a program: payload on standard input, result from standard output, log
 * from standard error, context in descriptor 3.
 *
 * Everything is driven by poll(2): a program may read and write in any order, or not at all.
 */
#ifndef DISPATCH_NATIVE_RUN_H
#define DISPATCH_NATIVE_RUN_H

#include "runtimes/agent/agent.h"
#include "runtimes/native/program.h"

enum { RUN_CONTEXT_FD = 3, RUN_TAIL_MAX = 4096 };

enum run_end {
        RUN_EXITED,    /* status */
        RUN_KILLED,    /* by the signal `status`, not by us */
        RUN_TOO_LARGE, /* printed more than the limit; killed */
        RUN_TIMED_OUT, /* killed */
        RUN_GONE       /* the caller is gone; killed */
};

struct run_result {
        enum run_end end;
        int status;
        bool leftovers_gone;
        struct buf output;
        struct buf tail; /* the end of what it printed on standard error, from a line's start */
};

/* Prepares this process once: signals, descriptor 3, adoption of orphans. */
enum err_code run_setup(struct agent *agent, struct err *err);
/* Again in one that was forked from it. */
void run_renew(void);

/* Runs it to its end and clears up behind it. ERR_SYSTEM: it could not be started. The caller frees the
 * buffers. */
enum err_code run_program(struct agent *agent, const struct program *program, struct str input,
                          struct str context, uint64_t output_bytes_max, uint64_t timeout_ms,
                          struct run_result *ret, struct err *err);
void run_result_finish(struct run_result *result);

#endif
