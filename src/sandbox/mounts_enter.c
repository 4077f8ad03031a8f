/*
 * sandbox/mounts_enter.c: the sandbox's half: attaches the mounts that spawn opened, and leaves the host's.
 */
#include "sandbox/mounts.h"
#include "sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Where the new root is put before it becomes the root: any folder that each host has. /proc was needed until
 * then, because the kernel gives a new /proc only to who sees a whole one already.
 */
#define BEFORE_PIVOT "/proc"

enum {
        INODES_MIN = 1024,
        INODES_MAX = 65536, /* an inode costs the kernel about a kilobyte */
        INODES_PER_MIB = 64,
        SHM_MIB = 16
};

static int proc_open(void)
{
        int context = fsopen("proc", FSOPEN_CLOEXEC);

        if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        /* Read-only: nobody in the sandbox undoes his oom_score_adj or touches /proc/sys. */
        return fsmount(context, FSMOUNT_CLOEXEC,
                       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

void mounts_tmpfs_measure(uint32_t mib, struct mounts_tmpfs *ret)
{
        uint64_t count = (uint64_t)mib * INODES_PER_MIB;

        if (count < INODES_MIN)
                count = INODES_MIN;
        if (count > INODES_MAX)
                count = INODES_MAX;
        snprintf(ret->size, sizeof(ret->size), "%um", mib);
        snprintf(ret->inodes, sizeof(ret->inodes), "%u", (unsigned)count);
}

static int tmpfs_attach(const char *where, uint32_t mib, unsigned attributes)
{
        struct mounts_tmpfs measure;

        mounts_tmpfs_measure(mib, &measure);
        int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
        if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "size", measure.size, 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", measure.inodes, 0) < 0 ||
            fsconfig(context, FSCONFIG_SET_STRING, "mode", "1777", 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        int fd = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | attributes);
        if (fd < 0)
                return -1;
        return move_mount(fd, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH);
}

static int attach(int fd, const char *where)
{
        return fd < 0 ? 0 : move_mount(fd, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH);
}

static int parts_attach(const int fds[MOUNTS_PARTS_MAX])
{
        char path[16];

        for (int i = 0; i < MOUNTS_PARTS_MAX; i++) {
                snprintf(path, sizeof(path), "layers/%d", i);
                if (attach(fds[i], path) < 0)
                        return -1;
        }
        return 0;
}

/* A file that nobody may open, over each. */
static int masks_attach(const struct mounts_host *host)
{
        char path[64];

        for (size_t i = 0; i < host->masked_count; i++) {
                int mask_fd = open_tree(AT_FDCWD, "dev/" MOUNTS_MASK, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                snprintf(path, sizeof(path), "proc/%s", host->masked[i]);
                if (mask_fd < 0 || attach(mask_fd, path) < 0)
                        return -1;
                close(mask_fd);
        }
        return 0;
}

/* A second view of what is attached there already. */
static int attach_again(const char *from, const char *where)
{
        int fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

        if (fd < 0 || (mkdir(where, 0755) < 0 && errno != EEXIST) || attach(fd, where) < 0)
                return -1;
        close(fd);
        return 0;
}

/* The devices alone, in a folder that can take what else a tool wants in /dev. */
static int devices_attach(const char *where)
{
        static const char *const names[] = {"null", "zero", "full", "random", "urandom"};
        char from[32], to[64];

        if ((mkdir(where, 0755) < 0 && errno != EEXIST) || tmpfs_attach(where, 1, MOUNT_ATTR_NOEXEC) < 0)
                return -1;
        /* In a sticky folder nobody may open another's file with O_CREAT, devices included. */
        if (chmod(where, 0755) < 0)
                return -1;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(from, sizeof(from), "dev/%s", names[i]);
                snprintf(to, sizeof(to), "%s/%s", where, names[i]);
                int device_fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                if (device_fd < 0 || mknodat(AT_FDCWD, to, S_IFREG | 0666, 0) < 0 ||
                    attach(device_fd, to) < 0)
                        return -1;
                close(device_fd);
        }
        return 0;
}

int mounts_enter(const struct mounts_host *host, const struct mounts *mounts, uint32_t tmp_mib,
                 const char **ret_step)
{
        const char **step = ret_step;

        *step = "make /proc";
        int proc_fd = proc_open();
        if (proc_fd < 0)
                return -1;
        *step = "attach the root";
        if (attach(mounts->root_fd, BEFORE_PIVOT) < 0 || fchdir(mounts->root_fd) < 0)
                return -1;
        *step = "attach /proc";
        if (attach(proc_fd, "proc") < 0)
                return -1;
        *step = "attach /dev";
        if (attach(mounts->dev_fd, "dev") < 0)
                return -1;
        *step = "mask files of /proc";
        if (masks_attach(host) < 0)
                return -1;
        *step = "attach /dev/shm";
        if (tmpfs_attach("dev/shm", SHM_MIB, MOUNT_ATTR_NOEXEC) < 0)
                return -1;
        *step = "attach /tmp";
        if (tmpfs_attach("tmp", tmp_mib, 0) < 0)
                return -1;
        *step = "attach /function";
        if (attach(mounts->code_fd, "function") < 0)
                return -1;
        *step = "attach /runtime";
        if (attach(mounts->runtime_fd, "runtime") < 0)
                return -1;
        *step = "attach /out";
        if (attach(mounts->out_fd, "out") < 0)
                return -1;
        if (mounts->out_is_root && (attach_again("proc", "out/proc") < 0 || devices_attach("out/dev") < 0))
                return -1;
        *step = "attach /image";
        if (attach(mounts->image_fd, "image") < 0)
                return -1;
        *step = "attach /blobs";
        if (attach(mounts->blobs_fd, "blobs") < 0)
                return -1;
        *step = "attach /layers";
        if (parts_attach(mounts->part_fds) < 0)
                return -1;
        *step = "leave the host's root";
        if (sys_pivot_here() < 0 || umount2(".", MNT_DETACH) < 0)
                return -1;
        return chdir("/");
}
