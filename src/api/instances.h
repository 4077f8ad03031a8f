/* api/instances.h: GET /v1/instances and GET /v1/function/NAME/pool: what the engine has now. Control loop.
 */
#ifndef DISPATCH_API_INSTANCES_H
#define DISPATCH_API_INSTANCES_H

#include "api/call.h"

/* All instances of the caller's project, or with ?functionName those of one function. */
void instances_call(struct api_call *call);
/* Pools of one function, its template and what failed lately. */
void instances_pool_call(struct api_call *call);

#endif
