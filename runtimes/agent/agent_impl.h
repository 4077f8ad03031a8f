/*
 * runtimes/agent/agent_impl.h: what the files of the agent share: agent.c is its life, output.c what leaves
 * it, process.c signals and forks.
 */
#ifndef DISPATCH_AGENT_AGENT_IMPL_H
#define DISPATCH_AGENT_AGENT_IMPL_H

#include "runtimes/agent/agent.h"
#include "runtimes/agent/capture.h"
#include "runtimes/agent/lines.h"
#include "runtimes/agent/transport.h"
#include "runtimes/agent/usage.h"

#include <sys/types.h>

struct agent {
        struct transport *transport;
        pthread_mutex_t lock;
        struct lines lines;
        struct capture capture[2];
        struct specialisation special;
        struct agent_function function;
        struct buf own_secrets; /* where no engine hands them over */
        struct buf context;     /* of the invocation at hand; kept for its memory */
        struct decoded decoded; /* its payload */
        struct usage_start usage;
        enum err_code reply_code; /* how sending the last reply went */
        struct err reply_err;
        bool replied, child, exiting;
        int exit_status;
        int wake[2];
        pid_t pid;
};

/* output.c */
/* A run begins: what was printed since the last one ended, by what that left behind, is not this one's. */
void output_begin(struct agent *agent);
/* The end of a run's or of the load's output. With the lock held. */
void output_finish(struct agent *agent);
/* Hands text that was printed on to the transport; for lines.h. */
void output_sink(void *arg, int stream, struct str text);
/* All of it, to a descriptor. */
void output_plain(int fd, struct str text);

/* process.c */
/* Makes SIGTERM readable at agent->wake[0], and children that a handler forks strangers to the agent. */
enum err_code process_watch(struct agent *agent, struct err *err);
/* From then on forks are taken notice of; the transport must be there. */
enum err_code process_watch_forks(struct err *err);
void process_forget(struct agent *agent);

#endif
