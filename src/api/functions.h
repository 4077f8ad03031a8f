/*
 * api/functions.h: functions: their definition (functions.c) and the controller that brings them to READY
 * (function_build.c).
 *
 * A row's internal part:
 *
 *      source: {key, digest, layer?}        what the current definition is made of
 *      active: {number, document, language, layers, handler, key, layer}
 *                                           the revision that serves, which may be an older one
 *
 * The snapshot's entry follows: READY with the active revision when there is one, else ERROR with the reason,
 * else pending.
 */
#ifndef DISPATCH_API_FUNCTIONS_H
#define DISPATCH_API_FUNCTIONS_H

#include "api/internal.h"
#include "api/status.h"

/* Does the next thing that a pending function needs; may be called at any time and again. */
void functions_reconcile(struct api *api, enum model_kind kind, struct store_row *row);

/* An image is READY or ERROR: functions that wait for it, or failed for want of it, go on. */
void functions_image_changed(struct api *api, const struct store_row *image);

/* A secret was made, changed or deleted: functions that name it get a new revision object, those that failed
 * try again. True when the snapshot has to be published. */
bool functions_secret_changed(struct api *api, struct str organization, struct str project, struct str name);

/* Makes the snapshot follow the store again after it could not. */
void functions_sync(struct api *api);

/* Jobs that work on a definition that is over, or on a secret's old values. */
void functions_stale(struct api *api, const char *function_id);
void functions_finish(struct api *api);

/* At start, one after the other and in the background: layers of functions that serve are made again where
 * they are missing. */
void functions_check_layers(struct api *api);
void functions_checks_finish(struct api *api);
/* The layer that a serving function runs on was made again under another name: it is built anew on its image.
 */
void functions_layer_made(struct api *api, enum model_kind kind, struct store_row *row);

/* The entry for a row as it is stored, into the working copy. `revision` (borrowed) is the active one, or
 * NULL: then it is made from the row. */
enum err_code function_entry_put(struct api *api, const struct store_row *row, struct revision *revision,
                                 struct err *err);
/* The revision that serves now (borrowed), or NULL. */
struct revision *function_serving(struct api *api, const struct store_row *row);
/* Publishes what is in the working copy, then tells the engine that no run comes for `revision` (NULL: none;
 * a reference is taken). */
void function_publish_retire(struct api *api, struct revision *revision);

#endif
