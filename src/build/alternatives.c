/*
 * build/alternatives.c: reads the files below /var/lib/dpkg/alternatives. One a name:
 *
 *      auto                     or "manual"
 *      /usr/bin/awk             the link
 *      nawk                     a name and a link for each that goes with it
 *      /usr/bin/nawk
 *                               an empty line
 *      /usr/bin/mawk            the choices: a path,
 *      5                        a priority,
 *      /usr/bin/mawk            and a path, or nothing, for each that goes with it
 *                               an empty line
 */
#include "build/alternatives.h"

#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"
#include "build/dpkg.h"

#include <fcntl.h>
#include <string.h>

enum { FOLLOWERS_MAX = 256, GROUP_BYTES_MAX = 1 << 20 };

struct link {
        struct str name; /* in /etc/alternatives */
        struct str path;
        struct str target; /* "": no such file in this choice */
};

struct group {
        size_t count;                         /* of links, the leading one first */
        struct link links[1 + FOLLOWERS_MAX]; /* targets: of the choice that is taken */
};

static bool path_in_image(const struct image *image, struct str path)
{
        char text[PATH_MAX];

        if (path.len == 0 || path.len >= sizeof(text) || path.p[0] != '/')
                return false;
        memcpy(text, path.p, path.len);
        text[path.len] = '\0';
        return image_has(image, text);
}

static bool parse_links(struct str *rest, const char *name, struct group *group)
{
        group->count = 1;
        group->links[0] = (struct link){.name = str_of(name), .path = str_cut(rest, '\n')};
        for (;;) {
                struct str line = str_cut(rest, '\n');

                if (line.len == 0)
                        return true;
                if (group->count == 1 + FOLLOWERS_MAX)
                        return false;
                group->links[group->count++] = (struct link){.name = line, .path = str_cut(rest, '\n')};
        }
}

/* Takes the host's choice, or the best, among those that are in the image; false when there is none. */
static bool choose(const struct image *image, struct str rest, struct str current, struct group *group)
{
        bool found = false;
        int64_t best = 0;

        for (;;) {
                struct str path = str_cut(&rest, '\n');
                struct str priority_text = str_cut(&rest, '\n');
                int64_t priority;
                bool taken;

                if (path.len == 0)
                        return found;
                if (!str_to_i64(priority_text, &priority))
                        return found;
                taken = path_in_image(image, path) && (!found || priority > best || str_eq(path, current));
                if (taken)
                        group->links[0].target = path;
                for (size_t i = 1; i < group->count; i++) {
                        struct str follower = str_cut(&rest, '\n');

                        if (taken)
                                group->links[i].target = follower;
                }
                if (taken) {
                        found = true;
                        best = priority;
                }
                if (taken && str_eq(path, current))
                        return true;
        }
}

static enum err_code put_links(struct image *image, const struct group *group, struct err *err)
{
        for (size_t i = 0; i < group->count; i++) {
                const struct link *link = &group->links[i];
                char path[PATH_MAX], middle[PATH_MAX], target[PATH_MAX];
                enum err_code code;

                if (!path_in_image(image, link->target) || link->path.len >= PATH_MAX ||
                    link->path.p[0] != '/')
                        continue;
                snprintf(path, sizeof(path), "%.*s", STR_ARG(link->path));
                snprintf(middle, sizeof(middle), "/etc/alternatives/%.*s", STR_ARG(link->name));
                snprintf(target, sizeof(target), "%.*s", STR_ARG(link->target));
                code = image_link(image, middle, target, err);
                if (code == ERR_OK)
                        code = image_link(image, path, middle, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code link_group(struct image *image, int dir_fd, const char *name, struct err *err)
{
        own_mem struct group *group = calloc(1, sizeof(*group));
        own_buf struct buf text;
        char middle[PATH_MAX], current[PATH_MAX];
        struct str rest;
        ssize_t len;

        buf_init(&text, GROUP_BYTES_MAX);
        if (group == NULL)
                return err_nomem(err);

        enum err_code code = dpkg_read_file(dir_fd, name, &text, err);

        if (code != ERR_OK)
                return code;
        snprintf(middle, sizeof(middle), "etc/alternatives/%s", name);
        len = readlinkat(image->host_fd, middle, current, sizeof(current));
        rest = (struct str){text.len > 0 ? text.data : "", text.len};
        str_cut(&rest, '\n');
        if (!parse_links(&rest, name, group))
                return ERR_OK;
        if (!choose(image, rest, (struct str){current, len > 0 ? (size_t)len : 0}, group))
                return ERR_OK;
        return put_links(image, group, err);
}

enum err_code alternatives_link(struct image *image, int admin_fd, struct err *err)
{
        own_fd int fd = openat(admin_fd, "alternatives", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return ERR_OK; /* a host that has none */
        (void)take_fd(&fd);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                enum err_code code;

                if (entry->d_name[0] == '.')
                        continue;
                code = link_group(image, dirfd(dir), entry->d_name, err);
                if (code != ERR_OK)
                        return err_wrap(err, code, "alternative '%s'", entry->d_name);
        }
        return ERR_OK;
}
