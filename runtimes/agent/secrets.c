/*
 * runtimes/agent/secrets.c: the function's secrets where no engine hands them over: in a pod.
 *
 * DISPATCH_SECRETS_DIR is a folder (a mounted Kubernetes Secret, say): a file NAME.json that holds a JSON
 * object is a whole secret, any other file is one key with the file's bytes as its value. The original's
 * environment d_secret_NAME holds a secret as JSON text. Keys of all secrets make one flat map; each secret
 * is there under its name too, as JSON text, unless a key of that name exists (CONTRACT 0.9).
 */
#include "runtimes/agent/request.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <fcntl.h>
#include <sys/stat.h>

extern char **environ;

enum { SECRET_FILE_MAX = 1 << 20, SECRET_FILES_MAX = 1000 };

/* Secrets under their names, and their keys; joined at the end so that keys win. */
struct gathered {
        struct buf names, keys;
};

static enum err_code append_member(struct buf *object, struct str key, struct str text)
{
        enum err_code code = buf_append(object, object->len == 0 ? "{" : ",", 1);

        if (code == ERR_OK)
                code = json_put_string(object, key);
        if (code == ERR_OK)
                code = buf_append(object, ":", 1);
        return code == ERR_OK ? json_put_string(object, text) : code;
}

/* Joins the members of `more` into *object, which is an open object without its bracket. */
static enum err_code join(struct buf *object, struct str more)
{
        own_buf struct buf closed, merged;

        buf_init(&closed, object->max);
        buf_init(&merged, object->max);
        if (object->len > 0 && (buf_append(&closed, object->data, object->len) != ERR_OK ||
                                buf_append(&closed, "}", 1) != ERR_OK))
                return ERR_NO_MEMORY;
        enum err_code code = secrets_merge((struct str){closed.data, closed.len}, more, &merged);
        if (code != ERR_OK)
                return code;
        merged.len = merged.len > 2 ? merged.len - 1 : 0;
        buf_clear(object);
        buf_move(object, &merged);
        return ERR_OK;
}

static enum err_code add_secret(struct gathered *to, struct str name, struct str text)
{
        struct str trimmed = str_trim(text, " \t\r\n");
        enum err_code code = append_member(&to->names, name, trimmed);

        return code == ERR_OK ? join(&to->keys, trimmed) : code;
}

static enum err_code add_file(struct gathered *to, int folder, const char *name, struct err *err)
{
        own_fd int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        own_buf struct buf text;

        buf_init(&text, SECRET_FILE_MAX);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_sys(err, "secret file '%s'", name);
        if (!S_ISREG(st.st_mode))
                return ERR_OK;
        for (;;) {
                if (buf_reserve(&text, 4096) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "secret file '%s' is larger than %d bytes", name,
                                       SECRET_FILE_MAX);
                ssize_t got = read(fd, text.data + text.len, 4096);
                if (got < 0)
                        return err_sys(err, "read secret file '%s'", name);
                if (got == 0)
                        break;
                text.len += (size_t)got;
        }

        struct str content = {text.data, text.len}, key = str_of(name);
        if (str_ends(key, STR(".json")) && json_is_object(content))
                return add_secret(to, str_slice(key, 0, key.len - 5), content);
        if (append_member(&to->keys, key, content) != ERR_OK)
                return err_nomem(err);
        return ERR_OK;
}

static enum err_code add_folder(struct gathered *to, const char *path, struct err *err)
{
        own_dir DIR *dir = opendir(path);
        int count = 0;

        if (dir == NULL)
                return err_sys(err, "secrets folder '%s'", path);
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
                if (entry->d_name[0] == '.')
                        continue;
                if (++count > SECRET_FILES_MAX)
                        return err_set(err, ERR_TOO_LARGE, "more than %d files in '%s'", SECRET_FILES_MAX,
                                       path);
                enum err_code code = add_file(to, dirfd(dir), entry->d_name, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

static enum err_code add_variables(struct gathered *to)
{
        struct str prefix = STR("d_secret_");
        enum err_code code = ERR_OK;

        for (char **entry = environ; *entry != NULL && code == ERR_OK; entry++) {
                struct str value = str_of(*entry);
                if (!str_starts(value, prefix))
                        continue;
                struct str name = str_cut(&value, '=');
                if (json_is_object(value))
                        code = add_secret(to, str_slice(name, prefix.len, name.len), value);
        }
        return code;
}

static void gathered_finish(struct gathered *to)
{
        buf_finish(&to->names);
        buf_finish(&to->keys);
}

static enum err_code close_object(struct buf *object)
{
        return object->len > 0 ? buf_append(object, "}", 1) : ERR_OK;
}

enum err_code secrets_from_environment(struct buf *out, struct err *err)
{
        __attribute__((cleanup(gathered_finish))) struct gathered to = {0};
        const char *folder = getenv("DISPATCH_SECRETS_DIR");

        buf_init(&to.names, AGENT_CONTEXT_MAX);
        buf_init(&to.keys, AGENT_CONTEXT_MAX);
        if (folder != NULL && *folder != '\0') {
                enum err_code code = add_folder(&to, folder, err);
                if (code != ERR_OK)
                        return code;
        }
        if (add_variables(&to) != ERR_OK || close_object(&to.names) != ERR_OK ||
            close_object(&to.keys) != ERR_OK ||
            secrets_merge((struct str){to.names.data, to.names.len}, (struct str){to.keys.data, to.keys.len},
                          out) != ERR_OK)
                return err_nomem(err);
        return ERR_OK;
}
