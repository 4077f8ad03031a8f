/* tests/unit/sandbox/layer.c: see layer.h. */
#include "layer.h"

#include "base/own.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int busybox_copy(int layer_fd)
{
        own_fd int from = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
        own_fd int to = openat(layer_fd, "bin/busybox", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        struct stat status;

        if (from < 0 || to < 0 || fstat(from, &status) < 0)
                return -1;
        for (off_t left = status.st_size; left > 0;) {
                ssize_t sent = sendfile(to, from, NULL, (size_t)left);
                if (sent <= 0)
                        return -1;
                left -= sent;
        }
        return symlinkat("busybox", layer_fd, "bin/sh");
}

int layer_fill(int dir_fd)
{
        static const char *const folders[] = {"bin", "proc", "dev", "tmp", "function", "runtime"};

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                if (mkdirat(dir_fd, folders[i], 0755) < 0)
                        return -1;
        }
        return busybox_copy(dir_fd);
}
