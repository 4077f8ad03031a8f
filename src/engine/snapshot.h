/*
 * engine/snapshot.h: the immutable picture of functions and routes that gateway and engine read on every
 * request.
 *
 * Persistent tries (base/hamt.h): a change copies O(log n) nodes, so a million functions cost no copying. The
 * control thread owns a hub, changes its working copy and publishes it; each loop keeps a reference to the
 * one it got last, so that a request reads without a lock and sees one consistent picture.
 */
#ifndef DISPATCH_ENGINE_SNAPSHOT_H
#define DISPATCH_ENGINE_SNAPSHOT_H

#include "base/err.h"
#include "base/loop.h"
#include "engine/revision.h"

#include <stdbool.h>

struct snapshot;
struct snapshot_hub;

enum function_state {
        FUNCTION_PENDING, /* not READY yet: a run waits */
        FUNCTION_READY,
        FUNCTION_ERROR
};

/* Immutable, shared by reference. */
struct function_entry {
        atomic_uint refs;
        enum function_state state;
        char *reason; /* of FUNCTION_ERROR */
        char *image;  /* for a run's records; may be NULL */
        char function_id[UUID_LEN + 1];
        struct revision *revision; /* the one that runs; NULL until there is one */
};
struct function_entry *
function_entry_create(const char *function_id, enum function_state state, const char *reason,
                      struct revision *revision); /* NULL: no memory; takes a reference of its own */
struct function_entry *function_entry_ref(struct function_entry *entry);
void function_entry_unref(struct function_entry *entry);

enum route_method { /* a bit each; ROUTE_OTHER never matches */
                    ROUTE_GET = 1,
                    ROUTE_HEAD = 2,
                    ROUTE_POST = 4,
                    ROUTE_PUT = 8,
                    ROUTE_PATCH = 16,
                    ROUTE_DELETE = 32,
                    ROUTE_OPTIONS = 64,
                    ROUTE_OTHER = 0
};
unsigned route_method_bit(struct str method);

struct endpoint_entry {
        atomic_uint refs;
        char *organization, *project, *name, *function;
        char endpoint_id[UUID_LEN + 1];
        bool cors, enabled;
        bool http, https; /* protocols */
        unsigned methods; /* enum route_method */
        char **hosts;     /* lower case, without port; always at least the default one */
        size_t host_count;
        char **paths; /* "/x" is exact; one that ends in a slash and a star is a prefix */
        size_t path_count;
};
struct endpoint_entry *
endpoint_entry_create(void); /* NULL: no memory; the caller fills it; the strings are freed with it */
struct endpoint_entry *endpoint_entry_ref(struct endpoint_entry *entry);
void endpoint_entry_unref(struct endpoint_entry *entry);

/* The hub, on the control thread. loops: those that get each published snapshot. */
enum err_code snapshot_hub_create(struct loop *control, struct loop **loops, size_t loop_count,
                                  struct snapshot_hub **ret, struct err *err);
void snapshot_hub_destroy(struct snapshot_hub *hub);
/* Replaces or adds; on failure the working copy is as before. */
enum err_code snapshot_put_function(struct snapshot_hub *hub, struct str organization, struct str project,
                                    struct str name, struct function_entry *entry, struct err *err);
enum err_code snapshot_drop_function(struct snapshot_hub *hub, struct str organization, struct str project,
                                     struct str name, struct err *err);
/* ERR_CONFLICT: `endpoint X: HOST METHOD PATH is taken by endpoint Y`. `replaces` is the entry it stands for,
 * or NULL. */
enum err_code snapshot_put_endpoint(struct snapshot_hub *hub, struct endpoint_entry *entry,
                                    struct endpoint_entry *replaces, struct err *err);
enum err_code snapshot_drop_endpoint(struct snapshot_hub *hub, struct endpoint_entry *entry, struct err *err);
/* Would put_endpoint succeed? Changes nothing. */
enum err_code snapshot_check_endpoint(struct snapshot_hub *hub, const struct endpoint_entry *entry,
                                      const struct endpoint_entry *replaces, struct err *err);
/* Hands the working copy to all loops; done(arg) on the control loop once each has it (so that a reply sent
 * after it is true everywhere). */
void snapshot_publish(struct snapshot_hub *hub, void (*done)(void *arg), void *arg);
/* The working copy, for look-ups on the control thread; valid until the next change. */
const struct snapshot *snapshot_working(struct snapshot_hub *hub);

/* The loop's current snapshot; index as in `loops`. A reference is not needed while the callback that reads
 * it runs. */
const struct snapshot *snapshot_of_loop(struct snapshot_hub *hub, size_t index);

/* NULL: not there. Borrowed from the snapshot. */
struct function_entry *snapshot_function(const struct snapshot *snapshot, struct str organization,
                                         struct str project, struct str name);

enum route_result { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };
/* A given host before any, exact before the longest prefix. On ROUTE_NO_METHOD *ret_methods are those the
 * path has. */
enum route_result snapshot_route(const struct snapshot *snapshot, struct str host, struct str path,
                                 unsigned method, struct endpoint_entry **ret, unsigned *ret_methods);

#endif
