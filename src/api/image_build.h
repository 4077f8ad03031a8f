/*
 * api/image_build.h: from an image's base to the image: the layers of what it depends on, one above the
 * other.
 *
 *      base ─▶ system packages ─▶ tools of the language ─▶ the language's packages ─▶ allow-list ─▶ READY
 *
 * Each is a job of dispatch-build, and what is there already is not made again: a layer is named by the
 * digest of all that it is made of (organization, lists, layers below, tools, the build's environment). A
 * build belongs to one revision of its image: a later update or a deletion stops it. Nothing of it is stored
 * but its end, so a server that was killed begins again, and finds the layers that were made.
 *
 * Control loop only.
 */
#ifndef DISPATCH_API_IMAGE_BUILD_H
#define DISPATCH_API_IMAGE_BUILD_H

#include "api/internal.h"
#include "api/status.h"

enum {
        IMAGE_BUILD_CPU_MILLICORES = 2000,
        IMAGE_BUILD_PIDS_MAX = 512,
        IMAGE_BUILD_TMP_MIB = 256,
        IMAGE_BUILD_FILES_MAX = 200000,
        IMAGE_TOOLS_FRESH_MS = 60000 /* for so long tools are not looked for again */
};

/* Does the image add packages to its base? */
bool image_build_wanted(const json_t *document);

/* Starts with a base of that language and these layers (borrowed). What came of it goes to images_built or
 * images_failed. */
void image_build_start(struct api *api, struct store_row *row, const char *language, const json_t *layers);
bool image_build_running(const struct api *api, const struct store_row *row);
/* The image was changed or deleted. */
void image_build_stop(struct api *api, const char *id);
void image_builds_finish(struct api *api);

#endif
