/*
 * sandbox/network_route.h: interfaces, addresses and routes by rtnetlink (rtnetlink(7)). Each function is one
 * datagram, and answers with 0, or -1 and errno. fd is a socket of the namespace that is meant.
 */
#ifndef DISPATCH_SANDBOX_NETWORK_ROUTE_H
#define DISPATCH_SANDBOX_NETWORK_ROUTE_H

#include "base/err.h"
#include "sandbox/network.h"

#include <stdbool.h>
#include <stdint.h>

enum { ROUTE_LO_INDEX = 1, ROUTE_PEER_INDEX = 2 };

/* A pair: `name` here, up, with the index (0: the kernel's choice) and of the group; `peer` in the namespace
 * ns_fd, down, with ROUTE_PEER_INDEX. */
int route_pair_make(int fd, const char *name, uint32_t index, uint32_t group, const char *peer, int ns_fd);
int route_link_remove(int fd, const char *name);

int route_link_up(int fd, uint32_t index);
/* Takes the interface's routes with it. */
int route_link_down(int fd, uint32_t index);
/* A host's address on the interface. */
int route_address_add(int fd, uint32_t index, uint32_t address);
/* To a range by the interface: directly (gateway 0), or by a gateway that is on it. `replace`: in the
 * place of one that is there; else that is EEXIST. source: 0, or the address that packets of this host's own
 * get. */
int route_add(int fd, uint32_t index, const struct ipv4_range *to, uint32_t gateway, uint32_t source,
              bool replace);

/* The first pool in the range that overlaps with no route of the namespace, beginning at its `start`th
 * (modulo their number). ERR_CONFLICT: there is none. */
enum err_code route_pool_find(int fd, const struct ipv4_range *range, uint32_t start, struct ipv4_range *ret,
                              struct err *err);

#endif
