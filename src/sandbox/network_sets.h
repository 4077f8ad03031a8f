/*
 * sandbox/network_sets.h: elements of the router's sets (network_rules.h), by nfnetlink
 * (linux/netfilter/nf_tables.h): what restricted sandboxes reach. fd is a NETLINK_NETFILTER socket of the
 * router. Each call is one transaction: all or nothing. 0, or -1 and errno.
 */
#ifndef DISPATCH_SANDBOX_NETWORK_SETS_H
#define DISPATCH_SANDBOX_NETWORK_SETS_H

#include "base/ipv4.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETS_ELEMENTS_MAX = 32 };

/* Opens the addresses to the sandbox behind the interface for so long from now, also those that it has. */
int sets_names_add(int fd, uint32_t interface, const uint32_t *addresses, size_t count, uint32_t ttl_s);

/* Opens the ranges to a group of interfaces, or closes them again. SETS_ELEMENTS_MAX ranges at most. */
int sets_ranges_change(int fd, bool add, uint32_t group, const struct ipv4_range *ranges, size_t count);

#endif
