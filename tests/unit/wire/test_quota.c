/* Limits of organizations, as the command line says them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/quota.h"

static void reads_each_part_or_none(void **state)
{
        struct quota quota;

        (void)state;
        assert_int_equal(quota_parse(STR("acme:memory=4096:cpu=2500:processes=100"), &quota, NULL), ERR_OK);
        assert_string_equal(quota.group, "acme");
        assert_int_equal(quota.memory_mib, 4096);
        assert_int_equal(quota.cpu_millicores, 2500);
        assert_int_equal(quota.processes, 100);
        assert_int_equal(quota_parse(STR("acme"), &quota, NULL), ERR_OK);
        assert_int_equal(quota.memory_mib + quota.cpu_millicores + quota.processes, 0);
}

static void refuses_what_is_none_and_names_it(void **state)
{
        static const struct {
                const char *text, *why;
        } cases[] = {
                {"", "'' does not begin with an organization"},
                {":memory=1", "':memory=1' does not begin with an organization"},
                {"a:memory", "a: memory must be a number from 1 to 67108864"},
                {"a:memory=0", "a: memory must be a number from 1 to 67108864"},
                {"a:cpu=-1", "a: cpu must be a number from 1 to 67108864"},
                {"a:cpu=1:cpu=2", "a: cpu is there twice"},
                {"a:disk=1", "a: 'disk=1' is none of memory=MIB, cpu=MILLICORES and processes=N"},
        };
        struct quota quota;
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(quota_parse(str_of(cases[i].text), &quota, &err), ERR_INVALID);
                assert_string_equal(err.text, cases[i].why);
        }
}

static void an_organization_of_its_own_line_comes_before_the_one_for_all(void **state)
{
        struct quota quotas[2];
        char group[SPAWN_GROUP_MAX];

        (void)state;
        assert_int_equal(quota_parse(STR("*:memory=1"), &quotas[0], NULL), ERR_OK);
        assert_int_equal(quota_parse(STR("Acme & Sons:memory=2"), &quotas[1], NULL), ERR_OK);
        spawn_group("Acme & Sons", group); /* in frames and folders it has another name */
        assert_ptr_equal(quota_find(quotas, 2, group), &quotas[1]);
        assert_ptr_equal(quota_find(quotas, 2, "other"), &quotas[0]);
        assert_null(quota_find(quotas + 1, 1, "other"));
        assert_null(quota_find(NULL, 0, "other"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_each_part_or_none),
                cmocka_unit_test(refuses_what_is_none_and_names_it),
                cmocka_unit_test(an_organization_of_its_own_line_comes_before_the_one_for_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
