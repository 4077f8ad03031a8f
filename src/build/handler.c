/* build/handler.c: looks at the names at the top of a source; files only, hidden ones do not count. */
#include "build/handler.h"

#include "base/own.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* True if `name` fits a pattern with one `*`; *star is what it stands for. */
static bool fits(struct str pattern, struct str name, struct str *star)
{
        struct str tail = pattern;
        struct str head = str_cut(&tail, '*');

        if (head.len == pattern.len)
                return str_eq(pattern, name);
        if (name.len <= head.len + tail.len || !str_starts(name, head) || !str_ends(name, tail))
                return false;
        *star = str_slice(name, head.len, name.len - tail.len);
        return true;
}

/* The template with NAME replaced by what `*` stood for, or FILE by the whole name. */
static void fill(const char *template, struct str star, struct str file, char out[HANDLER_MAX])
{
        const char *at = strstr(template, "NAME");
        struct str by = star;

        if (at == NULL) {
                at = strstr(template, "FILE");
                by = file;
        }
        if (at == NULL)
                snprintf(out, HANDLER_MAX, "%s", template);
        else
                snprintf(out, HANDLER_MAX, "%.*s%.*s%s", (int)(at - template), template, STR_ARG(by),
                         at + strlen("NAME"));
}

static bool is_file(int dir_fd, const char *name)
{
        struct stat st;

        return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* How many files fit; `out` is the handler of the first that was seen. */
static size_t count_fitting(DIR *dir, struct str pattern, const char *template, char out[HANDLER_MAX])
{
        size_t count = 0;

        rewinddir(dir);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                struct str star = {"", 0}, name = str_of(entry->d_name);

                if (entry->d_name[0] == '.' || !fits(pattern, name, &star) ||
                    !is_file(dirfd(dir), entry->d_name))
                        continue;
                if (count++ == 0)
                        fill(template, star, name, out);
        }
        return count;
}

enum err_code handler_default(int root_fd, const struct runtime *runtime, char out[HANDLER_MAX],
                              struct err *err)
{
        own_fd int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        struct str patterns = str_of(runtime->default_file);
        size_t count = 0;

        if (dir == NULL)
                return err_sys(err, "open the source");
        (void)take_fd(&fd);
        out[0] = '\0';
        while (count == 0 && patterns.len > 0 && runtime->default_handler[0] != '\0') {
                struct str pattern = str_cut(&patterns, ' ');
                if (pattern.len > 0)
                        count = count_fitting(dir, pattern, runtime->default_handler, out);
        }
        if (count != 1)
                out[0] = '\0';
        return ERR_OK;
}
