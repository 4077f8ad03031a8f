/*
 * tests/unit/sandbox/test_lowers.c: overlays of few folders and of many, on this kernel as it is and as older
 * ones answer: fsconfig is wrapped.
 */
#include "sandbox/lowers.h"
#include "sandbox/mounts.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

int __real_fsconfig(int fd, unsigned command, const char *key, const void *value, int aux);
int __wrap_fsconfig(int fd, unsigned command, const char *key, const void *value, int aux);

static enum {
        KERNEL_OWN,
        KERNEL_6_5,  /* does not know `lowerdir+`, and says so */
        KERNEL_6_1,  /* takes options as they come, and looks at them when all are there */
        KERNEL_FULL, /* has no room left */
} kernel;
static bool unknown_taken;
static unsigned one_by_one;

int __wrap_fsconfig(int fd, unsigned command, const char *key, const void *value, int aux)
{
        bool unknown = key != NULL && strcmp(key, "lowerdir+") == 0;

        one_by_one += unknown;
        if (kernel == KERNEL_FULL) {
                errno = ENOMEM;
                return -1;
        }
        if ((unknown && kernel == KERNEL_6_5) ||
            (command == FSCONFIG_CMD_CREATE && kernel == KERNEL_6_1 && unknown_taken)) {
                errno = EINVAL;
                return -1;
        }
        if (unknown && kernel == KERNEL_6_1) {
                unknown_taken = true;
                return 0;
        }
        return __real_fsconfig(fd, command, key, value, aux);
}

struct folders {
        char path[64];
        int fd;
        int layers[MOUNTS_LAYERS_MAX];
};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        (void)status;
        (void)type;
        (void)ftw;
        return remove(path);
}

static void put(int dir_fd, const char *name, const char *text)
{
        own_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_holds(int dir_fd, const char *name, const char *text)
{
        char have[16] = "";
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_true(read(fd, have, sizeof(have) - 1) >= 0);
        assert_string_equal(have, text);
}

static int folder_make(int dir_fd, const char *name)
{
        assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* Each layer has a file of its own and says in "top" which it is; the highest hides what "gone" has below. */
static int setup(void **state)
{
        struct folders *folders = calloc(1, sizeof(*folders));
        char name[32];
        struct err err;

        *state = folders;
        kernel = KERNEL_OWN;
        unknown_taken = false;
        one_by_one = 0;
        if (geteuid() != 0)
                return 0;
        if (mounts_host_enter(&err) != ERR_OK || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -1;
        snprintf(folders->path, sizeof(folders->path), "/tmp/dispatch-lowers-XXXXXX");
        if (mkdtemp(folders->path) == NULL ||
            mount("tmpfs", folders->path, "tmpfs", 0, "size=16m,mode=0755") < 0)
                return -1;
        folders->fd = open(folders->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < MOUNTS_LAYERS_MAX; i++) {
                snprintf(name, sizeof(name), "%zu", i);
                folders->layers[i] = folder_make(folders->fd, name);
                put(folders->layers[i], name, name);
                put(folders->layers[i], "top", name);
                if (i == 0)
                        close(folder_make(folders->layers[i], "gone"));
        }
        return 0;
}

static int teardown(void **state)
{
        struct folders *folders = *state;

        if (geteuid() == 0) {
                for (size_t i = 0; i < MOUNTS_LAYERS_MAX; i++)
                        close(folders->layers[i]);
                close(folders->fd);
                (void)umount2(folders->path, MNT_DETACH);
                (void)nftw(folders->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
        free(folders);
        return 0;
}

#define NEED_ROOT()                                                                                          \
        do {                                                                                                 \
                if (geteuid() != 0) {                                                                        \
                        print_message("skipped: not root\n");                                                \
                        skip();                                                                              \
                }                                                                                            \
        } while (0)

static size_t mounts_count(void)
{
        size_t count = 0;
        int c;
        FILE *file = fopen("/proc/self/mountinfo", "re");

        assert_non_null(file);
        while ((c = fgetc(file)) != EOF)
                count += c == '\n';
        (void)fclose(file);
        return count;
}

static void assert_shows(int fd, size_t count)
{
        char name[32];

        for (size_t i = 0; i < count; i++) {
                snprintf(name, sizeof(name), "%zu", i);
                assert_holds(fd, name, name);
        }
        assert_holds(fd, "top", name);
}

static void layers_are_shown(struct folders *folders, size_t count)
{
        struct err err = {0};
        own_fd int fd = -1;
        size_t before = mounts_count();

        unknown_taken = false;
        if (mounts_open_root(folders->layers, count, folders->fd, &fd, &err) != ERR_OK)
                fail_msg("%zu layers: %s", count, err.text);
        assert_int_equal(mounts_count(), before);
        assert_shows(fd, count);
        assert_true(openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == EROFS);
        assert_true(mknodat(fd, "device", S_IFCHR | 0666, 0) < 0);
}

static void few_and_many_layers_are_shown_on_any_kernel(void **state)
{
        static const size_t counts[] = {2, 13, 14, 15, 40, 128, MOUNTS_LAYERS_MAX};

        NEED_ROOT();
        for (kernel = KERNEL_OWN; kernel <= KERNEL_6_1; kernel++) {
                for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
                        layers_are_shown(*state, counts[i]);
        }
        assert_true(one_by_one > 0);
}

/* More digits make longer options. */
static void long_descriptors_fit(void **state)
{
        struct folders *folders = *state;
        int high[MOUNTS_LAYERS_MAX];
        own_fd int fd = -1;
        struct err err = {0};

        NEED_ROOT();
        for (size_t i = 0; i < MOUNTS_LAYERS_MAX; i++) {
                high[i] = fcntl(folders->layers[i], F_DUPFD_CLOEXEC, 800);
                assert_true(high[i] >= 800);
        }
        kernel = KERNEL_6_1;
        if (mounts_open_root(high, MOUNTS_LAYERS_MAX, folders->fd, &fd, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_shows(fd, MOUNTS_LAYERS_MAX);
        for (size_t i = 0; i < MOUNTS_LAYERS_MAX; i++)
                close(high[i]);
}

static void an_upper_folder_takes_what_is_written(void **state)
{
        struct folders *folders = *state;
        char name[32];

        NEED_ROOT();
        for (kernel = KERNEL_OWN; kernel <= KERNEL_6_1; kernel++) {
                const char *step = NULL;
                own_fd int fd = -1;

                snprintf(name, sizeof(name), "upper-%d", (int)kernel);
                own_fd int upper_fd = folder_make(folders->fd, name);
                snprintf(name, sizeof(name), "work-%d", (int)kernel);
                own_fd int work_fd = folder_make(folders->fd, name);
                struct lowers lowers = {.dir_fds = folders->layers,
                                        .count = 40,
                                        .upper_fd = upper_fd,
                                        .work_fd = work_fd,
                                        .where_fd = folders->fd};
                unknown_taken = false;
                if (fsetxattr(upper_fd, "user.test", "y", 1, 0) < 0) {
                        print_message("skipped: this kernel's tmpfs has no attributes of users\n");
                        skip();
                }
                if (lowers_mount(&lowers, &fd, &step) < 0)
                        fail_msg("%s: %s", step, strerror(errno));
                put(fd, "top", "new");
                assert_holds(upper_fd, "top", "new");
                assert_holds(folders->layers[39], "top", "39");
                assert_int_equal(unlinkat(fd, "gone", AT_REMOVEDIR), 0);
                assert_true(faccessat(fd, "gone", F_OK, 0) < 0);
        }
}

static void nothing_stays_attached_when_it_fails(void **state)
{
        struct folders *folders = *state;
        own_fd int fd = -1;
        struct err err;

        NEED_ROOT();
        size_t before = mounts_count();
        own_fd int file = openat(folders->layers[0], "top", O_RDONLY | O_CLOEXEC);
        kernel = KERNEL_6_1;
        int fds[40];
        for (size_t i = 0; i < 40; i++)
                fds[i] = i == 20 ? file : folders->layers[i];
        assert_int_not_equal(mounts_open_root(fds, 40, folders->fd, &fd, &err), ERR_OK);
        assert_int_equal(mounts_count(), before);
        kernel = KERNEL_FULL;
        assert_int_not_equal(mounts_open_root(folders->layers, 40, folders->fd, &fd, &err), ERR_OK);
        assert_non_null(strstr(err.text, strerror(ENOMEM)));
        assert_int_equal(mounts_count(), before);
        assert_int_equal(fd, -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(few_and_many_layers_are_shown_on_any_kernel, setup, teardown),
                cmocka_unit_test_setup_teardown(long_descriptors_fit, setup, teardown),
                cmocka_unit_test_setup_teardown(an_upper_folder_takes_what_is_written, setup, teardown),
                cmocka_unit_test_setup_teardown(nothing_stays_attached_when_it_fails, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
