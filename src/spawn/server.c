/* spawn/server.c: the life of the server processes. */
#include "spawn/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "sandbox/rights.h"
#include "sandbox/sys.h"
#include "spawn/credentials.h"
#include "spawn/link.h"
#include "spawn/spawn.h"
#include "spawn/view.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        BACKOFF_MS_FIRST = 100,
        BACKOFF_MS_MAX = 5000,
        HEALTHY_MS = 10000, /* a server that was ready for so long does not count as a failure */
        LINKS_MAX = OPTIONS_LOOPS_MAX + 1
};

enum server_state { SERVER_STARTING, SERVER_READY, SERVER_DRAINING, SERVER_GONE };

struct server {
        struct events_source exit;
        struct events_timer deadline; /* of its start in an upgrade, then of its drain */
        struct spawn *spawn;
        struct server *next;
        enum server_state state;
        uint32_t generation;
        pid_t pid;
        int pid_fd;
        uint64_t ready_ms;
        uint64_t credential_sets; /* that it was sent */
        size_t link_count;
        struct link links[]; /* the control link, then one a loop */
};

#define TO(state) (1U << SERVER_##state)

static const struct {
        const char *name;
        unsigned next;
} states[] = {
        [SERVER_STARTING] = {"starting", TO(READY) | TO(DRAINING) | TO(GONE)},
        [SERVER_READY] = {"ready", TO(DRAINING) | TO(GONE)},
        [SERVER_DRAINING] = {"draining", TO(GONE)},
        [SERVER_GONE] = {"gone", 0},
};

static void move_to(struct server *server, enum server_state state)
{
        assert(states[server->state].next & (1U << state));
        log_debug("server %u: %s to %s", server->generation, states[server->state].name, states[state].name);
        server->state = state;
}

/* What the new process is given. */
struct inheritance {
        const struct spawn *spawn;
        int fds[LINKS_MAX];
        size_t fd_count;
        pid_t parent;
};

static int environment_set(const struct inheritance *given)
{
        const struct spawn *spawn = given->spawn;
        char links[LINKS_MAX * 12];
        size_t used = 0;

        for (size_t i = 0; i < given->fd_count; i++)
                used += (size_t)snprintf(links + used, sizeof(links) - used, "%s%d", i == 0 ? "" : ",",
                                         given->fds[i]);
        if (setenv("DISPATCH_LISTEN", spawn->listeners_text, 1) < 0 ||
            setenv("DISPATCH_SPAWN_LINKS", links, 1) < 0)
                return -1;
        if (setenv("DISPATCH_STATE_DIR", VIEW_STATE, 1) < 0)
                return -1;
        if (setenv("DISPATCH_CGROUP_DIR", VIEW_CGROUPS, 1) < 0)
                return -1;
        return setenv("DISPATCH_RUNTIME_DIR", VIEW_RUNTIMES, 1);
}

/* All others are CLOEXEC. */
static int descriptors_pass(const struct inheritance *given)
{
        const struct listen_set *listeners = &given->spawn->listeners;

        for (size_t i = 0; i < listeners->count; i++) {
                if (fcntl(listeners->sockets[i].fd, F_SETFD, 0) < 0)
                        return -1;
        }
        for (size_t i = 0; i < given->fd_count; i++) {
                if (fcntl(given->fds[i], F_SETFD, 0) < 0)
                        return -1;
        }
        /* Whoever gets the lock next may be sure that this server, and what it listens on, is gone. */
        return fcntl(given->spawn->state.lock_fd, F_SETFD, 0);
}

static int rights_give_up(const struct inheritance *given)
{
        const struct state *state = &given->spawn->state;
        sigset_t none;

        sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGPIPE, SIG_DFL) == SIG_ERR)
                return -1;
        if (rights_become(state->uid, state->gid) < 0 || rights_drop(NULL) < 0)
                return -1;
        /* After the change of user, which clears it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -1;
        return getppid() == given->parent ? 0 : -1;
}

/* In the child. The exit status is that of a server that cannot be configured: there is no use in another
 * try. */
_Noreturn static void child_main(const struct inheritance *given)
{
        const struct spawn *spawn = given->spawn;
        const struct options *options = &spawn->options;
        /* Opened as root: the user that it will run as may not be able to walk to it. */
        int program = open(options->server, O_PATH | O_CLOEXEC);
        const struct view view = {.state_fd = spawn->state.server_fd,
                                  .runtimes_fd = spawn->runtime_fd,
                                  .memory_fd = cgroup_tree_fd(spawn->cgroups, "memory"),
                                  .cpu_fd = cgroup_tree_fd(spawn->cgroups, "cpu")};

        /* Apart from the terminal's group: a Ctrl-C is spawn's to pass on. */
        if (program < 0)
                log_error("open %s: %s", options->server, strerror(errno));
        else if (setsid() < 0 || environment_set(given) < 0 || descriptors_pass(given) < 0)
                log_error("start the server: %s", strerror(errno));
        else if (view_enter(&view) < 0)
                log_error("attach the server's folders below " VIEW_DIR ": %s", strerror(errno));
        else if (rights_give_up(given) < 0)
                log_error("give up rights for the server: %s", strerror(errno));
        else {
                sys_execveat(program, options->server_argv, environ);
                log_error("run %s: %s", options->server, strerror(errno));
        }
        _exit(2);
}

static void links_close(struct server *server)
{
        for (size_t i = 0; i < server->link_count; i++)
                link_close(&server->links[i]);
}

static struct server *current_of(const struct spawn *spawn)
{
        return spawn->servers;
}

static void list_remove(struct server *server)
{
        for (struct server **slot = &server->spawn->servers; *slot != NULL; slot = &(*slot)->next) {
                if (*slot == server) {
                        *slot = server->next;
                        return;
                }
        }
}

static void server_free(struct server *server)
{
        events_remove(&server->spawn->events, &server->exit);
        events_timer_stop(&server->spawn->events, &server->deadline);
        links_close(server);
        if (server->pid_fd >= 0)
                close(server->pid_fd);
        events_free_later(&server->spawn->events, server);
}

/* "exit status 3" or "signal 11 (Segmentation fault)". */
static void end_describe(int status, char *out, size_t size)
{
        if (WIFSIGNALED(status))
                snprintf(out, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
                snprintf(out, size, "exit status %d", WEXITSTATUS(status));
}

static void gone_tell(const struct spawn *spawn, uint32_t generation)
{
        union spawn_frame frame = {.gone = {.head = {.op = SPAWN_SERVER_GONE}, .generation = generation}};
        int none = -1;

        if (current_of(spawn) != NULL)
                link_send(&current_of(spawn)->links[0], &frame, &none);
}

static void on_restart(struct events_timer *timer)
{
        struct spawn *spawn = OWNER_OF(timer, struct spawn, restart);
        struct err err;

        if (server_start(spawn, &err) == ERR_OK)
                return;
        log_error("the server could not be started again: %s", err.text);
        events_timer_start(&spawn->events, &spawn->restart, BACKOFF_MS_MAX);
}

static void restart_later(struct spawn *spawn, const char *reason, uint64_t lived_ms)
{
        if (lived_ms >= HEALTHY_MS)
                spawn->failures = 0;
        unsigned doublings = spawn->failures < 6 ? spawn->failures : 6;
        uint64_t delay = (uint64_t)BACKOFF_MS_FIRST << doublings;
        if (delay > BACKOFF_MS_MAX)
                delay = BACKOFF_MS_MAX;
        spawn->failures++;
        log_error("the server ended with %s; it is started again in %llu ms", reason,
                  (unsigned long long)delay);
        spawn->restart.fire = on_restart;
        events_timer_start(&spawn->events, &spawn->restart, delay);
}

/* The current one is gone, and nobody wanted that. */
static void current_lost(struct spawn *spawn, int status, uint64_t lived_ms)
{
        char reason[80];

        end_describe(status, reason, sizeof(reason));
        if (!spawn->ever_ready && WIFEXITED(status) &&
            (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2)) {
                /* It has said why. */
                spawn->exit_status = WEXITSTATUS(status);
                spawn->events.stop = true;
                return;
        }
        if (spawn->servers != NULL && spawn->servers->state == SERVER_READY) {
                log_error("the new server ended with %s before it was ready; the old one goes on", reason);
                return;
        }
        restart_later(spawn, reason, lived_ms);
}

static void on_server_exit(struct events_source *source, uint32_t epoll_events)
{
        struct server *server = OWNER_OF(source, struct server, exit);
        struct spawn *spawn = server->spawn;
        bool was_current = server == current_of(spawn);
        uint32_t generation = server->generation;
        int status;

        (void)epoll_events;
        if (waitpid(server->pid, &status, WNOHANG) != server->pid)
                return;
        uint64_t lived_ms = server->state == SERVER_STARTING ? 0 : clock_mono_ms() - server->ready_ms;
        move_to(server, SERVER_GONE);
        list_remove(server);
        server_free(server);
        if (spawn->stopping) {
                if (spawn->servers == NULL)
                        spawn->events.stop = true;
        } else if (was_current) {
                current_lost(spawn, status, lived_ms);
        } else {
                gone_tell(spawn, generation);
        }
}

static void on_drain_deadline(struct events_timer *timer)
{
        struct server *server = OWNER_OF(timer, struct server, deadline);

        log_warning("server %u did not end within %u ms and is killed", server->generation,
                    server->spawn->options.drain_ms);
        (void)pidfd_send_signal(server->pid_fd, SIGKILL, NULL, 0);
}

static void on_ready_deadline(struct events_timer *timer)
{
        struct server *server = OWNER_OF(timer, struct server, deadline);

        log_warning("server %u was not ready within %u ms and is killed", server->generation,
                    server->spawn->options.ready_ms);
        (void)pidfd_send_signal(server->pid_fd, SIGKILL, NULL, 0);
}

/* SIGTERM: it is to end; SIGUSR1: it was replaced, and may take its time with connections that are kept. */
static void server_drain(struct server *server, int signum)
{
        if (server->state == SERVER_DRAINING && signum != SIGTERM)
                return;
        (void)pidfd_send_signal(server->pid_fd, signum, NULL, 0);
        if (server->state == SERVER_DRAINING)
                return;
        move_to(server, SERVER_DRAINING);
        server->deadline.fire = on_drain_deadline;
        events_timer_start(&server->spawn->events, &server->deadline, server->spawn->options.drain_ms);
}

static void hello_send(struct server *server)
{
        const struct spawn *spawn = server->spawn;
        struct sysinfo host = {.totalram = 0};
        union spawn_frame frame = {
                .hello = {.head = {.op = SPAWN_HELLO},
                          .generation = server->generation,
                          .draining_generation = server->next != NULL ? server->next->generation : 0,
                          .instances_max = spawn->instances.max,
                          .cgroup_version = cgroup_tree_version(spawn->cgroups)}};
        int none = -1;

        if (sysinfo(&host) == 0)
                frame.hello.memory_bytes = (uint64_t)host.totalram * host.mem_unit;
        link_send(&server->links[0], &frame, &none);
}

/* Pairs for the links: our ends into server->links, theirs into `given`. */
static enum err_code links_make(struct server *server, struct inheritance *given, struct err *err)
{
        size_t count = server->spawn->options.loops + 1;

        while (server->link_count < count) {
                int pair[2];
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                        return err_sys(err, "make a link to the server");
                given->fds[given->fd_count++] = pair[1];
                enum err_code code =
                        link_open(&server->links[server->link_count], server->spawn, server, pair[0], err);
                if (code != ERR_OK) {
                        close(pair[0]);
                        return code;
                }
                server->link_count++;
        }
        return ERR_OK;
}

static enum err_code process_start(struct server *server, const struct inheritance *given, struct err *err)
{
        server->pid = fork();
        if (server->pid < 0)
                return err_sys(err, "fork the server");
        if (server->pid == 0)
                child_main(given);
        server->pid_fd = pidfd_open(server->pid, 0);
        enum err_code code = server->pid_fd < 0 ? err_sys(err, "pidfd_open")
                                                : events_add(&server->spawn->events, &server->exit,
                                                             server->pid_fd, EPOLLIN, on_server_exit, err);
        if (code != ERR_OK) {
                (void)kill(server->pid, SIGKILL);
                (void)waitpid(server->pid, NULL, 0);
        }
        return code;
}

enum err_code server_start(struct spawn *spawn, struct err *err)
{
        size_t size = sizeof(struct server) + (spawn->options.loops + 1) * sizeof(struct link);
        struct inheritance given = {.spawn = spawn, .parent = getpid()};
        struct server *server = calloc(1, size);

        if (server == NULL)
                return err_nomem(err);
        server->exit.fd = server->pid_fd = -1;
        server->spawn = spawn;
        enum err_code code = state_generation_next(&spawn->state, &server->generation, err);
        if (code == ERR_OK)
                code = links_make(server, &given, err);
        if (code == ERR_OK)
                code = process_start(server, &given, err);
        for (size_t i = 0; i < given.fd_count; i++)
                close(given.fds[i]);
        if (code != ERR_OK) {
                server_free(server);
                return code;
        }
        server->next = spawn->servers;
        spawn->servers = server;
        hello_send(server);
        credentials_send(&spawn->options, ++server->credential_sets, &server->links[0]);
        return ERR_OK;
}

void server_ready(struct server *server)
{
        struct spawn *spawn = server->spawn;

        if (server->state != SERVER_STARTING)
                return;
        move_to(server, SERVER_READY);
        events_timer_stop(&spawn->events, &server->deadline);
        server->ready_ms = clock_mono_ms();
        spawn->ever_ready = true;
        for (struct server *older = server->next; older != NULL; older = older->next)
                server_drain(older, SIGUSR1);
}

void servers_reload(struct spawn *spawn)
{
        for (struct server *server = spawn->servers; server != NULL; server = server->next) {
                if (server->state != SERVER_DRAINING)
                        credentials_send(&spawn->options, ++server->credential_sets, &server->links[0]);
        }
}

void server_upgrade(struct spawn *spawn)
{
        struct err err;

        if (spawn->stopping || current_of(spawn) == NULL || current_of(spawn)->state != SERVER_READY) {
                log_warning("no upgrade now: the server is not ready");
                return;
        }
        log_info("upgrade: starting a new server");
        if (server_start(spawn, &err) != ERR_OK) {
                log_error("upgrade: %s; the old server goes on", err.text);
                return;
        }
        struct server *started = current_of(spawn);
        started->deadline.fire = on_ready_deadline;
        events_timer_start(&spawn->events, &started->deadline, spawn->options.ready_ms);
}

void servers_stop(struct spawn *spawn)
{
        events_timer_stop(&spawn->events, &spawn->restart);
        if (spawn->servers == NULL)
                spawn->events.stop = true;
        for (struct server *server = spawn->servers; server != NULL; server = server->next) {
                if (spawn->stopping)
                        (void)pidfd_send_signal(server->pid_fd, SIGKILL, NULL, 0);
                else
                        server_drain(server, SIGTERM);
        }
        spawn->stopping = true;
}

void servers_finish(struct spawn *spawn)
{
        while (spawn->servers != NULL) {
                struct server *server = spawn->servers;
                spawn->servers = server->next;
                (void)pidfd_send_signal(server->pid_fd, SIGKILL, NULL, 0);
                (void)waitpid(server->pid, NULL, 0);
                server_free(server);
        }
}
