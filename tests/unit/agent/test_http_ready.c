/* tests/unit/agent/test_http_ready.c: which ports something listens on, as the kernel tells it. */
#include "runtimes/http/ready.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
#define LINE(local, state)                                                                                   \
        "   0: " local " 00000000:0000 " state " 00000000:00000000 00:00000000 00000000 1000\n"

static void reads(const char *table, const char *want)
{
        char ports[64] = "";

        ready_ports(str_of(table), ports, sizeof(ports));
        assert_string_equal(ports, want);
}

static void names_what_listens(void **state)
{
        (void)state;
        reads(HEAD LINE("0100007F:1F90", "0A") LINE("00000000:0050", "0A"), "8080, 80");
        reads(HEAD LINE("00000000000000000000000001000000:0BB8", "0A"), "3000");
}

static void leaves_out_connections_and_what_is_known(void **state)
{
        (void)state;
        reads(HEAD LINE("0100007F:1F90", "01") LINE("0100007F:1F90", "06"), "");
        reads(HEAD LINE("0100007F:1F90", "0A") LINE("00000000:1F90", "0A"), "8080");
        reads(HEAD LINE("0100007F:0050", "0A") LINE("00000000:1F90", "0A"), "80, 8080");
}

static void makes_nothing_of_what_it_does_not_know(void **state)
{
        (void)state;
        reads("", "");
        reads(HEAD "\n\nrubbish\n" LINE("x", "0A") LINE("0100007F:zzzz", "0A") LINE("0100007F:1F9", "0A"),
              "");
}

static void a_list_that_does_not_fit_is_cut_between_ports(void **state)
{
        char ports[16] = "";

        (void)state;
        ready_ports(STR(HEAD LINE("0:2710", "0A") LINE("0:2711", "0A") LINE("0:2712", "0A")), ports,
                    sizeof(ports));
        assert_string_equal(ports, "10000, 10001");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_what_listens),
                cmocka_unit_test(leaves_out_connections_and_what_is_known),
                cmocka_unit_test(makes_nothing_of_what_it_does_not_know),
                cmocka_unit_test(a_list_that_does_not_fit_is_cut_between_ports),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
