/*
 * base/ipv4.h: IPv4 addresses and ranges of them, in host byte order. Layer 0.
 */
#ifndef DISPATCH_BASE_IPV4_H
#define DISPATCH_BASE_IPV4_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { IPV4_TEXT_MAX = 20 }; /* "255.255.255.255/32" and its NUL */

struct ipv4_range {
        uint32_t address; /* bits behind the prefix are 0 */
        uint8_t prefix;
};

/* "192.0.2.1": four decimal numbers without leading zeros. */
bool ipv4_parse(struct str text, uint32_t *ret);
/* "192.0.2.0/24", or one address. False also when bits behind the prefix are set. */
bool ipv4_range_parse(struct str text, struct ipv4_range *ret);

bool ipv4_range_has(const struct ipv4_range *range, uint32_t address);
bool ipv4_ranges_overlap(const struct ipv4_range *a, const struct ipv4_range *b);

void ipv4_format(uint32_t address, char out[IPV4_TEXT_MAX]);
void ipv4_range_format(const struct ipv4_range *range, char out[IPV4_TEXT_MAX]);

#endif
