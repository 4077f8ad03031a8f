/* Options: flags win over the environment, that over the file; what is unknown or wrong is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "server/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];

static void write_file(const char *text)
{
        snprintf(path, sizeof(path), "/tmp/test-options-XXXXXX");
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static enum err_code read_args(struct server_options *options, const char *const *args,
                               char *const *environment, struct err *err)
{
        char *argv[16] = {(char *)"dispatch-server"};
        int argc = 1;

        while (*args != NULL)
                argv[argc++] = (char *)*args++;
        *options = (struct server_options){.config = NULL};
        return options_read(options, argc, argv, environment, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void fails_with(const char *const *args, const char *text)
{
        struct server_options options;
        struct err err;

        assert_int_equal(read_args(&options, args, NULL, &err), ERR_INVALID);
        assert_string_equal(err.text, text);
        options_finish(&options);
}

static void defaults_stand_where_nothing_is_said(void **state)
{
        struct server_options options;

        (void)state;
        assert_int_equal(read_args(&options, ARGS(), NULL, NULL), ERR_OK);
        assert_int_equal(options.port, 8080);
        assert_int_equal(options.gateway_port, 8081);
        assert_string_equal(options.host, "127.0.0.1");
        assert_string_equal(options.organization, "dispatch-server");
        assert_false(options.skip_auth);
        options_finish(&options);
}

static void flags_win_over_environment_and_that_over_the_file(void **state)
{
        char *environment[] = {(char *)"DISPATCH_GATEWAY_PORT=2", (char *)"DISPATCH_RUNS_KEEP=2",
                               (char *)"DISPATCH_CONFIG=/nowhere", NULL};
        struct server_options options;
        struct err err = {.text = ""};

        (void)state;
        write_file("port: 1\ngateway-port: 1\nruns-keep: 1\nskip-auth: true\nimage-references:\n- "
                   "a=builtin:x\n- b=builtin:y\n");
        if (read_args(&options, ARGS("--config", path, "--runs-keep=3"), environment, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_int_equal(options.port, 1);
        assert_int_equal(options.gateway_port, 2);
        assert_int_equal(options.runs_keep, 3);
        assert_true(options.skip_auth);
        assert_string_equal(options.image_references, "a=builtin:x,b=builtin:y");
        options_finish(&options);
        unlink(path);
}

static void what_is_wrong_is_named(void **state)
{
        (void)state;
        fails_with(ARGS("--prot", "1"), "unknown option --prot; 'dispatch-server --help' lists them");
        fails_with(ARGS("--port", "x"), "--port takes a number from 0 to 65535, not 'x'");
        fails_with(ARGS("--port", "65536"), "--port takes a number from 0 to 65535, not '65536'");
        fails_with(ARGS("--port"), "--port needs a value");
        fails_with(ARGS("serve"), "unexpected argument 'serve'; options start with --");
        fails_with(ARGS("--skip-auth=maybe"), "--skip-auth takes true or false, not 'maybe'");
        fails_with(ARGS("--kubeconfig", "x"),
                   "--kubeconfig is an option of the original that this version does not have");
        fails_with(ARGS("--config", "/nowhere"),
                   "configuration file '/nowhere': open: No such file or directory");
}

static void a_key_of_the_file_that_is_unknown_is_an_error(void **state)
{
        char text[160];

        (void)state;
        write_file("port: 1\nprot: 2\n");
        snprintf(text, sizeof(text),
                 "configuration file '%s': unknown option prot; 'dispatch-server --help' lists them", path);
        fails_with(ARGS("--config", path), text);
        unlink(path);
}

struct round {
        char *argv[128];
        int argc;
};

static void collect(void *arg, const char *name, const char *value)
{
        struct round *round = arg;

        assert_true(asprintf(&round->argv[round->argc++], "--%s=%s", name, value) > 0);
}

static void what_each_tells_reads_back_the_same(void **state)
{
        struct server_options options, again = {.config = NULL};
        struct round round = {.argv = {(char *)"x"}, .argc = 1};

        (void)state;
        assert_int_equal(
                read_args(&options, ARGS("--port=7", "--skip-auth", "--image-references="), NULL, NULL),
                ERR_OK);
        options_each(&options, collect, &round);
        assert_int_equal(options_read(&again, round.argc, round.argv, NULL, NULL), ERR_OK);
        assert_int_equal(again.port, 7);
        assert_true(again.skip_auth);
        assert_string_equal(again.image_references, "");
        assert_string_equal(again.state_dir, options.state_dir);
        for (int i = 1; i < round.argc; i++)
                free(round.argv[i]);
        options_finish(&options);
        options_finish(&again);
}

static void refuse_secret(void *arg, const char *name, const char *value)
{
        (void)arg;
        if (strcmp(value, "hush") == 0)
                fail_msg("--%s would be on a command line", name);
}

static void note_secret(void *arg, const char *variable, const char *value)
{
        unsigned *count = arg;

        assert_string_equal(value, "hush");
        assert_true(strcmp(variable, "DISPATCH_MINIO_PASSWORD") == 0 ||
                    strcmp(variable, "DISPATCH_S3_SECRET_KEY") == 0);
        ++*count;
}

static void secrets_go_by_variables_and_never_by_a_command_line(void **state)
{
        struct server_options options;
        unsigned count = 0;

        (void)state;
        assert_int_equal(
                read_args(&options, ARGS("--minio-password=hush", "--s3-secret-key", "hush"), NULL, NULL),
                ERR_OK);
        options_each(&options, refuse_secret, NULL);
        options_each_secret(&options, note_secret, &count);
        assert_int_equal(count, 2);
        options_finish(&options);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(secrets_go_by_variables_and_never_by_a_command_line),
                cmocka_unit_test(defaults_stand_where_nothing_is_said),
                cmocka_unit_test(flags_win_over_environment_and_that_over_the_file),
                cmocka_unit_test(what_is_wrong_is_named),
                cmocka_unit_test(a_key_of_the_file_that_is_unknown_is_an_error),
                cmocka_unit_test(what_each_tells_reads_back_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
