/*
 * server/tls.h: the server's certificates: from the files that dispatch-spawn has opened, or, without any, a
 * pair that signs itself and is kept in the state directory. On the control thread; reads files.
 */
#ifndef DISPATCH_SERVER_TLS_H
#define DISPATCH_SERVER_TLS_H

#include "http/tls.h"
#include "server/options.h"
#include "wire/spawn.h"

/* Zeroed at first. */
struct server_tls {
        const struct server_options *options;
        const char *state_dir;
        uint64_t set; /* which one is coming in */
        uint32_t count, got;
        bool failed;
        struct err err; /* why */
        struct buf files[SPAWN_CREDENTIALS_MAX];
};

void server_tls_init(struct server_tls *tls, const struct server_options *options, const char *state_dir);
void server_tls_finish(struct server_tls *tls);

/* One frame of a set; fd stays the caller's, -1 where none came. True: the set is whole. */
bool server_tls_take(struct server_tls *tls, const struct spawn_credential *frame, int fd);

/* The context of the set that came last, and forgets its bytes. What is wrong with a file is said in one
 * line; what should not stay as it is, in a warning of the log. */
enum err_code server_tls_make(struct server_tls *tls, struct tls_context **ret, struct err *err);

#endif
