/*
 * sandbox/network.h: networks of sandboxes that reach the outside ("egress").
 *
 * A server that has such sandboxes has one network namespace more, its router:
 *
 *      sandbox  eth0 ──veth── sN ┐
 *      sandbox  eth0 ──veth── sN ┤ router  up ──veth── dpHASH  host ─▶ masquerade ─▶ the outside
 *      sandbox  eth0 ──veth── aN ┘    │
 *                                     └ DNS of ours (dns/), on the router's address
 *
 * so the host has one interface, one route and one nftables table of it, however many sandboxes there are,
 * and all of that but the table is gone when the process is: the namespaces go with their last descriptor.
 * What is allowed is held by nftables in both (network_rules.h): the router knows the sandboxes, the host its
 * own addresses. A sandbox's namespace belongs to the initial user namespace, so nobody in the sandbox may
 * change it, whatever he is in there. IPv4 alone: IPv6 is off on each interface, and no rule lets it through.
 *
 * Addresses are from a pool of NETWORK_POOL_BITS, the first in a range that no route of the host touches. An
 * address is its sandbox's alone (0 to 15 of the pool are the router's), on an interface with a number that
 * is never used again.
 *
 * One thread. Nothing of this exists before network_create.
 */
#ifndef DISPATCH_SANDBOX_NETWORK_H
#define DISPATCH_SANDBOX_NETWORK_H

#include "base/allow.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        NETWORK_POOL_BITS = 14, /* 16384 addresses */
        NETWORK_FIRST = 16,     /* of the sandboxes */
        NETWORK_CONNECTIONS_MAX = 1024,
        NETWORK_NAME_MAX = 40
};

struct network;
struct network_group;

/* What a restricted sandbox reaches by address; what it reaches by name is opened later. */
struct network_ranges {
        size_t count;
        struct ipv4_range items[ALLOW_ITEMS_MAX];
};

/* One sandbox's; zero with ns_fd -1 is none. */
struct network_link {
        int ns_fd; /* its network namespace */
        uint32_t address;
        uint32_t index; /* of its interface in the router, unique */
        struct network_group *group;
};

/*
 * Makes the router. name: letters, digits and '-', unlike that of any other server on the host (its last 12
 * characters name the interface). range: where the pool is to be. Runs the program nft, and waits for it, a
 * few milliseconds, NETWORK_NFT_MS at most. ERR_SYSTEM: something is missing on this host, and the text
 * says what.
 */
enum err_code network_create(const char *name, const struct ipv4_range *range, struct network **ret,
                             struct err *err);
/* And its table on the host. NULL is fine. */
void network_destroy(struct network *network);
/* Removes what a process that was killed has left of the network of that name. */
enum err_code network_clear(const char *name, struct err *err);

/* Others may remove rules of ours from the host (`nft flush ruleset`, as a restart of the nftables service
 * does). The descriptor is readable when any rules were changed, network_watch says whether something of ours
 * is gone, and network_restore closes the way out until all of it is back. */
int network_watch_fd(const struct network *network);
bool network_watch(const struct network *network);
enum err_code network_restore(struct network *network, struct err *err);
/* Whether another's firewall will drop what sandboxes send, as far as can be told. */
bool network_is_dropped(const struct network *network);

/* The address of the router, as sandboxes see it. */
uint32_t network_gateway(const struct network *network);
struct ipv4_range network_pool(const struct network *network);

/* ranges: it reaches these and what network_link_open says, and nothing else; NULL: all that is not
 * forbidden. */
enum err_code network_link_make(struct network *network, const struct network_ranges *ranges,
                                struct network_link *ret, struct err *err);
/* Opens addresses, 32 at most, to a restricted one for so long. */
enum err_code network_link_open(const struct network *network, const struct network_link *link,
                                const uint32_t *addresses, size_t count, uint32_t ttl_s, struct err *err);
/* When its sandbox is gone. The kernel removes the rest by itself. One that is none is fine. */
void network_link_finish(struct network *network, struct network_link *link);

/* A socket on the router's address, bound, and listening if it is a stream. */
enum err_code network_listen(const struct network *network, int type, uint16_t port, int *ret_fd,
                             struct err *err);

/* Enters and leaves a namespace of a link for a clone that is to be in it. */
void network_enter(int ns_fd);

#endif
