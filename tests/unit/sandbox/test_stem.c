/*
 * tests/unit/sandbox/test_stem.c: stems, with the real dispatch-spawn: what one that is claimed gets, what it
 * keeps, and what becomes of one that cannot be claimed.
 */
#include "harness.h"

#include "base/own.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* spawn binds code by a child that shares its memory, which ThreadSanitizer's clone(2) cannot do. */
#define POSSIBLE (!__has_feature(thread_sanitizer) && harness_possible())

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (!POSSIBLE)                                                                               \
                        skip();                                                                              \
        } while (0)

/* Waits for a word, as an agent waits for SPECIALISE. */
#define WAIT "read word <&4; "

/* All that comes until the other end is closed; the caller's. */
static char *read_all(int fd)
{
        char *text = calloc(1, 8192);
        size_t len = 0;

        assert_non_null(text);
        for (;;) {
                struct pollfd wait = {.fd = fd, .events = POLLIN};
                assert_int_equal(poll(&wait, 1, HARNESS_WAIT_MS), 1);
                ssize_t got = read(fd, text + len, 8191 - len);
                if (got <= 0)
                        return text;
                len += (size_t)got;
        }
}

static void code_make(const struct harness *harness, const char *name)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/state/layers/%s", harness->path, name);
        assert_int_equal(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/state/layers/%s/name", harness->path, name);
        own_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, name, strlen(name)), strlen(name));
        assert_int_equal(fchmod(fd, 0644), 0);
}

static union spawn_frame stem_frame(uint64_t id, const char *script)
{
        union spawn_frame frame = harness_start_frame(id, script);

        frame.start.role = SPAWN_ROLE_STEM;
        memcpy(frame.start.function, "image", sizeof("image"));
        return frame;
}

static struct harness_channel stem_boot(int link, uint64_t id, const char *script, uint64_t *ret_cgroup)
{
        union spawn_frame frame = stem_frame(id, script);
        struct harness_channel channel;

        harness_send(link, &frame, NULL);
        harness_started(link, &frame, &channel);
        assert_true(frame.started.ok);
        assert_int_equal(frame.started.prepared, 0);
        assert_true(channel.in >= 0);
        *ret_cgroup = frame.started.cgroup;
        return channel;
}

static union spawn_frame claim_frame(uint64_t id, uint64_t from, const char *code, const char *script)
{
        union spawn_frame frame = harness_start_frame(id, script);

        frame.start.from = from;
        snprintf(frame.start.code, sizeof(frame.start.code), "%s", code);
        return frame;
}

static void claim(int link, const union spawn_frame *claim, struct spawn_started *ret)
{
        union spawn_frame frame;
        int fd;

        harness_send(link, claim, NULL);
        harness_receive(link, SPAWN_STARTED, &frame, &fd);
        assert_int_equal(fd, -1); /* the channel stays with the server */
        assert_int_equal(frame.head.id, claim->head.id);
        *ret = frame.started;
}

static void assert_claimed(int link, const union spawn_frame *frame, uint64_t cgroup)
{
        struct spawn_started started;

        claim(link, frame, &started);
        if (!started.ok)
                print_message("%s\n", started.text);
        assert_true(started.ok);
        assert_int_equal(started.prepared, 1);
        assert_int_equal(started.cgroup, cgroup);
}

static void assert_refused(int link, const union spawn_frame *frame, enum err_code code, const char *part)
{
        struct spawn_started started;

        claim(link, frame, &started);
        assert_int_equal(started.ok, 0);
        assert_int_equal(started.code, code);
        assert_non_null(strstr(started.text, part));
}

static void assert_exited(int link, uint64_t id)
{
        union spawn_frame frame;

        harness_receive(link, SPAWN_EXITED, &frame, NULL);
        assert_int_equal(frame.head.id, id);
}

/* The content of its cgroup's file, in whichever hierarchy has one of that name. */
static void cgroup_file(const struct harness *harness, uint64_t number, const char *file, char out[64])
{
        own_mem char *record = harness_record(harness);
        char *rest = NULL, path[512];

        out[0] = '\0';
        for (char *line = strtok_r(record, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
                snprintf(path, sizeof(path), "%s/org-org/fn-image/i-%llu/%s", line,
                         (unsigned long long)number, file);
                own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
                ssize_t got = fd >= 0 ? read(fd, out, 63) : -1;
                if (got >= 0) {
                        out[got] = '\0';
                        return;
                }
        }
}

static void assert_limit(const struct harness *harness, uint64_t number, const char *v1, const char *v2,
                         const char *value)
{
        char text[64];

        cgroup_file(harness, number, v1, text);
        if (text[0] == '\0')
                cgroup_file(harness, number, v2, text);
        text[strcspn(text, "\n")] = '\0';
        assert_string_equal(text, value);
}

static void a_claimed_stem_has_its_code_and_its_limits(void **state)
{
        static const char script[] = WAIT
                "cat /function/name >&5; set -- $(busybox df -k /tmp | busybox tail -1); echo \" $2\" >&5";
        struct harness *harness = *state;
        struct played server;
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        struct harness_channel channel = stem_boot(server.links[1], 1, script, &cgroup);
        assert_limit(harness, cgroup, "pids.max", "pids.max", "17");

        union spawn_frame frame = claim_frame(2, 1, "one", script);
        frame.start.memory_mib = 96;
        frame.start.pids_max = 40;
        frame.start.cpu_millicores = 250;
        frame.start.tmp_mib = 9;
        assert_claimed(server.links[1], &frame, cgroup);
        assert_limit(harness, cgroup, "pids.max", "pids.max", "41");
        assert_limit(harness, cgroup, "memory.limit_in_bytes", "memory.max", "100663296");
        assert_limit(harness, cgroup, "cpu.cfs_quota_us", "cpu.max",
                     access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "25000 100000" : "25000");

        assert_int_equal(write(channel.out, "go\n", 3), 3);
        own_mem char *text = read_all(channel.in);
        assert_string_equal(text, "one 9216\n");
        assert_exited(server.links[1], 2);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void what_is_bound_cannot_be_changed_from_inside(void **state)
{
        static const char script[] =
                WAIT "busybox mount -o remount,rw,bind /function; busybox umount /function; "
                     "busybox umount -l /function; busybox mount -t tmpfs none /function; "
                     "echo x >/function/x; busybox rm -f /function/name; busybox mount -o "
                     "remount,size=64m /tmp; busybox grep ' /function ' /proc/self/mountinfo >&5; "
                     "busybox ls /function >&5";
        struct harness *harness = *state;
        struct played server;
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        struct harness_channel channel = stem_boot(server.links[1], 1, script, &cgroup);
        union spawn_frame frame = claim_frame(2, 1, "one", script);
        assert_claimed(server.links[1], &frame, cgroup);
        assert_int_equal(write(channel.out, "go\n", 3), 3);
        own_mem char *text = read_all(channel.in);
        assert_non_null(strstr(text, " /function ro,nosuid,nodev"));
        assert_non_null(strstr(text, "\nname\n"));
        assert_null(strstr(text, "\nx\n"));
        /* One mount there: nothing was put over it. */
        assert_null(strstr(strstr(text, " /function ") + 1, " /function "));
        assert_exited(server.links[1], 2);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void a_stem_is_claimed_once_and_its_id_is_gone(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame kill_frame = harness_head_frame(SPAWN_KILL, 1);
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        code_make(harness, "two");
        harness_up(harness, &server);
        struct harness_channel channel =
                stem_boot(server.links[1], 1, WAIT "cat /function/name >&5", &cgroup);
        union spawn_frame frame = claim_frame(2, 1, "one", WAIT "cat /function/name >&5");
        assert_claimed(server.links[1], &frame, cgroup);
        frame = claim_frame(3, 1, "two", WAIT "cat /function/name >&5");
        assert_refused(server.links[1], &frame, ERR_NOT_FOUND, "gone");
        frame.start.from = 2; /* an instance by now */
        assert_refused(server.links[1], &frame, ERR_NOT_IMPLEMENTED, "nothing can be forked from that");
        harness_send(server.links[1], &kill_frame, NULL); /* of nobody */

        assert_int_equal(write(channel.out, "go\n", 3), 3);
        own_mem char *text = read_all(channel.in);
        assert_string_equal(text, "one");
        assert_exited(server.links[1], 2);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void stems_of_one_image_see_only_their_own_code(void **state)
{
        static const char script[] =
                WAIT "echo $(busybox find /function -type f) $(cat /function/name) >&5; " WAIT;
        static const char *const names[] = {"one", "two"};
        struct harness *harness = *state;
        struct played server;
        uint64_t cgroups[2];
        struct harness_channel channels[2];

        NEED_ROOT();
        harness_up(harness, &server);
        for (uint64_t i = 0; i < 2; i++) {
                code_make(harness, names[i]);
                channels[i] = stem_boot(server.links[1], 1 + i, script, &cgroups[i]);
        }
        for (uint64_t i = 0; i < 2; i++) {
                union spawn_frame frame = claim_frame(11 + i, 1 + i, names[i], script);
                assert_claimed(server.links[1], &frame, cgroups[i]);
        }
        for (uint64_t i = 0; i < 2; i++) {
                char want[64];
                assert_int_equal(write(channels[i].out, "go\nend\n", 7), 7);
                own_mem char *text = read_all(channels[i].in);
                snprintf(want, sizeof(want), "/function/name %s\n", names[i]);
                assert_string_equal(text, want);
                assert_exited(server.links[1], 11 + i);
                harness_channel_close(channels[i]);
        }
        harness_server_close(&server);
}

static void a_claim_that_does_not_fit_leaves_the_stem(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame;
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        struct harness_channel channel =
                stem_boot(server.links[1], 1, WAIT "cat /function/name >&5", &cgroup);
        frame = claim_frame(2, 1, "one", "echo another command line");
        assert_refused(server.links[1], &frame, ERR_CONFLICT, "another image or command line");
        frame = claim_frame(2, 1, "one", WAIT "cat /function/name >&5");
        memcpy(frame.start.organization, "other", sizeof("other"));
        assert_refused(server.links[1], &frame, ERR_CONFLICT, "another image or command line");
        frame = claim_frame(2, 1, "one", WAIT "cat /function/name >&5");
        memcpy(frame.start.layers[0], "one", sizeof("one"));
        assert_refused(server.links[1], &frame, ERR_CONFLICT, "another image or command line");
        frame = claim_frame(2, 1, "missing", WAIT "cat /function/name >&5");
        assert_refused(server.links[1], &frame, ERR_NOT_FOUND, "missing");
        frame = claim_frame(2, 1, "one", WAIT "cat /function/name >&5");
        frame.head.op = SPAWN_START_EGRESS;
        assert_refused(server.links[1], &frame, ERR_NOT_IMPLEMENTED, "network");
        frame = claim_frame(2, 1, "one", WAIT "cat /function/name >&5");
        assert_refused(server.links[2], &frame, ERR_NOT_FOUND, "gone"); /* another link's */

        assert_claimed(server.links[1], &frame, cgroup);
        assert_int_equal(write(channel.out, "go\n", 3), 3);
        own_mem char *text = read_all(channel.in);
        assert_string_equal(text, "one");
        assert_exited(server.links[1], 2);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void a_stem_that_is_ending_is_not_claimed(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame, kill_frame = harness_head_frame(SPAWN_KILL, 1);
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        struct harness_channel channel = stem_boot(server.links[1], 1, WAIT, &cgroup);
        harness_send(server.links[1], &kill_frame, NULL);
        frame = claim_frame(2, 1, "one", WAIT);
        harness_send(server.links[1], &frame, NULL);
        /* Refused as ending or as gone, and the stem's own end is told, in whichever order. */
        for (bool refused = false, exited = false; !refused || !exited;) {
                struct pollfd wait = {.fd = server.links[1], .events = POLLIN};
                int fds[SPAWN_FDS_MAX];
                size_t count = 0;
                assert_int_equal(poll(&wait, 1, HARNESS_WAIT_MS), 1);
                assert_int_equal(spawn_receive(server.links[1], &frame, fds, &count, NULL), ERR_OK);
                if (frame.head.op == SPAWN_EXITED) {
                        assert_int_equal(frame.head.id, 1);
                        exited = true;
                } else {
                        assert_int_equal(frame.head.op, SPAWN_STARTED);
                        assert_int_equal(frame.started.ok, 0);
                        refused = true;
                }
        }
        assert_true(harness_processes_end(harness));
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void what_a_stem_used_before_does_not_count(void **state)
{
        static const char script[] = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo >&5; " WAIT;
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame;
        uint64_t cgroup, boot_us;
        char byte;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        /* What the loop takes, told by one that is not claimed. */
        struct harness_channel channel = harness_instance(server.links[1], 9, script);
        assert_int_equal(read(channel.in, &byte, 1), 1);
        assert_int_equal(write(channel.out, "go\n", 3), 3);
        harness_receive(server.links[1], SPAWN_EXITED, &frame, NULL);
        boot_us = frame.exited.cpu_us;
        harness_channel_close(channel);

        channel = stem_boot(server.links[1], 1, script, &cgroup);
        assert_int_equal(read(channel.in, &byte, 1), 1);
        frame = claim_frame(2, 1, "one", script);
        assert_claimed(server.links[1], &frame, cgroup);
        assert_int_equal(write(channel.out, "go\n", 3), 3);
        harness_receive(server.links[1], SPAWN_EXITED, &frame, NULL);
        assert_int_equal(frame.head.id, 2);
        assert_true(frame.exited.cpu_us < boot_us / 2 || boot_us == 0);
        assert_true(frame.exited.memory_peak_bytes > 0);
        harness_channel_close(channel);
        harness_server_close(&server);
}

static void stems_end_with_their_link(void **state)
{
        struct harness *harness = *state;
        struct played server;
        uint64_t cgroup;

        NEED_ROOT();
        code_make(harness, "one");
        harness_up(harness, &server);
        struct harness_channel unclaimed = stem_boot(server.links[1], 1, WAIT, &cgroup);
        struct harness_channel claimed = stem_boot(server.links[1], 2, WAIT, &cgroup);
        union spawn_frame frame = claim_frame(3, 2, "one", WAIT);
        assert_claimed(server.links[1], &frame, cgroup);
        harness_server_close(&server);
        assert_true(harness_processes_end(harness));
        harness_channel_close(unclaimed);
        harness_channel_close(claimed);
}

#define STEM_TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                STEM_TEST(a_claimed_stem_has_its_code_and_its_limits),
                STEM_TEST(what_is_bound_cannot_be_changed_from_inside),
                STEM_TEST(a_stem_is_claimed_once_and_its_id_is_gone),
                STEM_TEST(stems_of_one_image_see_only_their_own_code),
                STEM_TEST(a_claim_that_does_not_fit_leaves_the_stem),
                STEM_TEST(a_stem_that_is_ending_is_not_claimed),
                STEM_TEST(what_a_stem_used_before_does_not_count),
                STEM_TEST(stems_end_with_their_link),
        };

        return cmocka_run_group_tests_name("spawn: stems", tests, NULL, NULL);
}
