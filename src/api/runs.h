/*
 * api/runs.h: runs asked for through the API (CONTRACT 0.6, 7.2, 7.3, 8.3).
 *
 * A run that is waited for lives as long as its caller waits and is recorded when it is over. One that is not
 * is durable before its 202, survives the server, and is tried again as long as the server has no room for
 * it.
 */
#ifndef DISPATCH_API_RUNS_H
#define DISPATCH_API_RUNS_H

#include "api/internal.h"

void runs_call(struct api_call *call);

/* The caller of that call is gone: a run that nobody else waits for ends. */
void runs_caller_gone(struct api *api, uint64_t serial);

/* A function's state in the snapshot's working copy moved: runs that wait for it look again. */
void runs_function_changed(struct api *api, const char *function_id);

/* Runs again what servers that are gone had accepted. */
enum err_code runs_recover(struct api *api, uint32_t draining_generation, struct err *err);

void runs_finish(struct api *api);

#endif
