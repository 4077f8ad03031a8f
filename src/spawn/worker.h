/*
 * spawn/worker.h: a child process for what takes long on a disk (sync, removal of trees), so that the loop
 * does not wait for it. It is a fork of spawn that keeps two folders and nothing else, and dies with it.
 */
#ifndef DISPATCH_SPAWN_WORKER_H
#define DISPATCH_SPAWN_WORKER_H

#include "base/err.h"
#include "spawn/events.h"

#include <stdbool.h>
#include <sys/types.h>

struct worker {
        struct events *events;
        struct events_source exit;
        pid_t pid; /* 0: not running */
        int pid_fd;
        /* enum err_code of the task; ERR_SYSTEM too when it was killed. */
        void (*done)(struct worker *worker, enum err_code code);
};

struct rootjob;

struct worker_task {
        /* In the child. */
        enum err_code (*run)(const struct worker_task *task, struct err *err);
        int layers_fd, staging_fd;
        int blobs_fd;                  /* an organization's; or -1 */
        char from[32];                 /* in staging */
        const char *layer;             /* in layers */
        const char *info;              /* kept with the layer */
        const struct rootjob *rootjob; /* rootjob_commit's alone */
        bool synced;                   /* the job itself has put its files on the disk */
};

/* The worker must not be running. */
enum err_code worker_start(struct worker *worker, struct events *events, const struct worker_task *task,
                           void (*done)(struct worker *worker, enum err_code code), struct err *err);
/* Kills one that runs, without calling done. */
void worker_finish(struct worker *worker);

#endif
