/*
 * tests/unit/json/cases.h: what a JSON library makes of texts and calls, as a transcript. cases.c is compiled
 * twice, with jansson and with src/json, and the transcripts must be alike.
 */
#ifndef DISPATCH_TESTS_JSON_CASES_H
#define DISPATCH_TESTS_JSON_CASES_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

struct cases {
        /* Reads the text and appends what came of it; true if it was taken. */
        bool (*text)(struct str text, size_t flags, struct buf *out);
        /* Every function of the interface on small values. */
        void (*api)(struct buf *out);
        /* The same with memory from these; a call that fails leaves a line, nothing else. */
        void (*set_memory)(void *(*get)(size_t size), void (*put)(void *memory));
};

extern const struct cases cases_jansson, cases_ours;

/* Flags of the loader, the same numbers in both. */
enum { CASES_DUPLICATES = 1, CASES_REST = 2, CASES_ANY = 4, CASES_REAL = 8, CASES_NUL = 16 };
/* Not the loader's: the transcript tells why a text was refused, which is sure where only one thing is wrong.
 */
enum { CASES_REASON = 32 };

#endif
