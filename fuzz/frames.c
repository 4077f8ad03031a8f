/*
 * fuzz/frames.c: the frames of the invocation channel, as a hostile agent may send them.
 *
 * Two properties: bytes that arrive in any pieces give the same frames as the whole (the first byte of the
 * input says where to split), and putting what was parsed gives the bytes back.
 */
#include "wire/frame.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 1 << 20 };

/* Appends a canonical account of each whole frame at the front of `in` to `out`; false once the channel is
 * dead. */
static bool drain(struct buf *in, struct buf *out)
{
        for (;;) {
                struct frame frame;
                size_t used;
                enum err_code code = frame_parse((struct str){in->data, in->len}, &frame, &used, NULL);

                if (code != ERR_OK)
                        return code == ERR_LIMIT;
                assert(frame.payload.len <= FRAME_PAYLOAD_MAX &&
                       used == FRAME_HEADER_LEN + frame.payload.len);
                size_t before = out->len;
                assert(frame_put(out, frame.type, frame.stream, frame.payload) == ERR_OK);
                assert(out->len - before == used && memcmp(out->data + before, in->data, used) == 0);
                buf_consume(in, used);
        }
}

static void check_fields(struct str payload)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        own_buf struct buf out;
        size_t count;

        buf_init(&out, BYTES_MAX);
        if (payload.len > FRAME_PAYLOAD_MAX || frame_parse_fields(payload, fields, &count, NULL) != ERR_OK)
                return;
        assert(frame_put_fields(&out, FRAME_HEAD, 1, fields, count) == ERR_OK);
        assert(out.len == FRAME_HEADER_LEN + payload.len);
        assert(payload.len == 0 || memcmp(out.data + FRAME_HEADER_LEN, payload.p, payload.len) == 0);
}

static bool feed(struct str bytes, size_t step, struct buf *out)
{
        own_buf struct buf in;
        bool alive = true;

        buf_init(&in, BYTES_MAX);
        while (bytes.len > 0 && alive) {
                size_t part = step < bytes.len ? step : bytes.len;

                assert(buf_append(&in, bytes.p, part) == ERR_OK);
                alive = drain(&in, out);
                bytes = str_slice(bytes, part, bytes.len);
        }
        return alive;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        own_buf struct buf whole, split;

        buf_init(&whole, BYTES_MAX);
        buf_init(&split, BYTES_MAX);
        if (size < 1 || size > BYTES_MAX / 2)
                return 0;
        struct str bytes = {(const char *)data + 1, size - 1};

        bool alive = feed(bytes, SIZE_MAX, &whole);
        assert(feed(bytes, (size_t)data[0] + 1, &split) == alive);
        assert(whole.len == split.len);
        assert(whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0);
        check_fields(bytes);
        return 0;
}
