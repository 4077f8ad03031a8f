/* build/names.c: reads a folder. */
#include "build/names.h"

#include "base/own.h"

#include <fcntl.h>
#include <string.h>

void names_finish(struct names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->list[i]);
        free(names->list);
        *names = (struct names){0};
}

static int by_bytes(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code names_add(struct names *names, const char *name, struct err *err)
{
        if ((names->count & (names->count - 1)) == 0) { /* full at each power of two */
                size_t room = names->count == 0 ? 1 : 2 * names->count;
                char **grown = reallocarray(names->list, room, sizeof(*grown));

                if (grown == NULL)
                        return err_nomem(err);
                names->list = grown;
        }
        if (names->count == NAMES_MAX)
                return err_set(err, ERR_TOO_LARGE, "more than %d names in one folder", NAMES_MAX);
        names->list[names->count] = strdup(name);
        if (names->list[names->count] == NULL)
                return err_nomem(err);
        names->count++;
        return ERR_OK;
}

enum err_code names_read(int folder_fd, struct names *ret, struct err *err)
{
        own_names struct names names = {0};
        own_fd int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        enum err_code code = ERR_OK;

        if (dir == NULL)
                return err_sys(err, "open folder");
        (void)take_fd(&fd);
        for (struct dirent *entry; code == ERR_OK && (entry = readdir(dir)) != NULL;)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        code = names_add(&names, entry->d_name, err);
        if (code != ERR_OK)
                return code;
        if (names.count > 0)
                qsort(names.list, names.count, sizeof(*names.list), by_bytes);
        *ret = names;
        names = (struct names){0};
        return ERR_OK;
}

bool names_have(const struct names *names, const char *name)
{
        return names->count > 0 &&
               bsearch(&name, names->list, names->count, sizeof(*names->list), by_bytes) != NULL;
}
