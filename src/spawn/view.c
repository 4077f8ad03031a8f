/* spawn/view.c: a small tmpfs at VIEW_DIR with bind mounts in it, for the server alone. */
#include "spawn/view.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* A detached copy of the folder's mount. Made before the namespace is left: a descriptor of another one's
 * mounts cannot be bound. */
static int detach(int fd, uint64_t attributes)
{
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                              attributes};
        int tree = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

        if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                return -1;
        return tree;
}

static int attach(int tree, const char *at)
{
        if (mkdir(at, 0755) < 0)
                return -1;
        return move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH);
}

/* What an instance uses can be read, or is not known; nothing fails for it. */
static void attach_measure(int tree, const char *at)
{
        if (tree >= 0)
                (void)attach(tree, at);
}

static int detach_measure(int fd)
{
        return fd >= 0 ? detach(fd, MOUNT_ATTR_RDONLY) : -1;
}

int view_enter(const struct view *view)
{
        int state = detach(view->state_fd, 0), runtimes = detach(view->runtimes_fd, MOUNT_ATTR_RDONLY);
        int memory = detach_measure(view->memory_fd), cpu = detach_measure(view->cpu_fd);

        if (state < 0 || runtimes < 0)
                return -1;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -1;
        if (mkdir(VIEW_DIR, 0755) < 0 && errno != EEXIST)
                return -1;
        if (mount("dispatch", VIEW_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "mode=0755,size=64k,nr_inodes=16") < 0)
                return -1;
        if (mkdir(VIEW_CGROUPS, 0755) < 0)
                return -1;
        attach_measure(memory, VIEW_CGROUPS "/memory");
        attach_measure(cpu, VIEW_CGROUPS "/cpu");
        return attach(state, VIEW_STATE) < 0 || attach(runtimes, VIEW_RUNTIMES) < 0 ? -1 : 0;
}
