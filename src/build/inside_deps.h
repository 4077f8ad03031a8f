/*
 * build/inside_deps.h: runs what installs the dependencies of an image, in that image's root, and makes a
 * layer of what it leaves behind.
 *
 * The folder (/function) is the layer's root. In it lies, until the end, INSIDE_DEPS_WORK with the list of
 * dependencies in `src` (the working directory), `home` and `tmp`. The installer's environment is PATH, LANG,
 * HOME, TMPDIR, what the input says, and
 *
 *      DISPATCH_DEPS_ROOT   the layer's root: what it puts at ROOT/usr/local/lib will be at /usr/local/lib
 *      DISPATCH_DEPS_FILE   the list; DISPATCH_DEPS_LOCK what came with it, if something did
 *      DISPATCH_DEPS_PROGRAM, of an image with an interpreter at another place than the runtime's: that one
 *
 * It may read the network (spawn has given one), and runs whatever packages bring along: everything it did is
 * looked at afterwards, when none of its processes is left. Its output goes to the log line by line; past
 * INSIDE_DEPS_LOG_MAX bytes it does not.
 *
 * Blocking; part of dispatch-inside.
 */
#ifndef DISPATCH_BUILD_INSIDE_DEPS_H
#define DISPATCH_BUILD_INSIDE_DEPS_H

#include "build/tree.h"
#include "image/runtime.h"

#define INSIDE_DEPS_WORK ".dispatch-work"

enum { INSIDE_DEPS_LOG_MAX = 4 << 20, INSIDE_DEPS_TAIL_MAX = 32768, INSIDE_DEPS_LOOK_MS = 500 };

struct inside_deps {
        char **argv; /* the first is replaced by DISPATCH_DEPS_PROGRAM, where it is the runtime's interpreter
                      */
        const struct runtime *runtime;
        const char *folder;
        int input_fd; /* records of image/deps_input.h */
        int log_fd;
};

/* ERR_INVALID: the installer failed, and the text holds its own words; ERR_TOO_LARGE: past the tree's bounds.
 */
enum err_code inside_deps_run(const struct inside_deps *deps, struct tree *tree, struct err *err);

/* The words of a failed installer: the lines of its output that say what was wrong, else the last ones, as
 * one line without control characters. size is at least 8. */
void inside_deps_reason(struct str output, char *out, size_t size);

#endif
