/*
 * server/serve.c: the unprivileged server: has its parts made, runs N loops and the control loop, and
 * takes them down again.
 *
 * The main thread is the control thread: it owns the store, the API's work, the builder and spawn's control
 * link. Each other thread runs one loop with an API server, a gateway server and a home of the engine.
 */
#include "server/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HELLO_WAIT_MS = 10000, LOOP_STACK_BYTES = 256 * 1024 };

static enum err_code add_listener(struct listeners *listeners, struct str item, struct err *err)
{
        static const struct str names[] = {[ROLE_API] = STR_INIT("api"),
                                           [ROLE_GATEWAY] = STR_INIT("gateway"),
                                           [ROLE_API_TLS] = STR_INIT("api-tls"),
                                           [ROLE_GATEWAY_TLS] = STR_INIT("gateway-tls"),
                                           [ROLE_UNIX] = STR_INIT("unix")};
        struct str number = item, role = str_cut(&number, '=');
        uint64_t fd;

        for (size_t i = 0; i < ROLE_COUNT; i++) {
                if (!str_eq(role, names[i]) || !str_to_u64(number, &fd) ||
                    listeners->counts[i] == SERVE_LOOPS_MAX)
                        continue;
                listeners->fds[i][listeners->counts[i]++] = (int)fd;
                return ERR_OK;
        }
        return err_set(err, ERR_INVALID, "%s has '%.*s', which is no listener", SERVER_ENV_LISTEN,
                       STR_ARG(item));
}

/* What dispatch-spawn has handed over. */
static enum err_code read_environment(struct server *server, struct err *err)
{
        const char *listen_text = getenv(SERVER_ENV_LISTEN), *links_text = getenv(SERVER_ENV_LINKS);
        struct str rest = str_of(listen_text != NULL ? listen_text : "");
        size_t count = 0;
        uint64_t fd;

        while (rest.len > 0) {
                enum err_code code = add_listener(&server->listeners, str_cut(&rest, ','), err);
                if (code != ERR_OK)
                        return code;
        }
        rest = str_of(links_text);
        while (rest.len > 0) {
                if (count > SERVE_LOOPS_MAX || !str_to_u64(str_cut(&rest, ','), &fd))
                        return err_set(err, ERR_INVALID, "%s is malformed", SERVER_ENV_LINKS);
                server->links[count++] = (int)fd;
        }
        if (count < 2 || getenv(SERVER_ENV_STATE) == NULL || getenv(SERVER_ENV_RUNTIME) == NULL)
                return err_set(err, ERR_INVALID, "this is started by dispatch-spawn; unset %s",
                               SERVER_ENV_LINKS);
        server->loop_count = count - 1;
        return ERR_OK;
}

/* What it says first: the frame of that operation, with a descriptor or -1. */
static enum err_code read_first(const struct server *server, enum spawn_op op, union spawn_frame *frame,
                                int *ret_fd, struct err *err)
{
        struct pollfd wait = {.fd = server->links[0], .events = POLLIN};
        int fds[SPAWN_FDS_MAX];
        size_t count;

        if (poll(&wait, 1, HELLO_WAIT_MS) != 1)
                return err_set(err, ERR_TIMEOUT, "dispatch-spawn did not say hello within %d s",
                               HELLO_WAIT_MS / 1000);
        enum err_code code = spawn_receive(server->links[0], frame, fds, &count, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "hello of dispatch-spawn");
        for (size_t i = 1; i < count; i++)
                close(fds[i]);
        *ret_fd = count > 0 ? fds[0] : -1;
        if (frame->head.op != op) {
                own_fd_release(ret_fd);
                return err_set(err, ERR_INVALID, "dispatch-spawn did not begin with a hello and credentials");
        }
        return ERR_OK;
}

static enum err_code read_hello(struct server *server, struct err *err)
{
        union spawn_frame frame;
        bool whole = false;
        int fd;

        enum err_code code = read_first(server, SPAWN_HELLO, &frame, &fd, err);
        if (code != ERR_OK)
                return code;
        own_fd_release(&fd);
        server->hello = frame.hello;
        server_tls_init(&server->tls, server->options, getenv(SERVER_ENV_STATE));
        while (code == ERR_OK && !whole) {
                code = read_first(server, SPAWN_CREDENTIAL, &frame, &fd, err);
                if (code != ERR_OK)
                        break;
                whole = server_tls_take(&server->tls, &frame.credential, fd);
                own_fd_release(&fd);
        }
        return code;
}

/* Each worker has its own reference, and another only on its loop. */
static enum err_code make_tls(struct server *server, struct err *err)
{
        struct tls_context *context = NULL;

        if (!server->options->enable_tls)
                return ERR_OK;
        enum err_code code = server_tls_make(&server->tls, &context, err);
        for (size_t i = 0; i < server->loop_count; i++)
                server->workers[i].tls = tls_context_ref(context);
        tls_context_unref(context);
        return code;
}

struct tls_change {
        struct loop_task task;
        struct worker *worker;
        struct tls_context *context;
};

static void tls_change_run(struct loop_task *task)
{
        struct tls_change *change = (struct tls_change *)task;
        struct worker *worker = change->worker;

        if (worker->api != NULL)
                http_server_tls_set(worker->api, change->context);
        if (worker->gateway != NULL)
                http_server_tls_set(worker->gateway, change->context);
        tls_context_unref(worker->tls);
        worker->tls = change->context;
        free(change);
}

static void tls_change_post(struct worker *worker, struct tls_context *context)
{
        struct tls_change *change = calloc(1, sizeof(*change));

        if (change == NULL) {
                log_error("out of memory: a loop keeps the certificates that it has");
                return;
        }
        *change = (struct tls_change){{.run = tls_change_run}, worker, tls_context_ref(context)};
        loop_post(worker->loop, &change->task);
}

/* SIGHUP: connections from now on get what is in the files now. */
static void reload(struct server *server)
{
        struct tls_context *context;
        struct err err;

        if (!server->options->enable_tls) {
                log_info("reload: there is nothing to read anew, TLS is off");
                return;
        }
        if (server_tls_make(&server->tls, &context, &err) != ERR_OK) {
                log_error("reload: the certificates stay as they were: %s", err.text);
                return;
        }
        for (size_t i = 0; i < server->loop_count; i++)
                tls_change_post(&server->workers[i], context);
        tls_context_unref(context);
        log_info("reload: new connections get the certificates as they are now");
}

static struct http_limits http_limits_of(const struct server_options *options)
{
        struct http_limits limits = http_limits_default;

        limits.header_bytes_max = (uint32_t)options->header_bytes_max;
        limits.header_count_max = (uint32_t)options->header_count_max;
        limits.header_timeout_ms = (uint32_t)options->header_timeout_ms;
        limits.body_timeout_ms = (uint32_t)options->body_timeout_ms;
        limits.write_timeout_ms = (uint32_t)options->write_timeout_ms;
        limits.idle_timeout_ms = (uint32_t)options->idle_timeout_ms;
        limits.handshake_timeout_ms = (uint32_t)options->handshake_timeout_ms;
        limits.connections_max = (uint32_t)options->connections_max;
        limits.body_bytes_max = options->request_bytes_max;
        return limits;
}

static size_t pick_listeners(const struct server *server, enum role role, size_t index, int *fds)
{
        if (index >= server->listeners.counts[role])
                return 0;
        fds[0] = server->listeners.fds[role][index];
        return 1;
}

static enum err_code listen_tls(struct worker *worker, struct http_server *http, enum role role,
                                struct err *err)
{
        int fds[1];
        size_t count = pick_listeners(worker->server, role, worker->index, fds);

        return worker->tls != NULL ? http_server_listen_tls(http, fds, count, worker->tls, err) : ERR_OK;
}

/* On the worker's own loop: from here on its connections are taken. */
static enum err_code worker_open(struct worker *worker, struct err *err)
{
        const struct server *server = worker->server;
        struct http_limits limits = http_limits_of(server->options);
        const struct http_handler api = api_http_handler(server->api);
        const struct http_handler gateway = gateway_handler(server->gateway, worker->index);
        int fds[2];

        size_t count = pick_listeners(server, ROLE_GATEWAY, worker->index, fds);
        enum err_code code =
                http_server_create(worker->loop, fds, count, &limits, &gateway, &worker->gateway, err);
        if (code == ERR_OK)
                code = listen_tls(worker, worker->gateway, ROLE_GATEWAY_TLS, err);
        if (code != ERR_OK)
                return code;
        count = pick_listeners(server, ROLE_API, worker->index, fds);
        count += pick_listeners(server, ROLE_UNIX, worker->index, fds + count);
        limits.body_bytes_max = api_body_bytes_max(server->api);
        code = http_server_create(worker->loop, fds, count, &limits, &api, &worker->api, err);
        return code == ERR_OK ? listen_tls(worker, worker->api, ROLE_API_TLS, err) : code;
}

static void *worker_run(void *arg)
{
        struct worker *worker = arg;

        loop_run(worker->loop);
        return NULL;
}

static enum err_code start_workers(struct server *server, struct err *err)
{
        pthread_attr_t attr;
        sigset_t all, before;
        int failed = 0;

        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
        /* Signals are the control thread's. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        for (size_t i = 0; i < server->loop_count && failed == 0; i++) {
                failed = pthread_create(&server->workers[i].thread, &attr, worker_run, &server->workers[i]);
                server->workers[i].running = failed == 0;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attr);
        errno = failed;
        return failed == 0 ? ERR_OK : err_sys(err, "start a thread");
}

/* Says where it serves, "http://127.0.0.1:8080"; the port may have been chosen by the kernel. */
static void listener_tell(const struct listeners *listeners, enum role role, const char *who)
{
        const char *scheme = role == ROLE_API_TLS || role == ROLE_GATEWAY_TLS ? "https" : "http";
        union {
                struct sockaddr_storage storage;
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } address = {0};
        socklen_t len = sizeof(address);
        char host[INET6_ADDRSTRLEN] = "";
        bool v6;
        in_port_t port;

        if (listeners->counts[role] == 0 || getsockname(listeners->fds[role][0], &address.any, &len) < 0)
                return;
        v6 = address.any.sa_family == AF_INET6;
        port = ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port);
        inet_ntop(address.any.sa_family,
                  v6 ? (const void *)&address.v6.sin6_addr : (const void *)&address.v4.sin_addr, host,
                  sizeof(host));
        log_info(v6 ? "%s: serving %s traffic at %s://[%s]:%u" : "%s: serving %s traffic at %s://%s:%u", who,
                 scheme[4] == 's' ? "HTTPS" : "HTTP", scheme, host, port);
}

static void stop_all(struct server *server)
{
        for (size_t i = 0; i < server->loop_count; i++)
                loop_stop(server->loops[i]);
        loop_stop(server->control);
}

static void fail(struct server *server, const char *text)
{
        if (server->failed)
                return;
        log_error("%s", text);
        server->failed = true;
        stop_all(server);
}

/* Every loop takes connections: tell spawn and whoever reads the log. */
static void opened(struct server *server)
{
        union spawn_frame ready = {.head = {.op = SPAWN_READY}};
        struct err err;

        listener_tell(&server->listeners, ROLE_API, "Dispatch HTTP server");
        listener_tell(&server->listeners, ROLE_API_TLS, "Dispatch HTTP server");
        listener_tell(&server->listeners, ROLE_GATEWAY, "API Gateway");
        listener_tell(&server->listeners, ROLE_GATEWAY_TLS, "API Gateway");
        if (spawn_send(server->links[0], &ready, NULL, 0, &err) != ERR_OK) {
                fail(server, err.text);
                return;
        }
        server->serving = true;
        api_ready(server->api);
        log_info("ready in %llu ms", (unsigned long long)(clock_mono_ms() - server->started_ms));
        malloc_trim(0); /* what the start needed and the rest does not */
}

static void worker_opened(struct loop_task *task)
{
        struct worker *worker = (struct worker *)(void *)((char *)task - offsetof(struct worker, task));
        struct server *server = worker->server;

        if (worker->code != ERR_OK)
                fail(server, worker->err.text);
        else if (--server->workers_opening == 0)
                opened(server);
}

static void worker_open_task(struct loop_task *task)
{
        struct worker *worker = (struct worker *)(void *)((char *)task - offsetof(struct worker, task));

        worker->code = worker_open(worker, &worker->err);
        worker->task.run = worker_opened;
        loop_post(worker->server->control, &worker->task);
}

/* Functions and routes are known on every loop. Until now connections have waited in the kernel; now they are
 * taken. */
static void published(void *arg, enum err_code code, const struct err *err)
{
        struct server *server = arg;

        if (code != ERR_OK) {
                fail(server, err->text);
                return;
        }
        server->workers_opening = server->loop_count;
        for (size_t i = 0; i < server->loop_count; i++) {
                server->workers[i].task.run = worker_open_task;
                loop_post(server->loops[i], &server->workers[i].task);
        }
}

static void server_gone(struct server *server)
{
        log_info("the older server has ended");
        api_server_gone(server->api);
}

static void link_ready(void *arg, int events)
{
        struct server *server = arg;
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count;
        struct err err;

        (void)events;
        for (;;) {
                enum err_code code = spawn_receive(server->links[0], &frame, fds, &count, &err);
                if (code == ERR_LIMIT)
                        return;
                if (code == ERR_CANCELLED) {
                        fail(server, "dispatch-spawn is gone, so this server ends");
                        return;
                }
                if (code != ERR_OK && code != ERR_NO_MEMORY) /* then it has come, without its descriptors */
                        continue;
                bool reloads = frame.head.op == SPAWN_CREDENTIAL &&
                               server_tls_take(&server->tls, &frame.credential, count > 0 ? fds[0] : -1);
                if (frame.head.op == SPAWN_STORE)
                        builder_deliver_store(server->builder, &frame, count > 0 ? fds[0] : -1);
                for (size_t i = 0; i < count; i++)
                        close(fds[i]);
                if (reloads)
                        reload(server);
                if (frame.head.op == SPAWN_SERVER_GONE)
                        server_gone(server);
                else if (frame.head.op == SPAWN_BUILT || frame.head.op == SPAWN_LAYER)
                        builder_deliver(server->builder, &frame);
        }
}

/* The end: no new connections, open requests and runs are finished, then the records are written and
 * everything stops. */
static void engine_drained(void *arg);

static void engine_drain(struct server *server)
{
        if (server->engine_draining)
                return;
        server->engine_draining = true;
        server->engine->ops->drain(server->engine, engine_drained, server);
}

static void maybe_drained(struct server *server)
{
        if (server->workers_draining > 0)
                return;
        engine_drain(server); /* nothing new comes any more */
        if (!server->engine_drained)
                return;
        log_info("drained");
        stop_all(server);
}

static void worker_counted(struct loop_task *task)
{
        struct worker *worker = (struct worker *)(void *)((char *)task - offsetof(struct worker, task));

        worker->server->workers_draining--;
        maybe_drained(worker->server);
}

static void server_drained(void *arg)
{
        struct worker *worker = arg;

        if (--worker->draining > 0)
                return;
        worker->task.run = worker_counted;
        loop_post(worker->server->control, &worker->task);
}

static void worker_drain(struct loop_task *task)
{
        struct worker *worker = (struct worker *)(void *)((char *)task - offsetof(struct worker, task));

        worker->draining = 2;
        http_server_drain(worker->api, server_drained, worker);
        http_server_drain(worker->gateway, server_drained, worker);
}

/* The API's idle connections end at once: what is changed through an old server, the new one does not see. */
static void worker_retire(struct loop_task *task)
{
        struct worker *worker = (struct worker *)(void *)((char *)task - offsetof(struct worker, task));
        uint64_t grace_ms = worker->server->options->drain_idle_ms;

        worker->draining = 2;
        http_server_drain(worker->api, server_drained, worker);
        if (http_server_retire(worker->gateway, grace_ms, server_drained, worker, NULL) != ERR_OK)
                http_server_drain(worker->gateway, server_drained, worker);
}

struct hurry {
        struct loop_task task;
        struct worker *worker;
};

static void worker_hurry(struct loop_task *task)
{
        struct hurry *hurry = (struct hurry *)task;

        http_server_hurry(hurry->worker->gateway);
        free(hurry);
}

/* A stop while kept connections are still served. Without memory the grace is as long as it was. */
static void hurry_all(struct server *server)
{
        for (size_t i = 0; i < server->loop_count; i++) {
                struct hurry *hurry = calloc(1, sizeof(*hurry));
                if (hurry == NULL)
                        return;
                *hurry = (struct hurry){.task.run = worker_hurry, .worker = &server->workers[i]};
                loop_post(server->loops[i], &hurry->task);
        }
}

static void engine_drained(void *arg)
{
        struct server *server = arg;

        server->engine_drained = true;
        maybe_drained(server);
}

static void drain_late(void *arg)
{
        struct server *server = arg;

        log_warning("runs were still under way after %llu ms (--drain-ms); they end now",
                    (unsigned long long)server->options->drain_ms);
        stop_all(server);
}

static void workers_post(struct server *server, void (*run)(struct loop_task *task))
{
        loop_timer_start(server->drain_timer, server->options->drain_ms);
        server->workers_draining = server->loop_count;
        for (size_t i = 0; i < server->loop_count; i++) {
                server->workers[i].task.run = run;
                loop_post(server->loops[i], &server->workers[i].task);
        }
}

static void stop_asked(void *arg)
{
        struct server *server = arg;

        if (server->stopping)
                return;
        server->stopping = true;
        if (!server->serving) {
                stop_all(server); /* nothing has been taken on yet */
                return;
        }
        if (server->retiring) {
                hurry_all(server);
                return;
        }
        log_info("stopping: no new requests, waiting for those under way");
        workers_post(server, worker_drain);
        engine_drain(server);
}

/* A newer server has taken this one's place. */
static void retire_asked(void *arg)
{
        struct server *server = arg;

        if (server->stopping || server->retiring)
                return;
        if (!server->serving) {
                stop_asked(server);
                return;
        }
        server->retiring = true;
        log_info("replaced: no new connections, those that are kept are served for %llu ms more",
                 (unsigned long long)server->options->drain_idle_ms);
        workers_post(server, worker_retire);
}

static enum err_code watch(struct server *server, struct err *err)
{
        server->link = loop_poll_create(server->control, server->links[0], link_ready, server);
        server->signals[0] = loop_signal_create(server->control, SIGTERM, stop_asked, server);
        server->signals[1] = loop_signal_create(server->control, SIGINT, stop_asked, server);
        server->signals[2] = loop_signal_create(server->control, SIGUSR1, retire_asked, server);
        server->drain_timer = loop_timer_create(server->control, drain_late, server);
        if (server->link == NULL || server->signals[0] == NULL || server->signals[1] == NULL ||
            server->signals[2] == NULL || server->drain_timer == NULL)
                return err_nomem(err);
        loop_poll_want(server->link, LOOP_READABLE);
        return ERR_OK;
}

static enum err_code make_loops(struct server *server, struct err *err)
{
        server->workers = calloc(server->loop_count, sizeof(*server->workers));
        if (server->workers == NULL)
                return err_nomem(err);
        enum err_code code = loop_create(&server->control, err);
        for (size_t i = 0; i < server->loop_count && code == ERR_OK; i++) {
                code = loop_create(&server->loops[i], err);
                server->workers[i] = (struct worker){.server = server, .index = i, .loop = server->loops[i]};
        }
        return code;
}

/* In the reverse order, after the threads have ended. */
static void take_down(struct server *server)
{
        for (size_t i = 0; server->workers != NULL && i < server->loop_count; i++) {
                if (!server->workers[i].running)
                        continue;
                loop_stop(server->loops[i]);
                pthread_join(server->workers[i].thread, NULL);
        }
        for (size_t i = 0; server->workers != NULL && i < server->loop_count; i++) {
                http_server_destroy(server->workers[i].api);
                http_server_destroy(server->workers[i].gateway);
                tls_context_unref(server->workers[i].tls);
        }
        server_tls_finish(&server->tls);
        loop_poll_destroy(server->link);
        loop_signal_destroy(server->signals[0]);
        loop_signal_destroy(server->signals[1]);
        loop_signal_destroy(server->signals[2]);
        loop_timer_destroy(server->drain_timer);
        recorder_destroy(server->recorder);
        if (server->engine != NULL)
                server->engine->ops->destroy(server->engine);
        api_destroy(server->api);
        gateway_destroy(server->gateway);
        snapshot_hub_destroy(server->hub);
        builder_destroy(server->builder);
        secrets_close(server->secrets);
        store_close(server->store);
        reference_table_destroy(server->references);
        registries_destroy(server->registries);
        runtime_table_finish(&server->runtimes);
        free(server->workers);
}

enum err_code server_serve(const struct server_options *options, struct err *err)
{
        static struct server server; /* large, and alive until the process ends */

        server.options = options;
        server.started_ms = clock_mono_ms();
        signal(SIGPIPE, SIG_IGN);
        signal(SIGUSR1, SIG_IGN);              /* nothing to be replaced in yet */
        signal(SIGHUP, SIG_IGN);               /* spawn's to hear: it opens the files */
        prctl(PR_SET_NAME, "dispatch-server"); /* spawn runs us by a descriptor, which has no name */
        /* One arena for all threads: a few more waits for its lock, megabytes less at rest. */
        mallopt(M_ARENA_MAX, 2);
        enum err_code code = read_environment(&server, err);
        if (code == ERR_OK)
                code = read_hello(&server, err);
        if (code == ERR_OK)
                code = make_loops(&server, err);
        if (code == ERR_OK)
                code = make_tls(&server, err);
        if (code == ERR_OK)
                code = server_parts_create(&server, err);
        if (code == ERR_OK)
                code = watch(&server, err);
        if (code == ERR_OK)
                code = start_workers(&server, err);
        if (code == ERR_OK) {
                api_recover(server.api, published, &server);
                loop_run(server.control);
        }
        take_down(&server);
        return code == ERR_OK && server.failed
                       ? err_set(err, ERR_SYSTEM, "the server has ended because of the error above")
                       : code;
}
