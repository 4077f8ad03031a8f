/*
 * api/image_catalogue.h: what is installed on an image, and where from: looked up in its layers by a job of
 * its own (build/catalogue.h) when somebody asks, and before an image becomes READY where an allow-list is to
 * be held. Control loop only.
 */
#ifndef DISPATCH_API_IMAGE_CATALOGUE_H
#define DISPATCH_API_IMAGE_CATALOGUE_H

#include "api/internal.h"
#include "model/json.h"

/*
 * `done` is called once, later. packages (borrowed) is {"distribution"?, "release"?, "packages": [{"type",
 * "name", "version", "architecture"?, "from", "origin"?}]}, where `from` is "base" for what the base image
 * has and "image" for what was added to it, and `origin` the URI that it was fetched from; NULL: err says
 * why. What an image says of itself is as hostile as the image: here it is of that form, and bounded.
 */
typedef void (*image_catalogue_done)(void *arg, json_t *packages, const struct err *err);

/* layers and base (the first ones of them; NULL or empty: all are base) are lists of names. */
void image_catalogue_run(struct api *api, const char *organization, const json_t *layers, const json_t *base,
                         image_catalogue_done done, void *arg);
/* The same that has to begin: its `done` will not be called. */
void image_catalogues_finish(struct api *api);

/* Which of what was added is not on the allow-list: ERR_DENIED-like ERR_UNPROCESSABLE names it. */
enum err_code image_catalogue_allowed(const json_t *packages, struct str list, struct err *err);

/* Replies to GET .../packages and .../sbom of a row. Finishes the call. */
void image_packages_call(struct api_call *call, const struct store_row *row);
void image_sbom_call(struct api_call *call, const struct store_row *row);

/* A CycloneDX 1.5 bill of materials. New; NULL: out of memory. */
json_t *image_sbom(const char *name, const json_t *packages);

#endif
