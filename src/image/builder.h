/*
 * image/builder.h: build jobs, run by dispatch-build in a sandbox that spawn makes (wire/spawn.h,
 * SPAWN_BUILD). On the control loop.
 *
 * At most BUILDER_JOBS_MAX jobs at once; the rest wait in order. A job past its deadline is killed and ends
 * with ERR_TIMEOUT.
 */
#ifndef DISPATCH_IMAGE_BUILDER_H
#define DISPATCH_IMAGE_BUILDER_H

#include "base/err.h"
#include "base/loop.h"
#include "wire/spawn.h"

#include <stdbool.h>

enum { BUILDER_JOBS_MAX = 4, BUILDER_DEADLINE_MS = 120000 };

struct builder;

struct builder_result {
        enum err_code code;
        const char *text;  /* why not */
        const char *layer; /* name of the layer that is in place */
        const char *info;  /* JSON object of the build */
};
typedef void (*builder_done)(void *arg, const struct builder_result *result);

/* link_fd: spawn's control link; the builder does not read it: what arrives there is given to
 * builder_deliver. */
enum err_code builder_create(struct loop *loop, int link_fd, struct builder **ret, struct err *err);
void builder_destroy(struct builder *builder);

/* A source archive (gzip'd tar, open for reading at its start; the descriptor is taken over) becomes layer
 * `layer`. If that layer exists already, done is called without a job. */
void builder_source(struct builder *builder, const char *layer, const char *language, int archive_fd,
                    builder_done done, void *arg);
/* The built-in base image of a language. */
void builder_builtin(struct builder *builder, const char *language, builder_done done, void *arg);
void builder_drop(struct builder *builder, const char *layer);

/* A frame for the builder (SPAWN_BUILT, SPAWN_LAYER) that arrived on the control link. */
void builder_deliver(struct builder *builder, const union spawn_frame *frame);

#endif
