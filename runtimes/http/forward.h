/* runtimes/http/forward.h: one run, from the channel to the image's process and back. */
#ifndef DISPATCH_RUNTIME_HTTP_FORWARD_H
#define DISPATCH_RUNTIME_HTTP_FORWARD_H

#include "runtimes/http/service.h"

/* Takes the next request, where one is there, and answers it. ERR_LIMIT: none is whole yet. ERR_CANCELLED:
 * the agent has to end. ERR_UNAVAILABLE: the process ended, and the run in hand is not answered: the server
 * says how it ended. */
enum err_code forward_next(struct service *service, struct err *err);

#endif
