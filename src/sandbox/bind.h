/*
 * sandbox/bind.h: gives a sandbox that runs already its code, before anything of a tenant's runs there.
 */
#ifndef DISPATCH_SANDBOX_BIND_H
#define DISPATCH_SANDBOX_BIND_H

#include "sandbox/sandbox.h"

/*
 * Attaches code_fd, a detached mount (mounts.h; -1: none), at /function and gives /tmp its size. A child that
 * shares this process's memory and descriptors does it, in the sandbox's mount namespace, where the kernel
 * keeps what it attaches from being taken off again; this process waits for it, about a tenth of a
 * millisecond, and never enters that namespace itself. The sandbox must be RUNNING.
 *
 * A failure may leave half of it done: the sandbox is good for nothing then. ERR_UNAVAILABLE: it has just
 * ended.
 */
enum err_code sandbox_bind(const struct sandbox *sandbox, int code_fd, uint32_t tmp_mib, struct err *err);

#endif
