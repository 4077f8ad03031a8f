/*
 * sandbox/sandbox.c: spawn's side of a sandbox: clone, map, move into the cgroup, say go; then the talk with
 * its init, and its end.
 */
#include "sandbox/sandbox.h"

#include "base/own.h"
#include "base/seqpacket.h"
#include "sandbox/below.h"
#include "sandbox/child.h"
#include "sandbox/init_wire.h"
#include "sandbox/sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OOM_SCORE = 600 };

#define TO(state) (1U << SANDBOX_##state)

static const struct {
        const char *name;
        unsigned next;
} states[] = {
        [SANDBOX_MAKING] = {"making", TO(READY) | TO(STARTING) | TO(GONE)},
        [SANDBOX_READY] = {"ready", TO(STARTING) | TO(RUNNING) | TO(GONE)},
        [SANDBOX_STARTING] = {"starting", TO(RUNNING) | TO(GONE)},
        [SANDBOX_RUNNING] = {"running", TO(GONE)},
        [SANDBOX_GONE] = {"gone", 0},
};

static void move_to(struct sandbox *sandbox, enum sandbox_state state)
{
        assert(states[sandbox->state].next & (1U << state));
        sandbox->state = state;
}

enum err_code sandbox_host_init(struct sandbox_host *host, int init_fd, int dir_fd, const char *folder,
                                struct err *err)
{
        host->init_fd = init_fd;
        host->self_fd = pidfd_open(getpid(), 0);
        if (host->self_fd < 0)
                return err_sys(err, "pidfd_open");
        host->net_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (host->net_fd < 0)
                return err_sys(err, "open the network namespace");
        return mounts_host_init(&host->mounts, dir_fd, folder, err);
}

enum err_code sandbox_host_enter(struct err *err)
{
        /* A kernel without keyrings has nothing to leave. */
        if (sys_keyring_join() < 0 && errno != ENOSYS)
                return err_sys(err, "join a session keyring");
        return mounts_host_enter(err);
}

void sandbox_host_finish(struct sandbox_host *host)
{
        if (host->self_fd >= 0)
                close(host->self_fd);
        host->self_fd = -1;
        if (host->net_fd >= 0)
                close(host->net_fd);
        host->net_fd = -1;
        mounts_host_finish(&host->mounts);
}

static enum err_code proc_write(pid_t pid, const char *name, const char *text, struct err *err)
{
        char path[48];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
        own_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return err_sys(err, "write %s", path);
        return ERR_OK;
}

/* One user and one group: the sandbox's. Or a range of both, from its root on. */
static enum err_code user_map(pid_t pid, const struct sandbox_spec *spec, struct err *err)
{
        char text[48];

        if (spec->uid_count > 1)
                snprintf(text, sizeof(text), "0 %u %u", (unsigned)spec->uid, (unsigned)spec->uid_count);
        else
                snprintf(text, sizeof(text), "%u %u 1", (unsigned)SANDBOX_UID, (unsigned)spec->uid);
        enum err_code code = proc_write(pid, "gid_map", text, err);
        if (code == ERR_OK)
                code = proc_write(pid, "uid_map", text, err);
        return code;
}

static enum err_code child_prepare(const struct sandbox *sandbox, const struct sandbox_spec *spec,
                                   struct err *err)
{
        char score[16];
        enum err_code code = spec->fork_server ? ERR_OK : user_map(sandbox->pid, spec, err);

        if (code != ERR_OK)
                return code;
        snprintf(score, sizeof(score), "%d", OOM_SCORE);
        code = proc_write(sandbox->pid, "oom_score_adj", score, err);
        if (code == ERR_OK && send(sandbox->control_fd, "", 1, MSG_NOSIGNAL) < 0)
                code = err_sys(err, "let the sandbox go on");
        return code;
}

enum err_code sandbox_make(const struct sandbox_host *host, const struct sandbox_spec *spec,
                           struct sandbox *ret, struct err *err)
{
        struct sandbox sandbox = {.state = SANDBOX_MAKING, .pid_fd = -1};
        int into = cgroup_clone_fd(spec->cgroup);
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, "socketpair");
        own_fd int mine = pair[0], theirs = pair[1];
        struct clone_args args = {
                /* The other namespaces are made by the child, beside this thread; see child.c. */
                .flags = CLONE_NEWPID | CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
                         (spec->fork_server ? 0 : CLONE_NEWUSER) | (into >= 0 ? CLONE_INTO_CGROUP : 0),
                .pidfd = (uint64_t)(uintptr_t)&sandbox.pid_fd,
                .exit_signal = SIGCHLD,
                .cgroup = into >= 0 ? (uint64_t)into : 0,
        };
        if (spec->network != NULL)
                network_enter(spec->network->ns_fd);
        sandbox.pid = spec->below != NULL ? below_clone(host, spec, &args, pair, &sandbox.pid_fd)
                                          : sys_clone3(&args);
        int saved = errno;
        if (sandbox.pid != 0 && spec->network != NULL)
                network_enter(host->net_fd);
        errno = saved;
        if (sandbox.pid < 0)
                return err_sys(err, "clone the sandbox");
        if (sandbox.pid == 0) {
                close(mine); /* or it would never see the end of the pair when this process is killed right
                                now */
                child_main(host, spec, theirs);
        }

        sandbox.control_fd = take_fd(&mine);
        enum err_code code = child_prepare(&sandbox, spec, err);
        if (code != ERR_OK) {
                sandbox_finish(&sandbox);
                return code;
        }
        *ret = sandbox;
        return ERR_OK;
}

int sandbox_output_create(const char *name)
{
        own_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, SANDBOX_OUTPUT_BYTES) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
                return -1;
        return take_fd(&fd);
}

static enum err_code start_send(int fd, const struct init_start *start, const int *fds, size_t count,
                                struct err *err)
{
        char space[CMSG_SPACE(INIT_FDS_MAX * sizeof(int))] __attribute__((aligned(8))) = {0};
        struct iovec iov = {.iov_base = (void *)start, .iov_len = sizeof(*start)};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

        assert(count <= INIT_FDS_MAX);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
        if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return err_sys(err, "send the process to the sandbox");
        return ERR_OK;
}

/* The other end is closed: what it said before says why. */
static enum err_code last_report(struct sandbox *sandbox, struct err *err)
{
        enum err_code code;

        do {
                code = sandbox_report(sandbox, err);
        } while (code == ERR_OK);
        return code;
}

enum err_code sandbox_start(struct sandbox *sandbox, const struct sandbox_process *process, struct err *err)
{
        struct init_start start = {.argc = process->argc,
                                   .executable_given = process->program_fd >= 0,
                                   .lingers = process->lingers};
        int fds[INIT_FDS_MAX];
        size_t count = 0;

        assert(process->argv_len <= sizeof(start.argv));
        assert(process->fd_count <= sizeof(process->fds) / sizeof(process->fds[0]));
        memcpy(start.argv, process->argv, process->argv_len);

        own_fd int out =
                process->output ? sandbox_output_create("stdout") : open("/dev/null", O_WRONLY | O_CLOEXEC);
        own_fd int errors =
                process->output ? sandbox_output_create("stderr") : fcntl(out, F_DUPFD_CLOEXEC, 3);
        if (out < 0 || errors < 0)
                return err_sys(err, "make the files for output");
        fds[count++] = out;
        fds[count++] = errors;
        for (size_t i = 0; i < process->fd_count; i++)
                fds[count++] = process->fds[i];
        if (process->program_fd >= 0)
                fds[count++] = process->program_fd;

        enum err_code code = start_send(sandbox->control_fd, &start, fds, count, err);
        if (code == ERR_OK)
                move_to(sandbox, SANDBOX_STARTING);
        else if (errno == EPIPE || errno == ECONNRESET)
                code = last_report(sandbox, err);
        return code;
}

enum err_code sandbox_adopt(struct sandbox *sandbox, int32_t pid, struct err *err)
{
        struct init_start start = {.adopt = pid};

        assert(sandbox->state == SANDBOX_READY && pid > 0);
        if (send(sandbox->control_fd, &start, sizeof(start), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return err_sys(err, "tell the sandbox of its process");
        move_to(sandbox, SANDBOX_RUNNING);
        return ERR_OK;
}

static enum err_code report_failed(const struct init_report *report, struct err *err)
{
        if (report->value == ENOENT)
                return err_set(err, ERR_SYSTEM, "make the sandbox: %.*s: the image has no such folder",
                               (int)sizeof(report->text), report->text);
        return err_set(err, ERR_SYSTEM, "make the sandbox: %.*s: %s", (int)sizeof(report->text), report->text,
                       strerror(report->value));
}

enum err_code sandbox_report(struct sandbox *sandbox, struct err *err)
{
        struct init_report report;
        ssize_t got = seqpacket_recv(sandbox->control_fd, &report, sizeof(report), MSG_DONTWAIT);

        if (got < 0 && errno == EAGAIN)
                return err_set(err, ERR_LIMIT, "nothing to read");
        if (got != sizeof(report))
                return err_set(err, ERR_UNAVAILABLE, "the sandbox ended while it was being made");
        switch ((enum init_op)report.op) {
        case INIT_FAILED:
                return report_failed(&report, err);
        case INIT_NOT_STARTED:
                return err_set(err, ERR_SYSTEM, "run the program in the sandbox: %s", strerror(report.value));
        case INIT_READY:
                if (sandbox->state == SANDBOX_MAKING)
                        move_to(sandbox, SANDBOX_READY);
                return ERR_OK;
        case INIT_STARTED:
                move_to(sandbox, SANDBOX_RUNNING);
                return ERR_OK;
        case INIT_EXITED:
                sandbox->exited = true;
                sandbox->wait_status = report.value;
                return ERR_OK;
        }
        return err_set(err, ERR_SYSTEM, "the sandbox's init says something unknown");
}

void sandbox_kill(struct sandbox *sandbox)
{
        /* It is not reaped before sandbox_reap, so the descriptor names it even when it is dead. */
        if (sandbox->state != SANDBOX_GONE)
                (void)pidfd_send_signal(sandbox->pid_fd, SIGKILL, NULL, 0);
}

void sandbox_stop(struct sandbox *sandbox)
{
        assert(sandbox->state == SANDBOX_RUNNING);
        (void)pidfd_send_signal(sandbox->pid_fd, SIGTERM, NULL, 0);
}

bool sandbox_reap(struct sandbox *sandbox, bool *ret_by_signal, int *ret_value)
{
        siginfo_t info = {.si_pid = 0};

        assert(sandbox->state != SANDBOX_GONE);
        if (waitid(P_PIDFD, (id_t)sandbox->pid_fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return false;
        while (!sandbox->exited && sandbox_report(sandbox, NULL) == ERR_OK)
                ;
        move_to(sandbox, SANDBOX_GONE);
        if (!sandbox->exited) {
                *ret_by_signal = true;
                *ret_value = SIGKILL;
        } else {
                *ret_by_signal = WIFSIGNALED(sandbox->wait_status);
                *ret_value =
                        *ret_by_signal ? WTERMSIG(sandbox->wait_status) : WEXITSTATUS(sandbox->wait_status);
        }
        return true;
}

void sandbox_finish(struct sandbox *sandbox)
{
        siginfo_t info;

        if (sandbox->pid == 0)
                return;
        if (sandbox->state != SANDBOX_GONE) {
                sandbox_kill(sandbox);
                while (waitid(P_PIDFD, (id_t)sandbox->pid_fd, &info, WEXITED) < 0 && errno == EINTR)
                        ;
        }
        close(sandbox->pid_fd);
        close(sandbox->control_fd);
        *sandbox = (struct sandbox){.state = SANDBOX_GONE};
}
