/* What waits, counted; and what the host says about its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/local/budget.h"

static const char plenty[] =
        "MemTotal:       16000000 kB\nMemFree:         100000 kB\nMemAvailable:    9000000 kB\n";
static const char little[] =
        "MemTotal:       16000000 kB\nMemFree:         100000 kB\nMemAvailable:     700000 kB\n";
static const char calm[] =
        "some avg10=0.12 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 total=1\n";
static const char stalled[] =
        "some avg10=32.10 avg60=9.00 avg300=2.00 total=9\nfull avg10=20.00 avg60=1.0 total=1\n";

static void what_waits_is_counted_by_class_and_only_once(void **state)
{
        struct budget budget;
        struct budget_item one = {0}, two = {0};

        (void)state;
        budget_init(&budget, 1000);
        budget_set(&budget, &one, BUDGET_IDLE, 600);
        budget_set(&budget, &one, BUDGET_IDLE, 600);
        assert_int_equal(atomic_load(&budget.counts[BUDGET_IDLE]), 1);
        assert_int_equal(budget_over(&budget), 0);
        assert_false(budget_is_short(&budget));
        budget_set(&budget, &two, BUDGET_TEMPLATE, 700);
        assert_int_equal(budget_over(&budget), 300);
        assert_true(budget_is_short(&budget));
        budget_set(&budget, &one, BUDGET_NONE, 600); /* it runs: what it held is only remembered */
        assert_int_equal(budget_over(&budget), 0);
        assert_int_equal(one.bytes, 600);
        budget_set(&budget, &two, BUDGET_NONE, 0);
        budget_set(&budget, &one, BUDGET_NONE, 0);
        for (int i = 0; i < BUDGET_CLASSES; i++) {
                assert_int_equal(atomic_load(&budget.bytes[i]), 0);
                assert_int_equal(atomic_load(&budget.counts[i]), 0);
        }
}

static void without_a_limit_the_host_alone_decides(void **state)
{
        struct budget budget;
        struct budget_item one = {0};

        (void)state;
        budget_init(&budget, 0);
        budget_set(&budget, &one, BUDGET_IDLE, 1ULL << 40);
        budget_judge(&budget, plenty, calm);
        assert_int_equal(budget_over(&budget), 0);
        budget_judge(&budget, little, calm);
        assert_int_equal(budget_over(&budget), (800000ULL - 700000) << 10);
        assert_true(budget_is_short(&budget));
}

static void tasks_that_stall_for_memory_ask_for_some_back(void **state)
{
        struct budget budget;

        (void)state;
        budget_init(&budget, 0);
        budget_judge(&budget, plenty, stalled);
        assert_int_equal(budget_over(&budget), (16000000ULL << 10) / 50);
        budget_judge(&budget, plenty, "");
        assert_int_equal(budget_over(&budget), 0);
        budget_judge(&budget, "", "");
        assert_int_equal(budget_over(&budget), 0);
        budget_look(&budget); /* this host's, whatever it says */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_waits_is_counted_by_class_and_only_once),
                cmocka_unit_test(without_a_limit_the_host_alone_decides),
                cmocka_unit_test(tasks_that_stall_for_memory_ask_for_some_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
