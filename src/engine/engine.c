/* engine/engine.c: what both engines share. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

enum { ERROR_BYTES_MAX = 1 << 20, HEAD_BYTES_MAX = 1 << 17 };

const char *start_kind_name(enum start_kind kind)
{
        static const char *const names[] = {
                [START_NONE] = "",         [START_HOT] = "hot",
                [START_AHEAD] = "ahead",   [START_TEMPLATE] = "template",
                [START_ZYGOTE] = "zygote", [START_STEM] = "stem",
                [START_BOOT] = "boot",
        };

        return names[kind];
}

void invocation_init(struct invocation *inv)
{
        *inv = (struct invocation){.status = 200};
        buf_init(&inv->error, ERROR_BYTES_MAX);
        buf_init(&inv->head, HEAD_BYTES_MAX);
        buf_init(&inv->content, 1024);
        /* The engine sets the limits of what a run may produce. */
        buf_init(&inv->body, 0);
        buf_init(&inv->log_stdout, 0);
        buf_init(&inv->log_stderr, 0);
}

void invocation_finish(struct invocation *inv)
{
        buf_finish(&inv->error);
        buf_finish(&inv->head);
        buf_finish(&inv->content);
        buf_finish(&inv->body);
        buf_finish(&inv->log_stdout);
        buf_finish(&inv->log_stderr);
}

struct str invocation_timing_text(const struct invocation *inv, char text[INVOCATION_TIMING_MAX])
{
        const struct invocation_timing *t = &inv->timing;
        int len;

        if (inv->start == START_NONE || inv->start == START_HOT)
                len = snprintf(text, INVOCATION_TIMING_MAX, "queue;dur=%.3f, handler;dur=%.3f, start;desc=%s",
                               (double)t->queue_us / 1000, (double)t->handler_us / 1000,
                               inv->start == START_HOT ? "hot" : "none");
        else
                len = snprintf(text, INVOCATION_TIMING_MAX,
                               "queue;dur=%.3f, sandbox;dur=%.3f, start;dur=%.3f;desc=%s, import;dur=%.3f, "
                               "handler;dur=%.3f",
                               (double)t->queue_us / 1000, (double)t->sandbox_us / 1000,
                               (double)t->start_us / 1000, start_kind_name(inv->start),
                               (double)t->import_us / 1000, (double)t->handler_us / 1000);
        return (struct str){text, len > 0 ? (size_t)len : 0};
}
