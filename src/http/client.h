/*
 * http/client.h: an HTTP/1.1 client on one loop (RFC 9110, RFC 9112), with a pool of kept connections.
 *
 * A call is one request and its reply. It ends in exactly one of these: done was called, later and on the
 * loop's thread, never before http_call_start returned; or http_call_cancel was. After either it is gone. The
 * reply is collected within a bound, or handed on piece by piece with back-pressure.
 *
 * A kept connection may turn out to be closed just when it is used again. Then the request is sent once more
 * on a new connection if nothing of a reply was seen, its method is idempotent and its body is not streamed.
 *
 * It speaks in clear: what it talks to is on this host or on the cluster's own network.
 */
#ifndef DISPATCH_HTTP_CLIENT_H
#define DISPATCH_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "http/message.h"

#include <netinet/in.h>
#include <sys/un.h>

struct http_client;
struct http_call;

struct http_client_limits {
        uint32_t header_bytes_max;   /* 64 KiB, of a reply */
        uint32_t header_count_max;   /* 100 */
        uint32_t connect_timeout_ms; /* 5 s */
        uint32_t reply_timeout_ms;   /* 60 s from the last progress of the request to the head of the reply */
        uint32_t body_timeout_ms;    /* 30 s without a byte of the reply's body */
        uint32_t idle_timeout_ms;    /* 30 s in the pool; less than what servers usually wait */
        uint32_t idle_max;           /* 64 connections in the pool; the oldest goes */
        uint32_t connections_max;    /* 1024, in use or not: ERR_LIMIT */
        /* A time of 0 is no limit. */
};
extern const struct http_client_limits http_client_limits_default;

/* Where to connect to. Zero the struct before filling it: it is compared as bytes. */
struct http_target {
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
                struct sockaddr_un local;
        } address;
        socklen_t len;
};

/* An IPv4 or IPv6 address in text, no name. ERR_INVALID. */
enum err_code http_target_tcp(const char *address, uint16_t port, struct http_target *ret, struct err *err);
enum err_code http_target_unix(const char *path, struct http_target *ret, struct err *err);

enum { HTTP_CALL_CHUNKED = -1 };

struct http_call_spec {
        const struct http_target *target;
        struct str method;
        struct str path;           /* origin form, query included */
        struct str host;           /* for the Host field */
        struct http_fields fields; /* without Host and those of the framing, which are added; others of them
                                      are left out */
        struct str body;
        bool stream; /* the body comes by http_call_write, body_length bytes of it or HTTP_CALL_CHUNKED */
        int64_t body_length;
        uint64_t reply_bytes_max; /* of a reply that is collected: ERR_TOO_LARGE */

        void *arg;
        /* The head of the reply (no 1xx); may be NULL. */
        void (*head)(struct http_call *call, void *arg, const struct http_response *response);
        /* A piece of the body, valid during the call; NULL: it is collected. */
        void (*chunk)(struct http_call *call, void *arg, struct str bytes);
        /* http_call_write may go on; may be NULL. */
        void (*writable)(struct http_call *call, void *arg);
        /* ERR_OK: `response` and the collected body are valid until it returns. Else `response` is NULL and
         * `err` says what failed: ERR_UNAVAILABLE (no connection), ERR_TIMEOUT, ERR_BAD_REPLY, ERR_TOO_LARGE,
         * ERR_NO_MEMORY, ERR_CANCELLED (the client was destroyed). */
        void (*done)(struct http_call *call, void *arg, const struct err *err,
                     const struct http_response *response, struct str body);
};

enum err_code http_client_create(struct loop *loop, const struct http_client_limits *limits,
                                 struct http_client **ret, struct err *err);
/* Ends what is going on with ERR_CANCELLED; not from within a callback of a call. Takes NULL. */
void http_client_destroy(struct http_client *client);

/* Takes a descriptor that is connected to `target` into the pool; the descriptor is the client's on success.
 */
enum err_code http_client_adopt(struct http_client *client, const struct http_target *target, int fd,
                                struct err *err);

/* The spec, and what it points to, is only read during this. */
enum err_code http_call_start(struct http_client *client, const struct http_call_spec *spec,
                              struct http_call **ret, struct err *err);
/* Ends the call without done; its connection is closed. */
void http_call_cancel(struct http_call *call);

/* Of a streamed body; copies. False: enough is queued, wait for writable. */
bool http_call_write(struct http_call *call, struct str bytes);
void http_call_end(struct http_call *call);

/* Stops and goes on reading the reply. */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);

#endif
