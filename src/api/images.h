/*
 * api/images.h: the controller that brings base images and images to READY, and what functions ask of it.
 *
 * Level-triggered: images_reconcile looks at a row and does the next thing that it needs; it may be called at
 * any time and again. The row's internal part holds what the build made: {"language": L, "layers": [NAME,
 * ...]}, of an image also "base", the first of these layers.
 */
#ifndef DISPATCH_API_IMAGES_H
#define DISPATCH_API_IMAGES_H

#include "api/internal.h"
#include "api/status.h"

/* kind: MODEL_BASE_IMAGE or MODEL_IMAGE. The row may be changed. */
void images_reconcile(struct api *api, enum model_kind kind, struct store_row *row);

/* A layer that READY images name was missing and was made again, under api->layer_made: they name that now,
 * and functions that failed without it try again. */
void images_layer_made(struct api *api, enum model_kind kind, struct store_row *row);

/* A layer that a READY image has added to its base is missing: the image is made again. */
void images_layer_gone(struct api *api, enum model_kind kind, struct store_row *row);

/* What image_build.h has come to: the image has these layers, the first of which are its base's (`base`); or
 * it is in ERROR for this reason. */
void images_built(struct api *api, struct store_row *row, const char *language, json_t *layers, json_t *base);
void images_failed(struct api *api, struct store_row *row, const char *text);
/* What an image that was not made here says of itself: takes it over from the internal part of another row,
 * or takes it off where that has nothing. -1: out of memory. */
int image_inherit(json_t *to, const json_t *from);

/* For base_images.h: the row, of either kind, has a new status. */
void images_begin_work(struct api *api, enum model_kind kind, struct store_row *row);
void images_fail(struct api *api, enum model_kind kind, struct store_row *row, const char *text);
/* The internal part has what it is to have but language and layers. */
void images_base_found(struct api *api, enum model_kind kind, struct store_row *row, const char *language,
                       json_t *layers);

/* Forgets the jobs in flight; their builder is gone. */
void images_finish(struct api *api);

#endif
