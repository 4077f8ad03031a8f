/* build/tools.c: copies folders of the host. */
#include "build/tools.h"

#include "base/own.h"
#include "build/names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_DEPTH_MAX = 64, CONFIG_DEPTH_MAX = 4 /* links that lead back would be followed for ever */ };

struct copying {
        struct image *image;
        bool follow; /* links */
};

static enum err_code path_copy(const struct copying *copying, const char *path, int depth, struct err *err);

static enum err_code folder_copy(const struct copying *copying, const char *path, int depth, struct err *err)
{
        own_fd int fd = openat(copying->image->host_fd, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_names struct names names = {0};
        char below[PATH_MAX];

        if (fd < 0 || depth == 0)
                return ERR_OK;
        enum err_code code = names_read(fd, &names, err);
        for (size_t i = 0; code == ERR_OK && i < names.count; i++) {
                if (snprintf(below, sizeof(below), "%s/%s", path, names.list[i]) < (int)sizeof(below))
                        code = path_copy(copying, below, depth - 1, err);
        }
        return code;
}

static enum err_code path_copy(const struct copying *copying, const char *path, int depth, struct err *err)
{
        struct stat st;

        if (fstatat(copying->image->host_fd, path + 1, &st, copying->follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
                return ERR_OK;
        if (S_ISDIR(st.st_mode))
                return folder_copy(copying, path, depth, err);
        if (!copying->follow)
                return image_copy(copying->image, path, path, err);
        /* This process has the host's root for its own. */
        own_mem char *real = S_ISREG(st.st_mode) ? realpath(path, NULL) : NULL;
        return real != NULL ? image_copy(copying->image, real, path, err) : ERR_OK;
}

static enum err_code each_copy(const struct copying *copying, struct str paths, int depth, struct err *err)
{
        enum err_code code = ERR_OK;
        char path[PATH_MAX];

        while (code == ERR_OK && paths.len > 0) {
                struct str word = str_cut(&paths, ' ');

                if (word.len == 0)
                        continue;
                if (word.p[0] != '/' || snprintf(path, sizeof(path), "%.*s", STR_ARG(word)) >= PATH_MAX)
                        return err_set(err, ERR_INVALID, "'%.*s' is no absolute path",
                                       (int)(word.len < 64 ? word.len : 64), word.p);
                code = path_copy(copying, path, depth, err);
        }
        return code;
}

enum err_code tools_files(struct image *image, struct str paths, struct err *err)
{
        const struct copying copying = {image, false};

        return each_copy(&copying, paths, FILES_DEPTH_MAX, err);
}

enum err_code tools_config(struct image *image, struct str paths, struct err *err)
{
        const struct copying copying = {image, true};

        return each_copy(&copying, paths, CONFIG_DEPTH_MAX, err);
}
