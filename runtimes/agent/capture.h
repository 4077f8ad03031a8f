/*
 * runtimes/agent/capture.h: what is written to descriptors 1 and 2 behind the language's back (C code, child
 * processes).
 *
 * In a sandbox these are memfds of a fixed size, sealed against growing and shrinking, whose shared offset
 * says how much was written. Nothing has to read while a handler runs, so nothing can block on it; the agent
 * reads what is new when it logs something itself and after each run. Elsewhere descriptors that are no such
 * memfds are left alone, unless capture_replace puts some in their place.
 */
#ifndef DISPATCH_AGENT_CAPTURE_H
#define DISPATCH_AGENT_CAPTURE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <sys/types.h>

enum { CAPTURE_SIZE = 1 << 20 };

struct capture {
        int fd;      /* -1: not captured */
        off_t taken; /* up to here was read */
        off_t size;
};

/* Captures descriptor `fd` if it is a sealed memfd. */
void capture_init(struct capture *capture, int fd);
/* Makes `fd` such a memfd; *ret_original is what it was (CLOEXEC), the caller's. */
enum err_code capture_replace(struct capture *capture, int fd, int *ret_original, struct err *err);

/* Calls put(arg, text) for what is new. True once the memfd is full: what came later is lost. */
bool capture_take(struct capture *capture, void (*put)(void *arg, struct str text), void *arg);
/* After the last take of a run: starts over at the front. */
void capture_rewind(struct capture *capture);

#endif
