/*
 * api/explain.h: what a pending resource waits for, in its `reason`, also when that cannot be written at
 * once: a build that ended for want of room is told of before its files are gone, and the store has no room
 * either. On the control loop.
 */
#ifndef DISPATCH_API_EXPLAIN_H
#define DISPATCH_API_EXPLAIN_H

#include "model/model.h"
#include "store/store.h"

struct api;

enum { EXPLANATIONS_MAX = 64 /* kept at once; what is over is told by a later try */ };

/* status_explain; where that fails, the text is kept until api_explain_again. */
void api_explain(struct api *api, enum model_kind kind, struct store_row *row, const char *text);
/* Before pending work is tried again. A resource that was changed or got on meanwhile is left as it is. */
void api_explain_again(struct api *api);
void api_explain_finish(struct api *api);

#endif
