/*
 * fuzz/resolv_conf.c: any bytes as resolv.conf and as an item of an allow-list.
 *
 * Properties: servers have an address, a port and a family; a range that was read is written as one that
 * reads the same; a host name matches itself, and a pattern what is below it alone.
 */
#include "base/allow.h"
#include "dns/upstream.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(struct str text)
{
        struct ipv4_range range, again;
        char words[IPV4_TEXT_MAX];

        if (!ipv4_range_parse(text, &range))
                return;
        assert(!allow_host_valid(text));
        ipv4_range_format(&range, words);
        assert(ipv4_range_parse(str_of(words), &again));
        assert(again.address == range.address && again.prefix == range.prefix);
        assert(ipv4_range_has(&range, range.address) && ipv4_ranges_overlap(&range, &again));
}

static void check_host(struct str text)
{
        char below[512];

        if (!allow_host_valid(text))
                return;
        assert(text.len <= 255);
        if (!str_starts(text, STR("*."))) {
                assert(allow_host_matches(text, text));
                return;
        }
        struct str domain = str_slice(text, 2, text.len);
        assert(!allow_host_matches(text, domain));
        memcpy(below, "a.", 2);
        memcpy(below + 2, domain.p, domain.len);
        assert(allow_host_matches(text, (struct str){below, domain.len + 2}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = {(const char *)data, size};
        struct sockaddr_storage servers[UPSTREAM_SERVERS_MAX];

        size_t count = upstream_parse(text, servers);
        assert(count <= UPSTREAM_SERVERS_MAX);
        for (size_t i = 0; i < count; i++)
                assert(servers[i].ss_family == AF_INET || servers[i].ss_family == AF_INET6);
        check_range(text);
        check_host(text);
        return 0;
}
