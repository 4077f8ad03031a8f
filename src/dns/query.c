/* dns/query.c: one question from its bytes to the answer's. */
#include "dns/query.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TYPE_META_FIRST = 249, TYPE_META_LAST = 255 };

struct client *client_of(const struct forward *forward, uint32_t address, uint32_t serial)
{
        struct client *client = clients_find(&forward->clients, address);

        return client != NULL && client->serial == serial ? client : NULL;
}

void query_end(struct forward *forward, struct query *query)
{
        struct client *client = client_of(forward, query->client, query->client_serial);

        if (client != NULL)
                client->waiting--;
        if (query->fd >= 0)
                close(query->fd);
        if (query->stream != NULL)
                query->stream->query = NULL;
        free(query->bytes);
        *query = (struct query){.state = QUERY_FREE, .fd = -1};
}

static void send_to_client(struct forward *forward, const struct query *query, const unsigned char *bytes,
                           size_t len)
{
        unsigned char cut[DNS_QUERY_MAX];

        if (query->by_tcp) {
                if (query->stream != NULL)
                        stream_answer(forward, query->stream, bytes, len);
                return;
        }
        if (len > query->asked.udp_max) {
                len = dns_truncate(&query->asked, cut);
                bytes = cut;
        }
        /* What does not fit into the socket is lost, as anything may be by UDP. */
        (void)sendto(EGRESS_DATAGRAM_FD, bytes, len, MSG_DONTWAIT, (const struct sockaddr *)&query->to,
                     sizeof(query->to));
}

static void query_refuse(struct forward *forward, struct query *query, unsigned rcode)
{
        unsigned char bytes[DNS_QUERY_MAX];
        size_t len = dns_refuse(&query->asked, rcode, bytes);
        /* The slot is free before the stream goes on to its next question. */
        struct query answered = *query;

        query->bytes = NULL;
        query_end(forward, query);
        send_to_client(forward, &answered, bytes, len);
        free(answered.bytes);
}

static void query_answer(struct forward *forward, struct query *query)
{
        struct query answered = *query;
        size_t skip = query->by_tcp ? 2 : 0;

        query->bytes = NULL;
        query_end(forward, query);
        send_to_client(forward, &answered, answered.bytes + skip, answered.len - skip);
        free(answered.bytes);
}

/* A socket to the resolver, with a port of the kernel's choice. UDP: the question goes out at once. */
static int ask(struct forward *forward, struct query *query)
{
        unsigned char bytes[2 + DNS_QUERY_MAX];
        socklen_t address_len;
        const struct sockaddr *server = upstream_server(&forward->upstream, query->attempt, &address_len);
        int type = query->by_tcp ? SOCK_STREAM : SOCK_DGRAM;

        random_fill(&query->id, sizeof(query->id));
        own_fd int fd = socket(server->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || (connect(fd, server, address_len) < 0 && errno != EINPROGRESS))
                return -1;
        if (!query->by_tcp) {
                size_t len = dns_query_write(&query->asked, query->id, bytes);
                if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
                        return -1;
        }
        if (source_add(forward, fd, query->by_tcp ? EPOLLOUT : EPOLLIN, SOURCE_QUERY,
                       (size_t)(query - forward->queries)) < 0)
                return -1;
        query->fd = take_fd(&fd);
        return 0;
}

/* The next try, at the next server; SERVFAIL after the last. */
static void query_try(struct forward *forward, struct query *query)
{
        free(query->bytes);
        query->bytes = NULL;
        query->len = query->sent = 0;
        if (query->fd >= 0)
                close(query->fd);
        query->fd = -1;
        query->state = QUERY_ASKING;
        while (query->attempt < FORWARD_TRIES) {
                query->deadline_ms = clock_mono_ms() + FORWARD_TRY_MS;
                if (ask(forward, query) == 0)
                        return;
                query->attempt++;
        }
        query_refuse(forward, query, DNS_SERVFAIL);
}

static void query_retry(struct forward *forward, struct query *query)
{
        query->attempt++;
        query_try(forward, query);
}

/* What needs no resolver; -1: ask one. */
static int decide(const struct client *client, const struct dns_query *asked)
{
        struct str name = str_of(asked->name);

        if (asked->class != DNS_CLASS_IN)
                return DNS_REFUSED;
        if (asked->type == DNS_TYPE_OPT || (asked->type >= TYPE_META_FIRST && asked->type <= TYPE_META_LAST))
                return DNS_NOTIMP;
        if (str_eq(name, STR("localhost")) || str_ends(name, STR(".localhost")) ||
            !client_may_ask(client, name))
                return DNS_NXDOMAIN;
        return asked->type == DNS_TYPE_AAAA ? DNS_NOERROR : -1;
}

static struct query *slot_find(struct forward *forward)
{
        for (size_t i = 0; i < FORWARD_QUERIES_MAX; i++) {
                if (forward->queries[i].state == QUERY_FREE)
                        return &forward->queries[i];
        }
        return NULL;
}

void query_begin(struct forward *forward, const unsigned char *bytes, size_t len,
                 const struct sockaddr_in *from, struct stream *stream)
{
        uint32_t address = stream != NULL ? stream->client : ntohl(from->sin_addr.s_addr);
        struct client *client = clients_find(&forward->clients, address);
        struct query *query =
                client != NULL && client->waiting < FORWARD_CLIENT_MAX ? slot_find(forward) : NULL;

        if (query == NULL || len < DNS_HEAD_BYTES) {
                if (stream != NULL)
                        stream_close(forward, stream);
                return;
        }
        client->waiting++;
        *query = (struct query){.state = QUERY_ASKING,
                                .by_tcp = stream != NULL,
                                .fd = -1,
                                .stream = stream,
                                .client = address,
                                .client_serial = client->serial,
                                .serial = ++forward->serial};
        if (stream != NULL)
                stream->query = query;
        else
                query->to = *from;
        bool valid = dns_query_read(bytes, len, &query->asked);
        int rcode = valid ? decide(client, &query->asked) : DNS_FORMERR;
        if (!valid)
                query->asked.question_len = 0;
        if (rcode >= 0)
                query_refuse(forward, query, (unsigned)rcode);
        else
                query_try(forward, query);
}

static bool answer_forbidden(struct forward *forward, const struct dns_answer *answer)
{
        for (size_t i = 0; i < answer->count; i++) {
                uint32_t address = answer->addresses[i];
                if (allow_is_never(address) || ipv4_range_has(&forward->clients.pool, address) ||
                    upstream_is_local(&forward->upstream, address))
                        return true;
        }
        return answer->overfull;
}

/* Asks spawn for those addresses that are not open yet. 0: all are; -1: it cannot be asked. */
static int open_ask(const struct query *query, const struct client *client, uint64_t until_ms)
{
        struct egress_open ask = {.op = EGRESS_OPEN,
                                  .id = query->serial,
                                  .client = query->client,
                                  .ttl_s = query->answer.ttl_s};

        for (size_t i = 0; i < query->answer.count; i++) {
                if (!client_has_open(client, query->answer.addresses[i], until_ms))
                        ask.addresses[ask.count++] = query->answer.addresses[i];
        }
        if (ask.count == 0)
                return 0;
        return send(EGRESS_CONTROL_FD, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(ask) ? 1
                                                                                                      : -1;
}

/* A whole answer is there. */
static void query_answered(struct forward *forward, struct query *query)
{
        struct client *client = client_of(forward, query->client, query->client_serial);

        close(take_fd(&query->fd));
        if (client == NULL) {
                query_end(forward, query);
                return;
        }
        if (query->answer.truncated) {
                query->len = dns_truncate(&query->asked, query->bytes);
                query_answer(forward, query);
                return;
        }
        if (answer_forbidden(forward, &query->answer)) {
                query_refuse(forward, query, DNS_NXDOMAIN);
                return;
        }
        if (!client->restricted || query->answer.count == 0) {
                query_answer(forward, query);
                return;
        }
        if (query->answer.ttl_s < FORWARD_TTL_MIN_S)
                query->answer.ttl_s = FORWARD_TTL_MIN_S;
        uint64_t now_ms = clock_mono_ms();
        query->deadline_ms = now_ms + FORWARD_TRY_MS;
        query->state = QUERY_OPENING;
        int asked = open_ask(query, client, now_ms + (uint64_t)query->answer.ttl_s * 1000 / 2);
        if (asked == 0)
                query_answer(forward, query);
        else if (asked < 0)
                query_refuse(forward, query, DNS_SERVFAIL);
}

void query_opened(struct forward *forward, const struct egress_open *said)
{
        uint64_t now_ms = clock_mono_ms();

        for (size_t i = 0; i < FORWARD_QUERIES_MAX; i++) {
                struct query *query = &forward->queries[i];
                if (query->state != QUERY_OPENING || query->serial != said->id)
                        continue;
                struct client *client = client_of(forward, query->client, query->client_serial);
                bool good = client != NULL && said->count > 0;
                for (size_t k = 0; good && k < query->answer.count; k++)
                        good = client_open(client, query->answer.addresses[k],
                                           now_ms + (uint64_t)query->answer.ttl_s * 1000, now_ms);
                if (good)
                        query_answer(forward, query);
                else
                        query_refuse(forward, query, DNS_SERVFAIL);
                return;
        }
}

/* By UDP: datagrams that are no answer to what was asked are passed over. */
static void datagram_read(struct forward *forward, struct query *query)
{
        unsigned char bytes[DNS_UDP_MAX];

        for (;;) {
                ssize_t len = recv(query->fd, bytes, sizeof(bytes), MSG_TRUNC);
                if (len < 0) {
                        if (errno != EAGAIN && errno != EINTR)
                                query_retry(forward, query);
                        return;
                }
                if ((size_t)len > sizeof(bytes) ||
                    !dns_answer_read(bytes, (size_t)len, &query->asked, query->id, FORWARD_TTL_MAX_S,
                                     &query->answer))
                        continue;
                /* A resolver that fails has neighbours. */
                if (query->answer.rcode == DNS_SERVFAIL && query->attempt + 1 < forward->upstream.count) {
                        query_retry(forward, query);
                        return;
                }
                query->bytes = malloc(DNS_UDP_MAX);
                if (query->bytes == NULL) {
                        query_refuse(forward, query, DNS_SERVFAIL);
                        return;
                }
                memcpy(query->bytes, bytes, (size_t)len);
                query->len = (size_t)len;
                query_answered(forward, query);
                return;
        }
}

/* By TCP, connected: the question, in one piece, for it is shorter than any buffer. */
static void stream_ask(struct forward *forward, struct query *query)
{
        unsigned char bytes[2 + DNS_QUERY_MAX];
        size_t len = dns_query_write(&query->asked, query->id, bytes + 2);

        bytes[0] = (unsigned char)(len >> 8);
        bytes[1] = (unsigned char)len;
        query->bytes = malloc(2 + DNS_TCP_MAX);
        if (query->bytes == NULL || send(query->fd, bytes, len + 2, MSG_NOSIGNAL) != (ssize_t)(len + 2) ||
            source_change(forward, query->fd, EPOLLIN, SOURCE_QUERY, (size_t)(query - forward->queries)) < 0)
                query_retry(forward, query);
}

static void stream_read(struct forward *forward, struct query *query)
{
        size_t wanted = query->len < 2 ? 2 : 2U + (size_t)(query->bytes[0] << 8 | query->bytes[1]);
        ssize_t got = recv(query->fd, query->bytes + query->len, wanted - query->len, 0);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (got <= 0) {
                query_retry(forward, query);
                return;
        }
        query->len += (size_t)got;
        if (query->len < 2 || query->len < 2U + (size_t)(query->bytes[0] << 8 | query->bytes[1]))
                return;
        if (dns_answer_read(query->bytes + 2, query->len - 2, &query->asked, query->id, FORWARD_TTL_MAX_S,
                            &query->answer) &&
            !query->answer.truncated)
                query_answered(forward, query);
        else
                query_retry(forward, query);
}

void query_ready(struct forward *forward, struct query *query, uint32_t epoll_events)
{
        if (query->state != QUERY_ASKING)
                return;
        if (!query->by_tcp)
                datagram_read(forward, query);
        else if (query->bytes != NULL)
                stream_read(forward, query);
        else if (epoll_events & (EPOLLERR | EPOLLHUP))
                query_retry(forward, query);
        else
                stream_ask(forward, query);
}

int queries_tick(struct forward *forward, uint64_t now_ms)
{
        int next_ms = -1;

        for (size_t i = 0; i < FORWARD_QUERIES_MAX; i++) {
                struct query *query = &forward->queries[i];
                if (query->state == QUERY_OPENING && query->deadline_ms <= now_ms)
                        query_refuse(forward, query, DNS_SERVFAIL);
                else if (query->state == QUERY_ASKING && query->deadline_ms <= now_ms)
                        query_retry(forward, query);
                if (query->state == QUERY_FREE)
                        continue;
                int left = query->deadline_ms > now_ms ? (int)(query->deadline_ms - now_ms) : 0;
                next_ms = next_ms < 0 || left < next_ms ? left : next_ms;
        }
        return next_ms;
}
