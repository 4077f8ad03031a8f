/* base/ipv4.c: text to addresses and ranges, and back. */
#include "base/ipv4.h"

#include <stdio.h>

static bool octet_parse(struct str text, uint32_t *ret)
{
        uint64_t value;

        if (text.len == 0 || text.len > 3 || (text.len > 1 && text.p[0] == '0') ||
            !str_to_u64(text, &value) || value > 255)
                return false;
        *ret = (uint32_t)value;
        return true;
}

bool ipv4_parse(struct str text, uint32_t *ret)
{
        uint32_t address = 0;

        for (int i = 0; i < 4; i++) {
                bool more = str_find(text, '.') < text.len;
                uint32_t octet;
                if (more != (i < 3) || !octet_parse(str_cut(&text, '.'), &octet))
                        return false;
                address = address << 8 | octet;
        }
        *ret = address;
        return true;
}

static uint32_t mask_of(uint8_t prefix)
{
        return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

bool ipv4_range_parse(struct str text, struct ipv4_range *ret)
{
        bool prefixed = str_find(text, '/') < text.len;
        struct str address = str_cut(&text, '/');
        uint64_t prefix = 32;
        uint32_t value;

        if (!ipv4_parse(address, &value))
                return false;
        if (prefixed && (text.len > 2 || (text.len == 2 && text.p[0] == '0') || !str_to_u64(text, &prefix) ||
                         prefix > 32))
                return false;
        if ((value & ~mask_of((uint8_t)prefix)) != 0)
                return false;
        *ret = (struct ipv4_range){value, (uint8_t)prefix};
        return true;
}

bool ipv4_range_has(const struct ipv4_range *range, uint32_t address)
{
        return (address & mask_of(range->prefix)) == range->address;
}

bool ipv4_ranges_overlap(const struct ipv4_range *a, const struct ipv4_range *b)
{
        return a->prefix < b->prefix ? ipv4_range_has(a, b->address) : ipv4_range_has(b, a->address);
}

void ipv4_format(uint32_t address, char out[IPV4_TEXT_MAX])
{
        snprintf(out, IPV4_TEXT_MAX, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                 address & 255);
}

void ipv4_range_format(const struct ipv4_range *range, char out[IPV4_TEXT_MAX])
{
        snprintf(out, IPV4_TEXT_MAX, "%u.%u.%u.%u/%u", range->address >> 24, range->address >> 16 & 255,
                 range->address >> 8 & 255, range->address & 255, range->prefix);
}
