/*
 * build/closure.h: a set of installed packages with all that they need (Depends and Pre-Depends).
 *
 * Of alternatives the first that is installed, by its own name, is taken; then the first that an installed
 * package provides, one that is in the set already before others, else the first by name. What belongs to the
 * host alone (its package manager and what only installation scripts use) is taken to be there and stays out.
 * The result depends on nothing but the database.
 */
#ifndef DISPATCH_BUILD_CLOSURE_H
#define DISPATCH_BUILD_CLOSURE_H

#include "build/dpkg.h"

#include <stdbool.h>
#include <stddef.h>

struct closure {
        const struct dpkg *dpkg;
        bool *chosen;    /* one for each package of dpkg */
        size_t *waiting; /* chosen ones whose needs were not looked at yet */
        size_t waiting_count;
        size_t count;
};

/* Keeps the pointer. */
enum err_code closure_init(struct closure *closure, const struct dpkg *dpkg, struct err *err);
void closure_finish(struct closure *closure);

/* Adds what a text like a Depends field names, and what that needs. A name that the host has not got:
 * ERR_UNAVAILABLE, with what to install, or nothing happens when `optional`. */
enum err_code closure_add(struct closure *closure, struct str relations, bool optional, struct err *err);

#endif
