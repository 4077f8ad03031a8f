/*
 * runtimes/agent/lines.h: cuts what a handler prints into lines as it comes, within the limit of one run.
 *
 * Whole lines are handed on at once, a line that has not ended yet when the run ends or when it grows long.
 * Past the limit one line marks the truncation and names it; what follows is dropped. Not thread-safe.
 */
#ifndef DISPATCH_AGENT_LINES_H
#define DISPATCH_AGENT_LINES_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { LINES_PART_MAX = 16384 /* of a line that has not ended; then it is handed on in parts */ };

typedef void (*lines_sink)(void *arg, int stream, struct str text);

struct lines {
        struct buf part[2]; /* of streams 1 and 2 */
        bool midline[2];    /* what was handed on last did not end its line */
        uint64_t bytes_max;
        uint64_t bytes_left;
        bool truncated;
        lines_sink sink;
        void *arg;
};

void lines_init(struct lines *lines, uint64_t bytes_max, lines_sink sink, void *arg);
void lines_finish(struct lines *lines);

/* Text printed on stream 1 or 2. Without memory for an unfinished line it is handed on as it is. */
void lines_put(struct lines *lines, int stream, struct str text);
/* Marks that more was printed than anybody captured. */
void lines_truncate(struct lines *lines, int stream);
/* The end of a run: hands on what is left and opens the limit again. */
void lines_flush(struct lines *lines);

#endif
