/* http/out.h: bytes on their way to a socket: written at once where it takes them, queued where not. Inside
 * http/ only. */
#ifndef DISPATCH_HTTP_OUT_H
#define DISPATCH_HTTP_OUT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum out_result {
        OUT_DONE,    /* nothing is left in the queue */
        OUT_BLOCKED, /* the socket is full: go on when it is writable */
        OUT_BROKEN,  /* the connection, or the memory, is gone */
};

enum { OUT_IOV_MAX = 8 };

struct out_piece;

struct out {
        struct out_piece *first, *last;
        size_t len; /* bytes queued */
};

void out_finish(struct out *out);
/* False: no memory; nothing changes then. */
bool out_copy(struct out *out, const void *bytes, size_t len);
/* Takes over the bytes of *buf from `from` on and leaves it empty. False: no memory; *buf stays as it was. */
bool out_take(struct out *out, struct buf *buf, size_t from);

/* One system call for bytes that are not in a queue; *sent counts what the socket took. */
enum out_result out_send(int fd, struct iovec *iov, int count, size_t *sent);
/* Sends if the queue is empty and copies the rest behind the queue. */
enum out_result out_write(struct out *out, int fd, struct iovec *iov, int count);
enum out_result out_flush(struct out *out, int fd);

#endif
