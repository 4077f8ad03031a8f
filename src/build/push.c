/* build/push.c: skopeo's command line and its answers. */
#include "build/push.h"

#include "base/own.h"
#include "build/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { WORDS_MAX = 200, SAID_MAX = 2048 };

static enum err_code file_put(const char *path, const char *text, struct err *err)
{
        size_t len = strlen(text);
        own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, text, len) != (ssize_t)len)
                return err_disk(err, "write %s", path);
        return ERR_OK;
}

/* An empty one too: no other than this is to be looked at. */
static enum err_code auth_put(const json_t *auth, struct err *err)
{
        own_mem char *text = json_is_object(auth) ? json_dumps(auth, JSON_COMPACT) : strdup("{}");

        if (text == NULL)
                return err_nomem(err);

        enum err_code code = file_put(PUSH_AUTH_FILE, text, err);

        explicit_bzero(text, strlen(text));
        return code;
}

static enum err_code certificates_put(const json_t *authority, struct err *err)
{
        if (mkdir(PUSH_CERT_FOLDER, 0700) < 0 && errno != EEXIST)
                return err_disk(err, "make %s", PUSH_CERT_FOLDER);
        return json_is_string(authority)
                       ? file_put(PUSH_CERT_FOLDER "/ca.crt", json_string_value(authority), err)
                       : ERR_OK;
}

enum err_code push_files_put(const json_t *auth, const json_t *authority, struct err *err)
{
        enum err_code code = auth_put(auth, err);

        return code == ERR_OK ? certificates_put(authority, err) : code;
}

/* What is behind the last `msg=` of its log, without the quotes; else all that it said last. */
static struct str last_words(struct str said)
{
        struct str line = str_trim(said, " \n");

        for (size_t i = 0; i + 5 < line.len; i++)
                if (memcmp(line.p + i, "msg=\"", 5) == 0)
                        return str_trim(str_slice(line, i + 5, line.len), "\"");
        return line;
}

static bool says(struct str words, const char *what)
{
        return words.p != NULL && words.len > 0 && memmem(words.p, words.len, what, strlen(what)) != NULL;
}

static const struct {
        const char *what;
        enum err_code code;
        const char *means;
} meanings[] = {
        {"unauthorized", ERR_FORBIDDEN, "not authorised"},
        {"authentication required", ERR_FORBIDDEN, "not authorised"},
        {"denied", ERR_FORBIDDEN, "not authorised"},
        {"status 401", ERR_FORBIDDEN, "not authorised"},
        {"status 403", ERR_FORBIDDEN, "not authorised"},
        {"name unknown", ERR_UNPROCESSABLE, "no such repository"},
        {"name invalid", ERR_UNPROCESSABLE, "no such repository"},
        {"invalid reference format", ERR_UNPROCESSABLE, "no such repository"},
        {"status 404", ERR_UNPROCESSABLE, "no such repository"},
        {"certificate", ERR_UNAVAILABLE, "its certificate is not trusted"},
        {"gave HTTP response to HTTPS client", ERR_UNAVAILABLE, "it speaks plain HTTP"},
        {"no such host", ERR_UNAVAILABLE, "unreachable"},
        {"server misbehaving", ERR_UNAVAILABLE, "unreachable"},
        {"connection refused", ERR_UNAVAILABLE, "unreachable"},
        {"connection reset", ERR_UNAVAILABLE, "unreachable"},
        {"unreachable", ERR_UNAVAILABLE, "unreachable"},
        {"timeout", ERR_UNAVAILABLE, "unreachable"},
        {"EOF", ERR_UNAVAILABLE, "the connection broke"},
        {"no space left", ERR_UNAVAILABLE, "no space"},
};

static const char *hint_of(const char *means)
{
        if (strcmp(means, "not authorised") == 0)
                return "; set --registry-secret, or --registry-auth-file of the server";
        if (strcmp(means, "it speaks plain HTTP") == 0)
                return "; the server's --registry-insecure allows that";
        if (strcmp(means, "its certificate is not trusted") == 0)
                return "; the server's --registry-ca or --registry-insecure allows it";
        return "";
}

/* The end of it, which is the reason, from the beginning of a part on. */
static struct str shorten(struct str words)
{
        while (words.len > WORDS_MAX) {
                struct str rest = words;
                struct str part = str_cut(&rest, ':');

                if (part.len == words.len)
                        return str_slice(words, words.len - WORDS_MAX, words.len);
                words = str_trim(rest, " ");
        }
        return words;
}

enum err_code push_explain(struct str registry, struct str said, struct err *err)
{
        struct str words = last_words(said);
        struct str shown = shorten(words);
        int len = (int)shown.len;
        const char *from = shown.p != NULL ? shown.p : "";

        for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
                if (says(words, meanings[i].what))
                        return err_set(err, meanings[i].code, "registry %.*s: %s%s (%.*s)", STR_ARG(registry),
                                       meanings[i].means, hint_of(meanings[i].means), len, from);
        return err_set(err, ERR_BAD_REPLY, "registry %.*s: %.*s", STR_ARG(registry), len, from);
}

struct said {
        int log_fd;
        size_t len;
        char last[SAID_MAX];
};

/* Each line is progress; the last one counts when it fails. */
static void on_line(void *arg, struct str line)
{
        struct said *said = arg;

        said->len = line.len < sizeof(said->last) ? line.len : sizeof(said->last) - 1;
        memcpy(said->last, line.p, said->len);
        dprintf(said->log_fd, "P %.*s\n", STR_ARG(line));
}

enum err_code push_run(const json_t *push, const char *layout, int log_fd, struct err *err)
{
        const char *reference = json_string_value(json_object_get(push, "reference"));
        bool insecure = json_is_true(json_object_get(push, "insecure"));
        char from[64], to[1024];
        struct said said = {.log_fd = log_fd};
        int status = 0;

        if (reference == NULL || strlen(reference) > 512)
                return err_set(err, ERR_INVALID, "no place to push to");
        snprintf(from, sizeof(from), "oci:%s", layout);
        snprintf(to, sizeof(to), "docker://%s", reference);

        const char *const argv[] = {"skopeo",
                                    "--insecure-policy",
                                    "copy",
                                    "--preserve-digests",
                                    "--dest-authfile",
                                    PUSH_AUTH_FILE,
                                    "--dest-cert-dir",
                                    PUSH_CERT_FOLDER,
                                    insecure ? "--dest-tls-verify=false" : "--dest-tls-verify=true",
                                    from,
                                    to,
                                    NULL};
        static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                                  "HOME=/tmp",
                                                  "TMPDIR=/tmp",
                                                  "XDG_RUNTIME_DIR=/tmp",
                                                  "LC_ALL=C.UTF-8",
                                                  NULL};
        struct tool tool = {.argv = argv, .environment = environment, .line = on_line, .arg = &said};
        struct str rest = str_of(reference);
        struct str registry = str_cut(&rest, '/');
        enum err_code code =
                push_files_put(json_object_get(push, "auth"), json_object_get(push, "authority"), err);

        if (code == ERR_OK)
                code = tool_run(&tool, &status, err);
        if (code == ERR_NOT_FOUND)
                return ERR_UNAVAILABLE; /* skopeo is not installed: the text says so */
        if (code != ERR_OK || status == 0)
                return code;
        if (status > 128)
                return err_set(err, ERR_SYSTEM, "skopeo was killed by signal %d", status - 128);
        return push_explain(registry, (struct str){said.last, said.len}, err);
}
