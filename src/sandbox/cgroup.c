/*
 * sandbox/cgroup.c: the tree of cgroups, the same for both versions but for the files with limits and
 * measures.
 */
#include "sandbox/cgroup_impl.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char record_name[] = "cgroups";

enum err_code cgroup_write(int dir_fd, const char *path, const char *file, const char *text, struct err *err)
{
        char name[PATH_MAX];

        if (snprintf(name, sizeof(name), "%s/%s", path, file) >= (int)sizeof(name))
                return err_set(err, ERR_TOO_LARGE, "path of a cgroup");
        own_fd int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return err_sys(err, "write '%s' to %s", text, name);
        return ERR_OK;
}

bool cgroup_read(int dir_fd, const char *path, const char *file, char *out, size_t size)
{
        char name[PATH_MAX];

        if (snprintf(name, sizeof(name), "%s/%s", path, file) >= (int)sizeof(name))
                return false;
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd >= 0 ? read(fd, out, size - 1) : -1;
        if (got < 0)
                return false;
        out[got] = '\0';
        return true;
}

uint64_t cgroup_number(const char *text, const char *key)
{
        size_t len = strlen(key);

        for (const char *line = text; *line != '\0';) {
                const char *end = strchrnul(line, '\n');
                if (strncmp(line, key, len) == 0)
                        return strtoull(line + len, NULL, 10);
                line = *end == '\n' ? end + 1 : end;
        }
        return 0;
}

/* Makes BASE/NAME and adds it as a hierarchy; two controllers in one hierarchy share it. */
static enum err_code hierarchy_add(struct cgroup_tree *tree, const char *base, const char *name,
                                   unsigned controllers, struct err *err)
{
        own_mem char *path = NULL;

        if (asprintf(&path, "%s/%s", base, name) < 0) {
                path = NULL;
                return err_nomem(err);
        }
        for (size_t i = 0; i < tree->hierarchy_count; i++) {
                if (strcmp(tree->hierarchies[i].path, path) == 0) {
                        tree->hierarchies[i].controllers |= controllers;
                        return ERR_OK;
                }
        }
        enum err_code code = cgroup_clear(path, err);
        if (code != ERR_OK)
                return code;
        if (mkdir(path, 0755) < 0)
                return err_sys(err, "make the cgroup %s", path);
        struct cgroup_hierarchy *hierarchy = &tree->hierarchies[tree->hierarchy_count];
        hierarchy->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (hierarchy->fd < 0) {
                code = err_sys(err, "open the cgroup %s", path);
                (void)rmdir(path);
                return code;
        }
        hierarchy->path = take_ptr(&path);
        hierarchy->controllers = controllers;
        tree->hierarchy_count++;
        return ERR_OK;
}

static void controllers_index(struct cgroup_tree *tree)
{
        for (size_t c = 0; c < CONTROLLER_COUNT; c++) {
                tree->by_controller[c] = -1;
                for (size_t i = 0; i < tree->hierarchy_count; i++) {
                        if (tree->hierarchies[i].controllers & (1U << c))
                                tree->by_controller[c] = tree->hierarchies[i].fd;
                }
        }
}

static bool v1_is_whole(const struct cgroup_place v1[CONTROLLER_COUNT])
{
        for (size_t c = 0; c < CONTROLLERS_NEEDED; c++) {
                if (v1[c].mount[0] == '\0')
                        return false;
        }
        return true;
}

static enum err_code v1_open(struct cgroup_tree *tree, const struct cgroup_place v1[CONTROLLER_COUNT],
                             const char *name, struct err *err)
{
        tree->ops = &cgroup_v1_ops;
        for (unsigned c = 0; c < CONTROLLER_COUNT; c++) {
                if (v1[c].mount[0] == '\0')
                        continue;
                enum err_code code = hierarchy_add(tree, v1[c].own, name, 1U << c, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static bool words_have(const char *text, const char *word)
{
        size_t len = strlen(word);

        for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
                if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\n' || at[len] == '\0'))
                        return true;
        }
        return false;
}

static enum err_code v2_open(struct cgroup_tree *tree, const struct cgroup_place *v2, const char *name,
                             struct err *err)
{
        char controllers[256], base[PATH_MAX];

        if (v2->mount[0] == '\0')
                return err_set(
                        err, ERR_UNAVAILABLE,
                        "no cgroups: mount them, for example with: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
        if (!cgroup_read(AT_FDCWD, v2->mount, "cgroup.controllers", controllers, sizeof(controllers)))
                return err_sys(err, "read %s/cgroup.controllers", v2->mount);
        for (int c = 0; c < CONTROLLERS_NEEDED; c++) {
                const char *controller = cgroup_controller_name((enum cgroup_controller)c);
                if (!words_have(controllers, controller))
                        return err_set(
                                err, ERR_UNAVAILABLE,
                                "the cgroup controller '%s' is missing in %s: turn it on with the kernel "
                                "parameter cgroup_enable=%s, or mount it",
                                controller, v2->mount, controller);
        }
        enum err_code code = cgroup_v2_base(v2, base, &tree->leaf, err);
        if (code != ERR_OK)
                return code;
        tree->ops = &cgroup_v2_ops;
        code = hierarchy_add(tree, base, name, (1U << CONTROLLERS_NEEDED) - 1, err);
        return code != ERR_OK ? code : tree->ops->inner(tree, ".", err);
}

/* Each tree that the record names. */
static void record_each(int record_fd, const char *name, void (*each)(const char *path))
{
        own_fd int fd = openat(record_fd, record_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        own_file FILE *file = fd >= 0 ? fdopen(fd, "re") : NULL;
        char line[PATH_MAX];

        if (file == NULL)
                return;
        (void)take_fd(&fd);
        while (fgets(line, sizeof(line), file) != NULL) {
                line[strcspn(line, "\n")] = '\0';
                const char *last = strrchr(line, '/');
                if (last != NULL && strcmp(last + 1, name) == 0)
                        each(line);
        }
}

static void clear_each(const char *path)
{
        (void)cgroup_clear(path, NULL);
}

/* Clears the trees that the record names: an older process may have stood elsewhere. */
static void record_clear(int record_fd, const char *name)
{
        record_each(record_fd, name, cgroup_thaw_below);
        record_each(record_fd, name, clear_each);
}

static enum err_code record_write(const struct cgroup_tree *tree, struct err *err)
{
        own_fd int fd = openat(tree->record_fd, record_name,
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return err_disk(err, "write the record of cgroups in the state directory");
        for (size_t i = 0; i < tree->hierarchy_count; i++) {
                if (dprintf(fd, "%s\n", tree->hierarchies[i].path) < 0)
                        return err_disk(err, "write the record of cgroups in the state directory");
        }
        return ERR_OK;
}

struct places {
        struct cgroup_place v1[CONTROLLER_COUNT], v2;
};

enum err_code cgroup_tree_create(int record_fd, const char *name, struct cgroup_tree **ret, struct err *err)
{
        /* On the heap: the paths are too large for a stack, and not needed for long. */
        own_mem struct places *places = calloc(1, sizeof(*places));
        struct cgroup_tree *tree = calloc(1, sizeof(*tree));

        if (places == NULL || tree == NULL) {
                free(tree);
                return err_nomem(err);
        }
        tree->record_fd = record_fd;
        record_clear(record_fd, name);
        enum err_code code = cgroup_places_read(places->v1, &places->v2, err);
        if (code == ERR_OK)
                code = v1_is_whole(places->v1) ? v1_open(tree, places->v1, name, err)
                                               : v2_open(tree, &places->v2, name, err);
        controllers_index(tree);
        if (code == ERR_OK)
                code = record_write(tree, err);
        if (code != ERR_OK) {
                cgroup_tree_destroy(tree);
                return code;
        }
        *ret = tree;
        return ERR_OK;
}

void cgroup_tree_destroy(struct cgroup_tree *tree)
{
        if (tree == NULL)
                return;
        while (tree->released != NULL) {
                struct cgroup *cgroup = tree->released;
                tree->released = cgroup->next;
                free(cgroup);
        }
        for (size_t i = 0; i < tree->hierarchy_count; i++)
                cgroup_thaw_below(tree->hierarchies[i].path);
        for (size_t i = 0; i < tree->hierarchy_count; i++) {
                close(tree->hierarchies[i].fd);
                (void)cgroup_clear(tree->hierarchies[i].path, NULL);
                free(tree->hierarchies[i].path);
        }
        if (tree->ops != NULL && tree->ops->leave != NULL)
                tree->ops->leave(tree);
        (void)unlinkat(tree->record_fd, record_name, 0);
        free(tree->leaf);
        free(tree);
}

unsigned cgroup_tree_version(const struct cgroup_tree *tree)
{
        return tree->ops->version;
}

static enum err_code folder_make(struct cgroup_tree *tree, const char *path, bool inner, bool *ret_made,
                                 struct err *err)
{
        bool made = false;

        *ret_made = false;
        for (size_t i = 0; i < tree->hierarchy_count; i++) {
                if (mkdirat(tree->hierarchies[i].fd, path, 0755) == 0)
                        made = true;
                else if (errno != EEXIST || !inner)
                        return err_sys(err, "make the cgroup %s", path);
        }
        *ret_made = made;
        return made && inner ? tree->ops->inner(tree, path, err) : ERR_OK;
}

void cgroup_tree_quotas(struct cgroup_tree *tree, const struct quota *quotas, size_t count)
{
        tree->quotas = quotas;
        tree->quota_count = count;
}

/* path: org-NAME */
static const struct quota *quota_of(const struct cgroup_tree *tree, const char *path)
{
        return quota_find(tree->quotas, tree->quota_count, path + strlen("org-"));
}

/* The first version refuses a share of the processors that is larger than the folder's above. */
static struct cgroup_limits within_quota(const struct cgroup *cgroup, const struct cgroup_limits *limits)
{
        char organization[CGROUP_PATH_MAX];
        struct cgroup_limits within = *limits;

        snprintf(organization, sizeof(organization), "%.*s", (int)strcspn(cgroup->path, "/"), cgroup->path);
        const struct quota *quota = quota_of(cgroup->tree, organization);
        if (quota != NULL && quota->cpu_millicores > 0 && quota->cpu_millicores < within.cpu_millicores)
                within.cpu_millicores = (uint32_t)quota->cpu_millicores;
        return within;
}

static enum err_code organization_make(struct cgroup_tree *tree, const char *path, struct err *err)
{
        const struct quota *quota = quota_of(tree, path);
        bool made;
        enum err_code code = folder_make(tree, path, true, &made, err);

        return code == ERR_OK && made && quota != NULL ? tree->ops->quota(tree, path, quota, err) : code;
}

/* False: something is in it still. */
static bool folder_remove(const struct cgroup_tree *tree, const char *path)
{
        bool gone = true;

        for (size_t i = 0; i < tree->hierarchy_count; i++) {
                if (unlinkat(tree->hierarchies[i].fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
                        gone = false;
        }
        return gone;
}

/* The folders above the instance; they go when they are empty. */
static void parents_remove(const struct cgroup_tree *tree, char *path)
{
        char *cut;

        while ((cut = strrchr(path, '/')) != NULL) {
                *cut = '\0';
                if (!folder_remove(tree, path))
                        return;
        }
}

static enum err_code instance_make(struct cgroup_tree *tree, struct cgroup *cgroup,
                                   const struct cgroup_limits *limits, struct err *err)
{
        char *function_end = strrchr(cgroup->path, '/'), *organization_end = strchr(cgroup->path, '/');
        const struct cgroup_limits within = within_quota(cgroup, limits);
        enum err_code code;
        bool made;

        *organization_end = '\0';
        code = organization_make(tree, cgroup->path, err);
        *organization_end = '/';
        if (code != ERR_OK)
                return code;
        *function_end = '\0';
        code = folder_make(tree, cgroup->path, true, &made, err);
        *function_end = '/';
        if (code == ERR_OK)
                code = folder_make(tree, cgroup->path, false, &made, err);
        if (code == ERR_OK)
                code = tree->ops->limit(tree, cgroup->path, &within, err);
        if (code != ERR_OK || tree->ops->version == 1)
                return code;
        cgroup->clone_fd = openat(tree->hierarchies[0].fd, cgroup->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return cgroup->clone_fd < 0 ? err_sys(err, "open the cgroup %s", cgroup->path) : ERR_OK;
}

enum err_code cgroup_create(struct cgroup_tree *tree, const char *organization, const char *function,
                            const struct cgroup_limits *limits, struct cgroup **ret, struct err *err)
{
        char path[CGROUP_PATH_MAX];
        int len = snprintf(path, sizeof(path), "org-%s/fn-%s/i-%llu", organization, function,
                           (unsigned long long)++tree->next_number);

        assert(limits->memory_bytes > 0 && limits->pids_max > 0 && limits->cpu_millicores > 0);
        assert(len > 0 && len < (int)sizeof(path));
        struct cgroup *cgroup = malloc(sizeof(*cgroup) + (size_t)len + 1);
        if (cgroup == NULL)
                return err_nomem(err);
        *cgroup = (struct cgroup){.tree = tree, .clone_fd = -1, .number = tree->next_number};
        memcpy(cgroup->path, path, (size_t)len + 1);

        enum err_code code = instance_make(tree, cgroup, limits, err);
        if (code != ERR_OK) {
                cgroup_release(cgroup);
                return code;
        }
        *ret = cgroup;
        return ERR_OK;
}

uint64_t cgroup_number_of(const struct cgroup *cgroup)
{
        return cgroup != NULL ? cgroup->number : 0;
}

void cgroup_freeze(struct cgroup *cgroup, bool freeze)
{
        if (cgroup == NULL || cgroup->frozen == freeze)
                return;
        cgroup->frozen = freeze;
        cgroup->tree->ops->freeze(cgroup->tree, cgroup->path, freeze);
}

int cgroup_tree_fd(const struct cgroup_tree *tree, const char *measure)
{
        if (tree->ops->version == 2)
                return tree->hierarchies[0].fd;
        return tree->by_controller[strcmp(measure, "memory") == 0 ? CONTROLLER_MEMORY : CONTROLLER_CPUACCT];
}

int cgroup_clone_fd(const struct cgroup *cgroup)
{
        return cgroup->clone_fd;
}

int cgroup_enter(const struct cgroup *cgroup)
{
        char file[CGROUP_PATH_MAX + sizeof("/tasks")];

        snprintf(file, sizeof(file), "%s/tasks", cgroup->path);
        for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++) {
                own_fd int fd = openat(cgroup->tree->hierarchies[i].fd, file, O_WRONLY | O_CLOEXEC);
                if (fd < 0 || write(fd, "0", 1) != 1)
                        return -1;
        }
        return 0;
}

enum err_code cgroup_entries_open(const struct cgroup *cgroup, int fds[CGROUP_ENTRIES_MAX], size_t *ret_count,
                                  struct err *err)
{
        const struct cgroup_tree *tree = cgroup->tree;
        /* By thread where that is possible: see cgroup_enter. */
        const char *name = tree->ops->version == 1 ? "tasks" : "cgroup.procs";
        char file[CGROUP_PATH_MAX + sizeof("/cgroup.procs")];
        size_t count = 0;

        _Static_assert((int)CGROUP_ENTRIES_MAX >= (int)CONTROLLER_COUNT, "one a hierarchy");
        snprintf(file, sizeof(file), "%s/%s", cgroup->path, name);
        for (; count < tree->hierarchy_count; count++) {
                fds[count] = openat(tree->hierarchies[count].fd, file, O_WRONLY | O_CLOEXEC);
                if (fds[count] < 0) {
                        enum err_code code = err_sys(err, "open the cgroup %s", file);
                        while (count > 0)
                                close(fds[--count]);
                        return code;
                }
        }
        *ret_count = count;
        return ERR_OK;
}

static uint32_t least(uint32_t a, uint32_t b)
{
        return a < b ? a : b;
}

enum err_code cgroup_claim(struct cgroup *cgroup, const struct cgroup_limits *limits, struct err *err)
{
        const struct cgroup_ops *ops = cgroup->tree->ops;

        if (ops->renew != NULL)
                ops->renew(cgroup->tree, cgroup->path, limits);
        struct cgroup_usage before = {.oom_kills = 0};
        ops->usage(cgroup->tree, cgroup->path, &before);
        cgroup->before = before;
        const struct cgroup_limits within = within_quota(cgroup, limits);
        return ops->limit(cgroup->tree, cgroup->path, &within, err);
}

void cgroup_usage(const struct cgroup *cgroup, struct cgroup_usage *ret)
{
        const struct cgroup_usage *before = &cgroup->before;

        *ret = (struct cgroup_usage){.oom_kills = 0};
        cgroup->tree->ops->usage(cgroup->tree, cgroup->path, ret);
        /* One that cannot be read any more is 0. */
        ret->oom_kills -= least(ret->oom_kills, before->oom_kills);
        ret->pids_refused -= least(ret->pids_refused, before->pids_refused);
        ret->cpu_us -= ret->cpu_us < before->cpu_us ? ret->cpu_us : before->cpu_us;
}

static void released_append(struct cgroup_tree *tree, struct cgroup *cgroup)
{
        cgroup->next = NULL;
        if (tree->released == NULL)
                tree->released = cgroup;
        else
                tree->released_last->next = cgroup;
        tree->released_last = cgroup;
        tree->released_count++;
}

void cgroup_release(struct cgroup *cgroup)
{
        if (cgroup == NULL)
                return;
        if (cgroup->clone_fd >= 0)
                close(cgroup->clone_fd);
        cgroup->clone_fd = -1;
        released_append(cgroup->tree, cgroup);
}

size_t cgroup_sweep(struct cgroup_tree *tree, size_t max)
{
        if (max > tree->released_count)
                max = tree->released_count;
        while (max-- > 0) {
                struct cgroup *cgroup = tree->released;
                assert(cgroup != NULL);
                tree->released = cgroup->next;
                tree->released_count--;
                if (!folder_remove(tree, cgroup->path)) {
                        released_append(tree, cgroup); /* its turn comes again, behind the others */
                        continue;
                }
                parents_remove(tree, cgroup->path);
                free(cgroup);
        }
        return tree->released_count;
}
