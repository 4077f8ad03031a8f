/*
 * wire/ring.h: a pair of byte rings in shared memory between the server and one instance, and a pipe each way
 * to wake whoever sleeps. Below the frames (wire/frame.h), of which it knows nothing.
 *
 * The memory is one sealed file (its size cannot change, so no access of ours can fault for it): a page of
 * indexes, then RING_BYTES for what the server sends and RING_BYTES for what the agent sends. Each ring has
 * one writer and one reader (Lamport's queue: "Specifying Concurrent Program Modules", 1983). Indexes count
 * bytes since the start and wrap at 2^32. Each side writes only its own half of the page and keeps its
 * indexes for itself, so nothing that it relies on can be changed by the other one.
 *
 * Either side is hostile to the other (the agent's memory is a tenant's). Each index of the other side is
 * read once, checked against our own, and refused if it cannot be (ERR_INVALID); bytes are copied out before
 * anybody looks at them. What cannot be refused is harmless: an index that goes back within its range gives
 * less room, bytes that change meanwhile are the sender's own business, the rest are hints.
 *
 * Waking. Before a side sleeps it raises `sleeps` (ring_sleep); the other one writes one byte into its pipe
 * for that value, once it has sent or made room. So a side that is awake costs no system call, and a pipe
 * never holds more bytes than there were sleeps: more is a lie (ring_wake_take).
 *
 * Ordering: bytes before the index that covers them (release, acquire). An index is stored before `sleeps` is
 * looked at, and `sleeps` before the last look at the indexes, all four sequentially consistent: so of two
 * that miss each other at least one sees it.
 *
 * A struct ring is one side. Its sending and its receiving half may be used by two threads, each by one.
 */
#ifndef DISPATCH_WIRE_RING_H
#define DISPATCH_WIRE_RING_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        RING_BYTES = 65536, /* of each ring: a power of two */
        RING_PAGE_BYTES = 4096,
        RING_FILE_BYTES = RING_PAGE_BYTES + 2 * RING_BYTES
};

enum ring_side { RING_SERVER, RING_AGENT };

/* What one side tells the other: at 0 of the page for the server, at RING_HALF_BYTES for the agent. */
enum { RING_HALF_BYTES = 128 };
struct ring_half {
        _Atomic uint32_t written;    /* bytes put into its outgoing ring */
        _Atomic uint32_t taken;      /* bytes taken from its incoming one */
        _Atomic uint32_t sleeps;     /* raised each time before it sleeps */
        _Atomic uint32_t wants_room; /* 1: it sleeps with something to send that did not fit */
        _Atomic uint32_t waits_room; /* 1: a thread of it is in ring_room_wait */
};

struct ring {
        unsigned char *map; /* NULL: none */
        struct ring_half *ours, *theirs;
        unsigned char *out, *in;
        uint32_t written, taken; /* ours */
        _Atomic uint32_t woken;  /* the value of their `sleeps` for which a byte was sent */
        uint32_t sleeps;
        uint32_t wakes; /* bytes that came through our pipe */
        bool wipe;      /* zero what is read: secrets come through it */
};

/* The file of a pair: sealed, empty. -1 with errno. */
int ring_file_create(void);
/* True for a descriptor of such a file. */
bool ring_file_is(int fd);

/* Maps one side; the descriptor stays the caller's and is not needed any more. The mapping is not inherited
 * at fork. ERR_INVALID: not such a file. */
enum err_code ring_map(struct ring *ring, int fd, enum ring_side side, struct err *err);
/* Zero or unmapped is fine. */
void ring_unmap(struct ring *ring);

/* Copies what fits of `bytes`; *ret_count may be 0. ERR_INVALID: the other side's index is a lie. */
enum err_code ring_write(struct ring *ring, struct str bytes, size_t *ret_count, struct err *err);
/* How many bytes wait to be read. ERR_INVALID as above. */
enum err_code ring_unread(const struct ring *ring, size_t *ret, struct err *err);
/* Copies at most `size` bytes out; *ret_count 0: there are none. ERR_INVALID as above. */
enum err_code ring_read(struct ring *ring, void *to, size_t size, size_t *ret_count, struct err *err);

/* After a ring_write (`sent`), or a ring_read of something: true if the other side sleeps, is concerned and
 * is to get a byte now. */
bool ring_wakes(struct ring *ring, bool sent);
/* One byte into the other side's pipe. False: nobody has its other end. A full pipe is fine. */
bool ring_wake_send(int fd);
/*
 * Takes bytes out of our pipe, without waiting. ERR_LIMIT: there are none. ERR_CANCELLED: nobody has its
 * other end. ERR_INVALID: more came than we ever slept (`strict`; whoever may get bytes for other reasons, or
 * lets others write, is not).
 */
enum err_code ring_wake_take(struct ring *ring, int fd, bool strict, struct err *err);

/* Before sleeping. False: something has come, or there is room again, meanwhile; look before you sleep.
 * `full`: the caller has something to send that did not fit. */
bool ring_sleep(struct ring *ring, bool full);

/* Waits at most timeout_ms until there may be room to write, whatever the pipe says; for a thread that has
 * nothing to do with who watches the pipe. */
void ring_room_wait(struct ring *ring, int timeout_ms);

#endif
