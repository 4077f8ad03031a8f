/* http/transport.c: plain sockets, and where TLS comes in between. */
#include "http/transport.h"

#include "http/tls.h"

#include <errno.h>
#include <sys/socket.h>

void transport_finish(struct transport *transport)
{
        tls_destroy(transport->tls);
        transport->tls = NULL;
}

static size_t length_of(const struct iovec *iov, int count)
{
        size_t len = 0;

        for (int i = 0; i < count; i++)
                len += iov[i].iov_len;
        return len;
}

static enum out_result plain_send(int fd, struct iovec *iov, int count, size_t *sent)
{
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        size_t len = length_of(iov, count);
        ssize_t n;

        do {
                n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN || errno == EWOULDBLOCK ? OUT_BLOCKED : OUT_BROKEN;
        *sent = (size_t)n;
        return *sent == len ? OUT_DONE : OUT_BLOCKED;
}

static enum out_result tls_send(struct tls *tls, const struct iovec *iov, int count, size_t *sent)
{
        size_t len = length_of(iov, count);

        for (;;) {
                enum out_result result = tls_flush(tls);
                if (result != OUT_DONE || *sent == len)
                        return result;
                if (!tls_encrypt(tls, iov, count, sent))
                        return OUT_BROKEN;
        }
}

enum out_result transport_send(struct transport *transport, struct iovec *iov, int count, size_t *sent)
{
        *sent = 0;
        if (transport->tls != NULL)
                return tls_send(transport->tls, iov, count, sent);
        return plain_send(transport->fd, iov, count, sent);
}

enum out_result transport_flush(struct transport *transport)
{
        return transport->tls != NULL ? tls_flush(transport->tls) : OUT_DONE;
}

size_t transport_waiting(const struct transport *transport)
{
        return transport->tls != NULL ? tls_waiting(transport->tls) : 0;
}

enum in_result transport_read(struct transport *transport, void *bytes, size_t size, size_t *ret)
{
        ssize_t n;

        if (transport->tls != NULL)
                return tls_read(transport->tls, bytes, size, ret);
        do {
                n = recv(transport->fd, bytes, size, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN || errno == EWOULDBLOCK ? IN_WAIT : IN_BROKEN;
        *ret = (size_t)n;
        return n > 0 ? IN_DONE : IN_END;
}

bool transport_has_more(const struct transport *transport)
{
        return transport->tls != NULL && tls_has_more(transport->tls);
}

enum out_result transport_end(struct transport *transport)
{
        return transport->tls != NULL ? tls_end(transport->tls) : OUT_DONE;
}

bool transport_ended(const struct transport *transport)
{
        return transport->tls == NULL || tls_ended(transport->tls);
}
