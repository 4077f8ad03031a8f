/*
 * server/server.h: the two faces of the executable dispatch-server.
 *
 * Started by a user it checks its options and becomes dispatch-spawn (front.c), which starts it again as the
 * unprivileged server (serve.c).
 */
#ifndef DISPATCH_SERVER_SERVER_H
#define DISPATCH_SERVER_SERVER_H

#include "base/err.h"
#include "server/options.h"

/* Set by dispatch-spawn for the server; see spawn/ and ARCHITECTURE.md. */
#define SERVER_ENV_LISTEN  "DISPATCH_LISTEN"
#define SERVER_ENV_LINKS   "DISPATCH_SPAWN_LINKS"
#define SERVER_ENV_STATE   "DISPATCH_STATE_DIR"
#define SERVER_ENV_RUNTIME "DISPATCH_RUNTIME_DIR"
#define SERVER_ENV_CGROUP  "DISPATCH_CGROUP_DIR"

/* Set: the server serves its Unix socket alone, goes on with nothing and collects no garbage by itself. */
#define SERVER_ENV_MAINTENANCE "DISPATCH_SERVER_MAINTENANCE"

/* `dispatch-server gc [--dry-run] [--json] [OPTION]...`: has the server that runs on the state directory
 * collect garbage, or one that is started for it. Returns the exit status: 0, 1: it did not work, 2: wrong
 * options, 3: the object store could not be looked through. */
int server_gc(int argc, char **argv);

/* Does not return when all is well. */
enum err_code server_front(const struct server_options *options, int argc, char *const *argv,
                           struct err *err);

/* `dispatch-server base-image ...`: becomes dispatch-build, which does it. Does not return when all is well.
 */
enum err_code server_base_image(int argc, char *const *argv, struct err *err);

/* The server's whole life; returns when it has drained. */
enum err_code server_serve(const struct server_options *options, struct err *err);

#endif
