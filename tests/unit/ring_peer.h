/*
 * tests/unit/ring_peer.h: the other end of an invocation channel, played by a test: bytes in and out of a
 * pair of rings, as over a stream socket.
 */
#ifndef DISPATCH_TESTS_RING_PEER_H
#define DISPATCH_TESTS_RING_PEER_H

#include "base/own.h"
#include "wire/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

struct ring_peer {
        struct ring ring;
        int read_fd, write_fd;
};

/* The peer is `side`; `other` are the descriptors of the other one: file, read end, write end. */
static inline bool ring_peer_make(struct ring_peer *peer, enum ring_side side, int other[3])
{
        int in[2], out[2];

        other[0] = ring_file_create();
        if (other[0] < 0 || pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
                return false;
        peer->read_fd = in[0];
        other[2] = in[1];
        other[1] = out[0];
        peer->write_fd = out[1];
        return ring_map(&peer->ring, other[0], side, NULL) == ERR_OK;
}

static inline void ring_peer_close(struct ring_peer *peer)
{
        ring_unmap(&peer->ring);
        own_fd_release(&peer->read_fd);
        own_fd_release(&peer->write_fd);
}

/* How many of the bytes had room; -1: the other end is closed. */
static inline ssize_t ring_peer_send(struct ring_peer *peer, const void *bytes, size_t len)
{
        size_t count = 0;

        if (ring_write(&peer->ring, (struct str){bytes, len}, &count, NULL) != ERR_OK)
                return -1;
        if (count > 0 && ring_wakes(&peer->ring, true) && !ring_wake_send(peer->write_fd))
                return -1;
        return (ssize_t)count;
}

/* How many bytes there were; waits for one where told to. -1: none; 0: the other end is closed. */
static inline ssize_t ring_peer_receive(struct ring_peer *peer, void *to, size_t size, bool wait)
{
        for (;;) {
                struct pollfd pipe = {.fd = peer->read_fd, .events = POLLIN};
                size_t count = 0;

                if (ring_read(&peer->ring, to, size, &count, NULL) != ERR_OK)
                        return -1;
                if (count > 0 && ring_wakes(&peer->ring, false))
                        ring_wake_send(peer->write_fd);
                if (count > 0)
                        return (ssize_t)count;
                if (!ring_sleep(&peer->ring, false))
                        continue;
                if (poll(&pipe, 1, wait ? -1 : 0) == 0)
                        return -1;
                if (ring_wake_take(&peer->ring, peer->read_fd, false, NULL) == ERR_CANCELLED &&
                    ring_sleep(&peer->ring, false))
                        return 0;
        }
}

#endif
