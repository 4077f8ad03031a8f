/*
 * spawn/fork.h: templates and zygotes: what spawn knows of them, and how an instance comes out of one.
 *
 * A fork server is an instance whose agent, once it is parked, forks others (wire/fork.h). Each of these gets
 * a sandbox like any instance, made for it, or one that was kept ready (a spare), whose user namespace
 * belongs to the fork server's user id. A tenant's code may run in a fork server: nothing that it says is
 * believed further than the instances that come out of it, and it has ANSWER_MS for each; then it is killed.
 */
#ifndef DISPATCH_SPAWN_FORK_H
#define DISPATCH_SPAWN_FORK_H

#include "base/err.h"
#include "wire/spawn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fork_server;
struct fork_child;
struct instance;
struct link;
struct spawn;

/* The instance becomes a fork server. *ret_theirs, the caller's, is for its process. */
enum err_code fork_server_create(struct instance *instance, const struct spawn_start *start, int *ret_theirs,
                                 struct err *err);
/* Where sandboxes of what is forked from it are. */
const struct sandbox *fork_child_below(const struct fork_child *child);
/* Ends its process, and not what came out of it. Whoever waits for it hears so, its spares are given up. */
void fork_server_stop(struct fork_server *server);
/* Its process has ended: its server was told. True: its sandbox is needed still, and killed once it is not.
 */
bool fork_server_lingers(struct fork_server *server);
/* Its instance ends. NULL is fine. */
void fork_server_gone(struct fork_server *server);

/* The instance is to come from the fork server `start->from` of its link; its sandbox is not made yet, or it
 * is a spare. ERR_NOT_FOUND: there is no such instance; ERR_NOT_IMPLEMENTED: it is not parked, or the text
 * says what else. */
enum err_code fork_child_create(struct instance *instance, const struct spawn_start *start, struct err *err);
/* Whose user namespace its sandbox is to have; of a booted one (NULL) 0. */
uid_t fork_child_owner(const struct fork_child *child);
/* Its channel and output, which become its descriptors; its sandbox is being made, or is there. What fails
 * later is told by instance_start_failed. */
enum err_code fork_child_begin(struct instance *instance, const int *channel, size_t count, struct err *err);
/* Its sandbox is ready. */
void fork_child_ready(struct instance *instance);
/* Its sandbox was killed or ends by itself. The fork server's unreaped processes would keep it: when it is
 * not gone soon, that is killed too. */
void fork_child_ending(struct instance *instance);
void fork_child_destroy(struct instance *instance);
/* For SPAWN_STARTED. */
uint32_t fork_child_us(const struct fork_child *child);
bool fork_child_prepared(const struct fork_child *child);

/* A sandbox that was kept for this start; the caller's, as an instance of that id. NULL: there is none. */
struct instance *fork_spare_take(struct spawn *spawn, struct link *link, const struct spawn_start *start);

#endif
