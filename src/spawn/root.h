/*
 * spawn/root.h: the root of an instance: its image's layers, and above those of an image that was not made
 * here a layer with what a sandbox needs of a root: folders to attach its mounts at, whatever the image has
 * in their places (nothing, or a link), and /run, which leads to its /tmp.
 */
#ifndef DISPATCH_SPAWN_ROOT_H
#define DISPATCH_SPAWN_ROOT_H

#include "base/err.h"
#include "spawn/state.h"
#include "wire/spawn.h"

#include <stddef.h>

/* Makes that layer, where it is not there. */
enum err_code root_points_make(int dir_fd, struct err *err);

/* The root of `count` layers by name, the lowest first, and above them the folder top_fd unless that is -1,
 * as a detached mount. ERR_NOT_FOUND names the layer that is missing. */
enum err_code root_open(const struct state *state, const char (*layers)[SPAWN_NAME_MAX], size_t count,
                        int top_fd, int *ret_fd, struct err *err);

#endif
