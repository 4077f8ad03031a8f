/*
 * api/api.h: the REST API (CONTRACT.md, sections 0, 6 and 7) and the controllers that bring images and
 * functions to READY.
 *
 * Requests arrive on any HTTP loop. There the head is checked and the body collected; then the call travels
 * as one heap object to the control loop, where alone the store is used (it blocks), and back with its reply.
 * The API keeps no lock and no state on the HTTP loops but two counters.
 *
 * What a function does while its definition changes: the revision that was READY serves until the new one has
 * loaded its handler; when the new one fails, the status is ERROR with the reason and the old revision goes
 * on serving until the next PUT.
 */
#ifndef DISPATCH_API_API_H
#define DISPATCH_API_API_H

#include "api/storage.h"
#include "base/err.h"
#include "base/loop.h"
#include "engine/engine.h"
#include "engine/recorder.h"
#include "engine/snapshot.h"
#include "http/server.h"
#include "image/builder.h"
#include "image/reference.h"
#include "image/registries.h"
#include "secrets/secrets.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct api;

/* What the API works with. Everything pointed to outlives the api; strings are kept by pointer. */
struct api_config {
        struct loop *control;
        struct store *store;
        struct secrets *secrets;
        struct builder *builder;
        struct engine *engine;
        struct recorder *recorder;
        struct snapshot_hub *hub;
        const struct reference_table *references;
        const struct registries *registries;
        const char *image_folders; /* where images on this host's disk may be, separated by commas; or NULL */
        uint32_t registry_patience_s; /* a registry that is silent for so long is given up */

        const char *sources_dir;           /* the server's own folder, 0700; made when missing */
        const char *logs_dir;              /* logs of builds; likewise; NULL: none are kept */
        const struct api_storage *storage; /* where sources are kept besides; NULL: nowhere */
        const char *organization;          /* default organization: "dispatch-server" */
        const char *project;               /* default project: "default" */
        const char *dispatch_host;         /* "dispatch.local" */
        const char *image_registry;        /* in the names of images that are pushed nowhere: "dispatch" */
        const char *version_json;          /* Version object of the contract */
        bool skip_auth;                    /* false: every call but version and health needs credentials */
        uint32_t draining_generation;

        const char *build_env;     /* NAME=VALUE,... for what installs packages; NULL: nothing */
        const char *package_allow; /* file with the packages that may be installed; NULL or "": all */
        uint32_t build_timeout_ms, build_memory_mib, build_disk_mib; /* of such builds; 0: the builder's */

        uint32_t run_timeout_ms;   /* of functions that name none; 0: 60,000 */
        uint64_t body_bytes_max;   /* 0: 10 MiB */
        uint64_t source_bytes_max; /* packed; 0: 64 MiB */
        uint32_t calls_max;        /* API calls in flight; 0: 1024; past it 503 */
        uint32_t runs_waiting_max; /* runs that wait for a function to be READY; 0: 1000; past it 429 */
        bool maintenance;          /* go on with nothing by itself, for an administrator's work */
        uint64_t gc_grace_s;       /* what nothing refers to goes when it is older */
        uint32_t reconcile_ms;     /* before what could not go on is looked at again; 0: 1000 */

        /* Optional hooks, called on the control loop. metrics appends OpenMetrics text. problem hears of what
         * no caller can be told: failures of the server itself; the text is for the log. */
        void (*metrics)(void *arg, struct buf *out);
        void (*problem)(void *arg, const char *text);
        void *arg;
};

/* On the control thread, before the HTTP loops run. */
enum err_code api_create(const struct api_config *config, struct api **ret, struct err *err);
/* No HTTP server may call the handler any more; calls, runs and builds that have not ended are forgotten
 * (loops, engine and builder must be gone or silent). Takes NULL. */
void api_destroy(struct api *api);

/* For http_server_create of each HTTP loop; valid until api_destroy. */
struct http_handler api_http_handler(struct api *api);
/* The largest body that any route takes: the limit to give to those HTTP servers. */
uint64_t api_body_bytes_max(const struct api *api);

/* The description of this API (OpenAPI 3.1, JSON) that GET /openapi.json serves. Appends to out. */
enum err_code api_openapi(struct buf *out, struct err *err);

/*
 * Once, at start, on the control loop: loads every function and endpoint into the snapshot and publishes it;
 * then calls published. After that, behind the scenes: goes on with
 * what was not finished when the last server ended, rebuilds layers that are missing, removes sources that
 * nothing refers to, and runs again the accepted runs of servers that are gone.
 */
typedef void (*api_published)(void *arg, enum err_code code, const struct err *err);
void api_recover(struct api *api, api_published published, void *arg);

/* From now on /readyz answers 200: every loop takes connections. Any thread. */
void api_ready(struct api *api);

/* What the collector of garbage found when it last looked, by kind (api/gc.c), and has removed so far. */
enum { API_GC_KINDS = 6 };
struct api_gc_counts {
        struct api_gc_count {
                uint64_t count, bytes;
        } kept[API_GC_KINDS]; /* layers, blobs, sources, objects, unfinished uploads, logs */
        uint64_t removed, removed_bytes;
};
void api_gc_counts(const struct api *api, struct api_gc_counts *ret);

/* The older server that still drained is gone: its accepted runs that are not over are run again. Control
 * loop. */
void api_server_gone(struct api *api);

#endif
