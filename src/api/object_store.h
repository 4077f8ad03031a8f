/*
 * api/object_store.h: the object store of the function store, as the control loop sees it: jobs of
 * dispatch-build (build/s3_job.h), since the server itself talks to none.
 *
 * An object's URL is SCHEME://BUCKET/PREFIX/ID/KEY: ID is this server's store's own, made at its first start,
 * so that two servers that share a bucket never touch each other's objects; KEY is the source's (sources.h).
 * What was stored under an older bucket or prefix is found by its URL. Jobs of one object run one after the
 * other, in the order they were asked for.
 */
#ifndef DISPATCH_API_OBJECT_STORE_H
#define DISPATCH_API_OBJECT_STORE_H

#include "api/internal.h"
#include "model/json.h"

enum { OBJECT_URL_MAX = 1024, OBJECT_ID_META_MAX = 64 };

/* Valid during the call. info: what the job reported, an object; lines: the result of object_list. */
struct object_result {
        enum err_code code;
        const char *text;
        const json_t *info;
        json_t *listing;
};
/* Later, exactly once; or before the call returns when the job could not be queued. */
typedef void (*object_done)(void *arg, const struct object_result *result);

/* Is there one? */
bool object_store_on(const struct api *api);
/* With a store: reads or makes its ID. */
enum err_code object_store_init(struct api *api, struct err *err);
/* Jobs that have not ended are forgotten. */
void object_store_finish(struct api *api);

/* The URL of a key; ERR_TOO_LARGE. */
enum err_code object_url(const struct api *api, const char *key, char out[OBJECT_URL_MAX], struct err *err);

/* Descriptors are taken over. `done` may be NULL for a delete. */
void object_put(struct api *api, const char *url, int fd, uint64_t size, const char *sha256, object_done done,
                void *arg);
void object_get(struct api *api, const char *url, int fd, uint64_t bytes_max, object_done done, void *arg);
void object_delete(struct api *api, const char *url, object_done done, void *arg);
/* Unfinished uploads of an object alone; nobody hears of it. */
void object_abort(struct api *api, const char *url);
/* All of this server's objects and unfinished uploads. */
void object_list(struct api *api, object_done done, void *arg);
/* The store works. `create`: make the bucket if it is not there. */
void object_check(struct api *api, bool create, object_done done, void *arg);

#endif
