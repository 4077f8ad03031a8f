/*
 * http/conn.h: a connection of the server and the exchange that is going on in it. Inside http/ only.
 *
 * A connection is driven by conn_advance alone, which goes through the states below until it needs more
 * input, room to write or the handler. Whoever may end a connection brackets its work with conn_enter and
 * conn_leave; the struct is freed when the last of them has left.
 */
#ifndef DISPATCH_HTTP_CONN_H
#define DISPATCH_HTTP_CONN_H

#include "http/out.h"
#include "http/parser.h"
#include "http/server.h"
#include "http/tls.h"

enum {
        CONN_INPUT_FIRST = 4096,      /* of the input buffer; grows to header_bytes_max for a long head */
        CONN_INPUT_BODY = 32768,      /* window for a body that does not come with its head */
        CONN_INPUT_ROOM_MIN = 2048,   /* below it a body gets a window of its own */
        CONN_SPARES_MAX = 64,         /* buffers and arenas kept by the server */
        CONN_READS_MAX = 4,           /* reads for one event, so that one client cannot hold the loop */
        CONN_DISCARD_MAX = 256 << 10, /* of a body that nobody wanted, to keep the connection */
        CONN_LINGER_MAX =
                128 << 20, /* bytes thrown away before a close: a client that still sends gets to read why */
        CONN_LINGER_MS = 5000,          /* time for that */
        CONN_CORK_MAX = 64 << 10,       /* replies to pipelined requests gathered for one write */
        CONN_QUEUE_HIGH = 256 << 10,    /* http_reply_write says wait ... */
        CONN_QUEUE_LOW = 64 << 10,      /* ... until no more than this is queued */
        CONN_QUEUE_MAX = 16 << 20,      /* a handler that does not wait loses the connection */
        CONN_ARENA_BYTES_MAX = 4 << 20, /* http_arena */
};

enum conn_state {
        CONN_HANDSHAKE, /* of TLS; its struct is made when the first byte has come */
        CONN_IDLE,      /* before the first byte of a request */
        CONN_HEAD,      /* a head has begun */
        CONN_BUSY,      /* the handler has the exchange */
        CONN_FINISHING, /* the reply is complete; it, or what is left of the request's body, is still on its
                           way */
        CONN_LINGER,    /* closed for writing; what the client still sends is thrown away */
        CONN_CLOSED,
};

/* What the connection waits for with a time limit; each kind has one list in the server, oldest first. */
enum conn_timer {
        CONN_TIMER_NONE,
        CONN_TIMER_LOST,
        CONN_TIMER_HANDSHAKE,
        CONN_TIMER_IDLE,
        CONN_TIMER_HEAD,
        CONN_TIMER_BODY,
        CONN_TIMER_WRITE,
        CONN_TIMER_LINGER,
        CONN_TIMER_COUNT
};

enum body_mode { BODY_UNREAD, BODY_COLLECT, BODY_STREAM, BODY_FINISHED };

enum reply_mode { REPLY_NONE, REPLY_LENGTH, REPLY_CHUNKED, REPLY_UNTIL_CLOSE, REPLY_NO_BODY };

struct http_conn;

struct http_exchange {
        struct http_conn *conn;
        void *user;
        void (*aborted)(struct http_exchange *exchange, void *arg);
        void *aborted_arg;

        enum body_mode body_mode;
        bool body_paused;
        struct buf body; /* collected, unless it is in place */
        struct str body_in_place;
        uint64_t body_bytes; /* so far */
        void (*collected)(struct http_exchange *exchange, void *arg, enum err_code code, struct str body);
        void (*chunk)(struct http_exchange *exchange, void *arg, enum err_code code, struct str bytes,
                      bool last);
        void *body_arg;

        enum reply_mode reply_mode;
        bool reply_waits; /* writable is due */
        uint64_t reply_left;
        void (*writable)(struct http_exchange *exchange, void *arg);
        void *writable_arg;
};

/* data[pos, len) was read and not yet parsed; the head of the exchange that is going on is kept below floor.
 */
struct conn_input {
        char *data;
        size_t capacity, floor, pos, len;
};

struct http_conn {
        struct http_server *server;
        struct http_conn *previous, *next; /* in the list of its timer */
        struct transport transport;
        struct loop_poll *poll; /* NULL once the connection is lost */
        struct loop_task again; /* reads what TLS has read already, in the loop's next turn */
        enum conn_state state;
        enum conn_timer timer;
        uint64_t since_ms; /* when that timer began */
        unsigned depth;    /* conn_enter */
        int wanted;        /* poll events */
        bool advancing, reading;
        bool again_posted;
        bool fresh;         /* before its first request */
        bool blocked;       /* the socket takes no more */
        bool broken;        /* writing failed; the poll will say so */
        bool close_after;   /* this exchange is the last */
        bool linger;        /* the client may still be sending: no plain close */
        bool body_complete; /* the parser saw the end of the message */
        bool body_failed;
        uint64_t progress; /* of the timer; body: bytes in this window; write: what the socket still holds */
        uint64_t thrown;   /* bytes read only to be thrown away */
        struct conn_input in;
        char *head_memory; /* an input buffer that holds the head, when the body got another */
        struct out out;
        struct arena arena;
        struct http_parser parser;
        struct http_exchange exchange;
};

struct conn_list {
        struct http_conn *first, *last;
};

struct http_listener {
        struct http_server *server;
        bool tls;
        int fd;
        struct loop_poll *poll;
};

struct http_server {
        struct loop *loop;
        struct http_limits limits;
        struct http_handler handler;
        struct http_field *fields; /* header_count_max, for the parsers, each in its turn */
        struct buf head;           /* of replies, each in its turn */
        struct http_listener *listeners, *tls_listeners;
        size_t listen_count, tls_listen_count;
        struct tls_context *tls; /* of the connections to come */
        struct conn_list conns[CONN_TIMER_COUNT];
        /* Connections that wait for a request hold no buffers: a few are handed from one to the next, still
         * warm. */
        char *spare_inputs[CONN_SPARES_MAX]; /* CONN_INPUT_FIRST bytes each */
        uint32_t spare_input_count;
        struct arena spare_arenas[CONN_SPARES_MAX];
        uint32_t spare_arena_count;
        uint32_t conn_count;
        bool accept_paused;
        bool draining;
        struct loop_timer *grace; /* while it drains: kept connections are still served */
        void (*drained)(void *arg);
        void *drained_arg;
        struct loop_timer *tick;
        bool ticking;
        uint32_t tick_ms;
        int64_t date_s;
        char date[40]; /* "Date: ...\r\n" of that second */
        size_t date_len;
};

/* server.c */
void server_conn_gone(struct http_server *server);
/* Something became idle or ended: whoever waits to be accepted may have its place. */
void server_accept_again(struct http_server *server);
void server_tick_start(struct http_server *server);
struct str server_date(struct http_server *server);

/* conn.c */
struct http_conn *conn_create(struct http_server *server, int fd, bool tls);
void conn_enter(struct http_conn *conn);
void conn_leave(struct http_conn *conn);
void conn_advance(struct http_conn *conn);
/* Writes what was gathered and tells the loop and the timers what the connection waits for. */
void conn_settle(struct http_conn *conn);
void conn_move(struct http_conn *conn, enum conn_state state);
/* Within conn_enter and conn_leave. */
void conn_close(struct http_conn *conn);
/* From outside of the connection: tells a handler that has an exchange, then closes. */
void conn_end(struct http_conn *conn);
/* The client is gone: tells the handler, or waits for its reply where it cannot be told. */
void conn_lost(struct http_conn *conn);
/* The exchange is over: its reply is in the queue or written. */
void conn_exchange_end(struct http_conn *conn);
void conn_out_result(struct http_conn *conn, enum out_result result);
/* Answers for the handler, and closes. */
void conn_refuse(struct http_conn *conn, int status, const char *text);
/* The client sends no more. */
void conn_eof(struct http_conn *conn);

/* handshake.c */
void conn_handshake(struct http_conn *conn);

/* timer.c */
void conn_timer_join(struct http_conn *conn);
void conn_timer_leave(struct http_conn *conn);
void conn_timer_set(struct http_conn *conn, enum conn_timer timer);
void conn_timer_restart(struct http_conn *conn, enum conn_timer timer);
void conn_timer_choose(struct http_conn *conn);
void server_sweep(struct http_server *server);

/* input.c */
struct str conn_input(const struct http_conn *conn);
void conn_input_use(struct http_conn *conn, size_t used);
bool conn_read_wanted(const struct http_conn *conn);
void conn_read(struct http_conn *conn);
/* When the socket will not say that there is more to read: has it read soon. */
void conn_read_again(struct http_conn *conn);
/* The buffer goes back when there is nothing in it. */
void conn_input_release(struct http_conn *conn);
void conn_arena_take(struct http_conn *conn);
void conn_arena_release(struct http_conn *conn);
void server_spares_free(struct http_server *server);

/* body.c */
/* True: something happened. */
bool body_pump(struct http_conn *conn);
bool body_discard(struct http_conn *conn);
bool body_wanted(const struct http_conn *conn);
void body_fail(struct http_conn *conn, enum err_code code);
/* Where the next bytes of a collected body go; len 0: not there, but into the input buffer. */
struct iovec body_direct_room(struct http_conn *conn);
void body_direct_commit(struct http_conn *conn, size_t len);

/* reply.c */
void reply_refusal(struct http_conn *conn, int status, const char *text);
void reply_continue(struct http_conn *conn);
void reply_writable(struct http_conn *conn);

#endif
