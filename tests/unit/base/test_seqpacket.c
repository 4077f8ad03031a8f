/* tests/unit/base/test_seqpacket.c: what the other end said before it closed is heard. */
#include "base/seqpacket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void last_words_are_heard_though_ours_were_not_read(void **state)
{
        int pair[2];
        char bytes[8];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(send(pair[0], "unread", 6, 0), 6);
        assert_int_equal(send(pair[1], "why", 3, 0), 3);
        close(pair[1]);
        assert_int_equal(seqpacket_recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT), 3);
        assert_memory_equal(bytes, "why", 3);
        assert_int_equal(seqpacket_recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT), 0);
        close(pair[0]);
}

static void nothing_there_is_said_at_once(void **state)
{
        int pair[2];
        char bytes[8];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        errno = 0;
        assert_int_equal(seqpacket_recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        close(pair[0]);
        close(pair[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(last_words_are_heard_though_ours_were_not_read),
                cmocka_unit_test(nothing_there_is_said_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
