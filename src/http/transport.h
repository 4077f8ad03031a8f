/*
 * http/transport.h: the bytes of a connection on their way through its socket, in clear or through TLS.
 * Inside http/ only.
 *
 * The seam is here, below the messages: what parses, queues and limits knows nothing of TLS. ALPN's answer
 * (http/1.1 alone, now) is the transport's as well, so that another version of HTTP can be chosen by it.
 */
#ifndef DISPATCH_HTTP_TRANSPORT_H
#define DISPATCH_HTTP_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum out_result {
        OUT_DONE,    /* all of it is the kernel's */
        OUT_BLOCKED, /* the socket is full: go on when it is writable */
        OUT_BROKEN,  /* the connection, or the memory, is gone */
};

enum in_result {
        IN_DONE,   /* something came; of a handshake: it is over */
        IN_WAIT,   /* go on when the socket is readable */
        IN_END,    /* the other side sends no more */
        IN_BROKEN, /* the connection is of no use any more; an alert that says why may wait to be flushed */
};

struct tls;

struct transport {
        int fd;          /* non-blocking */
        struct tls *tls; /* NULL: in clear */
};

/* Frees the encryption, not the socket. */
void transport_finish(struct transport *transport);

/*
 * Takes over what it can; *sent counts it. Through TLS all of it may have been taken and the result still be
 * OUT_BLOCKED: then ciphertext waits in the transport (bounded), and transport_flush goes on.
 */
enum out_result transport_send(struct transport *transport, struct iovec *iov, int count, size_t *sent);
enum out_result transport_flush(struct transport *transport);
/* Bytes that the transport holds back. */
size_t transport_waiting(const struct transport *transport);

/* At least one byte on IN_DONE. */
enum in_result transport_read(struct transport *transport, void *bytes, size_t size, size_t *ret);
/* What has been read from the socket may hold more: it will not become readable for that. */
bool transport_has_more(const struct transport *transport);

/* Tells the other side, once, that no more follows (TLS: close_notify); OUT_BLOCKED: flush later. */
enum out_result transport_end(struct transport *transport);
bool transport_ended(const struct transport *transport);

#endif
