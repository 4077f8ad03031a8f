/* tests/unit/build/test_job.c: whole jobs, from descriptors to the report, and the handler that a source did
 * not name. */
#include "build/job.h"

#include "base/own.h"
#include "support.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

struct bench {
        struct place place;
        struct buf tar;
        struct job job;
        struct spawn_report report;
};

static int setup(void **state)
{
        struct bench *bench = test_calloc(1, sizeof(*bench));

        place_make(&bench->place);
        buf_init(&bench->tar, 1 << 20);
        put_text(bench->place.fd, "runtime/manifest",
                 "language=python3\nargv=/usr/bin/python3\ndefault-file=*.py\ndefault-handler=NAME.handle\n");
        bench->job = (struct job){.kind = "source",
                                  .language = "python3",
                                  .disk_mib = 1,
                                  .files_max = 100,
                                  .out_fd = bench->place.out_fd,
                                  .input_fd = -1,
                                  .host_fd = -1};
        bench->job.runtime_fd = openat(bench->place.fd, "runtime", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = bench;
        return 0;
}

static int teardown(void **state)
{
        struct bench *bench = *state;

        own_fd_release(&bench->job.runtime_fd);
        own_fd_release(&bench->job.input_fd);
        buf_finish(&bench->tar);
        place_clear(&bench->place);
        test_free(bench);
        return 0;
}

static void run(struct bench *bench)
{
        tar_end(&bench->tar);
        bench->job.input_fd = archive_fd(&bench->tar, true);
        job_run(&bench->job, &bench->report);
}

/* The handler in the report; NULL: none. */
static const char *handler(const struct bench *bench)
{
        static char text[600];
        json_t *info = json_loads(bench->report.info, JSON_REJECT_DUPLICATES, NULL);
        const char *found;

        assert_int_equal(bench->report.code, ERR_OK);
        assert_non_null(info);
        found = json_string_value(json_object_get(info, "handler"));
        snprintf(text, sizeof(text), "%s", found != NULL ? found : "");
        json_decref(info);
        return found != NULL ? text : NULL;
}

static void reports_files_bytes_and_the_handler(void **state)
{
        struct bench *bench = *state;

        tar_file(&bench->tar, "./hello.py", "x = 1\n");
        run(bench);
        assert_int_equal(bench->report.code, ERR_OK);
        assert_string_equal(bench->report.info, "{\"files\":1,\"bytes\":6,\"handler\":\"hello.handle\"}");
        assert_string_equal(bench->report.text, "");
        assert_string_equal(bench->report.layer, "");
}

static void finds_the_only_file_of_the_language_at_the_top(void **state)
{
        struct bench *bench = *state;

        tar_file(&bench->tar, "main.py", "");
        tar_file(&bench->tar, "requirements.txt", "");
        tar_file(&bench->tar, ".hidden.py", "");
        tar_file(&bench->tar, ".py", "");
        tar_file(&bench->tar, "package/other.py", "");
        tar_put(&bench->tar, "folder.py", '5', "", 0755, "", 0);
        run(bench);
        assert_string_equal(handler(bench), "main.handle");
}

static void names_no_handler_when_several_files_fit(void **state)
{
        struct bench *bench = *state;

        tar_file(&bench->tar, "a.py", "");
        tar_file(&bench->tar, "b.py", "");
        run(bench);
        assert_null(handler(bench));
}

#define SEVERAL "language=python3\nargv=/x\ndefault-file=*.js *.mjs  *.cjs\ndefault-handler=./FILE\n"

static void takes_the_first_pattern_that_any_file_fits(void **state)
{
        struct bench *bench = *state;

        put_text(bench->place.fd, "runtime/manifest", SEVERAL);
        tar_file(&bench->tar, "other.cjs", "");
        tar_file(&bench->tar, "my.main.mjs", "");
        run(bench);
        assert_string_equal(handler(bench), "./my.main.mjs");
}

static void looks_no_further_than_a_pattern_that_several_files_fit(void **state)
{
        struct bench *bench = *state;

        put_text(bench->place.fd, "runtime/manifest", SEVERAL);
        tar_file(&bench->tar, "a.js", "");
        tar_file(&bench->tar, "b.js", "");
        tar_file(&bench->tar, "c.mjs", "");
        run(bench);
        assert_null(handler(bench));
}

static void names_the_only_file_of_a_native_function(void **state)
{
        struct bench *bench = *state;

        put_text(bench->place.fd, "runtime/manifest",
                 "language=native\nargv=/runtime/agent\ndefault-file=*\ndefault-handler=./NAME\n");
        bench->job.language = "native";
        tar_put(&bench->tar, "./hello.sh", '0', "", 0755, "#!/bin/sh\n", 10);
        run(bench);
        assert_string_equal(handler(bench), "./hello.sh");
}

static void names_no_handler_without_a_runtime(void **state)
{
        struct bench *bench = *state;

        own_fd_release(&bench->job.runtime_fd);
        bench->job.runtime_fd = -1;
        tar_file(&bench->tar, "a.py", "");
        run(bench);
        assert_null(handler(bench));
}

static void names_no_handler_that_json_cannot_carry(void **state)
{
        struct bench *bench = *state;

        tar_file(&bench->tar, "a\xff.py", "");
        run(bench);
        assert_null(handler(bench));
}

static void reports_why_an_archive_is_refused(void **state)
{
        struct bench *bench = *state;

        tar_file(&bench->tar, "../x", "");
        run(bench);
        assert_int_equal(bench->report.code, ERR_INVALID);
        assert_string_equal(bench->report.text, "member '../x': a name with '..' in it");
        assert_string_equal(bench->report.info, "");
}

static void reports_an_unknown_kind(void **state)
{
        struct bench *bench = *state;

        bench->job.kind = "other";
        run(bench);
        assert_int_equal(bench->report.code, ERR_INVALID);
}

static void reports_that_a_language_has_no_runtime(void **state)
{
        struct bench *bench = *state;

        own_fd_release(&bench->job.runtime_fd);
        bench->job.runtime_fd = -1;
        bench->job.kind = "builtin";
        bench->job.language = "cobol";
        run(bench);
        assert_int_equal(bench->report.code, ERR_UNAVAILABLE);
        assert_string_equal(bench->report.text, "no runtime for cobol on this server");
}

static void names_a_built_in_image_by_its_digest(void **state)
{
        struct bench *bench = *state;

        put_text(bench->place.fd, "host/var/lib/dpkg/status",
                 "Package: tool\nStatus: install ok installed\nVersion: 3\nArchitecture: all\n");
        put_text(bench->place.fd, "host/var/lib/dpkg/info/tool.list", "/usr/bin/tool\n");
        put_text(bench->place.fd, "host/usr/bin/tool", "x");
        put_text(bench->place.fd, "runtime/manifest",
                 "language=python3\nargv=/usr/bin/tool\npackages=tool\n");
        bench->job.kind = "builtin";
        bench->job.host_fd = openat(bench->place.fd, "host", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        run(bench);
        close(bench->job.host_fd);
        assert_string_equal(bench->report.text, "");
        assert_int_equal(bench->report.code, ERR_OK);
        assert_int_equal(strlen(bench->report.layer), strlen("builtin-python3-") + 32);

        json_t *info = json_loads(bench->report.info, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(info);
        assert_string_equal(json_string_value(json_object_get(info, "version")), "3");
        assert_int_equal(json_integer_value(json_object_get(info, "packages")), 1);
        assert_memory_equal(json_string_value(json_object_get(info, "digest")),
                            bench->report.layer + strlen("builtin-python3-"), 32);
        json_decref(info);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(reports_files_bytes_and_the_handler),
                TEST(finds_the_only_file_of_the_language_at_the_top),
                TEST(names_no_handler_when_several_files_fit),
                TEST(takes_the_first_pattern_that_any_file_fits),
                TEST(looks_no_further_than_a_pattern_that_several_files_fit),
                TEST(names_the_only_file_of_a_native_function),
                TEST(names_no_handler_without_a_runtime),
                TEST(names_no_handler_that_json_cannot_carry),
                TEST(reports_why_an_archive_is_refused),
                TEST(reports_an_unknown_kind),
                TEST(reports_that_a_language_has_no_runtime),
                TEST(names_a_built_in_image_by_its_digest),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
