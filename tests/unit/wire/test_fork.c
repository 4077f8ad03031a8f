/* tests/unit/wire/test_fork.c: what spawn takes from a fork server, and what it does not. */
#include "wire/fork.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static bool valid(struct fork_answer answer)
{
        return fork_answer_valid(&answer, sizeof(answer));
}

static void an_answer_names_a_process_or_what_failed(void **state)
{
        (void)state;
        assert_true(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .pid = 3}));
        assert_true(
                valid((struct fork_answer){.op = FORK_DONE, .id = 1, .step = FORK_STEP_JOIN, .error = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .pid = -1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .pid = 3, .error = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .step = FORK_STEP_JOIN}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .step = 1, .pid = 3, .error = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .id = 1, .step = 1, .error = 5000}));
        assert_false(valid(
                (struct fork_answer){.op = FORK_DONE, .id = 1, .step = FORK_STEP_FORK + 1, .error = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_DONE, .pid = 3}));
}

static void parked_says_nothing_else(void **state)
{
        (void)state;
        assert_true(valid((struct fork_answer){.op = FORK_PARKED}));
        assert_false(valid((struct fork_answer){.op = FORK_PARKED, .id = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_PARKED, .pid = 1}));
        assert_false(valid((struct fork_answer){.op = FORK_PARKED, .error = 1}));
}

static void what_spawn_says_is_no_answer(void **state)
{
        struct fork_answer answer = {.op = FORK_PARKED};

        (void)state;
        assert_false(valid((struct fork_answer){.op = FORK_HELLO}));
        assert_false(valid((struct fork_answer){.op = FORK_START, .id = 1, .pid = 1}));
        assert_false(fork_answer_valid(&answer, 0));
        assert_false(fork_answer_valid(&answer, sizeof(answer) - 1));
        assert_false(fork_answer_valid(&answer, sizeof(answer) + 1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_names_a_process_or_what_failed),
                cmocka_unit_test(parked_says_nothing_else),
                cmocka_unit_test(what_spawn_says_is_no_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
