/*
 * sandbox/cgroup_v1.c: limits and measures on the first version, one hierarchy a controller
 * (Documentation/admin-guide/cgroup-v1).
 */
#include "sandbox/cgroup_impl.h"

#include <stdio.h>

enum { PERIOD_US = 100000 };

static enum err_code v1_inner(const struct cgroup_tree *tree, const char *path, struct err *err)
{
        (void)tree;
        (void)path;
        (void)err;
        return ERR_OK; /* every folder may have children and processes */
}

static enum err_code v1_limit(const struct cgroup_tree *tree, const char *path,
                              const struct cgroup_limits *limits, struct err *err)
{
        int memory = tree->by_controller[CONTROLLER_MEMORY], cpu = tree->by_controller[CONTROLLER_CPU];
        char text[32];
        enum err_code code;

        snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory_bytes);
        code = cgroup_write(memory, path, "memory.limit_in_bytes", text, err);
        if (code != ERR_OK)
                return code;
        /* Memory and swap together get the same limit; a kernel that does not count swap prefers not to. */
        if (cgroup_write(memory, path, "memory.memsw.limit_in_bytes", text, NULL) != ERR_OK)
                (void)cgroup_write(memory, path, "memory.swappiness", "0", NULL);

        snprintf(text, sizeof(text), "%d", PERIOD_US);
        code = cgroup_write(cpu, path, "cpu.cfs_period_us", text, err);
        if (code != ERR_OK)
                return code;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->cpu_millicores * PERIOD_US / 1000);
        code = cgroup_write(cpu, path, "cpu.cfs_quota_us", text, err);
        if (code != ERR_OK)
                return code;

        snprintf(text, sizeof(text), "%u", limits->pids_max);
        return cgroup_write(tree->by_controller[CONTROLLER_PIDS], path, "pids.max", text, err);
}

static enum err_code number_write(int fd, const char *path, const char *file, uint64_t number,
                                  struct err *err)
{
        char text[32];

        if (number == 0)
                return ERR_OK;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
        return cgroup_write(fd, path, file, text, err);
}

static enum err_code v1_quota(const struct cgroup_tree *tree, const char *path, const struct quota *quota,
                              struct err *err)
{
        int cpu = tree->by_controller[CONTROLLER_CPU];
        enum err_code code = number_write(tree->by_controller[CONTROLLER_MEMORY], path,
                                          "memory.limit_in_bytes", quota->memory_mib << 20, err);

        if (code == ERR_OK && quota->cpu_millicores > 0)
                code = number_write(cpu, path, "cpu.cfs_period_us", PERIOD_US, err);
        if (code == ERR_OK)
                code = number_write(cpu, path, "cpu.cfs_quota_us", quota->cpu_millicores * PERIOD_US / 1000,
                                    err);
        return code == ERR_OK ? number_write(tree->by_controller[CONTROLLER_PIDS], path, "pids.max",
                                             quota->processes, err)
                              : code;
}

static void v1_freeze(const struct cgroup_tree *tree, const char *path, bool freeze)
{
        int fd = tree->by_controller[CONTROLLER_FREEZER];

        if (fd >= 0)
                (void)cgroup_write(fd, path, "freezer.state", freeze ? "FROZEN" : "THAWED", NULL);
}

static void v1_usage(const struct cgroup_tree *tree, const char *path, struct cgroup_usage *ret)
{
        int memory = tree->by_controller[CONTROLLER_MEMORY];
        int cpuacct = tree->by_controller[CONTROLLER_CPUACCT];
        char text[512];

        if (cgroup_read(memory, path, "memory.oom_control", text, sizeof(text)))
                ret->oom_kills = (uint32_t)cgroup_number(text, "oom_kill ");
        if (cgroup_read(memory, path, "memory.max_usage_in_bytes", text, sizeof(text)))
                ret->memory_peak_bytes = cgroup_number(text, "");
        if (cgroup_read(tree->by_controller[CONTROLLER_PIDS], path, "pids.events", text, sizeof(text)))
                ret->pids_refused = (uint32_t)cgroup_number(text, "max ");
        if (cpuacct >= 0 && cgroup_read(cpuacct, path, "cpuacct.usage", text, sizeof(text)))
                ret->cpu_us = cgroup_number(text, "") / 1000;
}

/* The limit with swap must not be below the one without, whichever is written first. */
static void v1_renew(const struct cgroup_tree *tree, const char *path, const struct cgroup_limits *limits)
{
        int memory = tree->by_controller[CONTROLLER_MEMORY];
        char text[32];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory_bytes);
        (void)cgroup_write(memory, path, "memory.memsw.limit_in_bytes", text, NULL);
        (void)cgroup_write(memory, path, "memory.max_usage_in_bytes", "0", NULL);
}

const struct cgroup_ops cgroup_v1_ops = {.version = 1,
                                         .inner = v1_inner,
                                         .limit = v1_limit,
                                         .quota = v1_quota,
                                         .freeze = v1_freeze,
                                         .usage = v1_usage,
                                         .renew = v1_renew};
