/*
 * spawn/stem.h: stems: instances that are booted without code (SPAWN_ROLE_STEM), for languages whose process
 * cannot be forked. A START from one claims it: its sandbox gets the code and the limits of the instance that
 * it becomes, its process goes on as that.
 *
 *      START role STEM ─▶ booted ─▶ waits for SPECIALISE ── START from it ─▶ an instance like any other
 *
 * Nothing of the tenant's code ran before; the image and the command line must be the same, and so the
 * organization, whose cgroup it stays in: org-NAME/fn-image/i-N.
 */
#ifndef DISPATCH_SPAWN_STEM_H
#define DISPATCH_SPAWN_STEM_H

#include "base/err.h"
#include "wire/spawn.h"

#include <stdbool.h>

struct instance;

/* The instance is a stem, booted by this START, until it is claimed. */
enum err_code stem_keep(struct instance *instance, const struct spawn_start *start, struct err *err);
/* instance_free's part. */
void stem_forget(struct instance *instance);

/*
 * It becomes the instance that the START names. Any error but ERR_UNAVAILABLE leaves it as it was: it does
 * not fit; ERR_UNAVAILABLE: it has ended, or is being ended.
 */
enum err_code stem_claim(struct instance *stem, const struct spawn_start *start, struct err *err);

#endif
