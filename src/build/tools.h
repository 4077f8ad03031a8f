/*
 * build/tools.h: what installs dependencies in an image, from the host: programs, and their configuration as
 * whoever runs the host made it.
 */
#ifndef DISPATCH_BUILD_TOOLS_H
#define DISPATCH_BUILD_TOOLS_H

#include "build/image.h"

/* Each takes files, and folders with all that is in them, as absolute paths between blanks, to the same
 * places. What is not there, or not for everybody to read, is left out. The first keeps links, of the second
 * a link becomes what it leads to. */
enum err_code tools_files(struct image *image, struct str paths, struct err *err);
enum err_code tools_config(struct image *image, struct str paths, struct err *err);

#endif
