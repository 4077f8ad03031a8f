/* server/parts.c: makes what a server consists of, from its options, and hands each what it needs of the
 * others. */
#include "server/serve.h"

#include "base/log.h"
#include "server/state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_REGISTRY "dispatch"

enum { POOL_MEMORY_PARTS = 4 /* of the host's memory, one is for what waits for requests */ };

static bool command_line(void *ctx, const char *language, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                         uint32_t *argc)
{
        const struct server *server = ctx;
        const struct runtime *runtime = runtime_find(&server->runtimes, str_of(language));

        if (runtime == NULL)
                return false;
        runtime_argv(runtime, memory_mib, argv, argc);
        return true;
}

static uint32_t ways_to_start(void *ctx, const char *language)
{
        const struct server *server = ctx;
        const struct runtime *runtime = runtime_find(&server->runtimes, str_of(language));

        return runtime != NULL ? runtime->starts : 0;
}

static enum err_code revision_secrets(void *ctx, const struct revision *revision, int *ret_fd,
                                      struct err *err)
{
        const struct server *server = ctx;

        return secrets_memfd(server->secrets, server->store, str_of(revision->organization),
                             str_of(revision->project), revision->secrets, revision->secret_count, ret_fd,
                             err);
}

static void problem(void *arg, const char *text)
{
        (void)arg;
        log_error("%s", text);
}

static void record_problem(void *arg, const struct err *err)
{
        (void)arg;
        if (err != NULL)
                log_error("records of runs wait, the store cannot be written: %s", err->text);
        else
                log_info("records of runs are written again");
}

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
        buf_printf(out, "# TYPE dispatch_%s %s\n# HELP dispatch_%s %s\ndispatch_%s%s %llu\n", name, type,
                   name, help, name, strcmp(type, "counter") == 0 ? "_total" : "", (unsigned long long)value);
}

/* One family of a metric by a label. */
static void metric_family(struct buf *out, const char *name, const char *type, const char *help)
{
        buf_printf(out, "# TYPE dispatch_%s %s\n# HELP dispatch_%s %s\n", name, type, name, help);
}

static void pool_metrics(const struct local_counts *counts, struct buf *out)
{
        metric_family(out, "run_starts", "counter", "Runs, by the start that they had.");
        for (size_t i = START_HOT; i < LOCAL_KINDS; i++)
                buf_printf(out, "dispatch_run_starts_total{start=\"%s\"} %llu\n",
                           start_kind_name((enum start_kind)i), (unsigned long long)counts->starts_of[i]);
        metric_family(out, "pool_processes", "gauge", "What waits for requests, by pool.");
        for (size_t i = 0; i < LOCAL_POOLS; i++)
                buf_printf(out, "dispatch_pool_processes{pool=\"%s\"} %llu\n", local_pool_name(i),
                           (unsigned long long)counts->pool_count[i]);
        metric_family(out, "pool_bytes", "gauge", "Memory of what waits for requests, by pool.");
        for (size_t i = 0; i < LOCAL_POOLS; i++)
                buf_printf(out, "dispatch_pool_bytes{pool=\"%s\"} %llu\n", local_pool_name(i),
                           (unsigned long long)counts->pool_bytes[i]);
        metric(out, "pool_limit_bytes", "gauge", "What they may have together (--pool-memory).",
               counts->pool_limit_bytes);
        metric(out, "pool_evicted", "counter", "Of them, ended because memory was short.", counts->evicted);
        metric(out, "start_fall_backs", "counter", "Starts that failed and went on with another kind.",
               counts->fall_backs);
        metric(out, "functions_waiting", "gauge", "Functions that wait for a place on a full host.",
               counts->waiting);
}

/* Nothing before the first look: the API may still be on its way. */
static void store_metrics(const struct server *server, struct buf *out)
{
        static const char *const kinds[API_GC_KINDS] = {"layers",  "blobs",   "sources",
                                                        "objects", "uploads", "logs"};
        struct api_gc_counts counts;
        char name[32], help[80];

        if (server->api == NULL)
                return;
        api_gc_counts(server->api, &counts);
        for (size_t i = 0; i < API_GC_KINDS; i++) {
                snprintf(name, sizeof(name), "kept_%s", kinds[i]);
                snprintf(help, sizeof(help), "%s that are kept.", kinds[i]);
                metric(out, name, "gauge", help, counts.kept[i].count);
                snprintf(name, sizeof(name), "kept_%s_bytes", kinds[i]);
                snprintf(help, sizeof(help), "Size of %s that are kept.", kinds[i]);
                metric(out, name, "gauge", help, counts.kept[i].bytes);
        }
        metric(out, "gc_removed", "counter", "Things that the collector of garbage removed.", counts.removed);
        metric(out, "gc_removed_bytes", "counter", "Their size.", counts.removed_bytes);
}

static void metrics(void *arg, struct buf *out)
{
        const struct server *server = arg;
        struct local_counts counts;

        local_engine_counts(server->engine, &counts);
        metric(out, "instances", "gauge", "Instances that exist.", counts.instances);
        metric(out, "instances_busy", "gauge", "Instances that run something.", counts.busy);
        metric(out, "queued", "gauge", "Runs that wait for an instance.", counts.queued);
        metric(out, "instance_starts", "counter", "Instances started.", counts.starts);
        metric(out, "run_failures", "counter", "Runs that the engine ended.", counts.failures);
        pool_metrics(&counts, out);
        metric(out, "run_records_lost", "counter", "Records of runs that crashes took with them.",
               recorder_lost(server->recorder));
        store_metrics(server, out);
}

/* The server sees its folder at a place of its own (spawn/view.h); who reads a message knows it as
 * STATE-DIR/server. */
static void name_state_dir(const struct server *server, const char *seen, struct err *err)
{
        char tail[ERR_TEXT_MAX];

        assert(seen != NULL); /* read_environment has looked */
        char *at = strstr(err->text, seen);
        if (at == NULL)
                return;
        snprintf(tail, sizeof(tail), "%s", at + strlen(seen));
        snprintf(at, sizeof(err->text) - (size_t)(at - err->text), "%s/server%s", server->options->state_dir,
                 tail);
}

static enum err_code open_state(struct server *server, struct err *err)
{
        const char *dir = getenv(SERVER_ENV_STATE);
        char url[4096 + 16];

        assert(dir != NULL); /* read_environment has looked */
        snprintf(url, sizeof(url), "sqlite:%s", dir);
        enum err_code code = server_state_check(dir, err);
        if (code == ERR_OK)
                code = store_open(url, &server->store, err);
        if (code == ERR_OK)
                code = secrets_expect(dir, server->store, err);
        if (code == ERR_OK)
                code = secrets_open(dir, &server->secrets, err);
        if (code == ERR_OK)
                code = secrets_bind(server->secrets, server->store, err);
        if (code == ERR_OK)
                code = recorder_create(server->control, server->store, dir, server->hello.generation,
                                       server->hello.draining_generation == 0, &server->recorder, err);
        if (code != ERR_OK) {
                name_state_dir(server, dir, err);
                return code;
        }
        recorder_keep(server->recorder, server->options->runs_keep);
        recorder_on_problem(server->recorder, record_problem, server);
        if (recorder_lost(server->recorder) > 0)
                log_warning("crashes have taken %llu records of runs with them so far",
                            (unsigned long long)recorder_lost(server->recorder));
        return ERR_OK;
}

static enum err_code make_engine(struct server *server, struct err *err)
{
        const struct server_options *options = server->options;
        struct local_config config = {.control = server->control,
                                      .loops = server->loops,
                                      .link_fds = server->links + 1,
                                      .loop_count = server->loop_count,
                                      .limits = local_limits_default,
                                      .host = {server, command_line, revision_secrets, ways_to_start},
                                      .cgroup_folder = getenv(SERVER_ENV_CGROUP)};

        config.limits.queue_requests_max = (uint32_t)options->queue_requests;
        config.limits.queue_wait_ms_max = (uint32_t)options->queue_wait_ms;
        config.limits.start_timeout_ms = (uint32_t)options->start_timeout_ms;
        config.limits.reply_bytes_max = options->reply_bytes_max;
        config.limits.log_bytes_max = options->log_bytes_max;
        config.limits.pids_max = (uint32_t)options->instance_pids_max;
        config.limits.tmp_mib = (uint32_t)options->instance_tmp_mib;
        config.limits.pool_bytes = options->pool_memory_mib > 0
                                           ? options->pool_memory_mib << 20
                                           : server->hello.memory_bytes / POOL_MEMORY_PARTS;
        config.limits.instances_max = server->hello.instances_max;
        if (options->instances_max > 0 && options->instances_max < config.limits.instances_max)
                config.limits.instances_max = (uint32_t)options->instances_max;
        return local_engine_create(&config, &server->engine, err);
}

static enum err_code make_api(struct server *server, struct err *err)
{
        const struct server_options *options = server->options;
        const char *root = options->file_sourceroot;

        if (root[0] == '\0')
                snprintf(server->sources, sizeof(server->sources), "%s/sources", getenv(SERVER_ENV_STATE));
        else
                snprintf(server->sources, sizeof(server->sources), "%s", root);
        snprintf(server->version_json, sizeof(server->version_json),
                 "{\"version\":\"%s\",\"commit\":\"\",\"buildDate\":\"\",\"goVersion\":\"\",\"compiler\":\"%"
                 "s\",\"platform\":\"linux/%s\"}",
                 DISPATCH_VERSION, __VERSION__,
#if defined(__x86_64__)
                 "amd64"
#elif defined(__aarch64__)
                 "arm64"
#else
                 "other"
#endif
        );
        enum err_code code = storage_read(options, &server->storage, err);
        if (code != ERR_OK)
                return code;
        snprintf(server->logs, sizeof(server->logs), "%s/logs", getenv(SERVER_ENV_STATE));
        const struct api_config config = {.control = server->control,
                                          .store = server->store,
                                          .secrets = server->secrets,
                                          .builder = server->builder,
                                          .engine = server->engine,
                                          .recorder = server->recorder,
                                          .hub = server->hub,
                                          .references = server->references,
                                          .sources_dir = server->sources,
                                          .logs_dir = server->logs,
                                          .build_env = options->build_env,
                                          .package_allow = options->package_allow,
                                          .build_timeout_ms = (uint32_t)options->build_timeout_ms,
                                          .build_memory_mib = (uint32_t)options->build_memory_mib,
                                          .build_disk_mib = (uint32_t)options->build_disk_mib,
                                          .storage = &server->storage.api,
                                          .organization = options->organization,
                                          .project = "default",
                                          .dispatch_host = options->dispatch_host,
                                          .registries = server->registries,
                                          .image_folders = options->image_folders,
                                          .registry_patience_s = (uint32_t)options->registry_patience_s,
                                          .image_registry = LOCAL_REGISTRY,
                                          .version_json = server->version_json,
                                          .skip_auth = true,
                                          .draining_generation = server->hello.draining_generation,
                                          .run_timeout_ms = (uint32_t)options->run_timeout_ms,
                                          .body_bytes_max = options->request_bytes_max,
                                          .source_bytes_max = options->source_bytes_max,
                                          .gc_grace_s = options->gc_grace_s,
                                          .maintenance = getenv(SERVER_ENV_MAINTENANCE) != NULL,
                                          .metrics = metrics,
                                          .problem = problem,
                                          .arg = server};
        return api_create(&config, &server->api, err);
}

/* "dispatch" is the contract's default: no registry has a name like that. */
static enum err_code make_registries(struct server *server, struct err *err)
{
        const struct server_options *options = server->options;
        bool none = options->disable_registry || strcmp(options->image_registry, LOCAL_REGISTRY) == 0;
        const struct registries_config config = {.insecure = options->registry_insecure,
                                                 .local = options->registry_local,
                                                 .auth_file = options->registry_auth_file,
                                                 .auth = options->registry_auth,
                                                 .authority = options->registry_ca,
                                                 .prefix = none ? "" : options->image_registry};

        return registries_create(&config, &server->registries, err);
}

enum err_code server_parts_create(struct server *server, struct err *err)
{
        enum err_code code = runtime_table_load(getenv(SERVER_ENV_RUNTIME), &server->runtimes, err);

        if (code == ERR_OK)
                code = reference_table_create(str_of(server->options->image_references), &server->runtimes,
                                              &server->references, err);
        if (code == ERR_OK)
                code = make_registries(server, err);
        if (code == ERR_OK)
                code = open_state(server, err);
        if (code == ERR_OK)
                code = builder_create(server->control, server->links[0], &server->builder, err);
        if (code == ERR_OK)
                code = make_engine(server, err);
        if (code == ERR_OK)
                code = snapshot_hub_create(server->control, server->loops, server->loop_count, &server->hub,
                                           err);
        if (code != ERR_OK)
                return code;
        const struct gateway_config gateway = {.loops = server->loops,
                                               .loop_count = server->loop_count,
                                               .engine = server->engine,
                                               .hub = server->hub,
                                               .recorder = server->recorder,
                                               .control = server->control,
                                               .request_bytes_max = server->options->request_bytes_max};
        code = gateway_create(&gateway, &server->gateway, err);
        if (code == ERR_OK && (code = make_api(server, err)) != ERR_OK)
                name_state_dir(server, getenv(SERVER_ENV_STATE), err);
        return code;
}
