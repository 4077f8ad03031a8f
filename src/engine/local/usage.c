/* engine/local/usage.c: reads the files of cgroups, v1 and v2. See usage.h. */
#include "engine/local/usage.h"

#include "base/own.h"
#include "wire/spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 256, TEXT_MAX = 2048 };

static int folder_open(const char *folder, const char *name)
{
        char path[512];

        if (folder == NULL || snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
                return -1;
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void usage_open(struct usage *usage, const char *folder)
{
        usage->memory_fd = folder_open(folder, "memory");
        usage->cpu_fd = folder_open(folder, "cpu");
        usage->v2 = usage->memory_fd >= 0 && faccessat(usage->memory_fd, "cgroup.controllers", F_OK, 0) == 0;
}

void usage_close(struct usage *usage)
{
        if (usage->memory_fd >= 0)
                close(take_fd(&usage->memory_fd));
        if (usage->cpu_fd >= 0)
                close(take_fd(&usage->cpu_fd));
}

struct place {
        char path[PATH_BYTES_MAX];
        size_t len;
};

static void place_of(const char *organization, const char *function, uint64_t number, struct place *ret)
{
        char org[SPAWN_GROUP_MAX], fn[SPAWN_GROUP_MAX];

        spawn_group(organization, org);
        spawn_group(function, fn);
        ret->len = (size_t)snprintf(ret->path, sizeof(ret->path), "org-%s/fn-%s/i-%llu/", org, fn,
                                    (unsigned long long)number);
}

static bool file_read(int dir_fd, struct place *place, const char *name, char text[TEXT_MAX])
{
        if (dir_fd < 0 || place->len + strlen(name) >= sizeof(place->path))
                return false;
        memcpy(place->path + place->len, name, strlen(name) + 1);
        own_fd int fd = openat(dir_fd, place->path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, TEXT_MAX - 1) : -1;
        if (n < 0)
                return false;
        text[n] = '\0';
        return true;
}

static uint64_t number_read(int dir_fd, struct place *place, const char *name)
{
        char text[TEXT_MAX];

        return file_read(dir_fd, place, name, text) ? strtoull(text, NULL, 10) : 0;
}

/* The sum of all numbers behind the key. */
static uint64_t sum_of(const char *text, const char *key)
{
        uint64_t sum = 0;

        for (const char *at = strstr(text, key); at != NULL; at = strstr(at, key)) {
                at += strlen(key);
                sum += strtoull(at, NULL, 10);
        }
        return sum;
}

bool usage_memory(const struct usage *usage, const char *organization, const char *function, uint64_t number,
                  uint64_t *ret_bytes)
{
        struct place place;
        char text[TEXT_MAX];

        if (number == 0 || usage->memory_fd < 0)
                return false;
        place_of(organization, function, number, &place);
        if (!file_read(usage->memory_fd, &place, usage->v2 ? "memory.current" : "memory.usage_in_bytes",
                       text))
                return false;
        *ret_bytes = strtoull(text, NULL, 10);
        return true;
}

bool usage_read(const struct usage *usage, const char *organization, const char *function, uint64_t number,
                struct usage_counts *ret)
{
        struct usage_counts counts = {0};
        struct place place;
        char text[TEXT_MAX];

        if (!usage_memory(usage, organization, function, number, &counts.memory_bytes))
                return false;
        place_of(organization, function, number, &place);
        if (usage->v2) {
                counts.memory_peak_bytes = number_read(usage->memory_fd, &place, "memory.peak");
                if (file_read(usage->cpu_fd, &place, "cpu.stat", text))
                        counts.cpu_us = sum_of(text, "usage_usec ");
                if (file_read(usage->memory_fd, &place, "io.stat", text)) {
                        counts.read_bytes = sum_of(text, "rbytes=");
                        counts.written_bytes = sum_of(text, "wbytes=");
                }
        } else {
                counts.memory_peak_bytes = number_read(usage->memory_fd, &place, "memory.max_usage_in_bytes");
                counts.cpu_us = number_read(usage->cpu_fd, &place, "cpuacct.usage") / 1000;
        }
        *ret = counts;
        return true;
}
