/*
 * build/inside.h: runs a tool in the root that this process has, an image's, and keeps what it says.
 *
 * For dispatch-inside (inside_main.c), which is static: nothing of the image is needed but the tool. The tool
 * gets no descriptor but 0 (/dev/null), 1 and 2, which are one pipe. Blocking.
 */
#ifndef DISPATCH_BUILD_INSIDE_H
#define DISPATCH_BUILD_INSIDE_H

#include "base/err.h"
#include "build/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { INSIDE_OUTPUT_MAX = 16384 /* bytes of what it prints that are kept: the first */ };

struct inside_result {
        bool by_signal;
        int value; /* the signal, or the exit status */
        size_t len;
        char output[INSIDE_OUTPUT_MAX];
};

/* Starts a program with `folder` as its folder, output_fd as its output and errors, and no other descriptor;
 * the caller reaps it. ERR_UNAVAILABLE: the image has no such program. */
enum err_code inside_start(char *const argv[], const char *folder, int output_fd, pid_t *ret,
                           struct err *err);

/* The same until it has ended and nobody has its output any more. */
enum err_code inside_run(char *const argv[], const char *folder, struct inside_result *ret, struct err *err);

/* What it printed as one line without control characters: lines joined by "; ", cut with "...". `size` is at
 * least 8. */
void inside_line(const struct inside_result *result, char *out, size_t size);

/* Counts what lies below the tree's folder against its bounds: the tool wrote behind its back. ERR_INVALID:
 * something that is no file, folder or link. */
enum err_code inside_count(struct tree *tree, struct err *err);

#endif
