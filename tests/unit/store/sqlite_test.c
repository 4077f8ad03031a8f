/* tests/unit/store/sqlite_test.c: which files are refused and with what advice, and what an idle store costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/own.h"
#include "store/store.h"
#include "tests/unit/store/scratch.h"

static struct err err;

static int set_up(void **state)
{
        struct scratch *scratch = calloc(1, sizeof(*scratch));

        scratch_make(scratch);
        *state = scratch;
        return 0;
}

static int tear_down(void **state)
{
        scratch_remove(*state);
        free(*state);
        return 0;
}

static void make_store(const struct scratch *scratch)
{
        struct store *store = NULL;

        assert_int_equal(store_open(scratch->url, &store, &err), ERR_OK);
        store_close(store);
}

/* Statements on the file, past the store. */
static void tamper(const struct scratch *scratch, const char *sql)
{
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(scratch->file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static const char *refusal(const struct scratch *scratch, enum err_code code)
{
        struct store *store = NULL;

        assert_int_equal(store_open(scratch->url, &store, &err), code);
        assert_null(store);
        return err.text;
}

static void test_a_newer_schema_is_refused_by_both_versions_and_left_alone(void **state)
{
        struct scratch *scratch = *state;

        make_store(scratch);
        tamper(scratch, "PRAGMA user_version = 99");
        const char *text = refusal(scratch, ERR_PRECONDITION);
        assert_non_null(strstr(text, "has schema version 99, and this program knows versions up to 1"));
        assert_non_null(strstr(text, "start the newer program again, or restore a backup"));
        tamper(scratch, "PRAGMA user_version = 1");
        make_store(scratch);
}

static void test_a_version_from_before_the_oldest_known_is_refused(void **state)
{
        struct scratch *scratch = *state;

        make_store(scratch);
        tamper(scratch, "PRAGMA user_version = 0");
        assert_non_null(strstr(refusal(scratch, ERR_PRECONDITION), "migrates from 1 on"));
}

static void test_a_database_of_another_program_is_refused(void **state)
{
        struct scratch *scratch = *state;

        tamper(scratch, "CREATE TABLE x (y)");
        assert_non_null(strstr(refusal(scratch, ERR_CORRUPT), "is a database of another program"));
        tamper(scratch, "PRAGMA application_id = 7; DROP TABLE x");
        assert_non_null(strstr(refusal(scratch, ERR_CORRUPT), "application id 7"));
}

static void damage(const struct scratch *scratch, off_t at)
{
        own_fd int fd = open(scratch->file, O_RDWR | O_CLOEXEC);
        char rubbish[512];

        memset(rubbish, 0xa5, sizeof(rubbish));
        assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
}

static void test_damage_is_found_at_the_start_with_what_to_do(void **state)
{
        struct scratch *scratch = *state;
        struct store *store = NULL;
        struct stat stat_of;

        assert_int_equal(store_open(scratch->url, &store, &err), ERR_OK);
        for (int i = 0; i < 200; i++) {
                char name[16];
                snprintf(name, sizeof(name), "n%d", i);
                struct store_key key = {MODEL_FUNCTION, STR("acme"), STR("default"), str_of(name)};
                own_row struct store_row row = {.document = json_object()};
                assert_int_equal(store_insert(store, &key, &row, &err), ERR_OK);
        }
        store_close(store);
        assert_int_equal(stat(scratch->file, &stat_of), 0);
        damage(scratch, stat_of.st_size / 4096 / 2 * 4096);
        const char *text = refusal(scratch, ERR_CORRUPT);
        assert_non_null(strstr(text, "is damaged"));
        assert_non_null(strstr(text, "restore a backup or recover the file"));

        damage(scratch, 0);
        assert_non_null(strstr(refusal(scratch, ERR_CORRUPT), "is damaged"));
}

static void test_the_files_are_the_owners_alone(void **state)
{
        struct scratch *scratch = *state;
        struct store *store = NULL;
        static const char *const suffixes[] = {"", "-wal", "-shm"};

        umask(0);
        assert_int_equal(store_open(scratch->url, &store, &err), ERR_OK);
        for (size_t i = 0; i < 3; i++) {
                char path[192];
                struct stat stat_of;
                snprintf(path, sizeof(path), "%s%s", scratch->file, suffixes[i]);
                assert_int_equal(stat(path, &stat_of), 0);
                assert_int_equal(stat_of.st_mode & 07777, 0600);
        }
        store_close(store);
        umask(022);
}

static void test_what_is_no_folder_or_a_link_is_refused(void **state)
{
        struct scratch *scratch = *state;
        struct store *store = NULL;

        assert_int_equal(symlink("/dev/null", scratch->file), 0);
        refusal(scratch, ERR_SYSTEM);
        assert_int_equal(store_open("sqlite:/dev/null", &store, &err), ERR_SYSTEM);
        assert_int_equal(store_open("sqlite:/nowhere/at/all", &store, &err), ERR_SYSTEM);
        assert_non_null(strstr(err.text, "No such file"));
}

static void test_a_log_that_was_cut_off_loses_only_its_end(void **state)
{
        struct scratch *scratch = *state;
        struct scratch copy;
        struct store *store = NULL, *second = NULL;
        struct store_key key = {MODEL_FUNCTION, STR("acme"), STR("default"), STR("a")};
        struct store_key other = {MODEL_FUNCTION, STR("acme"), STR("default"), STR("b")};
        own_row struct store_row a = {.document = json_object()}, b = {.document = json_object()}, got = {0};
        char from[192], to[192];
        struct stat stat_of;

        assert_int_equal(store_open(scratch->url, &store, &err), ERR_OK);
        assert_int_equal(store_insert(store, &key, &a, &err), ERR_OK);
        assert_int_equal(store_insert(store, &other, &b, &err), ERR_OK);
        scratch_make(&copy);
        snprintf(from, sizeof(from), "%s-wal", scratch->file);
        snprintf(to, sizeof(to), "%s-wal", copy.file);
        scratch_copy(scratch->file, copy.file);
        scratch_copy(from, to);
        assert_int_equal(stat(to, &stat_of), 0);
        assert_int_equal(truncate(to, stat_of.st_size - 100), 0);

        assert_int_equal(store_open(copy.url, &second, &err), ERR_OK);
        assert_int_equal(store_get(second, &other, &got, &err), ERR_NOT_FOUND);
        assert_int_equal(store_get(second, &key, &got, &err), ERR_OK);
        store_close(second);
        store_close(store);
        scratch_remove(&copy);
}

static void test_an_idle_store_is_small(void **state)
{
        struct scratch *scratch = *state;
        struct store *store = NULL;
        sqlite3_int64 before = sqlite3_memory_used();

        assert_int_equal(store_open(scratch->url, &store, &err), ERR_OK);
        assert_in_range(sqlite3_memory_used() - before, 1, 400 << 10);
        store_close(store);
        assert_int_equal(sqlite3_memory_used(), before);
}

#define file_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                file_test(test_an_idle_store_is_small),
                file_test(test_a_newer_schema_is_refused_by_both_versions_and_left_alone),
                file_test(test_a_version_from_before_the_oldest_known_is_refused),
                file_test(test_a_database_of_another_program_is_refused),
                file_test(test_damage_is_found_at_the_start_with_what_to_do),
                file_test(test_the_files_are_the_owners_alone),
                file_test(test_what_is_no_folder_or_a_link_is_refused),
                file_test(test_a_log_that_was_cut_off_loses_only_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
