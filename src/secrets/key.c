/*
 * secrets/key.c: the file that the secrets' key lives in. It appears under its name complete and on the disk,
 * or not at all: made under another name, synced, and linked, which fails if somebody was faster.
 */
#include "secrets/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/str.h"

enum { FILE_BYTES = 2 * SECRETS_KEY_BYTES + 1 };

static const char file_name[] = "secret.key";

/* What is overwritten when the scope is left. */
struct key_text {
        char hex[FILE_BYTES + 1];
};

static void key_text_wipe(struct key_text *text)
{
        sodium_memzero(text, sizeof(*text));
}
#define own_key_text __attribute__((cleanup(key_text_wipe)))

static enum err_code check_access(const char *dir, int fd, struct err *err)
{
        struct stat stat;

        if (fstat(fd, &stat) < 0)
                return err_sys(err, "look at '%s/%s'", dir, file_name);
        if (!S_ISREG(stat.st_mode))
                return err_set(err, ERR_FORBIDDEN, "'%s/%s' is no regular file", dir, file_name);
        if (stat.st_uid != geteuid())
                return err_set(err, ERR_FORBIDDEN,
                               "'%s/%s' belongs to user %u, not to the server's user %u: chown it", dir,
                               file_name, (unsigned)stat.st_uid, (unsigned)geteuid());
        if ((stat.st_mode & 077) != 0)
                return err_set(
                        err, ERR_FORBIDDEN,
                        "'%s/%s' has mode %04o, so others may have read it: chmod 600 it, and change the "
                        "secrets if they did",
                        dir, file_name, (unsigned)stat.st_mode & 07777);
        return ERR_OK;
}

static enum err_code read_key(const char *dir, int fd, unsigned char key[SECRETS_KEY_BYTES], struct err *err)
{
        own_key_text struct key_text text = {{0}};
        size_t len = 0;
        ssize_t more;

        while ((more = read(fd, text.hex + len, sizeof(text.hex) - len)) > 0 &&
               len + (size_t)more < sizeof(text.hex))
                len += (size_t)more;
        if (more < 0)
                return err_sys(err, "read '%s/%s'", dir, file_name);
        len += (size_t)more;
        if (len == FILE_BYTES && text.hex[FILE_BYTES - 1] == '\n' &&
            hex_decode((struct str){text.hex, FILE_BYTES - 1}, key))
                return ERR_OK;
        sodium_memzero(key, SECRETS_KEY_BYTES);
        return err_set(err, ERR_CORRUPT,
                       "'%s/%s' is no key (64 hexadecimal digits and a newline): restore it from a backup; "
                       "without it "
                       "the stored secrets cannot be read",
                       dir, file_name);
}

/* Written and synced under `name`, which the caller removes. */
static enum err_code write_key(const char *dir, int dir_fd, const char *name, struct err *err)
{
        own_key_text struct key_text text = {{0}};
        unsigned char key[SECRETS_KEY_BYTES];
        own_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0)
                return err_disk(err, "make '%s/%s'", dir, name);
        randombytes_buf(key, sizeof(key));
        hex_encode(key, sizeof(key), text.hex);
        sodium_memzero(key, sizeof(key));
        text.hex[FILE_BYTES - 1] = '\n';
        errno = EIO; /* what a short write means */
        if (write(fd, text.hex, FILE_BYTES) != FILE_BYTES || fsync(fd) < 0)
                return err_disk(err, "write '%s/%s'", dir, name);
        return ERR_OK;
}

static enum err_code make_key(const char *dir, int dir_fd, struct err *err)
{
        char id[UUID_LEN + 1], name[UUID_LEN + 32];

        uuid_generate(id);
        snprintf(name, sizeof(name), "%s.%s", file_name, id);
        enum err_code code = write_key(dir, dir_fd, name, err);
        if (code == ERR_OK && linkat(dir_fd, name, dir_fd, file_name, 0) < 0 && errno != EEXIST)
                code = err_disk(err, "link '%s/%s'", dir, file_name);
        unlinkat(dir_fd, name, 0);
        if (code == ERR_OK && fsync(dir_fd) < 0)
                code = err_disk(err, "sync '%s'", dir);
        return code;
}

static int open_key(int dir_fd)
{
        return openat(dir_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

bool secrets_key_exists(const char *dir)
{
        own_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat stat;

        return dir_fd < 0 || fstatat(dir_fd, file_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

enum err_code secrets_key_load(const char *dir, unsigned char key[SECRETS_KEY_BYTES], struct err *err)
{
        own_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        sodium_memzero(key, SECRETS_KEY_BYTES);
        if (dir_fd < 0)
                return err_sys(err, "open the state directory '%s'", dir);

        own_fd int fd = open_key(dir_fd);
        if (fd < 0 && errno == ENOENT) {
                enum err_code made = make_key(dir, dir_fd, err);
                if (made != ERR_OK)
                        return made;
                fd = open_key(dir_fd);
        }
        if (fd < 0)
                return err_sys(err, "open '%s/%s'", dir, file_name);
        enum err_code code = check_access(dir, fd, err);
        return code == ERR_OK ? read_key(dir, fd, key, err) : code;
}
