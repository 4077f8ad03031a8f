/* base/buf.c: the bounded buffer; doubles up to its maximum. */
#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *buf, size_t max)
{
        assert(max < SIZE_MAX / 2);
        *buf = (struct buf){.max = max};
}

void buf_finish(struct buf *buf)
{
        free(buf->data);
        *buf = (struct buf){.max = buf->max};
}

/* One byte beyond len is always kept so that buf_text can terminate in place. */
enum err_code buf_reserve(struct buf *buf, size_t extra)
{
        assert(buf->len <= buf->max);
        if (extra > buf->max - buf->len)
                return ERR_TOO_LARGE;

        size_t need = buf->len + extra + 1;
        if (need <= buf->capacity)
                return ERR_OK;

        size_t capacity = buf->capacity > 0 ? buf->capacity : BUF_FIRST;
        while (capacity < need)
                capacity *= 2;
        if (capacity > buf->max + 1)
                capacity = buf->max + 1;

        char *data = realloc(buf->data, capacity);
        if (data == NULL)
                return ERR_NO_MEMORY;
        buf->data = data;
        buf->capacity = capacity;
        return ERR_OK;
}

enum err_code buf_append(struct buf *buf, const void *bytes, size_t len)
{
        enum err_code code = buf_reserve(buf, len);

        if (code != ERR_OK)
                return code;
        if (len > 0)
                memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
        return ERR_OK;
}

enum err_code buf_append_text(struct buf *buf, const char *text)
{
        return buf_append(buf, text, strlen(text));
}

enum err_code buf_printf(struct buf *buf, const char *fmt, ...)
{
        va_list args, again;

        va_start(args, fmt);
        va_copy(again, args);
        int len = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        enum err_code code = len < 0 ? ERR_INVALID : buf_reserve(buf, (size_t)len);
        if (code == ERR_OK) {
                vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
                buf->len += (size_t)len;
        }
        va_end(again);
        return code;
}

void buf_wipe(struct buf *buf)
{
        if (buf->data != NULL)
                memset(buf->data, 0, buf->len);
        __asm__ volatile("" : : "r"(buf->data) : "memory");
        buf->len = 0;
}

void buf_consume(struct buf *buf, size_t len)
{
        assert(len <= buf->len);
        buf->len -= len;
        if (buf->len > 0)
                memmove(buf->data, buf->data + len, buf->len);
}

const char *buf_text(struct buf *buf)
{
        if (buf->data == NULL && buf_reserve(buf, 0) != ERR_OK)
                return NULL;
        assert(buf->data != NULL);
        buf->data[buf->len] = '\0';
        return buf->data;
}

void buf_move(struct buf *to, struct buf *from)
{
        assert(to->len == 0);
        free(to->data);
        to->data = from->data;
        to->len = from->len;
        to->capacity = from->capacity;
        if (to->max < to->len)
                to->max = from->max;
        from->data = NULL;
        from->len = from->capacity = 0;
}
