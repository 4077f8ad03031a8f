/*
 * build/ldcache.h: /etc/ld.so.cache for an image: the entries of the host's that name a library of the image,
 * so that programs find theirs at once, ldconfig -p (and with it Python's find_library) works, and nothing
 * else of the host is told. A host without one, or with one of another format, leaves the image without: the
 * dynamic linker then searches.
 */
#ifndef DISPATCH_BUILD_LDCACHE_H
#define DISPATCH_BUILD_LDCACHE_H

#include "base/buf.h"
#include "build/image.h"

/* Once every library is in the image. */
enum err_code ldcache_write(struct image *image, struct err *err);

/* The cache `in` with only the entries that `wanted` says yes to, appended to `out`. ERR_INVALID: another
 * format. */
enum err_code ldcache_filter(struct str in, bool (*wanted)(void *arg, const char *path), void *arg,
                             struct buf *out, struct err *err);

#endif
