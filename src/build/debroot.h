/*
 * build/debroot.h: a root made of Debian's packages by mmdebstrap: apt and what is essential, and the
 * packages of a runtime's manifest. It is a tar with owners as they are, sorted, no time in it later than the
 * epoch (SOURCE_DATE_EPOCH, https://reproducible-builds.org/specs/source-date-epoch/): same packages, same
 * bytes.
 *
 * Nothing of this machine is in it: no host name, resolver, log or cache. A user "dispatch" with the id 1000
 * is. Blocking; takes root, or a user namespace that mmdebstrap can make.
 */
#ifndef DISPATCH_BUILD_DEBROOT_H
#define DISPATCH_BUILD_DEBROOT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "build/tool.h"
#include "image/runtime.h"

#include <stdint.h>

enum { DEBROOT_SUITE_MAX = 64, DEBROOT_SOURCES_MAX = 64, DEBROOT_WHY_MAX = 400 };

struct debroot {
        const char *suite;          /* a codename */
        const char *const *mirrors; /* URLs or lines of a sources.list, ends with NULL; none: Debian's own */
        const char *keyring;        /* a file of keys; NULL: the distribution's */
        const char *packages;       /* for mmdebstrap's --include */
        uint64_t epoch;
        const char *folder; /* of a job that may not mount, in which /proc and /dev are there already; NULL: a
                               tar goes to `data` */
        enum err_code (*data)(void *arg, const void *bytes, size_t len, struct err *err);
        void (*line)(void *arg, struct str line);          /* mmdebstrap's own; may be NULL */
        enum err_code (*tick)(void *arg, struct err *err); /* see build/tool.h; may be NULL */
        void *arg;
};

/* [a-z][a-z0-9-]* */
bool debroot_suite_valid(const char *suite);

/* The packages of a manifest, the first of each alternative, for `packages` above. */
enum err_code debroot_packages(const struct runtime *runtime, struct buf *out, struct err *err);

/* The time of the suite's release at its mirror. ERR_UNAVAILABLE: it cannot be reached or has no such suite;
 * the text holds apt's own error. */
enum err_code debroot_epoch(const char *mirror, const char *suite, uint64_t *ret, struct err *err);
/* "Date: Sat, 06 Sep 2025 10:21:07 UTC" of an InRelease file (RFC 2822 form, as apt-secure(8) has it). */
bool debroot_date(struct str release, uint64_t *ret);

/* Runs mmdebstrap. ERR_UNAVAILABLE with its last error when it fails. */
enum err_code debroot_make(const struct debroot *root, struct err *err);

/* Keeps what a package tool says about its failure: lines that begin with "E:" (apt, mmdebstrap) or "dpkg:
 * error".
 */
struct debroot_why {
        char text[DEBROOT_WHY_MAX]; /* "" until there is one */
};
void debroot_why_line(struct debroot_why *why, struct str line);

#endif
