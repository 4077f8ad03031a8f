/*
 * wire/fork.h: what dispatch-spawn and a fork server say to each other: a template or a zygote, a process of
 * the agent library (runtimes/agent/park.h) that is parked and forks instances.
 *
 * Transport: a Unix SOCK_SEQPACKET pair of their own, one datagram a message, native byte order. spawn trusts
 * nothing of what comes from there, since a template runs a tenant's code: a message of the wrong size or
 * content, or one that nobody waits for, ends the fork server.
 *
 *   spawn to fork server                     fork server to spawn
 *   FORK_HELLO, before it runs               FORK_PARKED, once
 *   FORK_START + descriptors                 FORK_DONE, in the order of the requests
 *
 * How a process gets from there into its sandbox, which spawn has made, whose user namespace belongs to the
 * fork server's user id, and in which there is nothing but its init: a child that shares the fork server's
 * memory joins all its namespaces by a descriptor of the init; a child of that one, the first in the new pid
 * namespace, enters the cgroups, gives up every right, and forks; then both end. What was forked becomes the
 * init's child by that, as if the init had started it: no process outside has to reap anything.
 */
#ifndef DISPATCH_WIRE_FORK_H
#define DISPATCH_WIRE_FORK_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a fork server may join, and only all of it at once. */
#define FORK_NAMESPACES                                                                                      \
        (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |           \
         CLONE_NEWCGROUP)

enum fork_op { FORK_HELLO = 1, FORK_START, FORK_PARKED, FORK_DONE };

enum {
        FORK_CHANNEL_MAX = 3, /* descriptors of an instance's channel, which become 3 and up */
        FORK_CGROUPS_MAX = 6,
        /* The sandbox's init as a pidfd, standard output, standard error, the channel, the cgroups. */
        FORK_FDS_MAX = 3 + FORK_CHANNEL_MAX + FORK_CGROUPS_MAX
};

/* spawn to fork server. */
struct fork_request {
        uint32_t op;
        uint32_t zygote; /* HELLO. 1: it is parked without code, before it is specialised */
        uint64_t id;
        uint32_t channel_count, cgroup_count; /* START: of the descriptors */
};

/* What failed, for a line that says so. */
enum fork_step { FORK_STEP_NONE, FORK_STEP_JOIN, FORK_STEP_CGROUP, FORK_STEP_RIGHTS, FORK_STEP_FORK };

struct fork_answer {
        uint32_t op;
        uint32_t step; /* DONE: enum fork_step; NONE: it runs */
        uint64_t id;
        int32_t pid;   /* in its sandbox; of interest to the sandbox's init alone */
        int32_t error; /* an errno, where a step failed */
};

/* True for a message that a fork server may send at all: of that size, PARKED with nothing in it, or DONE
 * with either a process or a step that failed. Whether somebody waits for it is spawn's to know. */
bool fork_answer_valid(const struct fork_answer *answer, size_t size);

#endif
