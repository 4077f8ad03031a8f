/* tests/unit/secrets/secrets_test.c: the key file, what is sealed, and what an instance gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/own.h"
#include "secrets/secrets.h"
#include "tests/unit/store/scratch.h"

static const char id[] = "0b2f1c5e-6a51-4a9e-8d0e-0d5d9a6a4b11";

struct fixture {
        struct scratch scratch;
        char key_file[192];
        struct secrets *secrets;
        struct store *store;
};

static struct err err;

static void good(enum err_code code)
{
        if (code != ERR_OK)
                fail_msg("%s: %s", err_name(code), err.text);
}

static int set_up(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        scratch_make(&fixture->scratch);
        snprintf(fixture->key_file, sizeof(fixture->key_file), "%s/secret.key", fixture->scratch.dir);
        good(secrets_open(fixture->scratch.dir, &fixture->secrets, &err));
        good(store_open(fixture->scratch.url, &fixture->store, &err));
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        secrets_close(fixture->secrets);
        store_close(fixture->store);
        scratch_remove(&fixture->scratch);
        free(fixture);
        return 0;
}

static struct store_key key_of(const char *name)
{
        return (struct store_key){MODEL_SECRET, STR("acme"), STR("default"), str_of(name)};
}

static json_t *json(const char *text)
{
        json_t *value = NULL;

        good(json_parse(str_of(text), &value, &err));
        return value;
}

static json_t *sealed(struct fixture *fixture, const char *name, const char *map_text)
{
        struct store_key key = key_of(name);
        own_json json_t *map = json(map_text);
        json_t *text = NULL;

        good(secrets_seal(fixture->secrets, &key, id, map, &text, &err));
        return text;
}

static enum err_code opened(struct fixture *fixture, struct store_key key, const char *of_id,
                            const json_t *text)
{
        json_t *map = NULL;
        enum err_code code = secrets_open_sealed(fixture->secrets, &key, of_id, text, &map, &err);

        secrets_wipe(map);
        return code;
}

static void test_a_sealed_secret_opens_to_what_it_was(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *text = sealed(fixture, "s", "{\"user\":\"admin\",\"password\":\"p\\u00e4ss\"}");
        own_json json_t *again = sealed(fixture, "s", "{\"user\":\"admin\",\"password\":\"p\\u00e4ss\"}");
        own_json json_t *expected = json("{\"user\":\"admin\",\"password\":\"p\\u00e4ss\"}");
        struct store_key key = key_of("s");
        json_t *map = NULL;

        assert_false(json_equal(text, again));
        good(secrets_open_sealed(fixture->secrets, &key, id, text, &map, &err));
        assert_true(json_equal(map, expected));
        secrets_wipe(map);
        secrets_wipe(NULL);
}

static void test_a_secret_opens_nowhere_else(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *text = sealed(fixture, "s", "{\"k\":\"v\"}");
        struct store_key other = key_of("s");

        good(opened(fixture, key_of("s"), id, text));
        assert_int_equal(opened(fixture, key_of("t"), id, text), ERR_CORRUPT);
        assert_int_equal(opened(fixture, key_of("s"), "0b2f1c5e-6a51-4a9e-8d0e-0d5d9a6a4b12", text),
                         ERR_CORRUPT);
        other.organization = STR("evil");
        assert_int_equal(opened(fixture, other, id, text), ERR_CORRUPT);
        other = (struct store_key){MODEL_SECRET, STR("acmedefault"), STR(""), STR("s")};
        assert_int_equal(opened(fixture, other, id, text), ERR_CORRUPT);
}

static void test_a_changed_text_does_not_open(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *text = sealed(fixture, "s", "{\"k\":\"v\"}");
        size_t len = json_string_length(text);

        for (size_t i = 0; i < len; i++) {
                own_mem char *copy = strdup(json_string_value(text));
                copy[i] = copy[i] == 'A' ? 'B' : 'A';
                own_json json_t *changed = json_string(copy);
                assert_int_equal(opened(fixture, key_of("s"), id, changed), ERR_CORRUPT);
        }
        for (size_t i = 0; i < len; i += 4) {
                own_json json_t *cut = json_stringn(json_string_value(text), i);
                assert_int_equal(opened(fixture, key_of("s"), id, cut), ERR_CORRUPT);
        }
        assert_int_equal(opened(fixture, key_of("s"), id, NULL), ERR_CORRUPT);
        assert_non_null(strstr(err.text, "secret s cannot be opened"));
}

static void test_the_key_file_is_private_and_stays_the_same(void **state)
{
        struct fixture *fixture = *state;
        own_json json_t *text = sealed(fixture, "s", "{\"k\":\"v\"}");
        struct stat stat_of;

        assert_int_equal(stat(fixture->key_file, &stat_of), 0);
        assert_int_equal(stat_of.st_mode & 07777, 0600);
        assert_int_equal(stat_of.st_size, 65);
        assert_int_equal(stat_of.st_nlink, 1);
        secrets_close(fixture->secrets);
        fixture->secrets = NULL;
        good(secrets_open(fixture->scratch.dir, &fixture->secrets, &err));
        good(opened(fixture, key_of("s"), id, text));

        secrets_close(fixture->secrets);
        fixture->secrets = NULL;
        assert_int_equal(unlink(fixture->key_file), 0);
        good(secrets_open(fixture->scratch.dir, &fixture->secrets, &err));
        assert_int_equal(opened(fixture, key_of("s"), id, text), ERR_CORRUPT);
}

static void test_a_key_file_that_others_may_read_or_that_is_none_is_refused(void **state)
{
        struct fixture *fixture = *state;
        struct secrets *none = NULL;

        assert_int_equal(chmod(fixture->key_file, 0640), 0);
        assert_int_equal(secrets_open(fixture->scratch.dir, &none, &err), ERR_FORBIDDEN);
        assert_non_null(strstr(err.text, "has mode 0640"));
        assert_int_equal(chmod(fixture->key_file, 0600), 0);

        if (geteuid() == 0) {
                assert_int_equal(chown(fixture->key_file, 1, (gid_t)-1), 0);
                assert_int_equal(secrets_open(fixture->scratch.dir, &none, &err), ERR_FORBIDDEN);
                assert_non_null(strstr(err.text, "belongs to user 1"));
                assert_int_equal(chown(fixture->key_file, 0, (gid_t)-1), 0);
        }

        assert_int_equal(truncate(fixture->key_file, 64), 0);
        assert_int_equal(secrets_open(fixture->scratch.dir, &none, &err), ERR_CORRUPT);
        assert_int_equal(truncate(fixture->key_file, 70), 0);
        assert_int_equal(secrets_open(fixture->scratch.dir, &none, &err), ERR_CORRUPT);
        assert_int_equal(unlink(fixture->key_file), 0);
        assert_int_equal(symlink("/dev/zero", fixture->key_file), 0);
        assert_int_equal(secrets_open(fixture->scratch.dir, &none, &err), ERR_SYSTEM);
        assert_null(none);
}

static void put(struct fixture *fixture, const char *name, const char *map_text)
{
        struct store_key key = key_of(name);
        own_row struct store_row row = {.id = strdup(id), .document = json("{}"), .internal = json_object()};

        row.id[35] = name[0]; /* ids differ */
        own_json json_t *map = json(map_text);
        own_json json_t *bound = NULL;
        good(secrets_seal(fixture->secrets, &key, row.id, map, &bound, &err));
        assert_int_equal(json_object_set(row.internal, SECRETS_SEALED, bound), 0);
        good(store_insert(fixture->store, &key, &row, &err));
}

static void gets(struct fixture *fixture, const char *const *list, size_t count, const char *expected)
{
        struct str names[4];
        char text[512];
        own_fd int fd = -1;

        for (size_t i = 0; i < count; i++)
                names[i] = str_of(list[i]);
        good(secrets_memfd(fixture->secrets, fixture->store, STR("acme"), STR("default"), names, count, &fd,
                           &err));
        ssize_t len = read(fd, text, sizeof(text) - 1);
        assert_true(len >= 0);
        text[len] = '\0';
        assert_string_equal(text, expected);
}

static void test_an_instance_gets_all_keys_flat_and_each_secret_as_text(void **state)
{
        struct fixture *fixture = *state;

        put(fixture, "a", "{\"k\":\"1\",\"b\":\"key\"}");
        put(fixture, "b", "{\"k\":\"2\"}");
        gets(fixture, (const char *[]){"a", "b"}, 2,
             "{\"k\":\"2\",\"b\":\"key\",\"a\":\"{\\\"k\\\":\\\"1\\\",\\\"b\\\":\\\"key\\\"}\"}");
        gets(fixture, (const char *[]){"b"}, 1, "{\"k\":\"2\",\"b\":\"{\\\"k\\\":\\\"2\\\"}\"}");
        gets(fixture, NULL, 0, "{}");
}

static void test_a_missing_secret_is_named(void **state)
{
        struct fixture *fixture = *state;
        struct str name = STR("none");
        int fd = -1;

        assert_int_equal(secrets_memfd(fixture->secrets, fixture->store, STR("acme"), STR("default"), &name,
                                       1, &fd, &err),
                         ERR_NOT_FOUND);
        assert_string_equal(
                err.text,
                "error when retrieving secrets from secret store: [Code: 404] secret none not found");
        assert_int_equal(fd, -1);
}

static void test_the_file_that_an_instance_gets_cannot_be_changed(void **state)
{
        struct fixture *fixture = *state;
        own_fd int fd = -1;
        int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

        good(secrets_memfd(fixture->secrets, fixture->store, STR("acme"), STR("default"), NULL, 0, &fd,
                           &err));
        assert_int_equal(fcntl(fd, F_GET_SEALS) & wanted, wanted);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(ftruncate(fd, 100), -1);
        assert_true(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
}

static bool contains(const char *path, const char *text)
{
        own_file FILE *file = fopen(path, "rbe");
        static char bytes[4 << 20];

        if (file == NULL)
                return false;
        size_t len = fread(bytes, 1, sizeof(bytes), file);
        return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void test_values_never_reach_the_disk_in_clear(void **state)
{
        struct fixture *fixture = *state;
        char wal[192];

        put(fixture, "s", "{\"password\":\"correct-horse-battery\"}");
        snprintf(wal, sizeof(wal), "%s-wal", fixture->scratch.file);
        assert_true(contains(wal, "\"sealed\""));
        assert_false(contains(wal, "correct-horse"));
        store_close(fixture->store);
        fixture->store = NULL;
        assert_true(contains(fixture->scratch.file, "\"sealed\""));
        assert_false(contains(fixture->scratch.file, "correct-horse"));
}

static void test_a_secret_over_the_limit_is_refused(void **state)
{
        struct fixture *fixture = *state;
        struct store_key key = key_of("s");
        own_mem char *value = calloc(1, SECRETS_TEXT_MAX + 1);
        json_t *text = NULL;

        memset(value, 'x', SECRETS_TEXT_MAX);
        own_json json_t *map = json_pack("{s:s}", "k", value);
        assert_int_equal(secrets_seal(fixture->secrets, &key, id, map, &text, &err), ERR_TOO_LARGE);
        assert_null(text);
}

static bool freed_in_clear;

static void watching_free(void *memory)
{
        if (memory != NULL && memmem(memory, malloc_usable_size(memory), "hunter2", 7) != NULL)
                freed_in_clear = true;
        free(memory);
}

static void test_wiping_reaches_every_string_that_nobody_else_holds(void **state)
{
        json_t *held, *tree;

        (void)state;
        json_set_alloc_funcs(malloc, watching_free);
        freed_in_clear = false;
        held = json_string("hunter2 held");
        tree = json_pack("{s:s,s:{s:[s,i]},s:O,s:b}", "a", "hunter2 a", "b", "c", "hunter2 c", 1, "d", held,
                         "e", 1);
        secrets_wipe(json_incref(tree));
        assert_string_equal(json_string_value(json_object_get(tree, "a")), "hunter2 a");
        secrets_wipe(tree);
        assert_false(freed_in_clear);
        assert_string_equal(json_string_value(held), "hunter2 held");
        json_decref(held);
        assert_true(freed_in_clear);
        json_set_alloc_funcs(malloc, free);
}

static void test_another_key_than_the_stores_is_refused_at_start(void **state)
{
        struct fixture *fixture = *state;
        struct secrets *other;

        good(secrets_bind(fixture->secrets, fixture->store, &err));
        good(secrets_bind(fixture->secrets, fixture->store, &err));
        assert_int_equal(unlink(fixture->key_file), 0);
        good(secrets_open(fixture->scratch.dir, &other, &err));
        assert_int_equal(secrets_bind(other, fixture->store, &err), ERR_PRECONDITION);
        assert_non_null(strstr(err.text, "secret.key"));
        secrets_close(other);
}

static void test_a_missing_key_is_told_while_there_are_secrets(void **state)
{
        struct fixture *fixture = *state;
        const struct store_key key = {MODEL_SECRET, STR("o"), STR("p"), STR("s")};
        const char *dir = fixture->scratch.dir;
        struct secrets *other;

        good(secrets_expect(dir, fixture->store, &err)); /* the key is there */
        good(secrets_bind(fixture->secrets, fixture->store, &err));
        assert_int_equal(unlink(fixture->key_file), 0);
        struct store_row row = {.document = json_object()};
        good(store_insert(fixture->store, &key, &row, &err));
        store_row_finish(&row);
        assert_int_equal(secrets_expect(dir, fixture->store, &err), ERR_PRECONDITION);
        assert_non_null(strstr(err.text, "secret.key' is missing"));
        assert_int_equal(access(fixture->key_file, F_OK), -1);

        /* Nothing is sealed with the old one any more. */
        good(store_delete(fixture->store, &key, &err));
        good(secrets_expect(dir, fixture->store, &err));
        good(secrets_open(dir, &other, &err));
        good(secrets_bind(other, fixture->store, &err));
        good(secrets_bind(other, fixture->store, &err));
        secrets_close(other);
}

#define secrets_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                secrets_test(test_a_sealed_secret_opens_to_what_it_was),
                secrets_test(test_a_secret_opens_nowhere_else),
                secrets_test(test_a_changed_text_does_not_open),
                secrets_test(test_the_key_file_is_private_and_stays_the_same),
                secrets_test(test_a_key_file_that_others_may_read_or_that_is_none_is_refused),
                secrets_test(test_a_missing_key_is_told_while_there_are_secrets),
                secrets_test(test_another_key_than_the_stores_is_refused_at_start),
                secrets_test(test_an_instance_gets_all_keys_flat_and_each_secret_as_text),
                secrets_test(test_a_missing_secret_is_named),
                secrets_test(test_the_file_that_an_instance_gets_cannot_be_changed),
                secrets_test(test_values_never_reach_the_disk_in_clear),
                cmocka_unit_test(test_wiping_reaches_every_string_that_nobody_else_holds),
                secrets_test(test_a_secret_over_the_limit_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
