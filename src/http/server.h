/*
 * http/server.h: an HTTP/1.1 server on one loop (RFC 9110, RFC 9112). Knows no functions.
 *
 * One http_server a loop and a role (API, gateway); it takes accepted connections from the listening
 * descriptors it is given. For each request it calls handler->on_request on the loop's thread, with the head
 * complete and the body not yet read. The handler then owns the exchange and, now or later on the same
 * thread:
 *
 *   - reads the body, if it wants it: http_collect (whole, bounded) or http_read (streaming);
 *   - replies exactly once: http_reply, or http_reply_start, http_reply_write ..., http_reply_end.
 *
 * After the last byte of the reply was handed over (http_reply, http_reply_end, http_abort) the exchange is
 * gone and must not be touched. A body that was not read is drained up to a bound, else the connection is
 * closed. Pipelined requests of a connection are handled one after the other, in order.
 */
#ifndef DISPATCH_HTTP_SERVER_H
#define DISPATCH_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "http/message.h"

struct http_server;
struct http_exchange;
struct tls_context;

struct http_limits {
        uint32_t header_bytes_max; /* 64 KiB: request line and fields together: 431 (414 when the target alone
                                      is over) */
        uint32_t header_count_max; /* 100: 431 */
        uint64_t body_bytes_max;   /* 10 MiB: 413 */
        uint32_t header_timeout_ms; /* 30 s to the end of the head, from its first byte or, for the first
                                      request, from the connection: 408 and close */
        uint32_t body_timeout_ms;   /* 30 s in which less than body_rate_min came: ERR_TIMEOUT, and close */
        uint32_t body_rate_min;     /* 240 bytes a second, on average over body_timeout_ms */
        uint32_t write_timeout_ms;  /* 60 s without progress of the reply: close */
        uint32_t idle_timeout_ms;   /* 75 s between requests: close */
        uint32_t handshake_timeout_ms; /* 10 s from the connection to the end of TLS's handshake: close */
        uint32_t connections_max;      /* 4096: then the one that waits longest for a request, or else in its
                                         handshake, is closed; accept pauses while all have one */
        /* A time of 0 is no limit. */
};
extern const struct http_limits http_limits_default;

struct http_handler {
        void *ctx;
        void (*on_request)(void *ctx, struct http_exchange *exchange);
        /* Body of a refusal that the server makes itself (400, 408, 413, 414, 431, 501, 505), as JSON; may be
         * NULL: then
         * {"code":STATUS,"message":TEXT} is sent. */
        void (*on_refusal)(void *ctx, int status, const char *text, struct buf *body);
};

/* Takes over nothing: the descriptors stay the caller's and are listened on until http_server_destroy. */
enum err_code http_server_create(struct loop *loop, const int *listen_fds, size_t listen_count,
                                 const struct http_limits *limits, const struct http_handler *handler,
                                 struct http_server **ret, struct err *err);
/*
 * Listens also on these, whose connections begin with a handshake of TLS: `tls` is the context of those to
 * come until http_server_tls_set gives another. Once a server, and before anything else of it is called. Who
 * speaks HTTP in clear there is told so by a 400.
 */
enum err_code http_server_listen_tls(struct http_server *server, const int *listen_fds, size_t listen_count,
                                     struct tls_context *tls, struct err *err);
/* Keeps a reference. Connections go on with the context that they began with. */
void http_server_tls_set(struct http_server *server, struct tls_context *tls);

/* A connected stream socket, non-blocking, as if it had been accepted. Taken over on success. */
enum err_code http_server_adopt(struct http_server *server, int fd, struct err *err);
/* Likewise, with TLS. */
enum err_code http_server_adopt_tls(struct http_server *server, int fd, struct err *err);
/* Stops accepting, closes idle connections; busy ones end with `Connection: close`. Calls drained(arg) once
 * none is left. */
void http_server_drain(struct http_server *server, void (*drained)(void *arg), void *arg);
/* The same for a server whose place another has taken: what comes on idle connections within grace_ms is
 * still answered, with `Connection: close`; then they are closed. http_server_hurry ends the grace, if there
 * is one. */
enum err_code http_server_retire(struct http_server *server, uint64_t grace_ms, void (*drained)(void *arg),
                                 void *arg, struct err *err);
void http_server_hurry(struct http_server *server);
/* Closes what is left at once; not from within a callback of an exchange. Exchanges still open get their
 * on_abort first, and without one must not be touched any more. Takes NULL. */
void http_server_destroy(struct http_server *server);

/* Valid until the exchange is gone. */
const struct http_request *http_request(struct http_exchange *exchange);
struct arena *http_arena(struct http_exchange *exchange);
struct loop *http_loop(struct http_exchange *exchange);
void http_user_set(struct http_exchange *exchange, void *user);
void *http_user(struct http_exchange *exchange);
/* "127.0.0.1:1234", or "unix". */
struct str http_peer(struct http_exchange *exchange);
/* The request came through TLS: its scheme is https. */
bool http_is_tls(struct http_exchange *exchange);

/* Called if the connection ends (the client closed it, also only for writing) before the reply was complete;
 * the exchange is gone after it returned, and no other callback of it follows. Without it the exchange lives
 * until the handler has replied into the void; a body that was being read fails with ERR_CANCELLED. */
void http_on_abort(struct http_exchange *exchange, void (*aborted)(struct http_exchange *exchange, void *arg),
                   void *arg);

/*
 * Reads the whole body, then calls done once: ERR_OK and the bytes (valid until the exchange is gone), or
 * ERR_TOO_LARGE, ERR_INVALID, ERR_TIMEOUT, ERR_NO_MEMORY, ERR_CANCELLED; then the handler still has to reply
 * (the connection is closed after it). Sends 100 (Continue) where it was asked for; a handler that
 * begins a streamed reply first gives that up, and the body with it (ERR_CANCELLED). May call done before it
 * returns.
 */
void http_collect(struct http_exchange *exchange, uint64_t bytes_max,
                  void (*done)(struct http_exchange *exchange, void *arg, enum err_code code,
                               struct str body),
                  void *arg);

/* Streams the body: chunk is called for each piece, with last set on the final (perhaps empty) one.
 * http_read_pause stops reading from the socket (back-pressure), http_read_resume goes on. Failure: code !=
 * ERR_OK, once. */
void http_read(struct http_exchange *exchange,
               void (*chunk)(struct http_exchange *exchange, void *arg, enum err_code code, struct str bytes,
                             bool last),
               void *arg);
void http_read_pause(struct http_exchange *exchange);
void http_read_resume(struct http_exchange *exchange);

/* The whole reply. Content-Length, Date and Connection are added, and theirs among the fields left out.
 * `body` is copied; http_reply_buf takes the bytes over instead and leaves *body empty. No body is sent for
 * HEAD, 204 and 304. Fields with CR, LF or NUL in them are a programmer's error (assert); http_value_valid
 * tells first. */
void http_reply(struct http_exchange *exchange, int status, struct http_fields fields, struct str body);
void http_reply_buf(struct http_exchange *exchange, int status, struct http_fields fields, struct buf *body);

/* A streamed reply, of exactly content_length bytes (more are a programmer's error, fewer close the
 * connection); content_length < 0: chunked (or until close for HTTP/1.0). http_reply_write copies; it returns
 * false once more than a bound is queued: then wait for writable. */
void http_reply_start(struct http_exchange *exchange, int status, struct http_fields fields,
                      int64_t content_length, void (*writable)(struct http_exchange *exchange, void *arg),
                      void *arg);
bool http_reply_write(struct http_exchange *exchange, struct str bytes);
void http_reply_end(struct http_exchange *exchange);
/* A reply of the first len bytes of a file, streamed; the descriptor is taken over. A file that cannot be
 * read on the way ends the connection. False: no memory; nothing was sent, and the descriptor is still the
 * caller's. */
bool http_reply_file(struct http_exchange *exchange, int status, struct http_fields fields, int fd,
                     uint64_t len);
/* Ends the connection without a proper end of the reply. */
void http_abort(struct http_exchange *exchange);

#endif
