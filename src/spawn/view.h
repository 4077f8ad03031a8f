/*
 * spawn/view.h: what the server sees of the file system: its own folder and the runtimes stand at fixed
 * places.
 *
 * The server runs as an ordinary user, who may not be allowed to walk down to a state directory or a build
 * below somebody's home. So its process gets a mount namespace of its own, with both attached below VIEW_DIR;
 * the paths that the user gave stay root's business. It reads there, too, what its instances use.
 */
#ifndef DISPATCH_SPAWN_VIEW_H
#define DISPATCH_SPAWN_VIEW_H

#define VIEW_DIR      "/run/dispatch"
#define VIEW_STATE    VIEW_DIR "/state"
#define VIEW_RUNTIMES VIEW_DIR "/runtimes"
#define VIEW_CGROUPS  VIEW_DIR "/cgroups" /* in it `memory` and `cpu`: the tree of cgroups, read-only */

struct view {
        int state_fd, runtimes_fd;
        int memory_fd, cpu_fd; /* folders of the tree of cgroups; -1: left out */
};

/* In the child, as root, before its rights go. They are descriptors of folders. Allocates nothing; reports by
 * errno. */
int view_enter(const struct view *view);

#endif
