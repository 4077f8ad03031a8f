/*
 * cli/fetch.h: a resource file by URL, and the files that it names, by libcurl.
 *
 * Whoever wrote that file is not trusted: what it names is written below one directory and nowhere else,
 * never through a link, never as a hidden file. No credentials are sent. Blocks; everything is bounded.
 */
#ifndef DISPATCH_CLI_FETCH_H
#define DISPATCH_CLI_FETCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum {
        FETCH_FILE_MAX = 64 << 20, /* bytes of one named file */
        FETCH_TIMEOUT_S = 300,     /* of one download */
        FETCH_REDIRECTS_MAX = 5
};

/* http://, https:// or file:// */
bool fetch_is_url(const char *text);

/* Appends the content; out->max bounds it. "downloading URL: reason" */
enum err_code fetch_url(const char *url, struct buf *out, struct err *err);

/*
 * Downloads `path`, relative to the directory of `url`, to the same path below `dir`, which is made when it
 * is missing. A file that is there with other content is replaced only if `replace`. ERR_INVALID for a path
 * that is absolute, leads upwards or has a hidden part.
 */
enum err_code fetch_below(const char *url, const char *path, const char *dir, bool replace, struct err *err);

/* The address of `path` beside `url`, percent-encoded, in the arena; NULL when out of memory. */
const char *fetch_beside(struct arena *arena, const char *url, const char *path);

#endif
