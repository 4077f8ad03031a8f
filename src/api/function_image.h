/*
 * api/function_image.h: a function as a portable OCI image: GET /v1/function/NAME/image is a tar of its image
 * layout, POST pushes it to a registry; and the pushes in the background to --image-registry,
 * of functions and of images.
 *
 * What is exported is the revision that serves. The row's internal part (a function's or an image's), once a
 * push to --image-registry ended:
 *
 *      pushed: {number, registry, image?, error?}     of revision `number`: where it is, by digest, or why
 * not; an image's number stands for all that it is made of
 */
#ifndef DISPATCH_API_FUNCTION_IMAGE_H
#define DISPATCH_API_FUNCTION_IMAGE_H

#include "api/internal.h"
#include "image/registries.h"
#include "model/json.h"

enum {
        IMAGE_DISK_MIB = 8192,
        IMAGE_DEADLINE_MS = 1800000,
        IMAGE_PUSH_AGAIN_MS = 60000 /* after a registry could not be reached; doubled each time, to an hour */
};

/* What a job is to make (build/export.h). */
struct image_input {
        json_t *json;
        char language[SPAWN_NAME_MAX];
        uint32_t layer_count;
        char layers[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX]; /* those that it is shown */
};

/* Of the revision that serves; `reference` is its name in the layout. ERR_CONFLICT: none serves. */
enum err_code image_compose(struct api *api, const struct store_row *row, const char *reference,
                            struct image_input *ret, struct err *err);
/* Of an image that is READY: what its base's configuration says, and a label by which another server knows
 * its language when it is a base image there. ERR_CONFLICT: it has no layers yet. */
enum err_code image_compose_base(const struct store_row *row, const char *reference, struct image_input *ret,
                                 struct err *err);
void image_input_finish(struct image_input *input); /* wipes it */
/* Where to push it; auth is borrowed, may be NULL. */
enum err_code image_compose_push(struct api *api, struct image_input *input, const char *reference,
                                 const char *registry, json_t *auth, struct err *err);
/* Starts the job; 0: done was called. data_fd is taken over, -1 for a push. */
uint64_t image_job_run(struct api *api, const struct store_row *row, const struct image_input *input,
                       int data_fd, const char *registry, builder_line line, builder_done done, void *arg);

/* A reference without its tag; `name` has room for all of it. */
void image_name(const char *reference, char *name);

void function_image_call(struct api_call *call);
/* The caller of such a call is gone. */
void function_image_gone(struct api *api, uint64_t serial);
void function_images_finish(struct api *api);

/* A function is READY: its image is pushed in the background where a registry is configured. */
void function_push_later(struct api *api, const struct store_row *row);
/* The same of an image that is READY. */
void image_push_later(struct api *api, const struct store_row *row);
/* The row is deleted: a push of it that is at work ends. */
void image_push_stop(struct api *api, const char *id);
/* At start: those that are not pushed yet as they are now. */
void function_pushes_resume(struct api *api);
void function_pushes_finish(struct api *api);

/* The condition ImagePushed, or NULL where nothing was tried. New. */
json_t *function_push_condition(const json_t *internal);

#endif
