/* build/inside.c: a child process, what it prints, and what it leaves behind. */
#include "build/inside.h"

#include "base/own.h"
#include "base/str.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child of vfork: system calls alone. */
static void child_run(char *const argv[], const char *folder, int output_fd)
{
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
            dup2(output_fd, STDERR_FILENO) < 0 ||
            close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || chdir(folder) < 0)
                return;
        execve(argv[0], argv, environ);
}

/* The child tells by a pipe, which its program does not have, why it could not run that: memory is not shared
 * everywhere (a sanitizer makes vfork a fork). */
enum err_code inside_start(char *const argv[], const char *folder, int output_fd, pid_t *ret, struct err *err)
{
        int ends[2], failed = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");

        own_fd int from_fd = ends[0], to_fd = ends[1];
        pid_t pid = vfork();

        if (pid == 0) {
                /* NOLINTBEGIN(clang-analyzer-unix.Vfork): one thread, and only system calls */
                child_run(argv, folder, output_fd);
                failed = errno;
                (void)!write(to_fd, &failed, sizeof(failed));
                _exit(127);
                /* NOLINTEND(clang-analyzer-unix.Vfork) */
        }
        if (pid < 0)
                return err_sys(err, "start %s", argv[0]);
        close(take_fd(&to_fd));
        if (read(from_fd, &failed, sizeof(failed)) != (ssize_t)sizeof(failed)) {
                *ret = pid;
                return ERR_OK;
        }
        (void)waitpid(pid, NULL, 0);
        errno = failed;
        if (failed == ENOENT || failed == EACCES)
                return err_set(err, ERR_UNAVAILABLE, "the image has no %s", argv[0]);
        return err_sys(err, "run %s", argv[0]);
}

/* Until every process that has the pipe is gone. */
static void output_read(int fd, struct inside_result *result)
{
        char rest[4096];

        for (;;) {
                bool full = result->len == sizeof(result->output);
                ssize_t got =
                        full ? read(fd, rest, sizeof(rest))
                             : read(fd, result->output + result->len, sizeof(result->output) - result->len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return;
                if (!full)
                        result->len += (size_t)got;
        }
}

enum err_code inside_run(char *const argv[], const char *folder, struct inside_result *ret, struct err *err)
{
        int ends[2], status = 0;
        pid_t pid = -1;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");

        own_fd int from_fd = ends[0], to_fd = ends[1];
        enum err_code code = inside_start(argv, folder, to_fd, &pid, err);

        if (code != ERR_OK)
                return code;
        close(take_fd(&to_fd));
        ret->len = 0;
        output_read(from_fd, ret);
        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return err_sys(err, "wait for %s", argv[0]);
        }
        ret->by_signal = WIFSIGNALED(status);
        ret->value = ret->by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
        return ERR_OK;
}

static bool is_text(char c)
{
        return (unsigned char)c >= ' ' && c != 0x7f;
}

/* How much of a line's end a cut leaves, so that no character of UTF-8 is cut in half. */
static size_t whole(const char *text, size_t len)
{
        while (len > 0 && !str_is_utf8((struct str){text, len}))
                len--;
        return len;
}

void inside_line(const struct inside_result *result, char *out, size_t size)
{
        size_t len = 0;
        bool joint = false, cut = false;

        assert(size >= 8);
        for (size_t i = 0; i < result->len; i++) {
                char c = result->output[i];

                joint |= c == '\n' && len > 0;
                if (!is_text(c))
                        continue;
                cut = len + strlen("; ") + 1 + sizeof("...") > size;
                if (cut)
                        break;
                if (joint) {
                        out[len++] = ';';
                        out[len++] = ' ';
                        joint = false;
                }
                out[len++] = c;
        }
        len = whole(out, len);
        memcpy(out + len, cut ? "..." : "", cut ? sizeof("...") : 1);
}

static enum err_code count_entry(struct tree *tree, int dir_fd, const char *name, int depth, struct err *err);

static enum err_code count_folder(struct tree *tree, int fd, int depth, struct err *err)
{
        own_dir DIR *dir = fdopendir(fd);
        enum err_code code = ERR_OK;

        if (dir == NULL) {
                close(fd);
                return err_sys(err, "list a folder");
        }
        for (struct dirent *entry; code == ERR_OK && (entry = readdir(dir)) != NULL;) {
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        code = count_entry(tree, dirfd(dir), entry->d_name, depth, err);
        }
        return code;
}

static enum err_code count_entry(struct tree *tree, int dir_fd, const char *name, int depth, struct err *err)
{
        char text[TREE_TEXT_MAX];
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(err, "look at '%s'", tree_text(name, text));
        if (++tree->files > tree->files_max)
                return err_set(err, ERR_TOO_LARGE, "more than %llu files",
                               (unsigned long long)tree->files_max);
        if (S_ISLNK(st.st_mode))
                return ERR_OK;
        if (S_ISREG(st.st_mode))
                return tree_reserve(tree, (uint64_t)st.st_size, err);
        if (!S_ISDIR(st.st_mode))
                return err_set(err, ERR_INVALID, "'%s' is no file, folder or link", tree_text(name, text));
        if (depth == TREE_DEPTH_MAX)
                return err_set(err, ERR_TOO_LARGE, "folders more than %d deep", TREE_DEPTH_MAX);

        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open '%s'", tree_text(name, text));
        return count_folder(tree, fd, depth + 1, err);
}

enum err_code inside_count(struct tree *tree, struct err *err)
{
        int fd = openat(tree->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open the folder");
        tree->bytes = tree->files = 0;
        return count_folder(tree, fd, 1, err);
}
