/* tests/unit/image/test_runtime.c: manifests and the folder of runtimes. */
#include "image/runtime.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void reads_every_key(void **state)
{
        struct runtime runtime;
        struct err err = {0};

        (void)state;
        assert_int_equal(
                runtime_parse(
                        STR("# a comment\n\nlanguage=python3\r\nargv = /usr/bin/python3  "
                            "-I\t/runtime/main.py \n"
                            "default-file=*.py\ndefault-handler=NAME.handle\npackages=python3, mawk | awk\n"
                            "packages-optional=tzdata\nprogram=/usr/bin/python3\nstarts=zygote  template"),
                        &runtime, &err),
                ERR_OK);
        assert_string_equal(runtime.language, "python3");
        assert_int_equal(runtime.argc, 3);
        assert_memory_equal(runtime.argv, "/usr/bin/python3\0-I\0/runtime/main.py", 37);
        assert_string_equal(runtime.default_file, "*.py");
        assert_string_equal(runtime.default_handler, "NAME.handle");
        assert_string_equal(runtime.packages, "python3, mawk | awk");
        assert_string_equal(runtime.packages_optional, "tzdata");
        assert_string_equal(runtime.program, "/usr/bin/python3");
        assert_int_equal(runtime.starts, RUNTIME_TEMPLATE | RUNTIME_ZYGOTE);
}

static void fills_in_the_share_of_the_memory(void **state)
{
        struct runtime runtime;
        struct err err = {0};
        char argv[SPAWN_ARGV_MAX];
        uint32_t argc = 0;

        (void)state;
        assert_int_equal(
                runtime_parse(STR("language=x\nargv=/x --heap={memory:70} {memory:100}m {other} {memory:1}"),
                              &runtime, &err),
                ERR_OK);
        runtime_argv(&runtime, 64, argv, &argc);
        assert_int_equal(argc, 5);
        assert_memory_equal(argv,
                            "/x\0--heap=44\0"
                            "64m\0{other}\0"
                            "1",
                            27);
        runtime_argv(&runtime, 65536, argv, &argc);
        assert_memory_equal(argv,
                            "/x\0--heap=45875\0"
                            "65536m\0{other}\0"
                            "655",
                            35);
}

static void a_compiler_is_a_command_line_too(void **state)
{
        struct runtime runtime;
        struct err err = {0};
        char argv[SPAWN_ARGV_MAX];
        uint32_t argc = 7;

        (void)state;
        assert_int_equal(runtime_parse(STR("language=x\nargv=/x"), &runtime, &err), ERR_OK);
        runtime_compile_argv(&runtime, 64, argv, &argc);
        assert_int_equal(argc, 0);
        assert_int_equal(
                runtime_parse(STR("language=x\nargv=/x\ncompile = /y  -m{memory:50} z"), &runtime, &err),
                ERR_OK);
        runtime_compile_argv(&runtime, 64, argv, &argc);
        assert_int_equal(argc, 3);
        assert_memory_equal(argv, "/y\0-m32\0z", 10);
        assert_string_equal(runtime.argv, "/x");
}

static void refuses_wrong_manifests_by_line_and_key(void **state)
{
        static const struct {
                const char *text;
                const char *error;
        } cases[] = {
                {"", "language is missing"},
                {"language=x", "argv is missing"},
                {"language=X\nargv=/x", "not a name"},
                {"language=x\nargv=x", "line 2: argv must start with an absolute path"},
                {"language=x\nargv=", "line 2: argv must start with an absolute path"},
                {"language=x\nargv=/x {memory:0}", "line 2: argv: {memory:PERCENT} takes a percentage"},
                {"language=x\nargv=/x {memory:101}", "line 2: argv: {memory:PERCENT} takes a percentage"},
                {"language=x\nargv=/x a{memory:7", "line 2: argv: {memory:PERCENT} takes a percentage"},
                {"language=x\nargv=/x\ncompile=x", "line 3: compile must start with an absolute path"},
                {"language=x\nargv=/x\ncompile=", "line 3: compile must start with an absolute path"},
                {"language=x\ncompile=/x {memory:101}",
                 "line 2: compile: {memory:PERCENT} takes a percentage"},
                {"language=x\ncompile=/x\ncompile=/y", "line 3: compile is there twice"},
                {"language=x\nstarts=stem boot",
                 "line 2: starts is of template, zygote and stem, not 'boot'"},
                {"language=x\nlanguage=y", "line 2: language is there twice"},
                {"\ncolour=red", "line 2: unknown key 'colour'"},
                {"\nfor=cooking", "for takes 'images' alone"},
                {"language", "line 1: 'language' is not key=value"},
        };
        struct runtime runtime = {.argc = 99};
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(runtime_parse(str_of(cases[i].text), &runtime, &err), ERR_INVALID);
                if (strstr(err.text, cases[i].error) == NULL)
                        fail_msg("'%s' is not in '%s'", cases[i].error, err.text);
                assert_int_equal(runtime.argc, 99);
        }
}

static void refuses_what_is_too_long(void **state)
{
        char text[RUNTIME_MANIFEST_MAX + 2];
        struct runtime runtime;
        struct err err;

        (void)state;
        memset(text, 'x', sizeof(text));
        assert_int_equal(runtime_parse((struct str){text, sizeof(text)}, &runtime, &err), ERR_INVALID);
        memcpy(text, "argv=/", 6);
        assert_int_equal(runtime_parse((struct str){text, SPAWN_ARGV_MAX + 5}, &runtime, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "argv is longer than 1024 bytes"));
        memcpy(text, "program=", 8);
        assert_int_equal(runtime_parse((struct str){text, 400}, &runtime, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "program is longer than 255 bytes"));
}

static void put(const char *directory, const char *folder, const char *manifest)
{
        char path[200];

        snprintf(path, sizeof(path), "%s/%s", directory, folder);
        assert_int_equal(mkdir(path, 0755), 0);
        if (manifest == NULL)
                return;
        snprintf(path, sizeof(path), "%s/%s/manifest", directory, folder);

        FILE *file = fopen(path, "we");

        assert_non_null(file);
        fputs(manifest, file);
        fclose(file);
}

static void remove_all(const char *directory, const char *const *folders, size_t count)
{
        char path[200];

        for (size_t i = 0; i < count; i++) {
                snprintf(path, sizeof(path), "%s/%s/manifest", directory, folders[i]);
                unlink(path);
                snprintf(path, sizeof(path), "%s/%s", directory, folders[i]);
                rmdir(path);
        }
        rmdir(directory);
}

static void lists_the_folders_that_have_a_manifest(void **state)
{
        static const char *const folders[] = {"python3", "agent", "native", ".hidden", "any"};
        char directory[] = "/tmp/dispatch-test-XXXXXX", list[64];
        struct runtime_table table;
        struct err err = {0};

        (void)state;
        assert_non_null(mkdtemp(directory));
        put(directory, "python3", "language=python3\nargv=/a\n");
        put(directory, "agent", NULL);
        put(directory, "native", "language=native\nargv=/b\n");
        put(directory, ".hidden", "rubbish");
        put(directory, "any", "language=any\nargv=/c\nfor=images\n");
        assert_int_equal(runtime_table_load(directory, &table, &err), ERR_OK);
        assert_int_equal(table.count, 3);
        assert_false(runtime_is_language(runtime_find(&table, STR("any"))));
        assert_string_equal(table.runtimes[1].language, "native");
        assert_true(runtime_is_language(&table.runtimes[1]));
        assert_string_equal(runtime_find(&table, STR("python3"))->argv, "/a");
        assert_null(runtime_find(&table, STR("python")));
        runtime_table_list(&table, list, sizeof(list));
        assert_string_equal(list, "native, python3");
        runtime_table_list(&table, list, 15);
        assert_string_equal(list, "native...");
        runtime_table_finish(&table);
        runtime_table_list(&table, list, sizeof(list));
        assert_string_equal(list, "none");
        remove_all(directory, folders, 5);
}

static void names_the_folder_of_a_wrong_manifest(void **state)
{
        static const char *const folders[] = {"python3"};
        char directory[] = "/tmp/dispatch-test-XXXXXX";
        struct runtime_table table;
        struct err err = {0};

        (void)state;
        assert_non_null(mkdtemp(directory));
        put(directory, "python3", "language=ruby\nargv=/a\n");
        assert_int_equal(runtime_table_load(directory, &table, &err), ERR_INVALID);
        assert_string_equal(err.text, "manifest of runtime 'python3': its language is 'ruby'");
        remove_all(directory, folders, 1);
        assert_int_equal(runtime_table_load(directory, &table, &err), ERR_SYSTEM);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_every_key),
                cmocka_unit_test(fills_in_the_share_of_the_memory),
                cmocka_unit_test(a_compiler_is_a_command_line_too),
                cmocka_unit_test(refuses_wrong_manifests_by_line_and_key),
                cmocka_unit_test(refuses_what_is_too_long),
                cmocka_unit_test(lists_the_folders_that_have_a_manifest),
                cmocka_unit_test(names_the_folder_of_a_wrong_manifest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
