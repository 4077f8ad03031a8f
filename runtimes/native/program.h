/*
 * runtimes/native/program.h: which file a handler's name means, and whether this machine can run it.
 *
 * Everything that would make each run fail is found when the function is deployed: no such file, not
 * executable, built for another processor, an interpreter or loader that the image has not got.
 */
#ifndef DISPATCH_NATIVE_PROGRAM_H
#define DISPATCH_NATIVE_PROGRAM_H

#include "base/err.h"

#include <limits.h>

struct program {
        char path[PATH_MAX];        /* "./hello", from the function's folder */
        char interpreter[PATH_MAX]; /* "": the file runs by itself; else its shebang line is done by hand,
                                       because it lacks the executable bit */
        char argument[256];         /* the shebang line's, or "" */
};

/* The current directory is the function's folder. `handler`: a path below it, "./" in front or not; "": the
 * only file in it. ERR_NOT_FOUND or ERR_INVALID with a text for the user. */
enum err_code program_find(const char *handler, struct program *ret, struct err *err);

#endif
