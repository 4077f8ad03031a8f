/* build/pull_fetch.c: see pull_fetch.h. skopeo takes a blob of the layout for fetched, so those that are in
 * the store are shown to it there, as links. */
#include "build/pull_fetch.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/str.h"
#include "build/oci_write.h"
#include "build/pull.h"
#include "build/push.h"
#include "build/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { WORDS_MAX = 200, SAID_MAX = TOOL_LINE_MAX, LINKS_MAX = 20000, NOTE_MS = 1000 };

#define BLOBS "blobs/sha256"

static bool says(struct str words, const char *what)
{
        return words.len > 0 && memmem(words.p, words.len, what, strlen(what)) != NULL;
}

/* The first that fits. */
static const struct {
        const char *what;
        enum err_code code;
        const char *means;
} meanings[] = {
        {"for architecture", ERR_UNPROCESSABLE, "wrong architecture"},
        {"no image found in", ERR_UNPROCESSABLE, "wrong architecture"},
        {"maximum allowed size", ERR_TOO_LARGE, "the manifest is too large"},
        {"exceeded maximum", ERR_TOO_LARGE, "the manifest is too large"},
        {"no space left", ERR_UNPROCESSABLE, "no space on this host"},
        {"file too large", ERR_TOO_LARGE, "the image is larger than the limit for images"},
        {"Digest did not match", ERR_UNPROCESSABLE, "wrong digest"},
        {"digest mismatch", ERR_UNPROCESSABLE, "wrong digest"},
        {"does not match", ERR_UNPROCESSABLE, "wrong digest"},
        {"unauthorized", ERR_FORBIDDEN, "not authorised"},
        {"authentication required", ERR_FORBIDDEN, "not authorised"},
        {"invalid username/password", ERR_FORBIDDEN, "not authorised"},
        {"denied", ERR_FORBIDDEN, "not authorised"},
        {"status 401", ERR_FORBIDDEN, "not authorised"},
        {"status 403", ERR_FORBIDDEN, "not authorised"},
        {"(Unauthorized)", ERR_FORBIDDEN, "not authorised"},
        {"(Forbidden)", ERR_FORBIDDEN, "not authorised"},
        {"manifest unknown", ERR_NOT_FOUND, "no such image"},
        {"name unknown", ERR_NOT_FOUND, "no such image"},
        {"name invalid", ERR_NOT_FOUND, "no such image"},
        {"invalid reference format", ERR_NOT_FOUND, "no such image"},
        {"status 404", ERR_NOT_FOUND, "no such image"},
        {"(Not Found)", ERR_NOT_FOUND, "no such image"},
        {"certificate", ERR_BAD_REPLY, "its certificate is not trusted"},
        {"gave HTTP response to HTTPS client", ERR_BAD_REPLY, "it speaks plain HTTP"},
        {"unexpected EOF", ERR_BAD_REPLY, "truncated: the connection broke in the middle"},
        {"no such host", ERR_BAD_REPLY, "unreachable"},
        {"server misbehaving", ERR_BAD_REPLY, "unreachable"},
        {"connection refused", ERR_BAD_REPLY, "unreachable"},
        {"connection reset", ERR_BAD_REPLY, "unreachable"},
        {"unreachable", ERR_BAD_REPLY, "unreachable"},
        {"no route to host", ERR_BAD_REPLY, "unreachable"},
        {"timeout", ERR_BAD_REPLY, "unreachable"},
        {"EOF", ERR_BAD_REPLY, "truncated: the connection broke in the middle"},
};

static const struct {
        const char *means, *hint;
} hints[] = {
        {"not authorised", "; set registrySecret, or the server's --registry-auth-file"},
        {"it speaks plain HTTP", "; the server's --registry-insecure allows that"},
        {"its certificate is not trusted", "; the server's --registry-ca or --registry-insecure allows it"},
};

static const char *hint_of(const char *means)
{
        for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
                if (strcmp(hints[i].means, means) == 0)
                        return hints[i].hint;
        }
        return "";
}

/* What is behind the last `msg=` of its log, without the quotes, and of that the end. */
static struct str words_of(struct str said)
{
        struct str words = str_trim(said, " \n");

        for (size_t i = 0; i + 5 < words.len; i++) {
                if (memcmp(words.p + i, "msg=\"", 5) == 0) {
                        words = str_trim(str_slice(words, i + 5, words.len), "\"");
                        break;
                }
        }
        return words;
}

enum err_code pull_explain(struct str registry, struct str said, struct err *err)
{
        struct str words = words_of(said);
        size_t from = words.len > WORDS_MAX ? words.len - WORDS_MAX : 0;
        struct str shown = str_slice(words, from, words.len);

        if (shown.p == NULL)
                shown = STR("it said nothing");
        for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
                if (says(words, meanings[i].what))
                        return err_set(err, meanings[i].code, "registry %.*s: %s%s (%.*s)", STR_ARG(registry),
                                       meanings[i].means, hint_of(meanings[i].means), STR_ARG(shown));
        }
        return err_set(err, ERR_BAD_REPLY, "registry %.*s: %.*s", STR_ARG(registry), STR_ARG(shown));
}

struct fetching {
        const struct pull_fetch *fetch;
        struct str registry;
        uint64_t patience_ms;
        uint64_t bytes, moved_ms, noted_ms;
        size_t said;
        char words[SAID_MAX];
};

static void on_line(void *arg, struct str line)
{
        struct fetching *fetching = arg;

        fetching->said = line.len;
        memcpy(fetching->words, line.p, line.len);
}

/* Of the files in a folder; links are the store's. */
static uint64_t folder_bytes(int dir_fd, const char *path)
{
        own_fd int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        uint64_t bytes = 0;
        struct stat status;

        if (dir == NULL)
                return 0;
        (void)take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISREG(status.st_mode))
                        bytes += (uint64_t)status.st_size;
        }
        return bytes;
}

/* Bytes that arrive are the sign of life; what arrives without end is stopped too. */
static enum err_code on_tick(void *arg, struct err *err)
{
        struct fetching *fetching = arg;
        const struct pull_fetch *fetch = fetching->fetch;
        uint64_t now = clock_mono_ms();

        if (now - fetching->noted_ms < NOTE_MS && fetching->noted_ms != 0)
                return ERR_OK;
        fetching->noted_ms = now;
        uint64_t bytes = folder_bytes(fetch->layout_fd, ".") + folder_bytes(fetch->layout_fd, BLOBS);
        if (bytes != fetching->bytes || fetching->moved_ms == 0) {
                fetching->moved_ms = now;
                fetching->bytes = bytes;
                dprintf(fetch->log_fd, "P %llu MiB fetched\n", (unsigned long long)(bytes >> 20));
        }
        if (bytes > fetch->bytes_max)
                return err_set(err, ERR_TOO_LARGE,
                               "registry %.*s: the image is larger than the limit for images, %llu MiB",
                               STR_ARG(fetching->registry), (unsigned long long)(fetch->bytes_max >> 20));
        if (now - fetching->moved_ms > fetching->patience_ms)
                return err_set(err, ERR_BAD_REPLY, "registry %.*s: it hangs: nothing came for %llu s",
                               STR_ARG(fetching->registry),
                               (unsigned long long)(fetching->patience_ms / 1000));
        return ERR_OK;
}

/* Documents are written anew, and must not be written through a link. */
static bool is_document(int dir_fd, const char *name)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char first = '{';

        return fd < 0 || read(fd, &first, 1) != 1 || first == '{';
}

static enum err_code links_make(const struct pull_fetch *fetch, struct err *err)
{
        own_fd int to_fd = openat(fetch->layout_fd, BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_fd int from_fd =
                fetch->blobs_fd >= 0 ? openat(fetch->blobs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        own_dir DIR *dir = from_fd >= 0 ? fdopendir(from_fd) : NULL;
        char target[NAME_MAX + 16];
        int count = 0;

        if (dir == NULL)
                return ERR_OK;
        (void)take_fd(&from_fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL && count < LINKS_MAX;) {
                if (strlen(entry->d_name) != 64 || is_document(dirfd(dir), entry->d_name))
                        continue;
                snprintf(target, sizeof(target), "/blobs/%s", entry->d_name);
                if (symlinkat(target, to_fd, entry->d_name) < 0 && errno != EEXIST)
                        return err_disk(err, "show a blob that is there");
                count++;
        }
        return ERR_OK;
}

static void links_remove(const struct pull_fetch *fetch)
{
        own_fd int fd = openat(fetch->layout_fd, BLOBS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return;
        (void)take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (entry->d_type == DT_LNK)
                        (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
}

static struct str registry_text(const char *reference)
{
        struct str rest = str_of(reference), first = str_cut(&rest, '/');
        bool named = first.len < strlen(reference) &&
                     (str_find(first, '.') < first.len || str_find(first, ':') < first.len ||
                      str_eq(first, STR("localhost")));

        return named ? first : STR("docker.io");
}

static enum err_code skopeo_run(struct fetching *fetching, const char *reference, struct err *err)
{
        const json_t *input = fetching->fetch->input;
        bool insecure = json_is_true(json_object_get(input, "insecure"));
        char from[1024];
        int status = 0;
        const char *const argv[] = {"skopeo",
                                    "--insecure-policy",
                                    "--override-os",
                                    "linux",
                                    "--override-arch",
                                    oci_architecture(),
                                    "copy",
                                    "--src-authfile",
                                    PUSH_AUTH_FILE,
                                    "--src-cert-dir",
                                    PUSH_CERT_FOLDER,
                                    insecure ? "--src-tls-verify=false" : "--src-tls-verify=true",
                                    from,
                                    "oci:/out/layout:image",
                                    NULL};
        static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                                  "HOME=/tmp",
                                                  "TMPDIR=/tmp",
                                                  "XDG_RUNTIME_DIR=/tmp",
                                                  "LC_ALL=C.UTF-8",
                                                  NULL};
        struct tool tool = {
                .argv = argv, .environment = environment, .line = on_line, .tick = on_tick, .arg = fetching};

        snprintf(from, sizeof(from), "docker://%s", reference);
        enum err_code code = tool_run(&tool, &status, err);
        if (code == ERR_NOT_FOUND)
                return err_set(err, ERR_UNPROCESSABLE,
                               "images of registries are fetched by skopeo, which is not "
                               "installed on this host");
        if (code != ERR_OK || status == 0)
                return code;
        if (status > 128)
                return err_set(err, ERR_UNPROCESSABLE,
                               "skopeo was killed by signal %d: it needs more memory, or the "
                               "image is larger than the limit for images",
                               status - 128);
        return pull_explain(fetching->registry, (struct str){fetching->words, fetching->said}, err);
}

enum err_code pull_fetch(const struct pull_fetch *fetch, bool anew, struct err *err)
{
        const char *reference = json_string_value(json_object_get(fetch->input, "reference"));
        json_int_t patience = json_integer_value(json_object_get(fetch->input, "patience"));
        own_mem struct fetching *fetching = calloc(1, sizeof(*fetching));

        if (fetching == NULL)
                return err_nomem(err);
        if (reference == NULL || strlen(reference) > 512 || reference[0] == '-' || patience <= 0)
                return err_set(err, ERR_INVALID, "no reference to fetch");
        fetching->fetch = fetch;
        fetching->registry = registry_text(reference);
        fetching->patience_ms = (uint64_t)patience * 1000;
        enum err_code code = push_files_put(json_object_get(fetch->input, "auth"),
                                            json_object_get(fetch->input, "authority"), err);
        if (anew)
                links_remove(fetch);
        else if (code == ERR_OK)
                code = links_make(fetch, err);
        return code == ERR_OK ? skopeo_run(fetching, reference, err) : code;
}
