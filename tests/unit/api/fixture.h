/*
 * The API on a real store, recorder, snapshot hub and loop, with stand-ins at its edges: HTTP exchanges, the
 * builder and an engine that do what a test tells them. Everything runs on one loop, so a test steps it.
 */
#ifndef DISPATCH_TESTS_API_FIXTURE_H
#define DISPATCH_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "model/json.h"

struct reply {
        int status;
        char *body; /* NUL-terminated */
        json_t *json;
        char *content_type, *etag, *allow, *truncated;
        bool delivered;
};
void reply_finish(struct reply *reply);
#define own_reply __attribute__((cleanup(reply_finish)))

struct fake_engine {
        struct engine engine;
        struct loop *loop;
        /* what comes of a deploy */
        enum err_code deploy_code;
        const char *deploy_text, *deploy_trace;
        bool deploy_held; /* until fake_deploy_release */
        /* what comes of a run */
        enum err_code run_code;
        const char *run_error_type, *run_error;
        const char *run_body, *run_type, *run_stdout;
        unsigned run_refusals; /* so many runs find no room first */
        /* what was asked */
        unsigned deploys, retires, invokes;
        char last_payload[4096], last_type[128], last_context[1024], last_secrets[1024];
        char last_handler[128], last_code[SPAWN_NAME_MAX], last_layer[SPAWN_NAME_MAX];
        int64_t last_revision;
        uint64_t last_deadline_ms;
};

struct fake_builder {
        enum err_code source_code, builtin_code;
        const char *text, *info;
        bool source_held, builtin_held; /* until fake_builder_release */
        unsigned sources, builtins, drops, tasks;
        char task[24]; /* kind of the last */
        char dropped[SPAWN_NAME_MAX];
};

struct fixture {
        uint32_t generation; /* of the next start; 0: 1 */
        char dir[64];
        char url[80], sources[80];
        struct loop *loop;
        struct store *store;
        struct secrets *secrets;
        struct recorder *recorder;
        struct snapshot_hub *hub;
        struct runtime_table runtimes;
        struct reference_table *references;
        struct fake_engine engine;
        struct api_config config;
        struct api *api;
        struct http_handler handler;
        unsigned problems;
        char problem[512];
};
extern struct fake_builder fake_builder;

void fixture_init(struct fixture *fixture);
void fixture_finish(struct fixture *fixture);
/* Ends the API, recorder and store as a crash would leave them, and starts them anew. */
void fixture_restart(struct fixture *fixture);

/* Begins a call; fields: "Name: value" lines. The reply is filled in once it came. */
void call_begin(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
                const char *fields, const char *body);
/* The same, and steps the loop until the reply is there. */
void call(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
          const char *body);
void call_with(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
               const char *fields, const char *body);
void wait_reply(struct fixture *fixture, struct reply *reply);
/* Ends the connection of the last call that was begun. */
void call_break(void);
/* Steps until nothing is left to do. */
void settle(struct fixture *fixture);

void fake_builder_release(struct fixture *fixture);
void fake_deploy_release(struct fixture *fixture);

/* Common beginnings; each settles. */
void make_image(struct fixture *fixture);                      /* python3 */
void make_function(struct fixture *fixture, const char *name); /* READY, unless a fake says otherwise */
const char *text_of(const json_t *json, const char *key);

#endif
