/*
 * sandbox/mounts.h: the file systems of a sandbox, in two halves. spawn, which may read its own folders,
 * opens each as a detached mount with its flags set; the sandbox's first process, which may not, attaches
 * them in its own mount namespace and moves into the result.
 */
#ifndef DISPATCH_SANDBOX_MOUNTS_H
#define DISPATCH_SANDBOX_MOUNTS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        MOUNTS_LAYERS_MAX = 140, /* stacks of images, and what egress and spawn/root.h add */
        MOUNTS_MASKED_MAX = 16,
        MOUNTS_PARTS_MAX = 8
};

/* What all sandboxes share. It is attached below spawn's own folder, in spawn's own mount namespace. */
struct mounts_host {
        int dev_fd;                            /* the /dev of every sandbox; O_PATH */
        const char *masked[MOUNTS_MASKED_MAX]; /* files of /proc that this kernel has and nobody needs */
        size_t masked_count;
};

/* A file that nobody may open, in /dev; it lies over what is to be hidden. */
#define MOUNTS_MASK ".mask"

/* The mounts of one sandbox; -1: none. */
struct mounts {
        int root_fd;
        int code_fd;                    /* at /function */
        int runtime_fd;                 /* at /runtime */
        int out_fd;                     /* at /out, writable */
        bool out_is_root;               /* and it gets /proc and /dev too, for who changes his root to it */
        int image_fd;                   /* at /image, of a build job */
        int blobs_fd;                   /* at /blobs, of a build job */
        int part_fds[MOUNTS_PARTS_MAX]; /* at /layers/0 and so on, of a build job */
        int dev_fd;
};

/*
 * Leaves the caller's mount namespace for a copy that receives what is mounted outside, and gives nothing
 * back. A descriptor that was opened before names a mount of the old one: open folders after this.
 */
enum err_code mounts_host_enter(struct err *err);

/* Makes the shared /dev at `folder` (below dir_fd, made when missing). */
enum err_code mounts_host_init(struct mounts_host *host, int dir_fd, const char *folder, struct err *err);
void mounts_host_finish(struct mounts_host *host);

void mounts_init(struct mounts *mounts);
void mounts_finish(struct mounts *mounts);

/* A read-only view of a directory. One directory is bound, several are an overlay, the first the lowest; in
 * that, a character device 0:0 hides what is below it, and so does a folder with user.overlay.opaque=y.
 * where_fd: as in sandbox/lowers.h. */
enum err_code mounts_open_root(const int *dir_fds, size_t count, int where_fd, int *ret_fd, struct err *err);
enum err_code mounts_open_read_only(int dir_fd, int *ret_fd, struct err *err);
/* The same with everything that is mounted below it. */
enum err_code mounts_open_tree(int dir_fd, int *ret_fd, struct err *err);
enum err_code mounts_open_writable(int dir_fd, int *ret_fd, struct err *err);
/* The same for a folder whose programs may run. */
enum err_code mounts_open_programs(int dir_fd, int *ret_fd, struct err *err);
enum err_code mounts_open_dev(const struct mounts_host *host, int *ret_fd, struct err *err);

/* What bounds a tmpfs of so many MiB: its size, and its number of files, each of which costs memory too. */
struct mounts_tmpfs {
        char size[16], inodes[16];
};
void mounts_tmpfs_measure(uint32_t mib, struct mounts_tmpfs *ret);

/*
 * In the new namespaces, after the change of user and with the capabilities still there: attaches everything,
 * adds /proc, /tmp and /dev/shm, and makes the root the only thing there is. Allocates nothing. -1 and errno;
 * *ret_step is what was being done.
 */
int mounts_enter(const struct mounts_host *host, const struct mounts *mounts, uint32_t tmp_mib,
                 const char **ret_step);

#endif
