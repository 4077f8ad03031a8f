/*
 * api/function_build.h: what the controller of functions and its jobs call of one another.
 */
#ifndef DISPATCH_API_FUNCTION_BUILD_H
#define DISPATCH_API_FUNCTION_BUILD_H

#include "api/internal.h"
#include "model/json.h"

/* Starts the job of a pending function whose image works. */
void function_build_start(struct api *api, struct store_row *row, const struct store_row *image);
/* The same of one that is an image: it is pulled, and its own process started. */
void function_foreign_start(struct api *api, struct store_row *row);
/* A job is at work on the row's definition. */
bool function_job_running(const struct api *api, const struct store_row *row);

/* The row moved, in the store: the snapshot follows, with `serving` (NULL: none) as its revision; the one
 * that served before retires; runs that wait look again. */
void function_moved(struct api *api, const struct store_row *row, struct revision *serving);

/* To ERROR, with a list of strings or one text. What served goes on serving. */
void function_fail_reasons(struct api *api, struct store_row *row, const json_t *reasons);
void function_fail(struct api *api, struct store_row *row, const char *text);

/* The same for a failure of the server's own, which may pass: then it stays pending and is tried again. */
void function_fail_or_wait(struct api *api, struct store_row *row, const struct err *err);

/* The reasons of a deploy that failed: the handler's own message and trace when there is one. New. */
json_t *function_trace_reasons(const struct err *err, struct str trace);

#endif
