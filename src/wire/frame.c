/*
 * wire/frame.c: puts and parses the frames of the invocation channel.
 *
 * A frame's header is length (32 bits), type (8), flags (8, none yet: 0), reserved (16, 0) and stream (32). A
 * field is the length of its name (16) and of its value (32), then both. Everything little endian, nothing
 * aligned.
 */
#include "wire/frame.h"

#include <assert.h>

enum { FIELD_HEADER_LEN = 6, USAGE_LEN = 40, CREDIT_LEN = 4, READY_LEN_MAX = 200 };

/* What a frame of a type must look like; checked when parsing, asserted when putting. */
static const struct {
        bool known;
        bool on_channel; /* may be on stream 0 */
        bool on_stream;  /* may be on an invocation's stream */
        uint32_t min, max;
} shapes[] = {
        [FRAME_HEAD] = {true, false, true, 0, FRAME_PAYLOAD_MAX},
        [FRAME_DATA] = {true, false, true, 1, FRAME_PAYLOAD_MAX},
        [FRAME_END] = {true, false, true, 0, USAGE_LEN},
        [FRAME_RESET] = {true, false, true, 0, 0},
        [FRAME_CREDIT] = {true, false, true, CREDIT_LEN, CREDIT_LEN},
        [FRAME_UPGRADE] = {true, false, true, 0, FRAME_PAYLOAD_MAX},
        [FRAME_LOG] = {true, true, true, 1, FRAME_PAYLOAD_MAX},
        [FRAME_SPECIALISE] = {true, true, false, 0, FRAME_PAYLOAD_MAX},
        [FRAME_READY] = {true, true, false, 0, READY_LEN_MAX},
        [FRAME_FAILED] = {true, true, false, 0, FRAME_PAYLOAD_MAX},
        [FRAME_SECRETS] = {true, true, true, 0, FRAME_PAYLOAD_MAX},
};

static void put_u16(unsigned char *p, uint32_t value)
{
        p[0] = (unsigned char)value;
        p[1] = (unsigned char)(value >> 8);
}

static void put_u32(unsigned char *p, uint32_t value)
{
        put_u16(p, value & 0xffff);
        put_u16(p + 2, value >> 16);
}

static void put_u64(unsigned char *p, uint64_t value)
{
        put_u32(p, (uint32_t)value);
        put_u32(p + 4, (uint32_t)(value >> 32));
}

static uint32_t get_u16(const unsigned char *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get_u32(const unsigned char *p)
{
        return get_u16(p) | get_u16(p + 2) << 16;
}

static uint64_t get_u64(const unsigned char *p)
{
        return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static bool type_known(unsigned type)
{
        return type < sizeof(shapes) / sizeof(shapes[0]) && shapes[type].known;
}

static bool shape_fits(unsigned type, uint32_t stream, size_t length)
{
        if (stream == 0 ? !shapes[type].on_channel : !shapes[type].on_stream)
                return false;
        if (type == FRAME_END && length != 0 && length != USAGE_LEN)
                return false;
        return length >= shapes[type].min && length <= shapes[type].max;
}

static void put_header(struct buf *out, enum frame_type type, uint32_t stream, size_t length)
{
        unsigned char *p = (unsigned char *)out->data + out->len;

        assert(type_known(type) && shape_fits(type, stream, length));
        put_u32(p, (uint32_t)length);
        p[4] = (unsigned char)type;
        p[5] = 0;
        put_u16(p + 6, 0);
        put_u32(p + 8, stream);
        out->len += FRAME_HEADER_LEN;
}

/* The header of a frame whose payload the caller appends next; room for both is made first. */
static enum err_code frame_begin(struct buf *out, enum frame_type type, uint32_t stream, size_t length)
{
        if (length > FRAME_PAYLOAD_MAX)
                return ERR_TOO_LARGE;
        enum err_code code = buf_reserve(out, FRAME_HEADER_LEN + length);
        if (code == ERR_OK)
                put_header(out, type, stream, length);
        return code;
}

/* Room was reserved by frame_begin. */
static void append_reserved(struct buf *out, const void *bytes, size_t len)
{
        if (len > 0)
                memcpy(out->data + out->len, bytes, len);
        out->len += len;
}

enum err_code frame_put(struct buf *out, enum frame_type type, uint32_t stream, struct str payload)
{
        enum err_code code = frame_begin(out, type, stream, payload.len);

        if (code == ERR_OK)
                append_reserved(out, payload.p, payload.len);
        return code;
}

enum err_code frame_put_data(struct buf *out, uint32_t stream, struct str bytes)
{
        size_t before = out->len;

        while (bytes.len > 0) {
                size_t part = bytes.len < FRAME_PAYLOAD_MAX ? bytes.len : FRAME_PAYLOAD_MAX;
                enum err_code code = frame_put(out, FRAME_DATA, stream, str_slice(bytes, 0, part));
                if (code != ERR_OK) {
                        out->len = before;
                        return code;
                }
                bytes = str_slice(bytes, part, bytes.len);
        }
        return ERR_OK;
}

static size_t fields_length(const struct frame_field *fields, size_t count)
{
        size_t length = 0;

        for (size_t i = 0; i < count; i++) {
                if (fields[i].name.len > FRAME_PAYLOAD_MAX || fields[i].value.len > FRAME_PAYLOAD_MAX)
                        return SIZE_MAX;
                length += FIELD_HEADER_LEN + fields[i].name.len + fields[i].value.len;
        }
        return length;
}

enum err_code frame_put_fields(struct buf *out, enum frame_type type, uint32_t stream,
                               const struct frame_field *fields, size_t count)
{
        if (count > FRAME_FIELDS_MAX)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < count; i++) {
                if (fields[i].name.len > UINT16_MAX)
                        return ERR_TOO_LARGE;
        }
        enum err_code code = frame_begin(out, type, stream, fields_length(fields, count));
        if (code != ERR_OK)
                return code;

        for (size_t i = 0; i < count; i++) {
                unsigned char header[FIELD_HEADER_LEN];

                assert(fields[i].name.len > 0);
                put_u16(header, (uint32_t)fields[i].name.len);
                put_u32(header + 2, (uint32_t)fields[i].value.len);
                append_reserved(out, header, sizeof(header));
                append_reserved(out, fields[i].name.p, fields[i].name.len);
                append_reserved(out, fields[i].value.p, fields[i].value.len);
        }
        return ERR_OK;
}

enum err_code frame_put_usage(struct buf *out, uint32_t stream, const struct frame_usage *usage)
{
        unsigned char bytes[USAGE_LEN];

        put_u64(bytes, usage->handler_us);
        put_u64(bytes + 8, usage->cpu_us);
        put_u64(bytes + 16, usage->memory_peak_bytes);
        put_u64(bytes + 24, usage->read_bytes);
        put_u64(bytes + 32, usage->written_bytes);
        return frame_put(out, FRAME_END, stream, (struct str){(const char *)bytes, sizeof(bytes)});
}

/* The header alone decides whether it can become a frame, so that a bad one fails before its payload is
 * waited for. */
static enum err_code header_check(const unsigned char *p, struct err *err)
{
        uint32_t length = get_u32(p), stream = get_u32(p + 8);

        if (!type_known(p[4]))
                return err_set(err, ERR_INVALID, "frame of unknown type %u", p[4]);
        if (p[5] != 0 || get_u16(p + 6) != 0)
                return err_set(err, ERR_INVALID, "frame of type %u has reserved bits set", p[4]);
        if (length > FRAME_PAYLOAD_MAX)
                return err_set(err, ERR_INVALID, "frame of type %u is over-long: %u bytes", p[4], length);
        if (!shape_fits(p[4], stream, length))
                return err_set(err, ERR_INVALID, "frame of type %u may not have %u bytes on stream %u", p[4],
                               length, stream);
        return ERR_OK;
}

enum err_code frame_parse(struct str bytes, struct frame *ret, size_t *ret_used, struct err *err)
{
        const unsigned char *p = (const unsigned char *)bytes.p;

        if (bytes.len < FRAME_HEADER_LEN)
                return err_set(err, ERR_LIMIT, "a frame's header is not complete");
        enum err_code code = header_check(p, err);
        if (code != ERR_OK)
                return code;

        size_t length = get_u32(p);
        if (bytes.len - FRAME_HEADER_LEN < length)
                return err_set(err, ERR_LIMIT, "a frame's payload is not complete");
        if (p[4] == FRAME_LOG && p[FRAME_HEADER_LEN] != 1 && p[FRAME_HEADER_LEN] != 2)
                return err_set(err, ERR_INVALID, "log frame of neither standard output nor standard error");

        *ret = (struct frame){
                .type = (enum frame_type)p[4],
                .flags = p[5],
                .stream = get_u32(p + 8),
                .payload = str_slice(bytes, FRAME_HEADER_LEN, FRAME_HEADER_LEN + length),
        };
        *ret_used = FRAME_HEADER_LEN + length;
        return ERR_OK;
}

/* Cuts one field off the front of *rest. */
static bool field_cut(struct str *rest, struct frame_field *ret)
{
        const unsigned char *p = (const unsigned char *)rest->p;

        if (rest->len < FIELD_HEADER_LEN)
                return false;
        size_t name_len = get_u16(p), value_len = get_u32(p + 2);
        size_t left = rest->len - FIELD_HEADER_LEN;
        if (name_len == 0 || name_len > left || value_len > left - name_len)
                return false;

        size_t name_end = FIELD_HEADER_LEN + name_len;
        ret->name = str_slice(*rest, FIELD_HEADER_LEN, name_end);
        ret->value = str_slice(*rest, name_end, name_end + value_len);
        *rest = str_slice(*rest, name_end + value_len, rest->len);
        return true;
}

enum err_code frame_parse_fields(struct str payload, struct frame_field *fields, size_t *ret_count,
                                 struct err *err)
{
        size_t count = 0;

        while (payload.len > 0) {
                struct frame_field field;

                if (!field_cut(&payload, &field))
                        return err_set(err, ERR_INVALID, "field %zu of a frame is cut short", count);
                if (count == FRAME_FIELDS_MAX)
                        return err_set(err, ERR_INVALID, "frame of more than %d fields", FRAME_FIELDS_MAX);
                fields[count++] = field;
        }
        *ret_count = count;
        return ERR_OK;
}

enum err_code frame_parse_usage(struct str payload, struct frame_usage *ret, struct err *err)
{
        const unsigned char *p = (const unsigned char *)payload.p;

        if (payload.len == 0) {
                *ret = (struct frame_usage){0};
                return ERR_OK;
        }
        if (payload.len != USAGE_LEN)
                return err_set(err, ERR_INVALID, "usage of %zu bytes", payload.len);
        *ret = (struct frame_usage){
                .handler_us = get_u64(p),
                .cpu_us = get_u64(p + 8),
                .memory_peak_bytes = get_u64(p + 16),
                .read_bytes = get_u64(p + 24),
                .written_bytes = get_u64(p + 32),
        };
        return ERR_OK;
}

enum err_code frame_parse_credit(struct str payload, uint32_t *ret, struct err *err)
{
        if (payload.len != CREDIT_LEN)
                return err_set(err, ERR_INVALID, "credit of %zu bytes", payload.len);
        *ret = get_u32((const unsigned char *)payload.p);
        return ERR_OK;
}

enum err_code frame_put_credit(struct buf *out, uint32_t stream, uint32_t bytes)
{
        unsigned char payload[CREDIT_LEN];

        put_u32(payload, bytes);
        return frame_put(out, FRAME_CREDIT, stream, (struct str){(const char *)payload, sizeof(payload)});
}

struct str frame_field_get(const struct frame_field *fields, size_t count, struct str name)
{
        for (size_t i = 0; i < count; i++) {
                if (str_eq(fields[i].name, name))
                        return fields[i].value;
        }
        return (struct str){NULL, 0};
}
