/* image/registries.c: lists, files of credentials, and names. */
#include "image/registries.h"

#include "base/buf.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct registries {
        char *insecure;
        char *local;
        char *prefix;
        char *authority;
        json_t *auths; /* object */
};

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

void registries_destroy(struct registries *registries)
{
        if (registries == NULL)
                return;
        free(registries->insecure);
        free(registries->local);
        free(registries->prefix);
        free(registries->authority);
        json_decref(registries->auths);
        free(registries);
}

static enum err_code file_read(int dir_fd, const char *name, struct buf *to, struct err *err)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return err_sys(err, "open %s", name);
        for (;;) {
                if (buf_reserve(to, 4096) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "%s is larger than %d bytes", name,
                                       REGISTRIES_FILE_MAX);

                ssize_t got = read(fd, to->data + to->len, 4096);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read %s", name);
                if (got == 0)
                        return ERR_OK;
                to->len += (size_t)got;
        }
}

static enum err_code auth_file_read(const char *path, json_t **ret, struct err *err)
{
        own_buf struct buf text;
        own_json json_t *whole = NULL;

        buf_init(&text, REGISTRIES_FILE_MAX);

        enum err_code code = file_read(AT_FDCWD, path, &text, err);

        if (code != ERR_OK)
                return err_wrap(err, code,
                                "--registry-auth-file (the server's user must be able to read it)");
        whole = json_loadb(text.data != NULL ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
        buf_wipe(&text);

        json_t *auths = json_object_get(whole, "auths");

        if (!json_is_object(auths))
                return err_set(err, ERR_INVALID,
                               "--registry-auth-file: %s has no object \"auths\", as docker's "
                               "config.json has",
                               path);
        *ret = json_incref(auths);
        return ERR_OK;
}

static json_t *auth_entry(struct str username, struct str password)
{
        size_t len = username.len + password.len + 1;
        own_mem char *plain = malloc(len);
        own_mem char *base64 = malloc(base64_encoded_len(len) + 1);
        json_t *entry = NULL;

        if (plain == NULL || base64 == NULL)
                return NULL;
        memcpy(plain, username.p, username.len);
        plain[username.len] = ':';
        memcpy(plain + username.len + 1, password.p, password.len);
        base64_encode(plain, len, base64);
        base64[base64_encoded_len(len)] = '\0';
        entry = json_pack("{ss}", "auth", base64);
        explicit_bzero(plain, len);
        explicit_bzero(base64, base64_encoded_len(len));
        return entry;
}

static struct str text_of(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        return (struct str){json_string_value(value), json_string_length(value)};
}

/* The contract's --registry-auth, as docker's X-Registry-Auth: base64 of JSON, or that JSON. */
static enum err_code auth_text_read(struct registries *registries, const char *text, struct err *err)
{
        struct str base64 = str_of(text);
        own_mem char *bytes = malloc((base64.len / 4 + 1) * 3);
        own_json json_t *auth = NULL;
        char registry[REGISTRY_MAX];
        size_t len = 0;
        size_t bad = 0;

        if (bytes == NULL)
                return err_nomem(err);
        if (text[0] == '{')
                auth = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        else if (base64_decode(base64, bytes, &len, &bad))
                auth = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
        if (text_of(auth, "username").len == 0 || text_of(auth, "password").p == NULL)
                return err_set(
                        err, ERR_INVALID,
                        "--registry-auth takes {\"username\": ..., \"password\": ...}, also as base64");
        if (!registry_of(str_of(registries->prefix), registry))
                return err_set(err, ERR_INVALID, "--registry-auth needs an --image-registry that it is for");
        if (json_object_set_new(registries->auths, registry,
                                auth_entry(text_of(auth, "username"), text_of(auth, "password"))) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static enum err_code authority_read(const char *path, char **ret, struct err *err)
{
        own_buf struct buf text;
        own_dir DIR *dir = opendir(path);
        enum err_code code = ERR_OK;

        buf_init(&text, REGISTRIES_FILE_MAX);
        if (dir == NULL && errno != ENOTDIR)
                return err_sys(err, "--registry-ca: open %s", path);
        if (dir == NULL)
                code = file_read(AT_FDCWD, path, &text, err);
        for (struct dirent *entry; dir != NULL && code == ERR_OK && (entry = readdir(dir)) != NULL;) {
                struct str name = str_of(entry->d_name);

                if (!str_ends(name, STR(".crt")) && !str_ends(name, STR(".pem")))
                        continue;
                code = file_read(dirfd(dir), entry->d_name, &text, err);
                if (code == ERR_OK && buf_append(&text, "\n", 1) != ERR_OK)
                        code = err_nomem(err);
        }
        if (code != ERR_OK)
                return err_wrap(err, code, "--registry-ca");
        if (buf_text(&text) == NULL || strstr(buf_text(&text), "-----BEGIN CERTIFICATE-----") == NULL)
                return err_set(err, ERR_INVALID,
                               "--registry-ca: %s has no certificates (PEM; in a folder *.crt or *.pem)",
                               path);
        *ret = strdup(buf_text(&text));
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static void registries_release(struct registries **registries)
{
        registries_destroy(*registries);
}

enum err_code registries_create(const struct registries_config *config, struct registries **ret,
                                struct err *err)
{
        __attribute__((cleanup(registries_release))) struct registries *registries =
                calloc(1, sizeof(*registries));
        char registry[REGISTRY_MAX];
        enum err_code code = ERR_OK;

        if (registries == NULL)
                return err_nomem(err);
        registries->insecure = strdup(config->insecure);
        registries->local = strdup(config->local);
        registries->prefix = strdup(config->prefix);
        if (registries->insecure == NULL || registries->local == NULL || registries->prefix == NULL)
                return err_nomem(err);
        if (config->prefix[0] != '\0' && !registry_of(str_of(config->prefix), registry))
                return err_set(err, ERR_INVALID, "--image-registry takes HOST[:PORT][/PATH], not '%s'",
                               config->prefix);
        if (config->auth_file[0] != '\0')
                code = auth_file_read(config->auth_file, &registries->auths, err);
        else if ((registries->auths = json_object()) == NULL)
                return err_nomem(err);
        if (code == ERR_OK && config->auth[0] != '\0')
                code = auth_text_read(registries, config->auth, err);
        if (code == ERR_OK && config->authority[0] != '\0')
                code = authority_read(config->authority, &registries->authority, err);
        if (code == ERR_OK)
                *ret = take_ptr(&registries);
        return code;
}

/* HOST in a list stands for all its ports. */
static bool listed(const char *list, const char *registry)
{
        struct str rest = str_of(list);
        struct str whole = str_of(registry);
        struct str port = whole;
        struct str host = whole;

        if (registry[0] != '[')
                host = str_cut(&port, ':');
        while (rest.len > 0) {
                struct str item = str_trim(str_cut(&rest, ','), " \t");

                if (str_eq_nocase(item, whole) || str_eq_nocase(item, host))
                        return item.len > 0;
        }
        return false;
}

bool registries_insecure(const struct registries *registries, const char *registry)
{
        return listed(registries->insecure, registry);
}

bool registries_local(const struct registries *registries, const char *registry)
{
        return listed(registries->local, registry);
}

const char *registries_prefix(const struct registries *registries)
{
        return registries->prefix;
}

const char *registries_authority(const struct registries *registries)
{
        return registries->authority;
}

/* Keys as docker writes them: also with a scheme and a path ("https://index.docker.io/v1/"). */
static bool key_is_of(struct str key, struct str registry)
{
        struct str https = STR("https://");
        struct str http = STR("http://");

        if (str_starts(key, https))
                key = str_slice(key, https.len, key.len);
        else if (str_starts(key, http))
                key = str_slice(key, http.len, key.len);

        struct str host = str_cut(&key, '/');

        return str_eq_nocase(host, registry) ||
               (str_eq(registry, STR("docker.io")) && str_eq_nocase(host, STR("index.docker.io")));
}

static json_t *auths_of(json_t *auths, const char *registry)
{
        own_json json_t *found = json_object();
        const char *key;
        json_t *value;
        int failed = found == NULL;

        json_object_foreach(auths, key, value)
        {
                if (key_is_of(str_of(key), str_of(registry)))
                        failed |= json_object_set(found, key, value);
        }
        if (failed != 0 || json_object_size(found) == 0)
                return NULL;
        return json_pack("{sO}", "auths", found);
}

json_t *registries_auth(const struct registries *registries, const char *registry)
{
        return auths_of(registries->auths, registry);
}

enum err_code registries_secret_auth(const json_t *secret, const char *registry, json_t **ret,
                                     struct err *err)
{
        struct str username = text_of(secret, "username");
        struct str password = text_of(secret, "password");
        struct str docker = text_of(secret, ".dockerconfigjson");
        own_json json_t *whole = NULL;
        json_t *found = NULL;

        if (docker.len > 0) {
                whole = json_loadb(docker.p, docker.len, JSON_REJECT_DUPLICATES, NULL);
                found = auths_of(json_object_get(whole, "auths"), registry);
                if (found == NULL)
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "the secret's .dockerconfigjson has nothing for %s", registry);
        } else if (username.len > 0 && password.p != NULL) {
                found = json_pack("{s{so}}", "auths", registry, auth_entry(username, password));
                if (found == NULL)
                        return err_nomem(err);
        } else {
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "a secret for a registry has the keys username and password, or .dockerconfigjson");
        }
        *ret = found;
        return ERR_OK;
}

static bool reference_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("._/:-[]", c) != NULL);
}

bool registry_of(struct str reference, char registry[REGISTRY_MAX])
{
        struct str rest = reference;
        struct str first = str_cut(&rest, '/');
        bool host = str_find(first, '.') < first.len || str_find(first, ':') < first.len ||
                    str_eq(first, STR("localhost"));

        if (reference.len == 0 || reference.len > 512 || first.len == 0 || first.len >= REGISTRY_MAX ||
            reference.p[0] == '-')
                return false;
        for (size_t i = 0; i < reference.len; i++)
                if (!reference_char(reference.p[i]))
                        return false;
        if (host)
                snprintf(registry, REGISTRY_MAX, "%.*s", STR_ARG(first));
        else
                snprintf(registry, REGISTRY_MAX, "docker.io");
        return true;
}
