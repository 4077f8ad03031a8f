/*
 * tests/unit/sandbox/test_parts.c: the parts of spawn that need no sandbox: removal of trees, listeners, the
 * command line, where cgroups are.
 */
#include "base/own.h"
#include "sandbox/cgroup_impl.h"
#include "spawn/listen.h"
#include "spawn/options.h"
#include "spawn/state.h"
#include "spawn/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int folder_make(void **state)
{
        (void)state;
        snprintf(folder, sizeof(folder), "/tmp/dispatch-parts-XXXXXX");
        return mkdtemp(folder) == NULL ? -1 : 0;
}

static int folder_remove(void **state)
{
        own_fd int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        return tree_remove(tmp, folder + strlen("/tmp/"), NULL) == ERR_OK ? 0 : -1;
}

static void file_make(int dir_fd, const char *name)
{
        own_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
}

static void a_tree_goes_but_not_what_its_links_name(void **state)
{
        own_fd int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        assert_int_equal(mkdirat(dir, "kept", 0700), 0);
        file_make(dir, "kept/file");
        assert_int_equal(mkdirat(dir, "tree", 0700), 0);
        assert_int_equal(mkdirat(dir, "tree/.moved-0", 0700), 0);
        assert_int_equal(mkdirat(dir, "tree/.moved-0/.moved-1", 0700), 0);
        file_make(dir, "tree/.moved-0/.moved-1/file");
        assert_int_equal(symlinkat("../kept", dir, "tree/link"), 0);
        assert_int_equal(symlinkat("../../kept", dir, "tree/.moved-0/link"), 0);
        assert_int_equal(mkfifoat(dir, "tree/fifo", 0600), 0);
        assert_int_equal(tree_remove(dir, "tree", NULL), ERR_OK);
        assert_int_equal(faccessat(dir, "tree", F_OK, 0), -1);
        assert_int_equal(faccessat(dir, "kept/file", F_OK, 0), 0);

        assert_int_equal(symlinkat("kept", dir, "link"), 0);
        assert_int_equal(tree_remove(dir, "link", NULL), ERR_OK);
        assert_int_equal(faccessat(dir, "kept/file", F_OK, 0), 0);
        assert_int_equal(tree_remove(dir, "missing", NULL), ERR_OK);
}

/* Deeper than a path can be long, and than descriptors would reach. */
static void depth_does_not_matter(void **state)
{
        enum { DEPTH = 3000 };
        own_fd int top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int dir = fcntl(top, F_DUPFD_CLOEXEC, 3);

        (void)state;
        for (int i = 0; i < DEPTH; i++) {
                const char *name = i == 0 ? "deep" : "a-name-of-some-length";
                assert_int_equal(mkdirat(dir, name, 0700), 0);
                int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(next >= 0);
                close(dir);
                dir = next;
        }
        file_make(dir, "file");
        close(dir);
        assert_int_equal(tree_remove(top, "deep", NULL), ERR_OK);
        assert_int_equal(faccessat(top, "deep", F_OK, 0), -1);
}

static void each_loop_gets_a_socket_of_the_same_port(void **state)
{
        struct listen_set set = {.count = 0};
        int domain;

        (void)state;
        assert_int_equal(listen_add(&set, "api=tcp:127.0.0.1:0", 3, getuid(), getgid(), NULL), ERR_OK);
        assert_int_equal(set.count, 3);
        own_mem char *text = listen_describe(&set);
        char expected[64];
        snprintf(expected, sizeof(expected), "api=%d,api=%d,api=%d", set.sockets[0].fd, set.sockets[1].fd,
                 set.sockets[2].fd);
        assert_string_equal(text, expected);
        socklen_t len = sizeof(domain);
        assert_int_equal(getsockopt(set.sockets[0].fd, SOL_SOCKET, SO_DOMAIN, &domain, &len), 0);
        assert_int_equal(domain, AF_INET);
        listen_finish(&set);
}

static unsigned port_of(int fd)
{
        struct {
                unsigned short family, port;
                char rest[120];
        } address;
        socklen_t len = sizeof(address);

        assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &len), 0);
        return (unsigned)((address.port >> 8 | address.port << 8) & 0xffff);
}

static void a_port_in_use_is_said_with_the_flag_that_helps(void **state)
{
        struct listen_set set = {.count = 0}, other = {.count = 0};
        struct err err;
        char text[64], expected[96];

        (void)state;
        assert_int_equal(listen_add(&set, "api=tcp:127.0.0.1:0", 2, getuid(), getgid(), NULL), ERR_OK);
        unsigned port = port_of(set.sockets[0].fd);
        snprintf(text, sizeof(text), "api=tcp:127.0.0.1:%u", port);
        assert_int_equal(listen_add(&other, text, 2, getuid(), getgid(), &err), ERR_CONFLICT);
        snprintf(expected, sizeof(expected), "port %u on 127.0.0.1 is in use; choose another with --port",
                 port);
        assert_string_equal(err.text, expected);
        listen_finish(&other);
        listen_finish(&set);
}

static void a_socket_that_nobody_listens_on_is_replaced(void **state)
{
        struct listen_set set = {.count = 0}, other = {.count = 0};
        char text[96], path[80];
        struct stat status;
        struct err err;

        (void)state;
        snprintf(path, sizeof(path), "%s/socket", folder);
        snprintf(text, sizeof(text), "unix=unix:%s", path);
        assert_int_equal(listen_add(&set, text, 4, getuid(), getgid(), NULL), ERR_OK);
        assert_int_equal(set.count, 1);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0660);
        assert_int_equal(listen_add(&other, text, 1, getuid(), getgid(), &err), ERR_CONFLICT);

        /* As after kill -9: the socket stays, its listener does not. */
        close(set.sockets[0].fd);
        set.sockets[0].fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(listen_add(&other, text, 1, getuid(), getgid(), &err), ERR_OK);
        listen_finish(&other);
        assert_int_equal(access(path, F_OK), -1);
        listen_finish(&set);

        file_make(AT_FDCWD, path);
        assert_int_equal(listen_add(&other, text, 1, getuid(), getgid(), &err), ERR_CONFLICT);
        assert_int_equal(access(path, F_OK), 0);
        listen_finish(&other);
}

static void addresses_that_are_none_are_refused(void **state)
{
        static const char *const wrong[] = {"api",
                                            "=tcp:127.0.0.1:0",
                                            "api=127.0.0.1:0",
                                            "api=tcp:localhost:0",
                                            "api=tcp:127.0.0.1",
                                            "api=tcp:127.0.0.1:65536",
                                            "api=tcp:127.0.0.1:-1",
                                            "api=tcp::80",
                                            "a-role-that-is-too-long=tcp:127.0.0.1:0"};
        struct listen_set set = {.count = 0};

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                assert_int_equal(listen_add(&set, wrong[i], 1, 0, 0, NULL), ERR_INVALID);
        assert_int_equal(set.count, 0);
        listen_finish(&set);
}

static void the_command_line_is_whole_or_an_error(void **state)
{
        char *whole[] = {"spawn",
                         "--state-dir",
                         "a",
                         "--runtime-dir",
                         "b",
                         "--build-helper",
                         "c",
                         "--server",
                         "d",
                         "--loops",
                         "2",
                         "--listen",
                         "api=tcp:127.0.0.1:0",
                         "--",
                         "name",
                         "--flag",
                         NULL};
        char *no_server[] = {"spawn",          "--state-dir", "a",  "--runtime-dir", "b",
                             "--build-helper", "c",           "--", "name",          NULL};
        char *unknown[] = {"spawn", "--colour", "red", NULL};
        char *loops[] = {"spawn", "--loops", "0", NULL};
        struct options options;

        (void)state;
        assert_int_equal(options_parse(16, whole, &options, NULL), ERR_OK);
        assert_int_equal(options.loops, 2);
        assert_int_equal(options.listen_count, 1);
        assert_string_equal(options.server_argv[1], "--flag");
        assert_int_equal(options_parse(9, no_server, &options, NULL), ERR_INVALID);
        assert_int_equal(options_parse(3, unknown, &options, NULL), ERR_INVALID);
        assert_int_equal(options_parse(3, loops, &options, NULL), ERR_INVALID);
}

static void a_user_that_does_not_exist_is_the_reserved_one(void **state)
{
        uid_t uid;
        gid_t gid;

        (void)state;
        assert_int_equal(state_user_find("no-such-user-here", &uid, &gid, NULL), ERR_OK);
        assert_int_equal(uid, STATE_ID_RESERVED);
        assert_int_equal(gid, STATE_ID_RESERVED);
        assert_int_equal(state_user_find("4242424", &uid, &gid, NULL), ERR_OK);
        assert_int_equal(uid, 4242424);
        assert_int_equal(state_user_find("root", &uid, &gid, NULL), ERR_INVALID);
}

static void discarded_folders_are_removed_and_leftovers_found(void **state)
{
        struct state dir;

        (void)state;
        if (geteuid() != 0) {
                print_message("skipped: the state directory is root's\n");
                skip();
        }
        char path[96];
        snprintf(path, sizeof(path), "%s/a/b", folder);
        assert_int_equal(state_open(path, 63200, 63200, &dir, NULL), ERR_OK);
        assert_int_equal(mkdirat(dir.layers_fd, "one", 0755), 0);
        assert_int_equal(mkdirat(dir.staging_fd, "job-3", 0755), 0);
        assert_int_equal(mkdirat(dir.staging_fd, "job-3/x", 0755), 0);
        assert_int_equal(mkdirat(dir.staging_fd, ".moved-3", 0755), 0);
        assert_int_equal(mkdirat(dir.staging_fd, "drop-0", 0755), 0);
        assert_int_equal(state_discard(&dir, dir.layers_fd, "one", NULL), ERR_OK);
        assert_int_equal(state_discard(&dir, dir.layers_fd, "one", NULL), ERR_NOT_FOUND);
        assert_int_equal(state_discard_leftovers(&dir, NULL), ERR_OK);
        assert_int_equal(state_discarded_remove(dir.staging_fd, NULL), ERR_OK);
        assert_int_equal(unlinkat(dir.fd, "staging", AT_REMOVEDIR), 0); /* so it was empty */

        struct state second;
        struct err err;
        assert_int_equal(state_open(path, 63200, 63200, &second, &err), ERR_CONFLICT);
        assert_non_null(strstr(err.text, "another server"));
        state_finish(&dir);
}

static const char mounts_v1[] =
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n"
        "35 31 0:32 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "36 31 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
        "broken line\n";
static const char self_v1[] = "4:memory:/system.slice/dispatch.service\n3:pids:/docker/abc/inner\n"
                              "2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/system.slice\n";

static void cgroups_are_found_where_they_are_mounted(void **state)
{
        struct cgroup_place *places = calloc(CONTROLLER_COUNT + 1, sizeof(*places));
        own_mem char *mounts = strdup(mounts_v1), *self = strdup(self_v1);

        (void)state;
        assert_non_null(places);
        cgroup_places_parse(mounts, self, places, &places[CONTROLLER_COUNT]);
        assert_string_equal(places[CONTROLLER_MEMORY].own,
                            "/sys/fs/cgroup/my memory/system.slice/dispatch.service");
        assert_string_equal(places[CONTROLLER_CPU].own, "/sys/fs/cgroup/cpu,cpuacct");
        assert_string_equal(places[CONTROLLER_CPUACCT].own, "/sys/fs/cgroup/cpu,cpuacct");
        assert_string_equal(places[CONTROLLER_PIDS].own, "/sys/fs/cgroup/pids/inner");
        assert_string_equal(places[CONTROLLER_COUNT].own, "/sys/fs/cgroup/unified/system.slice");
        free(places);
}

static void numbers_are_found_by_their_key(void **state)
{
        (void)state;
        assert_int_equal(cgroup_number("low 0\noom 3\noom_kill 17\n", "oom_kill "), 17);
        assert_int_equal(cgroup_number("low 0\n", "oom_kill "), 0);
        assert_int_equal(cgroup_number("4096\n", ""), 4096);
        assert_int_equal(cgroup_number("", ""), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_tree_goes_but_not_what_its_links_name),
                cmocka_unit_test(depth_does_not_matter),
                cmocka_unit_test(each_loop_gets_a_socket_of_the_same_port),
                cmocka_unit_test(a_port_in_use_is_said_with_the_flag_that_helps),
                cmocka_unit_test(a_socket_that_nobody_listens_on_is_replaced),
                cmocka_unit_test(addresses_that_are_none_are_refused),
                cmocka_unit_test(the_command_line_is_whole_or_an_error),
                cmocka_unit_test(a_user_that_does_not_exist_is_the_reserved_one),
                cmocka_unit_test(discarded_folders_are_removed_and_leftovers_found),
                cmocka_unit_test(cgroups_are_found_where_they_are_mounted),
                cmocka_unit_test(numbers_are_found_by_their_key),
        };
        return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
