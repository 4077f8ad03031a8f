/* sandbox/network.c: the router of a server, and the networks of its sandboxes. */
#include "sandbox/network.h"

#include "base/own.h"
#include "sandbox/netlink.h"
#include "sandbox/network_route.h"
#include "sandbox/network_rules.h"
#include "sandbox/network_sets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        OFFSET_GATEWAY = 1, /* in the pool: the router, as sandboxes see it */
        OFFSET_HOST = 2,    /* the host's end of the uplink */
        OFFSET_UP = 3,      /* the router's */
        INDEX_FIRST = 1000, /* of the sandboxes' interfaces there */
        POOL_MAX = 1 << NETWORK_POOL_BITS,
        LISTEN_BACKLOG = 64,
        NAME_TAIL = 12
};

/* The ranges that sandboxes of one list share; its number is that of their interfaces' group (`ip link`). */
struct network_group {
        struct network_group *next;
        unsigned links;
        uint32_t number;
        struct network_ranges ranges;
};

struct network {
        struct network_names names;
        struct ipv4_range pool;
        int host_ns_fd, router_ns_fd;
        int host_fd, router_fd; /* rtnetlink */
        int watch_fd;           /* nfnetlink of the host: what others do to its rules */
        pid_t nft_pid;          /* that loaded ours last */
        uint32_t uplink;        /* index of the host's interface */
        int sets_fd;            /* nfnetlink of the router; -1: not needed yet */
        struct network_group *groups;
        uint32_t last_group;
        uint32_t size; /* addresses of the pool */
        uint32_t next; /* address to try, and index to use */
        uint32_t next_index;
        unsigned char taken[POOL_MAX / 8];
};

static enum err_code refused(const char *what, struct err *err)
{
        if (errno == EPERM || errno == EACCES)
                return err_set(err, ERR_SYSTEM,
                               "network egress needs the right to change the network (CAP_NET_ADMIN) on this "
                               "host: %s: %s",
                               what, strerror(errno));
        if (errno == EOPNOTSUPP)
                return err_set(err, ERR_SYSTEM,
                               "network egress needs a kernel with veth (modprobe veth): %s: %s", what,
                               strerror(errno));
        if (errno == EROFS)
                return err_set(
                        err, ERR_SYSTEM,
                        "network egress needs a /proc/sys that can be written, or net.ipv4.ip_forward=1 "
                        "set already: %s: %s",
                        what, strerror(errno));
        return err_sys(err, "network egress: %s", what);
}

void network_enter(int ns_fd)
{
        /* Nothing could go on in the wrong one. */
        int result = setns(ns_fd, CLONE_NEWNET);

        assert(result == 0);
        (void)result;
}

static int ns_open_own(void)
{
        return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Of the network namespace that the caller is in. A kernel without IPv6 has no files of it. */
static int setting_write(const char *name, const char *value)
{
        char path[80];

        snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
        own_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT && strncmp(name, "ipv6/", 5) == 0 ? 0 : -1;
        return write(fd, value, strlen(value)) < 0 ? -1 : 0;
}

static int ipv6_off(void)
{
        if (setting_write("ipv6/conf/all/disable_ipv6", "1") < 0)
                return -1;
        return setting_write("ipv6/conf/default/disable_ipv6", "1");
}

/* A new network namespace, with lo up and without IPv6; the caller is back in its own afterwards. `also` is
 * done in it. */
static int ns_make(int home_fd, int (*also)(void), int *ret_route_fd)
{
        if (unshare(CLONE_NEWNET) < 0)
                return -1;
        own_fd int ns_fd = ns_open_own();
        own_fd int route_fd = netlink_open(NETLINK_ROUTE);
        int result = ns_fd < 0 || route_fd < 0 || ipv6_off() < 0 ||
                                     route_link_up(route_fd, ROUTE_LO_INDEX) < 0 ||
                                     (also != NULL && also() < 0)
                             ? -1
                             : 0;
        int saved = errno;
        network_enter(home_fd);
        errno = saved;
        if (result < 0)
                return -1;
        *ret_route_fd = take_fd(&route_fd);
        return take_fd(&ns_fd);
}

/* In the router. */
static int router_settings(void)
{
        static const char *const settings[][2] = {{"ipv4/conf/all/rp_filter", "0"},
                                                  {"ipv4/conf/default/rp_filter", "0"},
                                                  {"ipv4/conf/all/accept_redirects", "0"},
                                                  {"ipv4/conf/default/accept_redirects", "0"},
                                                  {"ipv4/conf/all/send_redirects", "0"},
                                                  {"ipv4/conf/default/send_redirects", "0"},
                                                  {"ipv4/conf/all/accept_source_route", "0"},
                                                  {"ipv4/icmp_ratelimit", "0"},
                                                  {"ipv4/ip_forward", "1"}};

        for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
                if (setting_write(settings[i][0], settings[i][1]) < 0)
                        return -1;
        }
        return 0;
}

static uint32_t at(const struct network *network, uint32_t offset)
{
        return network->pool.address + offset;
}

static enum err_code router_make(struct network *network, struct err *err)
{
        char rules[NETWORK_RULES_MAX];

        network->router_ns_fd = ns_make(network->host_ns_fd, router_settings, &network->router_fd);
        if (network->router_ns_fd < 0)
                return refused("make the router's namespace", err);
        if (route_address_add(network->router_fd, ROUTE_LO_INDEX, network_gateway(network)) < 0)
                return refused("give the router its address", err);
        network_rules_router(&network->pool, rules);
        return network_rules_load(network->router_ns_fd, rules, NULL, err);
}

/* What the kernel does with packets between its interfaces, on the host, once the rules are there. */
static enum err_code host_forward(struct err *err)
{
        char now = '0';
        own_fd int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);

        if (fd < 0 || read(fd, &now, sizeof(now)) != sizeof(now))
                return refused("read net.ipv4.ip_forward", err);
        if (now == '0' && setting_write("ipv4/ip_forward", "1") < 0)
                return refused("set net.ipv4.ip_forward", err);
        return ERR_OK;
}

/* They go when the interface is down. A pool that another server took a moment ago is looked for again. */
static enum err_code host_routes_make(const struct network *network, struct err *err)
{
        const struct ipv4_range up = {at(network, OFFSET_UP), 32};
        uint32_t host = at(network, OFFSET_HOST);

        if (route_add(network->host_fd, network->uplink, &up, 0, host, true) < 0)
                return refused("set the host's end of the interface", err);
        if (route_add(network->host_fd, network->uplink, &network->pool, up.address, host, false) == 0)
                return ERR_OK;
        if (errno == EEXIST)
                return err_set(err, ERR_UNAVAILABLE,
                               "network egress: something took the pool of addresses just now");
        return refused("set the host's end of the interface", err);
}

static enum err_code uplink_make(struct network *network, struct err *err)
{
        const struct ipv4_range host = {at(network, OFFSET_HOST), 32}, any = {0, 0};
        uint32_t up = at(network, OFFSET_UP);
        char ipv6[64];

        if (route_pair_make(network->host_fd, network->names.uplink, 0, 0, "up", network->router_ns_fd) < 0)
                return refused("make a pair of interfaces", err);
        network->uplink = if_nametoindex(network->names.uplink);
        snprintf(ipv6, sizeof(ipv6), "ipv6/conf/%s/disable_ipv6", network->names.uplink);
        if (setting_write(ipv6, "1") < 0)
                return refused("turn IPv6 off for the interface", err);
        if (route_address_add(network->host_fd, network->uplink, host.address) < 0)
                return refused("set the host's end of the interface", err);
        enum err_code code = host_routes_make(network, err);
        if (code != ERR_OK)
                return code;
        if (route_link_up(network->router_fd, ROUTE_PEER_INDEX) < 0 ||
            route_address_add(network->router_fd, ROUTE_PEER_INDEX, up) < 0 ||
            route_add(network->router_fd, ROUTE_PEER_INDEX, &host, 0, up, true) < 0 ||
            route_add(network->router_fd, ROUTE_PEER_INDEX, &any, host.address, up, true) < 0)
                return refused("set the router's end of the interface", err);
        return ERR_OK;
}

static enum err_code host_rules_load(struct network *network, struct err *err)
{
        char rules[NETWORK_RULES_MAX];

        network_rules_host(&network->names, &network->pool, rules);
        return network_rules_load(network->host_ns_fd, rules, &network->nft_pid, err);
}

static enum err_code watch_open(struct network *network, struct err *err)
{
        int group = NFNLGRP_NFTABLES;

        network->watch_fd = netlink_open(NETLINK_NETFILTER);
        if (network->watch_fd < 0 ||
            setsockopt(network->watch_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
                return refused("watch the host's rules", err);
        return ERR_OK;
}

/* Whether a message says that something of our table is gone, by somebody else's hand. */
static bool is_loss(const struct network *network, const struct nlmsghdr *head)
{
        uint16_t type = head->nlmsg_type & 0xff;
        size_t skip = NLMSG_ALIGN(sizeof(struct nfgenmsg)), size = NLMSG_PAYLOAD(head, 0), len;

        if (head->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || head->nlmsg_pid == (uint32_t)network->nft_pid ||
            (type != NFT_MSG_DELTABLE && type != NFT_MSG_DELCHAIN && type != NFT_MSG_DELRULE &&
             type != NFT_MSG_DELSET && type != NFT_MSG_DELSETELEM) ||
            size < skip)
                return false;
        /* The name of the table is the first attribute of all of these. */
        const char *table =
                netlink_find((const char *)NLMSG_DATA(head) + skip, size - skip, NFTA_TABLE_NAME, &len);
        return table != NULL && len == strlen(network->names.table) + 1 &&
               memcmp(table, network->names.table, len) == 0;
}

bool network_watch(const struct network *network)
{
        _Alignas(8) unsigned char buffer[NETLINK_DUMP_BYTES];
        bool lost = false;

        for (;;) {
                ssize_t got = recv(network->watch_fd, buffer, sizeof(buffer), MSG_DONTWAIT);
                /* More was said than there was room for: it may have been that. */
                lost = lost || (got < 0 && errno == ENOBUFS);
                if (got < 0 && errno != EINTR && errno != ENOBUFS)
                        return lost;
                unsigned len = got > 0 ? (unsigned)got : 0;
                for (const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)buffer;
                     NLMSG_OK(head, len); head = NLMSG_NEXT(head, len))
                        lost = lost || is_loss(network, head);
        }
}

int network_watch_fd(const struct network *network)
{
        return network->watch_fd;
}

enum err_code network_restore(struct network *network, struct err *err)
{
        if (route_link_down(network->host_fd, network->uplink) < 0)
                return refused("take the interface down", err);
        enum err_code code = host_rules_load(network, err);
        if (code != ERR_OK)
                return code;
        if (route_link_up(network->host_fd, network->uplink) < 0)
                return refused("bring the interface up", err);
        return host_routes_make(network, err);
}

bool network_is_dropped(const struct network *network)
{
        return network_rules_dropped(network->host_ns_fd);
}

/* FNV-1a of the name: servers beside each other begin at different places. */
static uint32_t name_hash(const char *name)
{
        uint32_t hash = 0x811c9dc5;

        for (; *name != '\0'; name++)
                hash = (hash ^ (unsigned char)*name) * 0x01000193;
        return hash;
}

static void names_make(const char *name, struct network_names *ret)
{
        size_t len = strlen(name);

        assert(len >= NAME_TAIL && len < sizeof(ret->table));
        snprintf(ret->uplink, sizeof(ret->uplink), "dp%s", name + len - NAME_TAIL);
        snprintf(ret->table, sizeof(ret->table), "%s", name);
        for (char *c = ret->table; *c != '\0'; c++)
                *c = *c == '-' ? '_' : *c;
}

static enum err_code network_open(struct network *network, const char *name, const struct ipv4_range *range,
                                  struct err *err)
{
        network->host_ns_fd = ns_open_own();
        network->host_fd = netlink_open(NETLINK_ROUTE);
        if (network->host_ns_fd < 0 || network->host_fd < 0)
                return refused("open the host's network", err);
        (void)route_link_remove(network->host_fd, network->names.uplink);
        enum err_code code = route_pool_find(network->host_fd, range, name_hash(name), &network->pool, err);
        if (code != ERR_OK)
                return code;
        network->size = (uint32_t)1 << (32 - network->pool.prefix);
        code = router_make(network, err);
        if (code != ERR_OK)
                return code;
        code = watch_open(network, err);
        if (code == ERR_OK)
                code = host_rules_load(network, err);
        if (code == ERR_OK)
                code = uplink_make(network, err);
        if (code == ERR_OK)
                code = host_forward(err);
        return code;
}

enum err_code network_create(const char *name, const struct ipv4_range *range, struct network **ret,
                             struct err *err)
{
        struct network *network = calloc(1, sizeof(*network));

        if (network == NULL)
                return err_nomem(err);
        network->host_ns_fd = network->router_ns_fd = network->host_fd = network->router_fd =
                network->sets_fd = -1;
        network->next = NETWORK_FIRST;
        network->next_index = INDEX_FIRST;
        names_make(name, &network->names);
        enum err_code code = network_open(network, name, range, err);
        if (code != ERR_OK) {
                network_destroy(network);
                return code;
        }
        *ret = network;
        return ERR_OK;
}

void network_destroy(struct network *network)
{
        char rules[NETWORK_RULES_MAX];

        if (network == NULL)
                return;
        if (network->host_fd >= 0)
                (void)route_link_remove(network->host_fd, network->names.uplink);
        if (network->router_ns_fd >= 0) {
                network_rules_remove(&network->names, rules);
                (void)network_rules_load(network->host_ns_fd, rules, NULL, NULL);
        }
        const int fds[] = {network->host_fd,  network->router_fd,    network->sets_fd,
                           network->watch_fd, network->router_ns_fd, network->host_ns_fd};
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
        }
        free(network);
}

enum err_code network_clear(const char *name, struct err *err)
{
        struct network_names names;
        char rules[NETWORK_RULES_MAX];

        names_make(name, &names);
        own_fd int host_fd = netlink_open(NETLINK_ROUTE);
        own_fd int ns_fd = ns_open_own();
        if (host_fd < 0 || ns_fd < 0)
                return err_sys(err, "open the host's network");
        (void)route_link_remove(host_fd, names.uplink);
        network_rules_remove(&names, rules);
        return network_rules_load(ns_fd, rules, NULL, err);
}

uint32_t network_gateway(const struct network *network)
{
        return at(network, OFFSET_GATEWAY);
}

struct ipv4_range network_pool(const struct network *network)
{
        return network->pool;
}

static bool address_take(struct network *network, uint32_t *ret)
{
        /* The last of a pool is its broadcast address. */
        uint32_t count = network->size - 1 - NETWORK_FIRST;

        for (uint32_t i = 0; i < count; i++) {
                uint32_t offset = NETWORK_FIRST + (network->next - NETWORK_FIRST + i) % count;
                if (network->taken[offset / 8] & 1U << offset % 8)
                        continue;
                network->taken[offset / 8] |= (unsigned char)(1U << offset % 8);
                network->next = NETWORK_FIRST + (offset - NETWORK_FIRST + 1) % count;
                *ret = offset;
                return true;
        }
        return false;
}

static void address_give_back(struct network *network, uint32_t address)
{
        uint32_t offset = address - network->pool.address;

        network->taken[offset / 8] &= (unsigned char)~(1U << offset % 8);
}

/* In a network of its own any port is as good as another, also those below 1024. */
static int sandbox_settings(void)
{
        return setting_write("ipv4/ip_unprivileged_port_start", "0");
}

static enum err_code link_open(struct network *network, struct network_link *link, struct err *err)
{
        const struct ipv4_range any = {0, 0}, self = {link->address, 32};
        uint32_t group = link->group != NULL ? link->group->number : 0;
        own_fd int route_fd = -1;
        char name[16];

        link->ns_fd = ns_make(network->host_ns_fd, sandbox_settings, &route_fd);
        if (link->ns_fd < 0)
                return refused("make a sandbox's network namespace", err);
        snprintf(name, sizeof(name), "%c%u", link->group != NULL ? 'a' : 's', link->index);
        if (route_pair_make(network->router_fd, name, link->index, group, "eth0", link->ns_fd) < 0)
                return refused("make a pair of interfaces", err);
        if (route_add(network->router_fd, link->index, &self, 0, network_gateway(network), true) < 0 ||
            route_link_up(route_fd, ROUTE_PEER_INDEX) < 0 ||
            route_address_add(route_fd, ROUTE_PEER_INDEX, link->address) < 0 ||
            route_add(route_fd, ROUTE_PEER_INDEX, &any, network_gateway(network), link->address, true) < 0)
                return refused("set a sandbox's interface", err);
        return ERR_OK;
}

/* A socket is made with the first list. */
static enum err_code sets_ensure(struct network *network, struct err *err)
{
        if (network->sets_fd >= 0)
                return ERR_OK;
        network_enter(network->router_ns_fd);
        network->sets_fd = netlink_open(NETLINK_NETFILTER);
        int saved = errno;
        network_enter(network->host_ns_fd);
        errno = saved;
        return network->sets_fd < 0 ? refused("open the router's sets", err) : ERR_OK;
}

static int ranges_change(const struct network_group *group, int sets_fd, bool add)
{
        size_t count = group->ranges.count;

        for (size_t at = 0; at < count; at += SETS_ELEMENTS_MAX) {
                size_t some = count - at < SETS_ELEMENTS_MAX ? count - at : SETS_ELEMENTS_MAX;
                if (sets_ranges_change(sets_fd, add, group->number, group->ranges.items + at, some) < 0)
                        return -1;
        }
        return 0;
}

static struct network_group *group_find(const struct network *network, const struct network_ranges *ranges)
{
        for (struct network_group *group = network->groups; group != NULL; group = group->next) {
                if (group->ranges.count == ranges->count &&
                    memcmp(group->ranges.items, ranges->items, ranges->count * sizeof(ranges->items[0])) == 0)
                        return group;
        }
        return NULL;
}

static void group_leave(struct network *network, struct network_group *group)
{
        if (group == NULL || --group->links > 0)
                return;
        for (struct network_group **slot = &network->groups; *slot != NULL; slot = &(*slot)->next) {
                if (*slot == group) {
                        *slot = group->next;
                        break;
                }
        }
        /* What stays is of a group that no interface will have again. */
        (void)ranges_change(group, network->sets_fd, false);
        free(group);
}

static enum err_code group_join(struct network *network, const struct network_ranges *ranges,
                                struct network_group **ret, struct err *err)
{
        struct network_group *group = group_find(network, ranges);

        if (group == NULL) {
                enum err_code code = sets_ensure(network, err);
                group = code == ERR_OK ? calloc(1, sizeof(*group)) : NULL;
                if (group == NULL)
                        return code != ERR_OK ? code : err_nomem(err);
                group->number = ++network->last_group;
                group->ranges = *ranges;
                if (ranges_change(group, network->sets_fd, true) < 0) {
                        free(group);
                        return refused("open the ranges of an allow-list", err);
                }
                group->next = network->groups;
                network->groups = group;
        }
        group->links++;
        *ret = group;
        return ERR_OK;
}

enum err_code network_link_open(const struct network *network, const struct network_link *link,
                                const uint32_t *addresses, size_t count, uint32_t ttl_s, struct err *err)
{
        assert(link->group != NULL && count <= SETS_ELEMENTS_MAX);
        if (sets_names_add(network->sets_fd, link->index, addresses, count, ttl_s) < 0)
                return err_sys(err, "network egress: open addresses to a sandbox");
        return ERR_OK;
}

enum err_code network_link_make(struct network *network, const struct network_ranges *ranges,
                                struct network_link *ret, struct err *err)
{
        struct network_link link = {.ns_fd = -1, .index = network->next_index};
        uint32_t offset;

        if (!address_take(network, &offset))
                return err_set(err, ERR_LIMIT,
                               "network egress: all %u addresses of the pool are taken; choose a wider "
                               "--network-range",
                               network->size - NETWORK_FIRST - 1);
        network->next_index++;
        link.address = at(network, offset);
        enum err_code code = ranges != NULL ? group_join(network, ranges, &link.group, err) : ERR_OK;
        if (code == ERR_OK)
                code = link_open(network, &link, err);
        if (code != ERR_OK) {
                network_link_finish(network, &link);
                return code;
        }
        *ret = link;
        return ERR_OK;
}

void network_link_finish(struct network *network, struct network_link *link)
{
        if (link->address == 0)
                return;
        if (link->ns_fd >= 0)
                close(link->ns_fd);
        group_leave(network, link->group);
        address_give_back(network, link->address);
        *link = (struct network_link){.ns_fd = -1};
}

enum err_code network_listen(const struct network *network, int type, uint16_t port, int *ret_fd,
                             struct err *err)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(port),
                                      .sin_addr.s_addr = htonl(network_gateway(network))};

        network_enter(network->router_ns_fd);
        own_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int saved = errno;
        network_enter(network->host_ns_fd);
        errno = saved;
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            (type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG) < 0))
                return err_sys(err, "network egress: listen on the router's address");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}
