/*
 * sandbox/filters.h: the seccomp programs, by name. They are made when Dispatch is built (filters_gen.c).
 */
#ifndef DISPATCH_SANDBOX_FILTERS_H
#define DISPATCH_SANDBOX_FILTERS_H

#include <linux/filter.h>
#include <stddef.h>

struct filter {
        const char *name;
        const struct sock_filter *program;
        size_t len;
};

/* "default" for tenants' code, "fork" for a fork server (wire/fork.h), "build" for dispatch-build, "fetch"
 * for a job of it that has a network. "root" for root of a range of ids, "debroot" for one that may change
 * its root. NULL: there is none of that name.
 */
const struct filter *filter_find(const char *name);

#endif
