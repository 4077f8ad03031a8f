/*
 * build/handler.h: the handler of a source that came without one: by the language's manifest
 * (image/runtime.h), the only file at the top whose name fits, under the name that the manifest gives it.
 */
#ifndef DISPATCH_BUILD_HANDLER_H
#define DISPATCH_BUILD_HANDLER_H

#include "base/err.h"
#include "image/runtime.h"

#include <limits.h>

enum { HANDLER_MAX = NAME_MAX + RUNTIME_WORD_MAX };

/* "" when no file or several fit, or the manifest has no rule. */
enum err_code handler_default(int root_fd, const struct runtime *runtime, char out[HANDLER_MAX],
                              struct err *err);

#endif
