/*
 * fuzz/http_trace.h: what the HTTP parser says about some bytes, as text, so that two ways of showing it the
 * same bytes can be compared. Each piece is shown in memory of exactly its size, so that reading past it is
 * found.
 */
#ifndef DISPATCH_FUZZ_HTTP_TRACE_H
#define DISPATCH_FUZZ_HTTP_TRACE_H

#include "base/buf.h"
#include "http/parser.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRACE_MAX = 1 << 22, TRACE_FIELDS_MAX = 16, TRACE_HEAD_MAX = 1024, TRACE_INPUT_MAX = 4096 };

struct trace {
        struct http_parser parser;
        struct http_field fields[TRACE_FIELDS_MAX];
        struct buf text;
        bool in_data; /* pieces of one body are one entry */
};

static inline void trace_text(struct trace *trace, const char *name, struct str value)
{
        assert(buf_printf(&trace->text, "%s=%zu:", name, value.len) == ERR_OK);
        assert(buf_append(&trace->text, value.p, value.len) == ERR_OK);
        assert(buf_append_text(&trace->text, "\n") == ERR_OK);
}

/* A view must lie within the bytes that were shown, or be static text or nothing. */
static inline void trace_view(struct trace *trace, const char *name, struct str value, struct str shown)
{
        assert(value.len == 0 || (value.p >= shown.p && value.p + value.len <= shown.p + shown.len) ||
               str_eq(value, STR("/")));
        trace_text(trace, name, value);
}

static inline void trace_fields(struct trace *trace, struct http_fields fields, struct str shown)
{
        assert(fields.count <= TRACE_FIELDS_MAX);
        for (size_t i = 0; i < fields.count; i++) {
                assert(http_token_valid(fields.items[i].name) && http_value_valid(fields.items[i].value));
                trace_view(trace, "name", fields.items[i].name, shown);
                trace_view(trace, "value", fields.items[i].value, shown);
        }
}

static inline void trace_head(struct trace *trace, struct str shown)
{
        const struct http_request *request = &trace->parser.request;
        const struct http_response *response = &trace->parser.response;

        if (trace->parser.kind == HTTP_PARSE_REQUEST) {
                assert(http_token_valid(request->method) && request->path.len > 0);
                trace_view(trace, "method", request->method, shown);
                trace_view(trace, "target", request->target, shown);
                trace_view(trace, "path", request->path, shown);
                trace_view(trace, "query", request->query, shown);
                trace_view(trace, "host", request->host, shown);
                trace_fields(trace, request->fields, shown);
                buf_printf(&trace->text, "minor=%d length=%lld body=%d\n", request->minor,
                           (long long)request->content_length, request->has_body);
        } else {
                assert(response->status >= 100 && response->status <= 999);
                trace_view(trace, "reason", response->reason, shown);
                trace_fields(trace, response->fields, shown);
                buf_printf(&trace->text, "status=%d minor=%d length=%lld\n", response->status,
                           response->minor, (long long)response->content_length);
        }
        buf_printf(&trace->text, "keep=%d expect=%d upgrade=%d\n", trace->parser.keep_alive,
                   trace->parser.expect_continue, trace->parser.upgrade);
}

static inline void trace_event(struct trace *trace, enum http_event event, struct str piece, struct str shown)
{
        if (event == HTTP_DATA) {
                assert(piece.len > 0 && piece.p >= shown.p && piece.p + piece.len <= shown.p + shown.len);
                if (!trace->in_data)
                        buf_append_text(&trace->text, "data:");
                assert(buf_append(&trace->text, piece.p, piece.len) == ERR_OK);
                trace->in_data = true;
                return;
        }
        if (event == HTTP_MORE)
                return;
        trace->in_data = false;
        if (event == HTTP_HEAD)
                trace_head(trace, shown);
        else if (event == HTTP_END)
                buf_append_text(&trace->text, "\nend\n");
        else
                buf_printf(&trace->text, "\nerror %d %s\n", trace->parser.status, trace->parser.reason);
}

/* Where the next piece ends: 0 shows everything at once, 1 byte by byte, else pieces of many sizes. */
static inline size_t trace_step(uint32_t *seed, size_t left)
{
        size_t step = left;

        if (*seed == 1) {
                step = 1;
        } else if (*seed > 1) {
                *seed = *seed * 1664525 + 1013904223;
                step = (*seed >> 16) % 23 + 1;
                *seed |= 2;
        }
        return step < left ? step : left;
}

/* One call of the parser with a copy of in[at, seen). */
static inline enum http_event trace_once(struct trace *trace, struct str in, size_t at, size_t seen,
                                         size_t *used)
{
        char *copy = malloc(seen - at + (seen == at));
        struct str piece = {0};

        assert(copy != NULL);
        memcpy(copy, in.p + at, seen - at);
        struct str shown = {copy, seen - at};
        enum http_event event = http_parser_next(&trace->parser, shown, used, &piece);
        assert(*used <= shown.len);
        trace_event(trace, event, piece, shown);
        free(copy);
        return event;
}

static inline void trace_run(struct trace *trace, enum http_parser_kind kind, bool to_head, struct str in,
                             uint32_t seed)
{
        size_t at = 0, seen = 0, used;

        memset(trace, 0, sizeof(*trace));
        buf_init(&trace->text, TRACE_MAX);
        http_parser_init(&trace->parser, kind, trace->fields, TRACE_FIELDS_MAX, TRACE_HEAD_MAX);
        http_parser_reset(&trace->parser, to_head);
        for (;;) {
                enum http_event event = trace_once(trace, in, at, seen, &used);
                at += used;
                if (event == HTTP_ERROR)
                        return;
                if (event == HTTP_END)
                        http_parser_reset(&trace->parser, to_head);
                if (event != HTTP_MORE)
                        continue;
                if (seen == in.len)
                        break;
                seen += trace_step(&seed, in.len - seen);
        }
        buf_printf(&trace->text, "\nrest=%zu eof=%d\n", in.len - at, http_parser_eof(&trace->parser));
}

/* The property: any split gives the same account. The first byte of the input chooses one of them. */
static inline int trace_compare(enum http_parser_kind kind, const uint8_t *data, size_t size)
{
        static struct trace whole, split;

        if (size < 1 || size > TRACE_INPUT_MAX)
                return 0;
        struct str in = {(const char *)data + 1, size - 1};
        bool to_head = (data[0] & 0x80) != 0 && kind == HTTP_PARSE_RESPONSE;
        uint32_t seeds[] = {1, (data[0] & 0x7fu) + 2};

        trace_run(&whole, kind, to_head, in, 0);
        for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
                trace_run(&split, kind, to_head, in, seeds[i]);
                assert(whole.text.len == split.text.len &&
                       memcmp(whole.text.data, split.text.data, whole.text.len) == 0);
                buf_finish(&split.text);
        }
        buf_finish(&whole.text);
        return 0;
}

#endif
