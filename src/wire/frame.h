/*
 * wire/frame.h: the frames of the invocation channel, between the server and the agent of one instance.
 *
 * They travel over a pair of rings in shared memory (wire/ring.h). A frame is a header of 12 bytes, little
 * endian, and `length` bytes of payload (at most FRAME_PAYLOAD_MAX). Stream 0 is the channel itself; each
 * invocation has a stream of its own, numbered by the server from 1 up. The server treats everything it
 * receives as hostile.
 *
 *   server to agent                                agent to server
 *   SECRETS* (stream 0), SPECIALISE (stream 0)     READY (stream 0) or FAILED (stream 0, an error as JSON)
 *   HEAD fields, SECRETS?, DATA*, END              LOG*, HEAD fields, DATA*, END (usage)
 *   RESET: the caller is gone                      RESET: a run that was reset is over
 *   CREDIT n: may send n more bytes of DATA        CREDIT; CREDIT 0 on a run that was reset: it is being
 * ended
 *
 * A HEAD is an HTTP message head: for a request ":method", ":path" (with query), ":scheme", ":source" ("run"
 * or "endpoint"), then fields in lower case, the context's as dispatch-* (see docs/runtime-api.md); for a
 * reply ":status" and fields, "dispatch-error" (InputError, FunctionError, SystemError) when the body is an
 * error {"type","message","stacktrace"}, "dispatch-last" when the agent ends after this reply,
 * "dispatch-bad-reply" with the reason when what its function sent is no reply.
 *
 * An agent that ends with FRAME_EXIT_MEMORY says that its language had no memory left of what the instance
 * may have, and gave up before the kernel did.
 */
#ifndef DISPATCH_WIRE_FRAME_H
#define DISPATCH_WIRE_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        FRAME_HEADER_LEN = 12,
        FRAME_PAYLOAD_MAX = 131072, /* a HEAD of the largest request fits */
        FRAME_FIELDS_MAX = 256,     /* fields in one HEAD */
        FRAME_EXIT_MEMORY = 71,     /* exit status */
        FRAME_WINDOW = 262144       /* bytes of DATA a side may send on a stream before it gets CREDIT */
};

enum frame_type {
        FRAME_HEAD = 1,
        FRAME_DATA,
        FRAME_END, /* from the agent: struct frame_usage */
        FRAME_RESET,
        FRAME_CREDIT, /* uint32: bytes */
        FRAME_UPGRADE,
        FRAME_LOG,        /* first byte 1: stdout, 2: stderr; then text, any number of whole or part lines */
        FRAME_SPECIALISE, /* fields: function, handler, concurrency, timeout-ms, log-bytes-max,
                             reply-bytes-max, start-timeout-ms, threads, env-NAME ... */
        FRAME_READY,      /* text: why it can be no template, where it was to be one */
        FRAME_FAILED,     /* JSON {"type","message","stacktrace"} */
        FRAME_SECRETS     /* JSON, maybe in several pieces: the function's secrets (stream 0, before
                             SPECIALISE), or what this run adds to them */
};

struct frame {
        enum frame_type type;
        uint8_t flags;
        uint32_t stream;
        struct str payload; /* points into what was parsed */
};

/* What a run used, by the agent's own clock and rusage. */
struct frame_usage {
        uint64_t handler_us;
        uint64_t cpu_us;
        uint64_t memory_peak_bytes;
        uint64_t read_bytes, written_bytes; /* on disks */
};

struct frame_field {
        struct str name;
        struct str value;
};

/* Appends a whole frame. ERR_TOO_LARGE past the buffer's maximum or FRAME_PAYLOAD_MAX; nothing is appended
 * then. A type on a stream it has no business on is a programmer's error (assert): HEAD, DATA, END, RESET,
 * CREDIT and UPGRADE belong to an invocation, SPECIALISE, READY and FAILED to stream 0, LOG and SECRETS to
 * any.
 */
enum err_code frame_put(struct buf *out, enum frame_type type, uint32_t stream, struct str payload);
/* Splits bytes into DATA frames. */
enum err_code frame_put_data(struct buf *out, uint32_t stream, struct str bytes);
enum err_code frame_put_fields(struct buf *out, enum frame_type type, uint32_t stream,
                               const struct frame_field *fields, size_t count);
enum err_code frame_put_usage(struct buf *out, uint32_t stream, const struct frame_usage *usage);
enum err_code frame_put_credit(struct buf *out, uint32_t stream, uint32_t bytes);

/* Takes the first frame of `bytes`: ERR_OK and its whole length in *ret_used; ERR_LIMIT: more bytes are
 * needed; ERR_INVALID: not a frame (unknown type, over-long, reserved bits set, wrong stream or size for its
 * type): the channel is dead. */
enum err_code frame_parse(struct str bytes, struct frame *ret, size_t *ret_used, struct err *err);

/* Decodes a HEAD's or SPECIALISE's payload into at most FRAME_FIELDS_MAX views into it. */
enum err_code frame_parse_fields(struct str payload, struct frame_field *fields, size_t *ret_count,
                                 struct err *err);
/* An empty payload (the server's END) is a usage of zeros. */
enum err_code frame_parse_usage(struct str payload, struct frame_usage *ret, struct err *err);
enum err_code frame_parse_credit(struct str payload, uint32_t *ret, struct err *err);
/* The first field of that name, or a view with p == NULL. */
struct str frame_field_get(const struct frame_field *fields, size_t count, struct str name);

#endif
