/*
 * build/base_image.h: `dispatch-server base-image LANGUAGE`: a base image of Debian's packages for a runtime,
 * as an OCI layout, an OCI archive or in a registry. An administrator's command: it runs as whoever calls it,
 * in no sandbox.
 */
#ifndef DISPATCH_BUILD_BASE_IMAGE_H
#define DISPATCH_BUILD_BASE_IMAGE_H

/* argv[0] is "base-image"; runtimes: the folder of the runtimes. Prints, and returns the exit status. */
int base_image_main(const char *runtimes, int argc, char **argv);

#endif
