/*
 * spawn/link.h: one link to a server: receives its frames, sends ours.
 *
 * A frame that does not fit into the socket waits in a queue, and while something waits nothing is read: so
 * the queue is bounded by what is running, whatever the other end does. A bad frame closes the link, and with
 * it everything that was started over it.
 */
#ifndef DISPATCH_SPAWN_LINK_H
#define DISPATCH_SPAWN_LINK_H

#include "spawn/events.h"
#include "wire/spawn.h"

#include <stdbool.h>

struct spawn;
struct server;
struct link_frame;

struct link {
        struct events_source source; /* fd -1: closed */
        struct spawn *spawn;
        struct server *server;
        struct link_frame *first, *last; /* what waits to be sent */
};

enum err_code link_open(struct link *link, struct spawn *spawn, struct server *server, int fd,
                        struct err *err);
void link_close(struct link *link);

/* Sends, or keeps for later. *fd is taken over unless it is -1. A closed link swallows both. */
void link_send(struct link *link, const union spawn_frame *frame, int *fd);
/* The same with SPAWN_FDS_MAX descriptors at most, all of which are there. */
void link_send_fds(struct link *link, const union spawn_frame *frame, int *fds, size_t count);

#endif
