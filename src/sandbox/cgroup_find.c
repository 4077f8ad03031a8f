/*
 * sandbox/cgroup_find.c: where the controllers are mounted and where this process stands, from
 * /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)).
 */
#include "sandbox/cgroup_impl.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROC_FILE_MAX = 1024 * 1024 };

const char *cgroup_controller_name(enum cgroup_controller controller)
{
        static const char *const names[] = {[CONTROLLER_MEMORY] = "memory",
                                            [CONTROLLER_CPU] = "cpu",
                                            [CONTROLLER_PIDS] = "pids",
                                            [CONTROLLER_CPUACCT] = "cpuacct",
                                            [CONTROLLER_FREEZER] = "freezer"};

        return names[controller];
}

/* mountinfo writes blanks and the like as \ and three octal digits. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from != '\0'; to++) {
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] != '\0' &&
                    from[3] != '\0') {
                        *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

static bool list_has(const char *list, const char *word)
{
        size_t len = strlen(word);

        for (const char *at = list; at != NULL; at = strchr(at, ',')) {
                at += *at == ',';
                if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0'))
                        return true;
        }
        return false;
}

struct mount_line {
        char *root, *point, *type, *options;
};

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE SUPER-OPTIONS */
static bool mount_line_split(char *line, struct mount_line *ret)
{
        char *words[6], *rest = NULL;
        char *tail = strstr(line, " - ");

        if (tail == NULL)
                return false;
        *tail = '\0';
        for (size_t i = 0; i < 6; i++) {
                words[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
                if (words[i] == NULL)
                        return false;
        }
        ret->root = words[3];
        ret->point = words[4];
        ret->type = strtok_r(tail + 3, " ", &rest);
        (void)strtok_r(NULL, " ", &rest);
        ret->options = strtok_r(NULL, " ", &rest);
        if (ret->type == NULL || ret->options == NULL)
                return false;
        unescape(ret->root);
        unescape(ret->point);
        return true;
}

/* The path that /proc/self/cgroup gives a hierarchy, NULL if none. controller NULL: the unified one. */
static const char *own_path(const char *self, const char *controller, size_t *ret_len)
{
        char list[256];

        for (const char *line = self; line != NULL && *line != '\0';) {
                const char *end = strchrnul(line, '\n');
                const char *first = memchr(line, ':', (size_t)(end - line));
                const char *second = first == NULL ? NULL : memchr(first + 1, ':', (size_t)(end - first - 1));
                if (second != NULL && (size_t)(second - first - 1) < sizeof(list)) {
                        size_t len = (size_t)(second - first - 1);
                        memcpy(list, first + 1, len);
                        list[len] = '\0';
                        if (controller == NULL ? len == 0 : list_has(list, controller)) {
                                *ret_len = (size_t)(end - second - 1);
                                return second + 1;
                        }
                }
                line = *end == '\n' ? end + 1 : end;
        }
        return NULL;
}

static void place_fill(struct cgroup_place *place, const struct mount_line *mount, const char *self,
                       const char *controller)
{
        size_t len = 0, root_len = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
        const char *path = own_path(self, controller, &len);

        /* A path outside of what is mounted (a cgroup namespace above ours) stands at the mount itself. */
        if (path == NULL || len < root_len || memcmp(path, mount->root, root_len) != 0 ||
            memmem(path, len, "..", 2) != NULL) {
                path = "/";
                len = 1;
                root_len = 0;
        }
        path += root_len;
        len -= root_len;
        if (len == 1 && path[0] == '/')
                len = 0;
        snprintf(place->mount, sizeof(place->mount), "%s", mount->point);
        if (snprintf(place->own, sizeof(place->own), "%s%.*s", mount->point, (int)len, path) >=
            (int)sizeof(place->own))
                place->mount[0] = '\0';
}

void cgroup_places_parse(char *mountinfo, char *self, struct cgroup_place v1[CONTROLLER_COUNT],
                         struct cgroup_place *v2)
{
        char *rest = NULL;
        struct mount_line mount;

        for (size_t i = 0; i < CONTROLLER_COUNT; i++)
                v1[i].mount[0] = '\0';
        v2->mount[0] = '\0';
        for (char *line = strtok_r(mountinfo, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
                if (!mount_line_split(line, &mount))
                        continue;
                if (strcmp(mount.type, "cgroup2") == 0 && v2->mount[0] == '\0')
                        place_fill(v2, &mount, self, NULL);
                if (strcmp(mount.type, "cgroup") != 0)
                        continue;
                for (int i = 0; i < CONTROLLER_COUNT; i++) {
                        const char *name = cgroup_controller_name((enum cgroup_controller)i);
                        if (v1[i].mount[0] == '\0' && list_has(mount.options, name))
                                place_fill(&v1[i], &mount, self, name);
                }
        }
}

/* NUL-terminated, the caller's. */
static char *proc_read(const char *path)
{
        size_t capacity = 16384, len = 0;
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        own_mem char *text = malloc(capacity);

        if (fd < 0 || text == NULL)
                return NULL;
        for (;;) {
                ssize_t got = read(fd, text + len, capacity - 1 - len);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return NULL;
                if (got == 0)
                        break;
                len += (size_t)got;
                if (len == capacity - 1) {
                        if (capacity >= PROC_FILE_MAX)
                                return NULL;
                        char *larger = realloc(text, capacity * 2);
                        if (larger == NULL)
                                return NULL;
                        text = larger;
                        capacity *= 2;
                }
        }
        text[len] = '\0';
        return take_ptr(&text);
}

enum err_code cgroup_places_read(struct cgroup_place v1[CONTROLLER_COUNT], struct cgroup_place *v2,
                                 struct err *err)
{
        own_mem char *mountinfo = proc_read("/proc/self/mountinfo");
        own_mem char *self = proc_read("/proc/self/cgroup");

        if (mountinfo == NULL || self == NULL)
                return err_sys(err, "read /proc/self/mountinfo and /proc/self/cgroup");
        cgroup_places_parse(mountinfo, self, v1, v2);
        return ERR_OK;
}
