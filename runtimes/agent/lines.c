/* runtimes/agent/lines.c: see lines.h. */
#include "runtimes/agent/lines.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

void lines_init(struct lines *lines, uint64_t bytes_max, lines_sink sink, void *arg)
{
        *lines = (struct lines){.bytes_max = bytes_max, .bytes_left = bytes_max, .sink = sink, .arg = arg};
        buf_init(&lines->part[0], LINES_PART_MAX);
        buf_init(&lines->part[1], LINES_PART_MAX);
}

void lines_finish(struct lines *lines)
{
        buf_finish(&lines->part[0]);
        buf_finish(&lines->part[1]);
}

static void hand_on(struct lines *lines, int stream, struct str text)
{
        if (text.len == 0)
                return;
        lines->midline[stream - 1] = text.p[text.len - 1] != '\n';
        lines->sink(lines->arg, stream, text);
}

static void flush_part(struct lines *lines, int stream)
{
        struct buf *part = &lines->part[stream - 1];

        hand_on(lines, stream, (struct str){part->data, part->len});
        buf_clear(part);
}

/* Length up to and with the last line break. */
static size_t whole_lines(struct str text)
{
        const char *last = text.len > 0 ? memrchr(text.p, '\n', text.len) : NULL;

        return last != NULL ? (size_t)(last - text.p) + 1 : 0;
}

/* Joins the text to the unfinished line; whole lines leave together with it, in one piece where they fit. */
static void put_allowed(struct lines *lines, int stream, struct str text)
{
        struct buf *part = &lines->part[stream - 1];
        size_t whole = whole_lines(text);

        if (part->len > 0 && whole > 0) {
                if (buf_append(part, text.p, whole) == ERR_OK) {
                        flush_part(lines, stream);
                } else {
                        flush_part(lines, stream);
                        hand_on(lines, stream, str_slice(text, 0, whole));
                }
        } else {
                hand_on(lines, stream, str_slice(text, 0, whole));
        }

        struct str rest = str_slice(text, whole, text.len);
        if (buf_append(part, rest.p, rest.len) != ERR_OK) {
                flush_part(lines, stream);
                hand_on(lines, stream, rest);
        }
}

void lines_truncate(struct lines *lines, int stream)
{
        char mark[128];

        if (lines->truncated)
                return;
        lines->truncated = true;
        lines->bytes_left = 0;
        flush_part(lines, stream);
        int len = snprintf(mark, sizeof(mark),
                           "%s[log truncated: more than log-bytes-max, %" PRIu64 " bytes, was printed]\n",
                           lines->midline[stream - 1] ? "\n" : "", lines->bytes_max);
        hand_on(lines, stream, (struct str){mark, (size_t)len});
}

void lines_put(struct lines *lines, int stream, struct str text)
{
        assert(stream == 1 || stream == 2);
        size_t allowed = text.len < lines->bytes_left ? text.len : (size_t)lines->bytes_left;

        lines->bytes_left -= allowed;
        put_allowed(lines, stream, str_slice(text, 0, allowed));
        if (allowed < text.len)
                lines_truncate(lines, stream);
}

void lines_flush(struct lines *lines)
{
        for (int stream = 1; stream <= 2; stream++) {
                flush_part(lines, stream);
                lines->midline[stream - 1] = false;
        }
        lines->truncated = false;
        lines->bytes_left = lines->bytes_max;
}
