/*
 * engine/engine.h: runs functions. One interface, two implementations (local/, later knative/); gateway and
 * API see only this.
 *
 * invoke may be called on any loop the engine was created with; done comes back on that loop. deploy and
 * retire are called on the control loop.
 */
#ifndef DISPATCH_ENGINE_ENGINE_H
#define DISPATCH_ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "engine/revision.h"
#include "http/message.h"
#include "model/json.h"

struct engine;

enum invocation_source { SOURCE_RUN, SOURCE_ENDPOINT };
enum start_kind { START_NONE, START_HOT, START_AHEAD, START_TEMPLATE, START_ZYGOTE, START_STEM, START_BOOT };
const char *start_kind_name(enum start_kind kind); /* "hot", ... as in a run's `start` */

struct invocation_timing {
        uint64_t queue_us, sandbox_us, start_us, import_us, handler_us;
};

/*
 * One run. The caller fills the first part, which must stay valid until done; the engine fills the second.
 * The caller frees it (invocation_finish for what the engine put in).
 */
struct invocation {
        struct revision *revision; /* the caller's reference */
        struct loop *loop;         /* where done is called */
        char run_id[UUID_LEN + 1];
        enum invocation_source source;
        struct str method, target, scheme;
        struct http_fields fields; /* of the original request; hop-by-hop fields are left out by the engine */
        struct str content_type;   /* p == NULL: none */
        struct str payload;
        struct str http_context; /* JSON object for context.httpContext of a run, or empty */
        struct str secrets;   /* JSON object: secrets of this run alone, or empty; wiped by the caller after
                                 done */
        uint64_t deadline_ms; /* clock_mono_ms */
        void (*done)(struct invocation *inv); /* exactly once, later, never before invoke returned */
        void *arg;

        /* result */
        enum err_code code;     /* ERR_OK: the handler answered (perhaps with an error of its own) */
        struct err err;         /* unless ERR_OK: what was exceeded or failed, naming the layer */
        const char *error_type; /* NULL: success; "InputError", "FunctionError", "SystemError" */
        struct buf error;       /* JSON {"type","message","stacktrace"} when error_type is set */
        int status;             /* of a response object, else 200 */
        struct buf head;        /* extra fields of a response object, as "name\0value\0" pairs, checked */
        struct buf content;     /* content type of body; empty: none */
        struct buf body;        /* the payload's bytes */
        struct buf log_stdout, log_stderr; /* bounded by the log limit, truncation marked */
        enum start_kind start;
        struct invocation_timing timing;
        uint32_t queue_position; /* of ERR_LIMIT: where in the queue it stood, or would have; 0: in none */
        uint32_t retry_after_s;  /* when another try may find room; 0: not known */
        uint64_t cpu_us, memory_peak_bytes;
        uint64_t read_bytes, written_bytes; /* on disks */

        /* the engine's */
        struct loop_task task;
        struct invocation *next, *prev;
        void *home, *instance;
        uint64_t queued_us;
        bool cancelled, queued;
};
void invocation_init(struct invocation *inv);
void invocation_finish(struct invocation *inv); /* frees the result's buffers */

enum { INVOCATION_TIMING_MAX = 256 };
/* The stages as a value of Server-Timing (W3C): "queue;dur=0.012, handler;dur=1.300, start;desc=hot",
 * milliseconds. A view of `text`. */
struct str invocation_timing_text(const struct invocation *inv, char text[INVOCATION_TIMING_MAX]);

/* The end of a deploy: ERR_OK: at least one instance loaded the handler; else why, with the handler's trace
 * in `trace` (JSON error object) when it was its own failure. */
typedef void (*engine_deployed)(void *arg, enum err_code code, const struct err *err, struct str trace);

/* What is asked about: the instances of a project, or of one function (by its id), or the state of one
 * function's pools. */
struct engine_query {
        const char *organization, *project;
        const char *function_id; /* NULL: all */
        bool pool;
};
/* A list of instances, or {"pools", "failures"}; the callee's. NULL: no memory. */
typedef void (*engine_inspected)(void *arg, json_t *found);

struct engine_ops {
        const char *name;
        /* Starts an instance of the revision and keeps it ready. Idempotent. */
        void (*deploy)(struct engine *engine, struct revision *revision, engine_deployed done, void *arg);
        /* No new runs will come for it (function changed or deleted): idle instances end now, busy ones after
         * their run. */
        void (*retire)(struct engine *engine, struct revision *revision);
        void (*invoke)(struct engine *engine, struct invocation *inv);
        /* Ends a run early: done follows with ERR_CANCELLED unless it was on its way. On inv->loop. */
        void (*cancel)(struct engine *engine, struct invocation *inv);
        /* The same of the run of that id, if one of that organization and project waits or runs; done says
         * whether, on the control loop, behind the run's own done where that comes there too. On the control
         * loop. ERR_NO_MEMORY: done does not follow. */
        enum err_code (*cancel_named)(struct engine *engine, struct str organization, struct str project,
                                      struct str run_id, void (*done)(void *arg, bool found), void *arg,
                                      struct err *err);
        /* done follows on the control loop, perhaps before this returns. The query's texts need not live on.
         */
        void (*inspect)(struct engine *engine, const struct engine_query *query, engine_inspected done,
                        void *arg);
        /* No new work; calls drained(arg) on the control loop when no run is left. */
        void (*drain)(struct engine *engine, void (*drained)(void *arg), void *arg);
        void (*destroy)(struct engine *engine);
};

struct engine {
        const struct engine_ops *ops;
};

#endif
