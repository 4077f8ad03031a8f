/*
 * image/deb_name.h: system dependencies of an image, packages of Debian or Ubuntu: their names, and what jobs
 * and layers are told and called by them.
 */
#ifndef DISPATCH_IMAGE_DEB_NAME_H
#define DISPATCH_IMAGE_DEB_NAME_H

#include "base/str.h"

#include <stdbool.h>

/* "name" or "name=version" as apt-get takes them: deb-control(5), deb-version(7). Nothing that could be an
 * option, an order to remove or a pattern. */
bool deb_name_valid(struct str package);

/* Only letters, digits and these; not empty. */
bool deb_text_plain(struct str text, const char *more);

#endif
