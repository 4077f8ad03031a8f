/* server/tls.c: reads certificates and keys, and makes a pair where none is given. */
#include "server/tls.h"

#include "base/log.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20, READ_BYTES = 16384, NAMES_MAX = 16, NAME_SIZE = 256 };

/* The pair that signs itself, both in one file, so that they always belong together; and the certificate
 * alone, for clients to trust. */
#define SELF_PAIR        "self-signed.pem"
#define SELF_CERTIFICATE "self-signed.crt"

static void wipe(struct buf *file)
{
        if (file->data != NULL)
                explicit_bzero(file->data, file->capacity);
        buf_finish(file);
        buf_init(file, FILE_BYTES_MAX);
}

void server_tls_init(struct server_tls *tls, const struct server_options *options, const char *state_dir)
{
        *tls = (struct server_tls){.options = options, .state_dir = state_dir};
        for (size_t i = 0; i < SPAWN_CREDENTIALS_MAX; i++)
                buf_init(&tls->files[i], FILE_BYTES_MAX);
}

void server_tls_finish(struct server_tls *tls)
{
        for (size_t i = 0; i < SPAWN_CREDENTIALS_MAX; i++)
                wipe(&tls->files[i]);
}

static enum err_code read_all(int fd, struct buf *out, struct err *err)
{
        for (;;) {
                if (buf_reserve(out, READ_BYTES) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "it is larger than %d bytes",
                                       FILE_BYTES_MAX - READ_BYTES);
                ssize_t n = read(fd, out->data + out->len, READ_BYTES);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_sys(err, "read");
                if (n == 0)
                        return ERR_OK;
                out->len += (size_t)n;
        }
}

/* What the operator calls the file: of the set certificate, key, certificate, key ... the one with that
 * index. */
static void file_name(const struct server_tls *tls, uint32_t index, char out[PATH_MAX])
{
        struct str list =
                str_of(index % 2 == 0 ? tls->options->tls_certificate : tls->options->tls_certificate_key);
        struct str name = STR("");

        for (uint32_t i = 0; i <= index / 2; i++)
                name = str_cut(&list, ',');
        snprintf(out, PATH_MAX, "%.*s", STR_ARG(name));
}

bool server_tls_take(struct server_tls *tls, const struct spawn_credential *frame, int fd)
{
        char name[PATH_MAX];
        struct err err;

        if (frame->index == 0) {
                server_tls_finish(tls);
                tls->set = frame->head.id;
                tls->count = frame->count;
                tls->got = 0;
                tls->failed = false;
        }
        if (frame->head.id != tls->set || frame->index != tls->got || frame->count != tls->count)
                return false;
        tls->got++;
        if (tls->failed) {
                /* one line is enough */
        } else if (frame->ok == 0) {
                tls->failed = true;
                err_set(&tls->err, (enum err_code)frame->code, "%s: %s",
                        frame->index % 2 == 0 ? "--tls-certificate" : "--tls-certificate-key", frame->text);
        } else if (fd >= 0) {
                enum err_code code = read_all(fd, &tls->files[frame->index], &err);
                tls->failed = code != ERR_OK;
                file_name(tls, frame->index, name);
                if (tls->failed)
                        err_set(&tls->err, code, "%s: %s", name, err.text);
        }
        return tls->got >= tls->count;
}

/* Names */

struct names {
        struct str items[NAMES_MAX];
        char text[NAMES_MAX][NAME_SIZE];
        size_t count;
};

static bool name_fits(const char *name)
{
        size_t len = strlen(name);

        return len > 0 && len < NAME_SIZE - 1 &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:*") == len;
}

static void names_add(struct names *names, const char *name)
{
        if (!name_fits(name) || names->count == NAMES_MAX)
                return;
        for (size_t i = 0; i < names->count; i++) {
                if (str_eq_nocase(names->items[i], str_of(name)))
                        return;
        }
        char *text = names->text[names->count];
        snprintf(text, NAME_SIZE, "%s", name);
        names->items[names->count++] = str_of(text);
}

static bool is_every_address(const char *address)
{
        return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* By what the server is reached, as far as it knows itself. A wildcard stands for one label: the second
 * covers the default hosts of endpoints, PROJECT.ORGANIZATION.DISPATCH-HOST. */
static void names_collect(const struct server_options *options, struct names *names)
{
        char name[NAME_SIZE] = "";

        names->count = 0;
        names_add(names, "localhost");
        names_add(names, "127.0.0.1");
        names_add(names, "::1");
        if (gethostname(name, sizeof(name) - 1) == 0)
                names_add(names, name);
        if (!is_every_address(options->host))
                names_add(names, options->host);
        if (!is_every_address(options->gateway_host))
                names_add(names, options->gateway_host);
        names_add(names, options->dispatch_host);
        snprintf(name, sizeof(name), "*.%s", options->dispatch_host);
        names_add(names, name);
        snprintf(name, sizeof(name), "*.%s.%s", options->organization, options->dispatch_host);
        names_add(names, name);
}

/* The pair of our own */

static enum err_code write_all(int fd, struct str text, struct err *err)
{
        while (text.len > 0) {
                ssize_t n = write(fd, text.p, text.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_sys(err, "write");
                text = str_slice(text, (size_t)n, text.len);
        }
        return ERR_OK;
}

/* Whole or not at all: another server of ours may be reading it. */
static enum err_code file_replace(const char *dir, const char *name, struct str text, mode_t mode,
                                  struct err *err)
{
        char path[PATH_MAX], fresh[PATH_MAX + 24];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
        (void)unlink(fresh);
        own_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0)
                return err_sys(err, "write %s", name);
        enum err_code code = write_all(fd, text, err);
        if (code == ERR_OK && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(fresh, path) < 0))
                code = err_sys(err, "write %s", name);
        if (code != ERR_OK)
                (void)unlink(fresh);
        return code;
}

static bool pair_read(const char *dir, struct buf *out)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", dir, SELF_PAIR);
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd >= 0 && read_all(fd, out, NULL) == ERR_OK && out->len > 0;
}

static struct str view(const struct buf *buf)
{
        return (struct str){buf->data, buf->len};
}

static enum err_code pair_make(const struct server_tls *tls, const struct names *names, struct buf *pair,
                               struct err *err)
{
        own_buf struct buf certificate = {.max = FILE_BYTES_MAX}, key = {.max = FILE_BYTES_MAX};

        wipe(pair);
        enum err_code code = tls_self_sign(names->items, names->count, &certificate, &key, err);
        if (code == ERR_OK && (buf_append(pair, certificate.data, certificate.len) != ERR_OK ||
                               buf_append(pair, key.data, key.len) != ERR_OK))
                code = err_nomem(err);
        if (key.data != NULL)
                explicit_bzero(key.data, key.capacity);
        if (code == ERR_OK)
                code = file_replace(tls->state_dir, SELF_PAIR, view(pair), 0600, err);
        return code == ERR_OK ? file_replace(tls->state_dir, SELF_CERTIFICATE, view(&certificate), 0644, err)
                              : code;
}

static void warn(void *arg, const char *text)
{
        (void)arg;
        log_warning("%s", text);
}

static enum err_code pair_use(const struct buf *pair, struct tls_context **ret, struct err *err)
{
        const struct tls_pair one = {view(pair), view(pair), SELF_PAIR, SELF_PAIR};

        return tls_context_create(&one, 1, warn, NULL, ret, err);
}

static enum err_code make_own(const struct server_tls *tls, struct tls_context **ret, struct err *err)
{
        struct names names;
        struct buf pair = {.max = FILE_BYTES_MAX};

        names_collect(tls->options, &names);
        enum err_code code = pair_read(tls->state_dir, &pair) &&
                                             tls_certificate_serves(view(&pair), names.items, names.count)
                                     ? pair_use(&pair, ret, NULL)
                                     : ERR_NOT_FOUND;
        if (code != ERR_OK) {
                code = pair_make(tls, &names, &pair, err);
                if (code == ERR_OK)
                        code = pair_use(&pair, ret, err);
        }
        wipe(&pair);
        if (code == ERR_OK)
                log_warning("no --tls-certificate is given: TLS goes by a certificate that signs itself, "
                            "which clients "
                            "trust only if told to: --cacert %s/server/" SELF_CERTIFICATE " (or --insecure)",
                            tls->options->state_dir);
        return code == ERR_OK ? code : err_wrap(err, code, "make a certificate");
}

static enum err_code make_given(const struct server_tls *tls, struct tls_context **ret, struct err *err)
{
        char names[SPAWN_CREDENTIALS_MAX][PATH_MAX];
        struct tls_pair pairs[TLS_PAIRS_MAX];
        size_t count = tls->count / 2;

        for (uint32_t i = 0; i < tls->count; i++)
                file_name(tls, i, names[i]);
        for (size_t i = 0; i < count; i++)
                pairs[i] = (struct tls_pair){view(&tls->files[2 * i]), view(&tls->files[2 * i + 1]),
                                             names[2 * i], names[2 * i + 1]};
        return tls_context_create(pairs, count, warn, NULL, ret, err);
}

enum err_code server_tls_make(struct server_tls *tls, struct tls_context **ret, struct err *err)
{
        enum err_code code;

        if (tls->failed)
                code = err_set(err, tls->err.code, "%s", tls->err.text);
        else
                code = tls->count > 0 ? make_given(tls, ret, err) : make_own(tls, ret, err);
        server_tls_finish(tls);
        return code;
}
