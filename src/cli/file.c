/* cli/file.c: reading whole files, and replacing one so that no reader ever sees half of it. */
#include "cli/file.h"

#include "base/own.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024, PATH_TEXT_MAX = 4096 };

enum err_code file_error(struct err *err, const char *verb, const char *path)
{
        char reason[TEXT_ERRNO_MAX];
        int saved = errno;

        err_set(err, ERR_SYSTEM, "%s %s: %s", verb, path, text_errno(saved, reason));
        if (err != NULL)
                err->sys_errno = saved;
        return ERR_SYSTEM;
}

enum err_code file_read_fd(int fd, const char *name, struct buf *out, struct err *err)
{
        for (;;) {
                size_t room = out->max - out->len < READ_STEP ? out->max - out->len : READ_STEP;
                char over;

                if (buf_reserve(out, room) != ERR_OK)
                        return err_nomem(err);
                /* At the limit one more byte tells an end from an excess. */
                ssize_t got = room > 0 ? read(fd, out->data + out->len, room) : read(fd, &over, 1);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return file_error(err, "read", name);
                if (got == 0)
                        return ERR_OK;
                if (room == 0)
                        return err_set(err, ERR_TOO_LARGE, "read %s: larger than %zu bytes", name, out->max);
                out->len += (size_t)got;
        }
}

enum err_code file_read(const char *path, struct buf *out, struct err *err)
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return file_error(err, "open", path);
        return file_read_fd(fd, path, out, err);
}

enum err_code file_write_all(int fd, const char *path, const struct buf *content, struct err *err)
{
        for (size_t at = 0; at < content->len;) {
                ssize_t put = write(fd, content->data + at, content->len - at);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return file_error(err, "write", path);
                at += (size_t)put;
        }
        return ERR_OK;
}

enum err_code file_replace(const char *path, const struct buf *content, struct err *err)
{
        char temporary[PATH_TEXT_MAX];

        if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
                return err_set(err, ERR_INVALID, "open %s: path is longer than %d bytes", path,
                               PATH_TEXT_MAX);

        own_fd int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
        if (fd < 0)
                return file_error(err, "open", path);

        enum err_code code = file_write_all(fd, path, content, err);
        if (code == ERR_OK && fsync(fd) < 0)
                code = file_error(err, "sync", path);
        if (code == ERR_OK && rename(temporary, path) < 0)
                code = file_error(err, "rename", path);
        if (code != ERR_OK)
                unlink(temporary);
        return code;
}

enum err_code file_write(const char *path, const struct buf *content, struct err *err)
{
        own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

        if (fd < 0)
                return file_error(err, "open", path);
        return file_write_all(fd, path, content, err);
}
