/* cli/subprocess.c: a child with two pipes, fed and read at the same time. POSIX only. */
#include "cli/subprocess.h"

#include "base/clock.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
        READ_STEP = 4096,
        EXIT_NO_PROGRAM = 127, /* posix_spawnp in POSIX */
        /* A second descriptor of the child's output pipe, which the program does not know: the pipe ends when
         * the process has, not when it closes its standard output. */
        ALIVE_FD = 3
};

struct child {
        pid_t pid;
        int to, from; /* -1: closed */
        struct str input;
        struct buf *output;
        uint64_t deadline_ms;
};

static void child_finish(struct child *child)
{
        if (child->to >= 0)
                close(child->to);
        if (child->from >= 0)
                close(child->from);
        if (child->pid > 0) {
                kill(child->pid, SIGKILL);
                while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
                }
        }
}

static enum err_code make_pipe(int *ret_read, int *ret_write, struct err *err)
{
        int ends[2];

        /* allowed: pipe2 is not everywhere, and the client has no other thread that could start a process */
        if (pipe(ends) < 0)
                return err_sys(err, "pipe");
        for (int i = 0; i < 2; i++)
                (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        *ret_read = ends[0];
        *ret_write = ends[1];
        return ERR_OK;
}

/* The child's descriptors: input, output twice, nothing for errors. posix_spawn's error number. */
static int spawn(char *const argv[], int in, int out, pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int failed = posix_spawn_file_actions_init(&actions);

        if (failed != 0)
                return failed;
        failed = posix_spawnattr_init(&attributes);
        if (failed != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return failed;
        }
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        failed = posix_spawnattr_setsigdefault(&attributes, &defaults);
        if (failed == 0)
                failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        if (failed == 0)
                failed = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        if (failed == 0)
                failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (failed == 0)
                failed = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, ALIVE_FD);
        if (failed == 0)
                failed = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (failed == 0)
                failed = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return failed;
}

/* A pipe's end that is one of the child's own three would be overwritten before it is copied. */
static enum err_code move_up(int *fd, struct err *err)
{
        int higher = fcntl(*fd, F_DUPFD_CLOEXEC, ALIVE_FD + 1);

        if (higher < 0)
                return err_sys(err, "dup");
        close(*fd);
        *fd = higher;
        return ERR_OK;
}

static enum err_code start(struct child *child, char *const argv[], struct err *err)
{
        own_fd int in = -1;
        own_fd int out = -1;
        enum err_code code = make_pipe(&in, &child->to, err);

        if (code == ERR_OK)
                code = make_pipe(&child->from, &out, err);
        if (code == ERR_OK)
                code = move_up(&in, err);
        if (code == ERR_OK)
                code = move_up(&out, err);
        if (code != ERR_OK)
                return code;
        /* A program that does not read must not hold up its own reader. */
        (void)fcntl(child->to, F_SETFL, O_NONBLOCK);

        int failed = spawn(argv, in, out, &child->pid);
        if (failed == 0)
                return ERR_OK;
        child->pid = 0;
        errno = failed;
        err_sys(err, "%s", argv[0]);
        return failed == ENOENT ? err_wrap(err, ERR_NOT_FOUND, "start") : err_wrap(err, ERR_SYSTEM, "start");
}

static void feed(struct child *child)
{
        ssize_t put = child->input.len > 0 ? write(child->to, child->input.p, child->input.len) : 0;

        if (put > 0)
                child->input = str_slice(child->input, (size_t)put, child->input.len);
        if (child->input.len > 0 && (put > 0 || errno == EAGAIN || errno == EINTR))
                return;
        close(child->to); /* all of it, or the program does not want more */
        child->to = -1;
}

static enum err_code collect(struct child *child, struct err *err)
{
        char bytes[READ_STEP];
        ssize_t got = read(child->from, bytes, sizeof(bytes));

        if (got < 0)
                return errno == EINTR ? ERR_OK : err_sys(err, "read");
        if (got == 0) {
                close(child->from);
                child->from = -1;
                return ERR_OK;
        }
        enum err_code code = buf_append(child->output, bytes, (size_t)got);
        return code == ERR_OK ? ERR_OK
                              : err_set(err, code, "its output is larger than %zu bytes", child->output->max);
}

static enum err_code step(struct child *child, struct err *err)
{
        struct pollfd fds[] = {{.fd = child->from, .events = POLLIN}, {.fd = child->to, .events = POLLOUT}};
        uint64_t now_ms = clock_mono_ms();

        if (now_ms >= child->deadline_ms)
                return err_set(err, ERR_TIMEOUT, "it has not ended in time");
        int ready = poll(fds, 2, (int)(child->deadline_ms - now_ms));
        if (ready < 0 && errno != EINTR)
                return err_sys(err, "poll");
        if (ready <= 0)
                return ERR_OK;
        if (child->to >= 0 && fds[1].revents != 0)
                feed(child);
        return fds[0].revents != 0 ? collect(child, err) : ERR_OK;
}

static enum err_code reap(struct child *child, int *ret_exit, struct err *err)
{
        int status;

        while (waitpid(child->pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return err_sys(err, "wait");
        }
        child->pid = 0;
        *ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return ERR_OK;
}

enum err_code subprocess_run(char *const argv[], struct str input, int timeout_ms, struct buf *output,
                             int *ret_exit, struct err *err)
{
        __attribute__((cleanup(child_finish))) struct child child = {
                .to = -1, .from = -1, .input = input, .output = output};
        size_t len = output->len;

        child.deadline_ms = clock_mono_ms() + (uint64_t)timeout_ms;
        enum err_code code = start(&child, argv, err);
        if (code != ERR_OK)
                return code;
        while (code == ERR_OK && child.from >= 0)
                code = step(&child, err);
        int exit_status = 0;
        if (code == ERR_OK)
                code = reap(&child, &exit_status, err);
        /* Where a system learns too late that there is no such program, the status says so. */
        if (code == ERR_OK && exit_status == EXIT_NO_PROGRAM)
                code = err_set(err, ERR_NOT_FOUND, "no such program");
        if (code == ERR_OK) {
                *ret_exit = exit_status;
                return ERR_OK;
        }
        output->len = len;
        return err_wrap(err, code, "%s", argv[0]);
}
