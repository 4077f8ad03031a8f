/* The recorder on a real store: what is durable when, what a crash takes, what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "engine/recorder.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static struct loop *loop;
static struct store *store;
static struct recorder *recorder;

static void open_all(uint32_t generation)
{
        char url[96];
        struct err err;

        snprintf(url, sizeof(url), "sqlite:%s", dir);
        assert_int_equal(loop_create(&loop, NULL), ERR_OK);
        assert_int_equal(store_open(url, &store, &err), ERR_OK);
        assert_int_equal(recorder_create(loop, store, dir, generation, true, &recorder, &err), ERR_OK);
}

static void close_all(void)
{
        recorder_destroy(recorder);
        store_close(store);
        loop_step(loop, false);
        loop_destroy(loop);
}

static int start(void **state)
{
        (void)state;
        snprintf(dir, sizeof(dir), "/tmp/test-recorder-XXXXXX");
        assert_non_null(mkdtemp(dir));
        open_all(1);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        close_all();
        pid_t pid = fork();
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
                _exit(1);
        }
        waitpid(pid, NULL, 0);
        return 0;
}

static struct run_record *record_new(bool over)
{
        struct run_record *record = run_record_create();

        assert_non_null(record);
        record->function = strdup("hello");
        record->organization = strdup("org");
        record->project = strdup("default");
        snprintf(record->function_id, sizeof(record->function_id), "00000000-0000-4000-8000-000000000000");
        record->finished_us = over ? record->executed_us + 1 : 0;
        buf_append_text(&record->input, "{\"n\":1}");
        record->inv.payload = (struct str){record->input.data, record->input.len};
        record->inv.content_type = STR("application/json");
        record->inv.method = STR("POST");
        record->inv.target = STR("/");
        return record;
}

static bool count(void *arg, json_t *run)
{
        (void)run;
        ++*(unsigned *)arg;
        return true;
}

/* One pass; waiting in the loop itself could sleep past a timer that the same pass has just run. */
static void pass(void)
{
        loop_step(loop, false);
        poll(NULL, 0, 1);
}

static unsigned stored(void)
{
        unsigned runs = 0;

        assert_int_equal(
                store_run_list(store, STR("org"), STR("default"), STR("hello"), 0, 0, count, &runs, NULL),
                ERR_OK);
        return runs;
}

static void accepted(void *arg, enum err_code code, const struct err *err)
{
        (void)err;
        assert_int_equal(code, ERR_OK);
        *(unsigned *)arg = stored();
}

static void a_record_reaches_the_store_soon(void **state)
{
        (void)state;
        recorder_put(recorder, record_new(true));
        while (stored() == 0)
                pass();
        assert_int_equal(stored(), 1);
}

static void a_flush_writes_what_waits(void **state)
{
        (void)state;
        for (int i = 0; i < 3; i++)
                recorder_put(recorder, record_new(true));
        loop_step(loop, false);
        assert_int_equal(stored(), 0);
        assert_int_equal(recorder_flush(recorder, NULL), ERR_OK);
        assert_int_equal(stored(), 3);
}

static void an_accepted_run_is_in_the_store_before_its_caller_hears_of_it(void **state)
{
        struct run_record *record = record_new(false);
        unsigned seen = 0;

        (void)state;
        recorder_accept(recorder, record, "INITIALIZED", accepted, &seen);
        assert_int_equal(seen, 0);
        while (seen == 0)
                pass();
        assert_int_equal(seen, 1);
        run_record_destroy(record);
}

static void keep_recovered(void *arg, struct run_record *record)
{
        struct run_record **slot = arg;

        assert_null(*slot);
        *slot = record;
}

static void an_accepted_run_comes_back_after_a_crash_and_is_over_only_once(void **state)
{
        struct run_record *record = record_new(false), *back = NULL;
        char id[UUID_LEN + 1];
        unsigned seen = 0;

        (void)state;
        record->secret_names = json_pack("[s]", "s1");
        memcpy(id, record->inv.run_id, sizeof(id));
        recorder_accept(recorder, record, "INITIALIZED", accepted, &seen);
        while (seen == 0)
                pass();
        run_record_destroy(record);

        /* The same generation still runs it; the next does not. */
        assert_int_equal(recorder_recover(recorder, 0, keep_recovered, &back, NULL), ERR_OK);
        assert_null(back);
        close_all();
        open_all(2);
        assert_int_equal(recorder_recover(recorder, 1, keep_recovered, &back, NULL), ERR_OK);
        assert_null(back);
        assert_int_equal(recorder_recover(recorder, 0, keep_recovered, &back, NULL), ERR_OK);
        assert_non_null(back);
        assert_string_equal(back->inv.run_id, id);
        assert_string_equal(back->function, "hello");
        assert_memory_equal(back->inv.payload.p, "{\"n\":1}", 7);
        assert_true(str_eq(back->inv.content_type, STR("application/json")));
        assert_string_equal(json_string_value(json_array_get(back->secret_names, 0)), "s1");

        back->finished_us = back->executed_us + 5;
        recorder_put(recorder, back);
        loop_step(loop, false);
        assert_int_equal(recorder_flush(recorder, NULL), ERR_OK);
        back = NULL;
        close_all();
        open_all(3);
        assert_int_equal(recorder_recover(recorder, 0, keep_recovered, &back, NULL), ERR_OK);
        assert_null(back);
        assert_int_equal(stored(), 1);
}

static void what_a_crash_takes_is_counted(void **state)
{
        (void)state;
        close_all();
        pid_t pid = fork();
        if (pid == 0) {
                open_all(2);
                recorder_put(recorder, record_new(true));
                recorder_flush(recorder, NULL);
                for (int i = 0; i < 4; i++)
                        recorder_put(recorder, record_new(true));
                _exit(0); /* as kill -9: nothing more is written */
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        open_all(3);
        /* The first may have been flushed or still have been on its way to the control loop. */
        assert_int_equal(recorder_lost(recorder) + stored(), 5);
        close_all();
        open_all(4);
        assert_int_equal(recorder_lost(recorder) + stored(), 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_record_reaches_the_store_soon, start, stop),
                cmocka_unit_test_setup_teardown(a_flush_writes_what_waits, start, stop),
                cmocka_unit_test_setup_teardown(an_accepted_run_is_in_the_store_before_its_caller_hears_of_it,
                                                start, stop),
                cmocka_unit_test_setup_teardown(
                        an_accepted_run_comes_back_after_a_crash_and_is_over_only_once, start, stop),
                cmocka_unit_test_setup_teardown(what_a_crash_takes_is_counted, start, stop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
