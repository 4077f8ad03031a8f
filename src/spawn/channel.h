/*
 * spawn/channel.h: makes the invocation channel of an instance: a sealed file in memory for the rings
 * (wire/ring.h) and a pipe each way. Pipes, because each end is an open file description of its own: what a
 * tenant does to its end (clear O_NONBLOCK, fill it, close it) does not change the server's.
 */
#ifndef DISPATCH_SPAWN_CHANNEL_H
#define DISPATCH_SPAWN_CHANNEL_H

#include "base/err.h"

enum { CHANNEL_FDS = 3 };

/* Of each side: the rings' file, the read end of the pipe that wakes it, the write end of the other one. -1:
 * none. */
struct channel_ends {
        int server[CHANNEL_FDS], agent[CHANNEL_FDS];
};

void channel_ends_init(struct channel_ends *ends);
enum err_code channel_ends_make(struct channel_ends *ends, struct err *err);
/* Once the agent has its own. */
void channel_ends_given(struct channel_ends *ends);
void channel_ends_close(struct channel_ends *ends);

#endif
