/*
 * http/tls.h: TLS 1.2 and 1.3 for servers (RFC 8446, RFC 5246), by OpenSSL.
 *
 * A context is a set of certificates with their keys; it never changes, so any number of threads and
 * connections may share one, and a reload makes another. A connection keeps the context that it began with.
 *
 * How it meets the loop: OpenSSL reads the socket itself, and what it writes goes to a buffer of the
 * connection that is bounded, sent when the socket takes it and freed when it is empty. So a write never has
 * to be repeated with the same bytes (SSL_write's WANT_WRITE), all that waits for the socket is in one place,
 * and the queue above holds plain text that fills whole records.
 *
 * What is on: forward-secret AEAD suites, ALPN http/1.1, the certificate by the name that the client asks for
 * (SNI). What is off: older versions, renegotiation, compression, early data, and session tickets, whose keys
 * would have to be rotated for a secret to stay one; a handshake costs less than a start of anything.
 */
#ifndef DISPATCH_HTTP_TLS_H
#define DISPATCH_HTTP_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/transport.h"

enum { TLS_PAIRS_MAX = 16 };

/* Both PEM; the names are what an error calls them. */
struct tls_pair {
        struct str certificate; /* the server's own first, then what it was signed with */
        struct str key;
        const char *certificate_name, *key_name;
};

struct tls_context;

/*
 * The first pair is the default, the others serve the names that their certificates hold. Copies all it
 * needs. ERR_INVALID: not PEM, encrypted, a key that does not belong to its certificate, too weak; the text
 * says which file. warn is called for what works but should not stay so (expired, not valid yet); it may be
 * NULL.
 */
enum err_code tls_context_create(const struct tls_pair *pairs, size_t count,
                                 void (*warn)(void *arg, const char *text), void *arg,
                                 struct tls_context **ret, struct err *err);
/* From any thread. */
struct tls_context *tls_context_ref(struct tls_context *context); /* takes NULL */
void tls_context_unref(struct tls_context *context);              /* takes NULL */

/* A pair for these names and addresses that signs itself (ECDSA, P-256); appended to certificate and key. */
enum err_code tls_self_sign(const struct str *names, size_t count, struct buf *certificate, struct buf *key,
                            struct err *err);
/* True if the certificate holds all the names and is valid for some weeks yet. */
bool tls_certificate_serves(struct str certificate, const struct str *names, size_t count);

/* One connection, on the loop's thread. NULL: no memory. The socket stays the caller's. */
struct tls *tls_create(struct tls_context *context, int fd);
void tls_destroy(struct tls *tls); /* takes NULL */

/* To be flushed after each call, whatever it returned. */
enum in_result tls_handshake(struct tls *tls);
enum in_result tls_read(struct tls *tls, void *bytes, size_t size, size_t *ret);
bool tls_has_more(const struct tls *tls);

/* Encrypts what lies behind the first *done bytes, as far as the buffer takes it, and adds that to *done.
 * False: the connection is broken, or no memory. Only with nothing waiting. */
bool tls_encrypt(struct tls *tls, const struct iovec *iov, int count, size_t *done);
enum out_result tls_flush(struct tls *tls);
size_t tls_waiting(const struct tls *tls);
enum out_result tls_end(struct tls *tls);
bool tls_ended(const struct tls *tls);

#endif
