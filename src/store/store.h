/*
 * store/store.h: where definitions and runs are kept. One interface, implemented by sqlite/ (and later
 * postgres/).
 *
 * Blocking; used by one thread at a time (the control thread). Definitions are durable when a call returns,
 * unless it stands between store_begin and store_commit: then when that returns. A crash at any point leaves
 * all of a transaction or nothing.
 *
 * Every call names organization and project; resources that are unique within the organization have project
 * "".
 */
#ifndef DISPATCH_STORE_STORE_H
#define DISPATCH_STORE_STORE_H

#include "base/err.h"
#include "base/str.h"
#include "model/model.h"

#include <stdint.h>

struct store;

struct store_key {
        enum model_kind kind;
        struct str organization;
        struct str project; /* "" for base images */
        struct str name;
};

/* A stored resource. Strings belong to the row. */
struct store_row {
        char *organization;
        char *project;
        char *name;
        char *id;           /* uuid */
        int64_t revision;   /* 1, 2, ...: grows with each change that a caller made */
        int64_t created_us; /* wall clock */
        int64_t modified_us;
        json_t *document; /* canonical form of model.h, without id, times, org, project */
        json_t *internal; /* what the server keeps with it and never shows; an object */
};
void store_row_finish(struct store_row *row); /* takes a zeroed one */
#define own_row __attribute__((cleanup(store_row_finish)))

/*
 * Opens "sqlite:DIR" (a folder of the server's own); creates or migrates the schema, checks the integrity.
 * ERR_CORRUPT with what to do; ERR_PRECONDITION when the schema is newer than this program, or ERR_CONFLICT
 * when another process that is no older generation holds it.
 */
enum err_code store_open(const char *url, struct store **ret, struct err *err);
void store_close(struct store *store); /* takes NULL */

enum err_code store_begin(struct store *store, struct err *err);
enum err_code store_commit(struct store *store,
                           struct err *err); /* on failure everything since begin is undone */
void store_rollback(struct store *store);

/* ERR_NOT_FOUND: no such resource. The text is `KIND NAME not found`. */
enum err_code store_get(struct store *store, const struct store_key *key, struct store_row *ret,
                        struct err *err);
/* By name order. each returns false to stop. key->name "" and organization "" or project "" mean all of them.
 */
enum err_code store_list(struct store *store, const struct store_key *key,
                         bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err);
/* Makes id, revision 1 and times, and fills them into *row; the document stays the caller's. ERR_CONFLICT:
 * `KIND NAME already exists`. */
enum err_code store_insert(struct store *store, const struct store_key *key, struct store_row *row,
                           struct err *err);
/* A change by a caller: revision grows, modified moves. `revision` 0 means whatever is there; otherwise
 * ERR_PRECONDITION on an old one. */
enum err_code store_update(struct store *store, const struct store_key *key, int64_t revision,
                           json_t *document, json_t *internal, struct store_row *ret, struct err *err);
/* A change by the server (status, reason): revision stays. By id, so that a resource made anew under the name
 * is not touched. */
enum err_code store_set_state(struct store *store, enum model_kind kind, struct str id, json_t *document,
                              json_t *internal, struct err *err);
enum err_code store_delete(struct store *store, const struct store_key *key, struct err *err);

/*
 * Runs. Kept apart from definitions: many, appended, listed by time. The document is the whole run
 * (MODEL_RUN, canonical). store_run_put inserts or replaces by the run's id.
 */
struct store_run {
        struct str id; /* uuid */
        struct str organization;
        struct str project;
        struct str function; /* name */
        struct str function_id;
        int64_t executed_us;
        int64_t modified_us;
        uint32_t generation; /* of the server that runs it */
        bool unfinished;     /* accepted with a 202 and not over yet */
        json_t *document;
};
enum err_code store_run_put(struct store *store, const struct store_run *run, struct err *err);
enum err_code store_run_get(struct store *store, struct str organization, struct str project, struct str id,
                            json_t **ret, struct err *err);
/* Newest first by modified_us; function "" means all; only those modified at or after since_us. `limit` 0:
 * all. */
enum err_code store_run_list(struct store *store, struct str organization, struct str project,
                             struct str function, int64_t since_us, uint64_t limit,
                             bool (*each)(void *arg, json_t *run), void *arg, struct err *err);
/* Unfinished runs of generations other than the two named, for recovery. */
enum err_code store_run_unfinished(struct store *store, uint32_t generation, uint32_t draining_generation,
                                   bool (*each)(void *arg, const struct store_run *run), void *arg,
                                   struct err *err);
/* Runs of a function that was deleted. */
enum err_code store_run_delete(struct store *store, struct str organization, struct str project,
                               struct str function_id, struct err *err);
/* Deletes all but the newest `keep` runs of each function; returns how many. */
enum err_code store_run_trim(struct store *store, uint64_t keep, uint64_t *ret_count, struct err *err);

/* Small values that are not resources: counters, the digest of a built-in image. ERR_NOT_FOUND. */
enum err_code store_meta_get(struct store *store, const char *key, char **ret, struct err *err);
enum err_code store_meta_set(struct store *store, const char *key, const char *value, struct err *err);

#endif
