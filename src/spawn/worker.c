/* spawn/worker.c: forks, watches and reaps a worker. */
#include "spawn/worker.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

/* The lock, the links and the listening sockets must not live longer than spawn because of a worker. */
static int descriptors_keep(struct worker_task *task)
{
        int layers = fcntl(task->layers_fd, F_DUPFD_CLOEXEC, FIRST_FD + 3);
        int staging = fcntl(task->staging_fd, F_DUPFD_CLOEXEC, FIRST_FD + 3);
        int blobs = task->blobs_fd >= 0 ? fcntl(task->blobs_fd, F_DUPFD_CLOEXEC, FIRST_FD + 3) : -1;

        if (task->blobs_fd >= 0 && (blobs < 0 || dup2(blobs, FIRST_FD + 2) < 0))
                return -1;
        if (layers < 0 || staging < 0 || dup2(layers, FIRST_FD) < 0 || dup2(staging, FIRST_FD + 1) < 0)
                return -1;
        task->layers_fd = FIRST_FD;
        task->staging_fd = FIRST_FD + 1;
        if (task->blobs_fd < 0)
                return close_range(FIRST_FD + 2, ~0U, 0);
        task->blobs_fd = FIRST_FD + 2;
        return close_range(FIRST_FD + 3, ~0U, 0);
}

_Noreturn static void child_main(struct worker_task task, pid_t parent)
{
        struct err err;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || descriptors_keep(&task) < 0)
                _exit(ERR_SYSTEM);
        enum err_code code = task.run(&task, &err);
        if (code != ERR_OK && code != ERR_CONFLICT)
                log_error("%s", err.text);
        _exit((int)code);
}

static void on_exit_ready(struct events_source *source, uint32_t epoll_events)
{
        struct worker *worker = OWNER_OF(source, struct worker, exit);
        siginfo_t info = {.si_pid = 0};

        (void)epoll_events;
        if (waitid(P_PIDFD, (id_t)worker->pid_fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return;
        events_remove(worker->events, &worker->exit);
        close(worker->pid_fd);
        worker->pid = 0;
        bool told = info.si_code == CLD_EXITED && info.si_status < ERR_CODE_COUNT;
        worker->done(worker, told ? (enum err_code)info.si_status : ERR_SYSTEM);
}

enum err_code worker_start(struct worker *worker, struct events *events, const struct worker_task *task,
                           void (*done)(struct worker *worker, enum err_code code), struct err *err)
{
        pid_t self = getpid();

        assert(worker->pid == 0);
        pid_t pid = fork();
        if (pid < 0)
                return err_sys(err, "fork a worker");
        if (pid == 0)
                child_main(*task, self);
        *worker = (struct worker){.events = events, .pid = pid, .pid_fd = pidfd_open(pid, 0), .done = done};
        worker->exit.fd = -1;
        enum err_code code = worker->pid_fd < 0 ? err_sys(err, "pidfd_open")
                                                : events_add(events, &worker->exit, worker->pid_fd, EPOLLIN,
                                                             on_exit_ready, err);
        if (code != ERR_OK)
                worker_finish(worker);
        return code;
}

void worker_finish(struct worker *worker)
{
        if (worker->pid == 0)
                return;
        events_remove(worker->events, &worker->exit);
        (void)kill(worker->pid, SIGKILL);
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (worker->pid_fd >= 0)
                close(worker->pid_fd);
        worker->pid = 0;
}
