/*
 * runtimes/http/process.h: the image's own process: its start, what it prints, its end.
 *
 * It has a session of its own, /dev/null as standard input, and two pipes that the agent empties whenever it
 * waits for anything. What it prints while a run is in hand is that run's log; else it is in no run's log.
 */
#ifndef DISPATCH_RUNTIME_HTTP_PROCESS_H
#define DISPATCH_RUNTIME_HTTP_PROCESS_H

#include "runtimes/agent/agent.h"
#include "runtimes/http/command.h"

#include <sys/types.h>

enum { PROCESS_TAIL_MAX = 4096, PROCESS_LINES_MAX = 20 };

struct process {
        pid_t pid;
        int output[2];   /* read ends of its standard output and error; -1: closed */
        struct buf tail; /* the end of what it printed */
        bool running;    /* a run is in hand */
        bool ended, by_signal;
        int status; /* its exit status or signal, once it has ended */
};

/* process_finish in any case. */
enum err_code process_start(const struct command *command, struct process *ret, struct err *err);
void process_finish(struct process *process);

/* Readable when something about a child has changed. */
int process_wake_fd(void);
/* Takes what it printed; looks whether it has ended. */
void process_tend(struct process *process, struct agent *agent);

/* The last lines of what it printed, as views into the tail. */
size_t process_lines(const struct process *process, struct str lines[PROCESS_LINES_MAX]);
/* Ends this process as the image's has: by the same signal, or with the same status. */
_Noreturn void process_follow(const struct process *process);

#endif
