/* tests/unit/wire/test_ring.c: the rings between two processes, and what a side makes of lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ring_peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct pair {
        struct ring_peer server;
        int agent_fds[3];
        struct ring agent;
};

static int setup(void **state)
{
        struct pair *pair = calloc(1, sizeof(*pair));

        assert_non_null(pair);
        assert_true(ring_peer_make(&pair->server, RING_SERVER, pair->agent_fds));
        assert_int_equal(ring_map(&pair->agent, pair->agent_fds[0], RING_AGENT, NULL), ERR_OK);
        *state = pair;
        return 0;
}

static int teardown(void **state)
{
        struct pair *pair = *state;

        ring_peer_close(&pair->server);
        ring_unmap(&pair->agent);
        for (size_t i = 0; i < 3; i++)
                close(pair->agent_fds[i]);
        free(pair);
        return 0;
}

static unsigned char byte_at(size_t at)
{
        return (unsigned char)(at * 31 + at / 251);
}

static void what_goes_in_comes_out_across_the_end(void **state)
{
        struct pair *pair = *state;
        static unsigned char bytes[RING_BYTES], back[RING_BYTES];
        size_t sent = 0, taken = 0, count;

        for (size_t size = 1; sent < 10 * (size_t)RING_BYTES; size = size * 7 % 50000 + 1) {
                for (size_t i = 0; i < size; i++)
                        bytes[i] = byte_at(sent + i);
                assert_int_equal(ring_write(&pair->agent, (struct str){(char *)bytes, size}, &count, NULL),
                                 ERR_OK);
                assert_int_equal(count, size);
                sent += size;
                assert_int_equal(ring_read(&pair->server.ring, back, sizeof(back), &count, NULL), ERR_OK);
                for (size_t i = 0; i < count; i++)
                        assert_int_equal(back[i], byte_at(taken + i));
                taken += count;
                assert_int_equal(sent, taken);
        }
}

static void a_full_ring_takes_no_more(void **state)
{
        struct pair *pair = *state;
        static char bytes[RING_BYTES + 1];
        size_t count;

        assert_int_equal(ring_write(&pair->agent, (struct str){bytes, sizeof(bytes)}, &count, NULL), ERR_OK);
        assert_int_equal(count, RING_BYTES);
        assert_int_equal(ring_write(&pair->agent, (struct str){bytes, 1}, &count, NULL), ERR_OK);
        assert_int_equal(count, 0);
        assert_int_equal(ring_read(&pair->server.ring, bytes, 10, &count, NULL), ERR_OK);
        assert_int_equal(ring_write(&pair->agent, (struct str){bytes, 100}, &count, NULL), ERR_OK);
        assert_int_equal(count, 10);
}

static void indexes_that_cannot_be_are_refused(void **state)
{
        struct pair *pair = *state;
        struct ring *ring = &pair->server.ring;
        char bytes[16] = "x";
        size_t count = 77;
        struct err err;

        atomic_store(&ring->theirs->written, RING_BYTES + 1);
        assert_int_equal(ring_read(ring, bytes, sizeof(bytes), &count, &err), ERR_INVALID);
        assert_int_equal(ring_unread(ring, &count, &err), ERR_INVALID);
        atomic_store(&ring->theirs->written, 0xffffffff);
        assert_int_equal(ring_read(ring, bytes, sizeof(bytes), &count, &err), ERR_INVALID);
        atomic_store(&ring->theirs->taken, 1);
        assert_int_equal(ring_write(ring, (struct str){bytes, 1}, &count, &err), ERR_INVALID);
        atomic_store(&ring->theirs->taken, 0U - RING_BYTES - 1);
        assert_int_equal(ring_write(ring, (struct str){bytes, 1}, &count, &err), ERR_INVALID);
        assert_int_equal(count, 77);
}

static void our_own_indexes_are_nobody_elses(void **state)
{
        struct pair *pair = *state;
        struct ring *ring = &pair->server.ring;
        char bytes[4] = "abc";
        size_t count;

        atomic_store(&ring->ours->written, 0xdeadbeef);
        atomic_store(&ring->ours->taken, 0xdeadbeef);
        assert_int_equal(ring_write(ring, (struct str){bytes, 3}, &count, NULL), ERR_OK);
        assert_int_equal(count, 3);
        assert_int_equal(atomic_load(&ring->ours->written), 3);
}

static void who_sleeps_gets_one_byte_and_who_does_not_gets_none(void **state)
{
        struct pair *pair = *state;
        struct ring *server = &pair->server.ring;
        size_t count;

        assert_int_equal(ring_write(&pair->agent, STR("a"), &count, NULL), ERR_OK);
        assert_false(ring_wakes(&pair->agent, true));
        assert_false(ring_sleep(server, false)); /* something is there already */
        char byte;
        assert_int_equal(ring_read(server, &byte, 1, &count, NULL), ERR_OK);
        assert_true(ring_sleep(server, false));
        assert_int_equal(ring_write(&pair->agent, STR("b"), &count, NULL), ERR_OK);
        assert_true(ring_wakes(&pair->agent, true));
        assert_false(ring_wakes(&pair->agent, true));
        assert_true(ring_wake_send(pair->agent_fds[2]));
        assert_int_equal(ring_wake_take(server, pair->server.read_fd, true, NULL), ERR_OK);
        assert_int_equal(ring_wake_take(server, pair->server.read_fd, true, NULL), ERR_LIMIT);
        assert_true(ring_wake_send(pair->agent_fds[2])); /* it slept twice */
        assert_int_equal(ring_wake_take(server, pair->server.read_fd, true, NULL), ERR_OK);
        assert_true(ring_wake_send(pair->agent_fds[2]));
        assert_int_equal(ring_wake_take(server, pair->server.read_fd, true, NULL), ERR_INVALID);
}

static void what_is_wiped_is_gone(void **state)
{
        struct pair *pair = *state;
        static const char zeros[6];
        char bytes[6];
        size_t count;

        pair->agent.wipe = true;
        assert_int_equal(ring_write(&pair->server.ring, STR("secret"), &count, NULL), ERR_OK);
        assert_int_equal(ring_read(&pair->agent, bytes, sizeof(bytes), &count, NULL), ERR_OK);
        assert_memory_equal(bytes, "secret", 6);
        assert_memory_equal(pair->agent.in, zeros, 6);
}

static void the_file_keeps_its_size_and_others_are_none(void **state)
{
        struct pair *pair = *state;
        struct ring ring;

        assert_int_equal(ftruncate(pair->agent_fds[0], 0), -1);
        assert_int_equal(ftruncate(pair->agent_fds[0], 1 << 30), -1);
        assert_int_equal(fcntl(pair->agent_fds[0], F_ADD_SEALS, F_SEAL_WRITE), -1);
        own_fd int other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(other, RING_FILE_BYTES), 0);
        assert_int_equal(ring_map(&ring, other, RING_SERVER, NULL), ERR_INVALID);
        assert_int_equal(ring_map(&ring, pair->agent_fds[1], RING_SERVER, NULL), ERR_INVALID);
}

/* The other side of the test below. */
static void echo(struct pair *pair, size_t total)
{
        struct ring_peer peer = {
                .ring = pair->agent, .read_fd = pair->agent_fds[1], .write_fd = pair->agent_fds[2]};
        static char bytes[30000];

        /* A child does not have the parent's mapping. */
        if (ring_map(&peer.ring, pair->agent_fds[0], RING_AGENT, NULL) != ERR_OK)
                _exit(1);
        while (total > 0) {
                ssize_t n = ring_peer_receive(&peer, bytes, sizeof(bytes), true);
                for (ssize_t at = 0, sent; at < n; at += sent) {
                        sent = ring_peer_send(&peer, bytes + at, (size_t)(n - at));
                        if (sent < 0)
                                _exit(1);
                        if (sent == 0)
                                ring_room_wait(&peer.ring, 1000);
                }
                if (n <= 0)
                        _exit(1);
                total -= (size_t)n;
        }
        _exit(0);
}

static void two_processes_lose_nothing_and_wake_each_other(void **state)
{
        enum { TOTAL = 5000000, AHEAD = 100000 };
        struct pair *pair = *state;
        static unsigned char bytes[17000], back[23000];
        size_t sent = 0, taken = 0;
        int status;

        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                echo(pair, TOTAL);
        while (taken < TOTAL) {
                size_t size = TOTAL - sent < sizeof(bytes) ? TOTAL - sent : sizeof(bytes);
                ssize_t n = 0;
                for (size_t i = 0; i < size; i++)
                        bytes[i] = byte_at(sent + i);
                if (size > 0 && sent - taken < AHEAD)
                        n = ring_peer_send(&pair->server, bytes, size);
                assert_true(n >= 0);
                sent += (size_t)n;
                ssize_t got = ring_peer_receive(&pair->server, back, sizeof(back), n == 0);
                for (ssize_t i = 0; i < got; i++)
                        assert_int_equal(back[i], byte_at(taken + (size_t)i));
                taken += got > 0 ? (size_t)got : 0;
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                RING_TEST(what_goes_in_comes_out_across_the_end),
                RING_TEST(a_full_ring_takes_no_more),
                RING_TEST(indexes_that_cannot_be_are_refused),
                RING_TEST(our_own_indexes_are_nobody_elses),
                RING_TEST(who_sleeps_gets_one_byte_and_who_does_not_gets_none),
                RING_TEST(what_is_wiped_is_gone),
                RING_TEST(the_file_keeps_its_size_and_others_are_none),
                RING_TEST(two_processes_lose_nothing_and_wake_each_other),
        };

        return cmocka_run_group_tests_name("wire: rings", tests, NULL, NULL);
}
