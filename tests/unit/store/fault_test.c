/*
 * tests/unit/store/fault_test.c: a disk that is full or failing at any one operation, and kill -9 at any
 * moment: the store holds the state before or after, and what was reported as stored is stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/own.h"
#include "store/store.h"
#include "tests/unit/store/fault_vfs.h"
#include "tests/unit/store/scratch.h"

static struct err err;

static void good(enum err_code code)
{
        if (code != ERR_OK)
                fail_msg("%s: %s", err_name(code), err.text);
}

static struct store_key key_of(const char *name)
{
        return (struct store_key){MODEL_FUNCTION, STR("acme"), STR("default"), str_of(name)};
}

static enum err_code insert(struct store *store, const char *name, int version)
{
        struct store_key key = key_of(name);
        own_row struct store_row row = {.document = json_pack("{s:i}", "v", version)};

        return store_insert(store, &key, &row, &err);
}

static enum err_code update(struct store *store, const char *name, int version)
{
        struct store_key key = key_of(name);
        own_json json_t *document = json_pack("{s:i}", "v", version);

        return store_update(store, &key, 0, document, NULL, NULL, &err);
}

/* The version of a document, or 0. */
static int version_of(struct store *store, const char *name)
{
        struct store_key key = key_of(name);
        own_row struct store_row row = {0};
        enum err_code code = store_get(store, &key, &row, &err);

        if (code == ERR_NOT_FOUND)
                return 0;
        good(code);
        return (int)json_integer_value(json_object_get(row.document, "v"));
}

/* ---- the operations under test: "a" goes from 1 to 2, and "b" from nothing to 2 with it ---- */

static enum err_code change_alone(struct store *store)
{
        return update(store, "a", 2);
}

static enum err_code change_together(struct store *store)
{
        enum err_code code = store_begin(store, &err);

        if (code != ERR_OK)
                return code;
        code = update(store, "a", 2);
        if (code == ERR_OK)
                code = insert(store, "b", 2);
        if (code == ERR_OK)
                return store_commit(store, &err);
        store_rollback(store);
        return code;
}

/* A caller that goes on after an error must not slip out of its transaction. */
static enum err_code change_heedlessly(struct store *store)
{
        enum err_code code = store_begin(store, &err), second;

        if (code != ERR_OK)
                return code;
        code = update(store, "a", 2);
        second = insert(store, "b", 2);
        if (code == ERR_OK && second == ERR_OK)
                return store_commit(store, &err);
        store_rollback(store);
        return code != ERR_OK ? code : second;
}

/* More than the log holds before it is copied into the file. */
static enum err_code change_much(struct store *store)
{
        struct store_key key = key_of("a");
        own_mem char *filler = calloc(1, (3 << 20) + 1);

        memset(filler, 'x', 3 << 20);
        own_json json_t *document = json_pack("{s:i,s:s}", "v", 2, "filler", filler);
        return store_update(store, &key, 0, document, NULL, NULL, &err);
}

struct change {
        enum err_code (*make)(struct store *store);
        bool makes_b;
};

static void is_before_or_after(struct store *store, const struct change *change, int a)
{
        assert_true(a == 1 || a == 2);
        assert_int_equal(version_of(store, "a"), a);
        assert_int_equal(version_of(store, "b"), a == 2 && change->makes_b ? 2 : 0);
}

/* What another process would find if this one and the machine stopped now. */
static void check_crashed_copy(const struct scratch *scratch, const struct change *change)
{
        struct scratch copy;
        struct store *store = NULL;
        char from[192], to[192];

        scratch_make(&copy);
        scratch_copy(scratch->file, copy.file);
        snprintf(from, sizeof(from), "%s-wal", scratch->file);
        snprintf(to, sizeof(to), "%s-wal", copy.file);
        scratch_copy(from, to);
        good(store_open(copy.url, &store, &err));
        is_before_or_after(store, change, version_of(store, "a"));
        store_close(store);
        scratch_remove(&copy);
}

/* One failure at the n-th operation. False if the change needs fewer. */
static bool fail_at(const struct change *change, unsigned n, int sqlite_code, bool for_good)
{
        struct scratch scratch;
        struct store *store = NULL;

        scratch_make(&scratch);
        good(store_open(scratch.url, &store, &err));
        good(insert(store, "a", 1));

        fault_vfs_arm(n, sqlite_code, for_good);
        enum err_code code = change->make(store);
        bool failed = fault_vfs_disarm();
        /* Copying the log into the file may fail behind a commit that is complete. */
        if (code != ERR_OK)
                assert_true(failed && (code == ERR_UNAVAILABLE || code == ERR_SYSTEM));
        is_before_or_after(store, change, code == ERR_OK ? 2 : 1);
        check_crashed_copy(&scratch, change);

        good(insert(store, "c", 3));
        store_close(store);
        good(store_open(scratch.url, &store, &err));
        is_before_or_after(store, change, code == ERR_OK ? 2 : 1);
        assert_int_equal(version_of(store, "c"), 3);
        store_close(store);
        scratch_remove(&scratch);
        return failed;
}

/* Every operation up to the 60th, then some of the rest. */
static void fail_everywhere(struct change change)
{
        static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};

        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
                for (unsigned n = 1; fail_at(&change, n, codes[i], i != 1); n += n < 60 ? 1 : 211)
                        ;
}

static void test_a_change_alone_survives_any_failure_of_the_disk(void **state)
{
        (void)state;
        fail_everywhere((struct change){change_alone, false});
}

static void test_a_transaction_survives_any_failure_of_the_disk(void **state)
{
        (void)state;
        fail_everywhere((struct change){change_together, true});
        fail_everywhere((struct change){change_heedlessly, true});
}

static void test_a_change_that_fills_the_log_survives_any_failure_of_the_disk(void **state)
{
        (void)state;
        fail_everywhere((struct change){change_much, false});
}

static void test_a_store_that_could_not_be_made_can_be_made_later(void **state)
{
        bool failed = true;

        (void)state;
        for (unsigned n = 1; failed; n++) {
                struct scratch scratch;
                struct store *store = NULL;

                scratch_make(&scratch);
                fault_vfs_arm(n, SQLITE_FULL, true);
                enum err_code code = store_open(scratch.url, &store, &err);
                failed = fault_vfs_disarm();
                if (code != ERR_OK) {
                        assert_true(failed);
                        assert_null(store);
                        assert_non_null(strstr(err.text, "is full: free some space"));
                        good(store_open(scratch.url, &store, &err));
                }
                good(insert(store, "a", 1));
                store_close(store);
                scratch_remove(&scratch);
        }
}

/* ---- other processes ---- */

/* Inserts until it is killed, and says each name once it is stored. */
static void insert_for_ever(const struct scratch *scratch, int out_fd)
{
        struct store *store = NULL;

        if (store_open(scratch->url, &store, &err) != ERR_OK)
                _exit(1);
        for (uint32_t i = 0;; i++) {
                char name[32];
                snprintf(name, sizeof(name), "p%d-%u", getpid(), i);
                if (insert(store, name, (int)i + 1) != ERR_OK || write(out_fd, &i, sizeof(i)) != sizeof(i))
                        _exit(1);
        }
}

static pid_t start(const struct scratch *scratch, int *ret_fd)
{
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody who keeps its output open */
                insert_for_ever(scratch, ends[1]);
        }
        close(ends[1]);
        *ret_fd = ends[0];
        return pid;
}

/* How many were reported before the end of the pipe, after reading at least `least`. */
static uint32_t kill_after(pid_t pid, int fd, uint32_t least)
{
        uint32_t last = 0, count = 0;

        while (read(fd, &last, sizeof(last)) == sizeof(last))
                if (++count == least)
                        kill(pid, SIGKILL);
        assert_true(count >= least);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(fd);
        return count;
}

static void test_what_was_reported_as_stored_survives_kill_9(void **state)
{
        struct scratch scratch;

        (void)state;
        scratch_make(&scratch);
        for (int round = 0; round < 12; round++) {
                struct store *store = NULL;
                int fd;
                pid_t pid = start(&scratch, &fd);
                uint32_t count = kill_after(pid, fd, 1 + (uint32_t)round * 7);

                good(store_open(scratch.url, &store, &err));
                for (uint32_t i = 0; i < count; i++) {
                        char name[32];
                        snprintf(name, sizeof(name), "p%d-%u", pid, i);
                        assert_int_equal(version_of(store, name), i + 1);
                }
                store_close(store);
        }
        scratch_remove(&scratch);
}

static void test_two_processes_write_beside_each_other(void **state)
{
        struct scratch scratch;
        struct store *store = NULL;
        int fds[2];

        (void)state;
        scratch_make(&scratch);
        pid_t first = start(&scratch, &fds[0]), second = start(&scratch, &fds[1]);
        good(store_open(scratch.url, &store, &err));
        for (int i = 1; i <= 50; i++) {
                char name[32];
                snprintf(name, sizeof(name), "own-%d", i);
                good(insert(store, name, i));
        }
        uint32_t counts[2] = {kill_after(first, fds[0], 20), kill_after(second, fds[1], 20)};
        for (uint32_t i = 0; i < counts[0] || i < counts[1]; i++) {
                char name[32];
                snprintf(name, sizeof(name), "p%d-%u", i < counts[0] ? first : second, i);
                assert_int_equal(version_of(store, name), i + 1);
        }
        store_close(store);
        scratch_remove(&scratch);
}

static void test_many_that_open_a_new_store_at_once_all_get_it(void **state)
{
        enum { ROUNDS = 20, PROCESSES = 6 };

        (void)state;
        for (int round = 0; round < ROUNDS; round++) {
                struct scratch scratch;
                pid_t pids[PROCESSES];
                int failed = 0;

                scratch_make(&scratch);
                for (int i = 0; i < PROCESSES; i++) {
                        pids[i] = fork();
                        assert_true(pids[i] >= 0);
                        if (pids[i] == 0) {
                                struct store *store = NULL;
                                _exit(store_open(scratch.url, &store, &err) == ERR_OK ? 0 : 1);
                        }
                }
                for (int i = 0; i < PROCESSES; i++) {
                        int status;
                        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                        failed += status != 0;
                }
                assert_int_equal(failed, 0);
                scratch_remove(&scratch);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_change_alone_survives_any_failure_of_the_disk),
                cmocka_unit_test(test_a_transaction_survives_any_failure_of_the_disk),
                cmocka_unit_test(test_a_change_that_fills_the_log_survives_any_failure_of_the_disk),
                cmocka_unit_test(test_a_store_that_could_not_be_made_can_be_made_later),
                cmocka_unit_test(test_what_was_reported_as_stored_survives_kill_9),
                cmocka_unit_test(test_two_processes_write_beside_each_other),
                cmocka_unit_test(test_many_that_open_a_new_store_at_once_all_get_it),
        };

        fault_vfs_register();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
