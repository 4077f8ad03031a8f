/*
 * cli/export.c: dispatch export function NAME DESTINATION. A layout comes as a tar into a file without a name
 * beside its place, is checked, and only what is whole gets the name; a push is the server's, and this shows
 * how it goes on.
 */
#include "base/own.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/interrupt.h"
#include "cli/layout.h"
#include "cli/show.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 64 * 1024 };

enum place { PLACE_LAYOUT, PLACE_ARCHIVE, PLACE_REGISTRY };

static const struct {
        const char *scheme;
        enum place place;
} schemes[] = {{"oci:", PLACE_LAYOUT}, {"oci-archive:", PLACE_ARCHIVE}, {"docker://", PLACE_REGISTRY}};

struct target {
        enum place place;
        const char *rest;    /* behind the scheme */
        char path[PATH_MAX]; /* of a layout or archive */
        char tag[128];
        char temporary[PATH_MAX + 16]; /* beside it; "": there is none */
};

static enum err_code target_parse(const char *text, struct target *ret, struct err *err)
{
        const char *slash, *colon;
        size_t i = 0, len;

        while (i < sizeof(schemes) / sizeof(*schemes) &&
               strncmp(text, schemes[i].scheme, strlen(schemes[i].scheme)) != 0)
                i++;
        if (i == sizeof(schemes) / sizeof(*schemes))
                return err_set(err, ERR_INVALID,
                               "\"%s\": say oci:PATH, oci-archive:PATH or docker://REFERENCE", text);
        *ret = (struct target){.place = schemes[i].place, .rest = text + strlen(schemes[i].scheme)};
        if (ret->place == PLACE_REGISTRY)
                return ERR_OK;
        slash = strrchr(ret->rest, '/');
        colon = strrchr(slash != NULL ? slash : ret->rest, ':');
        len = colon != NULL ? (size_t)(colon - ret->rest) : strlen(ret->rest);
        if (len == 0 || len >= sizeof(ret->path) || (colon != NULL && strlen(colon + 1) >= sizeof(ret->tag)))
                return err_set(err, ERR_INVALID, "\"%s\": PATH is empty or too long", text);
        snprintf(ret->path, sizeof(ret->path), "%.*s", (int)len, ret->rest);
        snprintf(ret->tag, sizeof(ret->tag), "%s", colon != NULL ? colon + 1 : "");
        return ERR_OK;
}

/* What is there is never written over; an empty folder may become a layout. */
static enum err_code target_check(const struct target *target, struct err *err)
{
        struct stat status;

        if (lstat(target->path, &status) < 0)
                return errno == ENOENT ? ERR_OK : file_error(err, "look at", target->path);
        if (target->place == PLACE_LAYOUT && S_ISDIR(status.st_mode)) {
                own_dir DIR *dir = opendir(target->path);
                int names = 0;

                while (dir != NULL && names < 3 && readdir(dir) != NULL)
                        names++;
                if (names < 3)
                        return ERR_OK;
        }
        return err_set(err, ERR_CONFLICT, "%s is there already: remove it, or name another place",
                       target->path);
}

struct download {
        struct cli *cli;
        int fd;
        uint64_t bytes;
        bool shows;
        int failed; /* errno of a write */
};

static bool download_take(void *arg, struct str bytes)
{
        struct download *download = arg;

        while (bytes.len > 0) {
                ssize_t wrote = write(download->fd, bytes.p, bytes.len);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0) {
                        download->failed = errno;
                        return false;
                }
                bytes = str_slice(bytes, (size_t)wrote, bytes.len);
                download->bytes += (uint64_t)wrote;
        }
        if (download->shows) {
                fprintf(download->cli->err, "\r\033[K%llu MiB", (unsigned long long)(download->bytes >> 20));
                fflush(download->cli->err);
        }
        return true;
}

static bool on_terminal(const struct cli *cli)
{
        return isatty(fileno(cli->err)) == 1;
}

static enum err_code image_path(struct cli *cli, const char **ret, struct err *err)
{
        const char *one;
        own_buf struct buf path = {.max = CLIENT_URL_MAX};
        enum err_code code = client_path(&cli->arena, "function", cli->args.values[0], &one, err);

        if (code != ERR_OK)
                return code;
        if (buf_printf(&path, "%s/image", one) != ERR_OK)
                return err_set(err, ERR_INVALID, "the name is too long");
        *ret = arena_strdup(&cli->arena, (struct str){path.data, path.len});
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code download(struct cli *cli, const struct target *target, int fd, struct err *err)
{
        struct download download = {.cli = cli, .fd = fd, .shows = on_terminal(cli)};
        struct call call = {
                .method = "GET", .may_take_long = true, .sink = download_take, .sink_arg = &download};
        json_t *none = NULL;
        enum err_code code = image_path(cli, &call.path, err);

        if (code == ERR_OK && target->tag[0] != '\0')
                code = client_query(&cli->arena, call.path, "tag", target->tag, &call.path, err);
        if (code == ERR_OK)
                code = cli_call(cli, &call, &none, err);
        if (download.shows)
                fprintf(cli->err, "\r\033[K");
        if (download.failed != 0) {
                errno = download.failed;
                return file_error(err, "write", target->path);
        }
        return code;
}

/* Beside the place, so that it can be renamed into it. */
static enum err_code temporary_make(struct target *target, int *ret_fd, struct err *err)
{
        snprintf(target->temporary, sizeof(target->temporary), "%s.XXXXXX", target->path);

        int fd = mkostemp(target->temporary, O_CLOEXEC);

        if (fd < 0) {
                target->temporary[0] = '\0';
                return file_error(err, "create", target->path);
        }
        *ret_fd = fd;
        return ERR_OK;
}

static void folder_clear(int dir_fd, const char *name, int depth)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return;
        (void)take_fd(&fd);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && depth < 3)
                        folder_clear(dirfd(dir), entry->d_name, depth + 1);
        }
        unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* The checked files in a folder beside the place, then there. */
static enum err_code layout_place(struct target *target, int tar_fd, char digest[LAYOUT_DIGEST_MAX],
                                  struct err *err)
{
        unlink(target->temporary);
        snprintf(target->temporary, sizeof(target->temporary), "%s.XXXXXX", target->path);
        if (mkdtemp(target->temporary) == NULL) {
                target->temporary[0] = '\0';
                return file_error(err, "mkdir", target->path);
        }

        own_fd int dir_fd = open(target->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        mode_t mask = umask(0);

        umask(mask);
        if (dir_fd < 0 || fchmod(dir_fd, 0777 & ~mask) < 0)
                return file_error(err, "open", target->path);

        enum err_code code = layout_take(tar_fd, dir_fd, digest, err);

        if (code == ERR_OK && rename(target->temporary, target->path) < 0)
                code = file_error(err, "rename", target->path);
        if (code != ERR_OK)
                folder_clear(AT_FDCWD, target->temporary, 0);
        target->temporary[0] = '\0';
        return code;
}

/* A name that came meanwhile is not replaced. */
static enum err_code archive_place(struct target *target, int tar_fd, char digest[LAYOUT_DIGEST_MAX],
                                   struct err *err)
{
        enum err_code code = layout_take(tar_fd, -1, digest, err);
        mode_t mask = umask(0);

        umask(mask);
        if (code == ERR_OK && (fchmod(tar_fd, 0666 & ~mask) < 0 || fsync(tar_fd) < 0))
                code = file_error(err, "write", target->path);
        if (code == ERR_OK && link(target->temporary, target->path) < 0)
                code = file_error(err, "create", target->path);
        return code;
}

static enum err_code report(struct cli *cli, const char *what, const char *image, const char *digest,
                            struct err *err)
{
        own_json json_t *value =
                json_pack("{s:s, s:s, s:s}", "name", cli->args.values[0], "image", image, "digest", digest);

        if (value == NULL)
                return err_nomem(err);
        if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML)
                return show_value(cli, value, err);
        if (cli->output == OUTPUT_NAME)
                cli_say(cli, "%s\n", image);
        else
                cli_say(cli, "%s function %s: %s (%s)\n", what, cli->args.values[0], image, digest);
        return ERR_OK;
}

static enum err_code export_files(struct cli *cli, struct target *target, struct err *err)
{
        char digest[LAYOUT_DIGEST_MAX] = "";
        own_fd int fd = -1;
        enum err_code code = target_check(target, err);

        if (code == ERR_OK)
                code = temporary_make(target, &fd, err);
        if (code == ERR_OK)
                code = download(cli, target, fd, err);
        if (code == ERR_OK)
                code = target->place == PLACE_LAYOUT ? layout_place(target, fd, digest, err)
                                                     : archive_place(target, fd, digest, err);
        if (target->temporary[0] != '\0')
                unlink(target->temporary);
        return code == ERR_OK ? report(cli, "Exported", cli->args.values[1], digest, err) : code;
}

/* Lines of JSON: progress, and the last one the outcome. */
struct lines {
        struct cli *cli;
        struct buf line;
        json_t *last;
        bool shows;
};

static void line_show(const struct lines *lines, struct str text)
{
        own_buf struct buf safe = {.max = 4096};

        if (!lines->shows || text_append_line(&safe, text) != ERR_OK)
                return;
        fprintf(lines->cli->err, "\r\033[K%.*s", (int)(safe.len < 76 ? safe.len : 76), safe.data);
        fflush(lines->cli->err);
}

static void line_end(struct lines *lines)
{
        json_t *value = NULL;

        if (json_parse_own((struct str){lines->line.data, lines->line.len}, &value, NULL) == ERR_OK) {
                line_show(lines, json_str(value, "progress"));
                json_decref(lines->last);
                lines->last = value;
        }
        buf_clear(&lines->line);
}

static bool lines_take(void *arg, struct str bytes)
{
        struct lines *lines = arg;

        for (size_t i = 0; i < bytes.len; i++) {
                if (bytes.p[i] == '\n')
                        line_end(lines);
                else if (buf_append(&lines->line, &bytes.p[i], 1) != ERR_OK)
                        return false;
        }
        return true;
}

static enum err_code outcome(struct cli *cli, const json_t *last, struct err *err)
{
        struct str image = json_str(last, "image"), digest = json_str(last, "digest"),
                   why = json_str(last, "message");
        own_buf struct buf safe = {.max = 4096};

        if (image.len > 0 && digest.len > 0 && text_is_plain(image.p) && text_is_plain(digest.p))
                return report(cli, "Pushed", image.p, digest.p, err);
        if (why.len == 0 || text_append_line(&safe, why) != ERR_OK || buf_text(&safe) == NULL)
                return err_set(err, ERR_BAD_REPLY, "the server did not say how the push ended");
        return err_set(err, ERR_UNAVAILABLE, "[Code: %" JSON_INTEGER_FORMAT "] %s",
                       json_integer_value(json_object_get(last, "code")), buf_text(&safe));
}

static enum err_code export_push(struct cli *cli, const struct target *target, struct err *err)
{
        const char *secret = args_text(&cli->args, "registry-secret");
        own_json json_t *body = json_pack("{s:s, s:s*}", "reference", target->rest, "registrySecret", secret);
        struct lines lines = {.cli = cli, .line = {.max = LINE_MAX_BYTES}, .shows = on_terminal(cli)};
        struct call call = {.method = "POST",
                            .body = body,
                            .may_take_long = true,
                            .accept = "application/x-ndjson",
                            .sink = lines_take,
                            .sink_arg = &lines};
        json_t *none = NULL;
        enum err_code code = body != NULL ? image_path(cli, &call.path, err)
                                          : err_set(err, ERR_INVALID, "the reference must be UTF-8");

        if (code == ERR_OK)
                code = cli_call(cli, &call, &none, err);
        if (lines.shows)
                fprintf(cli->err, "\r\033[K");
        if (lines.line.len > 0)
                line_end(&lines);
        if (code == ERR_OK)
                code = outcome(cli, lines.last, err);
        buf_finish(&lines.line);
        json_decref(lines.last);
        return code;
}

enum err_code export_run(struct cli *cli, struct err *err)
{
        struct target target;
        enum err_code code = target_parse(cli->args.values[1], &target, err);

        if (code != ERR_OK)
                return code;
        if (cli->args.values[0][0] == '\0')
                return err_set(err, ERR_INVALID, "the function's name must not be empty");
        interrupt_catch(); /* nothing is left behind then, and the server stops too */
        return target.place == PLACE_REGISTRY ? export_push(cli, &target, err)
                                              : export_files(cli, &target, err);
}
