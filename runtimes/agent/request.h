/*
 * runtimes/agent/request.h: one invocation as it came over either transport, and what is made of it.
 *
 * Fields have lower-case names. The pseudo fields ":method", ":path", ":scheme", ":source" and the dispatch-*
 * fields are those of wire/frame.h; the HTTP transport makes the former itself.
 */
#ifndef DISPATCH_AGENT_REQUEST_H
#define DISPATCH_AGENT_REQUEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "runtimes/agent/agent.h"
#include "wire/frame.h"

struct agent_request {
        uint32_t stream;
        const struct frame_field *fields;
        size_t field_count;
        struct str body;
        bool body_too_large; /* over AGENT_BODY_MAX; body is empty */
        struct str secrets;  /* JSON object of this run alone, or empty */
        bool envelope;       /* the body is a message {"context","payload"} (CONTRACT 8.2) */
};

/* A field's value; p == NULL when absent. */
struct str request_field(const struct agent_request *request, struct str name);

/* Like agent_next, with nothing made of the request: for a runtime that hands it on as it came. The views are
 * valid until agent_reply. Then as with agent_next. */
enum err_code agent_next_request(struct agent *agent, bool wait, struct agent_request *ret, struct err *err);
/* The function's own secrets: a JSON object, or empty. */
struct str agent_secrets(const struct agent *agent);

struct decoded {
        enum agent_payload_kind kind;
        struct str payload; /* the request's body or `text` */
        struct buf text;    /* what had to be made: a query's object, bytes from base64 */
};
void decoded_init(struct decoded *decoded);
void decoded_finish(struct decoded *decoded);

/* The payload by method, content type and :source. ERR_INVALID: the caller's fault, *err has the message of
 * an InputError. */
enum err_code request_decode(const struct agent_request *request, struct decoded *ret, struct err *err);

/* Appends the context's JSON object. `secrets`: the function's own, a JSON object or empty. */
enum err_code request_context(const struct agent_request *request, struct str secrets, struct buf *out);

/* Joins two JSON objects of secrets; members of `over` win. Either may be empty. */
enum err_code secrets_merge(struct str base, struct str over, struct buf *out);

/* Outside of the engine: DISPATCH_SECRETS_DIR (a file a key, a file NAME.json a secret) and d_secret_NAME. */
enum err_code secrets_from_environment(struct buf *out, struct err *err);

#endif
