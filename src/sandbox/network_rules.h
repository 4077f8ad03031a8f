/*
 * sandbox/network_rules.h: what the kernel holds sandboxes to, as nftables' own text, and the program nft
 * that takes it in. The rules are fixed when the router is made; a sandbox joins them by the name of its
 * interface, sN or, when an allow-list is its, aN.
 */
#ifndef DISPATCH_SANDBOX_NETWORK_RULES_H
#define DISPATCH_SANDBOX_NETWORK_RULES_H

#include "base/err.h"
#include "sandbox/network.h"

#include <stdbool.h>
#include <sys/types.h>

enum { NETWORK_RULES_MAX = 8192, NETWORK_NFT_MS = 10000 };

#define NETWORK_TABLE "dispatch" /* in the router */

struct network_names {
        char table[NETWORK_NAME_MAX]; /* of the host */
        char uplink[16];              /* interface of the host */
};

void network_rules_router(const struct ipv4_range *pool, char out[NETWORK_RULES_MAX]);
void network_rules_host(const struct network_names *names, const struct ipv4_range *pool,
                        char out[NETWORK_RULES_MAX]);
/* Makes a table that is not there, so that it can be removed either way. */
void network_rules_remove(const struct network_names *names, char out[NETWORK_RULES_MAX]);

/* Takes the text in, whole or not at all, in the network namespace ns_fd. *ret_pid, unless NULL: the process
 * that did, by which its changes are known to who listens for such. */
enum err_code network_rules_load(int ns_fd, const char *text, pid_t *ret_pid, struct err *err);

/* Whether another's rules drop what is forwarded unless told otherwise, as Docker's do. */
bool network_rules_dropped(int ns_fd);

#endif
