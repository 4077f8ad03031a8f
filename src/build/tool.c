/* build/tool.c: fork, exec, and a poll over the two pipes until both are closed. */
#include "build/tool.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TOOL_CHUNK = 65536, STREAMS = 2, TICK_MS = 1000 };

/* One of its outputs. */
struct stream_of {
        int fd; /* -1: closed */
        bool bytes;
        size_t len;
        bool cut; /* the rest of this line is left out */
        char line[TOOL_LINE_MAX];
};

struct running {
        const struct tool *tool;
        pid_t pid;
        bool stopping; /* what it still says is nobody's */
        struct stream_of streams[STREAMS];
        char chunk[TOOL_CHUNK];
};

/* Printable ASCII stays, and UTF-8 as a whole or not at all. */
static struct str line_clean(char *line, size_t len)
{
        struct str text = {line, len};
        bool utf8 = str_is_utf8(text);

        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)line[i];
                if (c == '\t')
                        line[i] = ' ';
                else if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8))
                        line[i] = '?';
        }
        return text;
}

static void line_end(const struct running *running, struct stream_of *stream)
{
        if (running->tool->line != NULL && stream->len > 0 && !running->stopping)
                running->tool->line(running->tool->arg, line_clean(stream->line, stream->len));
        stream->len = 0;
        stream->cut = false;
}

/* A carriage return begins a line anew, as on a terminal: progress is a line of its own. */
static void lines_take(const struct running *running, struct stream_of *stream, const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (bytes[i] == '\n' || bytes[i] == '\r')
                        line_end(running, stream);
                else if (stream->len < sizeof(stream->line))
                        stream->line[stream->len++] = bytes[i];
                else
                        stream->cut = true;
        }
}

static enum err_code stream_take(struct running *running, struct stream_of *stream, struct err *err)
{
        ssize_t got = read(stream->fd, running->chunk, sizeof(running->chunk));

        if (got < 0)
                return errno == EINTR || errno == EAGAIN ? ERR_OK
                                                         : err_sys(err, "read what the program says");
        if (got == 0) {
                line_end(running, stream);
                close(take_fd(&stream->fd));
                return ERR_OK;
        }
        if (running->stopping)
                return ERR_OK;
        if (stream->bytes)
                return running->tool->data(running->tool->arg, running->chunk, (size_t)got, err);
        lines_take(running, stream, running->chunk, (size_t)got);
        return ERR_OK;
}

/*
 * Until both are closed, or the program has ended and what it wrote is read: something that it left running
 * may hold them open for ever.
 */
static enum err_code streams_take(struct running *running, struct err *err)
{
        own_fd int ended_fd = pidfd_open(running->pid, 0);
        enum err_code code = ended_fd < 0 ? err_sys(err, "watch the program") : ERR_OK;
        enum err_code (*tick)(void *arg, struct err *err) = running->stopping ? NULL : running->tool->tick;
        bool ended = false;

        while (code == ERR_OK && (running->streams[0].fd >= 0 || running->streams[1].fd >= 0)) {
                struct pollfd polled[STREAMS + 1];

                for (int i = 0; i < STREAMS; i++)
                        polled[i] = (struct pollfd){.fd = running->streams[i].fd, .events = POLLIN};
                polled[STREAMS] = (struct pollfd){.fd = ended ? -1 : ended_fd, .events = POLLIN};
                int ready = poll(polled, STREAMS + 1, ended ? 0 : tick != NULL ? TICK_MS : -1);
                if (ready < 0 && errno != EINTR)
                        return err_sys(err, "wait for the program");
                if (ready == 0 && (ended || tick == NULL))
                        break;
                if (tick != NULL)
                        code = tick(running->tool->arg, err);
                for (int i = 0; ready > 0 && code == ERR_OK && i < STREAMS; i++) {
                        if (polled[i].fd >= 0 && polled[i].revents != 0)
                                code = stream_take(running, &running->streams[i], err);
                }
                ended = ended || (ready > 0 && polled[STREAMS].revents != 0);
        }
        for (int i = 0; i < STREAMS; i++)
                line_end(running, &running->streams[i]);
        return code;
}

/* In the child. The errno goes to the parent by the pipe that exec closes. */
_Noreturn static void child(const struct tool *tool, int out_fd, int error_fd, int failed_fd)
{
        sigset_t none;
        int in_fd = tool->input_given ? tool->input_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);

        sigemptyset(&none);
        if ((tool->stop_signal == 0 || setpgid(0, 0) == 0) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
            sigprocmask(SIG_SETMASK, &none, NULL) == 0 && in_fd >= 0 && dup2(in_fd, STDIN_FILENO) >= 0 &&
            dup2(out_fd, STDOUT_FILENO) >= 0 && dup2(error_fd, STDERR_FILENO) >= 0 &&
            (!tool->directory_given || fchdir(tool->directory_fd) == 0) &&
            (!tool->here_is_root || chroot(".") == 0) && close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
                char *const *argv = (char *const *)(void *)tool->argv;
                if (tool->environment != NULL)
                        execvpe(argv[0], argv, (char *const *)(void *)tool->environment);
                else
                        execvp(argv[0], argv);
        }
        int failed = errno;
        (void)!write(failed_fd, &failed, sizeof(failed));
        _exit(127);
}

static enum err_code not_run(const struct tool *tool, int failed, struct err *err)
{
        errno = failed;
        if (failed == ENOENT)
                return err_set(err, ERR_NOT_FOUND, "there is no program '%s'", tool->argv[0]);
        return err_sys(err, "run '%s'", tool->argv[0]);
}

static int status_of(int wait_status)
{
        return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void stop(struct running *running)
{
        struct err ignored;

        if (running->tool->stop_signal == 0) {
                (void)kill(running->pid, SIGKILL);
                return;
        }
        (void)kill(-running->pid, running->tool->stop_signal);
        running->stopping = true;
        (void)streams_take(running, &ignored);
}

static enum err_code follow(struct running *running, int failed_fd, int *ret_status, struct err *err)
{
        int failed = 0, wait_status = 0;
        enum err_code code;

        if (read(failed_fd, &failed, sizeof(failed)) == sizeof(failed))
                code = not_run(running->tool, failed, err);
        else
                code = streams_take(running, err);
        if (code != ERR_OK)
                stop(running);
        while (waitpid(running->pid, &wait_status, 0) < 0 && errno == EINTR)
                ;
        if (code == ERR_OK)
                *ret_status = status_of(wait_status);
        return code;
}

enum err_code tool_run(const struct tool *tool, int *ret_status, struct err *err)
{
        int out[2], errors[2], failed[2];
        own_mem struct running *running = calloc(1, sizeof(*running));

        if (running == NULL)
                return err_nomem(err);
        if (pipe2(out, O_CLOEXEC) < 0)
                return err_sys(err, "make a pipe");
        own_fd int out_read = out[0], out_write = out[1];
        if (pipe2(errors, O_CLOEXEC) < 0)
                return err_sys(err, "make a pipe");
        own_fd int errors_read = errors[0], errors_write = errors[1];
        if (pipe2(failed, O_CLOEXEC) < 0)
                return err_sys(err, "make a pipe");
        own_fd int failed_read = failed[0], failed_write = failed[1];

        running->tool = tool;
        running->pid = fork();
        if (running->pid < 0)
                return err_sys(err, "start '%s'", tool->argv[0]);
        if (running->pid == 0)
                child(tool, out_write, errors_write, failed_write);
        close(take_fd(&out_write));
        close(take_fd(&errors_write));
        close(take_fd(&failed_write));
        running->streams[0] = (struct stream_of){.fd = take_fd(&out_read), .bytes = tool->data != NULL};
        running->streams[1] = (struct stream_of){.fd = take_fd(&errors_read)};
        enum err_code code = follow(running, failed_read, ret_status, err);
        for (int i = 0; i < STREAMS; i++) {
                if (running->streams[i].fd >= 0)
                        close(running->streams[i].fd);
        }
        return code;
}
