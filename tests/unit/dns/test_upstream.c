/* tests/unit/dns/test_upstream.c: resolv.conf as the host has it, and the host's own addresses. */
#include "dns/upstream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_storage servers[UPSTREAM_SERVERS_MAX];

static const char *address_of(const struct sockaddr_storage *server)
{
        static char text[INET6_ADDRSTRLEN];
        const void *at =
                server->ss_family == AF_INET
                        ? (const void *)&((const struct sockaddr_in *)(const void *)server)->sin_addr
                        : (const void *)&((const struct sockaddr_in6 *)(const void *)server)->sin6_addr;

        return inet_ntop(server->ss_family, at, text, sizeof(text));
}

static void servers_are_read_and_everything_else_passed_over(void **state)
{
        (void)state;
        assert_int_equal(upstream_parse(STR("# nameserver 1.1.1.1\n"
                                            "search example.com\n"
                                            "nameserver 127.0.0.53\n"
                                            "nameserver\t 2001:db8::53   # by hand\n"
                                            "nameserver1.2.3.4\n"
                                            "nameserver nonsense\n"
                                            "options edns0\n"
                                            "nameserver 10.0.0.1"),
                                        servers),
                         3);
        assert_string_equal(address_of(&servers[0]), "127.0.0.53");
        assert_string_equal(address_of(&servers[1]), "2001:db8::53");
        assert_string_equal(address_of(&servers[2]), "10.0.0.1");
        assert_int_equal(((const struct sockaddr_in *)(const void *)&servers[0])->sin_port, htons(53));
}

static void there_is_a_bound_of_servers(void **state)
{
        (void)state;
        assert_int_equal(upstream_parse(STR("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
                                            "nameserver 10.0.0.4\nnameserver 10.0.0.5\n"),
                                        servers),
                         UPSTREAM_SERVERS_MAX);
}

static void tries_go_round_and_without_a_file_the_host_is_asked(void **state)
{
        struct upstream upstream;
        char path[] = "/tmp/dispatch-resolv-XXXXXX";
        socklen_t len;
        int fd = mkostemp(path, O_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        assert_true(write(fd, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n", 40) == 40);
        close(fd);
        upstream_init(&upstream, path);
        for (unsigned i = 0; i < 3; i++) {
                const struct sockaddr *server = upstream_server(&upstream, i, &len);
                assert_int_equal(len, sizeof(struct sockaddr_in));
                assert_string_equal(address_of((const struct sockaddr_storage *)(const void *)server),
                                    i % 2 == 0 ? "10.0.0.1" : "10.0.0.2");
        }
        assert_int_equal(unlink(path), 0);
        upstream_init(&upstream, path);
        assert_string_equal(address_of((const struct sockaddr_storage *)(const void *)upstream_server(
                                    &upstream, 0, &len)),
                            "127.0.0.1");
}

static void the_hosts_own_addresses_are_known(void **state)
{
        struct upstream upstream;

        (void)state;
        upstream_init(&upstream, "/nonexistent");
        assert_true(upstream_is_local(&upstream, 0x7f000001));
        assert_false(upstream_is_local(&upstream, 0xc6336401)); /* 198.51.100.1 */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(servers_are_read_and_everything_else_passed_over),
                cmocka_unit_test(there_is_a_bound_of_servers),
                cmocka_unit_test(tries_go_round_and_without_a_file_the_host_is_asked),
                cmocka_unit_test(the_hosts_own_addresses_are_known),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
