/* The hub: what is published is seen by every loop before its publisher hears of it, and old pictures stay
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/snapshot.h"

#include <pthread.h>

enum { LOOPS = 3, FUNCTIONS = 500 };

static struct loop *control, *loops[LOOPS];
static pthread_t threads[LOOPS];
static struct snapshot_hub *hub;

static void *run(void *arg)
{
        loop_run(arg);
        return NULL;
}

static int start(void **state)
{
        (void)state;
        assert_int_equal(loop_create(&control, NULL), ERR_OK);
        for (size_t i = 0; i < LOOPS; i++)
                assert_int_equal(loop_create(&loops[i], NULL), ERR_OK);
        assert_int_equal(snapshot_hub_create(control, loops, LOOPS, &hub, NULL), ERR_OK);
        for (size_t i = 0; i < LOOPS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, run, loops[i]), 0);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        for (size_t i = 0; i < LOOPS; i++) {
                loop_stop(loops[i]);
                pthread_join(threads[i], NULL);
        }
        snapshot_hub_destroy(hub);
        for (size_t i = 0; i < LOOPS; i++)
                loop_destroy(loops[i]);
        loop_destroy(control);
        return 0;
}

static void put(const char *name, enum function_state state)
{
        struct function_entry *entry = function_entry_create("", state, NULL, NULL);

        assert_non_null(entry);
        assert_int_equal(snapshot_put_function(hub, STR("org"), STR("p"), str_of(name), entry, NULL), ERR_OK);
        function_entry_unref(entry);
}

static void done(void *arg)
{
        *(bool *)arg = true;
}

static void publish(void)
{
        bool published = false;

        snapshot_publish(hub, done, &published);
        while (!published)
                loop_step(control, true);
}

/* Reads the loop's snapshot on that loop's own thread. */
struct look {
        struct loop_task task;
        size_t index;
        const char *name;
        atomic_int answer; /* 0: not yet, 1: absent, 2 + state */
};

static void look_run(struct loop_task *task)
{
        struct look *look = (struct look *)task;
        struct function_entry *entry = snapshot_function(snapshot_of_loop(hub, look->index), STR("org"),
                                                         STR("p"), str_of(look->name));

        atomic_store(&look->answer, entry == NULL ? 1 : 2 + (int)entry->state);
}

static int seen(size_t index, const char *name)
{
        struct look look = {.task = {.run = look_run}, .index = index, .name = name};

        loop_post(loops[index], &look.task);
        while (atomic_load(&look.answer) == 0)
                sched_yield();
        return atomic_load(&look.answer);
}

static void every_loop_sees_a_change_once_it_is_published(void **state)
{
        (void)state;
        put("a", FUNCTION_READY);
        assert_int_equal(seen(0, "a"), 1);
        publish();
        for (size_t i = 0; i < LOOPS; i++)
                assert_int_equal(seen(i, "a"), 2 + FUNCTION_READY);
        assert_int_equal(snapshot_drop_function(hub, STR("org"), STR("p"), STR("a"), NULL), ERR_OK);
        assert_int_equal(seen(0, "a"), 2 + FUNCTION_READY);
        publish();
        for (size_t i = 0; i < LOOPS; i++)
                assert_int_equal(seen(i, "a"), 1);
}

static void names_of_other_organizations_are_others(void **state)
{
        (void)state;
        put("b", FUNCTION_READY);
        publish();
        assert_null(snapshot_function(snapshot_working(hub), STR("org2"), STR("p"), STR("b")));
        assert_null(snapshot_function(snapshot_working(hub), STR("org"), STR("pb"), STR("")));
        assert_non_null(snapshot_function(snapshot_working(hub), STR("org"), STR("p"), STR("b")));
}

static void publications_that_overlap_all_arrive(void **state)
{
        bool published[FUNCTIONS] = {false};
        char name[16];

        (void)state;
        for (int i = 0; i < FUNCTIONS; i++) {
                snprintf(name, sizeof(name), "f%d", i);
                put(name, FUNCTION_PENDING);
                snapshot_publish(hub, done, &published[i]);
        }
        for (int i = 0; i < FUNCTIONS; i++) {
                while (!published[i])
                        loop_step(control, true);
                snprintf(name, sizeof(name), "f%d", i);
                assert_int_equal(seen((size_t)i % LOOPS, name), 2 + FUNCTION_PENDING);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(every_loop_sees_a_change_once_it_is_published, start, stop),
                cmocka_unit_test_setup_teardown(names_of_other_organizations_are_others, start, stop),
                cmocka_unit_test_setup_teardown(publications_that_overlap_all_arrive, start, stop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
