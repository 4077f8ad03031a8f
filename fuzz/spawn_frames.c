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

        assert(start->role <= SPAWN_ROLE_STEM && (start->role == SPAWN_ROLE_INSTANCE || start->from == 0));
        assert(start->spares <= SPAWN_SPARES_MAX);
        assert(start->role < SPAWN_ROLE_ZYGOTE || start->code[0] == '\0');
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

/* A list of items that are names or ranges, and zeros. */
static void allow_holds(const char allow[ALLOW_BYTES_MAX])
{
        struct ipv4_range range;
        size_t at = 0, items = 0;

        for (; allow[at] != '\0'; items++) {
                size_t len = strnlen(allow + at, ALLOW_BYTES_MAX - at);
                assert(at + len + 1 < ALLOW_BYTES_MAX);
                struct str item = {allow + at, len};
                assert(allow_host_valid(item) || ipv4_range_parse(item, &range));
                at += len + 1;
        }
        assert(items <= ALLOW_ITEMS_MAX);
        while (at < ALLOW_BYTES_MAX)
                assert(allow[at++] == '\0');
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
                if (frame->head.op == SPAWN_START || frame->head.op == SPAWN_START_EGRESS)
                        start_holds(&frame->start);
                if (frame->head.op == SPAWN_START_EGRESS)
                        allow_holds(frame->egress.allow);
        }
        free(exact);
        return 0;
}
