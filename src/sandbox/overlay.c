/*
 * sandbox/overlay.c: each layer is cloned as an idmapped mount, attached for a moment, because overlayfs
 * takes its folders by path and only from mounts of the caller's namespace, and left to the overlay.
 */
#include "sandbox/overlay.h"

#include "base/own.h"
#include "sandbox/lowers.h"
#include "sandbox/mounts.h"
#include "sandbox/sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { IDS = 65536, LAST_ID = IDS - 1 };

/* A layer has one owner, but for what spawn added as 0. */
static uid_t owner_find(int layer_fd)
{
        own_fd int fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;
        struct stat status;

        if (dir == NULL)
                return 0;
        (void)take_fd(&fd);
        while ((entry = readdir(dir)) != NULL) {
                if (strcmp(entry->d_name, "..") != 0 &&
                    fstatat(layer_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid != 0)
                        return status.st_uid;
        }
        return 0;
}

static enum err_code unavailable(const char *what, struct err *err)
{
        return err_set(
                err, ERR_UNAVAILABLE,
                "this host cannot show a layer as a build's own (%s: %s): it takes Linux 5.19 and a file "
                "system such as ext4, xfs or btrfs for the state directory",
                what, strerror(errno));
}

static enum err_code lower_clone(const struct overlay_spec *spec, int layer_fd, int *ret_fd, struct err *err)
{
        uid_t owner = owner_find(layer_fd);
        char map[96];

        if (owner == 0)
                snprintf(map, sizeof(map), "0 %u 1", (unsigned)spec->root);
        else
                snprintf(map, sizeof(map), "%u %u 1\n0 %u 1", (unsigned)owner, (unsigned)spec->root,
                         (unsigned)spec->root + LAST_ID);
        own_fd int userns_fd = sys_userns_open(map);
        if (userns_fd < 0)
                return unavailable("make a user namespace", err);
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                              MOUNT_ATTR_NODEV,
                                  .userns_fd = (uint64_t)userns_fd};
        own_fd int fd = open_tree(layer_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (fd < 0)
                return err_sys(err, "open_tree");
        if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return unavailable("map its ids", err);
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static void lower_path(const struct overlay_spec *spec, size_t number, char out[PATH_MAX])
{
        snprintf(out, PATH_MAX, "%s/lower-%zu", spec->where, number);
}

static enum err_code lower_attach(const struct overlay_spec *spec, size_t number, int *ret_fd,
                                  struct err *err)
{
        char path[PATH_MAX];
        own_fd int mount_fd = -1;
        enum err_code code = lower_clone(spec, spec->layer_fds[number], &mount_fd, err);

        if (code != ERR_OK)
                return code;
        lower_path(spec, number, path);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return err_disk(err, "make %s", path);
        if (move_mount(mount_fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return err_sys(err, "attach a layer");
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                (void)umount2(path, MNT_DETACH);
                return err_sys(err, "open a layer");
        }
        *ret_fd = fd;
        return ERR_OK;
}

static int folder_open(const char *path)
{
        return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static enum err_code overlay_make(const struct overlay_spec *spec, const int *fds, int *ret_fd,
                                  struct err *err)
{
        own_fd int upper_fd = folder_open(spec->upper);
        own_fd int work_fd = folder_open(spec->work);
        own_fd int where_fd = folder_open(spec->where);
        const char *step;

        if (upper_fd < 0 || work_fd < 0 || where_fd < 0)
                return err_sys(err, "open the folders of the overlay");
        struct lowers lowers = {.dir_fds = fds,
                                .count = spec->layer_count,
                                .upper_fd = upper_fd,
                                .work_fd = work_fd,
                                .where_fd = where_fd};
        return lowers_mount(&lowers, ret_fd, &step) < 0 ? unavailable(step, err) : ERR_OK;
}

enum err_code overlay_open_writable(const struct overlay_spec *spec, int *ret_fd, struct err *err)
{
        int fds[MOUNTS_LAYERS_MAX];
        char path[PATH_MAX];
        size_t attached = 0;
        enum err_code code = ERR_OK;

        assert(spec->layer_count >= 1 && spec->layer_count <= MOUNTS_LAYERS_MAX);
        for (; code == ERR_OK && attached < spec->layer_count; attached += code == ERR_OK)
                code = lower_attach(spec, attached, &fds[attached], err);
        if (code == ERR_OK)
                code = overlay_make(spec, fds, ret_fd, err);
        while (attached > 0) {
                close(fds[--attached]);
                lower_path(spec, attached, path);
                (void)umount2(path, MNT_DETACH);
        }
        return code;
}
