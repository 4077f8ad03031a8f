/*
 * api/call.h: one call of the API on its way: HTTP loop, control loop, HTTP loop.
 *
 * Made by api/http.c when a request's head was accepted, handed to the control loop with its body, handled
 * there by api/dispatch.c, and given back by api_call_finish. Between, exactly one of the two threads touches
 * it; `exchange` belongs to the home loop alone, so a connection that breaks meanwhile needs no lock.
 */
#ifndef DISPATCH_API_CALL_H
#define DISPATCH_API_CALL_H

#include "api/route.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"
#include "http/server.h"
#include "model/caller.h"

#include <stdbool.h>

struct api;

enum {
        CALL_FIELDS_MAX = 8,
        CALL_REPLY_BYTES_MAX = 64 * 1024 * 1024,
        CALL_TEXT_BYTES_MAX =
                320 * 1024 /* copies of path, query and fields, twice: more than a head may have */
};

struct api_call {
        struct loop_task task;
        struct api *api;

        /* the home loop's */
        struct http_exchange *exchange; /* NULL once the connection broke */
        struct loop *home;
        bool posted;
        bool streaming; /* the head of a reply in pieces is out */

        uint64_t serial; /* names the call to the control loop when its caller is gone */
        bool streams;    /* the caller takes lines of JSON while it waits (application/x-ndjson) */

        /* the request; views into the arena */
        struct arena arena;
        struct api_route route;
        struct str method, query;
        struct str name; /* decoded */
        struct str organization_header, project_header, if_match, if_none_match;
        struct caller caller;
        struct buf body;
        size_t body_counted; /* bytes that count against the api's bound */

        /* the reply */
        int status;
        struct http_field fields[CALL_FIELDS_MAX];
        size_t field_count;
        uint32_t retry_after_s; /* of an error that a retry can help; 0: a second */
        struct buf reply;
        int reply_fd; /* of a reply that is a file, in place of `reply`; else -1 */
        uint64_t reply_len;
};

/* On the control loop: hands the call back with its reply; it must not be touched any more. */
void api_call_finish(struct api_call *call);

/* On the control loop, of a call that `streams`: sends a line before the reply, which is then one line more,
 * with status 200 whatever it says. Takes the bytes over. Without memory the line is left out. */
void api_call_stream(struct api_call *call, struct buf *line);

/* Adds a field to the reply; name is a literal, value is copied. Past the maximum, or without memory, it is
 * left out. */
void api_call_field(struct api_call *call, const char *name, const char *value);

/* Each fills the reply and finishes the call. */
void api_call_fail(struct api_call *call, const struct err *err);
/* `value` is borrowed. NULL: out of memory, a 500. */
void api_call_json(struct api_call *call, int status, const json_t *value);
void api_call_empty(struct api_call *call, int status);

/* The error body of the contract: {"code":..,"message":..}. `newline`: as handlers of the original end it. */
void api_error_body(const struct err *err, bool newline, struct buf *out);
/* The HTTP status of an error. */
int api_error_status(const struct err *err);

#endif
