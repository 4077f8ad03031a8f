/* http/call.h: a call of the client, and the connection it goes over. Inside http/ only. */
#ifndef DISPATCH_HTTP_CALL_H
#define DISPATCH_HTTP_CALL_H

#include "base/arena.h"
#include "http/client.h"
#include "http/out.h"
#include "http/parser.h"

enum {
        CALL_READ = 16384,
        CALL_READS_MAX = 4,
        CALL_QUEUE_HIGH = 256 << 10,
        CALL_QUEUE_LOW = 64 << 10,
        CALL_QUEUE_MAX = 16 << 20,
        CALL_REQUEST_BYTES_MAX = 64 << 20, /* head and body of a request that is not streamed */
};

enum link_state {
        LINK_CONNECTING,
        LINK_ACTIVE, /* has a call */
        LINK_IDLE,   /* in the pool */
        LINK_CLOSED,
};

/* A connection. */
struct link {
        struct http_client *client;
        struct link *previous,
                *next; /* in the client's list of its state: used, or idle with the newest last */
        struct http_target target;
        struct transport transport; /* in clear */
        struct loop_poll *poll;
        enum link_state state;
        unsigned depth;
        bool reused;  /* it already had a call */
        bool blocked; /* the socket takes no more */
        bool reading; /* link_read is at work further up the stack */
        uint64_t since_ms;
        struct out out;
        struct buf in;
        size_t in_at;
        struct http_parser parser;
        struct http_call *call;
};

struct http_call {
        struct http_client *client;
        struct link *link;
        struct http_call_spec spec; /* the callbacks and bounds; its views are gone */
        struct http_target target;
        struct buf request; /* kept for a second try */
        bool idempotent;
        bool to_head;
        bool tried_again;
        bool sent; /* the whole request was given to the link */
        bool paused;
        bool waits;   /* writable is due */
        bool replied; /* bytes of a reply came */
        bool has_head;
        int64_t stream_left;
        struct http_response response;
        struct arena arena; /* the reply's head */
        struct buf body;
};

struct link_list {
        struct link *first, *last;
        uint32_t count;
};

struct http_client {
        struct loop *loop;
        struct http_client_limits limits;
        struct http_field *fields;
        struct link_list used, idle;
        struct loop_timer *tick;
        bool ticking;
        bool ending;
        uint32_t tick_ms;
};

/* client.c */
void client_tick_start(struct http_client *client);

/* link.c */
/* A connection for the call: an idle one of its target, else a new one. */
enum err_code link_take(struct http_client *client, struct http_call *call, bool fresh, struct err *err);
enum err_code link_adopt(struct http_client *client, const struct http_target *target, int fd,
                         struct err *err);
void link_enter(struct link *link);
void link_leave(struct link *link);
/* Within link_enter and link_leave; link_end from outside. */
void link_close(struct link *link);
void link_end(struct link *link);
/* Back into the pool. */
void link_keep(struct link *link);
void link_send(struct link *link, struct iovec *iov, int count);
void link_settle(struct link *link);
/* Goes on with what was read; within link_enter and link_leave. */
void link_process(struct link *link);
void link_due(struct link *link, uint64_t now);

/* call.c */
/* Sends the request, or queues it until the link is connected. */
void call_begin(struct http_call *call);
void call_writable(struct http_call *call);
/* The parser's events. False: the call is over. */
bool call_event(struct http_call *call, enum http_event event, struct str shown, struct str piece);
/* The link ended under the call. */
void call_link_lost(struct http_call *call);
void call_fail(struct http_call *call, enum err_code code, const char *text);

#endif
