/*
 * api/internal.h: the API's own state and what its files offer one another. All of it lives on the control
 * loop, but for the counters, which HTTP loops move.
 */
#ifndef DISPATCH_API_INTERNAL_H
#define DISPATCH_API_INTERNAL_H

#include "api/api.h"
#include "api/call.h"
#include "base/hamt.h"

#include <stdatomic.h>

struct catalogue_job;
struct function_job;
struct gc_pass;
struct image_job;
struct push_queue;
struct image_build;
struct image_progress;
struct image_waiter;
struct layer_check;
struct layer_job;
struct base_pull;
struct pull;
struct object_job;
struct run_call;
struct source_fetch;
struct source_upload;

struct api {
        struct api_config config;
        atomic_uint calls;           /* in flight */
        atomic_uint_fast64_t bytes;  /* of their bodies */
        atomic_uint_fast64_t serial; /* of the last call */
        atomic_bool open;            /* the snapshot was published: calls are taken */
        atomic_bool ready;           /* and the server knows: /readyz says so */
        int sources_fd;
        struct hamt sources;           /* name of a file or layer -> who holds it (sources.c) */
        size_t objects_held;           /* sources among them that the object store has */
        uint64_t sources_fetched;      /* numbers names of files that are being fetched */
        struct source_upload *uploads; /* of changes that wait for them (source_upload.c) */
        struct source_fetch *fetches;  /* under way (source_fetch.c) */
        char object_id[UUID_LEN + 1];  /* object_store.h */
        struct object_job *object_jobs;
        struct gc_pass *gc; /* that is under way (gc.c) */
        struct loop_timer *gc_timer;
        struct api_gc_counts gc_counts;
        bool objects_checked;         /* the object store has been found to work */
        bool objects_needed;          /* rows name objects: without its bucket something is lost */
        struct hamt endpoints;        /* id -> endpoint_entry (endpoints.c) */
        struct function_job *jobs;    /* builds of functions in flight */
        bool snapshot_stale;          /* it could not follow the store */
        bool reconcile_due;           /* the timer is on */
        struct loop_timer *reconcile; /* fires once after something could not be saved or queued */
        unsigned stumbles;      /* looks in a row that did not bring all to an end: the next comes later */
        char last_problem[160]; /* told last, and when: the same again is not told at once */
        uint64_t last_problem_ms;
        struct explanation *explanations; /* that could not be written yet (explain.c) */
        struct layer_job *layer_jobs;
        struct layer_check *checks;       /* that are still to be made (layer_check.c) */
        struct layer_repair *repairs;     /* the same of images (layer_repair.c) */
        struct image_build *image_builds; /* of images with packages (image_build.c) */
        struct json_t *tools;             /* language -> its tools' layer and when it was found */
        struct catalogue_job *catalogue_jobs;
        int logs_fd;                        /* the folder of logs; -1: none are kept (image_log.c) */
        struct image_waiter *image_waiters; /* calls that follow one */
        struct image_progress *image_progress;
        struct base_pull *base_pulls; /* of base images that are fetched (base_images.c) */
        struct pull *pulls;           /* and all that are (pull.c) */
        uint64_t pull_serial;
        const char *layer_made;       /* while rows hear of it */
        bool layers_stale;            /* one was found missing */
        struct image_job *image_jobs; /* exports and pushes that callers wait for */
        struct push_queue *pushes;    /* to --image-registry; NULL: there is none */
        struct run_call *runs;        /* runs that wait, or go on */
        uint32_t runs_waiting;
        unsigned char cursor_key[32]; /* cursor.h */
        struct buf openapi;           /* what GET /openapi.json serves */
        char openapi_etag[40];
        uint32_t epoch; /* counts revision objects made for a changed secret */
};

/* Makes what GET /openapi.json serves (openapi.c). */
enum err_code api_openapi_init(struct api *api, struct err *err);

/* http.c: a request that passed the head's checks arrives here on the control loop (dispatch.c). */
void api_dispatch(struct api_call *call);

/* Something pending could not go on just now (a full disk, too many builds): all that is pending is looked at
 * again in a moment, which gets longer until something goes on: api_progress. */
void api_reconcile_later(struct api *api);
void api_progress(struct api *api);

/* layer_repair.c: looks for layers of images that are missing and has them made again; the second, of a
 * struct api, has it done in a moment. */
void layers_check(struct api *api);
void layers_missing(void *arg);
void layers_finish(struct api *api);

/* A failure that says nothing about what was asked for: no room, a part that is away, a server that ends.
 * What it hit stays pending. */
static inline bool api_is_passing(enum err_code code)
{
        return code == ERR_LIMIT || code == ERR_UNAVAILABLE || code == ERR_CANCELLED;
}

/* Tells of a failure and looks again later; the second also compares the snapshot with what is stored. */
void api_stumble(struct api *api, const char *what, const struct err *err);
void api_stumble_snapshot(struct api *api, const char *what, const struct err *err);

/* Tells the log, through the server, what no caller can be told. */
void api_problem(struct api *api, const char *what, const struct err *err);

/* The key of a resource of the caller; base images belong to the organization, and an API is an endpoint. */
struct store_key api_key(enum model_kind kind, struct str organization, struct str project, struct str name);
struct store_key api_row_key(enum model_kind kind, const struct store_row *row);

#endif
