/*
 * build/job.h: one build job, from the open descriptors to the report. Blocking; the process is for this
 * alone.
 */
#ifndef DISPATCH_BUILD_JOB_H
#define DISPATCH_BUILD_JOB_H

#include "base/err.h"
#include "wire/spawn.h"

#include <stdint.h>

struct job {
        const char *kind;     /* of wire/spawn.h's table */
        const char *language; /* a name (spawn_name_valid); "" for a kind without one */
        uint64_t disk_mib;
        uint64_t files_max;
        int out_fd;     /* the empty folder that becomes the layer */
        int runtime_fd; /* the runtime's folder; -1: there is none */
        int input_fd;   /* kind "source": the archive. These three are /dev/null where there is nothing */
        int log_fd;     /* for lines (wire/spawn.h) */
        int data_fd;
        int host_fd; /* kind "builtin": the host's root */
};

/* Fills the report, whatever happens; its layer and info count only with ERR_OK. */
void job_run(const struct job *job, struct spawn_report *report);

#endif
