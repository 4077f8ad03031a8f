/*
 * spawn/layers.h: the layers below the state directory, by name.
 */
#ifndef DISPATCH_SPAWN_LAYERS_H
#define DISPATCH_SPAWN_LAYERS_H

#include "base/err.h"
#include "spawn/worker.h"
#include "wire/spawn.h"

#include <stdbool.h>

/* Opens a folder (O_PATH) directly below dir_fd; the name is a valid name of a frame. ERR_NOT_FOUND. */
enum err_code layers_open(int dir_fd, const char *what, const char *name, int *ret_fd, struct err *err);
/* Opens layers by name, the lowest first, a stack as the layers that it lists. *count grows by what was
 * opened, at most up to `max`, on failure too: the caller closes them. */
enum err_code layers_open_all(int layers_fd, const char (*names)[SPAWN_NAME_MAX], size_t names_count,
                              int *fds, size_t max, size_t *count, struct err *err);
/* info gets what the layer's build reported, "" where that is not known. */
bool layers_exists(int layers_fd, const char *name, char info[SPAWN_INFO_MAX]);

/*
 * Tasks for a worker. Commit: makes the folder task->from durable and puts it in its place, at once and for
 * good (ERR_CONFLICT: a layer of that name is there already, and stays). Remove: removes what was discarded.
 */
enum err_code layers_commit(const struct worker_task *task, struct err *err);
/* What a kind with `many` left (wire/spawn.h) in task->from: its blobs, and after them, unless task->layer is
 * NULL, the layers of that mark and their stacks. ERR_INVALID: something else; ERR_UNAVAILABLE: a stack lists
 * a layer that is gone. */
enum err_code layers_commit_many(const struct worker_task *task, struct err *err);
/* Moves the whole blobs that a job fetched, in the folder that was its /out, to the folder of blobs;
 * `replace`: also where one is there. */
enum err_code layers_blobs_keep(int from_fd, int blobs_fd, bool replace, struct err *err);
enum err_code layers_remove(const struct worker_task *task, struct err *err);

#endif
