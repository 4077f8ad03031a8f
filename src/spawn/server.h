/*
 * spawn/server.h: the server processes: starts one, restarts it when it dies, replaces it by a new one while
 * it drains, stops it.
 *
 *   STARTING ─▶ READY ─▶ DRAINING
 *       └─────────┴─────────┴─▶ GONE
 */
#ifndef DISPATCH_SPAWN_SERVER_H
#define DISPATCH_SPAWN_SERVER_H

#include "base/err.h"

struct spawn;
struct server;

/* Starts a server of the next generation; the current one, if any, serves until the new one is ready. */
enum err_code server_start(struct spawn *spawn, struct err *err);

/* SPAWN_READY came. */
void server_ready(struct server *server);

/* SIGHUP: opens the certificates and keys anew, for each server that takes connections. */
void servers_reload(struct spawn *spawn);

/* SIGUSR2: replaces the current one. */
void server_upgrade(struct spawn *spawn);

/* Drains all, within the bound of the options; at once when called again. The loop stops when all are gone.
 */
void servers_stop(struct spawn *spawn);

/* Frees what is left; kills what still runs. */
void servers_finish(struct spawn *spawn);

#endif
