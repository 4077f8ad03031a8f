/*
 * image/system.h: what the jobs of an image's system dependencies are told and what their layers are called.
 *
 *      base (built in) ─▶ debroot-LANGUAGE-H ─▶ system-H
 *      base (a distribution's image) ──────────▶ system-H
 *
 * A built-in image is a copy of files of the host, on which no package manager can build: a root of the same
 * release takes its place, made once for each state of it, so that an upgrade of the host makes a new one.
 */
#ifndef DISPATCH_IMAGE_SYSTEM_H
#define DISPATCH_IMAGE_SYSTEM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/spawn.h"

#include <jansson.h>
#include <stdbool.h>

enum {
        IMAGE_SYSTEM_INPUT_MAX = 64 * 1024,
        IMAGE_SYSTEM_PACKAGES_MAX = 512,
        IMAGE_SYSTEM_DISK_MIB = 4096,
        IMAGE_SYSTEM_FILES_MAX = 300000,
        IMAGE_SYSTEM_TMP_MIB = 256,
        IMAGE_SYSTEM_PIDS_MAX = 512,
        IMAGE_SYSTEM_MEMORY_MIB = 1024
};

/* Appends the lines of a job of kind "system", sorted, each once: [{"name", "version"?}]. ERR_INVALID names
 * what is no package, or stands there with two versions. */
enum err_code image_system_input(const json_t *packages, struct buf *out, struct err *err);

/* The root that takes the place of a built-in image. False: the lowest layer is none. */
bool image_system_root(const json_t *layers, char out[SPAWN_NAME_MAX]);

#endif
