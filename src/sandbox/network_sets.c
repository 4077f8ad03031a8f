/* sandbox/network_sets.c: the nf_tables messages of network.c. */
#include "sandbox/network_sets.h"

#include "sandbox/netlink.h"
#include "sandbox/network_rules.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

static void batch_mark(struct netlink_request *request, uint16_t type)
{
        struct nfgenmsg body = {.nfgen_family = AF_UNSPEC, .res_id = htons(NFNL_SUBSYS_NFTABLES)};

        netlink_begin(request, type, 0, &body, sizeof(body));
}

/* Begins a message about elements of the set; *ret_nest is to be ended. */
static void elements_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const char *set,
                           size_t *ret_nest)
{
        struct nfgenmsg body = {.nfgen_family = NFPROTO_INET};

        netlink_begin(request, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &body, sizeof(body));
        netlink_put_text(request, NFTA_SET_ELEM_LIST_TABLE, NETWORK_TABLE);
        netlink_put_text(request, NFTA_SET_ELEM_LIST_SET, set);
        *ret_nest = netlink_nest(request, NFTA_SET_ELEM_LIST_ELEMENTS);
}

/* A key of two registers, as they lie in the packet's rule. */
static void key_put(struct netlink_request *request, uint16_t type, uint32_t first, uint32_t address)
{
        const uint32_t key[2] = {first, htonl(address)};
        size_t nest = netlink_nest(request, type);

        netlink_put(request, NFTA_DATA_VALUE, key, sizeof(key));
        netlink_nest_end(request, nest);
}

static void names_put(struct netlink_request *request, uint16_t type, uint16_t flags, uint32_t interface,
                      const uint32_t *addresses, size_t count, uint32_t ttl_s)
{
        uint64_t timeout_ms = htobe64((uint64_t)ttl_s * 1000);
        size_t list;

        elements_begin(request, type, flags, "names", &list);
        for (size_t i = 0; i < count; i++) {
                size_t element = netlink_nest(request, NFTA_LIST_ELEM);
                /* An index is a number of the host's in a set of single values. */
                key_put(request, NFTA_SET_ELEM_KEY, interface, addresses[i]);
                if (type == NFT_MSG_NEWSETELEM)
                        netlink_put(request, NFTA_SET_ELEM_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
                netlink_nest_end(request, element);
        }
        netlink_nest_end(request, list);
}

int sets_names_add(int fd, uint32_t interface, const uint32_t *addresses, size_t count, uint32_t ttl_s)
{
        struct netlink_request request = {.used = 0};

        assert(count <= SETS_ELEMENTS_MAX);
        /* An element that is there would keep its old time: all are there, none is, all are there anew. */
        batch_mark(&request, NFNL_MSG_BATCH_BEGIN);
        names_put(&request, NFT_MSG_NEWSETELEM, NLM_F_CREATE, interface, addresses, count, ttl_s);
        names_put(&request, NFT_MSG_DELSETELEM, 0, interface, addresses, count, 0);
        names_put(&request, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_ACK, interface, addresses, count, ttl_s);
        batch_mark(&request, NFNL_MSG_BATCH_END);
        return netlink_send(fd, &request);
}

int sets_ranges_change(int fd, bool add, uint32_t group, const struct ipv4_range *ranges, size_t count)
{
        struct netlink_request request = {.used = 0};
        uint16_t flags = add ? NLM_F_CREATE | NLM_F_ACK : NLM_F_ACK;
        size_t list;

        assert(count <= SETS_ELEMENTS_MAX);
        batch_mark(&request, NFNL_MSG_BATCH_BEGIN);
        elements_begin(&request, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, flags, "ranges", &list);
        for (size_t i = 0; i < count; i++) {
                uint32_t behind = ranges[i].prefix == 0    ? UINT32_MAX
                                  : ranges[i].prefix == 32 ? 0
                                                           : UINT32_MAX >> ranges[i].prefix;
                size_t element = netlink_nest(&request, NFTA_LIST_ELEM);
                /* In a set of intervals all is in network order. */
                key_put(&request, NFTA_SET_ELEM_KEY, htonl(group), ranges[i].address);
                key_put(&request, NFTA_SET_ELEM_KEY_END, htonl(group), ranges[i].address | behind);
                netlink_nest_end(&request, element);
        }
        netlink_nest_end(&request, list);
        batch_mark(&request, NFNL_MSG_BATCH_END);
        return netlink_send(fd, &request);
}
