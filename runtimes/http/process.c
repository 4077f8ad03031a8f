/* runtimes/http/process.c: see process.h. */
#include "runtimes/http/process.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 16384, PIECES_MAX = 64 /* in one go, so that who prints without end holds nothing up */ };

static int child_wake[2] = {-1, -1};

static void on_child(int signum)
{
        int saved = errno;

        (void)signum;
        if (write(child_wake[1], "", 1) < 0)
                errno = 0; /* full: it was told before */
        errno = saved;
}

int process_wake_fd(void)
{
        return child_wake[0];
}

static enum err_code watch_children(struct err *err)
{
        struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};

        if (pipe2(child_wake, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, "pipe");
        return sigaction(SIGCHLD, &action, NULL) < 0 ? err_sys(err, "sigaction") : ERR_OK;
}

/* What the kernel says of a program that it cannot run, in words that help. */
static enum err_code start_failed(const struct command *command, int why, struct err *err)
{
        if (why == ENOEXEC)
                return err_set(err, ERR_INVALID,
                               "'%.200s' is no program for this processor, or a script without '#!'",
                               command->program);
        if (why == ENOENT)
                return err_set(err, ERR_NOT_FOUND,
                               "the loader or interpreter that '%.200s' asks for is not in the image",
                               command->program);
        if (why == EACCES)
                return err_set(err, ERR_INVALID,
                               "'%.200s' cannot be executed: it, or a folder above it, is not for everybody",
                               command->program);
        errno = why;
        return err_sys(err, "start '%.200s'", command->program);
}

static int spawn_child(const struct command *command, const int fds[3], pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults, none;

        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE); /* ignored here, and that would be inherited */
        sigemptyset(&none);
        int failed = posix_spawn_file_actions_init(&actions);
        if (failed != 0)
                return failed;
        posix_spawnattr_init(&attributes);
        for (int to = 0; to < 3 && failed == 0; to++)
                failed = posix_spawn_file_actions_adddup2(&actions, fds[to], to);
        if (failed == 0)
                failed = posix_spawn_file_actions_addchdir_np(&actions, command->cwd);
        posix_spawnattr_setflags(&attributes,
                                 POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setsigmask(&attributes, &none);
        if (failed == 0)
                failed =
                        posix_spawn(ret_pid, command->program, &actions, &attributes, command->argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return failed;
}

enum err_code process_start(const struct command *command, struct process *ret, struct err *err)
{
        int out[2], errors[2];

        *ret = (struct process){.output = {-1, -1}};
        buf_init(&ret->tail, 2 * (size_t)PROCESS_TAIL_MAX);
        enum err_code code = watch_children(err);
        if (code != ERR_OK)
                return code;
        own_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0)
                return err_sys(err, "open /dev/null");
        if (pipe2(out, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");
        own_fd int out_end = out[1];
        ret->output[0] = out[0];
        if (pipe2(errors, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");
        own_fd int errors_end = errors[1];
        ret->output[1] = errors[0];
        for (int i = 0; i < 2; i++)
                fcntl(ret->output[i], F_SETFL, O_NONBLOCK);

        int failed = spawn_child(command, (const int[3]){null, out_end, errors_end}, &ret->pid);
        return failed == 0 ? ERR_OK : start_failed(command, failed, err);
}

void process_finish(struct process *process)
{
        for (int i = 0; i < 2; i++)
                own_fd_release(&process->output[i]);
        buf_finish(&process->tail);
}

/* Keeps the last PROCESS_TAIL_MAX bytes, roughly: it is cut only when twice as much has gathered. */
static void keep_tail(struct buf *tail, struct str text)
{
        if (text.len > PROCESS_TAIL_MAX)
                text = str_slice(text, text.len - PROCESS_TAIL_MAX, text.len);
        if (tail->len + text.len > tail->max)
                buf_consume(tail, tail->len + text.len - PROCESS_TAIL_MAX);
        buf_append(tail, text.p, text.len);
}

static void take_output(struct process *process, struct agent *agent, int which)
{
        char piece[PIECE];
        int *fd = &process->output[which];

        for (int i = 0; i < PIECES_MAX && *fd >= 0; i++) {
                ssize_t n = read(*fd, piece, sizeof(piece));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        close(take_fd(fd));
                        return;
                }
                struct str text = {piece, (size_t)n};
                keep_tail(&process->tail, text);
                /* Otherwise nobody would keep it. */
                if (process->running)
                        agent_log(agent, which + 1, text);
        }
}

static void look_for_end(struct process *process)
{
        char drop[64];
        siginfo_t info = {.si_pid = 0};

        while (read(child_wake[0], drop, sizeof(drop)) > 0)
                ;
        if (process->ended || waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG) < 0 ||
            info.si_pid != process->pid)
                return;
        process->ended = true;
        process->by_signal = info.si_code != CLD_EXITED;
        process->status = info.si_status;
}

void process_tend(struct process *process, struct agent *agent)
{
        /* Its end first: then what is read below is all that it has printed. */
        look_for_end(process);
        take_output(process, agent, 0);
        take_output(process, agent, 1);
}

size_t process_lines(const struct process *process, struct str lines[PROCESS_LINES_MAX])
{
        struct str rest = str_trim((struct str){process->tail.data, process->tail.len}, "\r\n");
        size_t count = 0;

        while (rest.len > 0 && count < PROCESS_LINES_MAX) {
                const char *found = memrchr(rest.p, '\n', rest.len);
                size_t from = found != NULL ? (size_t)(found - rest.p) + 1 : 0;
                lines[count++] = str_trim(str_slice(rest, from, rest.len), "\r");
                rest = str_slice(rest, 0, from > 0 ? from - 1 : 0);
        }
        for (size_t i = 0; i < count / 2; i++) {
                struct str swap = lines[i];
                lines[i] = lines[count - 1 - i];
                lines[count - 1 - i] = swap;
        }
        return count;
}

void process_follow(const struct process *process)
{
        sigset_t only;

        if (process->by_signal) {
                sigemptyset(&only);
                sigaddset(&only, process->status);
                signal(process->status, SIG_DFL);
                sigprocmask(SIG_UNBLOCK, &only, NULL);
                raise(process->status);
        }
        _exit(process->by_signal ? 128 + process->status : process->status);
}
