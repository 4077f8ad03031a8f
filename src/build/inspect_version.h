/*
 * build/inspect_version.h: versions, as the files of an image tell them without being run. The files are
 * anybody's: what comes of them is a short text of digits and dots, "" where they say nothing.
 */
#ifndef DISPATCH_BUILD_INSPECT_VERSION_H
#define DISPATCH_BUILD_INSPECT_VERSION_H

#include <stdbool.h>

enum { INSPECT_VERSION_MAX = 32 };

/* As a process with the image as its root would find it; -1. */
int inspect_open(int image_fd, const char *path);

/* Of a program `name` at `path`; real: the same behind its links, both in the image. */
void inspect_version(int image_fd, const char *name, const char *path, const char *real,
                     char version[INSPECT_VERSION_MAX]);

/* Of the image's GNU C library. */
void inspect_glibc(int image_fd, char version[INSPECT_VERSION_MAX]);
/* The newest that a runtime's modules (*.so, *.node) are linked with; "" where it has none. */
void inspect_glibc_needed(int runtime_fd, char version[INSPECT_VERSION_MAX]);

/* Numbers between dots, compared one by one. */
bool inspect_older(const char *version, const char *than);

#endif
