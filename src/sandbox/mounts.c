/*
 * sandbox/mounts.c: spawn's half: opens directories and file systems as detached mounts.
 *
 * A detached mount (open_tree, fsmount) is no part of any namespace until it is attached, so nothing is ever
 * left behind: closing its descriptor undoes it.
 */
#include "sandbox/mounts.h"

#include "base/own.h"
#include "sandbox/lowers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Files of /proc that tell about the host or its other users. */
static const char *const masked_names[] = {"kcore",      "keys",        "key-users", "kallsyms",
                                           "kmsg",       "modules",     "cmdline",   "sysrq-trigger",
                                           "timer_list", "sched_debug", "locks",     "interrupts"};

static const struct {
        const char *name;
        unsigned major, minor;
} devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}};

static const struct {
        const char *name, *target;
} dev_links[] = {{"fd", "/proc/self/fd"},
                 {"stdin", "/proc/self/fd/0"},
                 {"stdout", "/proc/self/fd/1"},
                 {"stderr", "/proc/self/fd/2"}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum err_code tmpfs_open(int *ret_fd, struct err *err)
{
        own_fd int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

        if (context < 0)
                return err_sys(err, "fsopen tmpfs");
        if (fsconfig(context, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return err_sys(err, "configure tmpfs");
        int fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
        if (fd < 0)
                return err_sys(err, "mount tmpfs");
        *ret_fd = fd;
        return ERR_OK;
}

static enum err_code dev_fill(int fd, struct err *err)
{
        for (size_t i = 0; i < COUNT(devices); i++) {
                dev_t number = makedev(devices[i].major, devices[i].minor);
                if (mknodat(fd, devices[i].name, S_IFCHR | 0666, number) < 0 ||
                    fchmodat(fd, devices[i].name, 0666, 0) < 0)
                        return err_sys(err, "make /dev/%s", devices[i].name);
        }
        for (size_t i = 0; i < COUNT(dev_links); i++) {
                if (symlinkat(dev_links[i].target, fd, dev_links[i].name) < 0)
                        return err_sys(err, "make /dev/%s", dev_links[i].name);
        }
        if (mkdirat(fd, "shm", 0755) < 0 || mknodat(fd, MOUNTS_MASK, S_IFREG, 0) < 0)
                return err_sys(err, "make /dev/shm");
        return ERR_OK;
}

static void masked_find(struct mounts_host *host)
{
        char path[64];

        _Static_assert(COUNT(masked_names) <= MOUNTS_MASKED_MAX, "room for every name");
        for (size_t i = 0; i < COUNT(masked_names); i++) {
                snprintf(path, sizeof(path), "/proc/%s", masked_names[i]);
                if (faccessat(AT_FDCWD, path, F_OK, 0) == 0)
                        host->masked[host->masked_count++] = masked_names[i];
        }
}

enum err_code mounts_host_enter(struct err *err)
{
        if (unshare(CLONE_NEWNS) < 0)
                return err_sys(err, "unshare the mount namespace");
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return err_sys(err, "keep mounts to this process");
        return ERR_OK;
}

enum err_code mounts_host_init(struct mounts_host *host, int dir_fd, const char *folder, struct err *err)
{
        *host = (struct mounts_host){.dev_fd = -1};
        if (mkdirat(dir_fd, folder, 0700) < 0 && errno != EEXIST)
                return err_sys(err, "make '%s'", folder);

        own_fd int dev_fd = -1;
        enum err_code code = tmpfs_open(&dev_fd, err);
        if (code == ERR_OK)
                code = dev_fill(dev_fd, err);
        if (code != ERR_OK)
                return code;
        if (move_mount(dev_fd, "", dir_fd, folder, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return err_sys(err, "attach /dev at '%s'", folder);
        masked_find(host);
        host->dev_fd = take_fd(&dev_fd);
        return ERR_OK;
}

void mounts_host_finish(struct mounts_host *host)
{
        if (host->dev_fd >= 0)
                close(host->dev_fd);
        host->dev_fd = -1;
}

void mounts_init(struct mounts *mounts)
{
        *mounts = (struct mounts){.root_fd = -1,
                                  .code_fd = -1,
                                  .runtime_fd = -1,
                                  .out_fd = -1,
                                  .image_fd = -1,
                                  .blobs_fd = -1,
                                  .dev_fd = -1};
        for (size_t i = 0; i < MOUNTS_PARTS_MAX; i++)
                mounts->part_fds[i] = -1;
}

void mounts_finish(struct mounts *mounts)
{
        int *const fds[] = {&mounts->root_fd,  &mounts->code_fd,  &mounts->runtime_fd, &mounts->out_fd,
                            &mounts->image_fd, &mounts->blobs_fd, &mounts->dev_fd};

        for (size_t i = 0; i < COUNT(fds); i++) {
                if (*fds[i] >= 0)
                        close(*fds[i]);
                *fds[i] = -1;
        }
        for (size_t i = 0; i < MOUNTS_PARTS_MAX; i++) {
                if (mounts->part_fds[i] >= 0)
                        close(mounts->part_fds[i]);
                mounts->part_fds[i] = -1;
        }
}

static enum err_code clone_of(int dir_fd, uint64_t attributes, unsigned recursive, int *ret_fd,
                              struct err *err)
{
        struct mount_attr attr = {.attr_set = attributes};
        own_fd int fd =
                open_tree(dir_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);

        if (fd < 0)
                return err_sys(err, "open_tree");
        if (mount_setattr(fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) < 0)
                return err_sys(err, "mount_setattr");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

enum err_code mounts_open_read_only(int dir_fd, int *ret_fd, struct err *err)
{
        return clone_of(dir_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, ret_fd, err);
}

enum err_code mounts_open_tree(int dir_fd, int *ret_fd, struct err *err)
{
        return clone_of(dir_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, AT_RECURSIVE,
                        ret_fd, err);
}

enum err_code mounts_open_writable(int dir_fd, int *ret_fd, struct err *err)
{
        return clone_of(dir_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, ret_fd, err);
}

enum err_code mounts_open_programs(int dir_fd, int *ret_fd, struct err *err)
{
        return clone_of(dir_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, ret_fd, err);
}

enum err_code mounts_open_dev(const struct mounts_host *host, int *ret_fd, struct err *err)
{
        return clone_of(host->dev_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, ret_fd,
                        err);
}

enum err_code mounts_open_root(const int *dir_fds, size_t count, int where_fd, int *ret_fd, struct err *err)
{
        struct lowers lowers = {
                .dir_fds = dir_fds, .count = count, .upper_fd = -1, .work_fd = -1, .where_fd = where_fd};
        const char *step;

        assert(count >= 1 && count <= MOUNTS_LAYERS_MAX);
        if (count == 1)
                return mounts_open_read_only(dir_fds[0], ret_fd, err);
        return lowers_mount(&lowers, ret_fd, &step) < 0 ? err_sys(err, "%s", step) : ERR_OK;
}
