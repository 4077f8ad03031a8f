/*
 * tests/unit/sandbox/test_spawn.c: the real dispatch-spawn, with this program as its server: instances,
 * links, the life of servers, and what is left when spawn itself is killed.
 */
#include "harness.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (!harness_possible())                                                                     \
                        skip();                                                                              \
        } while (0)

static void assert_reads(int fd, const char *text)
{
        char got[64];
        size_t len = 0;

        while (len < strlen(text)) {
                struct pollfd wait = {.fd = fd, .events = POLLIN};
                assert_int_equal(poll(&wait, 1, HARNESS_WAIT_MS), 1);
                ssize_t part = read(fd, got + len, strlen(text) - len);
                assert_true(part > 0);
                len += (size_t)part;
        }
        assert_memory_equal(got, text, len);
}

static void a_server_hears_hello_and_gets_listeners(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame hello;
        int loops = 0;

        NEED_ROOT();
        harness_spawn_start(harness);
        harness_server_accept(harness, &server);
        harness_receive(server.links[0], SPAWN_HELLO, &hello, NULL);
        assert_true(hello.hello.generation > 0);
        assert_int_equal(hello.hello.draining_generation, 0);
        assert_true(hello.hello.instances_max > 0);
        assert_true(hello.hello.memory_bytes > 0);
        for (const char *at = server.listen; (at = strstr(at, "api=")) != NULL; at++)
                loops++;
        assert_int_equal(loops, 2);
        harness_server_close(&server);
}

static void file_write(const struct harness *harness, const char *name, const char *text)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/%s", harness->path, name);
        own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_credential(int link, uint64_t set, uint32_t index, const char *text)
{
        union spawn_frame frame;
        int fd;

        harness_receive(link, SPAWN_CREDENTIAL, &frame, &fd);
        assert_int_equal(frame.head.id, set);
        assert_int_equal(frame.credential.index, index);
        assert_int_equal(frame.credential.count, 2);
        assert_int_equal(frame.credential.ok, 1);
        assert_reads(fd, text);
        close(fd);
}

static void a_server_is_given_files_that_root_alone_may_read(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame;
        char path[96];
        int fd;

        NEED_ROOT();
        file_write(harness, "crt", "certificate");
        file_write(harness, "key", "key");
        harness->credentials = true;
        harness_spawn_start(harness);
        harness_server_accept(harness, &server);
        harness_receive(server.links[0], SPAWN_HELLO, &frame, NULL);
        assert_credential(server.links[0], 1, 0, "certificate");
        assert_credential(server.links[0], 1, 1, "key");

        file_write(harness, "crt", "another");
        kill(harness->spawn, SIGHUP);
        assert_credential(server.links[0], 2, 0, "another");
        assert_credential(server.links[0], 2, 1, "key");

        snprintf(path, sizeof(path), "%s/key", harness->path);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        snprintf(path, sizeof(path), "%s/crt", harness->path);
        assert_int_equal(unlink(path), 0);
        kill(harness->spawn, SIGHUP);
        harness_receive(server.links[0], SPAWN_CREDENTIAL, &frame, &fd);
        assert_int_equal(frame.credential.ok, 0);
        assert_int_equal(fd, -1);
        assert_non_null(strstr(frame.credential.text, "/crt: No such file or directory"));
        harness_receive(server.links[0], SPAWN_CREDENTIAL, &frame, &fd);
        assert_int_equal(frame.credential.ok, 0);
        assert_non_null(strstr(frame.credential.text, "/key is not a file"));
        harness_server_close(&server);
}

static void an_instance_speaks_over_its_channel_and_exits(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame;

        NEED_ROOT();
        harness_up(harness, &server);
        struct harness_channel channel =
                harness_instance(server.links[1], 7, "read word <&4; echo got $word >&5; exit 5");
        assert_int_equal(write(channel.out, "hello\n", 6), 6);
        assert_reads(channel.in, "got hello\n");
        harness_receive(server.links[1], SPAWN_EXITED, &frame, NULL);
        assert_int_equal(frame.head.id, 7);
        assert_int_equal(frame.exited.by_signal, 0);
        assert_int_equal(frame.exited.value, 5);
        assert_true(frame.exited.memory_peak_bytes > 0);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void kill_ends_an_instance_and_may_be_said_twice(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame, kill_frame = harness_head_frame(SPAWN_KILL, 1);

        NEED_ROOT();
        harness_up(harness, &server);
        struct harness_channel channel =
                harness_instance(server.links[2], 1, "busybox sleep 100 & busybox sleep 100");
        harness_send(server.links[2], &kill_frame, NULL);
        harness_send(server.links[2], &kill_frame, NULL);
        harness_receive(server.links[2], SPAWN_EXITED, &frame, NULL);
        assert_int_equal(frame.exited.by_signal, 1);
        assert_int_equal(frame.exited.value, SIGKILL);
        harness_send(server.links[2], &kill_frame, NULL);
        assert_true(harness_processes_end(harness));
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void what_cannot_start_says_why(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = harness_start_frame(1, "true");
        struct harness_channel channel;

        NEED_ROOT();
        harness_up(harness, &server);
        snprintf(frame.start.layers[0], sizeof(frame.start.layers[0]), "missing");
        harness_send(server.links[1], &frame, NULL);
        harness_started(server.links[1], &frame, &channel);
        assert_int_equal(channel.in, -1);
        assert_int_equal(frame.started.ok, 0);
        assert_int_equal(frame.started.code, ERR_NOT_FOUND);
        assert_non_null(strstr(frame.started.text, "missing"));

        frame = harness_start_frame(2, "true");
        memcpy(frame.start.argv, "/bin/no", sizeof("/bin/no"));
        harness_send(server.links[1], &frame, NULL);
        harness_started(server.links[1], &frame, &channel);
        assert_int_equal(channel.in, -1);
        assert_int_equal(frame.started.ok, 0);
        assert_non_null(strstr(frame.started.text, "No such file"));

        frame = harness_start_frame(3, "true");
        snprintf(frame.start.filter, sizeof(frame.start.filter), "none");
        harness_send(server.links[1], &frame, NULL);
        harness_started(server.links[1], &frame, &channel);
        assert_int_equal(frame.started.code, ERR_INVALID);
        harness_server_close(&server);
}

static void many_start_at_once(void **state)
{
        enum { COUNT = 100 };
        struct harness *harness = *state;
        struct played server;
        unsigned started = 0, exited = 0;

        NEED_ROOT();
        harness_up(harness, &server);
        for (uint64_t id = 0; id < COUNT; id++) {
                union spawn_frame frame = harness_start_frame(id, "echo up >&5");
                harness_send(server.links[1 + id % 2], &frame, NULL);
                /* At most a few unanswered, as the server bounds it. */
                while (id >= 20 + started || (id == COUNT - 1 && exited < COUNT)) {
                        struct pollfd wait[2] = {{server.links[1], POLLIN, 0}, {server.links[2], POLLIN, 0}};
                        assert_true(poll(wait, 2, HARNESS_WAIT_MS) > 0);
                        union spawn_frame answer;
                        int fds[SPAWN_FDS_MAX];
                        size_t count = 0;
                        int link = server.links[wait[0].revents != 0 ? 1 : 2];
                        assert_int_equal(spawn_receive(link, &answer, fds, &count, NULL), ERR_OK);
                        started += answer.head.op == SPAWN_STARTED;
                        exited += answer.head.op == SPAWN_EXITED;
                        if (count == CHANNEL_FDS)
                                assert_reads(fds[1], "up\n");
                        for (size_t i = 0; i < count; i++)
                                close(fds[i]);
                }
        }
        assert_int_equal(started, COUNT);
        assert_int_equal(exited, COUNT);
        harness_server_close(&server);
}

static void a_bad_frame_ends_its_link_and_what_it_started(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = harness_start_frame(9, "true");

        NEED_ROOT();
        harness_up(harness, &server);
        struct harness_channel one = harness_instance(server.links[1], 1, "busybox sleep 100");
        struct harness_channel other =
                harness_instance(server.links[2], 1, "read w <&4; echo still here >&5; read w <&4");
        memcpy(frame.start.code, "../x", 5);
        assert_true(send(server.links[1], &frame, sizeof(frame.start), 0) > 0);
        assert_true(harness_link_is_closed(server.links[1]));
        assert_int_equal(write(other.out, "\n", 1), 1);
        assert_reads(other.in, "still here\n");
        harness_channel_close(one);
        harness_channel_close(other);
        harness_server_close(&server);
}

static void a_server_that_dies_is_started_again(void **state)
{
        struct harness *harness = *state;
        struct played first, second;
        union spawn_frame hello;

        NEED_ROOT();
        harness_up(harness, &first);
        struct harness_channel channel = harness_instance(first.links[1], 1, "busybox sleep 100");
        assert_int_equal(write(first.control, "k", 1), 1);
        harness_server_close(&first);
        harness_server_accept(harness, &second);
        harness_receive(second.links[0], SPAWN_HELLO, &hello, NULL);
        assert_true(hello.hello.generation > first.generation);
        assert_int_equal(hello.hello.draining_generation, 0);
        assert_true(harness_processes_end(harness));
        harness_channel_close(channel);
        harness_server_close(&second);
}

static void a_server_that_cannot_be_configured_ends_it_all(void **state)
{
        struct harness *harness = *state;
        struct played server;

        NEED_ROOT();
        harness_spawn_start(harness);
        harness_server_accept(harness, &server);
        assert_int_equal(write(server.control, "\2", 1), 1);
        assert_int_equal(harness_spawn_wait(harness), 2);
        harness_server_close(&server);
}

static void an_upgrade_drains_the_old_server(void **state)
{
        struct harness *harness = *state;
        struct played first, second;
        union spawn_frame frame, ready = harness_head_frame(SPAWN_READY, 0);

        NEED_ROOT();
        harness_up(harness, &first);
        struct harness_channel old =
                harness_instance(first.links[1], 1, "read w <&4; echo old >&5; read w <&4");
        kill(harness->spawn, SIGUSR2);
        harness_server_accept(harness, &second);
        harness_receive(second.links[0], SPAWN_HELLO, &frame, NULL);
        assert_true(frame.hello.generation > first.generation);
        assert_int_equal(frame.hello.draining_generation, first.generation);
        harness_receive(second.links[0], SPAWN_CREDENTIAL, &frame, NULL);

        /* Until the new one is ready, the old one goes on. */
        assert_int_equal(write(old.out, "\n", 1), 1);
        assert_reads(old.in, "old\n");
        harness_send(second.links[0], &ready, NULL);
        harness_receive(second.links[0], SPAWN_SERVER_GONE, &frame, NULL);
        assert_int_equal(frame.gone.generation, first.generation);
        harness_channel_close(old);
        harness_channel_close(harness_instance(second.links[1], 1, "true"));
        harness_server_close(&first);
        harness_server_close(&second);
}

static void an_upgrade_that_fails_keeps_the_old_server(void **state)
{
        struct harness *harness = *state;
        struct played first, second;
        union spawn_frame frame;

        NEED_ROOT();
        harness_up(harness, &first);
        kill(harness->spawn, SIGUSR2);
        harness_server_accept(harness, &second);
        assert_int_equal(write(second.control, "\1", 1), 1);
        harness_server_close(&second);
        harness_channel_close(harness_instance(first.links[1], 1, "true"));
        harness_receive(first.links[1], SPAWN_EXITED, &frame, NULL);
        harness_server_close(&first);
}

static void an_upgrade_that_hangs_is_given_up(void **state)
{
        struct harness *harness = *state;
        struct played first, second;
        union spawn_frame frame;
        char byte;

        NEED_ROOT();
        harness_up(harness, &first);
        kill(harness->spawn, SIGUSR2);
        harness_server_accept(harness, &second);
        assert_true(read(second.control, &byte, 1) <= 0); /* it never says that it is ready, and is killed */
        harness_server_close(&second);
        harness_channel_close(harness_instance(first.links[1], 1, "true"));
        harness_receive(first.links[1], SPAWN_EXITED, &frame, NULL);
        kill(harness->spawn, SIGUSR2);
        harness_server_accept(harness, &second);
        harness_server_close(&second);
        harness_server_close(&first);
}

static void a_second_spawn_on_the_same_state_is_refused(void **state)
{
        struct harness *harness = *state;
        struct harness other = *harness;
        struct played server;

        NEED_ROOT();
        harness_up(harness, &server);
        other = *harness;
        harness_spawn_start(&other);
        assert_int_equal(harness_spawn_wait(&other), 1);
        harness_channel_close(harness_instance(server.links[1], 1, "true"));
        harness_server_close(&server);
}

static void a_killed_spawn_leaves_nothing_that_the_next_does_not_clear(void **state)
{
        struct harness *harness = *state;
        struct played server;

        NEED_ROOT();
        for (int i = 0; i < 5; i++) {
                harness_up(harness, &server);
                for (uint64_t id = 0; id < 3; id++)
                        harness_channel_close(harness_instance(server.links[1], id,
                                                               "busybox sleep 100 & busybox sleep 100"));
                union spawn_frame frame = harness_start_frame(9, "busybox sleep 100");
                harness_send(server.links[1], &frame, NULL); /* in the middle of being made */
                kill(harness->spawn, SIGKILL);
                assert_int_equal(harness_spawn_wait(harness), -1);
                harness_server_close(&server);
                assert_true(harness_processes_end(harness)); /* parent-death signals */
        }
        uint32_t last = server.generation;
        harness_up(harness, &server);
        assert_true(server.generation > last);
        harness_channel_close(harness_instance(server.links[1], 1, "true"));
        harness_server_close(&server);
}

static void sigterm_ends_everything(void **state)
{
        struct harness *harness = *state;
        struct played server;

        NEED_ROOT();
        harness_up(harness, &server);
        own_mem char *record = harness_record(harness);
        harness_channel_close(harness_instance(server.links[1], 1, "busybox sleep 100"));
        kill(harness->spawn, SIGTERM);
        assert_int_equal(harness_spawn_wait(harness), 0);
        assert_int_equal(harness_processes(harness), 0);
        assert_true(harness_cgroups_gone(record));
        harness_server_close(&server);
}

int main(void)
{
#define SPAWN_TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                SPAWN_TEST(a_server_hears_hello_and_gets_listeners),
                SPAWN_TEST(a_server_is_given_files_that_root_alone_may_read),
                SPAWN_TEST(an_instance_speaks_over_its_channel_and_exits),
                SPAWN_TEST(kill_ends_an_instance_and_may_be_said_twice),
                SPAWN_TEST(what_cannot_start_says_why),
                SPAWN_TEST(many_start_at_once),
                SPAWN_TEST(a_bad_frame_ends_its_link_and_what_it_started),
                SPAWN_TEST(a_server_that_dies_is_started_again),
                SPAWN_TEST(a_server_that_cannot_be_configured_ends_it_all),
                SPAWN_TEST(an_upgrade_drains_the_old_server),
                SPAWN_TEST(an_upgrade_that_fails_keeps_the_old_server),
                SPAWN_TEST(an_upgrade_that_hangs_is_given_up),
                SPAWN_TEST(a_second_spawn_on_the_same_state_is_refused),
                SPAWN_TEST(a_killed_spawn_leaves_nothing_that_the_next_does_not_clear),
                SPAWN_TEST(sigterm_ends_everything),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
