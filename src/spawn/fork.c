/* spawn/fork.c: see fork.h. */
#include "spawn/fork.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/seqpacket.h"
#include "spawn/instance.h"
#include "spawn/spawn.h"
#include "wire/fork.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        ANSWER_MS = 2000,
        ENDING_MS = 5000, /* from the end of a sandbox's init to that of the sandbox: long on a host that is
                             busy */
        REFILL_MS = 1,
        WAITING_MAX = 64
};

/* A request that was not answered yet. */
struct fork_wait {
        struct fork_wait *next;
        uint64_t number;
        struct instance *instance; /* NULL: it has ended meanwhile */
};

struct fork_server {
        struct events_source source; /* of the pair */
        int fd;
        struct events_timer deadline, refill;
        struct spawn *spawn;
        struct instance *instance; /* NULL: it is gone */
        size_t references;         /* of its instance and its children */
        bool parked, lingers;
        uid_t uid;
        uint64_t last_number;
        struct fork_wait *first, *last;
        size_t waiting;
        struct instance *spares;
        size_t spare_count;
        struct spawn_start start; /* its own */
};

struct fork_child {
        struct fork_server *server;
        struct instance *instance;
        struct instance *next_spare;
        struct events_timer ending;
        int fds[3 + FORK_CHANNEL_MAX]; /* the sandbox, which is not ours, output, channel */
        size_t fd_count;
        uint64_t asked_us;
        uint32_t us;
        bool spare, begun, prepared;
};

static void server_unref(struct fork_server *server)
{
        server->references--;
        /* The last of those in its pid namespace is gone. */
        if (server->references == 1 && server->lingers && server->instance != NULL)
                instance_kill_sandbox(server->instance);
        if (server->references > 0)
                return;
        assert(server->instance == NULL && server->first == NULL && server->spares == NULL);
        close(server->fd);
        events_free_later(&server->spawn->events, server);
}

static const char *role_name(const struct fork_server *server)
{
        return server->start.role == SPAWN_ROLE_ZYGOTE ? "zygote" : "template";
}

static void wait_fail(struct fork_server *server, enum err_code code, const char *text)
{
        struct fork_wait *wait = server->first;
        struct err err;

        server->first = wait->next;
        if (server->first == NULL)
                server->last = NULL;
        server->waiting--;
        err_set(&err, code, "%s", text);
        if (wait->instance != NULL)
                instance_start_failed(wait->instance, code, &err);
        free(wait);
}

/* It forks no more. Its end of the pair stays open: it would see the other end as a word to exit. */
static void server_close(struct fork_server *server)
{
        server->parked = false;
        events_timer_stop(&server->spawn->events, &server->deadline);
        events_timer_stop(&server->spawn->events, &server->refill);
        events_remove(&server->spawn->events, &server->source);
        while (server->first != NULL)
                wait_fail(server, ERR_UNAVAILABLE, "what it was to be forked from has ended");
        while (server->spares != NULL) {
                struct instance *spare = server->spares;
                server->spares = spare->forked->next_spare;
                instance_kill_sandbox(spare);
        }
        server->spare_count = 0;
}

static void server_kill(struct fork_server *server, const char *why)
{
        log_warning("the %s of function %s (organization %s) %s and is killed", role_name(server),
                    server->start.function, server->start.organization, why);
        fork_server_stop(server);
}

/* Not even its init does what it should. */
static void on_stop_deadline(struct events_timer *timer)
{
        struct fork_server *server = OWNER_OF(timer, struct fork_server, deadline);

        if (server->instance != NULL && !server->lingers)
                instance_kill_sandbox(server->instance);
}

void fork_server_stop(struct fork_server *server)
{
        server_close(server);
        if (server->instance == NULL || server->lingers)
                return;
        if (server->instance->sandbox.state != SANDBOX_RUNNING) {
                instance_kill_sandbox(server->instance);
                return;
        }
        sandbox_stop(&server->instance->sandbox);
        server->deadline.fire = on_stop_deadline;
        events_timer_start(&server->spawn->events, &server->deadline, ANSWER_MS);
}

bool fork_server_lingers(struct fork_server *server)
{
        server_close(server);
        server->lingers = true;
        return server->references > 1;
}

void fork_server_gone(struct fork_server *server)
{
        if (server == NULL)
                return;
        server->instance = NULL;
        server_close(server);
        server_unref(server);
}

static void on_deadline(struct events_timer *timer)
{
        server_kill(OWNER_OF(timer, struct fork_server, deadline), "does not answer");
}

/* A spare tells nobody. */
static void spare_told(struct instance *instance)
{
        (void)instance;
}

static void spare_failed(struct instance *instance, enum err_code code, const char *text)
{
        (void)code;
        log_debug("a sandbox that was to be kept ready: %s", text);
        (void)instance;
}

static void spare_remove(struct instance *spare)
{
        struct fork_server *server = spare->forked->server;

        for (struct instance **at = &server->spares; *at != NULL; at = &(*at)->forked->next_spare) {
                if (*at == spare) {
                        *at = spare->forked->next_spare;
                        server->spare_count--;
                        return;
                }
        }
}

static void spare_ended(struct instance *instance, const struct instance_end *end)
{
        (void)end;
        spare_remove(instance);
        instance_free(instance);
}

static const struct instance_kind spare_kind = {
        .running = spare_told, .failed = spare_failed, .ended = spare_ended};

static struct fork_child *child_new(struct instance *instance, struct fork_server *server)
{
        struct fork_child *child = calloc(1, sizeof(*child));

        if (child == NULL)
                return NULL;
        child->server = server;
        child->instance = instance;
        server->references++;
        instance->forked = child;
        return child;
}

/* As its own START says, but for what differs between it and what is forked from it. */
static bool spare_make(struct fork_server *server)
{
        struct spawn_start start = server->start;
        struct instance *spare = instance_new(server->spawn, NULL, 0, &spare_kind);
        struct err err;

        start.role = SPAWN_ROLE_INSTANCE;
        start.spares = 0;
        if (spare == NULL)
                return false;
        if (child_new(spare, server) == NULL || instance_make_sandbox(spare, &start, &err) != ERR_OK) {
                instance_free(spare);
                return false;
        }
        spare->forked->spare = true;
        spare->forked->next_spare = server->spares;
        server->spares = spare;
        server->spare_count++;
        return true;
}

static void on_refill(struct events_timer *timer)
{
        struct fork_server *server = OWNER_OF(timer, struct fork_server, refill);

        /* One a turn of the loop: others wait meanwhile. */
        if (server->spare_count < server->start.spares && spare_make(server) &&
            server->spare_count < server->start.spares)
                events_timer_start(&server->spawn->events, &server->refill, REFILL_MS);
}

static void refill_later(struct fork_server *server)
{
        server->refill.fire = on_refill;
        if (server->parked && server->spare_count < server->start.spares)
                events_timer_start(&server->spawn->events, &server->refill, REFILL_MS);
}

static bool same_limits(const struct spawn_start *a, const struct spawn_start *b)
{
        return a->memory_mib == b->memory_mib && a->cpu_millicores == b->cpu_millicores &&
               a->pids_max == b->pids_max && a->tmp_mib == b->tmp_mib && strcmp(a->filter, b->filter) == 0;
}

static bool same_image(const struct spawn_start *a, const struct spawn_start *b)
{
        if (a->layer_count != b->layer_count || strcmp(a->runtime, b->runtime) != 0)
                return false;
        for (uint32_t i = 0; i < a->layer_count; i++) {
                if (strcmp(a->layers[i], b->layers[i]) != 0)
                        return false;
        }
        return true;
}

struct instance *fork_spare_take(struct spawn *spawn, struct link *link, const struct spawn_start *start)
{
        struct instance *origin = instance_find(&spawn->instances, link, start->from);
        struct fork_server *server = origin != NULL ? origin->forks : NULL;

        if (server == NULL || server->spares == NULL || !same_limits(&server->start, start))
                return NULL;
        struct instance *spare = server->spares;
        instance_reports_read(spare);
        if (spare->failed)
                return NULL;
        spare_remove(spare);
        spare->forked->spare = false;
        spare->forked->prepared = spare->sandbox.state == SANDBOX_READY;
        instance_rename(spare, link, start->head.id);
        return spare;
}

/* What was forked and is to be told of. */
static void child_runs(struct fork_child *child, const struct fork_answer *answer)
{
        struct instance *instance = child->instance;
        struct err err;

        child->us = (uint32_t)(clock_mono_us() - child->asked_us);
        if (sandbox_adopt(&instance->sandbox, answer->pid, &err) != ERR_OK)
                instance_start_failed(instance, ERR_UNAVAILABLE, &err);
        else
                instance->kind->running(instance);
}

static void child_failed(const struct fork_child *child, const struct fork_answer *answer)
{
        static const char *const steps[] = {
                [FORK_STEP_JOIN] = "join the sandbox",
                [FORK_STEP_CGROUP] = "enter its cgroup",
                [FORK_STEP_RIGHTS] = "drop its rights",
                [FORK_STEP_FORK] = "fork",
        };
        /* A host that does not let it join or drop will not the next time. */
        bool never = answer->step == FORK_STEP_JOIN || answer->step == FORK_STEP_RIGHTS;
        struct err err;

        enum err_code code =
                err_set(&err, never ? ERR_NOT_IMPLEMENTED : ERR_UNAVAILABLE, "the %s could not %s: %s",
                        role_name(child->server), steps[answer->step], strerror(answer->error));
        instance_start_failed(child->instance, code, &err);
}

/* False: nobody waits for it. */
static bool on_done(struct fork_server *server, const struct fork_answer *answer)
{
        struct fork_wait *wait = server->first;
        if (wait == NULL || wait->number != answer->id)
                return false;
        server->first = wait->next;
        server->waiting--;
        if (server->first == NULL) {
                server->last = NULL;
                events_timer_stop(&server->spawn->events, &server->deadline);
        } else {
                events_timer_start(&server->spawn->events, &server->deadline, ANSWER_MS);
        }
        if (wait->instance != NULL) {
                struct fork_child *child = wait->instance->forked;
                if (answer->step == FORK_STEP_NONE)
                        child_runs(child, answer);
                else
                        child_failed(child, answer);
        }
        free(wait);
        refill_later(server);
        return true;
}

/* False: nothing more to read now. */
static bool answer_read(struct fork_server *server)
{
        struct fork_answer answer;
        ssize_t got = seqpacket_recv(server->source.fd, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (got <= 0) {
                server_close(server); /* it cannot be parked, or it has ended */
                return false;
        }
        bool valid = fork_answer_valid(&answer, (size_t)got);
        if (valid && answer.op == FORK_PARKED && !server->parked) {
                server->parked = true;
                refill_later(server);
                return true;
        }
        if (valid && answer.op == FORK_DONE && on_done(server, &answer))
                return server->source.fd >= 0;
        server_kill(server, "says what nobody has asked for");
        return false;
}

static void on_answer_ready(struct events_source *source, uint32_t epoll_events)
{
        struct fork_server *server = OWNER_OF(source, struct fork_server, source);

        (void)epoll_events;
        server->references++; /* an answer may end what refers to it */
        while (answer_read(server))
                continue;
        server_unref(server);
}

enum err_code fork_server_create(struct instance *instance, const struct spawn_start *start, int *ret_theirs,
                                 struct err *err)
{
        struct fork_request hello = {.op = FORK_HELLO, .zygote = start->role == SPAWN_ROLE_ZYGOTE};
        struct spawn *spawn = instance->spawn;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, "make a fork server's pair");
        own_fd int mine = pair[0], theirs = pair[1];
        if (send(mine, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return err_sys(err, "greet a fork server");
        struct fork_server *server = calloc(1, sizeof(*server));
        if (server == NULL)
                return err_nomem(err);
        *server = (struct fork_server){.spawn = spawn,
                                       .instance = instance,
                                       .references = 1,
                                       .uid = spawn->state.sandbox_uid_first + instance->slot,
                                       .start = *start};
        enum err_code code = events_add(&spawn->events, &server->source, mine, EPOLLIN, on_answer_ready, err);
        if (code != ERR_OK) {
                free(server);
                return code;
        }
        server->fd = take_fd(&mine);
        instance->forks = server;
        *ret_theirs = take_fd(&theirs);
        return ERR_OK;
}

/* It must be of the same tenant, and a template's code its own. */
static enum err_code origin_fits(const struct fork_server *server, const struct spawn_start *start,
                                 struct err *err)
{
        const struct spawn_start *own = &server->start;

        if (strcmp(own->organization, start->organization) != 0 || !same_image(own, start))
                return err_set(err, ERR_INVALID, "a %s of another organization or image", role_name(server));
        if (own->role == SPAWN_ROLE_TEMPLATE &&
            (strcmp(own->function, start->function) != 0 || strcmp(own->code, start->code) != 0))
                return err_set(err, ERR_INVALID, "a template of another function");
        return ERR_OK;
}

enum err_code fork_child_create(struct instance *instance, const struct spawn_start *start, struct err *err)
{
        struct instance *origin = instance_find(&instance->spawn->instances, instance->link, start->from);

        if (origin == NULL)
                return err_set(err, ERR_NOT_FOUND, "what it was to be forked from is gone");
        struct fork_server *server = origin->forks;
        if (server == NULL)
                return err_set(err, ERR_NOT_IMPLEMENTED, "nothing can be forked from that");
        /* It may have said so just now. */
        if (!server->parked && server->source.fd >= 0)
                on_answer_ready(&server->source, EPOLLIN);
        if (!server->parked)
                return err_set(err, ERR_NOT_IMPLEMENTED, "the %s is not parked", role_name(server));
        if (server->waiting == WAITING_MAX)
                return err_set(err, ERR_UNAVAILABLE, "too many wait for the %s already", role_name(server));
        enum err_code code = origin_fits(server, start, err);
        if (code == ERR_OK && instance->forked == NULL && child_new(instance, server) == NULL)
                code = err_nomem(err);
        return code;
}

const struct sandbox *fork_child_below(const struct fork_child *child)
{
        return child != NULL && child->server->instance != NULL ? &child->server->instance->sandbox : NULL;
}

uid_t fork_child_owner(const struct fork_child *child)
{
        return child != NULL ? child->server->uid : 0;
}

static enum err_code request_send(int fd, const struct fork_request *request, const int *fds, size_t count,
                                  struct err *err)
{
        char space[CMSG_SPACE(FORK_FDS_MAX * sizeof(int))] __attribute__((aligned(8))) = {0};
        struct iovec iov = {.iov_base = (void *)request, .iov_len = sizeof(*request)};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

        assert(count <= FORK_FDS_MAX);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
        if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return err_set(err, ERR_UNAVAILABLE, "ask the fork server: %s", strerror(errno));
        return ERR_OK;
}

static void fds_close(int *fds, size_t *count)
{
        while (*count > 0)
                close(fds[--*count]);
}

static enum err_code wait_add(struct fork_server *server, struct instance *instance, struct err *err)
{
        struct fork_wait *wait = calloc(1, sizeof(*wait));

        if (wait == NULL)
                return err_nomem(err);
        *wait = (struct fork_wait){.number = ++server->last_number, .instance = instance};
        if (server->last != NULL)
                server->last->next = wait;
        else
                server->first = wait;
        server->last = wait;
        server->waiting++;
        server->deadline.fire = on_deadline;
        if (server->first == wait)
                events_timer_start(&server->spawn->events, &server->deadline, ANSWER_MS);
        return ERR_OK;
}

static enum err_code child_ask(struct fork_child *child, struct err *err)
{
        struct fork_server *server = child->server;
        struct instance *instance = child->instance;
        int cgroups[CGROUP_ENTRIES_MAX], fds[FORK_FDS_MAX] = {instance->sandbox.pid_fd};
        size_t cgroup_count = 0, count = child->fd_count;

        _Static_assert((int)FORK_CGROUPS_MAX >= (int)CGROUP_ENTRIES_MAX, "room for each");
        if (!server->parked)
                return err_set(err, ERR_UNAVAILABLE, "what it was to be forked from has ended");
        enum err_code code = cgroup_entries_open(instance->cgroup, cgroups, &cgroup_count, err);
        if (code != ERR_OK)
                return code;
        memcpy(fds + 1, child->fds + 1, (count - 1) * sizeof(int));
        memcpy(fds + count, cgroups, cgroup_count * sizeof(int));
        struct fork_request request = {.op = FORK_START,
                                       .id = server->last_number + 1,
                                       .channel_count = (uint32_t)(count - 3),
                                       .cgroup_count = (uint32_t)cgroup_count};
        child->asked_us = clock_mono_us();
        code = request_send(server->source.fd, &request, fds, count + cgroup_count, err);
        fds_close(cgroups, &cgroup_count);
        return code == ERR_OK ? wait_add(server, instance, err) : code;
}

/* Its ends of what it was given. */
static void child_fds_close(struct fork_child *child)
{
        for (size_t i = 1; i < child->fd_count; i++)
                close(child->fds[i]);
        child->fd_count = 0;
}

void fork_child_ready(struct instance *instance)
{
        struct fork_child *child = instance->forked;
        struct err err;

        if (!child->begun)
                return; /* a spare, or it will be asked for in a moment */
        enum err_code code = child_ask(child, &err);
        child_fds_close(child);
        if (code != ERR_OK)
                instance_start_failed(instance, code, &err);
}

enum err_code fork_child_begin(struct instance *instance, const int *channel, size_t count, struct err *err)
{
        struct fork_child *child = instance->forked;
        own_fd int out = sandbox_output_create("stdout"), errors = sandbox_output_create("stderr");

        assert(count <= FORK_CHANNEL_MAX && child->fd_count == 0);
        if (out < 0 || errors < 0)
                return err_sys(err, "make the files for output");
        child->fds[0] = -1;
        child->fds[1] = out;
        child->fds[2] = errors;
        for (size_t i = 0; i < count; i++) {
                child->fds[3 + i] = fcntl(channel[i], F_DUPFD_CLOEXEC, 3);
                if (child->fds[3 + i] < 0) {
                        enum err_code code = err_sys(err, "dup a channel");
                        while (i > 0)
                                close(child->fds[3 + --i]);
                        return code;
                }
        }
        (void)take_fd(&out);
        (void)take_fd(&errors);
        child->fd_count = 3 + count;
        child->begun = true;
        if (instance->sandbox.state == SANDBOX_READY)
                fork_child_ready(instance);
        return ERR_OK;
}

static void on_ending(struct events_timer *timer)
{
        struct fork_child *child = OWNER_OF(timer, struct fork_child, ending);

        if (child->server->instance != NULL)
                server_kill(child->server, "holds on to a process that it forked");
}

void fork_child_ending(struct instance *instance)
{
        struct fork_child *child = instance->forked;

        if (child == NULL || child->ending.at_ms != 0)
                return;
        child->ending.fire = on_ending;
        events_timer_start(&instance->spawn->events, &child->ending, ENDING_MS);
}

void fork_child_destroy(struct instance *instance)
{
        struct fork_child *child = instance->forked;

        if (child == NULL)
                return;
        instance->forked = NULL;
        events_timer_stop(&instance->spawn->events, &child->ending);
        for (struct fork_wait *wait = child->server->first; wait != NULL; wait = wait->next) {
                if (wait->instance == instance)
                        wait->instance = NULL;
        }
        child_fds_close(child);
        server_unref(child->server);
        events_free_later(&instance->spawn->events, child);
}

uint32_t fork_child_us(const struct fork_child *child)
{
        return child != NULL ? child->us : 0;
}

bool fork_child_prepared(const struct fork_child *child)
{
        return child != NULL && child->prepared;
}
