/* spawn/buildroot.c: puts together the root of build jobs from the host's folders. */
#include "spawn/buildroot.h"

#include "base/own.h"
#include "sandbox/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* For which kinds. */
#define ALL  (SOME | 1U << BUILDROOT_BUILTIN)
#define SOME (1U << BUILDROOT_SOURCE | 1U << BUILDROOT_NETWORK | 1U << BUILDROOT_EGRESS)
#define NET  (1U << BUILDROOT_NETWORK)
#define APT  (1U << BUILDROOT_EGRESS)
#define HOST (1U << BUILDROOT_BUILTIN)

static const struct {
        const char *path; /* of the host, without its leading slash */
        unsigned kinds;
} views[] = {
        {"usr", ALL},
        {"bin", ALL},
        {"sbin", ALL},
        {"lib", ALL},
        {"lib32", ALL},
        {"lib64", ALL},
        {"libx32", ALL},
        {"etc", HOST},
        {"etc/ssl", SOME},
        {"etc/ca-certificates", SOME},
        {"etc/ld.so.cache", SOME},
        {"etc/alternatives", SOME},
        {"etc/resolv.conf", NET},
        {"etc/hosts", NET},
        {"etc/nsswitch.conf", NET},
        {"etc/apt", APT},
        {"etc/gai.conf", NET},
        {"var/lib/dpkg", HOST},
};

static const char *const folders[] = {"proc", "dev",   "tmp",    "function", "runtime",
                                      "out",  "image", "layers", "blobs"};

/* Makes the folders above the last part of a path. */
static int parents_make(int root_fd, const char *path)
{
        char part[64];

        for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
                if (mkdirat(root_fd, part, 0755) < 0 && errno != EEXIST)
                        return -1;
        }
        return 0;
}

static int link_copy(int root_fd, const char *host, const char *path)
{
        char target[PATH_MAX];
        ssize_t len = readlink(host, target, sizeof(target) - 1);

        if (len < 0)
                return -1;
        target[len] = '\0';
        return symlinkat(target, root_fd, path);
}

/* The host's path as it is there: a link stays a link (unless it is `followed`: what it leads to may be in no
 * view), a folder or file is bound. What is not there is left out. */
static int view_make(int root_fd, const char *root, const char *path, bool followed)
{
        char host[80], target[PATH_MAX + 80];
        struct stat status;

        snprintf(host, sizeof(host), "/%s", path);
        if ((followed ? stat(host, &status) : lstat(host, &status)) < 0)
                return errno == ENOENT ? 0 : -1;
        if (parents_make(root_fd, path) < 0)
                return -1;
        if (S_ISLNK(status.st_mode))
                return link_copy(root_fd, host, path);
        if (S_ISDIR(status.st_mode)) {
                if (mkdirat(root_fd, path, 0755) < 0)
                        return -1;
        } else {
                own_fd int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (fd < 0)
                        return -1;
        }
        snprintf(target, sizeof(target), "%s/%s", root, path);
        return mount(host, target, NULL, MS_BIND, NULL);
}

static enum err_code root_fill(int root_fd, const char *root, enum buildroot_kind kind, struct err *err)
{
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                if (mkdirat(root_fd, folders[i], 0755) < 0)
                        return err_sys(err, "make /%s for build jobs", folders[i]);
        }
        for (int i = 0; i < MOUNTS_PARTS_MAX; i++) {
                char part[16];

                snprintf(part, sizeof(part), "layers/%d", i);
                if (mkdirat(root_fd, part, 0755) < 0)
                        return err_sys(err, "make /%s for build jobs", part);
        }
        for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
                bool wanted = (views[i].kinds & 1U << kind) != 0;
                if (wanted && view_make(root_fd, root, views[i].path, views[i].kinds == NET) < 0)
                        return err_sys(err, "show /%s to build jobs", views[i].path);
        }
        return ERR_OK;
}

enum err_code buildroot_open(const char *where, enum buildroot_kind kind, int *ret_fd, struct err *err)
{
        static const char *const names[BUILDROOT_KINDS] = {"source", "network", "egress-job", "builtin"};
        char root[PATH_MAX];

        snprintf(root, sizeof(root), "%s/%s", where, names[kind]);
        if (mkdir(root, 0700) < 0 && errno != EEXIST)
                return err_sys(err, "make %s", root);
        if (mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0755") < 0)
                return err_sys(err, "mount %s", root);
        own_fd int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        enum err_code code = fd < 0 ? err_sys(err, "open %s", root) : root_fill(fd, root, kind, err);
        if (code != ERR_OK) {
                (void)umount2(root, MNT_DETACH);
                return code;
        }
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}
