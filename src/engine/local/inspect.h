/* engine/local/inspect.h: what there is now, for people: instances, pools, sources and what failed lately. */
#ifndef DISPATCH_ENGINE_LOCAL_INSPECT_H
#define DISPATCH_ENGINE_LOCAL_INSPECT_H

#include "engine/engine.h"

struct home;
struct revision;

enum { INSPECT_FAILURES = 64 /* that a home remembers */ };

/* One thing that went wrong with a function. */
struct failure {
        int64_t wall_us;
        char function_id[UUID_LEN + 1];
        const char *what; /* a literal: "run", "start", or the kind of a start that failed */
        char text[ERR_TEXT_MAX];
};

struct failures {
        struct failure ring[INSPECT_FAILURES];
        uint64_t count;
};

void failures_note(struct home *home, const struct revision *revision, const char *what, const char *text);

/* The engine's op. */
void local_inspect(struct engine *engine, const struct engine_query *query, engine_inspected done, void *arg);

#endif
