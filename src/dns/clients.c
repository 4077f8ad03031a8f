/* dns/clients.c: the table of clients. */
#include "dns/clients.h"

#include <stdlib.h>
#include <string.h>

enum { POOL_PREFIX_MIN = 12 };

static size_t pool_size(const struct clients *clients)
{
        return (size_t)1 << (32 - clients->pool.prefix);
}

enum err_code clients_init(struct clients *clients, const struct ipv4_range *pool, struct err *err)
{
        if (pool->prefix < POOL_PREFIX_MIN || pool->prefix > 32)
                return err_set(err, ERR_INVALID, "a pool of that size");
        struct clients made = {.pool = *pool};
        made.table = calloc(pool_size(&made), sizeof(struct client *));
        if (made.table == NULL)
                return err_nomem(err);
        *clients = made;
        return ERR_OK;
}

static void client_free(struct client *client)
{
        if (client == NULL)
                return;
        free(client->names);
        free(client->opened);
        free(client);
}

void clients_finish(struct clients *clients)
{
        if (clients->table == NULL)
                return;
        for (size_t i = 0; i < pool_size(clients); i++)
                client_free(clients->table[i]);
        free(clients->table);
        *clients = (struct clients){.table = NULL};
}

static struct client **slot_of(const struct clients *clients, uint32_t address)
{
        if (clients->table == NULL || !ipv4_range_has(&clients->pool, address))
                return NULL;
        return &clients->table[address - clients->pool.address];
}

struct client *clients_find(const struct clients *clients, uint32_t address)
{
        struct client **slot = slot_of(clients, address);

        return slot != NULL ? *slot : NULL;
}

static size_t names_length(const char *names)
{
        size_t at = 0;

        /* The last of the frame is a NUL (forward.c), so each item ends in it. */
        while (at < EGRESS_NAMES_MAX && names[at] != '\0')
                at += strlen(names + at) + 1;
        return at;
}

enum err_code clients_set(struct clients *clients, const struct egress_client *said, struct err *err)
{
        struct client **slot = slot_of(clients, said->address);
        struct client *client = slot != NULL ? calloc(1, sizeof(*client)) : NULL;

        if (slot == NULL)
                return err_set(err, ERR_INVALID, "a client that is not of the pool");
        if (client == NULL)
                return err_nomem(err);
        client->serial = ++clients->serial;
        client->restricted = said->restricted != 0;
        client->names_len = names_length(said->names);
        if (client->names_len > 0) {
                client->names = malloc(client->names_len);
                if (client->names == NULL) {
                        client_free(client);
                        return err_nomem(err);
                }
                memcpy(client->names, said->names, client->names_len);
        }
        client_free(*slot);
        *slot = client;
        return ERR_OK;
}

void clients_remove(struct clients *clients, uint32_t address)
{
        struct client **slot = slot_of(clients, address);

        if (slot == NULL)
                return;
        client_free(*slot);
        *slot = NULL;
}

bool client_may_ask(const struct client *client, struct str name)
{
        if (!client->restricted)
                return true;
        for (size_t at = 0; at < client->names_len;) {
                struct str item = str_of(client->names + at);
                if (allow_host_matches(item, name))
                        return true;
                at += item.len + 1;
        }
        return false;
}

bool client_has_open(const struct client *client, uint32_t address, uint64_t until_ms)
{
        for (size_t i = 0; i < client->opened_count; i++) {
                if (client->opened[i].address == address)
                        return client->opened[i].until_ms >= until_ms;
        }
        return false;
}

/* The place of the address, or one that has run out, or a new one. NULL: none. */
static struct client_address *place_find(struct client *client, uint32_t address, uint64_t now_ms)
{
        struct client_address *free_one = NULL;

        for (size_t i = 0; i < client->opened_count; i++) {
                if (client->opened[i].address == address)
                        return &client->opened[i];
                if (client->opened[i].until_ms <= now_ms)
                        free_one = &client->opened[i];
        }
        if (free_one == NULL && client->opened_count < CLIENTS_OPEN_MAX)
                free_one = &client->opened[client->opened_count++];
        return free_one;
}

bool client_open(struct client *client, uint32_t address, uint64_t until_ms, uint64_t now_ms)
{
        if (client->opened == NULL)
                client->opened = calloc(CLIENTS_OPEN_MAX, sizeof(*client->opened));
        if (client->opened == NULL)
                return false;
        struct client_address *place = place_find(client, address, now_ms);
        if (place == NULL)
                return false;
        *place = (struct client_address){address, until_ms};
        return true;
}
