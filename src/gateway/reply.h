/*
 * gateway/reply.h: what a caller of an endpoint gets: the payload, or {"code", "message", "error"?} (CONTRACT
 * 0.7).
 */
#ifndef DISPATCH_GATEWAY_REPLY_H
#define DISPATCH_GATEWAY_REPLY_H

#include "engine/engine.h"
#include "http/server.h"

/* An error of the gateway's own. `extra` may be NULL: one more field ("Allow", "Retry-After"). */
void reply_error(struct http_exchange *exchange, int status, const char *message,
                 const struct http_field *extra, bool cors);

/* 400: the endpoint takes HTTPS alone. The message stands first: clients of the original look at how the body
 * begins (CONTRACT 7.4). */
void reply_https_only(struct http_exchange *exchange, bool cors);

/* The result of a run. The body is taken over when it is too large to be kept beside the reply. trusted: the
 * caller is of the function's organization and may see where in the code an error came from. */
void reply_run(struct http_exchange *exchange, struct invocation *inv, bool cors, bool trusted);

/* 200 without a body: a preflight, a run that nobody waits for. */
void reply_empty(struct http_exchange *exchange, bool cors);

/* The HTTP status of a finished run. */
int reply_status(const struct invocation *inv);

#endif
