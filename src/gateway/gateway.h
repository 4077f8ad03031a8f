/*
 * gateway/gateway.h: from a public HTTP request to a run of a function and back (CONTRACT 0.7, 7.4).
 *
 * One gateway object serves all loops; gateway_handler gives each loop's HTTP server its handler. Nothing
 * here reads the store or takes a lock: routes and functions come from the loop's snapshot, records go behind
 * to the recorder.
 */
#ifndef DISPATCH_GATEWAY_GATEWAY_H
#define DISPATCH_GATEWAY_GATEWAY_H

#include "engine/engine.h"
#include "engine/recorder.h"
#include "engine/snapshot.h"
#include "http/server.h"

struct gateway;

struct gateway_config {
        struct loop **loops;
        size_t loop_count;
        struct engine *engine;
        struct snapshot_hub *hub;
        struct recorder *recorder;
        struct loop *control;       /* where runs that nobody waits for are accepted */
        uint64_t request_bytes_max; /* of a body: 10 MiB; past it 413 */
};

enum err_code gateway_create(const struct gateway_config *config, struct gateway **ret, struct err *err);
/* After every server that uses it is gone and the engine has drained. Takes NULL. */
void gateway_destroy(struct gateway *gateway);
/* The handler of the loop with that index; valid as long as the gateway. */
struct http_handler gateway_handler(struct gateway *gateway, size_t loop_index);

#endif
