/* spawn/layers.c: opens layers, and the tasks that put them in place and remove them. */
#include "spawn/layers.h"

#include "base/own.h"
#include "sandbox/sys.h"
#include "spawn/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum err_code layers_open(int dir_fd, const char *what, const char *name, int *ret_fd, struct err *err)
{
        int fd = sys_open_beneath(dir_fd, name, O_PATH | O_DIRECTORY);

        if (fd < 0 && errno == ENOENT)
                return err_set(err, ERR_NOT_FOUND, "there is no %s '%s'", what, name);
        if (fd < 0)
                return err_sys(err, "open the %s '%s'", what, name);
        *ret_fd = fd;
        return ERR_OK;
}

static bool is_stack(const char *name)
{
        return strncmp(name, "stack-", 6) == 0;
}

enum { STACK_TEXT_MAX = SPAWN_STACK_MAX * SPAWN_NAME_MAX };

/* The list of a stack in an open folder, its lines ended by NULs; *ret_count of them. */
static enum err_code stack_read(int stack_fd, const char *name, char text[STACK_TEXT_MAX], size_t *ret_count,
                                struct err *err)
{
        own_fd int fd = openat(stack_fd, "layers", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ssize_t len = fd >= 0 ? read(fd, text, STACK_TEXT_MAX) : -1;
        size_t count = 0;

        if (len <= 0 || text[len - 1] != '\n')
                return err_set(err, ERR_CORRUPT, "the list of layers of '%s' cannot be read", name);
        for (char *at = text; at < text + len; at += strlen(at) + 1, count++) {
                *(char *)memchr(at, '\n', (size_t)(text + len - at)) = '\0';
                if (!spawn_name_valid(at, strlen(at) + 1) || strlen(at) >= SPAWN_NAME_MAX || is_stack(at))
                        return err_set(err, ERR_CORRUPT, "the list of layers of '%s' is damaged", name);
        }
        *ret_count = count;
        return ERR_OK;
}

static enum err_code stack_open(int layers_fd, const char *name, int *fds, size_t max, size_t *count,
                                struct err *err)
{
        own_mem char *text = malloc(STACK_TEXT_MAX);
        own_fd int stack_fd = -1;
        size_t lines = 0;

        if (text == NULL)
                return err_nomem(err);
        enum err_code code = layers_open(layers_fd, "layer", name, &stack_fd, err);
        if (code == ERR_OK)
                code = stack_read(stack_fd, name, text, &lines, err);
        for (const char *at = text; code == ERR_OK && lines > 0; lines--, at += strlen(at) + 1) {
                if (*count == max)
                        return err_set(err, ERR_UNPROCESSABLE, "an image of more than %zu layers", max);
                code = layers_open(layers_fd, "layer", at, &fds[*count], err);
                *count += code == ERR_OK;
        }
        return code;
}

enum err_code layers_open_all(int layers_fd, const char (*names)[SPAWN_NAME_MAX], size_t names_count,
                              int *fds, size_t max, size_t *count, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < names_count; i++) {
                if (is_stack(names[i])) {
                        code = stack_open(layers_fd, names[i], fds, max, count, err);
                } else if (*count == max) {
                        code = err_set(err, ERR_UNPROCESSABLE, "an image of more than %zu layers", max);
                } else {
                        code = layers_open(layers_fd, "layer", names[i], &fds[*count], err);
                        *count += code == ERR_OK;
                }
        }
        return code;
}

/* What a build reported stays with what it made, as an attribute that only root can see or set. */
static const char info_attribute[] = "trusted.dispatch.info";

bool layers_exists(int layers_fd, const char *name, char info[SPAWN_INFO_MAX])
{
        own_fd int fd = sys_open_beneath(layers_fd, name, O_RDONLY | O_DIRECTORY);
        ssize_t len = fd >= 0 ? fgetxattr(fd, info_attribute, info, SPAWN_INFO_MAX - 1) : 0;

        info[len > 0 ? len : 0] = '\0';
        if (fd >= 0)
                (void)futimens(fd, NULL); /* wanted now: its age begins anew (garbage.h) */
        return fd >= 0;
}

/* A file system without attributes costs a second build after a crash, no more. */
static int info_keep(int fd, const char *info)
{
        if (fsetxattr(fd, info_attribute, info, strlen(info), 0) == 0 || errno == ENOTSUP)
                return 0;
        return -1;
}

/* A root needs somewhere to attach what a sandbox brings; other layers do not mind. */
static int mount_points_make(int dir_fd)
{
        static const char *const names[] = {"proc", "dev", "tmp", "function", "runtime"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (mkdirat(dir_fd, names[i], 0755) < 0 && errno != EEXIST)
                        return -1;
        }
        return 0;
}

enum err_code layers_commit(const struct worker_task *task, struct err *err)
{
        own_fd int fd = openat(task->staging_fd, task->from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
                return err_sys(err, "open the new layer '%s'", task->layer);
        if (strncmp(task->layer, "builtin-", 8) == 0 && mount_points_make(fd) < 0)
                return err_disk(err, "make folders in the new layer '%s'", task->layer);
        if (info_keep(fd, task->info) < 0)
                return err_disk(err, "keep what was built with the new layer '%s'", task->layer);
        (void)futimens(fd, NULL); /* an archive may have said otherwise */
        /* All that is dirty on the file system would be waited for: a gigabyte that another job unpacks. */
        if ((task->synced ? fsync(fd) : syncfs(fd)) < 0)
                return err_disk(err, "write the new layer '%s' to the disk", task->layer);
        if (renameat2(task->staging_fd, task->from, task->layers_fd, task->layer, RENAME_NOREPLACE) < 0) {
                if (errno == EEXIST) {
                        (void)utimensat(task->layers_fd, task->layer, NULL, AT_SYMLINK_NOFOLLOW);
                        return err_set(err, ERR_CONFLICT, "the layer is there");
                }
                return err_disk(err, "put the new layer '%s' in its place", task->layer);
        }
        if (fsync(task->layers_fd) < 0)
                return err_disk(err, "write the new layer '%s' to the disk", task->layer);
        return ERR_OK;
}

static bool is_hex(const char *text, size_t len)
{
        return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* PREFIX MARK "-" HEX, 40 digits. */
static bool name_is(const char *name, const char *prefix, const char *mark)
{
        size_t len = strlen(prefix), mark_len = strlen(mark);

        return strncmp(name, prefix, len) == 0 && strncmp(name + len, mark, mark_len) == 0 &&
               name[len + mark_len] == '-' && is_hex(name + len + mark_len + 1, 40);
}

static enum err_code folder_list(int dir_fd, const char *path, DIR **ret, struct err *err)
{
        own_fd int fd = sys_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY);

        *ret = NULL;
        if (fd < 0 && errno == ENOENT)
                return ERR_OK;
        *ret = fd >= 0 ? fdopendir(fd) : NULL;
        if (*ret == NULL)
                return err_sys(err, "open what the build left in %s", path);
        (void)take_fd(&fd);
        return ERR_OK;
}

static int blob_move(int dir_fd, const char *name, int blobs_fd, bool replace)
{
        if (fchownat(dir_fd, name, 0, 0, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(dir_fd, name, 0644, 0) < 0)
                return -1;
        int result = renameat2(dir_fd, name, blobs_fd, name, replace ? 0 : RENAME_NOREPLACE);
        return result < 0 && errno == EEXIST ? 0 : result;
}

/* Whole ones alone have such a name (OCI image layout). */
enum err_code layers_blobs_keep(int from_fd, int blobs_fd, bool replace, struct err *err)
{
        own_dir DIR *dir = NULL;
        enum err_code code = folder_list(from_fd, "layout/blobs/sha256", &dir, err);
        struct stat status;

        for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
                const char *name = entry->d_name;

                if (!is_hex(name, 64) || fstatat(dirfd(dir), name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(status.st_mode))
                        continue;
                if (blob_move(dirfd(dir), name, blobs_fd, replace) < 0)
                        return err_disk(err, "keep the blob %s", name);
        }
        if (code == ERR_OK && dir != NULL && fsync(blobs_fd) < 0)
                return err_disk(err, "keep the blobs");
        return code;
}

static enum err_code layer_keep(const struct worker_task *task, DIR *dir, const char *name, struct err *err)
{
        own_fd int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
                return err_sys(err, "open the new layer '%s'", name);
        if (renameat2(dirfd(dir), name, task->layers_fd, name, RENAME_NOREPLACE) < 0 && errno != EEXIST)
                return err_disk(err, "put the new layer '%s' in its place", name);
        return ERR_OK;
}

/* Every layer of the list is one of its organization, and there. */
static enum err_code stack_check(const struct worker_task *task, DIR *dir, const char *name, struct err *err)
{
        own_mem char *text = malloc(STACK_TEXT_MAX);
        own_fd int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat status;
        size_t lines = 0;

        if (text == NULL)
                return err_nomem(err);
        enum err_code code =
                fd >= 0 ? stack_read(fd, name, text, &lines, err) : err_sys(err, "open '%s'", name);
        for (const char *at = text; code == ERR_OK && lines > 0; lines--, at += strlen(at) + 1) {
                if (!name_is(at, "oci-", task->layer))
                        return err_set(err, ERR_INVALID, "the stack '%s' lists '%s'", name, at);
                if (fstatat(task->layers_fd, at, &status, AT_SYMLINK_NOFOLLOW) < 0)
                        return err_set(err, ERR_UNAVAILABLE, "the layer '%s' of '%s' is gone", at, name);
        }
        return code;
}

/* The layers before the stacks that list them. */
static enum err_code layers_keep(const struct worker_task *task, int from_fd, bool stacks, struct err *err)
{
        own_dir DIR *dir = NULL;
        enum err_code code = folder_list(from_fd, "layers", &dir, err);

        for (const struct dirent *entry; code == ERR_OK && dir != NULL && (entry = readdir(dir)) != NULL;) {
                const char *name = entry->d_name;

                if (name[0] == '.' || is_stack(name) != stacks)
                        continue;
                if (!name_is(name, stacks ? "stack-" : "oci-", task->layer))
                        return err_set(err, ERR_INVALID, "a build left a layer '%.80s'", name);
                if (stacks)
                        code = stack_check(task, dir, name, err);
                if (code == ERR_OK)
                        code = layer_keep(task, dir, name, err);
        }
        return code;
}

enum err_code layers_commit_many(const struct worker_task *task, struct err *err)
{
        own_fd int fd = openat(task->staging_fd, task->from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open what the build left");
        if (syncfs(fd) < 0)
                return err_disk(err, "write the new layers to the disk");
        /* One that is there may be the damaged one for which this was fetched. */
        enum err_code code = layers_blobs_keep(fd, task->blobs_fd, true, err);
        if (code == ERR_OK && task->layer != NULL)
                code = layers_keep(task, fd, false, err);
        if (code == ERR_OK && task->layer != NULL)
                code = layers_keep(task, fd, true, err);
        if (code == ERR_OK && fsync(task->layers_fd) < 0)
                return err_disk(err, "write the new layers to the disk");
        return code;
}

enum err_code layers_remove(const struct worker_task *task, struct err *err)
{
        return state_discarded_remove(task->staging_fd, err);
}
