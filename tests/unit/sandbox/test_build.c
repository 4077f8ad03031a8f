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
        int channel;
        char text[8];

        NEED_ROOT();
        harness_up(harness, &server);
        build(&server, "source", "good", "src-1", &built);
        frame = harness_start_frame(1, "read w <&3; busybox cat /function/sub/file >&3");
        snprintf(frame.start.code, sizeof(frame.start.code), "src-1");
        harness_send(server.links[1], &frame, NULL);
        harness_receive(server.links[1], SPAWN_STARTED, &frame, &channel);
        assert_true(frame.started.ok);
        assert_int_equal(write(channel, "\n", 1), 1);
        assert_int_equal(read(channel, text, sizeof(text)), 7);
        harness_receive(server.links[1], SPAWN_EXITED, &frame, NULL);
        close(channel);
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
                SPAWN_TEST(a_build_is_stopped_by_kill),
                SPAWN_TEST(a_build_ends_with_its_link),
                SPAWN_TEST(a_killed_spawn_leaves_no_staging),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
