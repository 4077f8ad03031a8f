/*
 * build/alternatives.h: update-alternatives(1)'s links for an image. They are in no package's list of files:
 * the scripts of packages make them. For each name the host's choice is kept if it is in the image, else the
 * choice of the highest priority that is; a name with no choice in the image gets no link.
 */
#ifndef DISPATCH_BUILD_ALTERNATIVES_H
#define DISPATCH_BUILD_ALTERNATIVES_H

#include "build/image.h"

/* admin_fd is /var/lib/dpkg. Once every file is in the image. */
enum err_code alternatives_link(struct image *image, int admin_fd, struct err *err);

#endif
