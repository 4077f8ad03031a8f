/* runtimes/native/run.c: see run.h. */
#include "runtimes/native/run.h"

#include "base/clock.h"
#include "base/own.h"
#include "runtimes/native/leftovers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;

enum { PIECE = 65536, POLL_FOREVER = -1 };

/* Written by the SIGCHLD handler; the loop reads it. */
static int child_wake[2] = {-1, -1};

struct run {
        struct agent *agent;
        struct run_result *result;
        pid_t pid;
        int in, out, err; /* our ends, not blocking; -1 once closed */
        struct str input; /* what is left of it */
        bool watch_agent;
        bool killed;          /* by us; result->end says why */
        uint64_t deadline_ms; /* 0: none */
};

static void on_sigchld(int signum)
{
        int saved = errno;

        (void)signum;
        if (write(child_wake[1], "", 1) < 0)
                errno = 0; /* full: the loop is told already */
        errno = saved;
}

void run_renew(void)
{
        if (child_wake[0] < 0)
                return; /* nothing was loaded yet */
        for (int i = 0; i < 2; i++)
                own_fd_release(&child_wake[i]);
        if (pipe2(child_wake, O_CLOEXEC | O_NONBLOCK) < 0)
                _exit(1); /* as when it cannot start */
        leftovers_adopt();
}

enum err_code run_setup(struct agent *agent, struct err *err)
{
        struct sigaction action = {.sa_handler = on_sigchld, .sa_flags = SA_RESTART | SA_NOCLDSTOP};

        /* 3 is the context's in the child; keep the pipes of a run away from it. */
        if (fcntl(RUN_CONTEXT_FD, F_GETFD) < 0) {
                own_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (null < 0 || (null != RUN_CONTEXT_FD && dup3(null, RUN_CONTEXT_FD, O_CLOEXEC) < 0))
                        return err_sys(err, "reserve descriptor %d", RUN_CONTEXT_FD);
                if (null == RUN_CONTEXT_FD)
                        take_fd(&null);
        }
        if (pipe2(child_wake, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, "pipe");
        if (sigaction(SIGCHLD, &action, NULL) < 0)
                return err_sys(err, "sigaction");
        agent_fork_keeps(agent, child_wake[0]);
        agent_fork_keeps(agent, child_wake[1]);
        leftovers_adopt();
        return ERR_OK;
}

void run_result_finish(struct run_result *result)
{
        buf_finish(&result->output);
        buf_finish(&result->tail);
}

static enum err_code context_file(struct str context, int *ret_fd, struct err *err)
{
        own_fd int fd = memfd_create("context", MFD_CLOEXEC);
        size_t at = 0;

        if (fd < 0)
                return err_sys(err, "memfd_create");
        while (at < context.len) {
                ssize_t n = pwrite(fd, context.p + at, context.len - at, (off_t)at);
                if (n <= 0)
                        return err_sys(err, "write the context");
                at += (size_t)n;
        }
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

/* The child's descriptors 0 to 3, a session of its own and the signals as a program expects them. */
static int spawn_child(const struct program *program, const int fds[4], pid_t *ret_pid)
{
        bool scripted = program->interpreter[0] != '\0';
        char *argv[4];
        size_t argc = 0;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults, none;

        if (scripted)
                argv[argc++] = (char *)program->interpreter;
        if (scripted && program->argument[0] != '\0')
                argv[argc++] = (char *)program->argument;
        argv[argc++] = (char *)program->path;
        argv[argc] = NULL;

        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE); /* ignored here, and that would be inherited */
        sigemptyset(&none);
        int failed = posix_spawn_file_actions_init(&actions);
        if (failed != 0)
                return failed;
        posix_spawnattr_init(&attributes);
        for (int to = 0; to < 4 && failed == 0; to++)
                failed = posix_spawn_file_actions_adddup2(&actions, fds[to], to);
        posix_spawnattr_setflags(&attributes,
                                 POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setsigmask(&attributes, &none);
        if (failed == 0)
                failed = posix_spawn(ret_pid, scripted ? program->interpreter : program->path, &actions,
                                     &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return failed;
}

/* A pipe above the descriptors that the child gets; our end does not block. */
static enum err_code open_pipe(int ends[2], int ours, struct err *err)
{
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "pipe");
        assert(ends[0] > RUN_CONTEXT_FD && ends[1] > RUN_CONTEXT_FD);
        fcntl(ends[ours], F_SETFL, O_NONBLOCK);
        return ERR_OK;
}

/* Standard input, output and error: read end, write end. */
struct pipes {
        int in[2], out[2], err[2];
};

static void pipes_close(struct pipes *pipes)
{
        for (int i = 0; i < 2; i++) {
                own_fd_release(&pipes->in[i]);
                own_fd_release(&pipes->out[i]);
                own_fd_release(&pipes->err[i]);
        }
}

static enum err_code start(struct run *run, const struct program *program, struct str context,
                           struct err *err)
{
        __attribute__((cleanup(pipes_close))) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
        own_fd int context_fd = -1;

        enum err_code code = open_pipe(pipes.in, 1, err);
        if (code == ERR_OK)
                code = open_pipe(pipes.out, 0, err);
        if (code == ERR_OK)
                code = open_pipe(pipes.err, 0, err);
        if (code == ERR_OK)
                code = context_file(context, &context_fd, err);
        if (code != ERR_OK)
                return code;

        errno = spawn_child(program, (const int[4]){pipes.in[0], pipes.out[1], pipes.err[1], context_fd},
                            &run->pid);
        if (errno != 0)
                return err_sys(err, "start '%.200s'", program->path);
        run->in = take_fd(&pipes.in[1]);
        run->out = take_fd(&pipes.out[0]);
        run->err = take_fd(&pipes.err[0]);
        return ERR_OK;
}

static void close_end(int *fd)
{
        own_fd_release(fd);
        *fd = -1;
}

/* Ends the run early; the first reason counts. */
static void stop(struct run *run, enum run_end why)
{
        if (run->killed)
                return;
        run->killed = true;
        run->result->end = why;
        kill(-run->pid, SIGKILL);
        kill(run->pid, SIGKILL);
}

static void feed_input(struct run *run)
{
        while (run->in >= 0 && run->input.len > 0) {
                ssize_t n = write(run->in, run->input.p, run->input.len < PIECE ? run->input.len : PIECE);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0)
                        break; /* it reads no more; that is its business */
                run->input = str_slice(run->input, (size_t)n, run->input.len);
        }
        close_end(&run->in);
}

/* One read. False at the end of the stream or when there is nothing now. */
static bool read_piece(int *fd, char *piece, struct str *ret)
{
        for (;;) {
                ssize_t n = read(*fd, piece, PIECE);
                if (n > 0) {
                        *ret = (struct str){piece, (size_t)n};
                        return true;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n == 0 || errno != EAGAIN)
                        close_end(fd);
                return false;
        }
}

static void take_output(struct run *run)
{
        char piece[PIECE];
        struct str text;

        while (run->out >= 0 && read_piece(&run->out, piece, &text)) {
                if (buf_append(&run->result->output, text.p, text.len) != ERR_OK) {
                        stop(run, RUN_TOO_LARGE);
                        close_end(&run->out);
                }
        }
}

/* Keeps the last RUN_TAIL_MAX bytes, roughly: it is cut only when twice as much has gathered. */
static void keep_tail(struct buf *tail, struct str text)
{
        if (text.len > RUN_TAIL_MAX)
                text = str_slice(text, text.len - RUN_TAIL_MAX, text.len);
        if (tail->len + text.len > tail->max)
                buf_consume(tail, tail->len + text.len - RUN_TAIL_MAX);
        buf_append(tail, text.p, text.len);
}

static void take_log(struct run *run)
{
        char piece[PIECE];
        struct str text;

        while (run->err >= 0 && read_piece(&run->err, piece, &text)) {
                agent_log(run->agent, 2, text);
                keep_tail(&run->result->tail, text);
        }
}

/* True once the program itself has ended; it is not reaped yet, so its number is still its own. */
static bool has_ended(const struct run *run, siginfo_t *info)
{
        char drop[64];

        while (read(child_wake[0], drop, sizeof(drop)) > 0)
                ;
        info->si_pid = 0;
        return waitid(P_PID, (id_t)run->pid, info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info->si_pid == run->pid;
}

static int poll_timeout(const struct run *run)
{
        if (run->deadline_ms == 0 || run->killed)
                return POLL_FOREVER;
        uint64_t now = clock_mono_ms();
        uint64_t left = run->deadline_ms > now ? run->deadline_ms - now : 0;
        return left < INT_MAX ? (int)left : INT_MAX;
}

/* Waits for anything and handles what is there. */
static void step(struct run *run)
{
        struct pollfd fds[] = {
                {.fd = run->out, .events = POLLIN},
                {.fd = run->err, .events = POLLIN},
                {.fd = run->in, .events = POLLOUT},
                {.fd = child_wake[0], .events = POLLIN},
                {.fd = run->watch_agent ? agent_poll_fd(run->agent) : -1, .events = POLLIN},
        };

        int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), poll_timeout(run));
        if (ready == 0)
                stop(run, RUN_TIMED_OUT);
        if (ready <= 0)
                return;
        if (fds[0].revents != 0)
                take_output(run);
        if (fds[1].revents != 0)
                take_log(run);
        if (fds[2].revents != 0)
                feed_input(run);
        if (fds[4].revents != 0 && !agent_poll(run->agent)) {
                run->watch_agent = false;
                stop(run, RUN_GONE);
        }
}

/* Reads what is left in the pipes: nobody holds the other ends any more. */
static void finish(struct run *run, const siginfo_t *info)
{
        struct run_result *result = run->result;

        kill(-run->pid, SIGKILL);
        result->leftovers_gone = leftovers_kill();
        take_output(run);
        take_log(run);
        close_end(&run->in);
        close_end(&run->out);
        close_end(&run->err);
        if (run->killed)
                return;
        result->end = info->si_code == CLD_EXITED ? RUN_EXITED : RUN_KILLED;
        result->status = info->si_status;
}

enum err_code run_program(struct agent *agent, const struct program *program, struct str input,
                          struct str context, uint64_t output_bytes_max, uint64_t timeout_ms,
                          struct run_result *ret, struct err *err)
{
        struct run run = {.agent = agent, .result = ret, .in = -1, .out = -1, .err = -1, .input = input};
        siginfo_t info;

        *ret = (struct run_result){.leftovers_gone = true};
        buf_init(&ret->output, (size_t)output_bytes_max);
        buf_init(&ret->tail, 2 * (size_t)RUN_TAIL_MAX);
        run.watch_agent = true;
        run.deadline_ms = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
        enum err_code code = start(&run, program, context, err);
        if (code != ERR_OK)
                return code;
        while (!has_ended(&run, &info))
                step(&run);
        finish(&run, &info);
        return ERR_OK;
}
