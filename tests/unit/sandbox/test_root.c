/*
 * tests/unit/sandbox/test_root.c: jobs that are root of a range of user ids: dispatch-system in an image
 * whose apt-get does what a package's scripts could, and what is left of it in the layer.
 */
#include "harness.h"

#include "base/own.h"
#include "layer.h"
#include "spawn/state.h"

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
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

enum { OTHER_UID = 0x61000000, LOG_MAX = 65536, TEXT_MAX = 4096 };

static bool possible(void)
{
        if (!harness_possible())
                return false;
        if (access("/dev/loop-control", W_OK) == 0 &&
            (access("/usr/sbin/mke2fs", X_OK) == 0 || access("/sbin/mke2fs", X_OK) == 0))
                return true;
        print_message("skipped: there are no loop devices here, or no mke2fs\n");
        return false;
}

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (!possible())                                                                             \
                        skip();                                                                              \
        } while (0)

static void put(int dir_fd, const char *path, const char *text, mode_t mode)
{
        own_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
}

static int layer_open(const struct harness *harness, const char *name)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/state/layers/%s", harness->path, name);
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* An image, owned by another user of the host as layers are, whose apt-get installs by running `script`. */
static void image_make(const struct harness *harness, const char *script)
{
        static const char *const folders[] = {"usr",     "usr/bin",     "usr/sbin",  "var",
                                              "var/lib", "var/lib/apt", "var/cache", "var/cache/apt",
                                              "var/log", "etc",         "data",      "gone"};
        static const char *const applets[] = {"cat",    "chmod",   "chown", "chroot", "cp",     "dd",
                                              "echo",   "grep",    "id",    "kill",   "ln",     "ls",
                                              "mkdir",  "mkfifo",  "mknod", "mount",  "mv",     "readlink",
                                              "rm",     "rmdir",   "sleep", "tail",   "touch",  "truncate",
                                              "umount", "unshare", "wc",    "true",   "setsid", "head"};
        char path[160], text[TEXT_MAX];

        snprintf(path, sizeof(path), "%s/state/layers/image", harness->path);
        assert_int_equal(mkdir(path, 0755), 0);
        own_fd int fd = layer_open(harness, "image");
        assert_int_equal(layer_fill(fd), 0);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                assert_int_equal(mkdirat(fd, folders[i], 0755), 0);
        for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++) {
                snprintf(path, sizeof(path), "bin/%s", applets[i]);
                assert_int_equal(symlinkat("busybox", fd, path), 0);
        }
        snprintf(text, sizeof(text),
                 "#!/bin/sh\n"
                 "case \"$*\" in\n"
                 "*--print-uris*) echo \"'http://mirror/pool/evil_1.0_all.deb' evil_1.0_all.deb 1 "
                 "MD5Sum:x\"; exit 0;;\n"
                 "*update*) exit 0;;\n"
                 "esac\n"
                 "echo installing $*\n"
                 "%s\n",
                 script);
        put(fd, "usr/bin/apt-get", text, 0755);
        put(fd, "usr/bin/dpkg", "#!/bin/sh\n", 0755);
        put(fd, "usr/bin/dpkg-query",
            "#!/bin/sh\nprintf 'ii \\tbase\\t1\\tall\\n'\n[ ! -e /installed ] || printf 'ii "
            "\\tevil\\t1.0\\tall\\n'\n",
            0755);
        put(fd, "etc/removed", "x", 0644);
        put(fd, "etc/kept", "x", 0644);
        put(fd, "gone/file", "x", 0644);
        put(fd, "data/file", "old", 0644);
        snprintf(path, sizeof(path), "%s/state/layers/image", harness->path);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                assert_int_equal(fchownat(fd, folders[i], OTHER_UID, OTHER_UID, 0), 0);
        static const char *const files[] = {"etc/removed",       "etc/kept",        "gone/file",
                                            "data/file",         "usr/bin/apt-get", "usr/bin/dpkg",
                                            "usr/bin/dpkg-query"};
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                assert_int_equal(fchownat(fd, files[i], OTHER_UID, OTHER_UID, 0), 0);
}

struct result {
        union spawn_frame built;
        char log[LOG_MAX];
};

static union spawn_frame frame_make(uint64_t id)
{
        union spawn_frame frame;

        memset(&frame, 0, sizeof(frame));
        frame.build = (struct spawn_build){.head = {.op = SPAWN_BUILD, .id = id},
                                           .kind = "system",
                                           .layer = "system-1",
                                           .layer_count = 1,
                                           .layers = {"image"},
                                           .fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_LOG,
                                           .memory_mib = 256,
                                           .cpu_millicores = 2000,
                                           .pids_max = 64,
                                           .tmp_mib = 16,
                                           .disk_mib = 64,
                                           .files_max = 500};
        return frame;
}

static void frame_send(int link, const union spawn_frame *frame, const int fds[2])
{
        assert_int_equal(spawn_send(link, frame, fds, 2, NULL), ERR_OK);
}

/* One job to its end. */
static void run(struct played *server, const char *input, struct result *ret)
{
        static uint64_t id;
        union spawn_frame frame = frame_make(++id);
        own_fd int in = memfd_create("input", MFD_CLOEXEC);
        int ends[2];
        size_t used = 0;
        ssize_t got;

        assert_int_equal(write(in, input, strlen(input)), strlen(input));
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        int fds[2] = {in, ends[1]};
        frame_send(server->links[0], &frame, fds);
        close(ends[1]);
        while ((got = read(ends[0], ret->log + used, sizeof(ret->log) - 1 - used)) > 0)
                used += (size_t)got;
        ret->log[used] = '\0';
        close(ends[0]);
        harness_receive(server->links[0], SPAWN_BUILT, &ret->built, NULL);
        assert_int_equal(ret->built.head.id, id);
}

static bool there(int dir_fd, const char *path, struct stat *ret)
{
        return fstatat(dir_fd, path, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

static void text_of(int dir_fd, const char *path, char out[TEXT_MAX])
{
        own_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 ? read(fd, out, TEXT_MAX - 1) : 0;

        out[got > 0 ? got : 0] = '\0';
}

static bool staging_empties(const struct harness *harness)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/state/staging", harness->path);
        for (int i = 0; i < 500; i++) {
                own_dir DIR *dir = opendir(path);
                const struct dirent *entry;
                unsigned count = 0;
                while (dir != NULL && (entry = readdir(dir)) != NULL)
                        count += entry->d_name[0] != '.';
                if (dir != NULL && count == 0)
                        return true;
                (void)poll(NULL, 0, 10);
        }
        return false;
}

static void what_scripts_leave_is_flat_and_harmless(void **state)
{
        struct harness *harness = *state;
        struct played server;
        struct result *result = calloc(1, sizeof(*result));
        struct stat status, other;
        char value[64], text[TEXT_MAX];

        NEED_ROOT();
        image_make(harness, "touch /installed\n"
                            "mkdir /new && echo program >/new/program && chown 33:44 /new/program && chmod "
                            "4711 /new/program\n"
                            "ln /new/program /new/same && ln -s ../../../etc/passwd /new/link\n"
                            "mkfifo /new/pipe && chmod 600 /etc/kept && chown 5:6 /data && chmod 700 /data\n"
                            "mknod /new/null c 1 3; mknod /new/disk b 7 0; mknod /new/whiteout c 0 0\n"
                            "rm /etc/removed && rm -r /gone && mkdir /gone && echo y >/gone/other\n"
                            "dd if=/dev/zero of=/new/sparse bs=1 count=1 seek=1048576 2>/dev/null\n"
                            "echo new >>/data/file\n"
                            "echo log >/var/log/evil.log\n"
                            "echo x >/tmp/x && echo x >/dev/shm/x\n"
                            "setsid sleep 1000 &\n"
                            "exit 0");
        harness_up(harness, &server);
        run(&server, "evil\n", result);
        assert_string_equal(result->built.built.text, "");
        assert_int_equal(result->built.built.code, ERR_OK);
        assert_non_null(strstr(result->log, "L installing "));
        assert_non_null(
                strstr(result->log,
                       "R {\"packages\":[{\"type\":\"deb\",\"name\":\"evil\",\"version\":\"1.0\","
                       "\"architecture\":\"all\",\"origin\":\"http://mirror/pool/evil_1.0_all.deb\"}]}\n"));

        own_fd int layer = layer_open(harness, "system-1");
        assert_true(layer >= 0);
        assert_true(there(layer, "new/program", &status) && S_ISREG(status.st_mode));
        assert_int_equal(status.st_mode & 07777, 0755);
        assert_int_equal(status.st_uid, 0);
        assert_int_equal(status.st_gid, 0);
        assert_int_equal(status.st_mtime, 315532800);
        assert_true(there(layer, "new/same", &other) && other.st_ino == status.st_ino);
        own_fd int program = openat(layer, "new/program", O_RDONLY | O_CLOEXEC);
        ssize_t len = fgetxattr(program, "user.dispatch.owner", value, sizeof(value) - 1);
        assert_true(len > 0);
        value[len] = '\0';
        assert_string_equal(value, "33:44:4711");
        assert_int_equal(readlinkat(layer, "new/link", value, sizeof(value)), 19);
        assert_false(there(layer, "new/pipe", &status));
        assert_false(there(layer, "new/null", &status));
        assert_false(there(layer, "new/disk", &status));
        assert_false(there(layer, "new/whiteout", &status));
        assert_true(there(layer, "new/sparse", &status) && status.st_size == 1048577 &&
                    status.st_blocks < 64);
        assert_true(there(layer, "etc/kept", &status) && (status.st_mode & 07777) == 0644);
        assert_true(there(layer, "etc/removed", &status) && S_ISCHR(status.st_mode) &&
                    status.st_rdev == makedev(0, 0));
        assert_true(there(layer, "gone/other", &status));
        own_fd int gone = openat(layer, "gone", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fgetxattr(gone, "trusted.overlay.opaque", value, sizeof(value)), 1);
        assert_int_equal(fgetxattr(gone, "user.overlay.opaque", value, sizeof(value)), 1);
        assert_true(there(layer, "data", &status) && (status.st_mode & 07777) == 0755 && status.st_uid == 0);
        text_of(layer, "data/file", text);
        assert_string_equal(text, "oldnew\n");
        static const char *const absent[] = {"var/log/evil.log",
                                             "tmp",
                                             "dev",
                                             "proc",
                                             "etc/resolv.conf",
                                             "var/lib/apt/dispatch-lists",
                                             "var/cache/apt/dispatch-archives",
                                             "usr/sbin/policy-rc.d",
                                             "function",
                                             "runtime",
                                             "out",
                                             "run"};
        for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
                if (there(layer, absent[i], &status))
                        fail_msg("%s is in the layer", absent[i]);
        }
        assert_true(harness_processes_end(harness));
        assert_true(staging_empties(harness));
        harness_server_close(&server);
        free(result);
}

static void scripts_have_no_way_out(void **state)
{
        struct harness *harness = *state;
        struct played server;
        struct result *result = calloc(1, sizeof(*result));
        char text[TEXT_MAX];

        NEED_ROOT();
        /* Each line names what must not work; one that does is written down. */
        image_make(harness,
                   "touch /installed; exec >/found 2>/dev/null\n"
                   "id -u\n"
                   "chroot / true && echo chroot\n"
                   "mount -t tmpfs none /data && echo mount\n"
                   "umount /tmp && echo umount\n"
                   "unshare -U true && echo userns\n"
                   "unshare -m true && echo mountns\n"
                   "ls /proc/1/root/ && echo root of init\n"
                   "cat /proc/1/environ && echo environment of init\n"
                   "for p in /proc/[0-9]*; do case $(cat $p/comm) in dispatch*) readlink $p/fd/3 && echo "
                   "descriptors "
                   "of $p;\n"
                   "    ls $p/root/ && echo root of $p; cat $p/mem && echo memory of $p;; esac; done\n"
                   "echo 1 >/proc/sys/kernel/hostname && echo sysctl\n"
                   "echo -1000 >/proc/self/oom_score_adj && echo oom score\n"
                   "cat /dev/.mask && echo mask\n"
                   "mknod /tmp/null c 1 3 && echo device\n"
                   "ls /usr/lib /usr/share && echo the host\n"
                   "kill -9 1; grep '^Cap[EPB]' /proc/self/status; grep -E '^(NoNewPrivs|Seccomp):' "
                   "/proc/self/status\n"
                   "ls -n /bin/busybox | head -c 10; echo\n"
                   "exit 0");
        harness_up(harness, &server);
        run(&server, "evil", result);
        assert_string_equal(result->built.built.text, "");
        own_fd int layer = layer_open(harness, "system-1");
        text_of(layer, "found", text);
        /* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETFCAP */
        assert_string_equal(
                text, "0\n"
                      "CapPrm:\t00000000800000fb\nCapEff:\t00000000800000fb\nCapBnd:\t00000000800000fb\n"
                      "NoNewPrivs:\t1\nSeccomp:\t2\n-rwxr-xr-x\n");
        assert_true(staging_empties(harness));
        harness_server_close(&server);
        free(result);
}

static void the_disk_and_its_files_are_bounded(void **state)
{
        static const struct {
                const char *script, *said;
        } cases[] = {
                {"dd if=/dev/zero of=/data/big bs=1M count=1000 2>&1 || { echo E: full; exit 100; }", "full"},
                {"i=0; while [ $i -lt 2000 ]; do touch /data/$i || { echo E: files; exit 100; }; i=$((i+1)); "
                 "done",
                 "files"},
                {"exec 9>/data/unlinked; rm /data/unlinked; dd if=/dev/zero bs=1M count=60 >&9 2>/dev/null\n"
                 "dd if=/dev/zero of=/data/more bs=1M count=60 2>/dev/null || { echo E: unlinked; exit 100; "
                 "}",
                 "unlinked"},
        };
        struct result *result = calloc(1, sizeof(*result));

        NEED_ROOT();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct harness *harness = *state;
                struct played server;
                struct stat status;

                if (i > 0) {
                        assert_int_equal(harness_teardown(state), 0);
                        assert_int_equal(harness_setup(state), 0);
                        harness = *state;
                }
                image_make(harness, cases[i].script);
                harness_up(harness, &server);
                run(&server, "evil", result);
                assert_int_equal(result->built.built.code, ERR_UNPROCESSABLE);
                if (strstr(result->built.built.text, cases[i].said) == NULL)
                        fail_msg("%s: %s", cases[i].said, result->built.built.text);
                own_fd int layers = layer_open(harness, ".");
                assert_false(there(layers, "system-1", &status));
                assert_true(staging_empties(harness));
                harness_server_close(&server);
        }
        free(result);
}

static void a_job_is_killed_with_all_that_it_started(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = frame_make(77), built;
        own_fd int in = memfd_create("input", MFD_CLOEXEC);
        char byte;
        int ends[2];

        NEED_ROOT();
        image_make(harness, "setsid sleep 1000 & sleep 1000");
        harness_up(harness, &server);
        assert_int_equal(write(in, "evil", 4), 4);
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        int fds[2] = {in, ends[1]};
        frame_send(server.links[0], &frame, fds);
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1); /* it runs */
        frame = harness_head_frame(SPAWN_KILL, 77);
        harness_send(server.links[0], &frame, NULL);
        harness_receive(server.links[0], SPAWN_BUILT, &built, NULL);
        assert_int_equal(built.built.code, ERR_CANCELLED);
        close(ends[0]);
        assert_true(harness_processes_end(harness));
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

/* Loop devices whose file is in this test's state directory. */
static unsigned loops_count(const struct harness *harness)
{
        unsigned count = 0;

        for (int i = 0; i < 64; i++) {
                char path[64], text[TEXT_MAX];
                snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file", i);
                text_of(AT_FDCWD, path, text);
                count += strstr(text, harness->path) != NULL;
        }
        return count;
}

static void nothing_of_a_disk_is_left_when_spawn_is_killed(void **state)
{
        struct harness *harness = *state;
        struct played server;
        union spawn_frame frame = frame_make(5);
        own_fd int in = memfd_create("input", MFD_CLOEXEC);
        char byte;
        int ends[2];

        NEED_ROOT();
        image_make(harness, "sleep 1000");
        harness_up(harness, &server);
        assert_int_equal(write(in, "evil", 4), 4);
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        int fds[2] = {in, ends[1]};
        frame_send(server.links[0], &frame, fds);
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(loops_count(harness), 1);
        assert_int_equal(kill(harness->spawn, SIGKILL), 0);
        assert_int_equal(harness_spawn_wait(harness), -1);
        harness_server_close(&server);
        close(ends[0]);
        for (int i = 0; i < 500 && loops_count(harness) > 0; i++)
                (void)poll(NULL, 0, 10);
        assert_int_equal(loops_count(harness), 0);
        assert_true(harness_processes_end(harness));
        /* The next one clears the rest. */
        harness_up(harness, &server);
        assert_true(staging_empties(harness));
        harness_server_close(&server);
}

static void a_script_that_kills_the_job_is_told(void **state)
{
        struct harness *harness = *state;
        struct played server;
        struct result *result = calloc(1, sizeof(*result));

        NEED_ROOT();
        image_make(harness, "touch /installed; kill -9 -1; sleep 1000");
        harness_up(harness, &server);
        run(&server, "evil", result);
        assert_int_equal(result->built.built.code, ERR_UNPROCESSABLE);
        assert_string_equal(result->built.built.text,
                            "the build was killed, by a script of a package or from outside");
        assert_true(harness_processes_end(harness));
        assert_true(staging_empties(harness));
        harness_server_close(&server);
        free(result);
}

static void an_image_without_apt_and_bad_names_are_told(void **state)
{
        struct harness *harness = *state;
        struct played server;
        struct result *result = calloc(1, sizeof(*result));

        NEED_ROOT();
        image_make(harness, "exit 0");
        harness_up(harness, &server);
        run(&server, "--option\n", result);
        assert_int_equal(result->built.built.code, ERR_INVALID);
        assert_string_equal(result->built.built.text, "'--option' is no package of Debian");
        run(&server, "\n", result);
        assert_string_equal(result->built.built.text, "no system dependencies");
        own_fd int layer = layer_open(harness, "image");
        assert_int_equal(unlinkat(layer, "usr/bin/apt-get", 0), 0);
        run(&server, "curl", result);
        assert_int_equal(result->built.built.code, ERR_UNPROCESSABLE);
        assert_non_null(strstr(result->built.built.text, "the base image has no apt-get"));
        harness_server_close(&server);
        free(result);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(what_scripts_leave_is_flat_and_harmless, harness_setup,
                                                harness_teardown),
                cmocka_unit_test_setup_teardown(scripts_have_no_way_out, harness_setup, harness_teardown),
                cmocka_unit_test_setup_teardown(the_disk_and_its_files_are_bounded, harness_setup,
                                                harness_teardown),
                cmocka_unit_test_setup_teardown(a_job_is_killed_with_all_that_it_started, harness_setup,
                                                harness_teardown),
                cmocka_unit_test_setup_teardown(nothing_of_a_disk_is_left_when_spawn_is_killed, harness_setup,
                                                harness_teardown),
                cmocka_unit_test_setup_teardown(a_script_that_kills_the_job_is_told, harness_setup,
                                                harness_teardown),
                cmocka_unit_test_setup_teardown(an_image_without_apt_and_bad_names_are_told, harness_setup,
                                                harness_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
