/*
 * image/builder.h: build jobs, run by dispatch-build in a sandbox that spawn makes (wire/spawn.h,
 * SPAWN_BUILD). On the control loop.
 *
 * At most BUILDER_JOBS_MAX jobs at once, of which at most BUILDER_SLOW_MAX are slow ones, so that what takes
 * minutes never stands before what takes milliseconds; the rest wait in order. Jobs that concern the same
 * layer, or have the same serial, run one after the other, so the second finds what the first made. A job
 * past its deadline is killed and ends with ERR_TIMEOUT. `done` is called exactly once for each job, later,
 * on the loop; only a job that cannot be queued (ERR_LIMIT past BUILDER_QUEUE_MAX, ERR_NO_MEMORY) ends before
 * the call returns. `done` may ask for more jobs; it must not destroy the builder. Layer names and languages
 * must be names (spawn_name_valid): anything else is a programmer's error.
 */
#ifndef DISPATCH_IMAGE_BUILDER_H
#define DISPATCH_IMAGE_BUILDER_H

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "wire/spawn.h"

#include <stdbool.h>

enum {
        BUILDER_JOBS_MAX = 4,
        BUILDER_SLOW_MAX = 2,
        BUILDER_QUEUE_MAX = 1024,
        BUILDER_DEADLINE_MS = 120000,
        BUILDER_KILL_MS = 10000, /* how long a killed job may take to go before it is given up */
        BUILDER_MEMORY_MIB = 512,
        BUILDER_CPU_MILLICORES = 2000,
        BUILDER_PIDS_MAX = 64,
        BUILDER_TMP_MIB = 64,
        BUILDER_SERIAL_MAX = 128, /* with its NUL */
        BUILDER_SOURCE_DISK_MIB = 512,
        BUILDER_SOURCE_FILES_MAX = 20000,
        BUILDER_BUILTIN_DISK_MIB = 2048,
        BUILDER_BUILTIN_FILES_MAX = 200000
};

struct builder;

/* Valid during the callback. */
struct builder_result {
        enum err_code code;
        const char *text;  /* why not; "" with ERR_OK */
        const char *layer; /* name of the layer that is in place; "" without one */
        const char *info;  /* JSON object of the build, of an earlier one too; "{}" where it is not known */
};
typedef void (*builder_done)(void *arg, const struct builder_result *result);

/* link_fd: spawn's control link; the builder does not read it: what arrives there is given to
 * builder_deliver. */
/* One line that a job wrote on its log (wire/spawn.h), without its type; not NUL-terminated, UTF-8 without
 * control characters. As hostile as the job. */
typedef void (*builder_line)(void *arg, char type, struct str text);

/* What is NULL, "" or 0 here is not asked for; a limit of 0 is the constant above. */
struct builder_task {
        const char *kind;         /* of wire/spawn.h's table */
        const char *organization; /* a name (spawn_name_valid); whose it is */
        const char *language;
        const char *layer;  /* of the kinds whose layer has a name beforehand: if it is there, no job runs */
        const char *serial; /* cut at BUILDER_SERIAL_MAX */
        const char (*layers)[SPAWN_NAME_MAX]; /* the image */
        uint32_t layer_count;
        const char *program; /* the image's own interpreter (wire/spawn.h), or NULL */
        enum spawn_network network;
        bool slow; /* it may take more than a few seconds */
        uint32_t memory_mib, cpu_millicores, pids_max, tmp_mib, disk_mib, files_max;
        uint64_t deadline_ms;
        int input_fd; /* taken over, like data_fd; -1: none */
        int data_fd;
        builder_line line; /* NULL: no log */
};

enum err_code builder_create(struct loop *loop, int link_fd, struct builder **ret, struct err *err);
/* Jobs that have not ended are forgotten: their `done` is not called. Takes NULL. */
void builder_destroy(struct builder *builder);

/* Any job. Returns its id, for builder_cancel; 0 when it has ended already (see above). `line` is called on
 * the loop, before `done`. The task need not outlive the call. */
uint64_t builder_run(struct builder *builder, const struct builder_task *task, builder_done done, void *arg);
/* Stops a job: `done` follows with ERR_CANCELLED, unless it is ended by then. An id that is no more is fine.
 */
void builder_cancel(struct builder *builder, uint64_t id);

/* A source archive (gzip'd tar, open for reading at its start; the descriptor is taken over) becomes layer
 * `layer`. If that layer exists already, done is called without a job. */
void builder_source(struct builder *builder, const char *layer, const char *language, int archive_fd,
                    builder_done done, void *arg);
/* The same of a language whose manifest has a compiler: it runs in the image with these layers, by its
 * own `interpreter` (NULL: the runtime's); ERR_UNPROCESSABLE where that path is too long. */
void builder_compile(struct builder *builder, const char *layer, const char *language,
                     const char (*image)[SPAWN_NAME_MAX], uint32_t image_count, const char *interpreter,
                     int archive_fd, builder_done done, void *arg);
/* The built-in base image of a language: a layer named by its digest. */
void builder_builtin(struct builder *builder, const char *language, builder_done done, void *arg);
/* Is the layer there? ERR_OK, or ERR_NOT_FOUND. */
void builder_check(struct builder *builder, const char *layer, builder_done done, void *arg);
/* Removes a layer, after the jobs that were asked for it before; nobody hears of it. */
void builder_drop(struct builder *builder, const char *layer);

/* All layers and blobs that spawn keeps, as a file (spawn/garbage.h has its form; the descriptor is the
 * caller's then), once, later. One at a time: ERR_CONFLICT, ERR_UNAVAILABLE at once otherwise. */
typedef void (*builder_stored)(void *arg, enum err_code code, int fd);
enum err_code builder_store_list(struct builder *builder, builder_stored done, void *arg, struct err *err);
/* Its answer, which arrived on the control link with a descriptor (or -1) that stays the caller's. */
void builder_deliver_store(struct builder *builder, const union spawn_frame *frame, int fd);
/* Removes a blob; nobody hears of it, and it may be lost. */
void builder_blob_drop(struct builder *builder, const char *folder, const char *name);
/* How long ago the oldest job that has not ended was asked for, in ms; 0: there is none. */
uint64_t builder_oldest_ms(const struct builder *builder);

/* For tests: other deadlines than the constants above, for jobs that start from now on. */
void builder_deadlines_set(struct builder *builder, uint64_t deadline_ms, uint64_t kill_ms);

/* A frame for the builder (SPAWN_BUILT, SPAWN_LAYER) that arrived on the control link. One whose id is not of
 * a running job (an answer to a drop, or a job that was given up) is ignored. */
void builder_deliver(struct builder *builder, const union spawn_frame *frame);

#endif
