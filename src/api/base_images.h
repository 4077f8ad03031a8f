/*
 * api/base_images.h: the controller of base images that were not made here: their references are fetched into
 * the layer store, and the interpreter of their language is looked for in them. Images that name such a
 * reference themselves take the same way.
 */
#ifndef DISPATCH_API_BASE_IMAGES_H
#define DISPATCH_API_BASE_IMAGES_H

#include "api/internal.h"
#include "api/resource.h"

/* Of an image that says itself which language it is for; what `dispatch-server base-image` makes has it. */
#define IMAGE_LANGUAGE_LABEL "io.dispatchframework.language"

/* The form of a reference, of any kind that a base image may have. ERR_UNPROCESSABLE. */
enum err_code base_image_reference_check(struct str reference, struct err *err);

/* Fetches; the row is READY or in ERROR later. */
void base_image_pull(struct api *api, enum model_kind kind, struct store_row *row, struct str reference);
bool base_image_pulling(const struct api *api, const struct store_row *row);
/* Stops what a row that was changed or deleted has under way. */
void base_image_stop(struct api *api, const char *id);
void base_images_finish(struct api *api);

/* What the resources of both kinds have in common (images.c). */
enum err_code image_begin(struct change *change, struct err *err);
bool image_committed(struct change *change);
enum err_code image_reveal(struct api *api, const struct store_row *row, json_t *document, struct err *err);

#endif
