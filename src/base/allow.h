/*
 * base/allow.h: allow-lists of what a sandbox reaches, and what none ever does. An item is a host name
 * ("example.com": that one alone), "*.example.com" (every name below it), an IPv4 address or a range of them
 * ("192.0.2.0/24"). Layer 0.
 */
#ifndef DISPATCH_BASE_ALLOW_H
#define DISPATCH_BASE_ALLOW_H

#include "base/ipv4.h"

#include <stddef.h>

enum {
        ALLOW_ITEMS_MAX = 64,
        ALLOW_BYTES_MAX = 4096 /* of a list, with a byte behind each item and the last */
};

/* RFC 6890, and what clouds add to it: loopback, links, metadata, multicast, broadcast, reserved. Private
 * networks (RFC 1918) are not among these: a site has its own services there. */
extern const struct ipv4_range allow_never[];
extern const size_t allow_never_count;
bool allow_is_never(uint32_t address);
/* All of the range. */
bool allow_range_is_never(const struct ipv4_range *range);

/* Letters, digits and '-', and '_' where names have it; the last label is no number (RFC 1123). */
bool allow_host_valid(struct str host);
/* Without regard to case, a dot at the end of `name` not counted. */
bool allow_host_matches(struct str pattern, struct str name);

#endif
