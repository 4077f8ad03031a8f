/*
 * server/serve.h: the server as one object, for the files that put it together (parts.c) and run it
 * (serve.c).
 */
#ifndef DISPATCH_SERVER_SERVE_H
#define DISPATCH_SERVER_SERVE_H

#include "api/api.h"
#include "base/loop.h"
#include "engine/local/local.h"
#include "gateway/gateway.h"
#include "image/runtime.h"
#include "server/server.h"
#include "server/storage.h"
#include "server/tls.h"

#include <pthread.h>

enum { SERVE_LOOPS_MAX = 256 };

enum role { ROLE_API, ROLE_GATEWAY, ROLE_API_TLS, ROLE_GATEWAY_TLS, ROLE_UNIX, ROLE_COUNT };

struct listeners {
        int fds[ROLE_COUNT][SERVE_LOOPS_MAX];
        size_t counts[ROLE_COUNT];
};

struct server;

struct worker {
        struct server *server;
        size_t index;
        struct loop *loop;
        pthread_t thread;
        bool running;
        struct http_server *api, *gateway;
        struct tls_context *tls; /* NULL: off */
        struct loop_task task;
        struct err err; /* why it could not open */
        enum err_code code;
        unsigned draining;
};

struct server {
        const struct server_options *options;
        struct listeners listeners;
        int links[SERVE_LOOPS_MAX + 1];
        size_t loop_count;
        struct spawn_hello hello;
        struct loop *control;
        struct loop *loops[SERVE_LOOPS_MAX + 1]; /* the control loop is the last: runs of the API are its */
        struct worker *workers;
        struct runtime_table runtimes;
        struct reference_table *references;
        struct registries *registries;
        struct store *store;
        struct secrets *secrets;
        struct builder *builder;
        struct engine *engine;
        struct recorder *recorder;
        struct snapshot_hub *hub;
        struct gateway *gateway;
        struct api *api;
        struct server_tls tls;
        struct loop_poll *link;
        struct loop_signal *signals[3];
        struct loop_timer *drain_timer;
        char version_json[512];
        char sources[4096], logs[4096];
        struct storage storage;
        uint64_t started_ms;
        size_t workers_opening, workers_draining;
        bool serving, stopping, retiring, engine_draining, engine_drained;
        bool failed;
};

/* Everything that is the control thread's: state, builder, engine, gateway, API. Needs the loops, the links
 * and spawn's hello; what was made before a failure is the caller's to take down. */
enum err_code server_parts_create(struct server *server, struct err *err);

#endif
