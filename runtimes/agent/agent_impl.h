/*
 * runtimes/agent/agent_impl.h: what the files of the agent share: agent.c is its life, output.c what leaves
 * it, process.c signals and forks.
 */
#ifndef DISPATCH_AGENT_AGENT_IMPL_H
#define DISPATCH_AGENT_AGENT_IMPL_H

#include "runtimes/agent/agent.h"
#include "runtimes/agent/capture.h"
#include "runtimes/agent/lines.h"
#include "runtimes/agent/park.h"
#include "runtimes/agent/transport.h"
#include "runtimes/agent/usage.h"

#include <sys/types.h>

/* An invocation in hand. What a thread of the handler's may reach (number, lines, the list) is changed with
 * the lock held. */
struct agent_run {
        struct agent_run *next;
        struct agent *agent;
        uint32_t number; /* its stream; 0: what belongs to no run */
        struct lines lines;
        struct buf context;
        struct decoded decoded; /* its payload */
        struct usage_start usage;
};

struct agent {
        struct transport *transport;
        pthread_mutex_t lock;
        struct agent_run *runs; /* in hand */
        size_t run_count;
        struct agent_run *selected; /* of which agent_reply is; NULL: it was replied to */
        struct agent_run *spare;    /* kept for its memory */
        struct agent_run outside;   /* no run: what is printed while none is in hand */
        struct usage_meter meter;
        struct capture capture[2];
        struct specialisation special;
        struct agent_function function;
        struct buf own_secrets;   /* where no engine hands them over */
        enum err_code reply_code; /* how sending the last reply went */
        struct err reply_err;
        bool several, child, exiting;
        int exit_status;
        int wake[2];
        pid_t pid;
        struct park park;
        bool parked; /* forks of this process are instances, no children of a handler */
};

/* output.c */
/* A run begins: what was printed before, by what earlier ones left behind, is not its own. */
void output_begin(struct agent *agent, struct agent_run *run);
/* The end of a run's (or of the load's, agent->outside) output. With the lock held. */
void output_finish(struct agent *agent, struct agent_run *run);
/* Hands text that a run printed on to the transport; for lines.h. */
void output_sink(void *arg, int stream, struct str text);
/* All of it, to a descriptor. */
void output_plain(int fd, struct str text);

/* hand.c: the runs in hand. */
struct agent_run *run_find(const struct agent *agent, uint32_t number); /* NULL: none; with the lock held */
/* A new one in hand, selected. NULL: no memory. */
struct agent_run *run_begin(struct agent *agent, uint32_t number);
/* The selected one is over. With the lock held. */
void run_end(struct agent *agent);
void runs_finish(struct agent *agent);

/* process.c */
/* Makes SIGTERM readable at agent->wake[0], and children that a handler forks strangers to the agent. */
enum err_code process_watch(struct agent *agent, struct err *err);
/* From then on forks are taken notice of; the transport must be there. */
enum err_code process_watch_forks(struct err *err);
/* In an instance that was forked: nothing of the fork server's is shared any more. */
enum err_code process_renew(struct agent *agent, struct err *err);
void process_forget(struct agent *agent);

#endif
