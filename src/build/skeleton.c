/* build/skeleton.c: the tables of folders, files and links that are the same in each image. */
#include "build/skeleton.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char certificates[] = "/etc/ssl/certs";

static const char *const folders[] = {
        "/dev",  "/etc",  "/function",  "/home",     "/mnt",     "/opt",
        "/proc", "/root", "/run",       "/run/lock", "/runtime", "/srv",
        "/sys",  "/tmp",  "/var/cache", "/var/lib",  "/var/log", "/var/tmp",
};

static const struct {
        const char *path;
        const char *text;
} files[] = {
        {"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
                        "function:x:1000:1000:function:/tmp:/bin/sh\n"},
        {"/etc/group", "root:x:0:\nnogroup:x:65534:\nfunction:x:1000:\n"},
        {"/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
        {"/etc/hostname", "function\n"},
        {"/etc/nsswitch.conf",
         "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\n"
         "services: files\n"},
        {"/etc/resolv.conf", ""},
        {"/etc/timezone", "Etc/UTC\n"},
        {"/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n"},
};

static const struct {
        const char *path;
        const char *target;
} links[] = {
        {"/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"},
        {"/etc/mtab", "/proc/self/mounts"},
        {"/var/run", "/run"},
        {"/var/lock", "/run/lock"},
};

enum err_code skeleton_write(struct image *image, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < sizeof(folders) / sizeof(folders[0]); i++)
                code = image_folder(image, folders[i], err);
        for (size_t i = 0; code == ERR_OK && i < sizeof(files) / sizeof(files[0]); i++)
                code = image_write(image, files[i].path, str_of(files[i].text), err);
        for (size_t i = 0; code == ERR_OK && i < sizeof(links) / sizeof(links[0]); i++)
                code = image_link(image, links[i].path, links[i].target, err);
        return code;
}

/* Copies the links of /etc/ssl/certs whose target is in the image by now. */
static enum err_code copy_links(struct image *image, int dir_fd, struct err *err)
{
        own_fd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return err_sys(err, "open /etc/ssl/certs");
        (void)take_fd(&fd);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                char path[PATH_MAX], target[PATH_MAX], resolved[2 * PATH_MAX];
                ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
                enum err_code code;

                if (len <= 0)
                        continue;
                target[len] = '\0';
                snprintf(resolved, sizeof(resolved), "%s%s%s", target[0] == '/' ? "" : certificates,
                         target[0] == '/' ? "" : "/", target);
                if (!image_has(image, resolved))
                        continue;
                snprintf(path, sizeof(path), "%s/%s", certificates, entry->d_name);
                code = image_copy(image, path, path, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

enum err_code skeleton_certificates(struct image *image, struct err *err)
{
        static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
        static const char java_tool[] = "/usr/share/ca-certificates-java/ca-certificates-java.jar";
        static const char java[] = "/etc/ssl/certs/java/cacerts"; /* the same, made by that package */
        own_fd int fd = openat(image->host_fd, certificates + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        enum err_code code;

        if (fd < 0)
                return ERR_OK; /* a host without certificates */
        code = image_copy(image, bundle, bundle, err);
        if (code == ERR_OK && image_has(image, java_tool))
                code = image_copy(image, java, java, err);
        /* Twice: names that are hashes lead to links beside them, which lead to the certificates. */
        for (int pass = 0; code == ERR_OK && pass < 2; pass++)
                code = copy_links(image, fd, err);
        return code;
}
