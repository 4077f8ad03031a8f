/*
 * engine/route.h: the routes of a snapshot: a trie from "HOST\0PATH" to the endpoints that claim it, each
 * with its methods.
 */
#ifndef DISPATCH_ENGINE_ROUTE_H
#define DISPATCH_ENGINE_ROUTE_H

#include "base/hamt.h"
#include "engine/snapshot.h"

enum {
        ROUTE_KEY_MAX = 1280 /* host and path of an endpoint together; bounds what a look-up costs */
};

extern const struct hamt_ops route_set_ops;

/* ERR_CONFLICT as snapshot_check_endpoint. Nothing is changed. */
enum err_code route_check(const struct hamt *routes, const struct endpoint_entry *entry,
                          const struct endpoint_entry *replaces, struct err *err);
/* Adds or removes all of an endpoint's host and path pairs; on failure the handle keeps the version it had.
 */
enum err_code route_add(struct hamt *routes, struct endpoint_entry *entry, struct err *err);
enum err_code route_remove(struct hamt *routes, const struct endpoint_entry *entry, struct err *err);

enum route_result route_find(const struct hamt *routes, struct str host, struct str path, unsigned method,
                             struct endpoint_entry **ret, unsigned *ret_methods);

#endif
