/*
 * http/out.c: the output queue: a list of pieces, small copies sharing one. The ordinary reply never gets
 * here: it is sent from where it was made.
 */
#include "http/out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_PIECE = 16384 };

struct out_piece {
        struct out_piece *next;
        char *data;
        size_t at, len, capacity;
};

static void piece_free(struct out_piece *piece)
{
        free(piece->data);
        free(piece);
}

void out_finish(struct out *out)
{
        struct out_piece *next;

        for (struct out_piece *piece = out->first; piece != NULL; piece = next) {
                next = piece->next;
                piece_free(piece);
        }
        *out = (struct out){0};
}

static void piece_append(struct out *out, struct out_piece *piece)
{
        if (out->last != NULL)
                out->last->next = piece;
        else
                out->first = piece;
        out->last = piece;
}

static struct out_piece *piece_create(size_t capacity)
{
        struct out_piece *piece = calloc(1, sizeof(*piece));

        if (piece == NULL || capacity == 0)
                return piece;
        piece->data = malloc(capacity);
        if (piece->data == NULL) {
                free(piece);
                return NULL;
        }
        piece->capacity = capacity;
        return piece;
}

bool out_copy(struct out *out, const void *bytes, size_t len)
{
        struct out_piece *piece = out->last;

        if (len == 0)
                return true;
        if (piece == NULL || piece->capacity - piece->len < len) {
                piece = piece_create(len > OUT_PIECE ? len : OUT_PIECE);
                if (piece == NULL)
                        return false;
                piece_append(out, piece);
        }
        memcpy(piece->data + piece->len, bytes, len);
        piece->len += len;
        out->len += len;
        return true;
}

bool out_take(struct out *out, struct buf *buf, size_t from)
{
        if (from == buf->len)
                return true;
        struct out_piece *piece = piece_create(0);
        if (piece == NULL)
                return false;
        piece->data = buf->data;
        piece->at = from;
        piece->len = piece->capacity = buf->len;
        out->len += buf->len - from;
        piece_append(out, piece);
        *buf = (struct buf){.max = buf->max};
        return true;
}

enum out_result out_write(struct out *out, struct transport *to, struct iovec *iov, int count)
{
        enum out_result result = OUT_BLOCKED;
        size_t skip = 0;

        if (out->len == 0)
                result = transport_send(to, iov, count, &skip);
        if (result != OUT_BLOCKED)
                return result;
        for (int i = 0; i < count; i++) {
                size_t sent = skip < iov[i].iov_len ? skip : iov[i].iov_len;
                if (!out_copy(out, (const char *)iov[i].iov_base + sent, iov[i].iov_len - sent))
                        return OUT_BROKEN;
                skip -= sent;
        }
        return OUT_BLOCKED;
}

static void out_drop(struct out *out, size_t sent)
{
        out->len -= sent;
        while (sent > 0) {
                struct out_piece *piece = out->first;
                assert(piece != NULL);
                size_t len = piece->len - piece->at;
                if (sent < len) {
                        piece->at += sent;
                        return;
                }
                sent -= len;
                out->first = piece->next;
                if (out->first == NULL)
                        out->last = NULL;
                piece_free(piece);
        }
}

enum out_result out_flush(struct out *out, struct transport *to)
{
        enum out_result result = transport_flush(to);

        while (out->len > 0 && result == OUT_DONE) {
                struct iovec iov[OUT_IOV_MAX];
                int count = 0;
                size_t sent;

                for (struct out_piece *piece = out->first; piece != NULL && count < OUT_IOV_MAX;
                     piece = piece->next)
                        iov[count++] = (struct iovec){piece->data + piece->at, piece->len - piece->at};
                result = transport_send(to, iov, count, &sent);
                out_drop(out, sent);
        }
        return result;
}
