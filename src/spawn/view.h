/*
 * spawn/view.h: what the server sees of the file system: its own folder and the runtimes stand at fixed
 * places.
 *
 * The server runs as an ordinary user, who may not be allowed to walk down to a state directory or a build
 * below somebody's home. So its process gets a mount namespace of its own, with both attached below VIEW_DIR;
 * the paths that the user gave stay root's business.
 */
#ifndef DISPATCH_SPAWN_VIEW_H
#define DISPATCH_SPAWN_VIEW_H

#define VIEW_DIR      "/run/dispatch"
#define VIEW_STATE    VIEW_DIR "/state"
#define VIEW_RUNTIMES VIEW_DIR "/runtimes"

/* In the child, as root, before its rights go. Both are descriptors of folders. Allocates nothing; reports by
 * errno. */
int view_enter(int state_fd, int runtimes_fd);

#endif
