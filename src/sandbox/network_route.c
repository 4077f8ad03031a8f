/* sandbox/network_route.c: the rtnetlink messages of network.c. */
#include "sandbox/network_route.h"

#include "base/allow.h"
#include "sandbox/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
        NEW = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
        ANEW = NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, /* the kernel may not have removed an old one yet */
        CANDIDATES_MAX = 1024
};

static void put_address(struct netlink_request *request, uint16_t type, uint32_t address)
{
        netlink_put_u32(request, type, htonl(address));
}

int route_pair_make(int fd, const char *name, uint32_t index, uint32_t group, const char *peer, int ns_fd)
{
        struct netlink_request request = {.used = 0};
        struct ifinfomsg here = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
                         there = {.ifi_index = ROUTE_PEER_INDEX};

        netlink_begin(&request, RTM_NEWLINK, NEW, &here, sizeof(here));
        netlink_put_text(&request, IFLA_IFNAME, name);
        netlink_put_u32(&request, IFLA_GROUP, group);
        size_t info = netlink_nest(&request, IFLA_LINKINFO);
        netlink_put_text(&request, IFLA_INFO_KIND, "veth");
        size_t data = netlink_nest(&request, IFLA_INFO_DATA);
        size_t other = netlink_nest(&request, VETH_INFO_PEER);
        netlink_put_bytes(&request, &there, sizeof(there));
        netlink_put_text(&request, IFLA_IFNAME, peer);
        netlink_put_u32(&request, IFLA_NET_NS_FD, (uint32_t)ns_fd);
        netlink_nest_end(&request, other);
        netlink_nest_end(&request, data);
        netlink_nest_end(&request, info);
        return netlink_send(fd, &request);
}

int route_link_remove(int fd, const char *name)
{
        struct netlink_request request = {.used = 0};
        struct ifinfomsg link = {.ifi_family = AF_UNSPEC};

        netlink_begin(&request, RTM_DELLINK, NLM_F_ACK, &link, sizeof(link));
        netlink_put_text(&request, IFLA_IFNAME, name);
        return netlink_send(fd, &request);
}

int route_address_add(int fd, uint32_t index, uint32_t address)
{
        struct netlink_request request = {.used = 0};
        struct ifaddrmsg body = {.ifa_family = AF_INET,
                                 .ifa_prefixlen = 32,
                                 .ifa_scope = RT_SCOPE_UNIVERSE,
                                 .ifa_index = index};

        netlink_begin(&request, RTM_NEWADDR, NEW, &body, sizeof(body));
        put_address(&request, IFA_LOCAL, address);
        put_address(&request, IFA_ADDRESS, address);
        return netlink_send(fd, &request);
}

static int link_set(int fd, uint32_t index, unsigned flags)
{
        struct netlink_request request = {.used = 0};
        struct ifinfomsg link = {.ifi_index = (int)index, .ifi_flags = flags, .ifi_change = IFF_UP};

        netlink_begin(&request, RTM_NEWLINK, NLM_F_ACK, &link, sizeof(link));
        return netlink_send(fd, &request);
}

int route_link_up(int fd, uint32_t index)
{
        return link_set(fd, index, IFF_UP);
}

int route_link_down(int fd, uint32_t index)
{
        return link_set(fd, index, 0);
}

int route_add(int fd, uint32_t index, const struct ipv4_range *to, uint32_t gateway, uint32_t source,
              bool replace)
{
        struct netlink_request request = {.used = 0};
        struct rtmsg body = {.rtm_family = AF_INET,
                             .rtm_dst_len = to->prefix,
                             .rtm_table = RT_TABLE_MAIN,
                             .rtm_protocol = RTPROT_STATIC,
                             .rtm_scope = gateway != 0 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                             .rtm_type = RTN_UNICAST,
                             .rtm_flags = gateway != 0 ? RTNH_F_ONLINK : 0};

        netlink_begin(&request, RTM_NEWROUTE, replace ? ANEW : NEW, &body, sizeof(body));
        if (to->prefix > 0)
                put_address(&request, RTA_DST, to->address);
        netlink_put_u32(&request, RTA_OIF, index);
        if (gateway != 0)
                put_address(&request, RTA_GATEWAY, gateway);
        if (source != 0)
                put_address(&request, RTA_PREFSRC, source);
        return netlink_send(fd, &request);
}

/* The pools of the range, and which are taken. */
struct candidates {
        struct ipv4_range range;
        uint8_t prefix; /* of a pool */
        uint32_t count;
        unsigned char taken[CANDIDATES_MAX];
};

static void overlap_mark(struct candidates *candidates, const struct ipv4_range *route)
{
        for (uint32_t i = 0; i < candidates->count; i++) {
                struct ipv4_range pool = {candidates->range.address + (i << (32 - candidates->prefix)),
                                          candidates->prefix};
                if (ipv4_ranges_overlap(&pool, route))
                        candidates->taken[i] = 1;
        }
}

static void on_route(const void *body, size_t size, void *arg)
{
        struct candidates *candidates = arg;
        struct rtmsg route;
        size_t len;

        if (size < sizeof(route))
                return;
        memcpy(&route, body, sizeof(route));
        const void *to = netlink_find((const char *)body + NLMSG_ALIGN(sizeof(route)),
                                      size - NLMSG_ALIGN(sizeof(route)), RTA_DST, &len);
        /* The default route is everybody's. */
        if (route.rtm_family != AF_INET || route.rtm_dst_len == 0 || to == NULL || len != 4)
                return;
        struct ipv4_range range = {.prefix = route.rtm_dst_len};
        memcpy(&range.address, to, sizeof(range.address));
        range.address = ntohl(range.address);
        overlap_mark(candidates, &range);
}

enum err_code route_pool_find(int fd, const struct ipv4_range *range, uint32_t start, struct ipv4_range *ret,
                              struct err *err)
{
        struct candidates candidates = {.range = *range, .prefix = 32 - NETWORK_POOL_BITS};
        struct netlink_request request = {.used = 0};
        struct rtmsg body = {.rtm_family = AF_INET};
        char text[IPV4_TEXT_MAX];

        if (range->prefix > candidates.prefix)
                candidates.prefix = range->prefix;
        uint64_t pools = (uint64_t)1 << (candidates.prefix - range->prefix);
        candidates.count = pools < CANDIDATES_MAX ? (uint32_t)pools : CANDIDATES_MAX;
        for (size_t i = 0; i < allow_never_count; i++)
                overlap_mark(&candidates, &allow_never[i]);
        netlink_begin(&request, RTM_GETROUTE, NLM_F_DUMP, &body, sizeof(body));
        if (netlink_dump(fd, &request, on_route, &candidates) < 0)
                return err_sys(err, "read the host's routes");
        for (uint32_t i = 0; i < candidates.count; i++) {
                uint32_t at = (start + i) % candidates.count;
                if (candidates.taken[at])
                        continue;
                *ret = (struct ipv4_range){range->address + (at << (32 - candidates.prefix)),
                                           candidates.prefix};
                return ERR_OK;
        }
        ipv4_range_format(range, text);
        return err_set(err, ERR_CONFLICT,
                       "network egress: the host has routes into all of %s: choose another range with "
                       "--network-range",
                       text);
}
