/* dns/stream.c: connections of clients by TCP (RFC 7766): one question at a time on each. */
#include "dns/query.h"

#include "base/clock.h"
#include "base/own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t slot_of(const struct forward *forward, const struct stream *stream)
{
        return (size_t)(stream - forward->streams);
}

void stream_close(struct forward *forward, struct stream *stream)
{
        struct client *client = client_of(forward, stream->client, stream->client_serial);

        if (client != NULL)
                client->streams--;
        if (stream->query != NULL)
                stream->query->stream = NULL;
        close(stream->fd);
        free(stream->out);
        *stream = (struct stream){.fd = -1};
}

static void out_send(struct forward *forward, struct stream *stream)
{
        ssize_t sent = send(stream->fd, stream->out + stream->out_sent, stream->out_len - stream->out_sent,
                            MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                stream_close(forward, stream);
                return;
        }
        stream->out_sent += sent > 0 ? (size_t)sent : 0;
        bool done = stream->out_sent == stream->out_len;
        if (done) {
                free(stream->out);
                stream->out = NULL;
                stream->deadline_ms = clock_mono_ms() + FORWARD_STREAM_IDLE_MS;
        }
        if (source_change(forward, stream->fd, done ? EPOLLIN : EPOLLOUT, SOURCE_STREAM,
                          slot_of(forward, stream)) < 0)
                stream_close(forward, stream);
}

void stream_answer(struct forward *forward, struct stream *stream, const unsigned char *bytes, size_t len)
{
        stream->out = malloc(2 + len);
        if (stream->out == NULL) {
                stream_close(forward, stream);
                return;
        }
        stream->out[0] = (unsigned char)(len >> 8);
        stream->out[1] = (unsigned char)len;
        memcpy(stream->out + 2, bytes, len);
        stream->out_len = 2 + len;
        stream->out_sent = 0;
        out_send(forward, stream);
}

/* What has come so far: a length, then the question. */
static void in_read(struct forward *forward, struct stream *stream)
{
        ssize_t got = recv(stream->fd, stream->in + stream->in_len, sizeof(stream->in) - stream->in_len, 0);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        stream->in_len += got > 0 ? (size_t)got : 0;
        size_t len = stream->in_len < 2 ? 0 : (size_t)(stream->in[0] << 8 | stream->in[1]);
        /* One question has no more after it: nobody needs pipelines here. */
        if (got <= 0 || len > DNS_QUERY_MAX || (stream->in_len >= 2 && stream->in_len > 2 + len)) {
                stream_close(forward, stream);
                return;
        }
        if (stream->in_len < 2 || stream->in_len < 2 + len)
                return;
        stream->in_len = 0;
        stream->deadline_ms = clock_mono_ms() + (uint64_t)FORWARD_TRY_MS * (FORWARD_TRIES + 2);
        if (source_change(forward, stream->fd, 0, SOURCE_STREAM, slot_of(forward, stream)) < 0)
                stream_close(forward, stream);
        else
                query_begin(forward, stream->in + 2, len, NULL, stream);
}

void stream_ready(struct forward *forward, struct stream *stream, uint32_t epoll_events)
{
        if (stream->fd < 0)
                return;
        if (stream->out != NULL)
                out_send(forward, stream);
        else if (stream->query == NULL)
                in_read(forward, stream);
        else if (epoll_events & (EPOLLERR | EPOLLHUP))
                stream_close(forward, stream);
}

static void stream_open(struct forward *forward, int *fd, uint32_t address)
{
        struct client *client = clients_find(&forward->clients, address);

        if (client == NULL || client->streams >= FORWARD_CLIENT_STREAMS_MAX)
                return;
        for (size_t i = 0; i < FORWARD_STREAMS_MAX; i++) {
                struct stream *stream = &forward->streams[i];
                if (stream->fd >= 0)
                        continue;
                if (source_add(forward, *fd, EPOLLIN, SOURCE_STREAM, i) < 0)
                        return;
                *stream = (struct stream){.fd = take_fd(fd),
                                          .client = address,
                                          .client_serial = client->serial,
                                          .deadline_ms = clock_mono_ms() + FORWARD_STREAM_IDLE_MS};
                client->streams++;
                return;
        }
}

void streams_accept(struct forward *forward)
{
        for (;;) {
                struct sockaddr_in from = {0};
                socklen_t len = sizeof(from);
                own_fd int fd = accept4(EGRESS_STREAM_FD, (struct sockaddr *)&from, &len,
                                        SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                        return;
                stream_open(forward, &fd, ntohl(from.sin_addr.s_addr));
        }
}

int streams_tick(struct forward *forward, uint64_t now_ms)
{
        int next_ms = -1;

        for (size_t i = 0; i < FORWARD_STREAMS_MAX; i++) {
                struct stream *stream = &forward->streams[i];
                if (stream->fd >= 0 && stream->deadline_ms <= now_ms)
                        stream_close(forward, stream);
                if (stream->fd < 0)
                        continue;
                int left = (int)(stream->deadline_ms - now_ms);
                next_ms = next_ms < 0 || left < next_ms ? left : next_ms;
        }
        return next_ms;
}
