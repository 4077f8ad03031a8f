/*
 * fuzz/ring.c: a side of the rings whose peer writes whatever it likes into the shared page and the pipe.
 *
 * The input is a list of steps: a byte that says what happens and four for its number. The properties: what
 * is read or written never exceeds what a ring holds or was asked for, the side's own account goes on exactly
 * by that, and nothing waits.
 */
#include "wire/ring.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP_BYTES = 5, STEPS_MAX = 400 };

static unsigned char bytes[RING_BYTES + 64];

static void lie(struct ring *ring, unsigned which, uint32_t value)
{
        struct ring_half *half = which % 2 == 0 ? ring->theirs : ring->ours;

        switch (which / 2 % 5) {
        case 0:
                atomic_store(&half->written, value);
                break;
        case 1:
                atomic_store(&half->taken, value);
                break;
        case 2:
                atomic_store(&half->sleeps, value);
                break;
        case 3:
                atomic_store(&half->wants_room, value);
                break;
        default:
                atomic_store(&half->waits_room, value);
        }
}

/* An honest step of the peer's, from wherever the indexes are. */
static void honest(struct ring *ring, uint32_t value)
{
        if (value % 2 == 0)
                atomic_store(&ring->theirs->written, ring->taken + value % (RING_BYTES + 1));
        else
                atomic_store(&ring->theirs->taken, ring->written - value % (RING_BYTES + 1));
}

static void step(struct ring *ring, const int pipe_fds[2], unsigned what, uint32_t value)
{
        uint32_t written = ring->written, taken = ring->taken;
        size_t count = 0, want = value % sizeof(bytes);

        if (what < 100) {
                lie(ring, what, value);
        } else if (what < 140) {
                honest(ring, value);
        } else if (what < 170) {
                bool done = ring_write(ring, (struct str){(char *)bytes, want}, &count, NULL) == ERR_OK;
                assert(count <= want && count <= RING_BYTES && (done || count == 0));
                assert(ring->written == written + (uint32_t)count && ring->taken == taken);
                (void)ring_wakes(ring, true);
        } else if (what < 200) {
                bool done = ring_read(ring, bytes, want, &count, NULL) == ERR_OK;
                assert(count <= want && count <= RING_BYTES && (done || count == 0));
                assert(ring->taken == taken + (uint32_t)count && ring->written == written);
                (void)ring_wakes(ring, false);
        } else if (what < 220) {
                (void)ring_sleep(ring, value % 2 == 0);
        } else if (what < 235) {
                (void)!write(pipe_fds[1], bytes, value % 100);
        } else {
                (void)ring_wake_take(ring, pipe_fds[0], true, NULL);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ring ring;
        int pipe_fds[2], fd = ring_file_create();

        assert(fd >= 0 && pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0);
        assert(ring_map(&ring, fd, RING_SERVER, NULL) == ERR_OK);
        for (size_t i = 0; i < STEPS_MAX && size >= STEP_BYTES; i++) {
                uint32_t value;
                memcpy(&value, data + 1, sizeof(value));
                step(&ring, pipe_fds, data[0], value);
                data += STEP_BYTES;
                size -= STEP_BYTES;
        }
        ring_unmap(&ring);
        close(fd);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return 0;
}
