/*
 * fuzz/spawn_frames.c: a hostile server's frames. What passes the check has every name NUL-terminated and
 * free of paths, and argv within its array; the check never reads past the size it was given.
 */
#include "wire/spawn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void start_holds(const struct spawn_start *start)
{
        size_t at = 0;

        assert(strchr(start->organization, '/') == NULL && strchr(start->function, '/') == NULL);
        assert(strchr(start->runtime, '/') == NULL && strcmp(start->runtime, "..") != 0);
        for (uint32_t i = 0; i < start->layer_count; i++) {
                assert(strnlen(start->layers[i], SPAWN_NAME_MAX) < SPAWN_NAME_MAX);
                assert(strchr(start->layers[i], '/') == NULL && start->layers[i][0] != '.');
        }
        for (uint32_t i = 0; i < start->argc; i++) {
                size_t len = strnlen(start->argv + at, SPAWN_ARGV_MAX - at);
                assert(at + len < SPAWN_ARGV_MAX);
                at += len + 1;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        union spawn_frame *frame;
        uint8_t *exact;

        if (size > sizeof(*frame))
                return 0;
        /* Exactly as large as what came, so that the sanitizer sees a read behind it. */
        exact = malloc(size > 0 ? size : 1);
        if (exact == NULL)
                return 0;
        memcpy(exact, data, size);
        frame = (union spawn_frame *)(void *)exact;
        if (spawn_frame_check(frame, size, NULL) == ERR_OK) {
                assert(size == spawn_frame_size(frame->head.op));
                if (frame->head.op == SPAWN_START)
                        start_holds(&frame->start);
        }
        free(exact);
        return 0;
}
