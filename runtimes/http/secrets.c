/* runtimes/http/secrets.c: see secrets.h. */
#include "runtimes/http/secrets.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { SECRETS_MAX = 1000, VALUE_MAX = 4 << 20 };

static enum err_code make_folders(const char *folder, struct err *err)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s", folder);
        for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return err_sys(err, "make the folder '%s'", path);
                *slash = '/';
        }
        return mkdir(path, 0700) < 0 && errno != EEXIST ? err_sys(err, "make the folder '%s'", path) : ERR_OK;
}

/* A key that can be a file's name: no separator, and not hidden. */
static bool is_file_name(struct str name)
{
        return name.len > 0 && name.len <= NAME_MAX && name.p[0] != '.' &&
               memchr(name.p, '/', name.len) == NULL && memchr(name.p, '\0', name.len) == NULL;
}

static enum err_code write_file(int folder, const char *name, struct str value, struct err *err)
{
        if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
                return err_sys(err, "replace the secret '%.100s'", name);
        own_fd int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
        if (fd < 0)
                return err_sys(err, "write the secret '%.100s'", name);
        while (value.len > 0) {
                ssize_t n = write(fd, value.p, value.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_sys(err, "write the secret '%.100s'", name);
                value = str_slice(value, (size_t)n, value.len);
        }
        return ERR_OK;
}

/* A secret under its own name is JSON text, and so is its file. */
static enum err_code put_member(int folder, struct str key, struct str value, struct buf *text,
                                struct err *err)
{
        char name[NAME_MAX + sizeof(".json")];
        bool quoted = value.len >= 2 && value.p[0] == '"';

        buf_clear(text);
        if (quoted ? json_unescape(str_slice(value, 1, value.len - 1), text) != ERR_OK
                   : buf_append(text, value.p, value.len) != ERR_OK)
                return err_nomem(err);
        struct str content = {text->data, text->len};
        snprintf(name, sizeof(name), "%.*s%s", STR_ARG(key), json_is_object(content) ? ".json" : "");
        return write_file(folder, name, content, err);
}

enum err_code secrets_write(const char *folder, struct str object, struct err *err)
{
        struct json_scan scan;
        struct json_token key;
        struct str value;
        own_buf struct buf text, name;
        int count = 0;

        buf_init(&text, VALUE_MAX);
        buf_init(&name, 4 * (size_t)NAME_MAX);
        enum err_code code = make_folders(folder, err);
        if (code != ERR_OK)
                return code;
        own_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return err_sys(err, "open '%s'", folder);
        json_scan_init(&scan, object);
        if (object.len == 0 || json_scan_next(&scan, &key, NULL) != ERR_OK || key.type != JSON_TOKEN_OBJECT)
                return ERR_OK;
        while (code == ERR_OK && json_scan_member(&scan, &key, &value)) {
                buf_clear(&name);
                if (++count > SECRETS_MAX)
                        return err_set(err, ERR_TOO_LARGE, "more than %d secrets", SECRETS_MAX);
                if (json_unescape(key.text, &name) != ERR_OK ||
                    !is_file_name((struct str){name.data, name.len}))
                        return err_set(err, ERR_INVALID,
                                       "the secret's key '%.*s' cannot be the name of a file",
                                       (int)(key.text.len < 80 ? key.text.len : 80), key.text.p);
                code = put_member(fd, (struct str){name.data, name.len}, value, &text, err);
        }
        if (text.data != NULL)
                explicit_bzero(text.data, text.capacity);
        return code;
}
