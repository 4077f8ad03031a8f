/*
 * build/stream.h: the bytes of an archive, unpacked if they are gzip'd (RFC 1952), as libarchive's tar reader
 * wants them.
 *
 * One layer of gzip, of any number of members; their checksums and lengths have to be right, and nothing may
 * follow them. The clients in use end their archives early: no end-of-archive blocks, a last member that is
 * not padded to a block. So zeros follow the last byte, enough for both; stream_covers then tells such an
 * archive from one that was cut off. A bound stops whatever unpacks to too much, whether or not it is in a
 * member.
 */
#ifndef DISPATCH_BUILD_STREAM_H
#define DISPATCH_BUILD_STREAM_H

#include "base/err.h"

#include <archive.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum { STREAM_BLOCK = 512, STREAM_CHUNK = 65536 };

struct stream {
        int fd;
        bool gzip;
        bool in_member;     /* of gzip: it has begun and is not over */
        const char *failed; /* why nothing more can be read; static text */
        z_stream inflate;
        uint64_t bytes; /* delivered, without the zeros */
        uint64_t bytes_max;
        bool ended; /* all of them were delivered */
        bool padded;
        bool over; /* bytes_max was reached */
        unsigned char in[STREAM_CHUNK];
        char chunk[STREAM_CHUNK];
};

/* The descriptor stays the caller's and is read from its beginning. Needs a zeroed one. */
enum err_code stream_open(struct stream *stream, int fd, uint64_t bytes_max, struct err *err);
/* Takes a zeroed one. */
void stream_close(struct stream *stream);

/* libarchive's read callback; client_data is the struct stream. */
la_ssize_t stream_read(struct archive *archive, void *client_data, const void **ret);

/* Reads what the archive's reader left, up to the end. False: `over`, or `failed` says why. */
bool stream_drain(struct stream *stream);

/* False when the data that ends at `end` was partly our zeros. */
bool stream_covers(const struct stream *stream, uint64_t end);

#endif
