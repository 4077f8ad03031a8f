/* cli/fetch.c: downloads, and writing them below a directory by descriptors, so that no link leads out. */
#include "cli/fetch.h"

#include "base/own.h"
#include "cli/file.h"
#include "cli/text.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { CONNECT_TIMEOUT_S = 15, IDLE_TIMEOUT_S = 60, URL_MAX = 8192 };

struct transfer {
        struct buf *out;
        bool too_large;
};

static void release_curl(CURL **curl)
{
        curl_easy_cleanup(*curl);
}
#define own_curl __attribute__((cleanup(release_curl)))

static bool has_scheme(const char *text, const char *scheme)
{
        return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

bool fetch_is_url(const char *text)
{
        return has_scheme(text, "http://") || has_scheme(text, "https://") || has_scheme(text, "file://");
}

static size_t keep_bytes(char *bytes, size_t size, size_t count, void *context)
{
        struct transfer *transfer = context;
        enum err_code code = buf_append(transfer->out, bytes, size * count);

        transfer->too_large = code == ERR_TOO_LARGE;
        return code == ERR_OK ? size * count : 0;
}

/* A redirect must not lead from a server to this machine's files, nor from TLS to plain text. */
static void configure(CURL *curl, const char *url, struct transfer *transfer, char error[CURL_ERROR_SIZE])
{
        const char *protocols = has_scheme(url, "https://") ? "https" : "http,https";

        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, has_scheme(url, "file://") ? "file" : protocols);
        curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, has_scheme(url, "file://") ? 0L : 1L);
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)FETCH_REDIRECTS_MAX);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)FETCH_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)IDLE_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "dispatch/" DISPATCH_VERSION);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_bytes);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
}

static enum err_code explain(const char *url, const struct transfer *transfer, CURLcode result,
                             const char *error, struct err *err)
{
        if (transfer->too_large)
                return err_set(err, ERR_TOO_LARGE, "downloading %s: larger than %zu bytes", url,
                               transfer->out->max);
        if (result == CURLE_WRITE_ERROR || result == CURLE_OUT_OF_MEMORY)
                return err_nomem(err);
        return err_set(err, ERR_UNAVAILABLE, "downloading %s: %s", url,
                       error[0] != '\0' ? error : curl_easy_strerror(result));
}

enum err_code fetch_url(const char *url, struct buf *out, struct err *err)
{
        char error[CURL_ERROR_SIZE] = "";
        struct transfer transfer = {.out = out};
        own_curl CURL *curl = NULL;
        long status = 0;

        if (!text_is_plain(url))
                return err_set(err, ERR_INVALID, "the URL has a blank or a control character in it");
        if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
                curl = curl_easy_init();
        if (curl == NULL)
                return err_set(err, ERR_SYSTEM, "libcurl does not start");
        configure(curl, url, &transfer, error);

        CURLcode result = curl_easy_perform(curl);
        if (result != CURLE_OK)
                return explain(url, &transfer, result, error, err);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (!has_scheme(url, "file://") && status != 200)
                return err_set(err, ERR_UNAVAILABLE, "downloading %s: HTTP status %ld", url, status);
        return ERR_OK;
}

const char *fetch_beside(struct arena *arena, const char *url, const char *path)
{
        struct str whole = str_of(url), base = str_cut(&whole, '#');
        const char *host = strstr(url, "://");
        struct str alone;
        own_buf struct buf text = {.max = URL_MAX};
        enum err_code code;

        base = alone = str_cut(&base, '?');
        while (host != NULL && base.p + base.len > host + 3 && base.p[base.len - 1] != '/')
                base.len--;
        if (host != NULL && base.p + base.len <= host + 3) /* a host alone */
                base = alone;
        code = buf_append(&text, base.p, base.len);
        if (code == ERR_OK && base.len > 0 && base.p[base.len - 1] != '/')
                code = buf_append_text(&text, "/");
        for (const char *at = path; *at != '\0' && code == ERR_OK; at++) {
                bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                             (*at >= '0' && *at <= '9') || strchr("-._~/", *at) != NULL;
                code = plain ? buf_append(&text, at, 1) : buf_printf(&text, "%%%02X", (unsigned char)*at);
        }
        return code == ERR_OK ? arena_strdup(arena, (struct str){text.data, text.len}) : NULL;
}

/* Below the directory, and nothing that a shell or a program would read as its settings. */
static enum err_code check_path(const char *path, struct err *err)
{
        struct str rest = str_of(path);

        if (path[0] == '/' || strpbrk(path, "\r\n\t\\") != NULL || rest.len >= PATH_MAX)
                return err_set(err, ERR_INVALID, "\"%s\" is not a path below the URL's directory", path);
        while (rest.len > 0) {
                struct str part = str_cut(&rest, '/');
                if (part.len > 0 && part.p[0] == '.' && !str_eq(part, STR(".")))
                        return err_set(err, ERR_INVALID,
                                       "\"%s\" is not a path below the URL's directory, or has a hidden part",
                                       path);
        }
        return ERR_OK;
}

/* Replaces *dir_fd by its child, which is made when it is missing. */
static enum err_code descend(int *dir_fd, const char *name, const char *path, struct err *err)
{
        if (mkdirat(*dir_fd, name, 0755) < 0 && errno != EEXIST)
                return file_error(err, "mkdir", path);

        int child = openat(*dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
                return file_error(err, "open", path);
        close(*dir_fd);
        *dir_fd = child;
        return ERR_OK;
}

static bool is_program(const struct buf *content)
{
        struct str text = {content->data, content->len};

        return str_starts(text, STR("#!")) || str_starts(text, STR("\177ELF"));
}

/* By way of a second file, so that a link of that name is replaced and not followed. */
static enum err_code write_file(int dir_fd, const char *name, const struct buf *content, const char *path,
                                struct err *err)
{
        char temporary[NAME_MAX + 1];
        mode_t mode = is_program(content) ? 0755 : 0644;

        if (snprintf(temporary, sizeof(temporary), ".%s.part", name) >= (int)sizeof(temporary))
                return err_set(err, ERR_INVALID, "the name of %s is too long", path);
        unlinkat(dir_fd, temporary, 0);
        own_fd int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return file_error(err, "open", path);

        enum err_code code = file_write_all(fd, path, content, err);
        if (code == ERR_OK && renameat(dir_fd, temporary, dir_fd, name) < 0)
                code = file_error(err, "rename", path);
        if (code != ERR_OK)
                unlinkat(dir_fd, temporary, 0);
        return code;
}

/* True if the file is there already with this content. */
static enum err_code compare(int dir_fd, const char *name, const struct buf *content, const char *path,
                             bool *ret_same, struct err *err)
{
        own_buf struct buf old = {.max = FETCH_FILE_MAX};
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        enum err_code code;

        *ret_same = false;
        if (fd < 0 && errno == ENOENT)
                return ERR_NOT_FOUND;
        if (fd < 0)
                return file_error(err, "open", path);
        code = file_read_fd(fd, path, &old, err);
        *ret_same = code == ERR_OK && old.len == content->len &&
                    (old.len == 0 || memcmp(old.data, content->data, old.len) == 0);
        return code == ERR_TOO_LARGE ? ERR_OK : code;
}

static enum err_code place(int dir_fd, const char *name, const struct buf *content, const char *path,
                           bool replace, struct err *err)
{
        bool same;
        enum err_code code = replace ? ERR_NOT_FOUND : compare(dir_fd, name, content, path, &same, err);

        if (code == ERR_NOT_FOUND)
                return write_file(dir_fd, name, content, path, err);
        if (code != ERR_OK || same)
                return code;
        return err_set(err, ERR_CONFLICT,
                       "%s is there with other content: remove it, or name a directory for downloads with "
                       "--work-dir",
                       path);
}

/* Opens the directories on the way; *name is the last part. */
static enum err_code walk(int *dir_fd, struct str path, const char *shown, char name[NAME_MAX + 1],
                          struct err *err)
{
        name[0] = '\0';
        while (path.len > 0) {
                struct str part = str_cut(&path, '/');
                enum err_code code;

                if (part.len == 0 || str_eq(part, STR(".")))
                        continue;
                if (part.len > NAME_MAX)
                        return err_set(err, ERR_INVALID, "a part of %s is too long", shown);
                code = name[0] != '\0' ? descend(dir_fd, name, shown, err) : ERR_OK;
                if (code != ERR_OK)
                        return code;
                memcpy(name, part.p, part.len);
                name[part.len] = '\0';
        }
        return name[0] != '\0' ? ERR_OK : err_set(err, ERR_INVALID, "%s names no file", shown);
}

enum err_code fetch_below(const char *url, const char *path, const char *dir, bool replace, struct err *err)
{
        own_arena struct arena arena = {.max_bytes = 1 << 20};
        own_buf struct buf content = {.max = FETCH_FILE_MAX};
        const char *address = fetch_beside(&arena, url, path);
        char shown[PATH_MAX + NAME_MAX], name[NAME_MAX + 1];
        enum err_code code = check_path(path, err);

        if (code != ERR_OK)
                return code;
        if (address == NULL)
                return err_set(err, ERR_INVALID, "the address of \"%s\" is too long", path);
        code = fetch_url(address, &content, err);
        if (code != ERR_OK)
                return code;
        snprintf(shown, sizeof(shown), "%s/%s", dir, path);
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                return file_error(err, "mkdir", dir);
        own_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return file_error(err, "open", dir);
        code = walk(&dir_fd, str_of(path), shown, name, err);
        return code == ERR_OK ? place(dir_fd, name, &content, shown, replace, err) : code;
}
