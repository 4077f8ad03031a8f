/*
 * sandbox/cgroup_v2.c: limits and measures on the unified hierarchy
 * (Documentation/admin-guide/cgroup-v2.rst).
 *
 * A cgroup there has either processes or children with controllers. So this process moves into a leaf beside
 * the tree when its cgroup is its own (a systemd unit with Delegate=yes); where others share it, the tree
 * stands at the root of the hierarchy.
 */
#include "sandbox/cgroup_impl.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERIOD_US = 100000 };

#define CONTROLLERS "+memory +cpu +pids"
#define LEAF        "dispatch-spawn"

static enum err_code v2_inner(const struct cgroup_tree *tree, const char *path, struct err *err)
{
        return cgroup_write(tree->hierarchies[0].fd, path, "cgroup.subtree_control", CONTROLLERS, err);
}

static enum err_code v2_limit(const struct cgroup_tree *tree, const char *path,
                              const struct cgroup_limits *limits, struct err *err)
{
        int fd = tree->hierarchies[0].fd;
        char text[48];
        enum err_code code;

        snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory_bytes);
        code = cgroup_write(fd, path, "memory.max", text, err);
        if (code != ERR_OK)
                return code;
        /* There only when the kernel knows swap. */
        (void)cgroup_write(fd, path, "memory.swap.max", "0", NULL);
        code = cgroup_write(fd, path, "memory.oom.group", "1", err);
        if (code != ERR_OK)
                return code;

        snprintf(text, sizeof(text), "%llu %d", (unsigned long long)limits->cpu_millicores * PERIOD_US / 1000,
                 PERIOD_US);
        code = cgroup_write(fd, path, "cpu.max", text, err);
        if (code != ERR_OK)
                return code;
        snprintf(text, sizeof(text), "%u", limits->pids_max);
        return cgroup_write(fd, path, "pids.max", text, err);
}

static enum err_code v2_quota(const struct cgroup_tree *tree, const char *path, const struct quota *quota,
                              struct err *err)
{
        int fd = tree->hierarchies[0].fd;
        enum err_code code = ERR_OK;
        char text[48];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)quota->memory_mib << 20);
        if (quota->memory_mib > 0)
                code = cgroup_write(fd, path, "memory.max", text, err);
        snprintf(text, sizeof(text), "%llu %d", (unsigned long long)quota->cpu_millicores * PERIOD_US / 1000,
                 PERIOD_US);
        if (code == ERR_OK && quota->cpu_millicores > 0)
                code = cgroup_write(fd, path, "cpu.max", text, err);
        snprintf(text, sizeof(text), "%llu", (unsigned long long)quota->processes);
        return code == ERR_OK && quota->processes > 0 ? cgroup_write(fd, path, "pids.max", text, err) : code;
}

static void v2_freeze(const struct cgroup_tree *tree, const char *path, bool freeze)
{
        (void)cgroup_write(tree->hierarchies[0].fd, path, "cgroup.freeze", freeze ? "1" : "0", NULL);
}

static void v2_usage(const struct cgroup_tree *tree, const char *path, struct cgroup_usage *ret)
{
        int fd = tree->hierarchies[0].fd;
        char text[1024];

        if (cgroup_read(fd, path, "memory.events", text, sizeof(text)))
                ret->oom_kills = (uint32_t)cgroup_number(text, "oom_kill ");
        if (cgroup_read(fd, path, "memory.peak", text, sizeof(text)))
                ret->memory_peak_bytes = cgroup_number(text, "");
        if (cgroup_read(fd, path, "pids.events", text, sizeof(text)))
                ret->pids_refused = (uint32_t)cgroup_number(text, "max ");
        if (cgroup_read(fd, path, "cpu.stat", text, sizeof(text)))
                ret->cpu_us = cgroup_number(text, "usage_usec ");
}

/* The parent can take its processes back only when its children have no controllers. */
static void v2_leave(const struct cgroup_tree *tree)
{
        char own[PATH_MAX], pid[16];

        if (tree->leaf == NULL)
                return;
        snprintf(own, sizeof(own), "%.*s", (int)(strrchr(tree->leaf, '/') - tree->leaf), tree->leaf);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        (void)cgroup_write(AT_FDCWD, own, "cgroup.subtree_control", "-memory -cpu -pids", NULL);
        (void)cgroup_write(AT_FDCWD, own, "cgroup.procs", pid, NULL);
        (void)rmdir(tree->leaf);
}

const struct cgroup_ops cgroup_v2_ops = {.version = 2,
                                         .inner = v2_inner,
                                         .limit = v2_limit,
                                         .quota = v2_quota,
                                         .freeze = v2_freeze,
                                         .usage = v2_usage,
                                         .leave = v2_leave};

static bool is_alone_in(const char *path)
{
        char procs[64];
        char *end;

        if (!cgroup_read(AT_FDCWD, path, "cgroup.procs", procs, sizeof(procs)))
                return false;
        return strtol(procs, &end, 10) == (long)getpid() && strcmp(end, "\n") == 0;
}

/* Moves this process into own/dispatch-spawn and turns the controllers on in own. */
static enum err_code leaf_enter(const char *own, char **ret_leaf, struct err *err)
{
        own_mem char *leaf = NULL;
        char pid[16];

        if (asprintf(&leaf, "%s/" LEAF, own) < 0) {
                leaf = NULL;
                return err_nomem(err);
        }
        if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
                return err_sys(err, "make %s", leaf);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        enum err_code code = cgroup_write(AT_FDCWD, leaf, "cgroup.procs", pid, err);
        if (code != ERR_OK)
                return code;
        code = cgroup_write(AT_FDCWD, own, "cgroup.subtree_control", CONTROLLERS, err);
        if (code != ERR_OK) {
                (void)cgroup_write(AT_FDCWD, own, "cgroup.procs", pid, NULL);
                (void)rmdir(leaf);
                return code;
        }
        *ret_leaf = take_ptr(&leaf);
        return ERR_OK;
}

enum err_code cgroup_v2_base(const struct cgroup_place *place, char base[PATH_MAX], char **ret_leaf,
                             struct err *err)
{
        char type[16];
        /* Only the true root has no type; it alone may have processes beside children. */
        bool own_is_root = !cgroup_read(AT_FDCWD, place->own, "cgroup.type", type, sizeof(type));

        if (!own_is_root && is_alone_in(place->own) && leaf_enter(place->own, ret_leaf, NULL) == ERR_OK) {
                snprintf(base, PATH_MAX, "%s", place->own);
                return ERR_OK;
        }
        if (cgroup_write(AT_FDCWD, place->mount, "cgroup.subtree_control", CONTROLLERS, err) != ERR_OK)
                return err_wrap(
                        err, ERR_UNAVAILABLE,
                        "cannot turn on the memory, cpu and pids controllers in %s: run Dispatch in a "
                        "systemd unit with Delegate=yes",
                        place->mount);
        snprintf(base, PATH_MAX, "%s", place->mount);
        return ERR_OK;
}
