/* build/pull_fetch.h: fetches an image of a registry into an image layout, by skopeo(1). */
#ifndef DISPATCH_BUILD_PULL_FETCH_H
#define DISPATCH_BUILD_PULL_FETCH_H

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

struct pull_fetch {
        const json_t *input; /* build/pull.h */
        int layout_fd;       /* /out/layout */
        int blobs_fd;        /* /blobs; -1: there is none */
        int log_fd;
        uint64_t bytes_max;
};

/* Blobs that are there already are used unless `anew`. The image is the only one of the layout's index. */
enum err_code pull_fetch(const struct pull_fetch *fetch, bool anew, struct err *err);

#endif
