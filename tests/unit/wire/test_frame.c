/* tests/unit/wire/test_frame.c: the frames of the invocation channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/frame.h"

enum { TEST_BUF_MAX = 1 << 20 };

static struct frame parse_one(struct buf *buf)
{
        struct frame frame;
        struct err err;
        size_t used;

        assert_int_equal(frame_parse((struct str){buf->data, buf->len}, &frame, &used, &err), ERR_OK);
        assert_int_equal(used, buf->len);
        return frame;
}

static void put_then_parse_is_the_identity(void **state)
{
        (void)state;
        static const struct {
                enum frame_type type;
                uint32_t stream;
                struct str payload;
        } rows[] = {
                {FRAME_HEAD, 1, STR_INIT("")},
                {FRAME_DATA, 0xfffffffe, STR_INIT("a\0b")},
                {FRAME_END, 7, STR_INIT("")},
                {FRAME_RESET, 7, STR_INIT("")},
                {FRAME_UPGRADE, 7, STR_INIT("x")},
                {FRAME_LOG, 0, STR_INIT("\1text")},
                {FRAME_LOG, 9, STR_INIT("\2")},
                {FRAME_SPECIALISE, 0, STR_INIT("")},
                {FRAME_READY, 0, STR_INIT("")},
                {FRAME_FAILED, 0, STR_INIT("{}")},
                {FRAME_SECRETS, 3, STR_INIT("{\"a\":1}")},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                own_buf struct buf buf;
                buf_init(&buf, TEST_BUF_MAX);
                assert_int_equal(frame_put(&buf, rows[i].type, rows[i].stream, rows[i].payload), ERR_OK);
                struct frame frame = parse_one(&buf);
                assert_int_equal(frame.type, rows[i].type);
                assert_int_equal(frame.stream, rows[i].stream);
                assert_true(str_eq(frame.payload, rows[i].payload));
        }
}

static void every_prefix_of_a_frame_asks_for_more(void **state)
{
        (void)state;
        own_buf struct buf buf;
        struct frame frame;
        struct err err;
        size_t used = 77;

        buf_init(&buf, TEST_BUF_MAX);
        assert_int_equal(frame_put(&buf, FRAME_DATA, 5, STR("some payload")), ERR_OK);
        for (size_t len = 0; len < buf.len; len++)
                assert_int_equal(frame_parse((struct str){buf.data, len}, &frame, &used, &err), ERR_LIMIT);
        assert_int_equal(used, 77);
}

static void what_follows_a_frame_is_left_alone(void **state)
{
        (void)state;
        own_buf struct buf buf;
        struct frame frame;
        size_t used;

        buf_init(&buf, TEST_BUF_MAX);
        assert_int_equal(frame_put(&buf, FRAME_DATA, 5, STR("one")), ERR_OK);
        assert_int_equal(frame_put(&buf, FRAME_DATA, 6, STR("second")), ERR_OK);
        assert_int_equal(frame_parse((struct str){buf.data, buf.len}, &frame, &used, NULL), ERR_OK);
        assert_int_equal(used, FRAME_HEADER_LEN + 3);
        buf_consume(&buf, used);
        frame = parse_one(&buf);
        assert_int_equal(frame.stream, 6);
        assert_true(str_eq(frame.payload, STR("second")));
}

static void a_frame_that_cannot_be_is_refused_by_its_header(void **state)
{
        (void)state;
        static const struct {
                const char *why;
                unsigned char header[FRAME_HEADER_LEN];
        } rows[] = {
                {"type 0", {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}},
                {"unknown type", {0, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0}},
                {"type 255", {0, 0, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0}},
                {"a flag", {1, 0, 0, 0, FRAME_DATA, 1, 0, 0, 1, 0, 0, 0}},
                {"reserved, low", {1, 0, 0, 0, FRAME_DATA, 0, 1, 0, 1, 0, 0, 0}},
                {"reserved, high", {1, 0, 0, 0, FRAME_DATA, 0, 0, 128, 1, 0, 0, 0}},
                {"over-long by one", {1, 0, 2, 0, FRAME_DATA, 0, 0, 0, 1, 0, 0, 0}},
                {"longest length", {255, 255, 255, 255, FRAME_DATA, 0, 0, 0, 1, 0, 0, 0}},
                {"data on stream 0", {1, 0, 0, 0, FRAME_DATA, 0, 0, 0, 0, 0, 0, 0}},
                {"empty data", {0, 0, 0, 0, FRAME_DATA, 0, 0, 0, 1, 0, 0, 0}},
                {"ready on a stream", {0, 0, 0, 0, FRAME_READY, 0, 0, 0, 1, 0, 0, 0}},
                {"end of half a usage", {12, 0, 0, 0, FRAME_END, 0, 0, 0, 1, 0, 0, 0}},
                {"credit of 3 bytes", {3, 0, 0, 0, FRAME_CREDIT, 0, 0, 0, 1, 0, 0, 0}},
                {"reset with payload", {1, 0, 0, 0, FRAME_RESET, 0, 0, 0, 1, 0, 0, 0}},
                {"empty log", {0, 0, 0, 0, FRAME_LOG, 0, 0, 0, 1, 0, 0, 0}},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct frame frame;
                struct err err;
                size_t used;
                struct str bytes = {(const char *)rows[i].header, FRAME_HEADER_LEN};

                if (frame_parse(bytes, &frame, &used, &err) != ERR_INVALID)
                        fail_msg("accepted: %s", rows[i].why);
        }
}

static void a_log_frame_names_a_stream(void **state)
{
        (void)state;
        static const char bytes[] = "\2\0\0\0\7\0\0\0\1\0\0\0\3x";
        struct frame frame;
        size_t used;

        assert_int_equal(frame_parse(STR(bytes), &frame, &used, NULL), ERR_INVALID);
}

static void more_data_than_a_frame_holds_is_split(void **state)
{
        (void)state;
        enum { LEN = FRAME_PAYLOAD_MAX * 2 + 5 };
        own_buf struct buf in, out;
        size_t at = 0, frames = 0;

        buf_init(&in, LEN);
        buf_init(&out, TEST_BUF_MAX);
        assert_int_equal(buf_reserve(&in, LEN), ERR_OK);
        for (size_t i = 0; i < LEN; i++)
                in.data[i] = (char)(i * 31 >> 3);
        in.len = LEN;
        assert_int_equal(frame_put_data(&out, 4, (struct str){in.data, in.len}), ERR_OK);

        while (out.len > 0) {
                struct frame frame;
                size_t used;

                assert_int_equal(frame_parse((struct str){out.data, out.len}, &frame, &used, NULL), ERR_OK);
                assert_memory_equal(frame.payload.p, in.data + at, frame.payload.len);
                at += frame.payload.len;
                frames++;
                buf_consume(&out, used);
        }
        assert_int_equal(at, LEN);
        assert_int_equal(frames, 3);
}

static void nothing_is_put_when_there_is_no_room(void **state)
{
        (void)state;
        own_buf struct buf buf, large;
        struct frame_field field = {STR("name"), STR("value")};

        buf_init(&buf, FRAME_HEADER_LEN + 3);
        assert_int_equal(frame_put(&buf, FRAME_DATA, 1, STR("four")), ERR_TOO_LARGE);
        assert_int_equal(frame_put_fields(&buf, FRAME_HEAD, 1, &field, 1), ERR_TOO_LARGE);
        assert_int_equal(frame_put_data(&buf, 1, STR("four")), ERR_TOO_LARGE);
        assert_int_equal(buf.len, 0);

        buf_init(&large, TEST_BUF_MAX);
        assert_int_equal(buf_reserve(&large, FRAME_PAYLOAD_MAX + 1), ERR_OK);
        memset(large.data, 'x', FRAME_PAYLOAD_MAX + 1);
        struct str over = {large.data, FRAME_PAYLOAD_MAX + 1};
        own_buf struct buf roomy;
        buf_init(&roomy, TEST_BUF_MAX);
        assert_int_equal(frame_put(&roomy, FRAME_DATA, 1, over), ERR_TOO_LARGE);
        field.value = over;
        assert_int_equal(frame_put_fields(&roomy, FRAME_HEAD, 1, &field, 1), ERR_TOO_LARGE);
        assert_int_equal(roomy.len, 0);
}

static void fields_come_back_as_they_were_put(void **state)
{
        (void)state;
        static const struct frame_field in[] = {
                {STR_INIT(":method"), STR_INIT("GET")},
                {STR_INIT("env-A"), STR_INIT("line\nline\0nul")},
                {STR_INIT("empty"), STR_INIT("")},
                {STR_INIT(":method"), STR_INIT("second")},
        };
        own_buf struct buf buf;
        struct frame_field out[FRAME_FIELDS_MAX];
        size_t count;

        buf_init(&buf, TEST_BUF_MAX);
        assert_int_equal(frame_put_fields(&buf, FRAME_HEAD, 1, in, 4), ERR_OK);
        assert_int_equal(frame_parse_fields(parse_one(&buf).payload, out, &count, NULL), ERR_OK);
        assert_int_equal(count, 4);
        for (size_t i = 0; i < 4; i++) {
                assert_true(str_eq(in[i].name, out[i].name));
                assert_true(str_eq(in[i].value, out[i].value));
        }
        assert_true(str_eq(frame_field_get(out, count, STR(":method")), STR("GET")));
        assert_int_equal(frame_field_get(out, count, STR("empty")).len, 0);
        assert_non_null(frame_field_get(out, count, STR("empty")).p);
        assert_null(frame_field_get(out, count, STR("absent")).p);
}

static void cut_or_too_many_fields_are_refused(void **state)
{
        (void)state;
        struct frame_field fields[FRAME_FIELDS_MAX];
        own_buf struct buf many;
        size_t count = 99;

        assert_int_equal(frame_parse_fields(STR("\1\0\0\0\0"), fields, &count, NULL), ERR_INVALID);
        assert_int_equal(frame_parse_fields(STR("\2\0\0\0\0\0a"), fields, &count, NULL), ERR_INVALID);
        assert_int_equal(frame_parse_fields(STR("\1\0\2\0\0\0ab"), fields, &count, NULL), ERR_INVALID);
        assert_int_equal(frame_parse_fields(STR("\1\0\377\377\377\377ab"), fields, &count, NULL),
                         ERR_INVALID);
        assert_int_equal(frame_parse_fields(STR("\0\0\1\0\0\0b"), fields, &count, NULL), ERR_INVALID);

        buf_init(&many, TEST_BUF_MAX);
        for (size_t i = 0; i <= FRAME_FIELDS_MAX; i++)
                assert_int_equal(buf_append(&many, "\1\0\0\0\0\0n", 7), ERR_OK);
        struct str all = {many.data, many.len};
        assert_int_equal(frame_parse_fields(all, fields, &count, NULL), ERR_INVALID);
        assert_int_equal(count, 99);
        assert_int_equal(frame_parse_fields(str_slice(all, 7, all.len), fields, &count, NULL), ERR_OK);
        assert_int_equal(count, FRAME_FIELDS_MAX);
}

static void usage_and_credit_come_back_as_they_were_put(void **state)
{
        (void)state;
        const struct frame_usage in = {1, UINT64_MAX, 1ULL << 40, 512, 1 << 20};
        struct frame_usage out;
        own_buf struct buf buf;
        uint32_t credit;

        buf_init(&buf, TEST_BUF_MAX);
        assert_int_equal(frame_put_usage(&buf, 2, &in), ERR_OK);
        assert_int_equal(frame_parse_usage(parse_one(&buf).payload, &out, NULL), ERR_OK);
        assert_memory_equal(&in, &out, sizeof(in));
        assert_int_equal(frame_parse_usage(STR(""), &out, NULL), ERR_OK);
        assert_int_equal(out.cpu_us, 0);
        assert_int_equal(frame_parse_usage(STR("short"), &out, NULL), ERR_INVALID);

        buf_clear(&buf);
        assert_int_equal(frame_put_credit(&buf, 2, 0x80000001), ERR_OK);
        assert_int_equal(frame_parse_credit(parse_one(&buf).payload, &credit, NULL), ERR_OK);
        assert_int_equal(credit, 0x80000001);
        assert_int_equal(frame_parse_credit(STR("123"), &credit, NULL), ERR_INVALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(put_then_parse_is_the_identity),
                cmocka_unit_test(every_prefix_of_a_frame_asks_for_more),
                cmocka_unit_test(what_follows_a_frame_is_left_alone),
                cmocka_unit_test(a_frame_that_cannot_be_is_refused_by_its_header),
                cmocka_unit_test(a_log_frame_names_a_stream),
                cmocka_unit_test(more_data_than_a_frame_holds_is_split),
                cmocka_unit_test(nothing_is_put_when_there_is_no_room),
                cmocka_unit_test(fields_come_back_as_they_were_put),
                cmocka_unit_test(cut_or_too_many_fields_are_refused),
                cmocka_unit_test(usage_and_credit_come_back_as_they_were_put),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
