/* tests/unit/build/test_inside.c: a tool that is run, what it says and what it leaves. */
#include "support.h"

#include "build/inside.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct inside_result result;

static void run(const char *script)
{
        char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
        struct err err;

        assert_int_equal(inside_run(argv, "/tmp", &result, &err), ERR_OK);
}

static void a_tool_has_its_folder_and_nothing_of_ours(void **state)
{
        int before = open("/dev/null", O_RDONLY);

        (void)state;
        run("pwd; ls /proc/self/fd; cat; exit 5");
        assert_false(result.by_signal);
        assert_int_equal(result.value, 5);
        /* 3 is the folder that ls reads. */
        assert_int_equal(result.len, strlen("/tmp\n0\n1\n2\n3\n"));
        assert_memory_equal(result.output, "/tmp\n0\n1\n2\n3\n", result.len);
        run("kill -9 $$");
        assert_true(result.by_signal);
        assert_int_equal(result.value, 9);
        close(before);
}

static void what_a_tool_prints_is_kept_from_its_front(void **state)
{
        (void)state;
        run("echo first; head -c 200000 /dev/zero; echo error >&2");
        assert_int_equal(result.value, 0);
        assert_int_equal(result.len, INSIDE_OUTPUT_MAX);
        assert_memory_equal(result.output, "first\n", 6);
}

static void a_tool_that_is_not_there_is_named(void **state)
{
        char *argv[] = {"/nowhere/javac", NULL}, *folder[] = {"/tmp", NULL}, *shell[] = {"/bin/sh", NULL};
        struct err err;

        (void)state;
        assert_int_equal(inside_run(argv, "/tmp", &result, &err), ERR_UNAVAILABLE);
        assert_string_equal(err.text, "the image has no /nowhere/javac");
        assert_int_equal(inside_run(folder, "/tmp", &result, &err), ERR_UNAVAILABLE);
        assert_int_not_equal(inside_run(shell, "/nowhere", &result, &err), ERR_OK);
}

static void what_it_says_becomes_one_line(void **state)
{
        static const struct {
                const char *output, *line;
                size_t size;
        } cases[] = {
                {"", "", 64},
                {"\n\n", "", 64},
                {"one\n", "one", 64},
                {"one\r\ntwo\n\n\x1b[1mthree\t\n", "one; two; [1mthree", 64},
                {"\nx;\ny\n", "x;; y", 64},
                {"abcdefghijklmnop", "abcdefghi...", 15},
                {"abcdefgh\xc3\xa4\xc3\xa4\xc3\xa4", "abcdefgh...", 15},
                {"bad\xff\nmore", "bad", 64},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char line[64];

                result.len = strlen(cases[i].output);
                memcpy(result.output, cases[i].output, result.len);
                inside_line(&result, line, cases[i].size);
                assert_string_equal(line, cases[i].line);
        }
}

static void what_it_leaves_is_counted_against_the_bounds(void **state)
{
        struct place place;
        struct tree tree;
        struct err err;

        (void)state;
        place_make(&place);
        put_text(place.out_fd, "a/b/c", "12345");
        put_text(place.out_fd, "d", "123");
        put_link(place.out_fd, "a/l", "/etc/passwd");
        tree_init(&tree, place.out_fd, 8, 5);
        assert_int_equal(inside_count(&tree, &err), ERR_OK);
        assert_int_equal(tree.bytes, 8);
        assert_int_equal(tree.files, 5);
        tree.bytes_max = 7;
        assert_int_equal(inside_count(&tree, &err), ERR_TOO_LARGE);
        tree.bytes_max = 8;
        tree.files_max = 4;
        assert_int_equal(inside_count(&tree, &err), ERR_TOO_LARGE);
        tree.files_max = 100;
        assert_int_equal(mkfifoat(place.out_fd, "a/pipe", 0600), 0);
        assert_int_equal(inside_count(&tree, &err), ERR_INVALID);
        assert_string_equal(err.text, "'pipe' is no file, folder or link");
        tree_finish(&tree);
        place_clear(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tool_has_its_folder_and_nothing_of_ours),
                cmocka_unit_test(what_a_tool_prints_is_kept_from_its_front),
                cmocka_unit_test(a_tool_that_is_not_there_is_named),
                cmocka_unit_test(what_it_says_becomes_one_line),
                cmocka_unit_test(what_it_leaves_is_counted_against_the_bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
