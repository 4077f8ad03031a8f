/* spawn/disk.c: mke2fs, a loop device that goes with its last user, and the mount. */
#include "spawn/disk.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
        INODE_BYTES = 256,
        SPARE_MIB = 16, /* for the file system's own */
        LOOP_TRIES = 16,
        BLOCK = 4096
};

_Noreturn static void mke2fs(int fd, uint64_t files)
{
        char path[32], count[24];
        const char *argv[] = {"mke2fs",
                              "-q",
                              "-F",
                              "-t",
                              "ext4",
                              "-b",
                              "4096",
                              "-I",
                              "256",
                              "-m",
                              "0",
                              "-O",
                              "^has_journal,^resize_inode",
                              "-E",
                              "lazy_itable_init=1,nodiscard,root_owner=0:0",
                              "-N",
                              count,
                              path,
                              NULL};
        char *const environment[] = {(char *)"PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        snprintf(count, sizeof(count), "%llu", (unsigned long long)files);
        sigset_t none;
        sigemptyset(&none);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0 &&
            fcntl(fd, F_SETFD, 0) == 0 && close_range((unsigned)fd + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
            (fd <= 3 || close_range(3, (unsigned)fd - 1, CLOSE_RANGE_CLOEXEC) == 0)) {
                execvpe(argv[0], (char *const *)(void *)argv, environment);
        }
        _exit(errno == ENOENT ? 127 : 126);
}

static enum err_code filesystem_make(int fd, uint64_t files, struct err *err)
{
        int status = 0;
        pid_t pid = fork();

        if (pid < 0)
                return err_sys(err, "fork");
        if (pid == 0)
                mke2fs(fd, files);
        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return err_sys(err, "wait for mke2fs");
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                return err_set(err, ERR_UNAVAILABLE,
                               "mke2fs is missing, which makes the bounded disk of a build: apt-get install "
                               "e2fsprogs");
        if (status != 0)
                return err_set(err, ERR_UNAVAILABLE,
                               "mke2fs could not make the disk of a build (status %d); is "
                               "there room for it?",
                               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        return ERR_OK;
}

static enum err_code file_make(const char *path, uint64_t mib, uint64_t files, int *ret_fd, struct err *err)
{
        uint64_t bytes = ((mib + SPARE_MIB) << 20) + files * INODE_BYTES;
        own_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0)
                return err_disk(err, "make the disk of a build");
        enum err_code code = ftruncate(fd, (off_t)(bytes + BLOCK - bytes % BLOCK)) < 0
                                     ? err_disk(err, "make the disk of a build")
                                     : filesystem_make(fd, files, err);
        (void)unlink(path);
        if (code == ERR_OK)
                *ret_fd = take_fd(&fd);
        return code;
}

static enum err_code no_loop(struct err *err)
{
        return err_set(err, ERR_UNAVAILABLE,
                       "the bounded disk of a build needs a loop device: %s (modprobe loop; in a container, "
                       "give it /dev/loop-control)",
                       strerror(errno));
}

/* Somebody else may take the one that was free a moment ago. */
static enum err_code loop_take(int file_fd, char device[32], int *ret_fd, struct err *err)
{
        own_fd int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        struct loop_config config = {
                .fd = (uint32_t)file_fd, .block_size = BLOCK, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};

        if (control_fd < 0)
                return no_loop(err);
        for (int i = 0; i < LOOP_TRIES; i++) {
                int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
                if (number < 0)
                        return no_loop(err);
                snprintf(device, 32, "/dev/loop%d", number);
                own_fd int fd = open(device, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        return no_loop(err);
                if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
                        *ret_fd = take_fd(&fd);
                        return ERR_OK;
                }
                if (errno != EBUSY)
                        return no_loop(err);
        }
        errno = EBUSY;
        return no_loop(err);
}

static enum err_code device_mount(const char *device, const char *where, struct err *err)
{
        own_fd int context = fsopen("ext4", FSOPEN_CLOEXEC);

        if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return err_sys(err, "mount the disk of a build");
        own_fd int fd =
                fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
        if (fd < 0 || move_mount(fd, "", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return err_sys(err, "attach the disk of a build");
        return ERR_OK;
}

enum err_code disk_attach(const char *file, const char *where, uint64_t mib, uint64_t files, struct disk *ret,
                          struct err *err)
{
        own_fd int file_fd = -1, loop_fd = -1;
        char device[32];
        enum err_code code = file_make(file, mib, files, &file_fd, err);

        if (code == ERR_OK && mkdir(where, 0700) < 0 && errno != EEXIST)
                code = err_disk(err, "make %s", where);
        if (code == ERR_OK)
                code = loop_take(file_fd, device, &loop_fd, err);
        if (code == ERR_OK)
                code = device_mount(device, where, err);
        if (code == ERR_OK)
                snprintf(ret->path, sizeof(ret->path), "%s", where);
        return code;
}

void disk_detach(struct disk *disk)
{
        if (disk->path[0] != '\0')
                (void)umount2(disk->path, MNT_DETACH);
        disk->path[0] = '\0';
}
