/* Who gets the host's next instance: organizations first, then functions, then whoever waits longest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/local/fair.h"

#include <poll.h>

static struct loop *loops[2];
static struct fair *fair;
static unsigned turns[2];

static void turn(void *ctx, size_t home)
{
        assert_ptr_equal(ctx, &fair);
        turns[home]++;
}

static void make(uint32_t max)
{
        turns[0] = turns[1] = 0;
        assert_int_equal(loop_create(&loops[0], NULL), ERR_OK);
        assert_int_equal(loop_create(&loops[1], NULL), ERR_OK);
        assert_int_equal(fair_create(loops, 2, max, turn, &fair, &fair, NULL), ERR_OK);
}

static int stop(void **state)
{
        (void)state;
        fair_destroy(fair);
        loop_destroy(loops[0]);
        loop_destroy(loops[1]);
        return 0;
}

static struct fair_claim claim(const char *organization, size_t home)
{
        struct fair_claim made;

        assert_int_equal(fair_claim_init(fair, &made, organization, home, NULL, NULL), ERR_OK);
        return made;
}

static void a_full_host_lets_the_next_wait_for_its_turn(void **state)
{
        struct fair_claim a, b;

        (void)state;
        make(1);
        a = claim("one", 0);
        b = claim("two", 1);
        b.pool = &b;
        assert_true(fair_enter(fair, &a, true));
        assert_false(fair_enter(fair, &b, false));
        assert_int_equal(fair_hungry(fair), 0); /* it did not want to wait */
        assert_false(fair_enter(fair, &b, true));
        assert_int_equal(fair_hungry(fair), 1);
        assert_null(fair_next(fair, 1));
        loop_step(loops[0], false);
        loop_step(loops[1], false);
        assert_int_equal(turns[0], 1); /* each home may have something to give */
        assert_int_equal(turns[1], 1);
        fair_leave(fair, &a);
        loop_step(loops[1], false);
        assert_int_equal(turns[1], 2);
        assert_ptr_equal(fair_next(fair, 1), &b);
        assert_null(fair_next(fair, 0));
        assert_false(fair_enter(fair, &a, true)); /* it is the other's turn */
        assert_true(fair_enter(fair, &b, true));
        assert_int_equal(fair_used(fair), 1);
        fair_leave(fair, &b);
        fair_claim_finish(fair, &a);
        fair_claim_finish(fair, &b);
        assert_int_equal(fair_hungry(fair), 0);
}

static void the_organization_with_the_fewest_comes_first_then_the_function(void **state)
{
        struct fair_claim rich, sibling, poor;

        (void)state;
        make(3);
        rich = claim("big", 0);
        sibling = claim("big", 0);
        poor = claim("small", 0);
        rich.pool = &rich;
        sibling.pool = &sibling;
        poor.pool = &poor;
        for (int i = 0; i < 3; i++)
                assert_true(fair_enter(fair, &rich, true));
        assert_false(fair_enter(fair, &rich, true));
        assert_false(fair_enter(fair, &sibling, true));
        assert_false(fair_enter(fair, &poor, true));
        assert_true(fair_yield(fair, &rich)); /* for the poor one: three of one against none of the other */
        fair_leave(fair, &rich);
        assert_ptr_equal(fair_next(fair, 0), &poor);
        assert_true(fair_enter(fair, &poor, true));
        assert_true(fair_yield(fair, &rich)); /* two against none of the same organization */
        assert_true(fair_yield(fair, &rich)); /* as many as wait */
        assert_false(fair_yield(fair, &rich));
        fair_leave(fair, &rich);
        assert_ptr_equal(fair_next(fair, 0), &sibling);
        fair_forget(fair, &sibling);
        fair_forget(fair, &rich);
        fair_leave(fair, &rich);
        fair_leave(fair, &poor);
        fair_claim_finish(fair, &rich);
        fair_claim_finish(fair, &sibling);
        fair_claim_finish(fair, &poor);
}

static void equals_do_not_take_from_each_other(void **state)
{
        struct fair_claim a, b;

        (void)state;
        make(3);
        a = claim("one", 0);
        b = claim("two", 1);
        assert_true(fair_enter(fair, &a, true));
        assert_true(fair_enter(fair, &a, true));
        assert_true(fair_enter(fair, &b, true));
        assert_false(fair_enter(fair, &b, true));
        b.since_us = 0; /* it waits since for ever, and has one */
        assert_false(fair_yield(fair, &a));
        assert_false(fair_yield(fair, &b));
        fair_forget(fair, &b);
        fair_leave(fair, &a);
        fair_leave(fair, &a);
        fair_leave(fair, &b);
        fair_claim_finish(fair, &a);
        fair_claim_finish(fair, &b);
}

static void who_has_none_is_let_in_after_a_while(void **state)
{
        struct fair_claim a, b;

        (void)state;
        make(1);
        a = claim("one", 0);
        b = claim("one", 0);
        assert_true(fair_enter(fair, &a, true));
        assert_false(fair_enter(fair, &b, true));
        assert_false(fair_yield(fair, &a));
        b.since_us = 0;
        assert_true(fair_yield(fair, &a));
        fair_leave(fair, &a);
        assert_true(fair_enter(fair, &b, true));
        fair_leave(fair, &b);
        fair_claim_finish(fair, &a);
        fair_claim_finish(fair, &b);
}

static void idle_ones_go_as_often_as_somebody_waits(void **state)
{
        struct fair_claim a, b;

        (void)state;
        make(2);
        a = claim("one", 0);
        b = claim("one", 0);
        assert_true(fair_enter(fair, &a, true));
        assert_true(fair_enter(fair, &a, true));
        assert_false(fair_evict(fair));
        assert_false(fair_enter(fair, &b, true));
        assert_true(fair_evict(fair));
        assert_false(fair_evict(fair));
        assert_false(fair_enter_spare(fair));
        fair_leave(fair, &a);
        assert_false(fair_enter_spare(fair)); /* not before who waits */
        assert_true(fair_enter(fair, &b, true));
        fair_leave(fair, &a);
        assert_false(fair_enter_spare(fair)); /* the last place is for a function */
        fair_leave(fair, &b);
        assert_true(fair_enter_spare(fair));
        fair_leave(fair, NULL);
        fair_claim_finish(fair, &a);
        fair_claim_finish(fair, &b);
}

static void a_turn_that_was_posted_does_not_come_after_the_end(void **state)
{
        struct fair_claim a;

        (void)state;
        make(0);
        a = claim("one", 0);
        assert_false(fair_enter(fair, &a, true));
        fair_claim_finish(fair, &a);
        fair_destroy(fair);
        fair = NULL;
        loop_step(loops[0], false);
        loop_step(loops[1], false);
        assert_int_equal(turns[0] + turns[1], 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(a_full_host_lets_the_next_wait_for_its_turn, stop),
                cmocka_unit_test_teardown(the_organization_with_the_fewest_comes_first_then_the_function,
                                          stop),
                cmocka_unit_test_teardown(equals_do_not_take_from_each_other, stop),
                cmocka_unit_test_teardown(who_has_none_is_let_in_after_a_while, stop),
                cmocka_unit_test_teardown(idle_ones_go_as_often_as_somebody_waits, stop),
                cmocka_unit_test_teardown(a_turn_that_was_posted_does_not_come_after_the_end, stop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
