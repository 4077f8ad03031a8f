/*
 * spawn/egress.h: networks for sandboxes that reach the outside: the router (sandbox/network.h), dispatch-dns
 * beside it, and who of the sandboxes may ask that for what. All of it is made with the first such sandbox
 * and stays until spawn ends; a server that never has one has none of it.
 */
#ifndef DISPATCH_SPAWN_EGRESS_H
#define DISPATCH_SPAWN_EGRESS_H

#include "base/err.h"
#include "sandbox/network.h"

struct spawn;
struct egress;
struct egress_link;

/*
 * One sandbox's network. allow: items of egress.h, each NUL-terminated, an empty one behind the last; NULL:
 * all that is not forbidden. The first time this takes some ten milliseconds. A failure to make the router
 * stands for EGRESS_AGAIN_MS. ERR_SYSTEM: the host lacks something, and the text says what.
 */
enum { EGRESS_AGAIN_MS = 5000 };
enum err_code egress_link_make(struct spawn *spawn, const char *allow, struct egress_link **ret,
                               struct err *err);
const struct network_link *egress_link_network(const struct egress_link *link);
/* Once its sandbox is gone. NULL is fine. */
void egress_link_destroy(struct spawn *spawn, struct egress_link *link);

/* Writes etc/resolv.conf and etc/hosts of such sandboxes below a folder that none of them uses yet. */
enum err_code egress_files_write(const struct spawn *spawn, int dir_fd, struct err *err);
/* A folder with these alone, for the top of an overlay; spawn's own. */
enum err_code egress_files_open(struct spawn *spawn, int *ret_fd, struct err *err);

/* Removes what a spawn that was killed has left. */
void egress_clear(struct spawn *spawn);
void egress_finish(struct spawn *spawn);

#endif
