/* tests/unit/build/support.h: folders that vanish and archives made by hand, for the tests of dispatch-build.
 */
#ifndef DISPATCH_TESTS_BUILD_SUPPORT_H
#define DISPATCH_TESTS_BUILD_SUPPORT_H

#include "base/buf.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A fresh folder below the system's one for temporary files, with an empty folder "out" in it. */
struct place {
        char path[PATH_MAX];
        int fd;
        int out_fd;
};

void place_make(struct place *place);
void place_clear(struct place *place);

/* Files below dir_fd; folders are made on the way. */
void put_text(int dir_fd, const char *path, const char *text);
void put_link(int dir_fd, const char *path, const char *target);
/* The content, NUL-terminated, in a buffer that the next call reuses; NULL when there is no such file. */
const char *get_text(int dir_fd, const char *path);
const char *get_link(int dir_fd, const char *path);
/* 0 when there is nothing. */
unsigned get_mode(int dir_fd, const char *path);
/* How many entries are directly in the folder. */
size_t count_entries(int dir_fd);

/* A ustar header and the padded content. `type` is the type flag. */
void tar_put(struct buf *tar, const char *name, char type, const char *link, unsigned mode, const void *bytes,
             size_t len);
void tar_file(struct buf *tar, const char *name, const char *text);
void tar_end(struct buf *tar);

/* A descriptor of a memory file with these bytes; gzip'd when asked. */
int archive_fd(const struct buf *bytes, bool gzip);

#endif
