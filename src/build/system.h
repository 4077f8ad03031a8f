/*
 * build/system.h: system dependencies: apt-get in an image of Debian or Ubuntu, run by dispatch-system, the
 * process of a job whose root is that image, writable (spawn/rootjob.h).
 *
 * What is left behind is packages: no lists, archives, logs, backups or locks. Everything that the packages'
 * scripts started is killed before that is looked at. The scripts are hostile to this program: it is not
 * dumpable, hands none of its descriptors on, and what it says is worth no more than they are.
 */
#ifndef DISPATCH_BUILD_SYSTEM_H
#define DISPATCH_BUILD_SYSTEM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { SYSTEM_INPUT_MAX = 64 * 1024, SYSTEM_PACKAGES_MAX = 512, SYSTEM_CATALOGUE_MAX = 4 << 20 };

/* A package that is installed now and was not before, or in another version: lines of dpkg-query on both
 * sides ("name TAB version TAB architecture"), lines of apt-get --print-uris for where each came from.
 * Appends {"packages":[{"type":"deb","name","version","architecture","origin"}]} to `out`, and those whose
 * origin is known to `origins`, in the form of CATALOGUE_ORIGINS. An origin has no user and no password;
 * lines that are not of that form are skipped. */
enum err_code system_catalogue(struct str before, struct str after, struct str uris, struct buf *out,
                               struct buf *origins, struct err *err);

/*
 * Installs the packages, one a line of `input`. `say` gets lines for the log pipe (wire/spawn.h).
 * ERR_INVALID: not such an input. ERR_UNPROCESSABLE: not that kind of image, or apt's own error.
 * ERR_UNAVAILABLE: the mirrors cannot be reached.
 */
enum err_code system_install(struct str input, void (*say)(void *arg, char type, struct str text), void *arg,
                             struct err *err);

#endif
