/* spawn/leftovers.c: see leftovers.h. */
#include "spawn/leftovers.h"

#include "base/log.h"
#include "base/own.h"
#include "sandbox/sys.h"
#include "spawn/layers.h"
#include "wire/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static const char attribute[] = "trusted.dispatch.organization";

enum err_code leftovers_note(int staging_fd, const char *name, const char *organization, struct err *err)
{
        own_fd int fd = sys_open_beneath(staging_fd, name, O_RDONLY | O_DIRECTORY);

        if (fd < 0 ||
            (fsetxattr(fd, attribute, organization, strlen(organization), 0) < 0 && errno != ENOTSUP))
                return err_disk(err, "note whose staging folder '%s' is", name);
        return ERR_OK;
}

static enum err_code organization_open(const struct state *state, const char *name, int *ret_fd,
                                       struct err *err)
{
        if (mkdirat(state->blobs_fd, name, 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder of blobs of '%s'", name);
        *ret_fd = sys_open_beneath(state->blobs_fd, name, O_RDONLY | O_DIRECTORY);
        return *ret_fd < 0 ? err_sys(err, "open the folder of blobs of '%s'", name) : ERR_OK;
}

static enum err_code folder_keep(const struct state *state, const char *name, struct err *err)
{
        own_fd int fd = sys_open_beneath(state->staging_fd, name, O_RDONLY | O_DIRECTORY);
        char organization[SPAWN_GROUP_MAX] = "";
        ssize_t len = fd >= 0 ? fgetxattr(fd, attribute, organization, sizeof(organization) - 1) : -1;
        own_fd int blobs_fd = -1;

        if (len <= 0 || !spawn_name_valid(organization, sizeof(organization)))
                return ERR_OK;
        enum err_code code = organization_open(state, organization, &blobs_fd, err);
        return code == ERR_OK ? layers_blobs_keep(fd, blobs_fd, false, err) : code;
}

void leftovers_keep(const struct state *state)
{
        own_fd int fd = openat(state->staging_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        struct err err;

        if (dir == NULL)
                return;
        (void)take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (strncmp(entry->d_name, "job-", 4) == 0 &&
                    folder_keep(state, entry->d_name, &err) != ERR_OK)
                        log_warning("what a build has fetched is not kept: %s", err.text);
        }
}
