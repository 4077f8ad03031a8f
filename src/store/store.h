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

enum {
        STORE_DOCUMENT_MAX = 64 << 20, /* bytes of JSON of one document; beyond: ERR_TOO_LARGE */
        STORE_TRIM_MAX = 10000
};

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
 * Opens "sqlite:DIR" (a folder of the server's own, made with mode 0700 if it is missing; the file in it is
 * dispatch.db, mode 0600); creates or migrates the schema, checks the integrity: all of a file up to 8 MiB,
 * the definitions alone in a larger one. Two processes may have it open, each waits for the other's writes.
 * Every text names the file and says what to do: ERR_CORRUPT; ERR_PRECONDITION when the schema is newer than
 * this program, or older than it can migrate; ERR_UNAVAILABLE when the disk is full or another process keeps
 * it locked for more than 5 s; ERR_SYSTEM.
 *
 * The same codes come from every call below. After any error the store holds what it held before the call; in
 * a transaction that an error ended, calls fail with ERR_CANCELLED until store_commit or store_rollback.
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
/* By organization, project and name. each returns false to stop; it may take what the row owns and leave
 * NULLs, and may use the store. key->organization, project or name "" means all of them. */
enum err_code store_list(struct store *store, const struct store_key *key,
                         bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err);
/* The same of one project, or of an organization's resources without project, from the first name after
 * `after` on ("": all): what a page begins with. */
enum err_code store_list_after(struct store *store, const struct store_key *key, struct str after,
                               bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err);
/* Takes row->document and, unless NULL, row->internal; makes the id (unless there is one, which is kept: a
 * sealed secret is bound to it), revision 1 and times, and fills them, organization, project and name into
 * *row. The documents stay as they were. ERR_CONFLICT: `KIND NAME already exists`. */
enum err_code store_insert(struct store *store, const struct store_key *key, struct store_row *row,
                           struct err *err);
/* A change by a caller: revision grows, modified moves. `revision` 0 means whatever is there; otherwise
 * ERR_PRECONDITION on an old one. A NULL document or internal stays as it is. ret may be NULL. */
enum err_code store_update(struct store *store, const struct store_key *key, int64_t revision,
                           json_t *document, json_t *internal, struct store_row *ret, struct err *err);
/* A change by the server (status, reason): revision and modified stay. By id, so that a resource made anew
 * under the name is not touched; ERR_NOT_FOUND then. A NULL document or internal stays as it is. */
enum err_code store_set_state(struct store *store, enum model_kind kind, struct str id, json_t *document,
                              json_t *internal, struct err *err);
enum err_code store_delete(struct store *store, const struct store_key *key, struct err *err);

/*
 * Runs. Kept apart from definitions: many, appended, listed by time. The document is the whole run
 * (MODEL_RUN, canonical). store_run_put inserts or replaces by the run's id; a finished run is never replaced
 * by an unfinished one.
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
/* The same in pages. Runs that moved at the same time come by id, newest first, so that a place in the list
 * is a time and an id; before_us INT64_MAX and before_id "" are its beginning. */
struct store_run_query {
        struct str organization;
        struct str project;
        struct str function; /* "": all */
        int64_t since_us;
        int64_t before_us;
        struct str before_id;
        uint64_t limit; /* 0: none */
};
/* The document may be kept by taking a reference; the rest is the store's until each returns. Only id,
 * modified_us and document are filled in. */
enum err_code store_run_page(struct store *store, const struct store_run_query *query,
                             bool (*each)(void *arg, const struct store_run *run), void *arg,
                             struct err *err);
/* Unfinished runs of generations other than the two named, for recovery. */
enum err_code store_run_unfinished(struct store *store, uint32_t generation, uint32_t draining_generation,
                                   bool (*each)(void *arg, const struct store_run *run), void *arg,
                                   struct err *err);
/* Runs of a function that was deleted. */
enum err_code store_run_delete(struct store *store, struct str organization, struct str project,
                               struct str function_id, struct err *err);
/* Deletes all but the newest `keep` finished runs of each function, at most STORE_TRIM_MAX of them a call;
 * returns how many. */
enum err_code store_run_trim(struct store *store, uint64_t keep, uint64_t *ret_count, struct err *err);

/* Small values that are not resources: counters, the digest of a built-in image. ERR_NOT_FOUND. */
enum err_code store_meta_get(struct store *store, const char *key, char **ret, struct err *err);
enum err_code store_meta_set(struct store *store, const char *key, const char *value, struct err *err);

#endif
