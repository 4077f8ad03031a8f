/* dns/forward.c: the loop: what came from spawn, from sandboxes, from resolvers. */
#include "dns/forward.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/seqpacket.h"
#include "dns/query.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, SLOT_BITS = 16, DATAGRAMS_PER_TURN = 64 };

static int source_set(struct forward *forward, int op, int fd, uint32_t want, enum source source, size_t slot)
{
        struct epoll_event event = {.events = want, .data.u64 = (uint64_t)source << SLOT_BITS | slot};

        return epoll_ctl(forward->epoll_fd, op, fd, &event);
}

int source_add(struct forward *forward, int fd, uint32_t want, enum source source, size_t slot)
{
        return source_set(forward, EPOLL_CTL_ADD, fd, want, source, slot);
}

int source_change(struct forward *forward, int fd, uint32_t want, enum source source, size_t slot)
{
        return source_set(forward, EPOLL_CTL_MOD, fd, want, source, slot);
}

static enum err_code pool_set(struct forward *forward, const struct egress_pool *said, struct err *err)
{
        struct ipv4_range pool = {said->address, (uint8_t)said->prefix};

        clients_finish(&forward->clients);
        return clients_init(&forward->clients, &pool, err);
}

static enum err_code frame_take(struct forward *forward, union egress_frame *frame, struct err *err)
{
        switch (frame->op) {
        case EGRESS_POOL:
                return pool_set(forward, &frame->pool, err);
        case EGRESS_CLIENT:
                frame->client.names[EGRESS_NAMES_MAX - 1] = '\0';
                return clients_set(&forward->clients, &frame->client, err);
        case EGRESS_GONE:
                clients_remove(&forward->clients, frame->client.address);
                return ERR_OK;
        case EGRESS_OPENED:
                query_opened(forward, &frame->open);
                return ERR_OK;
        default:
                return err_set(err, ERR_INVALID, "a frame that is not for dispatch-dns");
        }
}

/* All that spawn has said: a sandbox is announced before it starts, so before it can ask. */
static enum err_code control_read(struct forward *forward, struct err *err)
{
        union egress_frame frame;

        for (;;) {
                ssize_t len = seqpacket_recv(EGRESS_CONTROL_FD, &frame, sizeof(frame), MSG_DONTWAIT);
                if (len < 0 && (errno == EAGAIN || errno == EINTR))
                        return ERR_OK;
                if (len == 0)
                        return err_set(err, ERR_CANCELLED, "spawn has gone");
                if (len < (ssize_t)sizeof(frame.op) || (size_t)len != egress_frame_size(frame.op))
                        return err_set(err, ERR_INVALID, "a frame of spawn's of another size");
                enum err_code code = frame_take(forward, &frame, err);
                if (code != ERR_OK)
                        return code;
        }
}

static enum err_code datagrams_read(struct forward *forward, struct err *err)
{
        unsigned char bytes[DNS_QUERY_MAX + 1];

        for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
                struct sockaddr_in from = {.sin_family = AF_UNSPEC};
                socklen_t size = sizeof(from);
                ssize_t len = recvfrom(EGRESS_DATAGRAM_FD, bytes, sizeof(bytes), MSG_DONTWAIT,
                                       (struct sockaddr *)&from, &size);
                if (len < 0)
                        return ERR_OK;
                enum err_code code = control_read(forward, err);
                if (code != ERR_OK)
                        return code;
                if (size == sizeof(from) && from.sin_family == AF_INET && len <= DNS_QUERY_MAX)
                        query_begin(forward, bytes, (size_t)len, &from, NULL);
        }
        return ERR_OK;
}

static enum err_code event_take(struct forward *forward, const struct epoll_event *event, struct err *err)
{
        size_t slot = event->data.u64 & ((1U << SLOT_BITS) - 1);
        enum err_code code;

        switch ((enum source)(event->data.u64 >> SLOT_BITS)) {
        case SOURCE_CONTROL:
                return control_read(forward, err);
        case SOURCE_DATAGRAM:
                return datagrams_read(forward, err);
        case SOURCE_LISTENER:
                code = control_read(forward, err);
                if (code == ERR_OK)
                        streams_accept(forward);
                return code;
        case SOURCE_QUERY:
                query_ready(forward, &forward->queries[slot], event->events);
                return ERR_OK;
        case SOURCE_STREAM:
                stream_ready(forward, &forward->streams[slot], event->events);
                return ERR_OK;
        }
        return ERR_OK;
}

static enum err_code loop_run(struct forward *forward, struct err *err)
{
        struct epoll_event batch[BATCH];

        for (;;) {
                uint64_t now_ms = clock_mono_ms();
                int queries_ms = queries_tick(forward, now_ms), streams_ms = streams_tick(forward, now_ms);
                bool sooner = queries_ms >= 0 && (streams_ms < 0 || queries_ms < streams_ms);
                int count = epoll_wait(forward->epoll_fd, batch, BATCH, sooner ? queries_ms : streams_ms);
                if (count < 0 && errno != EINTR)
                        return err_sys(err, "epoll_wait");
                for (int i = 0; i < count; i++) {
                        enum err_code code = event_take(forward, &batch[i], err);
                        if (code != ERR_OK)
                                return code == ERR_CANCELLED ? ERR_OK : code;
                }
        }
}

enum err_code forward_run(const char *resolv_path, struct err *err)
{
        own_mem struct forward *forward = calloc(1, sizeof(*forward));

        if (forward == NULL)
                return err_nomem(err);
        for (size_t i = 0; i < FORWARD_QUERIES_MAX; i++)
                forward->queries[i].fd = -1;
        for (size_t i = 0; i < FORWARD_STREAMS_MAX; i++)
                forward->streams[i].fd = -1;
        upstream_init(&forward->upstream, resolv_path);
        own_fd int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        forward->epoll_fd = epoll_fd;
        if (epoll_fd < 0 || source_add(forward, EGRESS_CONTROL_FD, EPOLLIN, SOURCE_CONTROL, 0) < 0 ||
            source_add(forward, EGRESS_DATAGRAM_FD, EPOLLIN, SOURCE_DATAGRAM, 0) < 0 ||
            source_add(forward, EGRESS_STREAM_FD, EPOLLIN, SOURCE_LISTENER, 0) < 0)
                return err_sys(err, "watch descriptors");
        return loop_run(forward, err);
}
