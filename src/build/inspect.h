/*
 * build/inspect.h: kind "inspect": finds the interpreter of a language in an image without running anything
 * of it. Its input is the image's PATH. Its info: {"interpreter": PATH, "version": "3.12" or "", "libc":
 * "glibc", "musl" or "static"}; an empty object for a language whose agent brings all that it needs.
 */
#ifndef DISPATCH_BUILD_INSPECT_H
#define DISPATCH_BUILD_INSPECT_H

#include "base/err.h"
#include "image/runtime.h"

#include <jansson.h>

/* image_fd: the image's root. runtime_fd: the folder of the language's agent. path: as the variable PATH, or
 * "". ERR_UNPROCESSABLE: there is none, or the agent cannot run in it; the text says why. */
enum err_code inspect_image(int image_fd, int runtime_fd, const struct runtime *runtime, const char *path,
                            json_t **ret, struct err *err);

#endif
