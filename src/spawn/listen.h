/*
 * spawn/listen.h: the listening sockets. spawn binds them, so that ports below 1024 work and a restarted
 * server finds the connections that came meanwhile.
 */
#ifndef DISPATCH_SPAWN_LISTEN_H
#define DISPATCH_SPAWN_LISTEN_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

enum { LISTEN_ROLE_MAX = 16, LISTEN_BACKLOG = 1024 };

struct listen_socket {
        char role[LISTEN_ROLE_MAX];
        int fd;
        char *unix_path; /* to be removed at the end; NULL: TCP */
};

struct listen_set {
        struct listen_socket *sockets;
        size_t count;
};

/*
 * ROLE=tcp:HOST:PORT (literal addresses; IPv6 in brackets or not; port 0: any): `loops` sockets that share
 * the port by SO_REUSEPORT. ROLE=unix:PATH: one socket, of the user and group, mode 0660; one that nobody
 * listens on any more is replaced.
 */
enum err_code listen_add(struct listen_set *set, const char *text, size_t loops, uid_t uid, gid_t gid,
                         struct err *err);
void listen_finish(struct listen_set *set);

/* "role=fd,role=fd"; the caller's. NULL: no memory. */
char *listen_describe(const struct listen_set *set);

#endif
