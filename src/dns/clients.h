/*
 * dns/clients.h: the sandboxes that may ask, what each may ask for, and what the kernel lets the restricted
 * ones reach already, so that it is not asked again for every answer.
 */
#ifndef DISPATCH_DNS_CLIENTS_H
#define DISPATCH_DNS_CLIENTS_H

#include "base/err.h"
#include "base/ipv4.h"
#include "wire/egress.h"

#include <stddef.h>
#include <stdint.h>

enum { CLIENTS_OPEN_MAX = 512 }; /* addresses that one may reach at a time by names */

struct client_address {
        uint32_t address;
        uint64_t until_ms;
};

struct client {
        uint32_t serial; /* unlike that of any before it at this address */
        bool restricted;
        unsigned waiting; /* questions under way */
        unsigned streams;
        char *names; /* items of its allow-list, a NUL behind each; NULL: none */
        size_t names_len;
        struct client_address *opened; /* CLIENTS_OPEN_MAX of them, once there is one */
        size_t opened_count;
};

struct clients {
        uint32_t serial;
        struct ipv4_range pool;
        struct client **table; /* one for each address of the pool */
};

/* A pool of 2^20 addresses at most. */
enum err_code clients_init(struct clients *clients, const struct ipv4_range *pool, struct err *err);
void clients_finish(struct clients *clients);

/* A client that is there is replaced. */
enum err_code clients_set(struct clients *clients, const struct egress_client *said, struct err *err);
void clients_remove(struct clients *clients, uint32_t address);
/* NULL: nobody that may ask. */
struct client *clients_find(const struct clients *clients, uint32_t address);

bool client_may_ask(const struct client *client, struct str name);

/* Whether the kernel lets it reach the address until then. */
bool client_has_open(const struct client *client, uint32_t address, uint64_t until_ms);
/* False: there is no room; some of what it has must run out first. */
bool client_open(struct client *client, uint32_t address, uint64_t until_ms, uint64_t now_ms);

#endif
