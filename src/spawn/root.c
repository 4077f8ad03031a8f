/* spawn/root.c: see root.h. */
#include "spawn/root.h"

#include "base/own.h"
#include "sandbox/mounts.h"
#include "spawn/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below the sandbox's own /tmp, which is in memory and writable. */
#define RUN_TARGET "/tmp/.run"

enum err_code root_points_make(int dir_fd, struct err *err)
{
        static const char *const names[] = {"proc", "dev", "tmp", "function", "runtime"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (mkdirat(dir_fd, names[i], 0755) < 0 && errno != EEXIST)
                        return err_disk(err, "make the folder %s for mounts", names[i]);
        }
        if (symlinkat(RUN_TARGET, dir_fd, "run") < 0 && errno != EEXIST)
                return err_disk(err, "make the link run for mounts");
        return fchmod(dir_fd, 0755) < 0 ? err_sys(err, "chmod the folder for mounts") : ERR_OK;
}

/* Our own images have all of it (build/skeleton.c). */
static bool is_ours(const char *lowest)
{
        return strncmp(lowest, "builtin-", 8) == 0;
}

static enum err_code folder_add(int fd, int *ret_fd, struct err *err)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return err_sys(err, "dup a folder of ours for a root");
        *ret_fd = copy;
        return ERR_OK;
}

enum err_code root_open(const struct state *state, const char (*layers)[SPAWN_NAME_MAX], size_t count,
                        int top_fd, int *ret_fd, struct err *err)
{
        int fds[MOUNTS_LAYERS_MAX];
        size_t opened = 0;
        enum err_code code =
                layers_open_all(state->layers_fd, layers, count, fds, MOUNTS_LAYERS_MAX - 2, &opened, err);

        if (code == ERR_OK && !is_ours(layers[0])) {
                code = folder_add(state->points_fd, &fds[opened], err);
                opened += code == ERR_OK;
        }
        if (code == ERR_OK && top_fd >= 0) {
                code = folder_add(top_fd, &fds[opened], err);
                opened += code == ERR_OK;
        }
        if (code == ERR_OK)
                code = mounts_open_root(fds, opened, state->mnt_fd, ret_fd, err);
        while (opened > 0)
                close(fds[--opened]);
        return code;
}
