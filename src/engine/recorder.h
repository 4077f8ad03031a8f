/*
 * engine/recorder.h: the records of runs, written behind.
 *
 * A record is handed over when its run is over and reaches the store within RECORDER_DELAY_MS, many in one
 * transaction; so the way of a request never waits for a disk. A run asked for with a 202 is written before
 * the caller hears of it. How many finished runs a crash took with it is counted: two counters in a mapped
 * file survive the process (not the machine).
 *
 * The recorder lives on the control loop; recorder_put alone may be called on any loop.
 */
#ifndef DISPATCH_ENGINE_RECORDER_H
#define DISPATCH_ENGINE_RECORDER_H

#include "base/loop.h"
#include "engine/engine.h"
#include "store/store.h"

enum {
        RECORDER_DELAY_MS = 50,
        RECORDER_QUEUE_MAX = 65536, /* records waiting; past it a record is dropped and counted as lost */
        RECORDER_PAYLOAD_BYTES_MAX = 65536 /* input and output kept with the record of a synchronous run;
                                              larger ones are left out and marked in `reason` */
};

struct recorder;

/* One run with its invocation: what the gateway and the API fill and the record is made of. */
struct run_record {
        struct loop_task task;
        struct recorder *recorder;
        struct invocation inv; /* its result is the run's */
        struct buf input;      /* what inv.payload points to */
        struct buf request;    /* copies of what else inv's views point to */
        char *function;        /* name; also where inv.revision is NULL */
        char *organization, *project;
        char function_id[UUID_LEN + 1];
        bool names_borrowed;              /* function, organization and project are the revision's */
        int64_t executed_us, finished_us; /* wall clock; the second by run_record_finished */
        uint64_t begun_us;                /* executed_us on the monotonic clock; 0: before this process */
        bool blocking;
        bool output_left_out; /* the body went to the caller and was too large to be kept */
        bool keep_payload;    /* whatever its size: runs of the API */
        json_t *secret_names; /* list of the secrets that this run adds, or NULL; the record's */
        json_t *tags;         /* list of {key, value}, or NULL; the record's */
        void *user;
};
struct run_record *run_record_create(void); /* NULL: no memory; makes the run's id, sets executed_us */
/* The run is over now: as long after it began as really passed, whatever became of the wall clock. */
void run_record_finished(struct run_record *record);
void run_record_destroy(struct run_record *record); /* drops the revision's reference too; takes NULL */

/* The run as a canonical document (MODEL_RUN) of its state so far: status READY or ERROR when over, else
 * `status`. */
enum err_code run_record_document(const struct run_record *record, const char *status, json_t **ret,
                                  struct err *err);

/* The message that a SEED client gets (CONTRACT 8.3):
 * {"context":{"error"?,"logs":{"stdout","stderr"}},"payload":...}. */
enum err_code run_record_message(const struct run_record *record, struct buf *out, struct err *err);

/* dir: the server's own folder, for the counters. alone: no older server drains beside this one (it shares
 * them). */
enum err_code recorder_create(struct loop *control, struct store *store, const char *dir, uint32_t generation,
                              bool alone, struct recorder **ret, struct err *err);
/* Writes what waits. */
void recorder_destroy(struct recorder *recorder);

/* How many runs of a function the history keeps; older ones are deleted now and then. 0: all. */
void recorder_keep(struct recorder *recorder, uint64_t runs);

/* Told when records cannot be written (they wait and are tried again) and when they can again (NULL). On the
 * control loop. */
void recorder_on_problem(struct recorder *recorder, void (*problem)(void *arg, const struct err *err),
                         void *arg);

/* Told of a run that could not start because a layer is missing. On the control loop. */
void recorder_on_missing(struct recorder *recorder, void (*missing)(void *arg), void *arg);

/* Records lost by crashes before this start, in all. */
uint64_t recorder_lost(const struct recorder *recorder);

/* A run that is over. Takes the record over. Any loop. */
void recorder_put(struct recorder *recorder, struct run_record *record);

/* Writes the run as `unfinished` before done is called (on the control loop, with ERR_OK or why not). The
 * document is that of run_record_document with the given status plus what a recovery needs. The record stays
 * the caller's. */
void recorder_accept(struct recorder *recorder, struct run_record *record, const char *status,
                     void (*done)(void *arg, enum err_code code, const struct err *err), void *arg);

/* Writes everything that waits now; for reads that must see their own writes (a list after an exec). */
enum err_code recorder_flush(struct recorder *recorder, struct err *err);

/* Every unfinished run of generations that are gone becomes a record again, ready to be invoked (inv.revision
 * is NULL: the caller looks the function up). Each handed over is the caller's. */
enum err_code recorder_recover(struct recorder *recorder, uint32_t draining_generation,
                               void (*each)(void *arg, struct run_record *record), void *arg,
                               struct err *err);

#endif
