/* sandbox/lowers.c: see lowers.h. Folders are named by their descriptors, so that no path is too long or has
 * characters that the options of a mount give a meaning. */
#include "sandbox/lowers.h"

#include "base/own.h"
#include "sandbox/mounts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "overlay"

enum {
        FD_PATH_MAX = 32,
        FSCONFIG_TEXT_MAX = 255, /* the kernel takes no longer text there */
        OPTIONS_MAX = 4095       /* of mount(2): a page, with the NUL */
};

/* Layers mark their opaque folders by attributes that unprivileged jobs can set; who is in the sandbox sees
 * none of them and sets none. */
#define OPTION_FLAG "userxattr"

/* An overlay that is written to keeps to what a layer may hold. */
static const struct {
        const char *key, *value;
} writable_options[] = {{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"xino", "off"}};

enum { WRITABLE_OPTIONS = sizeof(writable_options) / sizeof(writable_options[0]) };

static void fd_path(int fd, char out[FD_PATH_MAX])
{
        snprintf(out, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* overlayfs wants the highest first. What it is, or would be, long. */
static size_t lowers_join(const struct lowers *lowers, char *out, size_t size)
{
        char path[FD_PATH_MAX];
        size_t used = 0;

        for (size_t i = lowers->count; i > 0; i--) {
                fd_path(lowers->dir_fds[i - 1], path);
                size_t room = used < size ? size - used : 0;
                used += (size_t)snprintf(room > 0 ? out + used : NULL, room, "%s%s",
                                         i == lowers->count ? "" : ":", path);
        }
        return used;
}

static int option_set(int context, const char *key, const char *value)
{
        return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0);
}

static int option_set_fd(int context, const char *key, int fd)
{
        char path[FD_PATH_MAX];

        fd_path(fd, path);
        return option_set(context, key, path);
}

static int lowers_set(int context, const struct lowers *lowers)
{
        char all[FSCONFIG_TEXT_MAX + 1];

        if (lowers_join(lowers, all, sizeof(all)) <= FSCONFIG_TEXT_MAX)
                return option_set(context, "lowerdir", all);
        for (size_t i = lowers->count; i > 0; i--) {
                if (option_set_fd(context, "lowerdir+", lowers->dir_fds[i - 1]) < 0)
                        return -1;
        }
        return 0;
}

static int upper_set(int context, const struct lowers *lowers)
{
        for (size_t i = 0; i < WRITABLE_OPTIONS; i++) {
                if (option_set(context, writable_options[i].key, writable_options[i].value) < 0)
                        return -1;
        }
        return option_set_fd(context, "upperdir", lowers->upper_fd) < 0
                       ? -1
                       : option_set_fd(context, "workdir", lowers->work_fd);
}

static bool is_writable(const struct lowers *lowers)
{
        return lowers->upper_fd >= 0;
}

static int by_context(const struct lowers *lowers, int *ret_fd, const char **ret_step)
{
        unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

        *ret_step = "fsopen overlay";
        own_fd int context = fsopen("overlay", FSOPEN_CLOEXEC);
        if (context < 0)
                return -1;
        *ret_step = "configure overlay";
        if (fsconfig(context, FSCONFIG_SET_FLAG, OPTION_FLAG, NULL, 0) < 0 ||
            lowers_set(context, lowers) < 0 || (is_writable(lowers) && upper_set(context, lowers) < 0) ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        *ret_step = "mount overlay";
        *ret_fd =
                fsmount(context, FSMOUNT_CLOEXEC, attributes | (is_writable(lowers) ? 0 : MOUNT_ATTR_RDONLY));
        return *ret_fd < 0 ? -1 : 0;
}

static bool options_print(const struct lowers *lowers, char out[OPTIONS_MAX + 1])
{
        char upper[FD_PATH_MAX], work[FD_PATH_MAX];
        size_t used = (size_t)snprintf(out, OPTIONS_MAX + 1, "%s", OPTION_FLAG);

        if (is_writable(lowers)) {
                for (size_t i = 0; i < WRITABLE_OPTIONS; i++)
                        used += (size_t)snprintf(out + used, OPTIONS_MAX + 1 - used, ",%s=%s",
                                                 writable_options[i].key, writable_options[i].value);
                fd_path(lowers->upper_fd, upper);
                fd_path(lowers->work_fd, work);
                used += (size_t)snprintf(out + used, OPTIONS_MAX + 1 - used, ",upperdir=%s,workdir=%s", upper,
                                         work);
        }
        used += (size_t)snprintf(out + used, OPTIONS_MAX + 1 - used, ",lowerdir=");
        return used + lowers_join(lowers, out + used, OPTIONS_MAX + 1 - used) <= OPTIONS_MAX;
}

/* Attached, copied and taken off again: only the copy stays. */
static int attached_take(const char *path, int *ret_fd, const char **ret_step)
{
        int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        int why = errno;

        if (umount2(path, MNT_DETACH) < 0) {
                *ret_step = "take the overlay off its folder";
                why = errno;
                if (fd >= 0)
                        close(fd);
                fd = -1;
        }
        errno = why;
        *ret_fd = fd;
        return fd < 0 ? -1 : 0;
}

static int by_mount(const struct lowers *lowers, int *ret_fd, const char **ret_step)
{
        unsigned long flags = MS_NOSUID | MS_NODEV | (is_writable(lowers) ? 0 : MS_RDONLY);
        char options[OPTIONS_MAX + 1], path[FD_PATH_MAX + sizeof(FOLDER)];

        *ret_step = "make the folder for overlays";
        if (mkdirat(lowers->where_fd, FOLDER, 0700) < 0 && errno != EEXIST)
                return -1;
        *ret_step = "mount overlay";
        if (!options_print(lowers, options)) {
                errno = E2BIG;
                return -1;
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d/" FOLDER, lowers->where_fd);
        if (mount("overlay", path, "overlay", flags, options) < 0)
                return -1;
        return attached_take(path, ret_fd, ret_step);
}

/* EINVAL is how a kernel says that it does not know an option; which of them only once all are set. */
int lowers_mount(const struct lowers *lowers, int *ret_fd, const char **ret_step)
{
        assert(lowers->count >= (is_writable(lowers) ? 1 : 2) && lowers->count <= MOUNTS_LAYERS_MAX);
        if (by_context(lowers, ret_fd, ret_step) == 0)
                return 0;
        if (errno != EINVAL)
                return -1;
        return by_mount(lowers, ret_fd, ret_step);
}
