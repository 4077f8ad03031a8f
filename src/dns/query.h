/*
 * dns/query.h: what the parts of the forwarder share: the questions under way and the connections of clients.
 *
 *      FREE ─▶ ASKING (a resolver) ─▶ FREE
 *                 └─▶ OPENING (spawn) ─▶ FREE
 */
#ifndef DISPATCH_DNS_QUERY_H
#define DISPATCH_DNS_QUERY_H

#include "dns/clients.h"
#include "dns/forward.h"
#include "dns/message.h"
#include "dns/upstream.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum query_state { QUERY_FREE, QUERY_ASKING, QUERY_OPENING };

struct stream;

struct query {
        enum query_state state;
        bool by_tcp;
        int fd;                /* to the resolver; -1 */
        struct sockaddr_in to; /* the client's, by UDP */
        struct stream *stream; /* by TCP; NULL: closed since */
        uint32_t client, client_serial;
        struct dns_query asked;
        uint16_t id;
        uint32_t serial; /* names this use of the slot to spawn */
        unsigned attempt;
        uint64_t deadline_ms;
        struct dns_answer answer;
        unsigned char *bytes; /* by TCP: 2 of length, then the answer; by UDP the answer */
        size_t len, sent;
};

enum { STREAM_IN_MAX = 2 + DNS_QUERY_MAX };

struct stream {
        int fd; /* -1: free */
        uint32_t client, client_serial;
        uint64_t deadline_ms;
        size_t in_len;
        unsigned char in[STREAM_IN_MAX];
        struct query *query; /* that is being answered; nothing is read until then */
        unsigned char *out;  /* 2 of length, then the answer */
        size_t out_len, out_sent;
};

struct forward {
        int epoll_fd;
        struct upstream upstream;
        struct clients clients;
        uint32_t serial;
        struct query queries[FORWARD_QUERIES_MAX];
        struct stream streams[FORWARD_STREAMS_MAX];
};

/* What an epoll event is for: a kind, and a slot below it. */
enum source { SOURCE_CONTROL, SOURCE_DATAGRAM, SOURCE_LISTENER, SOURCE_QUERY, SOURCE_STREAM };
int source_add(struct forward *forward, int fd, uint32_t want, enum source source, size_t slot);
int source_change(struct forward *forward, int fd, uint32_t want, enum source source, size_t slot);

/* The client that asked, unless another has its address since. */
struct client *client_of(const struct forward *forward, uint32_t address, uint32_t serial);

/* Takes a question: answers it at once, asks on, or drops it. by UDP: stream is NULL. The client's `waiting`
 * is counted while it is under way. */
void query_begin(struct forward *forward, const unsigned char *bytes, size_t len,
                 const struct sockaddr_in *from, struct stream *stream);
void query_ready(struct forward *forward, struct query *query, uint32_t epoll_events);
/* spawn's word on an address that was to be opened. */
void query_opened(struct forward *forward, const struct egress_open *said);
/* Deadlines. Returns the ms until the next; -1: none. */
int queries_tick(struct forward *forward, uint64_t now_ms);
/* Frees the slot, answered or not. */
void query_end(struct forward *forward, struct query *query);

void streams_accept(struct forward *forward);
void stream_ready(struct forward *forward, struct stream *stream, uint32_t epoll_events);
/* Sends an answer to the question it waits for. */
void stream_answer(struct forward *forward, struct stream *stream, const unsigned char *bytes, size_t len);
void stream_close(struct forward *forward, struct stream *stream);
int streams_tick(struct forward *forward, uint64_t now_ms);

#endif
