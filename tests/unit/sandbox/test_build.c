/* tests/unit/sandbox/test_build.c: build jobs and layers, with a helper that does what it should or anything
 * else. */
#include "harness.h"

#include "base/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (!harness_possible())                                                                     \
                        skip();                                                                              \
        } while (0)

static union spawn_frame build_frame(uint64_t id, const char *kind, const char *language, const char *layer)
{
        union spawn_frame frame;

        memset(&frame, 0, sizeof(frame));
        frame.build = (struct spawn_build){.head = {.op = SPAWN_BUILD, .id = id},
                                           .fds = strcmp(kind, "source") == 0 ? SPAWN_BUILD_INPUT : 0,
                                           .memory_mib = 64,
                                           .cpu_millicores = 2000,
                                           .pids_max = 64,
                                           .tmp_mib = 16,
                                           .disk_mib = 16,
                                           .files_max = 100};
        snprintf(frame.build.kind, sizeof(frame.build.kind), "%s", kind);
        snprintf(frame.build.language, sizeof(frame.build.language), "%s", language);
        snprintf(frame.build.layer, sizeof(frame.build.layer), "%s", layer);
        return frame;
}

/* Runs one job to its end. */
static void build(struct played *server, const char *kind, const char *language, const char *layer,
                  union spawn_frame *ret)
{
        static uint64_t id;
        union spawn_frame frame = build_frame(++id, kind, language, layer);
        own_fd int archive = memfd_create("archive", MFD_CLOEXEC);

        assert_int_equal(write(archive, "content", 7), 7);
        assert_int_equal(lseek(archive, 0, SEEK_SET), 0);
        harness_send(server->links[0], &frame, strcmp(kind, "source") == 0 ? &archive : NULL);
        harness_receive(server->links[0], SPAWN_BUILT, ret, NULL);
        assert_int_equal(ret->head.id, id);
}

static bool layer_exists(struct played *server, enum spawn_op op, const char *name)
{
        union spawn_frame frame = harness_head_frame(op, 5);

        snprintf(frame.layer.layer, sizeof(frame.layer.layer), "%s", name);
        harness_send(server->links[0], &frame, NULL);
        harness_receive(server->links[0], SPAWN_LAYER, &frame, NULL);
        return frame.layer.exists;
}

/* The remover works beside; it is done when nothing is left. */
static bool staging_empties(const struct harness *harness)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/state/staging", harness->path);
        for (int i = 0; i < 500; i++) {
                own_dir DIR *dir = opendir(path);
                const struct dirent *entry;
                unsigned count = 0;
                while (dir != NULL && (entry = readdir(dir)) != NULL)
                        count += entry->d_name[0] != '.' || strncmp(entry->d_name, ".moved", 6) == 0;
                if (dir != NULL && count == 0)
                        return true;
                (void)poll(NULL, 0, 10);
        }
        return false;
}

static void a_source_becomes_a_layer(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame built;
        char path[128], text[16] = "";

        NEED_ROOT();
        harness_up(harness, &server);
        assert_false(layer_exists(&server, SPAWN_LAYER_STAT, "src-1"));
        build(&server, "source", "good", "src-1", &built);
        assert_string_equal(built.built.text, "");
        assert_int_equal(built.built.code, ERR_OK);
        assert_string_equal(built.built.layer, "src-1");
        assert_string_equal(built.built.info, "{\"files\":1}");
        assert_true(layer_exists(&server, SPAWN_LAYER_STAT, "src-1"));
        snprintf(path, sizeof(path), "%s/state/layers/src-1/sub/file", harness->path);
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, text, sizeof(text)), 7);
        assert_string_equal(text, "content");
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_builtin_is_named_by_its_builder(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame built;
        char path[128];
        struct stat status;

        NEED_ROOT();
        harness_up(harness, &server);
        build(&server, "builtin", "good", "", &built);
        assert_string_equal(built.built.text, "");
        assert_string_equal(built.built.layer, "builtin-good-0123");
        snprintf(path, sizeof(path), "%s/state/layers/builtin-good-0123/function", harness->path);
        assert_int_equal(stat(path, &status), 0);

        /* The same again: the layer that is there stays, and that is a success. */
        build(&server, "builtin", "good", "", &built);
        assert_int_equal(built.built.code, ERR_OK);
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_layer_is_dropped_while_an_instance_uses_it(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame built, frame;
        struct harness_channel channel;
        char text[8];

        NEED_ROOT();
        harness_up(harness, &server);
        build(&server, "source", "good", "src-1", &built);
        frame = harness_start_frame(1, "read w <&4; busybox cat /function/sub/file >&5");
        snprintf(frame.start.code, sizeof(frame.start.code), "src-1");
        harness_send(server.links[1], &frame, NULL);
        harness_started(server.links[1], &frame, &channel);
        assert_true(frame.started.ok);
        assert_int_equal(write(channel.out, "\n", 1), 1);
        assert_int_equal(read(channel.in, text, sizeof(text)), 7);
        harness_receive(server.links[1], SPAWN_EXITED, &frame, NULL);
        harness_channel_close(channel);
        assert_false(layer_exists(&server, SPAWN_LAYER_DROP, "src-1"));
        assert_false(layer_exists(&server, SPAWN_LAYER_DROP, "src-1"));
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_helper_that_misbehaves_makes_no_layer(void **state)
{
        static const struct {
                const char *kind, *language;
                enum err_code code;
                const char *text;
        } cases[] = {
                {"source", "refused", ERR_INVALID, "the archive is not one"},
                {"source", "short", ERR_SYSTEM, "without a report"},
                {"source", "nothing", ERR_SYSTEM, "exit status 9"},
                {"source", "crash", ERR_SYSTEM, "signal 6"},
                {"source", "hungry", ERR_TOO_LARGE, "64 MiB"},
                {"builtin", "escape", ERR_SYSTEM, "without a report"},
                {"builtin", "foreign", ERR_SYSTEM, "without a report"},
        };
        struct harness *harness = *state;
        struct played server;

        NEED_ROOT();
        harness_up(harness, &server);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                union spawn_frame built;
                build(&server, cases[i].kind, cases[i].language,
                      strcmp(cases[i].kind, "source") == 0 ? "src-1" : "", &built);
                assert_int_equal(built.built.code, cases[i].code);
                if (strstr(built.built.text, cases[i].text) == NULL)
                        fail_msg("%s: %s", cases[i].language, built.built.text);
                assert_false(layer_exists(&server, SPAWN_LAYER_STAT, "src-1"));
        }
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

/* A language "good" whose compiler is a script of its folder. */
static void compiler_put(const struct harness *harness, const char *script)
{
        static const char manifest[] = "language=good\nargv=/bin/sh\ncompile=/bin/sh /runtime/compile\n";
        char path[128];
        own_file FILE *file = NULL;

        snprintf(path, sizeof(path), "%s/runtimes/good", harness->path);
        (void)mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/runtimes/good/compile", harness->path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(script, file) >= 0);
        assert_int_equal(fclose(take_ptr(&file)), 0);
        snprintf(path, sizeof(path), "%s/runtimes/good/manifest", harness->path);
        file = fopen(path, "we");
        assert_true(file != NULL && fputs(manifest, file) >= 0);
}

static void compile(struct played *server, uint64_t id, const char *layer, union spawn_frame *ret)
{
        union spawn_frame frame = build_frame(id, "source", "good", layer);
        own_fd int archive = memfd_create("archive", MFD_CLOEXEC);

        assert_int_equal(write(archive, "content", 7), 7);
        assert_int_equal(lseek(archive, 0, SEEK_SET), 0);
        frame.build.layer_count = 1;
        snprintf(frame.build.layers[0], sizeof(frame.build.layers[0]), "root");
        harness_send(server->links[0], &frame, &archive);
        harness_receive(server->links[0], SPAWN_BUILT, ret, NULL);
        assert_int_equal(ret->head.id, id);
}

static void a_source_is_compiled_inside_its_image(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame built;
        char path[128], text[16] = "";

        NEED_ROOT();
        compiler_put(harness, "test ! -e /usr && test ! -e /etc || exit 3\n"
                              "busybox touch /bin/x 2>/dev/null && exit 4\n"
                              "test $(busybox id -u) = 1000 && test $(busybox pwd) = /function || exit 5\n"
                              "busybox mkdir made && busybox cp sub/file made/copy\n");
        harness_up(harness, &server);
        compile(&server, 1, "src-1", &built);
        assert_string_equal(built.built.text, "");
        assert_int_equal(built.built.code, ERR_OK);
        assert_string_equal(built.built.layer, "src-1");
        assert_string_equal(built.built.info, "{\"files\":1}");
        snprintf(path, sizeof(path), "%s/state/layers/src-1/made/copy", harness->path);
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, text, sizeof(text)), 7);
        assert_string_equal(text, "content");
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_compiler_that_fails_makes_no_layer(void **state)
{
        static const struct {
                const char *script;
                enum err_code code;
                const char *text;
        } cases[] = {
                {"echo F.x:1: wrong\necho also >&2\nexit 1\n", ERR_INVALID,
                 "the source does not compile: F.x:1: wrong; also"},
                {"exit 7\n", ERR_INVALID, "the source does not compile: exit status 7 of the compiler"},
                {"kill -11 $$\n", ERR_INVALID, "the source does not compile: signal 11 ended the compiler"},
                {"busybox yes | busybox head -c 100000\nexit 1\n", ERR_INVALID, "y; y; y; y; y"},
                {"i=0; while [ $i -lt 200 ]; do echo >f$i; i=$((i+1)); done\n", ERR_TOO_LARGE,
                 "what was compiled: more than 100 files"},
                {"for i in 1 2 3; do busybox dd if=/dev/zero of=f$i bs=1M count=8; done 2>/dev/null\n",
                 ERR_TOO_LARGE, "what was compiled: "},
                {"busybox mkfifo pipe\n", ERR_INVALID, "'pipe' is no file, folder or link"},
                {"busybox dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; exit $?\n", ERR_TOO_LARGE,
                 "64 MiB"},
        };
        struct harness *harness = *state;
        struct played server;
        union spawn_frame built;

        NEED_ROOT();
        compiler_put(harness, "");
        harness_up(harness, &server);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                compiler_put(harness, cases[i].script);
                compile(&server, i + 1, "src-1", &built);
                if (built.built.code != cases[i].code || strstr(built.built.text, cases[i].text) == NULL)
                        fail_msg("%s: %d %s", cases[i].script, (int)built.built.code, built.built.text);
                assert_false(layer_exists(&server, SPAWN_LAYER_STAT, "src-1"));
        }
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_compiler_is_stopped_by_kill(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = build_frame(7, "source", "good", "src-1"), built;
        own_fd int archive = memfd_create("archive", MFD_CLOEXEC);

        NEED_ROOT();
        compiler_put(harness, "while :; do :; done\n");
        harness_up(harness, &server);
        frame.build.layer_count = 1;
        snprintf(frame.build.layers[0], sizeof(frame.build.layers[0]), "root");
        harness_send(server.links[0], &frame, &archive);
        while (harness_processes(harness) == 0) /* whichever of its two sandboxes it hits */
                (void)poll(NULL, 0, 1);
        frame = harness_head_frame(SPAWN_KILL, 7);
        harness_send(server.links[0], &frame, NULL);
        harness_receive(server.links[0], SPAWN_BUILT, &built, NULL);
        assert_int_equal(built.built.code, ERR_CANCELLED);
        assert_true(staging_empties(harness));
        assert_true(harness_processes_end(harness));
        harness_server_close(&server);
}

static void a_build_is_stopped_by_kill(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = build_frame(77, "builtin", "slow", "");

        NEED_ROOT();
        harness_up(harness, &server);
        harness_send(server.links[0], &frame, NULL);
        frame = harness_head_frame(SPAWN_KILL, 77);
        harness_send(server.links[0], &frame, NULL);
        harness_receive(server.links[0], SPAWN_BUILT, &frame, NULL);
        assert_int_equal(frame.built.code, ERR_CANCELLED);
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_build_ends_with_its_link(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = build_frame(77, "builtin", "slow", "");

        NEED_ROOT();
        harness_up(harness, &server);
        harness_send(server.links[0], &frame, NULL);
        while (harness_processes(harness) == 0)
                (void)poll(NULL, 0, 1);
        harness_server_close(&server);
        assert_true(harness_processes_end(harness));
        assert_true(staging_empties(harness));
}

static void a_killed_spawn_leaves_no_staging(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = build_frame(77, "builtin", "slow", "");

        NEED_ROOT();
        harness_up(harness, &server);
        harness_send(server.links[0], &frame, NULL);
        while (harness_processes(harness) == 0)
                (void)poll(NULL, 0, 1);
        kill(harness->spawn, SIGKILL);
        assert_int_equal(harness_spawn_wait(harness), -1);
        harness_server_close(&server);
        assert_true(harness_processes_end(harness));
        harness_up(harness, &server);
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

int main(void)
{
#define SPAWN_TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                SPAWN_TEST(a_source_becomes_a_layer),
                SPAWN_TEST(a_builtin_is_named_by_its_builder),
                SPAWN_TEST(a_layer_is_dropped_while_an_instance_uses_it),
                SPAWN_TEST(a_helper_that_misbehaves_makes_no_layer),
                SPAWN_TEST(a_source_is_compiled_inside_its_image),
                SPAWN_TEST(a_compiler_that_fails_makes_no_layer),
                SPAWN_TEST(a_compiler_is_stopped_by_kill),
                SPAWN_TEST(a_build_is_stopped_by_kill),
                SPAWN_TEST(a_build_ends_with_its_link),
                SPAWN_TEST(a_killed_spawn_leaves_no_staging),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
