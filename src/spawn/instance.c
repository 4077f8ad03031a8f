/* spawn/instance.c: makes the sandbox of an instance, watches it, and tells its server. */
#include "spawn/instance.h"

#include "base/clock.h"
#include "base/own.h"
#include "spawn/egress.h"
#include "spawn/fork.h"
#include "spawn/layers.h"
#include "spawn/link.h"
#include "spawn/root.h"
#include "spawn/spawn.h"
#include "spawn/stem.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

enum {
        MEMORY_PER_INSTANCE = 1024 * 1024, /* the least that one costs */
        DESCRIPTORS_PER_INSTANCE = 2,
        DESCRIPTORS_OTHER = 512,
        PROCESSES_PER_INSTANCE = 2,
        PROCESSES_OTHER = 1024,
        PIDS_OF_INIT = 1
};

static unsigned pid_max_read(void)
{
        own_file FILE *file = fopen("/proc/sys/kernel/pid_max", "re");
        unsigned max = 0;

        if (file == NULL || fscanf(file, "%u", &max) != 1)
                return 32768;
        return max;
}

static unsigned least(uint64_t a, uint64_t b)
{
        return (unsigned)(a < b ? a : b);
}

void instances_init(struct instances *instances)
{
        unsigned pids = pid_max_read(), max = INSTANCES_MAX;
        struct rlimit files = {.rlim_cur = 1024};
        struct sysinfo host;

        *instances = (struct instances){.count = 0};
        if (sysinfo(&host) == 0)
                max = least(max, (uint64_t)host.totalram * host.mem_unit / MEMORY_PER_INSTANCE);
        (void)getrlimit(RLIMIT_NOFILE, &files);
        max = least(max, files.rlim_cur > DESCRIPTORS_OTHER
                                 ? (files.rlim_cur - DESCRIPTORS_OTHER) / DESCRIPTORS_PER_INSTANCE
                                 : 16);
        max = least(max, pids > PROCESSES_OTHER ? (pids - PROCESSES_OTHER) / PROCESSES_PER_INSTANCE : 16);
        if (max > STATE_UID_BLOCK - STATE_JOB_UIDS)
                max = STATE_UID_BLOCK - STATE_JOB_UIDS;
        instances->max = max > 0 ? max : 1;
}

static bool slot_take(struct instances *instances, unsigned *ret)
{
        for (unsigned i = 0; i < instances->max; i++) {
                unsigned slot = (instances->slot_next + i) % instances->max;
                if (!(instances->slots[slot / 8] & (1U << slot % 8))) {
                        instances->slots[slot / 8] |= (unsigned char)(1U << slot % 8);
                        instances->slot_next = (slot + 1) % instances->max;
                        *ret = slot;
                        return true;
                }
        }
        return false;
}

static struct instance **bucket_of(struct instances *instances, uint64_t id)
{
        return &instances->buckets[id % INSTANCES_BUCKETS];
}

struct instance *instance_find(struct instances *instances, const struct link *link, uint64_t id)
{
        for (struct instance *one = *bucket_of(instances, id); one != NULL; one = one->next) {
                if (one->link == link && one->id == id)
                        return one;
        }
        return NULL;
}

void instance_kill_sandbox(struct instance *instance)
{
        /* A process that the first version has stopped does not even die. */
        cgroup_freeze(instance->cgroup, false);
        sandbox_kill(&instance->sandbox);
        fork_child_ending(instance);
}

static void exited_send(struct instance *instance, const struct instance_end *end);

/* Why it could not be made, as its server should hear it. */
void instance_start_failed(struct instance *instance, enum err_code code, struct err *err)
{
        struct cgroup_usage usage;

        if (instance->failed)
                return;

        cgroup_usage(instance->cgroup, &usage);
        if (instance->killed)
                code = err_set(err, ERR_CANCELLED, "killed while it was being started");
        else if (usage.oom_kills > 0)
                code = err_set(err, ERR_TOO_LARGE,
                               "out of memory while it was being started: the limit is too small");
        instance->failed = true;
        instance_kill_sandbox(instance);
        instance->kind->failed(instance, code, err->text);
}

/* Reads until its process runs its program or cannot; what comes after that is read when it is gone. */
void instance_reports_read(struct instance *instance)
{
        struct err err;

        while (instance->control.fd >= 0) {
                enum err_code code = sandbox_report(&instance->sandbox, &err);
                if (code == ERR_LIMIT)
                        return;
                if (code == ERR_OK && instance->sandbox.state == SANDBOX_READY && instance->forked != NULL)
                        fork_child_ready(instance);
                if (code == ERR_OK && instance->sandbox.state != SANDBOX_RUNNING)
                        continue;
                if (code != ERR_OK || (instance->forks == NULL && instance->forked == NULL))
                        events_remove(&instance->spawn->events, &instance->control);
                if (code == ERR_OK) {
                        instance->kind->running(instance);
                        return;
                }
                instance_start_failed(instance, code, &err);
        }
}

/* The process of a fork server is gone; what came out of it may live on in its pid namespace. */
static void server_ended(struct instance *instance)
{
        struct instance_end end = {.by_signal = true, .value = SIGKILL};
        struct sandbox *sandbox = &instance->sandbox;

        while (sandbox_report(sandbox, NULL) == ERR_OK)
                continue;
        if (sandbox->exited)
                end = (struct instance_end){.by_signal = WIFSIGNALED(sandbox->wait_status),
                                            .value = WIFSIGNALED(sandbox->wait_status)
                                                             ? WTERMSIG(sandbox->wait_status)
                                                             : WEXITSTATUS(sandbox->wait_status)};
        cgroup_usage(instance->cgroup, &end.usage);
        exited_send(instance, &end);
        instance_rename(instance, NULL, 0);
        if (!fork_server_lingers(instance->forks))
                instance_kill_sandbox(instance);
}

static void on_control_ready(struct events_source *source, uint32_t epoll_events)
{
        struct instance *instance = OWNER_OF(source, struct instance, control);

        (void)epoll_events;
        if (instance->sandbox.state != SANDBOX_RUNNING) {
                instance_reports_read(instance);
                return;
        }
        /* The last word of an init. */
        events_remove(&instance->spawn->events, &instance->control);
        if (instance->forks != NULL)
                server_ended(instance);
        else
                fork_child_ending(instance);
}

static void on_exit_ready(struct events_source *source, uint32_t epoll_events)
{
        struct instance *instance = OWNER_OF(source, struct instance, exit);
        struct instance_end end;

        (void)epoll_events;
        /* One that ran and ended between two turns of the loop has both to tell, in this order. */
        if (instance->sandbox.state != SANDBOX_RUNNING)
                instance_reports_read(instance);
        if (!sandbox_reap(&instance->sandbox, &end.by_signal, &end.value))
                return;
        events_remove(&instance->spawn->events, &instance->control);
        events_remove(&instance->spawn->events, &instance->exit);
        cgroup_usage(instance->cgroup, &end.usage);
        instance->kind->ended(instance, &end);
}

static void bucket_put(struct instance *instance)
{
        struct instance **bucket = bucket_of(&instance->spawn->instances, instance->id);

        instance->next = *bucket;
        *bucket = instance;
        instance->spawn->instances.count++;
}

static void bucket_take(struct instance *instance)
{
        struct instances *instances = &instance->spawn->instances;

        for (struct instance **slot = bucket_of(instances, instance->id); *slot != NULL;
             slot = &(*slot)->next) {
                if (*slot == instance) {
                        *slot = instance->next;
                        instances->count--;
                        return;
                }
        }
}

enum err_code instance_watch(struct instance *instance, struct err *err)
{
        struct events *events = &instance->spawn->events;
        enum err_code code;

        code = events_add(events, &instance->control, instance->sandbox.control_fd, EPOLLIN, on_control_ready,
                          err);
        if (code == ERR_OK)
                code = events_add(events, &instance->exit, instance->sandbox.pid_fd, EPOLLIN, on_exit_ready,
                                  err);
        if (code != ERR_OK)
                return code;
        bucket_put(instance);
        return ERR_OK;
}

static void slot_give(struct instance *instance)
{
        if (instance->has_slot)
                instance->spawn->instances.slots[instance->slot / 8] &=
                        (unsigned char)~(1U << instance->slot % 8);
        instance->has_slot = false;
}

void instance_free(struct instance *instance)
{
        bucket_take(instance);
        fork_server_gone(instance->forks);
        instance->forks = NULL;
        stem_forget(instance);
        events_remove(&instance->spawn->events, &instance->control);
        events_remove(&instance->spawn->events, &instance->exit);
        cgroup_freeze(instance->cgroup, false);
        sandbox_finish(&instance->sandbox);
        fork_child_destroy(instance);
        slot_give(instance);
        egress_link_destroy(instance->spawn, instance->egress);
        cgroup_release(instance->cgroup);
        channel_ends_close(&instance->channel);
        garbage_ended(instance->spawn);
        events_free_later(&instance->spawn->events, instance);
}

static void started_send(struct instance *instance, enum err_code code, const char *text)
{
        union spawn_frame frame = {
                .started = {.head = {.op = SPAWN_STARTED, .id = instance->id},
                            .ok = code == ERR_OK,
                            .code = code,
                            .cgroup = cgroup_number_of(instance->cgroup),
                            .fork_us = fork_child_us(instance->forked),
                            .prepared = instance->claimed || fork_child_prepared(instance->forked)}};
        uint64_t spent_us = clock_mono_us() - instance->begun_us;

        frame.started.sandbox_us =
                (uint32_t)(spent_us > frame.started.fork_us ? spent_us - frame.started.fork_us : 0);
        snprintf(frame.started.text, sizeof(frame.started.text), "%s", text);
        if (instance->link != NULL)
                link_send_fds(instance->link, &frame, instance->channel.server,
                              instance->channel.server[0] >= 0 ? CHANNEL_FDS : 0);
}

static void instance_running(struct instance *instance)
{
        started_send(instance, ERR_OK, "");
}

static void instance_failed(struct instance *instance, enum err_code code, const char *text)
{
        channel_ends_close(&instance->channel);
        started_send(instance, code, text);
}

static void exited_send(struct instance *instance, const struct instance_end *end)
{
        union spawn_frame frame = {.exited = {.head = {.op = SPAWN_EXITED, .id = instance->id},
                                              .by_signal = end->by_signal,
                                              .value = end->value,
                                              .oom_kills = end->usage.oom_kills,
                                              .pids_refused = end->usage.pids_refused,
                                              .cpu_us = end->usage.cpu_us,
                                              .memory_peak_bytes = end->usage.memory_peak_bytes}};
        int none = -1;

        if (instance->link != NULL && !instance->failed)
                link_send(instance->link, &frame, &none);
}

static void instance_ended(struct instance *instance, const struct instance_end *end)
{
        exited_send(instance, end);
        instance_free(instance);
}

static const struct instance_kind instance_kind = {
        .running = instance_running, .failed = instance_failed, .ended = instance_ended};

/* The frame's names, as mounts. */
static enum err_code mounts_open(struct spawn *spawn, const struct spawn_start *start, bool egress,
                                 struct mounts *mounts, struct err *err)
{
        own_fd int top_fd = -1;
        enum err_code code = egress ? egress_files_open(spawn, &top_fd, err) : ERR_OK;
        if (code == ERR_OK)
                code = root_open(&spawn->state, start->layers, start->layer_count, top_fd, &mounts->root_fd,
                                 err);
        if (code != ERR_OK)
                return code;

        own_fd int code_fd = -1, runtime_fd = -1;
        if (start->code[0] != '\0') {
                code = layers_open(spawn->state.layers_fd, "layer", start->code, &code_fd, err);
                if (code == ERR_OK)
                        code = mounts_open_read_only(code_fd, &mounts->code_fd, err);
        }
        if (code == ERR_OK)
                code = layers_open(spawn->runtime_fd, "runtime", start->runtime, &runtime_fd, err);
        if (code == ERR_OK)
                code = mounts_open_read_only(runtime_fd, &mounts->runtime_fd, err);
        if (code == ERR_OK)
                code = mounts_open_dev(&spawn->host.mounts, &mounts->dev_fd, err);
        return code;
}

/* A fork server may join the namespaces of others; nothing else has that filter. */
static const struct filter *filter_of(const struct spawn_start *start)
{
        const struct filter *filter = filter_find(start->filter);
        bool forks = start->role == SPAWN_ROLE_TEMPLATE || start->role == SPAWN_ROLE_ZYGOTE;

        return filter != NULL && forks ? filter_find("fork") : filter;
}

struct cgroup_limits instance_limits(const struct spawn_start *start)
{
        return (struct cgroup_limits){.memory_bytes = (uint64_t)start->memory_mib << 20,
                                      .cpu_millicores = start->cpu_millicores,
                                      .pids_max = start->pids_max + PIDS_OF_INIT};
}

static enum err_code sandbox_open(struct instance *instance, const struct spawn_start *start, struct err *err)
{
        struct spawn *spawn = instance->spawn;
        struct cgroup_limits limits = instance_limits(start);
        struct sandbox_spec spec = {.uid = instance->spawn->state.sandbox_uid_first + instance->slot,
                                    .owner = fork_child_owner(instance->forked),
                                    .below = fork_child_below(instance->forked),
                                    .fork_server = start->role == SPAWN_ROLE_TEMPLATE ||
                                                   start->role == SPAWN_ROLE_ZYGOTE,
                                    .filter = filter_of(start),
                                    .tmp_mib = start->tmp_mib};
        struct mounts mounts;

        if (spec.filter == NULL)
                return err_set(err, ERR_INVALID, "there is no seccomp filter '%s'", start->filter);
        mounts_init(&mounts);
        enum err_code code = mounts_open(spawn, start, instance->egress != NULL, &mounts, err);
        if (code == ERR_OK)
                code = cgroup_create(spawn->cgroups, start->organization, start->function, &limits,
                                     &instance->cgroup, err);
        if (code == ERR_OK) {
                spec.mounts = &mounts;
                spec.cgroup = instance->cgroup;
                spec.network = instance->egress != NULL ? egress_link_network(instance->egress) : NULL;
                code = sandbox_make(&spawn->host, &spec, &instance->sandbox, err);
        }
        mounts_finish(&mounts);
        return code;
}

enum err_code instance_make_sandbox(struct instance *instance, const struct spawn_start *start,
                                    struct err *err)
{
        struct instances *instances = &instance->spawn->instances;

        if (!slot_take(instances, &instance->slot))
                return err_set(err, ERR_LIMIT, "the host carries at most %u instances", instances->max);
        instance->has_slot = true;
        garbage_uses(instance, start->layers, start->layer_count, start->code);
        enum err_code code = sandbox_open(instance, start, err);
        return code == ERR_OK ? instance_watch(instance, err) : code;
}

static size_t argv_length(const char *argv, uint32_t argc)
{
        size_t len = 0;

        for (uint32_t i = 0; i < argc; i++)
                len += strlen(argv + len) + 1;
        return len;
}

/* Second step: the process in it. */
static enum err_code instance_run(struct instance *instance, const struct spawn_start *start, struct err *err)
{
        struct sandbox_process process = {.argv = start->argv,
                                          .argv_len = argv_length(start->argv, start->argc),
                                          .argc = start->argc,
                                          .fd_count = CHANNEL_FDS,
                                          .program_fd = -1,
                                          .output = true};
        own_fd int forks = -1;
        enum err_code code = channel_ends_make(&instance->channel, err);

        if (code != ERR_OK)
                return code;
        memcpy(process.fds, instance->channel.agent, sizeof(instance->channel.agent));
        if (start->role == SPAWN_ROLE_STEM) {
                code = stem_keep(instance, start, err);
        } else if (start->role != SPAWN_ROLE_INSTANCE) {
                code = fork_server_create(instance, start, &forks, err);
                process.fds[process.fd_count++] = forks;
                process.lingers = true;
        }
        if (code == ERR_OK)
                code = sandbox_start(&instance->sandbox, &process, err);
        channel_ends_given(&instance->channel);
        return code;
}

/* The other one: a process that is forked into it. */
static enum err_code instance_fork(struct instance *instance, struct err *err)
{
        enum err_code code = channel_ends_make(&instance->channel, err);

        if (code == ERR_OK)
                code = fork_child_begin(instance, instance->channel.agent, CHANNEL_FDS, err);
        channel_ends_given(&instance->channel);
        return code;
}

static enum err_code instance_create(struct instance *instance, const struct spawn_start *start,
                                     const char *allow, struct err *err)
{
        enum err_code code = ERR_OK;

        if (allow != NULL && (start->from != 0 || start->role != SPAWN_ROLE_INSTANCE))
                return err_set(err, ERR_NOT_IMPLEMENTED,
                               "an instance with a network can only be booted: its network is not its own");
        if (start->from != 0)
                code = fork_child_create(instance, start, err);
        if (code == ERR_OK && allow != NULL)
                code = egress_link_make(instance->spawn, allow[0] != '\0' ? allow : NULL, &instance->egress,
                                        err);
        if (code == ERR_OK && instance->sandbox.pid == 0)
                code = instance_make_sandbox(instance, start, err);
        if (code == ERR_OK)
                code = start->from != 0 ? instance_fork(instance, err) : instance_run(instance, start, err);
        return code;
}

struct instance *instance_new(struct spawn *spawn, struct link *link, uint64_t id,
                              const struct instance_kind *kind)
{
        struct instance *instance = calloc(1, sizeof(*instance));

        if (instance == NULL)
                return NULL;
        *instance = (struct instance){.control = {.fd = -1},
                                      .exit = {.fd = -1},
                                      .kind = kind,
                                      .spawn = spawn,
                                      .link = link,
                                      .id = id,
                                      .begun_us = clock_mono_us()};
        channel_ends_init(&instance->channel);
        return instance;
}

void instance_rename(struct instance *instance, struct link *link, uint64_t id)
{
        bucket_take(instance);
        instance->link = link;
        instance->id = id;
        instance->kind = &instance_kind;
        instance->begun_us = clock_mono_us();
        bucket_put(instance);
}

/* The answer to a START that got no instance. */
static void start_refuse(struct link *link, uint64_t id, enum err_code code, const char *text)
{
        union spawn_frame frame = {.started = {.head = {.op = SPAWN_STARTED, .id = id}, .code = code}};
        int none = -1;

        snprintf(frame.started.text, sizeof(frame.started.text), "%s", text);
        link_send(link, &frame, &none);
}

/* One that becomes the instance. */
static void stem_start(struct instance *stem, const struct spawn_start *start, const char *allow)
{
        struct err err;
        enum err_code code =
                allow != NULL ? err_set(&err, ERR_NOT_IMPLEMENTED, "the network of a stem's sandbox is none")
                              : stem_claim(stem, start, &err);

        if (code != ERR_OK)
                start_refuse(stem->link, start->head.id, code, err.text);
}

void instance_start(struct spawn *spawn, struct link *link, const struct spawn_start *start,
                    const char *allow)
{
        struct instance *instance = NULL, *from = NULL;
        struct err err;

        if (instance_find(&spawn->instances, link, start->head.id) != NULL) {
                start_refuse(link, start->head.id, ERR_CONFLICT, "the id is in use");
                return;
        }
        if (start->from != 0)
                from = instance_find(&spawn->instances, link, start->from);
        if (from != NULL && from->stem != NULL) {
                stem_start(from, start, allow);
                return;
        }
        if (start->from != 0)
                instance = fork_spare_take(spawn, link, start);
        if (instance == NULL)
                instance = instance_new(spawn, link, start->head.id, &instance_kind);
        if (instance == NULL) {
                start_refuse(link, start->head.id, ERR_NO_MEMORY, "out of memory");
                return;
        }
        enum err_code code = instance_create(instance, start, allow, &err);
        if (code != ERR_OK) {
                instance_failed(instance, code, err.text);
                instance_free(instance);
        }
}

void instance_freeze(struct instances *instances, const struct link *link, uint64_t id, bool freeze)
{
        struct instance *instance = instance_find(instances, link, id);

        if (instance != NULL && !instance->killed)
                cgroup_freeze(instance->cgroup, freeze);
}

void instance_kill(struct instances *instances, const struct link *link, uint64_t id)
{
        struct instance *instance = instance_find(instances, link, id);

        if (instance == NULL)
                return;
        instance->killed = true;
        if (instance->forks != NULL) {
                cgroup_freeze(instance->cgroup, false);
                fork_server_stop(instance->forks);
        } else {
                instance_kill_sandbox(instance);
        }
}

void instances_link_closed(struct instances *instances, struct link *link)
{
        for (size_t i = 0; i < INSTANCES_BUCKETS; i++) {
                for (struct instance *one = instances->buckets[i]; one != NULL; one = one->next) {
                        if (one->link != link)
                                continue;
                        one->link = NULL;
                        instance_kill_sandbox(one);
                }
        }
}

void instances_kill_all(struct instances *instances)
{
        for (size_t i = 0; i < INSTANCES_BUCKETS; i++) {
                for (struct instance *one = instances->buckets[i]; one != NULL; one = one->next)
                        instance_kill_sandbox(one);
        }
}
