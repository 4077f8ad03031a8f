/*
 * build/catalogue.h: what is installed in an image, as the package managers that were at work in it have
 * noted:
 *
 *      deb     var/lib/dpkg/status, or status.d/ of images without dpkg, or CATALOGUE_BUILTIN
 * (deb-control(5)) apk     lib/apk/db/installed (APKINDEX's fields) pypi    *.dist-info/METADATA (PEP 376,
 * core metadata), but for Debian's own, which are debs npm     package.json below a node_modules maven
 * CATALOGUE_MAVEN, of the jars beside it, GROUP:ARTIFACT:VERSION a line
 *
 * Where a deb came from, CATALOGUE_ORIGINS says, which a build with system dependencies leaves in its layer
 * (build/system.h): NAME TAB VERSION TAB ARCHITECTURE TAB URI a line, of which a package's last counts.
 *
 * An image is a stranger's: what is not readable as one of these is passed over, everything is bounded, and
 * no link is followed out of it (each is opened beneath the image's root). Blocking; part of dispatch-build.
 */
#ifndef DISPATCH_BUILD_CATALOGUE_H
#define DISPATCH_BUILD_CATALOGUE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <jansson.h>

#define CATALOGUE_BUILTIN "usr/share/dispatch/packages"
#define CATALOGUE_ORIGINS "usr/share/dispatch/origins"
#define CATALOGUE_MAVEN   "usr/local/share/dispatch/java/packages.list"

enum {
        CATALOGUE_PACKAGES_MAX = 50000,
        CATALOGUE_ENTRIES_MAX = 2000000, /* of folders that are looked at */
        CATALOGUE_DEPTH_MAX = 64,
        CATALOGUE_TEXT_MAX = 256, /* a name or version */
        CATALOGUE_ORIGIN_MAX = 1024,
        CATALOGUE_ORIGINS_MAX = 4 << 20,
        CATALOGUE_FILE_MAX = 1 << 20,
        CATALOGUE_STATUS_MAX = 64 << 20
};

/* One line on log_fd: "R " and {"distribution": ID, "release": VERSION_ID, "packages": [{"type", "name",
 * "version", "architecture"?, "origin"?}]}, sorted by type, name and version, each once. ERR_TOO_LARGE. */
enum err_code catalogue_write(int image_fd, int log_fd, struct err *err);

/* The same as a new JSON object. */
enum err_code catalogue_read(int image_fd, json_t **ret, struct err *err);

/* The parsers of the files above; each appends objects to the array `packages`. */
enum err_code catalogue_deb(struct str text, json_t *packages, struct err *err);
enum err_code catalogue_apk(struct str text, json_t *packages, struct err *err);
enum err_code catalogue_pypi(struct str text, json_t *packages, struct err *err);
enum err_code catalogue_npm(struct str text, json_t *packages, struct err *err);
enum err_code catalogue_maven(struct str text, json_t *packages, struct err *err);

/* CATALOGUE_ORIGINS: sets "origin" of the debs in `packages` that it names. */
enum err_code catalogue_origins(struct str text, json_t *packages, struct err *err);

/* The value of a key in os-release(5), without its quotes; "" when it is not there. */
struct str catalogue_os(struct str text, struct str key);

#endif
