/*
 * fuzz/http_chunked.c: the chunked coding. Two properties: what a plain reading of RFC 9112 section 7.1
 * takes, the decoder takes, with the same bytes, at any split; and what is encoded decodes to itself.
 */
#include "http_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

static size_t line_end(struct str in)
{
        for (size_t i = 0; i + 1 < in.len; i++) {
                if (in.p[i] == '\r' && in.p[i + 1] == '\n')
                        return i;
        }
        return in.len;
}

/* The whole body at once, as the grammar says it; only what is plainly right is taken: no extensions, no
 * trailers. */
static bool decode_plain(struct str in, struct buf *body, size_t *used)
{
        struct str rest = in;

        for (;;) {
                size_t end = line_end(rest);
                if (end == rest.len || end == 0 || end > 15)
                        return false;
                size_t len = 0;
                for (size_t i = 0; i < end; i++) {
                        const char *digits = "0123456789abcdef0123456789ABCDEF",
                                   *at = strchr(digits, rest.p[i]);
                        if (at == NULL || rest.p[i] == '\0')
                                return false;
                        len = len * 16 + (size_t)(at - digits) % 16;
                }
                rest = str_slice(rest, end + 2, rest.len);
                if (rest.len < 2 || len > rest.len - 2 || memcmp(rest.p + len, "\r\n", 2) != 0)
                        return false;
                assert(buf_append(body, rest.p, len) == ERR_OK);
                rest = str_slice(rest, len + 2, rest.len);
                if (len == 0) {
                        *used = in.len - rest.len;
                        return true;
                }
        }
}

static void parse(struct str in, uint32_t seed, struct trace *trace)
{
        struct buf whole;

        buf_init(&whole, TRACE_MAX);
        assert(buf_append(&whole, head, sizeof(head) - 1) == ERR_OK);
        assert(buf_append(&whole, in.p, in.len) == ERR_OK);
        trace_run(trace, HTTP_PARSE_REQUEST, false, (struct str){whole.data, whole.len}, seed);
        buf_finish(&whole);
}

static bool trace_has(const struct trace *trace, const char *text)
{
        return memmem(trace->text.data, trace->text.len, text, strlen(text)) != NULL;
}

static void check_grammar(struct str in, uint32_t seed)
{
        static struct trace whole, split;
        struct buf body;
        size_t used;

        buf_init(&body, TRACE_MAX);
        bool plain = decode_plain(in, &body, &used);
        if (plain)
                in = str_slice(in, 0, used);
        parse(in, 0, &whole);
        parse(in, seed, &split);
        assert(whole.text.len == split.text.len &&
               memcmp(whole.text.data, split.text.data, whole.text.len) == 0);
        if (plain) {
                assert(trace_has(&whole, "\nend\n"));
                assert(body.len == 0 || memmem(whole.text.data, whole.text.len, body.data, body.len) != NULL);
        }
        buf_finish(&whole.text);
        buf_finish(&split.text);
        buf_finish(&body);
}

/* The input as content: split into chunks, encoded, decoded. */
static void check_round_trip(struct str in, uint32_t seed)
{
        static struct trace trace;
        struct buf coded;

        buf_init(&coded, TRACE_MAX);
        for (size_t at = 0; at < in.len;) {
                uint32_t again = seed + 2 + (uint32_t)at;
                size_t len = trace_step(&again, in.len - at);
                buf_printf(&coded, at % 2 == 0 ? "%zx\r\n" : "%zX;a=\"b\"\r\n", len);
                buf_append(&coded, in.p + at, len);
                buf_append_text(&coded, "\r\n");
                at += len;
        }
        buf_append_text(&coded, "0\r\nA: b\r\n\r\n");
        parse((struct str){coded.data, coded.len}, seed, &trace);
        assert(trace_has(&trace, "\nend\n"));
        assert(in.len == 0 || memmem(trace.text.data, trace.text.len, in.p, in.len) != NULL);
        buf_finish(&trace.text);
        buf_finish(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1 || size > TRACE_INPUT_MAX)
                return 0;
        struct str in = {(const char *)data + 1, size - 1};
        uint32_t seed = (data[0] & 0x7fu) + 1;

        check_grammar(in, seed);
        check_round_trip(in, seed);
        return 0;
}
