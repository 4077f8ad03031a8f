/* wire/ring.c: a pair of byte rings in shared memory, and who wakes whom. */
#include "wire/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
        SEALS = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
        WAKES_AT_ONCE = 64 /* bytes that one read takes out of a pipe */
};

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "an index is an offset by its low bits");
_Static_assert(sizeof(struct ring_half) <= RING_HALF_BYTES, "the halves do not share a cache line");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a lock would be in one process only");

int ring_file_create(void)
{
        int fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return -1;
        if (ftruncate(fd, RING_FILE_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
                int saved = errno;
                close(fd);
                errno = saved;
                return -1;
        }
        return fd;
}

bool ring_file_is(int fd)
{
        struct stat st;

        return fcntl(fd, F_GET_SEALS) == SEALS && fstat(fd, &st) == 0 && st.st_size == RING_FILE_BYTES;
}

enum err_code ring_map(struct ring *ring, int fd, enum ring_side side, struct err *err)
{
        if (!ring_file_is(fd))
                return err_set(err, ERR_INVALID, "descriptor %d is no channel", fd);
        unsigned char *map = mmap(NULL, RING_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return err_sys(err, "map the channel");
        if (madvise(map, RING_FILE_BYTES, MADV_DONTFORK) < 0) {
                err_sys(err, "keep the channel from children");
                munmap(map, RING_FILE_BYTES);
                return ERR_SYSTEM;
        }
        unsigned char *data[2] = {map + RING_PAGE_BYTES, map + RING_PAGE_BYTES + RING_BYTES};
        struct ring_half *halves[2] = {(struct ring_half *)(void *)map,
                                       (struct ring_half *)(void *)(map + RING_HALF_BYTES)};
        *ring = (struct ring){.map = map,
                              .ours = halves[side],
                              .theirs = halves[1 - side],
                              .out = data[side],
                              .in = data[1 - side]};
        return ERR_OK;
}

void ring_unmap(struct ring *ring)
{
        if (ring->map != NULL)
                munmap(ring->map, RING_FILE_BYTES);
        *ring = (struct ring){.map = NULL};
}

static size_t least(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* How much may be written. */
static enum err_code room(const struct ring *ring, uint32_t *ret, struct err *err)
{
        uint32_t unread = ring->written - atomic_load_explicit(&ring->theirs->taken, memory_order_acquire);

        if (unread > RING_BYTES)
                return err_set(err, ERR_INVALID, "a ring from which more was taken than was put in");
        *ret = RING_BYTES - unread;
        return ERR_OK;
}

enum err_code ring_unread(const struct ring *ring, size_t *ret, struct err *err)
{
        uint32_t unread = atomic_load_explicit(&ring->theirs->written, memory_order_acquire) - ring->taken;

        if (unread > RING_BYTES)
                return err_set(err, ERR_INVALID, "a ring with more in it than fits");
        *ret = unread;
        return ERR_OK;
}

enum err_code ring_write(struct ring *ring, struct str bytes, size_t *ret_count, struct err *err)
{
        uint32_t free_bytes = 0;
        enum err_code code = room(ring, &free_bytes, err);

        if (code != ERR_OK)
                return code;
        size_t count = least(bytes.len, free_bytes), at = ring->written % RING_BYTES;
        size_t first = least(count, RING_BYTES - at);
        *ret_count = count;
        if (count == 0)
                return ERR_OK;
        memcpy(ring->out + at, bytes.p, first);
        memcpy(ring->out, bytes.p + first, count - first);
        ring->written += (uint32_t)count;
        atomic_store(&ring->ours->written, ring->written);
        return ERR_OK;
}

static void take(const struct ring *ring, unsigned char *to, size_t at, size_t count)
{
        memcpy(to, ring->in + at, count);
        if (ring->wipe)
                explicit_bzero(ring->in + at, count);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

enum err_code ring_read(struct ring *ring, void *to, size_t size, size_t *ret_count, struct err *err)
{
        size_t unread = 0;
        enum err_code code = ring_unread(ring, &unread, err);

        if (code != ERR_OK)
                return code;
        size_t count = least(unread, size), at = ring->taken % RING_BYTES;
        size_t first = least(count, RING_BYTES - at);
        *ret_count = count;
        if (count == 0)
                return ERR_OK;
        take(ring, to, at, first);
        take(ring, (unsigned char *)to + first, 0, count - first);
        ring->taken += (uint32_t)count;
        atomic_store(&ring->ours->taken, ring->taken);
        if (atomic_load(&ring->theirs->waits_room) != 0)
                futex_wake_all(&ring->ours->taken);
        return ERR_OK;
}

bool ring_wakes(struct ring *ring, bool sent)
{
        if (!sent && atomic_load(&ring->theirs->wants_room) == 0)
                return false;
        uint32_t sleeps = atomic_load(&ring->theirs->sleeps);
        uint32_t woken = atomic_load_explicit(&ring->woken, memory_order_relaxed);
        /* Of two threads, one sends the byte. */
        return sleeps != woken && atomic_compare_exchange_strong(&ring->woken, &woken, sleeps);
}

bool ring_wake_send(int fd)
{
        ssize_t sent;

        do {
                sent = write(fd, "", 1);
        } while (sent < 0 && errno == EINTR);
        return sent == 1 || errno == EAGAIN;
}

enum err_code ring_wake_take(struct ring *ring, int fd, bool strict, struct err *err)
{
        char bytes[WAKES_AT_ONCE];
        ssize_t count;

        do {
                count = read(fd, bytes, sizeof(bytes));
        } while (count < 0 && errno == EINTR);
        if (count < 0 && errno == EAGAIN)
                return err_set(err, ERR_LIMIT, "nobody has woken us");
        if (count <= 0)
                return err_set(err, ERR_CANCELLED, "the channel is closed");
        ring->wakes += (uint32_t)count;
        if (strict && (int32_t)(ring->sleeps - ring->wakes) < 0)
                return err_set(err, ERR_INVALID, "it wakes who does not sleep");
        return ERR_OK;
}

bool ring_sleep(struct ring *ring, bool full)
{
        atomic_store_explicit(&ring->ours->wants_room, full, memory_order_relaxed);
        atomic_store(&ring->ours->sleeps, ++ring->sleeps);
        if (atomic_load(&ring->theirs->written) != ring->taken)
                return false;
        return !full || ring->written - atomic_load(&ring->theirs->taken) == RING_BYTES;
}

void ring_room_wait(struct ring *ring, int timeout_ms)
{
        struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
        uint32_t full = ring->written - RING_BYTES;

        atomic_store(&ring->ours->waits_room, 1);
        /* Returns at once unless the ring is as full as ever. */
        syscall(SYS_futex, &ring->theirs->taken, FUTEX_WAIT, full, &timeout, NULL, 0);
        atomic_store(&ring->ours->waits_room, 0);
}
