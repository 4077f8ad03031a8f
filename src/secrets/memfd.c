/*
 * secrets/memfd.c: what a function's instances get, in a file that exists in memory only and that nobody can
 * change or grow.
 */
#include "secrets/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

static void wipe_release(json_t **map)
{
        secrets_wipe(*map);
}
#define own_secret __attribute__((cleanup(wipe_release)))

static enum err_code open_named(struct secrets *secrets, struct store *store, const struct store_key *key,
                                json_t **ret, struct err *err)
{
        own_row struct store_row row = {0};
        struct err inner = {0};
        enum err_code code = store_get(store, key, &row, &inner);

        if (code == ERR_OK)
                code = secrets_open_sealed(secrets, key, row.id,
                                           json_object_get(row.internal, SECRETS_SEALED), ret, &inner);
        if (code == ERR_OK)
                return ERR_OK;
        return err_set(err, code, "error when retrieving secrets from secret store: [Code: %d] %s",
                       err_http_status(code), inner.text);
}

static json_t *to_text(const json_t *map)
{
        size_t len = json_dumpb(map, NULL, 0, JSON_COMPACT);
        char *text = len > 0 ? sodium_malloc(len) : NULL;
        json_t *string = NULL;

        if (text != NULL && json_dumpb(map, text, len, JSON_COMPACT) == len)
                string = json_stringn(text, len);
        sodium_free(text);
        return string;
}

/* Strings of their own in `into`, so that both can be wiped. */
static bool merge(json_t *into, const json_t *map)
{
        json_t *members = (json_t *)map; /* the iterator does not change it */

        for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at))
                if (json_object_set_new(into, json_object_iter_key(at),
                                        json_clone(json_object_iter_value(at))) < 0)
                        return false;
        return true;
}

/* `flat` gets all keys, `texts` each secret as text under its name. */
static enum err_code gather(struct secrets *secrets, struct store *store, struct store_key key,
                            const struct str *names, size_t count, json_t *flat, json_t *texts,
                            struct err *err)
{
        for (size_t i = 0; i < count; i++) {
                own_secret json_t *map = NULL;
                key.name = names[i];
                enum err_code code = open_named(secrets, store, &key, &map, err);
                if (code != ERR_OK)
                        return code;

                own_mem char *name = strndup(names[i].p, names[i].len);
                if (name == NULL || !merge(flat, map) || json_object_set_new(texts, name, to_text(map)) < 0)
                        return err_nomem(err);
        }
        return ERR_OK;
}

static enum err_code write_all(int fd, const char *text, size_t len, struct err *err)
{
        while (len > 0) {
                ssize_t done = write(fd, text, len);
                if (done < 0 && errno != EINTR)
                        return err_sys(err, "write the secrets of an instance");
                if (done > 0) {
                        text += done;
                        len -= (size_t)done;
                }
        }
        return ERR_OK;
}

static enum err_code make_memfd(const char *text, size_t len, int *ret_fd, struct err *err)
{
        own_fd int fd = memfd_create("secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return err_sys(err, "make a memory file for secrets");
        enum err_code code = write_all(fd, text, len, err);
        if (code != ERR_OK)
                return code;
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(err, "seal the memory file of secrets");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static enum err_code print_memfd(const json_t *object, int *ret_fd, struct err *err)
{
        size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);

        if (len > SECRETS_TEXT_MAX)
                return err_set(err, ERR_TOO_LARGE,
                               "the secrets of a function are larger than %d KiB together",
                               SECRETS_TEXT_MAX >> 10);
        char *text = len > 0 ? sodium_malloc(len) : NULL;
        if (text == NULL)
                return err_nomem(err);
        json_dumpb(object, text, len, JSON_COMPACT);
        enum err_code code = make_memfd(text, len, ret_fd, err);
        sodium_free(text);
        return code;
}

enum err_code secrets_memfd(struct secrets *secrets, struct store *store, struct str organization,
                            struct str project, const struct str *names, size_t count, int *ret_fd,
                            struct err *err)
{
        const struct store_key key = {MODEL_SECRET, organization, project, {NULL, 0}};
        own_secret json_t *flat = json_object();
        own_secret json_t *texts = json_object();

        if (flat == NULL || texts == NULL)
                return err_nomem(err);
        enum err_code code = gather(secrets, store, key, names, count, flat, texts, err);
        if (code != ERR_OK)
                return code;
        for (void *at = json_object_iter(texts); at != NULL; at = json_object_iter_next(texts, at)) {
                const char *name = json_object_iter_key(at);
                if (json_object_get(flat, name) == NULL &&
                    json_object_set_new(flat, name, json_clone(json_object_iter_value(at))) < 0)
                        return err_nomem(err);
        }
        return print_memfd(flat, ret_fd, err);
}
