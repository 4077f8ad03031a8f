/*
 * build/inside_deps.c: the installer's process: its folders and environment, its output, its end.
 */
#include "build/inside_deps.h"

#include "base/clock.h"
#include "base/own.h"
#include "build/inside.h"
#include "build/inside_tidy.h"
#include "image/deps_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = SPAWN_LINE_MAX - 3, REASON_LINES = 4 };

struct output {
        int log_fd;
        size_t logged;
        bool full;
        char line[LINE_MAX_BYTES];
        size_t line_len;
        bool escape;
        bool returned; /* to the line's beginning */
        char tail[INSIDE_DEPS_TAIL_MAX];
        size_t tail_len;
};

/* --- words of a failure --- */

static bool is_text(char c)
{
        return (unsigned char)c >= ' ' && c != 0x7f;
}

static bool starts_nocase(struct str text, const char *with)
{
        size_t len = strlen(with);

        return text.len >= len && str_eq_nocase(str_slice(text, 0, len), str_of(with));
}

/* "ERROR: ...", "[ERROR] ...", "npm ERR! ...", "error: ..." */
static bool says_error(struct str line)
{
        size_t space = str_find(line, ' ');

        line = str_trim(line, "[ \t");
        if (starts_nocase(line, "err"))
                return true;
        return space <= 4 && space < line.len && starts_nocase(str_slice(line, space + 1, line.len), "err");
}

/* True when not all of the line had room. */
static bool reason_add(struct str line, char *out, size_t size, size_t *len)
{
        if (*len > 0 && *len + 6 < size) {
                out[(*len)++] = ';';
                out[(*len)++] = ' ';
        }
        for (size_t i = 0; i < line.len; i++) {
                if (!is_text(line.p[i]))
                        continue;
                if (*len + 4 >= size)
                        return true;
                out[(*len)++] = line.p[i];
        }
        return false;
}

static size_t whole(const char *text, size_t len)
{
        while (len > 0 && !str_is_utf8((struct str){text, len}))
                len--;
        return len;
}

/* How many of its lines say an error, or are not blank. */
static size_t lines_count(struct str output, bool errors)
{
        size_t count = 0;

        while (output.len > 0) {
                struct str line = str_trim(str_cut(&output, '\n'), " \t\r");
                count += line.len > 0 && (!errors || says_error(line));
        }
        return count;
}

void inside_deps_reason(struct str output, char *out, size_t size)
{
        size_t errors = lines_count(output, true), len = 0;
        size_t count = errors > 0 ? errors : lines_count(output, false), at = 0;
        struct str before = STR("");
        bool cut = false;

        while (output.len > 0) {
                struct str line = str_trim(str_cut(&output, '\n'), " \t\r");

                if (line.len == 0 || (errors > 0 && !says_error(line)))
                        continue;
                /* Of errors the first lines say most, of other output the last. */
                bool wanted = errors > 0 ? at < REASON_LINES : at + REASON_LINES >= count;
                if (wanted && !str_eq(line, before))
                        cut |= reason_add(line, out, size, &len);
                before = line;
                at++;
        }
        len = whole(out, len);
        memcpy(out + len, cut ? "..." : "", cut ? 4 : 1);
}

/* --- the log --- */

static void log_write(struct output *output, char type, const char *text, size_t len)
{
        char line[SPAWN_LINE_MAX];
        size_t size = len + 3;

        if (output->full)
                return;
        line[0] = type;
        line[1] = ' ';
        memcpy(line + 2, text, len);
        line[2 + len] = '\n';
        for (size_t done = 0; done < size;) {
                ssize_t put = write(output->log_fd, line + done, size - done);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put <= 0)
                        return;
                done += (size_t)put;
        }
        output->logged += size;
        if (output->logged > INSIDE_DEPS_LOG_MAX && type == 'L') {
                static const char rest[] = "... the rest is left out: the log is over its bound";
                output->logged = 0;
                log_write(output, 'P', rest, sizeof(rest) - 1);
                output->full = true;
        }
}

static void tail_add(struct output *output, const char *text, size_t len)
{
        if (len + 1 > sizeof(output->tail))
                return;
        if (output->tail_len + len + 1 > sizeof(output->tail)) {
                size_t keep = sizeof(output->tail) / 2;
                size_t from = output->tail_len > keep ? output->tail_len - keep : 0;

                if (output->tail_len - from + len + 1 > sizeof(output->tail))
                        from = output->tail_len;
                memmove(output->tail, output->tail + from, output->tail_len - from);
                output->tail_len -= from;
        }
        memcpy(output->tail + output->tail_len, text, len);
        output->tail_len += len;
        output->tail[output->tail_len++] = '\n';
}

static void line_end(struct output *output)
{
        size_t len = whole(output->line, output->line_len);

        tail_add(output, output->line, len);
        log_write(output, 'L', output->line, len);
        output->line_len = 0;
}

static void output_add(struct output *output, const char *bytes, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                char c = bytes[i];

                if (output->returned && c != '\n')
                        output->line_len = 0; /* a bar of progress, drawn anew */
                output->returned = c == '\r';
                if (c == '\n')
                        line_end(output);
                else if (c == '\t')
                        c = ' ';
                if (c == 0x1b)
                        output->escape = true; /* colours and the like: up to a letter */
                bool inside = output->escape;
                if (inside && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\n'))
                        output->escape = false;
                if (!inside && is_text(c) && output->line_len < sizeof(output->line))
                        output->line[output->line_len++] = c;
        }
}

/* --- the process --- */

/* Everything that is left of it, whatever user's session it made; process 1 reaps what is not ours. */
static void all_kill(void)
{
        (void)kill(-1, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
}

static enum err_code disk_check(const struct tree *tree, struct err *err)
{
        uint64_t bytes, files;

        inside_measure(tree->root_fd, tree->bytes_max, tree->files_max, &bytes, &files);
        if (bytes > tree->bytes_max)
                return err_set(err, ERR_TOO_LARGE, "the build needs more than its %llu MiB of disk",
                               (unsigned long long)(tree->bytes_max >> 20));
        if (files > tree->files_max)
                return err_set(err, ERR_TOO_LARGE, "the build makes more than %llu files",
                               (unsigned long long)tree->files_max);
        return ERR_OK;
}

/* True while there may be more to read. */
static bool output_read(struct output *output, int fd)
{
        char bytes[16384];
        ssize_t got = read(fd, bytes, sizeof(bytes));

        if (got > 0)
                output_add(output, bytes, (size_t)got);
        return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Until the installer has ended, or is past its bounds. */
static enum err_code watch(pid_t pid, int fd, struct output *output, const struct tree *tree, int *ret_status,
                           struct err *err)
{
        uint64_t looked_ms = clock_mono_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        bool open = true;

        for (;;) {
                pid_t ended = waitpid(pid, ret_status, WNOHANG);

                if (ended == pid)
                        return ERR_OK;
                if (ended < 0 && errno != EINTR)
                        return err_sys(err, "wait for the installer");
                if (poll(&ready, open ? 1 : 0, INSIDE_DEPS_LOOK_MS / 4) > 0)
                        open = output_read(output, fd);
                if (clock_mono_ms() - looked_ms < INSIDE_DEPS_LOOK_MS)
                        continue;
                enum err_code code = disk_check(tree, err);
                if (code != ERR_OK)
                        return code;
                looked_ms = clock_mono_ms();
        }
}

static enum err_code failed(const struct inside_deps *deps, const struct output *output, int status,
                            struct err *err)
{
        char words[ERR_TEXT_MAX - 64];
        const char *name = strrchr(deps->argv[0], '/') + 1;

        inside_deps_reason((struct str){output->tail, output->tail_len}, words, sizeof(words));
        if (WIFSIGNALED(status))
                return err_set(err, ERR_INVALID, "dependencies were not installed: signal %d ended %s",
                               WTERMSIG(status), name);
        if (words[0] == '\0')
                return err_set(err, ERR_INVALID, "dependencies were not installed: exit status %d of %s",
                               WEXITSTATUS(status), name);
        return err_set(err, ERR_INVALID, "dependencies were not installed: %s", words);
}

static enum err_code installer_run(const struct inside_deps *deps, const char *where, const struct tree *tree,
                                   struct err *err)
{
        own_mem struct output *output = calloc(1, sizeof(*output));
        int ends[2], status = 0;
        pid_t pid = -1;

        if (output == NULL)
                return err_nomem(err);
        output->log_fd = deps->log_fd;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");
        own_fd int from_fd = ends[0], to_fd = ends[1];
        enum err_code code = inside_start(deps->argv, where, to_fd, &pid, err);
        if (code == ERR_UNAVAILABLE)
                code = err_set(err, code, "the image has no %s, which dependencies are installed with",
                               deps->argv[0]);
        if (code != ERR_OK)
                return code;
        close(take_fd(&to_fd));
        code = watch(pid, from_fd, output, tree, &status, err);
        all_kill();
        while (output_read(output, from_fd)) {
        }
        if (output->line_len > 0)
                line_end(output);
        if (code != ERR_OK)
                return code;
        return status == 0 ? ERR_OK : failed(deps, output, status, err);
}

/* --- before and after --- */

static enum err_code file_put(int dir_fd, struct str name, struct str content, struct err *err)
{
        if (memchr(name.p, '/', name.len) != NULL || name.p[0] == '.')
                return err_set(err, ERR_INVALID, "'%s' is no name of a file", name.p);
        own_fd int fd = openat(dir_fd, name.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return err_disk(err, "make %s", name.p);
        return tree_write(fd, content.p, content.len, 0, err);
}

static enum err_code input_read(int fd, struct buf *ret, struct err *err)
{
        char bytes[16384];

        for (off_t at = 0;;) {
                ssize_t got = pread(fd, bytes, sizeof(bytes), at);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read what is to be done");
                if (got == 0)
                        return ERR_OK;
                if (buf_append(ret, bytes, (size_t)got) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the list of dependencies is too long");
                at += got;
        }
}

static enum err_code variable_set(const char *name, const char *value, struct err *err)
{
        return setenv(name, value, 1) < 0 ? err_sys(err, "set %s", name) : ERR_OK;
}

static enum err_code path_set(const char *name, const char *work, const char *below, struct err *err)
{
        char path[2 * PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", work, below);
        return variable_set(name, path, err);
}

static enum err_code record_apply(const struct inside_deps *deps, const char *work, int src_fd,
                                  const struct deps_record *record, struct err *err)
{
        char below[NAME_MAX + 8];

        if (record->type == DEPS_VARIABLE)
                return variable_set(record->name.p, record->value.p, err);
        enum err_code code = file_put(src_fd, record->name, record->value, err);
        if (code != ERR_OK)
                return code;
        snprintf(below, sizeof(below), "src/%s", record->name.p);
        if (strcmp(record->name.p, deps->runtime->deps_file) == 0)
                return path_set("DISPATCH_DEPS_FILE", work, below, err);
        return path_set("DISPATCH_DEPS_LOCK", work, below, err);
}

static enum err_code input_apply(const struct inside_deps *deps, const char *work, int src_fd,
                                 struct err *err)
{
        own_buf struct buf text = {.max = DEPS_INPUT_MAX};
        enum err_code code = input_read(deps->input_fd, &text, err);
        struct str input = {text.data, text.len};
        struct deps_record record;

        while (code == ERR_OK && input.len > 0) {
                code = deps_input_next(&input, &record, err);
                if (code == ERR_OK)
                        code = record_apply(deps, work, src_fd, &record, err);
        }
        return code;
}

static enum err_code work_make(const struct inside_deps *deps, int root_fd, const char *work, struct err *err)
{
        static const char *const folders[] = {INSIDE_DEPS_WORK, INSIDE_DEPS_WORK "/src",
                                              INSIDE_DEPS_WORK "/home", INSIDE_DEPS_WORK "/tmp"};

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                if (mkdirat(root_fd, folders[i], 0755) < 0)
                        return err_disk(err, "make %s", folders[i]);
        }
        own_fd int src_fd =
                openat(root_fd, INSIDE_DEPS_WORK "/src", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (src_fd < 0)
                return err_sys(err, "open %s", INSIDE_DEPS_WORK "/src");
        enum err_code code = path_set("HOME", work, "home", err);
        if (code == ERR_OK)
                code = path_set("TMPDIR", work, "tmp", err);
        if (code == ERR_OK)
                code = variable_set("DISPATCH_DEPS_ROOT", deps->folder, err);
        return code == ERR_OK ? input_apply(deps, work, src_fd, err) : code;
}

static void program_set(const struct inside_deps *deps)
{
        char *own = getenv(DEPS_PROGRAM);

        if (own != NULL && own[0] == '/' && strcmp(deps->argv[0], deps->runtime->argv) == 0)
                deps->argv[0] = own;
}

enum err_code inside_deps_run(const struct inside_deps *deps, struct tree *tree, struct err *err)
{
        char work[PATH_MAX], where[PATH_MAX + 16];

        snprintf(work, sizeof(work), "%s/%s", deps->folder, INSIDE_DEPS_WORK);
        snprintf(where, sizeof(where), "%s/src", work);
        enum err_code code = work_make(deps, tree->root_fd, work, err);
        program_set(deps);
        if (code == ERR_OK)
                code = installer_run(deps, where, tree, err);
        if (code == ERR_OK)
                code = inside_remove(tree->root_fd, INSIDE_DEPS_WORK, err);
        if (code == ERR_OK)
                code = inside_tidy(tree, err);
        return code == ERR_OK ? tree_sync(tree, err) : code;
}
