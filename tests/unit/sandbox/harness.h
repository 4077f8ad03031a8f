/*
 * tests/unit/sandbox/harness.h: runs the real dispatch-spawn on a fresh state directory, and is its server.
 * Needs root.
 */
#ifndef DISPATCH_TESTS_SANDBOX_HARNESS_H
#define DISPATCH_TESTS_SANDBOX_HARNESS_H

#include "spawn/channel.h"
#include "wire/spawn.h"

#include <stdbool.h>
#include <sys/types.h>

enum { HARNESS_LINKS = 3, HARNESS_WAIT_MS = 20000 };

struct harness {
        char path[64]; /* state/, runtimes/, socket */
        int listener;  /* where the player comes in */
        pid_t spawn;
        bool credentials; /* spawn is given the files "crt" and "key" */
        char tree[64];    /* the name of its cgroups: others may run a Dispatch beside this test */
};

/* A server that spawn has started: its links are ours. */
struct played {
        int control; /* to the player: how to end */
        int links[HARNESS_LINKS];
        char listen[512];
        uint32_t generation; /* what harness_up was told */
};

bool harness_possible(void);
int harness_setup(void **state);    /* folders, a layer "root" with busybox, a runtime "python3" */
int harness_teardown(void **state); /* ends spawn, asserts that nothing is left */

void harness_spawn_start(struct harness *harness);
void harness_server_accept(struct harness *harness, struct played *ret);
void harness_server_close(struct played *played);
/* Starts both and says READY. */
void harness_up(struct harness *harness, struct played *ret);
/* Waits for spawn; its exit status, or -1 when it was killed. */
int harness_spawn_wait(struct harness *harness);

void harness_send(int link, const union spawn_frame *frame, const int *fd);
/* The next frame, which must be of that operation. *ret_fd: -1, or the descriptor that came. */
void harness_receive(int link, enum spawn_op op, union spawn_frame *ret, int *ret_fd);
bool harness_link_is_closed(int link);

union spawn_frame harness_start_frame(uint64_t id, const char *script);
union spawn_frame harness_head_frame(enum spawn_op op, uint64_t id);

/* What a script has at descriptors 4 and 5, from this side. */
struct harness_channel {
        int out, in; /* -1: none came */
};
/* The next frame, which must be STARTED; its channel. */
void harness_started(int link, union spawn_frame *ret, struct harness_channel *ret_channel);
void harness_channel_close(struct harness_channel channel);

/* Starts the script and waits for STARTED; the channel. */
struct harness_channel harness_instance(int link, uint64_t id, const char *script);

/* Processes in the sandboxes of this state directory; waits a moment for none. */
unsigned harness_processes(const struct harness *harness);
bool harness_processes_end(const struct harness *harness);
/* Folders called dispatch-HASH below the hierarchies that the state directory's record names. */
bool harness_cgroups_gone(const char *record);
/* What DIR/cgroups says; the caller's. */
char *harness_record(const struct harness *harness);

#endif
