/*
 * build/debroot_job.h: a job of kind "debroot": the root that takes the place of a built-in image when system
 * packages are to be added: the same release of Debian as the host's, from the host's own mirrors, with apt.
 *
 * It is root of its sandbox's own user ids (wire/spawn.h). What it runs are scripts of the packages that a
 * manifest names, signed by Debian; nothing that a tenant names is in it.
 */
#ifndef DISPATCH_BUILD_DEBROOT_JOB_H
#define DISPATCH_BUILD_DEBROOT_JOB_H

#include "base/err.h"
#include "build/job.h"

/* Makes the root in /out. ERR_UNPROCESSABLE: the host is not Debian. ERR_UNAVAILABLE: mmdebstrap's error. */
enum err_code debroot_job_run(const struct job *job, struct err *err);

#endif
