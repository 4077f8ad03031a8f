/* The persistent map: every version stays what it was, and nothing of a dropped one is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hamt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 20000, ROUNDS = 3000 };

static atomic_long live;

static void value_ref(void *value)
{
        (void)value;
        atomic_fetch_add(&live, 1);
}

static void value_unref(void *value)
{
        (void)value;
        atomic_fetch_sub(&live, 1);
}

static const struct hamt_ops ops = {value_ref, value_unref};

static struct str key_of(char space[32], long number)
{
        return (struct str){space, (size_t)snprintf(space, 32, "key %ld", number)};
}

static void set(struct hamt *map, long number, long value)
{
        char space[32];

        assert_int_equal(hamt_set(map, key_of(space, number), (void *)value), ERR_OK);
}

static long get(const struct hamt *map, long number)
{
        char space[32];

        return (long)hamt_get(map, key_of(space, number));
}

static void what_was_set_is_found_and_what_was_removed_is_not(void **state)
{
        struct hamt map;
        char space[32];

        (void)state;
        hamt_init(&map, &ops);
        for (long i = 1; i <= KEYS; i++)
                set(&map, i, i);
        assert_int_equal(map.count, KEYS);
        for (long i = 1; i <= KEYS; i += 2)
                assert_int_equal(hamt_remove(&map, key_of(space, i)), ERR_OK);
        assert_int_equal(map.count, KEYS / 2);
        for (long i = 1; i <= KEYS; i++)
                assert_int_equal(get(&map, i), i % 2 == 1 ? 0 : i);
        assert_int_equal(get(&map, KEYS + 1), 0);
        hamt_finish(&map);
        assert_int_equal(atomic_load(&live), 0);
}

static void a_version_does_not_change_when_the_next_is_made(void **state)
{
        struct hamt map, before;
        char space[32];

        (void)state;
        hamt_init(&map, &ops);
        for (long i = 1; i <= KEYS; i++)
                set(&map, i, i);
        before = hamt_share(&map);
        for (long i = 1; i <= KEYS; i += 3)
                set(&map, i, i + 1);
        for (long i = 2; i <= KEYS; i += 3)
                hamt_remove(&map, key_of(space, i));
        for (long i = 1; i <= KEYS; i++)
                assert_int_equal(get(&before, i), i);
        assert_int_equal(before.count, KEYS);
        hamt_finish(&map);
        hamt_finish(&before);
        assert_int_equal(atomic_load(&live), 0);
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
        struct hamt map;

        (void)state;
        hamt_init(&map, &ops);
        assert_int_equal(hamt_remove(&map, STR("x")), ERR_OK);
        assert_int_equal(hamt_set(&map, STR(""), (void *)7L), ERR_OK);
        assert_int_equal(hamt_remove(&map, STR("x")), ERR_OK);
        assert_int_equal((long)hamt_get(&map, STR("")), 7);
        hamt_finish(&map);
        assert_int_equal(atomic_load(&live), 0);
}

static bool add_up(void *arg, struct str key, void *value)
{
        (void)key;
        *(long *)arg += (long)value;
        return true;
}

static void each_visits_every_value_once(void **state)
{
        struct hamt map;
        long sum = 0;

        (void)state;
        hamt_init(&map, &ops);
        for (long i = 1; i <= 1000; i++)
                set(&map, i, i);
        hamt_each(&map, add_up, &sum);
        assert_int_equal(sum, 500500);
        hamt_finish(&map);
}

static void *read_version(void *arg)
{
        struct hamt *map = arg;

        for (long i = 1; i <= 100; i++) {
                if (get(map, i) != i)
                        abort();
        }
        hamt_finish(map);
        return NULL;
}

static void versions_may_be_read_and_dropped_by_other_threads(void **state)
{
        struct hamt map, shared;
        pthread_t thread;

        (void)state;
        hamt_init(&map, &ops);
        for (long i = 1; i <= 100; i++)
                set(&map, i, i);
        for (long round = 0; round < ROUNDS / 100; round++) {
                shared = hamt_share(&map);
                assert_int_equal(pthread_create(&thread, NULL, read_version, &shared), 0);
                for (long i = 1; i <= 100; i++)
                        set(&map, 1000 + i, round);
                pthread_join(thread, NULL);
        }
        hamt_finish(&map);
        assert_int_equal(atomic_load(&live), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_set_is_found_and_what_was_removed_is_not),
                cmocka_unit_test(a_version_does_not_change_when_the_next_is_made),
                cmocka_unit_test(removing_what_is_not_there_changes_nothing),
                cmocka_unit_test(each_visits_every_value_once),
                cmocka_unit_test(versions_may_be_read_and_dropped_by_other_threads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
