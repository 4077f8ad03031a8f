/*
 * spawn/main.c: dispatch-spawn: what `dispatch-server` becomes. Runs as root, makes sandboxes, starts and
 * watches the server, which does everything else as an ordinary user.
 */
#include "base/log.h"
#include "spawn/egress.h"
#include "spawn/layers.h"
#include "spawn/leftovers.h"
#include "spawn/link.h"
#include "spawn/server.h"
#include "spawn/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEEP_AGAIN_MS = 20, END_MS_MAX = 5000 };

static void on_remover_done(struct worker *worker, enum err_code code)
{
        struct spawn *spawn = OWNER_OF(worker, struct spawn, remover);

        (void)code; /* it has said what went wrong */
        if (spawn->remover_wanted)
                spawn_remover_wake(spawn);
}

void spawn_remover_wake(struct spawn *spawn)
{
        struct worker_task task = {.run = layers_remove,
                                   .layers_fd = spawn->state.layers_fd,
                                   .staging_fd = spawn->state.staging_fd,
                                   .blobs_fd = -1};
        struct err err;

        spawn->remover_wanted = spawn->remover.pid != 0;
        if (spawn->remover_wanted)
                return;
        if (worker_start(&spawn->remover, &spawn->events, &task, on_remover_done, &err) != ERR_OK)
                log_error("removing old layers: %s", err.text);
}

static void on_signal(struct events_source *source, uint32_t epoll_events)
{
        struct spawn *spawn = OWNER_OF(source, struct spawn, signals);
        struct signalfd_siginfo info;

        (void)epoll_events;
        if (read(source->fd, &info, sizeof(info)) != sizeof(info))
                return;
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
                servers_stop(spawn);
                break;
        case SIGUSR2:
                server_upgrade(spawn);
                break;
        case SIGHUP:
                servers_reload(spawn);
                break;
        default:
                break;
        }
}

static enum err_code signals_open(struct spawn *spawn, struct err *err)
{
        sigset_t wanted;

        sigemptyset(&wanted);
        sigaddset(&wanted, SIGTERM);
        sigaddset(&wanted, SIGINT);
        sigaddset(&wanted, SIGUSR2);
        sigaddset(&wanted, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &wanted, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return err_sys(err, "block signals");
        int fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return err_sys(err, "signalfd");
        return events_add(&spawn->events, &spawn->signals, fd, EPOLLIN, on_signal, err);
}

/* 0 to 2 are there, so that no other file ever is one of them; whatever else came along is not for the
 * server. */
static enum err_code standard_descriptors_ensure(struct err *err)
{
        int fd;

        do {
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        return err_sys(err, "open /dev/null");
        } while (fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
        close(fd);
        return close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ? err_sys(err, "close_range") : ERR_OK;
}

static void descriptors_raise(void)
{
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                return;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* A program that lies beside this one. */
static int beside_open(const char *name)
{
        char path[PATH_MAX];
        ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (len < 0)
                return -1;
        path[len] = '\0';
        char *slash = strrchr(path, '/');
        if (slash == NULL || strlen(name) >= (size_t)(path + sizeof(path) - (slash + 1)))
                return -1;
        memcpy(slash + 1, name, strlen(name) + 1);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static enum err_code runtimes_open(struct spawn *spawn, struct err *err)
{
        spawn->runtime_fd = open(spawn->options.runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (spawn->runtime_fd < 0)
                return err_sys(err, "open the folder of the runtimes %s", spawn->options.runtime_dir);
        return ERR_OK;
}

/* Before the mount namespace changes: in a chroot, /proc/self/exe makes no sense after that. */
static enum err_code programs_open(struct spawn *spawn, struct err *err)
{
        spawn->helper_fd = open(spawn->options.build_helper, O_RDONLY | O_CLOEXEC);
        if (spawn->helper_fd < 0)
                return err_sys(err, "open the build helper %s", spawn->options.build_helper);
        spawn->host.init_fd = beside_open("dispatch-init");
        if (spawn->host.init_fd < 0)
                return err_sys(err, "open dispatch-init beside dispatch-spawn");
        spawn->dns_fd = beside_open("dispatch-dns");       /* -1: egress says so when it needs it */
        spawn->inside_fd = beside_open("dispatch-inside"); /* -1: a build says so when it needs it */
        spawn->system_fd = beside_open("dispatch-system");
        return ERR_OK;
}

static enum err_code listeners_open(struct spawn *spawn, struct err *err)
{
        const struct options *options = &spawn->options;

        for (size_t i = 0; i < options->listen_count; i++) {
                enum err_code code = listen_add(&spawn->listeners, options->listen[i], options->loops,
                                                spawn->state.uid, spawn->state.gid, err);
                if (code != ERR_OK)
                        return code;
        }
        spawn->listeners_text = listen_describe(&spawn->listeners);
        return spawn->listeners_text == NULL ? err_nomem(err) : ERR_OK;
}

/* Folders are opened after the mount namespace has changed; see sandbox_host_enter. */
static enum err_code host_open(struct spawn *spawn, struct err *err)
{
        char cgroup[STATE_CGROUP_NAME_MAX];
        uid_t uid;
        gid_t gid;

        enum err_code code = state_user_find(spawn->options.user, &uid, &gid, err);
        if (code == ERR_OK)
                code = programs_open(spawn, err);
        if (code == ERR_OK)
                code = sandbox_host_enter(err);
        if (code == ERR_OK)
                code = state_open(spawn->options.state_dir, uid, gid, &spawn->state, err);
        if (code == ERR_OK)
                code = listeners_open(spawn, err);
        if (code == ERR_OK)
                code = runtimes_open(spawn, err);
        if (code == ERR_OK)
                code = sandbox_host_init(&spawn->host, spawn->host.init_fd, spawn->state.mnt_fd, "dev", err);
        if (code != ERR_OK)
                return code;
        state_cgroup_name(&spawn->state, cgroup);
        code = cgroup_tree_create(spawn->state.fd, cgroup, &spawn->cgroups, err);
        if (code != ERR_OK)
                return code;
        cgroup_tree_quotas(spawn->cgroups, spawn->options.quotas, spawn->options.quota_count);
        leftovers_keep(&spawn->state);
        return state_discard_leftovers(&spawn->state, err);
}

static enum err_code spawn_open(struct spawn *spawn, struct err *err)
{
        enum err_code code = host_open(spawn, err);

        if (code != ERR_OK)
                return code;
        egress_clear(spawn);
        instances_init(&spawn->instances);
        code = signals_open(spawn, err);
        if (code != ERR_OK)
                return code;
        spawn_remover_wake(spawn);
        return server_start(spawn, err);
}

static void on_sweep_again(struct events_timer *timer)
{
        (void)timer; /* the turn of the loop that follows calls idle */
}

/* Between requests: one cgroup at a time, since removing one may take milliseconds. */
static bool on_idle(void *arg)
{
        struct spawn *spawn = arg;
        size_t before = cgroup_sweep(spawn->cgroups, 0);

        if (before == 0)
                return false;
        size_t left = cgroup_sweep(spawn->cgroups, 1);
        if (left < before)
                return left > 0;
        if (spawn->sweep.at_ms == 0) {
                spawn->sweep.fire = on_sweep_again;
                events_timer_start(&spawn->events, &spawn->sweep, SWEEP_AGAIN_MS);
        }
        return false;
}

static void on_end_deadline(struct events_timer *timer)
{
        struct spawn *spawn = OWNER_OF(timer, struct spawn, restart);

        spawn->events.stop = true;
}

static bool on_end_idle(void *arg)
{
        struct spawn *spawn = arg;

        spawn->events.stop = spawn->instances.count == 0;
        return false;
}

/* The servers are gone: ends what ran for them, and waits for it. */
static void instances_end(struct spawn *spawn)
{
        struct err err;

        instances_kill_all(&spawn->instances);
        spawn->events.stop = spawn->instances.count == 0;
        spawn->restart.fire = on_end_deadline;
        events_timer_start(&spawn->events, &spawn->restart, END_MS_MAX);
        if (events_run(&spawn->events, on_end_idle, spawn, &err) != ERR_OK)
                log_error("%s", err.text);
}

static void spawn_close(struct spawn *spawn)
{
        servers_finish(spawn);
        instances_end(spawn);
        egress_finish(spawn);
        worker_finish(&spawn->remover);
        cgroup_tree_destroy(spawn->cgroups);
        listen_finish(&spawn->listeners);
        free(spawn->listeners_text);
        sandbox_host_finish(&spawn->host);
        events_finish(&spawn->events);
        state_finish(&spawn->state);
}

static void spawn_init(struct spawn *spawn)
{
        spawn->signals.fd = -1;
        spawn->state =
                (struct state){.fd = -1, .lock_fd = -1, .layers_fd = -1, .staging_fd = -1, .mnt_fd = -1};
        spawn->host =
                (struct sandbox_host){.mounts = {.dev_fd = -1}, .init_fd = -1, .self_fd = -1, .net_fd = -1};
        spawn->runtime_fd = spawn->helper_fd = spawn->inside_fd = spawn->dns_fd = spawn->system_fd = -1;
        for (size_t i = 0; i < BUILDROOT_KINDS; i++)
                spawn->build_roots[i] = -1;
        spawn->remover.exit.fd = -1;
}

int main(int argc, char **argv)
{
        static struct spawn spawn;
        struct err err;

        spawn_init(&spawn);
        enum err_code code = standard_descriptors_ensure(&err);
        if (code == ERR_OK)
                code = options_parse(argc, argv, &spawn.options, &err);
        if (code == ERR_OK && geteuid() != 0)
                code = err_set(&err, ERR_FORBIDDEN,
                               "run it as root: it makes sandboxes, and starts the server as "
                               "an ordinary user (--user)");
        if (code != ERR_OK) {
                log_error("%s", err.text);
                return 1;
        }
        umask(022);
        descriptors_raise();
        code = events_init(&spawn.events, &err);
        if (code == ERR_OK)
                code = spawn_open(&spawn, &err);
        if (code == ERR_OK)
                code = events_run(&spawn.events, on_idle, &spawn, &err);
        if (code != ERR_OK)
                log_error("%s", err.text);
        spawn_close(&spawn);
        return code != ERR_OK ? 1 : spawn.exit_status;
}
