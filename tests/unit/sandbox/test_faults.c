/*
 * tests/unit/sandbox/test_faults.c: makes a sandbox again and again, with the first, the second, the third
 * ... system call failing, in spawn or in the sandbox's first process, until none is left to fail. Whatever
 * failed, nothing may be left behind. The calls are caught by the linker (--wrap).
 */
#include "fixture.h"

#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLS_MAX = 2000 };

/* Shared with the sandbox's first process. */
static struct {
        atomic_bool armed;
        atomic_int left;
} * fault;

static bool fails(void)
{
        if (fault == NULL || !atomic_load(&fault->armed) || atomic_fetch_sub(&fault->left, 1) != 1)
                return false;
        errno = EIO;
        return true;
}

#define WRAP(type, name, parameters, arguments)                                                              \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters                                                                        \
        {                                                                                                    \
                return fails() ? (type)-1 : __real_##name arguments;                                         \
        }

/* clang-format off */
WRAP(int, socketpair, (int a, int b, int c, int d[2]), (a, b, c, d))
WRAP(int, open_tree, (int a, const char *b, unsigned c), (a, b, c))
WRAP(int, move_mount, (int a, const char *b, int c, const char *d, unsigned e), (a, b, c, d, e))
WRAP(int, mount_setattr, (int a, const char *b, unsigned c, struct mount_attr *d, size_t e), (a, b, c, d, e))
WRAP(int, fsopen, (const char *a, unsigned b), (a, b))
WRAP(int, fsconfig, (int a, unsigned b, const char *c, const void *d, int e), (a, b, c, d, e))
WRAP(int, fsmount, (int a, unsigned b, unsigned c), (a, b, c))
WRAP(int, umount2, (const char *a, int b), (a, b))
WRAP(int, memfd_create, (const char *a, unsigned b), (a, b))
WRAP(int, ftruncate64, (int a, off_t b), (a, b))
WRAP(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
WRAP(int, dup2, (int a, int b), (a, b))
WRAP(int, sethostname, (const char *a, size_t b), (a, b))
WRAP(int, unshare, (int a), (a))
WRAP(int, fchdir, (int a), (a))
WRAP(int, chdir, (const char *a), (a))
WRAP(pid_t, setsid, (void), ())
WRAP(int, setgroups, (size_t a, const gid_t *b), (a, b))
WRAP(int, setresuid, (uid_t a, uid_t b, uid_t c), (a, b, c))
WRAP(int, setresgid, (gid_t a, gid_t b, gid_t c), (a, b, c))
WRAP(int, setrlimit64, (__rlimit_resource_t a, const struct rlimit *b), (a, b))
WRAP(int, close_range, (unsigned a, unsigned b, int c), (a, b, c))
WRAP(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))
WRAP(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d))
WRAP(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))
WRAP(pid_t, sys_clone3, (struct clone_args *a), (a))
WRAP(int, sys_pivot_here, (void), ())
WRAP(int, sys_capabilities_clear, (void), ())
WRAP(int, sys_seccomp, (const struct sock_filter *a, size_t b), (a, b))
WRAP(int, sys_execveat, (int a, char *const b[], char *const c[]), (a, b, c))
/* clang-format on */

/* Variadic ones: the third argument is passed on as it is. The names are those of a build with 64-bit
 * offsets. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode)
{
        return fails() ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode)
{
        return fails() ? -1 : __real_openat64(dir_fd, path, flags, mode);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, long argument);
int __wrap_fcntl64(int fd, int command, long argument)
{
        return fails() ? -1 : __real_fcntl64(fd, command, argument);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
        return fails() ? -1 : __real_prctl(option, a, b, c, d);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

/* One life with the n-th call failing. True: it failed, so there may be more. */
static bool live_with_fault(struct fixture *fixture, int n, bool *ret_ran)
{
        struct script script = {.text = "exit 0"};
        struct sandbox sandbox = {.pid = 0};
        struct cgroup *cgroup;
        struct err err;
        bool by_signal;
        int out, value;

        atomic_store(&fault->left, n);
        atomic_store(&fault->armed, true);
        enum err_code code = fixture_start(fixture, &script, &sandbox, &cgroup, &out, &err);
        if (code == ERR_OK) {
                *ret_ran = fixture_await_running(&sandbox, &err) == ERR_OK;
                atomic_store(&fault->armed, false);
                sandbox_kill(&sandbox);
                fixture_await_gone(&sandbox, &by_signal, &value);
                sandbox_finish(&sandbox);
                cgroup_release(cgroup);
                close(out);
        } else {
                *ret_ran = false;
                assert_true(err.text[0] != '\0');
        }
        atomic_store(&fault->armed, false);
        return atomic_load(&fault->left) <= 0;
}

static void whichever_call_fails_nothing_is_left(void **state)
{
        struct fixture *fixture = *state;
        struct leaks before, after;
        bool ran = false;
        int n = 1, failures = 0;

        if (!fixture_possible())
                skip();
        leaks_count(fixture, &before);
        for (; n < CALLS_MAX && live_with_fault(fixture, n, &ran); n++) {
                failures += !ran;
                for (int i = 0; i < 1000 && cgroup_sweep(fixture->tree, 4) > 0; i++)
                        (void)poll(NULL, 0, 1);
                leaks_count(fixture, &after);
                if (memcmp(&before, &after, sizeof(before)) != 0)
                        fail_msg("call %d: mounts %zu %zu, descriptors %zu %zu, cgroups %zu %zu, processes "
                                 "%zu %zu",
                                 n, before.mounts, after.mounts, before.descriptors, after.descriptors,
                                 before.cgroups, after.cgroups, before.processes, after.processes);
        }
        assert_true(ran); /* the last one, in which no call was left to fail */
        assert_true(n > 100);
        print_message("%d calls, %d of them needed\n", n - 1, failures);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whichever_call_fails_nothing_is_left),
        };

        fault = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (fault == MAP_FAILED)
                return 1;
        return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
