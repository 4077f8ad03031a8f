/*
 * cli/image.h: what images and base images have besides their fields: the log of their build, and what is
 * installed on them.
 */
#ifndef DISPATCH_CLI_IMAGE_H
#define DISPATCH_CLI_IMAGE_H

#include "cli/resource.h"

struct image_log {
        const struct resource *resource;
        const char *name;
        uint64_t offset; /* of what is to come */
        bool over;       /* no more will come of this build */
        char progress[200];
};

bool image_has_log(const struct resource *resource);
/* Prints to `out` what there is behind the offset; waits up to wait_s seconds for it. Nothing that steers a
 * terminal goes to one. */
enum err_code image_log_next(struct cli *cli, struct image_log *log, unsigned wait_s, FILE *out,
                             void (*before)(void *arg), void *arg, struct err *err);

/* The command `logs image`. */
enum err_code image_logs_run(struct cli *cli, struct err *err);

/* What -o wide shows of one image behind its row, and what --sbom shows. */
enum err_code image_show_packages(struct cli *cli, const struct resource *resource, const char *name,
                                  struct err *err);
enum err_code image_show_sbom(struct cli *cli, const struct resource *resource, const char *name,
                              struct err *err);

#endif
