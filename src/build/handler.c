/* build/handler.c: looks at the names at the top of a source; files only, hidden ones do not count. */
#include "build/handler.h"

#include "base/own.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* True if `name` fits a pattern with one `*`; *star is what it stands for. */
static bool fits(const char *pattern, const char *name, struct str *star)
{
        struct str tail = str_of(pattern), text = str_of(name);
        struct str head = str_cut(&tail, '*');

        if (head.len == strlen(pattern))
                return strcmp(pattern, name) == 0;
        if (text.len <= head.len + tail.len || !str_starts(text, head) || !str_ends(text, tail))
                return false;
        *star = str_slice(text, head.len, text.len - tail.len);
        return true;
}

/* The template with NAME replaced. */
static void fill(const char *template, struct str name, char out[HANDLER_MAX])
{
        const char *at = strstr(template, "NAME");

        if (at == NULL)
                snprintf(out, HANDLER_MAX, "%s", template);
        else
                snprintf(out, HANDLER_MAX, "%.*s%.*s%s", (int)(at - template), template, STR_ARG(name),
                         at + strlen("NAME"));
}

static bool is_file(int dir_fd, const char *name)
{
        struct stat st;

        return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

enum err_code handler_default(int root_fd, const struct runtime *runtime, char out[HANDLER_MAX],
                              struct err *err)
{
        own_fd int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        size_t count = 0;

        if (dir == NULL)
                return err_sys(err, "open the source");
        (void)take_fd(&fd);
        out[0] = '\0';
        if (runtime->default_file[0] == '\0' || runtime->default_handler[0] == '\0')
                return ERR_OK;
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                struct str star = {"", 0};

                if (entry->d_name[0] == '.' || !fits(runtime->default_file, entry->d_name, &star) ||
                    !is_file(dirfd(dir), entry->d_name))
                        continue;
                if (count++ == 0)
                        fill(runtime->default_handler, star, out);
        }
        if (count != 1)
                out[0] = '\0';
        return ERR_OK;
}
