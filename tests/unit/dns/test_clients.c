/* tests/unit/dns/test_clients.c: who may ask for what, and what is open to whom. */
#include "dns/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { POOL = 0x64400000, HOST = POOL + 20 };

static struct clients clients;

static int setup(void **state)
{
        const struct ipv4_range pool = {POOL, 24};

        (void)state;
        return clients_init(&clients, &pool, NULL) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        clients_finish(&clients);
        return 0;
}

static void add(uint32_t address, bool restricted, const char *names, size_t len)
{
        struct egress_client said = {.op = EGRESS_CLIENT, .address = address, .restricted = restricted};

        memcpy(said.names, names, len);
        assert_int_equal(clients_set(&clients, &said, NULL), ERR_OK);
}

static void only_who_was_announced_is_known(void **state)
{
        struct egress_client outside = {.op = EGRESS_CLIENT, .address = POOL + 256};

        (void)state;
        assert_null(clients_find(&clients, HOST));
        assert_null(clients_find(&clients, 0));
        assert_null(clients_find(&clients, POOL + 256));
        assert_int_equal(clients_set(&clients, &outside, NULL), ERR_INVALID);
        add(HOST, false, "", 0);
        assert_non_null(clients_find(&clients, HOST));
        clients_remove(&clients, HOST);
        assert_null(clients_find(&clients, HOST));
        clients_remove(&clients, POOL + 256);
}

static void a_restricted_one_asks_for_names_of_its_list(void **state)
{
        (void)state;
        add(HOST, true, "a.example\0*.b.example", sizeof("a.example\0*.b.example"));
        const struct client *client = clients_find(&clients, HOST);
        assert_true(client_may_ask(client, STR("a.example")));
        assert_true(client_may_ask(client, STR("x.b.example")));
        assert_false(client_may_ask(client, STR("b.example")));
        assert_false(client_may_ask(client, STR("c.example")));
        add(HOST + 1, true, "", 0);
        assert_false(client_may_ask(clients_find(&clients, HOST + 1), STR("a.example")));
        add(HOST + 2, false, "", 0);
        assert_true(client_may_ask(clients_find(&clients, HOST + 2), STR("anything")));
}

static void the_next_at_an_address_has_nothing_of_the_one_before(void **state)
{
        (void)state;
        add(HOST, true, "a.example", sizeof("a.example"));
        struct client *first = clients_find(&clients, HOST);
        uint32_t serial = first->serial;
        assert_true(client_open(first, 1, 5000, 0));
        add(HOST, true, "b.example", sizeof("b.example"));
        const struct client *second = clients_find(&clients, HOST);
        assert_int_not_equal(second->serial, serial);
        assert_false(client_may_ask(second, STR("a.example")));
        assert_false(client_has_open(second, 1, 0));
}

static void what_is_open_is_known_until_it_runs_out(void **state)
{
        (void)state;
        add(HOST, true, "", 0);
        struct client *client = clients_find(&clients, HOST);
        assert_false(client_has_open(client, 1, 100));
        assert_true(client_open(client, 1, 1000, 0));
        assert_true(client_has_open(client, 1, 1000));
        assert_false(client_has_open(client, 1, 1001));
        assert_false(client_has_open(client, 2, 0));
        assert_true(client_open(client, 1, 2000, 500));
        assert_true(client_has_open(client, 1, 2000));
        assert_int_equal(client->opened_count, 1);
}

static void no_more_is_open_than_there_is_room_for(void **state)
{
        (void)state;
        add(HOST, true, "", 0);
        struct client *client = clients_find(&clients, HOST);
        for (uint32_t i = 0; i < CLIENTS_OPEN_MAX; i++)
                assert_true(client_open(client, 1000 + i, 1000 + i, 0));
        assert_false(client_open(client, 1, 9000, 500));
        assert_true(client_open(client, 1, 9000, 1000)); /* the first has run out */
        assert_false(client_has_open(client, 1000, 0));
        assert_int_equal(client->opened_count, CLIENTS_OPEN_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(only_who_was_announced_is_known, setup, teardown),
                cmocka_unit_test_setup_teardown(a_restricted_one_asks_for_names_of_its_list, setup, teardown),
                cmocka_unit_test_setup_teardown(the_next_at_an_address_has_nothing_of_the_one_before, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(what_is_open_is_known_until_it_runs_out, setup, teardown),
                cmocka_unit_test_setup_teardown(no_more_is_open_than_there_is_room_for, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
