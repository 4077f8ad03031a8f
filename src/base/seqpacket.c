/* base/seqpacket.c: see seqpacket.h. */
#include "base/seqpacket.h"

#include <errno.h>
#include <stdbool.h>

ssize_t seqpacket_recvmsg(int fd, struct msghdr *message, int flags)
{
        bool reset = false;

        for (;;) {
                ssize_t got = recvmsg(fd, message, flags);
                if (got >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
                        return got;
                reset = reset || errno == ECONNRESET;
        }
}

ssize_t seqpacket_recv(int fd, void *bytes, size_t len, int flags)
{
        struct iovec iov = {.iov_base = bytes, .iov_len = len};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

        return seqpacket_recvmsg(fd, &message, flags);
}
