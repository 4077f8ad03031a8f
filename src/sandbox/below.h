/*
 * sandbox/below.h: the first process of a sandbox that a fork server may join (wire/fork.h): its user
 * namespace belongs to that one's user id, and its pid namespace is below the one that the fork server is in,
 * since nobody enters a pid namespace that is not below his own.
 */
#ifndef DISPATCH_SANDBOX_BELOW_H
#define DISPATCH_SANDBOX_BELOW_H

#include "sandbox/sandbox.h"

#include <linux/sched.h>

/*
 * clone3(2) with these flags, which have CLONE_PIDFD, into *pid_fd. The new process, which is this one's
 * child, does not come back: it goes on in child_main with pair[1]. Its number, as this process sees it; -1
 * and errno.
 */
pid_t below_clone(const struct sandbox_host *host, const struct sandbox_spec *spec, struct clone_args *args,
                  const int pair[2], int *pid_fd);

#endif
