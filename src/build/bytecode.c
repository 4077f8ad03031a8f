/* build/bytecode.c: looks into `__pycache__` (PEP 3147). */
#include "build/bytecode.h"

#include "base/own.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

enum { HEAD_LEN = 16, FLAG_HASH = 1 };

enum err_code bytecode_open(int folder_fd, const struct names *names, struct bytecode *ret, struct err *err)
{
        *ret = (struct bytecode){.fd = -1};
        if (!names_have(names, "__pycache__"))
                return ERR_OK;

        own_fd int fd = openat(folder_fd, "__pycache__", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return ERR_OK; /* no folder: no bytecode */

        enum err_code code = names_read(fd, &ret->names, err);

        if (code != ERR_OK)
                return code;
        ret->fd = take_fd(&fd);
        return ERR_OK;
}

void bytecode_close(struct bytecode *bytecode)
{
        own_fd_release(&bytecode->fd);
        names_finish(&bytecode->names);
        bytecode->fd = -1;
}

static uint32_t little_endian(const unsigned char *p)
{
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool one_fits(int fd, const char *name, const struct stat *source)
{
        unsigned char head[HEAD_LEN];
        own_fd int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        return file >= 0 && read(file, head, sizeof(head)) == (ssize_t)sizeof(head) &&
               (little_endian(head + 4) & FLAG_HASH) == 0 &&
               little_endian(head + 8) == (uint32_t)source->st_mtim.tv_sec &&
               little_endian(head + 12) == (uint32_t)source->st_size;
}

/* Index of the first name that is not before `stem`. */
static size_t names_from(const struct names *names, struct str stem)
{
        size_t from = 0;
        size_t to = names->count;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (strncmp(names->list[middle], stem.p, stem.len) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

bool bytecode_fits(const struct bytecode *bytecode, const char *name, const struct stat *source)
{
        struct str stem = str_of(name);

        if (bytecode->fd < 0 || !str_ends(stem, STR(".py")) || source->st_mtim.tv_sec < 0)
                return false;
        stem.len -= 2; /* with its dot: "NAME." */
        for (size_t i = names_from(&bytecode->names, stem); i < bytecode->names.count; i++) {
                struct str found = str_of(bytecode->names.list[i]);

                if (!str_starts(found, stem))
                        return false;
                if (str_ends(found, STR(".pyc")) && one_fits(bytecode->fd, found.p, source))
                        return true;
        }
        return false;
}
