/*
 * tests/unit/sandbox/test_sandbox.c: real sandboxes, seen from inside by a shell and from outside by what
 * they leave behind.
 */
#include "fixture.h"

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

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (!fixture_possible())                                                                     \
                        skip();                                                                              \
        } while (0)

static struct outcome outcome; /* large */

static void run(void **state, const char *text)
{
        struct script script = {.text = text};

        fixture_run(*state, &script, &outcome);
        if (outcome.code != ERR_OK)
                print_message("%s\n", outcome.err.text);
        assert_int_equal(outcome.code, ERR_OK);
}

static void assert_says(const char *part)
{
        if (strstr(outcome.text, part) == NULL)
                fail_msg("no '%s' in:\n%s", part, outcome.text);
}

static void assert_says_not(const char *part)
{
        if (strstr(outcome.text, part) != NULL)
                fail_msg("'%s' in:\n%s", part, outcome.text);
}

static void its_exit_status_is_reported(void **state)
{
        NEED_ROOT();
        run(state, "exit 7");
        assert_false(outcome.by_signal);
        assert_int_equal(outcome.value, 7);
        run(state, "kill -TERM $$");
        assert_true(outcome.by_signal);
        assert_int_equal(outcome.value, SIGTERM);
}

static void every_right_is_gone(void **state)
{
        NEED_ROOT();
        run(state, "cat /proc/self/status >&3; id >&3");
        assert_says("CapInh:\t0000000000000000");
        assert_says("CapPrm:\t0000000000000000");
        assert_says("CapEff:\t0000000000000000");
        assert_says("CapBnd:\t0000000000000000");
        assert_says("CapAmb:\t0000000000000000");
        assert_says("NoNewPrivs:\t1");
        assert_says("Seccomp:\t2");
        assert_says("Uid:\t1000\t1000\t1000\t1000");
        assert_says("Gid:\t1000\t1000\t1000\t1000");
        assert_says("Groups:\t \n");
        assert_says("uid=1000 gid=1000");
}

static void the_root_is_read_only(void **state)
{
        NEED_ROOT();
        run(state,
            "for d in / /bin /dev /function /runtime /proc /proc/sys/kernel; do busybox touch $d/x && echo "
            "wrote $d >&3; done; echo 1 > /proc/self/oom_score_adj && echo wrote oom >&3; echo done >&3");
        assert_says_not("wrote");
        assert_says("done");
}

static void only_its_own_processes_are_seen(void **state)
{
        NEED_ROOT();
        run(state, "busybox ps -o pid,args >&3; echo me=$$ >&3; ls /proc | busybox grep -c '^[0-9]' >&3");
        assert_says("1 dispatch-init");
        assert_says("me=2");
        assert_says_not("systemd");
}

static void its_cgroup_looks_like_the_top(void **state)
{
        NEED_ROOT();
        run(state, "busybox cut -d: -f3 /proc/self/cgroup | busybox sort -u >/tmp/c; busybox cat /tmp/c >&3");
        assert_says("/\n");
        assert_says_not("org-");
        assert_says_not("dispatch");
}

static void files_that_tell_about_the_host_cannot_be_read(void **state)
{
        NEED_ROOT();
        run(state, "for f in keys cmdline kallsyms; do busybox head -c 1 /proc/$f; done; "
                   "echo x >/proc/keys; ls /sys >&3; hostname >&3; wc -l </proc/mounts >&3");
        assert_says("/proc/keys: Permission denied");
        assert_says("/proc/cmdline: Permission denied");
        assert_says("/proc/kallsyms: Permission denied");
        assert_says("can't create /proc/keys");
        assert_says("ls: /sys");
        assert_says("sandbox");
}

static void the_network_is_only_lo(void **state)
{
        NEED_ROOT();
        run(state, "busybox tail -n +3 /proc/net/dev | busybox cut -d: -f1 >&3; busybox ip addr show lo >&3");
        assert_says("lo\n");
        assert_says("127.0.0.1/8");
        assert_says_not("eth");
}

static void tmp_is_private_and_limited(void **state)
{
        NEED_ROOT();
        run(state,
            "busybox dd if=/dev/zero of=/tmp/f bs=1M count=8; busybox stat -c '%a %s' /tmp /tmp/f >&3; "
            "echo $HOME $TMPDIR >&3; busybox dd if=/dev/zero of=/dev/shm/f bs=1k count=1 && echo shm >&3");
        assert_says("No space left");
        assert_says("1777");
        assert_says("4194304");
        assert_says("/tmp /tmp");
        assert_says("shm");
        run(state, "busybox ls -A /tmp >&3; echo end >&3");
        assert_string_equal(outcome.text, "end\n");
}

static void devices_are_the_harmless_ones(void **state)
{
        NEED_ROOT();
        run(state, "busybox ls /dev >&3; busybox head -c 4 /dev/urandom | busybox wc -c >&3; "
                   "busybox mknod /tmp/m c 1 1 || echo refused >&3");
        assert_says("fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n4\n");
        assert_says("refused");
}

static void namespaces_and_mounts_are_refused(void **state)
{
        NEED_ROOT();
        run(state,
            "busybox mount -t tmpfs none /tmp || echo no mount >&3; busybox unshare -r true || echo no "
            "unshare "
            ">&3; busybox umount /tmp || echo no umount >&3; busybox chroot /tmp || echo no chroot >&3; "
            "busybox hostname x || echo no hostname >&3; busybox nsenter -t 1 -m true || echo no setns >&3; "
            "busybox dmesg || echo no dmesg >&3");
        assert_says("no mount");
        assert_says("no unshare");
        assert_says("no umount");
        assert_says("no chroot");
        assert_says("no hostname");
        assert_says("no setns");
        assert_says("no dmesg");
}

static void its_init_cannot_be_touched(void **state)
{
        NEED_ROOT();
        run(state, "kill -9 1; busybox readlink /proc/1/exe || echo hidden >&3; busybox ls /proc/1/fd || "
                   "echo closed "
                   ">&3; busybox head -c1 /proc/1/mem || echo unread >&3; echo alive >&3");
        assert_says("hidden");
        assert_says("closed");
        assert_says("unread");
        assert_says("alive");
}

static void it_inherits_only_its_descriptors(void **state)
{
        NEED_ROOT();
        run(state, "(busybox ls -l /proc/2/fd >&3); true");
        assert_says("0 -> /dev/null");
        assert_says("1 -> /memfd:stdout");
        assert_says("2 -> pipe:");
        assert_says("3 -> pipe:");
        assert_says_not(" 4 ->");
}

static void output_is_kept_and_bounded(void **state)
{
        NEED_ROOT();
        run(state, "echo hello; busybox head -c 2000000 /dev/zero; busybox grep pos /proc/2/fdinfo/1 | "
                   "busybox cat >&3; "
                   "busybox wc -c /proc/2/fd/1 | busybox cat >&3");
        assert_says("error");
        assert_says("pos:\t1048576");
        assert_says("1048576 /proc");
}

static void more_memory_than_its_limit_is_an_oom_kill(void **state)
{
        struct script script = {
                .text = "busybox dd if=/dev/zero of=/dev/null bs=60M count=1; echo survived >&3",
                .limits = {.memory_bytes = 16 << 20, .cpu_millicores = 1000, .pids_max = 8}};

        NEED_ROOT();
        fixture_run(*state, &script, &outcome);
        assert_int_equal(outcome.code, ERR_OK);
        assert_true(outcome.usage.oom_kills >= 1);
        assert_true(outcome.usage.memory_peak_bytes > (8 << 20));
        assert_true(outcome.usage.memory_peak_bytes <= (16 << 20));
}

static void a_fork_bomb_stops_at_the_limit(void **state)
{
        struct script script = {
                .text = "i=0; while [ $i -lt 40 ]; do busybox sleep 30 & i=$((i+1)); done; echo end >&3",
                .limits = {.memory_bytes = 64 << 20, .cpu_millicores = 1000, .pids_max = 10}};

        NEED_ROOT();
        fixture_run(*state, &script, &outcome);
        assert_int_equal(outcome.code, ERR_OK);
        assert_true(outcome.usage.pids_refused >= 1);
        assert_says("can't fork");
}

static void cpu_time_is_measured(void **state)
{
        NEED_ROOT();
        run(state, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
        assert_true(outcome.usage.cpu_us > 1000);
        assert_true(outcome.usage.memory_peak_bytes > 100000);
}

static void a_program_that_is_missing_is_said_so(void **state)
{
        struct fixture *fixture = *state;
        struct script script = {.text = "true"};
        struct leaks before, after;
        struct sandbox sandbox;
        struct cgroup *cgroup;
        struct err err;
        bool by_signal;
        int out, value;

        NEED_ROOT();
        leaks_count(fixture, &before);
        assert_int_equal(unlinkat(fixture->layer_fd, "bin/sh", 0), 0);
        assert_int_equal(fixture_start(fixture, &script, &sandbox, &cgroup, &out, &err), ERR_OK);
        assert_int_equal(fixture_await_running(&sandbox, &err), ERR_SYSTEM);
        assert_non_null(strstr(err.text, "No such file"));
        fixture_await_gone(&sandbox, &by_signal, &value);
        sandbox_finish(&sandbox);
        cgroup_release(cgroup);
        close(out);
        assert_int_equal(symlinkat("busybox", fixture->layer_fd, "bin/sh"), 0);
        assert_int_equal(cgroup_sweep(fixture->tree, 1), 0);
        leaks_count(fixture, &after);
        assert_memory_equal(&before, &after, sizeof(before));
}

static void an_image_without_the_folders_is_said_so(void **state)
{
        struct fixture *fixture = *state;
        struct script script = {.text = "true"};

        NEED_ROOT();
        assert_int_equal(unlinkat(fixture->layer_fd, "tmp", AT_REMOVEDIR), 0);
        fixture_run(fixture, &script, &outcome);
        assert_int_equal(mkdirat(fixture->layer_fd, "tmp", 0755), 0);
        assert_int_equal(outcome.code, ERR_SYSTEM);
        assert_non_null(strstr(outcome.err.text, "/tmp"));
        assert_non_null(strstr(outcome.err.text, "no such folder"));
}

static void nothing_is_left_behind(void **state)
{
        struct fixture *fixture = *state;
        struct leaks before, after;
        struct script script = {
                .text = "busybox sleep 100 & busybox sleep 100 & echo up >&3; busybox sleep 100"};

        NEED_ROOT();
        leaks_count(fixture, &before);
        for (int i = 0; i < 20; i++) {
                struct sandbox sandbox;
                struct cgroup *cgroup;
                struct err err;
                bool by_signal;
                char up[8];
                int out, value;
                assert_int_equal(fixture_start(fixture, &script, &sandbox, &cgroup, &out, &err), ERR_OK);
                if (i % 2 == 0) {
                        assert_int_equal(fixture_await_running(&sandbox, &err), ERR_OK);
                        assert_true(read(out, up, sizeof(up)) > 0);
                }
                sandbox_kill(&sandbox); /* in the middle of being made, every other time */
                sandbox_kill(&sandbox);
                fixture_await_gone(&sandbox, &by_signal, &value);
                sandbox_kill(&sandbox);
                assert_true(by_signal);
                assert_int_equal(value, SIGKILL);
                sandbox_finish(&sandbox);
                cgroup_release(cgroup);
                close(out);
        }
        for (int i = 0; i < 1000 && cgroup_sweep(fixture->tree, 4) > 0; i++)
                (void)poll(NULL, 0, 1);
        leaks_count(fixture, &after);
        assert_int_equal(before.mounts, after.mounts);
        assert_int_equal(before.descriptors, after.descriptors);
        assert_int_equal(before.cgroups, after.cgroups);
        assert_int_equal(before.processes, 0);
        assert_int_equal(after.processes, 0);
}

static void several_layers_lie_over_each_other(void **state)
{
        struct fixture *fixture = *state;
        struct mounts mounts;
        struct err err;
        char text[8];

        NEED_ROOT();
        assert_int_equal(mkdirat(fixture->state_fd, "upper", 0755), 0);
        int upper = openat(fixture->state_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int file = openat(upper, "above", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(write(file, "text", 4), 4);
        close(file);
        mounts_init(&mounts);
        assert_int_equal(mounts_open_root((int[]){fixture->layer_fd, upper}, 2, -1, &mounts.root_fd, &err),
                         ERR_OK);
        file = openat(mounts.root_fd, "above", O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(file, text, sizeof(text)), 4);
        close(file);
        file = openat(mounts.root_fd, "bin/busybox", O_RDONLY | O_CLOEXEC);
        assert_true(file >= 0);
        close(file);
        assert_true(openat(mounts.root_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0);
        close(upper);
        mounts_finish(&mounts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(its_exit_status_is_reported),
                cmocka_unit_test(every_right_is_gone),
                cmocka_unit_test(the_root_is_read_only),
                cmocka_unit_test(only_its_own_processes_are_seen),
                cmocka_unit_test(its_cgroup_looks_like_the_top),
                cmocka_unit_test(files_that_tell_about_the_host_cannot_be_read),
                cmocka_unit_test(the_network_is_only_lo),
                cmocka_unit_test(tmp_is_private_and_limited),
                cmocka_unit_test(devices_are_the_harmless_ones),
                cmocka_unit_test(namespaces_and_mounts_are_refused),
                cmocka_unit_test(its_init_cannot_be_touched),
                cmocka_unit_test(it_inherits_only_its_descriptors),
                cmocka_unit_test(output_is_kept_and_bounded),
                cmocka_unit_test(more_memory_than_its_limit_is_an_oom_kill),
                cmocka_unit_test(a_fork_bomb_stops_at_the_limit),
                cmocka_unit_test(cpu_time_is_measured),
                cmocka_unit_test(a_program_that_is_missing_is_said_so),
                cmocka_unit_test(an_image_without_the_folders_is_said_so),
                cmocka_unit_test(nothing_is_left_behind),
                cmocka_unit_test(several_layers_lie_over_each_other),
        };
        return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
