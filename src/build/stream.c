/*
 * build/stream.c: gzip and plain bytes through libarchive's raw reader. Only these two: every other filter
 * would be one more decoder for hostile bytes, and some of libarchive's start programs.
 */
#include "build/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The padding of the last member and the two blocks at the end. */
enum { PADDING_MAX = 3 * STREAM_BLOCK };

enum err_code stream_open(struct stream *stream, int fd, uint64_t bytes_max, struct err *err)
{
        struct archive_entry *entry;

        stream->bytes = 0;
        stream->bytes_max = bytes_max;
        stream->ended = stream->padded = stream->over = false;
        stream->source = archive_read_new();
        if (stream->source == NULL)
                return err_nomem(err);
        if (archive_read_support_filter_gzip(stream->source) != ARCHIVE_OK ||
            archive_read_support_format_raw(stream->source) != ARCHIVE_OK ||
            archive_read_support_format_empty(stream->source) != ARCHIVE_OK)
                return err_set(err, ERR_SYSTEM, "libarchive: %s", archive_error_string(stream->source));
        if (archive_read_open_fd(stream->source, fd, STREAM_CHUNK) != ARCHIVE_OK)
                return err_set(err, ERR_INVALID, "the archive cannot be read: %s",
                               archive_error_string(stream->source));

        int got = archive_read_next_header(stream->source, &entry);

        if (got == ARCHIVE_EOF)
                stream->ended = true;
        else if (got != ARCHIVE_OK)
                return err_set(err, ERR_INVALID, "the archive cannot be read: %s",
                               archive_error_string(stream->source));
        return ERR_OK;
}

void stream_close(struct stream *stream)
{
        if (stream->source != NULL)
                archive_read_free(stream->source);
        stream->source = NULL;
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

        *ret = stream->chunk;
        if (stream->ended)
                return pad(stream);

        la_ssize_t got = archive_read_data(stream->source, stream->chunk, sizeof(stream->chunk));

        if (got < 0) {
                archive_set_error(archive, EINVAL, "%s", archive_error_string(stream->source));
                return ARCHIVE_FATAL;
        }
        if (got == 0) {
                stream->ended = true;
                return pad(stream);
        }
        stream->bytes += (uint64_t)got;
        if (stream->bytes > stream->bytes_max) {
                stream->over = true;
                archive_set_error(archive, EFBIG, "it unpacks to too much");
                return ARCHIVE_FATAL;
        }
        return got;
}

bool stream_covers(const struct stream *stream, uint64_t end)
{
        return !stream->ended || end <= stream->bytes;
}
