/*
 * build/stream.c: gzip and plain bytes. Only these two, and gzip by zlib itself: every other filter of
 * libarchive would be one more decoder for hostile bytes, some of them start programs, and its gzip neither
 * looks at checksums nor stops at one layer.
 */
#include "build/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The padding of the last member and the two blocks at the end. */
enum { PADDING_MAX = 3 * STREAM_BLOCK, GZIP_WINDOW_BITS = 15 + 16 };

static ssize_t refill(struct stream *stream, void *into)
{
        ssize_t got;

        do {
                got = read(stream->fd, into, STREAM_CHUNK);
        } while (got < 0 && errno == EINTR);
        if (got < 0)
                stream->failed = strerrordesc_np(errno);
        return got;
}

enum err_code stream_open(struct stream *stream, int fd, uint64_t bytes_max, struct err *err)
{
        unsigned char magic[2];

        stream->fd = fd;
        stream->bytes_max = bytes_max;
        stream->gzip = pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) && magic[0] == 0x1f &&
                       magic[1] == 0x8b;
        stream->in_member = stream->gzip;
        if (stream->gzip && inflateInit2(&stream->inflate, GZIP_WINDOW_BITS) != Z_OK) {
                stream->gzip = false;
                return err_nomem(err);
        }
        return ERR_OK;
}

void stream_close(struct stream *stream)
{
        if (stream->gzip)
                inflateEnd(&stream->inflate);
        stream->gzip = false;
}

/* What inflate said at the end of a step; false: nothing more can be read. */
static bool step_judge(struct stream *stream, int said)
{
        if (said == Z_STREAM_END) {
                stream->in_member = false;
                return true;
        }
        if (said == Z_OK || said == Z_BUF_ERROR)
                return true;
        if (said == Z_MEM_ERROR)
                stream->failed = "out of memory";
        else
                stream->failed = stream->inflate.msg != NULL ? stream->inflate.msg : "it is no gzip";
        return false;
}

/* Between two members: the next one begins, or the file ends. */
static bool member_begin(struct stream *stream)
{
        if (stream->inflate.next_in[0] != 0x1f || inflateReset(&stream->inflate) != Z_OK) {
                stream->failed = "there is something behind its gzip stream";
                return false;
        }
        stream->in_member = true;
        return true;
}

/* More bytes of the gzip stream into the chunk; 0 at its end, -1 when it is broken. */
static ssize_t inflate_some(struct stream *stream)
{
        z_stream *z = &stream->inflate;

        z->next_out = (unsigned char *)stream->chunk;
        z->avail_out = sizeof(stream->chunk);
        while (z->avail_out == sizeof(stream->chunk)) {
                if (z->avail_in == 0) {
                        ssize_t got = refill(stream, stream->in);
                        if (got < 0)
                                return -1;
                        if (got == 0 && !stream->in_member)
                                return 0;
                        if (got == 0) {
                                stream->failed = "its gzip stream is cut off";
                                return -1;
                        }
                        z->next_in = stream->in;
                        z->avail_in = (unsigned)got;
                }
                if (!stream->in_member && !member_begin(stream))
                        return -1;
                if (!step_judge(stream, inflate(z, Z_NO_FLUSH)))
                        return -1;
        }
        return (ssize_t)(sizeof(stream->chunk) - z->avail_out);
}

/* The next bytes into the chunk; 0 at the end, -1 when there can be no more. */
static ssize_t next_bytes(struct stream *stream)
{
        ssize_t got;

        if (stream->failed != NULL || stream->over)
                return -1;
        got = stream->gzip ? inflate_some(stream) : refill(stream, stream->chunk);
        if (got < 0)
                return -1;
        stream->ended = got == 0;
        stream->bytes += (uint64_t)got;
        stream->over = stream->bytes > stream->bytes_max;
        return stream->over ? -1 : got;
}

static la_ssize_t pad(struct stream *stream)
{
        if (stream->padded)
                return 0;
        stream->padded = true;
        memset(stream->chunk, 0, PADDING_MAX);
        return PADDING_MAX;
}

la_ssize_t stream_read(struct archive *archive, void *client_data, const void **ret)
{
        struct stream *stream = client_data;
        ssize_t got;

        *ret = stream->chunk;
        if (stream->ended)
                return pad(stream);
        got = next_bytes(stream);
        if (got < 0) {
                archive_set_error(archive, EINVAL, "%s",
                                  stream->over ? "it unpacks to too much" : stream->failed);
                return ARCHIVE_FATAL;
        }
        return got > 0 ? got : pad(stream);
}

bool stream_drain(struct stream *stream)
{
        while (!stream->ended) {
                if (next_bytes(stream) < 0)
                        return false;
        }
        return true;
}

bool stream_covers(const struct stream *stream, uint64_t end)
{
        return !stream->ended || end <= stream->bytes;
}
