/*
 * base/buf.h: a growing byte buffer with a maximum; every growing thing in the program is one of these.
 *
 * The caller holds the struct; buf_finish frees the bytes and takes a zeroed one. Not thread-safe. `data` is
 * not NUL-terminated unless buf_text was called.
 */
#ifndef DISPATCH_BASE_BUF_H
#define DISPATCH_BASE_BUF_H

#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>

struct buf {
        char *data;
        size_t len;
        size_t capacity;
        size_t max; /* len never exceeds this */
};

void buf_init(struct buf *buf, size_t max);
void buf_finish(struct buf *buf);
static inline void buf_clear(struct buf *buf)
{
        buf->len = 0;
}

/* Makes room for `extra` more bytes at data + len. ERR_TOO_LARGE past the maximum, ERR_NO_MEMORY; nothing
 * changes then. */
enum err_code buf_reserve(struct buf *buf, size_t extra);
enum err_code buf_append(struct buf *buf, const void *bytes, size_t len);
enum err_code buf_append_text(struct buf *buf, const char *text);
enum err_code buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Overwrites the content, in a way that no optimizer leaves out, and empties the buffer. */
void buf_wipe(struct buf *buf);

/* Drops the first `len` bytes. */
void buf_consume(struct buf *buf, size_t len);

/* The content as a C string (a NUL is put behind it, outside len); NULL when memory is out. Owned by the
 * buffer. */
const char *buf_text(struct buf *buf);

/* Moves the content of `from` into `to` (which must be empty); `from` becomes empty and keeps its maximum. */
void buf_move(struct buf *to, struct buf *from);

#define own_buf __attribute__((cleanup(buf_finish)))

#endif
