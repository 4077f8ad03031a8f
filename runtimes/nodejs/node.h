/*
 * runtimes/nodejs/node.h: what the files of the addon share: addon.c is the addon, loop.c the agent in node's
 * event loop, values.c what goes between JavaScript and C, reply.c what the handler gave, fatal.c V8's abort.
 *
 * Node-API (node_api.h, ABI-stable) and libuv's stable calls only, so that one build serves every node from
 * 18 on. All of it runs on node's main thread.
 */
#ifndef DISPATCH_NODEJS_NODE_H
#define DISPATCH_NODEJS_NODE_H

#define NAPI_VERSION 8
#include "runtimes/agent/agent.h"

#include <node_api.h>
#include <uv.h>

enum { FIELDS_MAX = 100, TRACE_LINES_MAX = 512, EXIT_AGENT = 70 };

/* The reply of an invocation in hand, from when JavaScript gave it until it is sent. */
struct pending {
        struct pending *next;
        uint32_t run; /* the invocation's number */
        bool given;
        const char *error; /* the type of an error; text is its message */
        int status;
        struct buf text, type; /* the body or the message; the content type, NUL-terminated (empty: none) */
        struct buf fields;     /* field names and values, or the lines of a trace, each NUL-terminated */
        size_t field_count;    /* of pairs, or lines */
};

struct node {
        napi_env env;
        napi_async_context async;
        napi_ref on_run, on_cancel, on_end, resource;
        struct agent *agent;
        uint64_t reply_bytes_max;
        struct pending *pending; /* of those in hand */
        struct pending *spare;   /* kept for its memory */
        uint32_t calling; /* JavaScript is being called with it: what it gives is sent when that returns */
        bool serving;     /* the handler is loaded */
        bool ended;
        uv_poll_t channel, wake;
        uv_timer_t tick;
        uv_idle_t again; /* looks for the next invocation once the one before it was answered */
};

/* loop.c */
/* Starts to serve; the handler is loaded. False: *err says why not. */
bool loop_start(struct node *node, struct err *err);
/* Sends what was given for that invocation. `at_once`: the process ends, nothing else will. */
void loop_flush(struct node *node, uint32_t run, bool at_once);

/* reply.c */
/* One more in hand. False: no memory. */
bool pending_begin(struct node *node, uint32_t run);
/* NULL: no such invocation is in hand. */
struct pending *pending_find(const struct node *node, uint32_t run);
/* Sends what was given, or why it cannot be sent; then it is not in hand any more. */
void pending_send(struct node *node, struct pending *pending);
/* A reply: (run, status, content type or null, [name, value, ...] or null, body or null, is JSON). */
napi_value give_reply(napi_env env, napi_callback_info info);
/* An error: (run, type, message, [line, ...]). */
napi_value give_error(napi_env env, napi_callback_info info);

/* values.c */
/* Appends a string's UTF-8, or the bytes of a Buffer or typed array. False: it is neither, or does not fit.
 */
bool value_append(napi_env env, napi_value value, struct buf *out);
/* The same with a NUL behind it; NULs within become blanks. */
bool value_append_text(napi_env env, napi_value value, struct buf *out);
/* Appends up to `max` elements of an array of strings as texts; returns how many. */
size_t value_append_list(napi_env env, napi_value array, size_t max, struct buf *out);
napi_value value_of_text(napi_env env, struct str text);
napi_value value_null(napi_env env);
bool value_is_null(napi_env env, napi_value value); /* or undefined */
int32_t value_number(napi_env env, napi_value value);
/* A property that is set on an object. */
void value_set(napi_env env, napi_value object, const char *name, napi_value value);
/* The payload of an invocation: a string or a Buffer, null for none. */
napi_value value_payload(napi_env env, const struct agent_invocation *invocation);

/* fatal.c */
/* From now on V8's end for lack of memory is told to the server by the exit status. */
void fatal_watch(void);

#endif
