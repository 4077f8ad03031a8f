/*
 * spawn/tree.h: removes folders that somebody hostile may have filled.
 */
#ifndef DISPATCH_SPAWN_TREE_H
#define DISPATCH_SPAWN_TREE_H

#include "base/err.h"

/*
 * Removes `name` below the folder with all that is in it. Links are removed, never followed; nothing may be
 * changing it meanwhile but other removals. Depth costs neither stack nor descriptors. No such name is fine.
 */
enum err_code tree_remove(int dir_fd, const char *name, struct err *err);

#endif
