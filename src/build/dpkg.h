/*
 * build/dpkg.h: the database of the host's package manager, read only: which packages are installed, what
 * they need and provide (deb-control(5)), which files are theirs, and which of these were diverted
 * (dpkg-divert(1)).
 *
 * Everything points into texts that the struct owns. Blocking.
 */
#ifndef DISPATCH_BUILD_DPKG_H
#define DISPATCH_BUILD_DPKG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

enum {
        DPKG_STATUS_MAX = 64 << 20, /* bytes of the status file */
        DPKG_LIST_MAX = 16 << 20    /* bytes of a list of files, or of the diversions */
};

struct dpkg_package {
        struct str name;
        struct str version;
        struct str architecture;
        struct str depends;
        struct str pre_depends;
        struct str provides;
};

struct dpkg_provide {
        struct str name;
        size_t package; /* index */
};

struct dpkg_diversion {
        struct str from;
        struct str to;
        struct str package; /* who diverts; ":" is the administrator */
};

struct dpkg {
        struct buf status;
        struct buf diverted;
        struct str architecture; /* the host's own; "" when it cannot be told */
        size_t package_count;
        struct dpkg_package *packages; /* the installed ones, sorted by name and architecture */
        size_t provide_count;
        struct dpkg_provide *provides; /* sorted by name */
        size_t diversion_count;
        struct dpkg_diversion *diversions;
};

/* admin_fd is /var/lib/dpkg. ERR_NOT_FOUND: no database is there. */
enum err_code dpkg_load(int admin_fd, struct dpkg *ret, struct err *err);
/* The same from texts, which are taken over. */
enum err_code dpkg_parse(struct buf *status, struct buf *diversions, struct dpkg *ret, struct err *err);
void dpkg_finish(struct dpkg *dpkg);

/* Names of packages and architectures as they stand in a relation: "name", "name:any", "name:amd64". Prefers
 * the host's own architecture. -1: none is installed under that name; provided names do not count. */
ptrdiff_t dpkg_find(const struct dpkg *dpkg, struct str qualified);
/* The installed packages that provide a name: *ret_first is the first in dpkg->provides. */
size_t dpkg_providers(const struct dpkg *dpkg, struct str name, size_t *ret_first);

/* The next relation of a Depends field ("a (>= 1) | b:any, c"), cut off *rest; "" at the end. */
struct str dpkg_relation_next(struct str *rest);
/* The next alternative of a relation as a qualified name, without version; "" at the end. */
struct str dpkg_alternative_next(struct str *rest);

/* Reads the list of a package's files, one absolute path a line. */
enum err_code dpkg_files(int admin_fd, const struct dpkg_package *package, struct buf *ret, struct err *err);

/* The diversion of a path for this package's file there; NULL: none. */
const struct dpkg_diversion *dpkg_diverted(const struct dpkg *dpkg, const struct dpkg_package *package,
                                           struct str path);

/* A whole file into a buffer. ERR_NOT_FOUND, ERR_TOO_LARGE past the buffer's maximum. */
enum err_code dpkg_read_file(int dir_fd, const char *name, struct buf *ret, struct err *err);

#endif
