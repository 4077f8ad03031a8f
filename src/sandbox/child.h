/*
 * sandbox/child.h: what the first process of a sandbox does before it becomes the init.
 */
#ifndef DISPATCH_SANDBOX_CHILD_H
#define DISPATCH_SANDBOX_CHILD_H

#include "sandbox/sandbox.h"

/* Runs in the new namespaces; control_fd is its end of the pair. Allocates nothing, never returns. */
_Noreturn void child_main(const struct sandbox_host *host, const struct sandbox_spec *spec, int control_fd);

#endif
