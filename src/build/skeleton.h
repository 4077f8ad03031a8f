/*
 * build/skeleton.h: what every built-in image has beside its packages' files: the folders that sandboxes
 * mount on, and an /etc that says nothing about the host.
 */
#ifndef DISPATCH_BUILD_SKELETON_H
#define DISPATCH_BUILD_SKELETON_H

#include "build/image.h"

enum err_code skeleton_write(struct image *image, struct err *err);
/* The certificate authorities that the host trusts: the bundle, and the links to those in the image. */
enum err_code skeleton_certificates(struct image *image, struct err *err);

#endif
