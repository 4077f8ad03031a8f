/*
 * engine/payload.h: a run's input and output as the JSON values that its function's schemas speak of.
 *
 * The input is what the handler would get (runtimes/agent/request.h): JSON parsed, a form or a query as an
 * object, text of a run as a string, no body as null (a run) or an empty object (an endpoint). Only functions
 * with a schema come here; for all others no payload is read.
 */
#ifndef DISPATCH_ENGINE_PAYLOAD_H
#define DISPATCH_ENGINE_PAYLOAD_H

#include "engine/engine.h"
#include "model/json.h"

enum {
        PAYLOAD_FIELDS_MAX = 10000 /* of a form or a query; as the agents have it */
};

/* ERR_INVALID: it is no JSON value; err->text is what the caller is told. ERR_NO_MEMORY. */
enum err_code payload_input(const struct invocation *inv, json_t **ret, struct err *err);
enum err_code payload_output(const struct invocation *inv, json_t **ret, struct err *err);

#endif
