/*
 * api/gc.h: the collector of garbage: layers, stacks and blobs that spawn keeps, sources, and objects in the
 * object store that no row refers to any more.
 *
 * A thing is wanted when its name stands anywhere in what the server keeps with a base image, an image or a
 * function (a row's internal part), or in a stack that is there. What nobody wants goes once it is older than
 * the grace period; while something is being built the period is at least GC_BUILD_S, and never shorter than
 * the oldest job has taken: what a build has just made is not garbage yet. spawn keeps a layer as long as a
 * sandbox uses it, whatever it is told. A removal is one rename or one request, so a crash at any point
 * leaves a thing whole or gone, and the next pass goes on. On the control loop.
 */
#ifndef DISPATCH_API_GC_H
#define DISPATCH_API_GC_H

#include "api/internal.h"

enum { GC_BUILD_S = 3600, GC_EVERY_MS_MIN = 60000, GC_EVERY_MS_MAX = 3600000 };

/* From then on a pass now and then; the first at once. */
void gc_begin(struct api *api);
void gc_finish(struct api *api);

/* GET /v1/gc: what would go. POST /v1/gc: a pass now. Finishes the call, later. */
void gc_call(struct api_call *call);

#endif
