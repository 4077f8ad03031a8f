/* http/out.h: bytes on their way to a socket: written at once where it takes them, queued where not. Inside
 * http/ only. */
#ifndef DISPATCH_HTTP_OUT_H
#define DISPATCH_HTTP_OUT_H

#include "base/buf.h"
#include "http/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

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

/* Sends if the queue is empty and copies the rest behind the queue. */
enum out_result out_write(struct out *out, struct transport *to, struct iovec *iov, int count);
/* OUT_DONE: nothing is left, neither in the queue nor in the transport. */
enum out_result out_flush(struct out *out, struct transport *to);

#endif
