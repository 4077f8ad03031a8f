/* tests/unit/agent/test_transport.c: both transports over real sockets, with the test at the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "runtimes/agent/transport.h"
#include "tests/unit/ring_peer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { BYTES_MAX = 8 << 20 };

struct fixture {
        pthread_mutex_t lock;
        struct transport *t;
        struct capture capture[2];
        struct ring_peer ring; /* our end of a channel */
        int peer;              /* and of a connection */
        int wake[2], stop[2];
        pthread_t reader;
        struct buf in, out;
        uint16_t port;
};

static struct fixture *fixture_create(void)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        pthread_mutex_init(&f->lock, NULL);
        assert_int_equal(pipe2(f->wake, O_CLOEXEC | O_NONBLOCK), 0);
        buf_init(&f->in, BYTES_MAX);
        buf_init(&f->out, BYTES_MAX);
        f->peer = f->ring.read_fd = f->ring.write_fd = -1;
        return f;
}

static int setup_channel(void **state)
{
        struct fixture *f = fixture_create();
        int ends[CHANNEL_FDS];

        assert_true(ring_peer_make(&f->ring, RING_SERVER, ends));
        assert_int_equal(channel_create(ends, f->wake[0], &f->lock, &f->t, NULL), ERR_OK);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        f->t->ops->destroy(f->t);
        own_fd_release(&f->peer);
        ring_peer_close(&f->ring);
        close(f->wake[0]);
        close(f->wake[1]);
        buf_finish(&f->in);
        buf_finish(&f->out);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return 0;
}

static void send_all(struct fixture *f)
{
        assert_int_equal(ring_peer_send(&f->ring, f->out.data, f->out.len), f->out.len);
        buf_clear(&f->out);
}

/* The next frame that the agent sent; its payload is valid until the next call. */
static struct frame next_frame(struct fixture *f, size_t *held)
{
        struct frame frame;
        size_t used;

        buf_consume(&f->in, *held);
        while (frame_parse((struct str){f->in.data, f->in.len}, &frame, &used, NULL) == ERR_LIMIT) {
                assert_int_equal(buf_reserve(&f->in, 65536), ERR_OK);
                ssize_t n = ring_peer_receive(&f->ring, f->in.data + f->in.len, 65536, true);
                assert_true(n > 0);
                f->in.len += (size_t)n;
        }
        *held = used;
        return frame;
}

static void put_request(struct fixture *f, uint32_t stream, struct str body)
{
        const struct frame_field fields[] = {{STR_INIT(":method"), STR_INIT("POST")},
                                             {STR_INIT(":path"), STR_INIT("/")}};

        assert_int_equal(frame_put_fields(&f->out, FRAME_HEAD, stream, fields, 2), ERR_OK);
        assert_int_equal(frame_put_data(&f->out, stream, body), ERR_OK);
        assert_int_equal(frame_put(&f->out, FRAME_END, stream, STR("")), ERR_OK);
}

/* Takes in what the agent sends while it would wait for room to send it. */
static void *reader_run(void *arg)
{
        struct fixture *f = arg;

        for (;;) {
                struct pollfd fds[2] = {{.fd = f->ring.read_fd, .events = POLLIN},
                                        {.fd = f->stop[0], .events = POLLIN}};
                if (buf_reserve(&f->in, 65536) != ERR_OK)
                        abort();
                ssize_t n = ring_peer_receive(&f->ring, f->in.data + f->in.len, 65536, false);
                if (n == 0)
                        abort();
                if (n > 0)
                        f->in.len += (size_t)n;
                else if (poll(fds, 2, -1) < 0)
                        abort();
                else if (fds[0].revents == 0)
                        return NULL; /* all of it is there, and we are to stop */
        }
}

static void reader_start(struct fixture *f)
{
        assert_int_equal(pipe2(f->stop, O_CLOEXEC), 0);
        assert_int_equal(pthread_create(&f->reader, NULL, reader_run, f), 0);
}

static void reader_stop(struct fixture *f)
{
        assert_int_equal(write(f->stop[1], "", 1), 1);
        pthread_join(f->reader, NULL);
        close(f->stop[0]);
        close(f->stop[1]);
}

static void specialise(struct fixture *f)
{
        struct specialisation special;

        assert_int_equal(frame_put(&f->out, FRAME_SPECIALISE, 0, STR("")), ERR_OK);
        send_all(f);
        assert_int_equal(f->t->ops->specialise(f->t, &special, NULL), ERR_OK);
}

static void the_channel_brings_the_specialisation(void **state)
{
        struct fixture *f = *state;
        const struct frame_field fields[] = {
                {STR_INIT("function"), STR_INIT("hello")},     {STR_INIT("handler"), STR_INIT("f.handle")},
                {STR_INIT("timeout-ms"), STR_INIT("250")},     {STR_INIT("log-bytes-max"), STR_INIT("1000")},
                {STR_INIT("env-AGENT_TEST"), STR_INIT("a b")},
        };
        struct specialisation special;
        static const unsigned char zeros[64];

        assert_int_equal(frame_put(&f->out, FRAME_SECRETS, 0, STR("{\"a\"")), ERR_OK);
        assert_int_equal(frame_put(&f->out, FRAME_SECRETS, 0, STR(":1}")), ERR_OK);
        assert_int_equal(frame_put_fields(&f->out, FRAME_SPECIALISE, 0, fields, 5), ERR_OK);
        send_all(f);

        assert_int_equal(f->t->ops->specialise(f->t, &special, NULL), ERR_OK);
        assert_string_equal(special.function, "hello");
        assert_string_equal(special.handler, "f.handle");
        assert_int_equal(special.timeout_ms, 250);
        assert_int_equal(special.log_bytes_max, 1000);
        assert_int_equal(special.reply_bytes_max, AGENT_REPLY_MAX);
        assert_true(str_eq(special.secrets, STR("{\"a\":1}")));
        /* and nothing of them stays behind in the ring */
        assert_memory_equal(f->ring.ring.out, zeros, sizeof(zeros));
        assert_string_equal(getenv("AGENT_TEST"), "a b");
}

static void the_channel_says_ready_or_failed(void **state)
{
        struct fixture *f = *state;
        own_buf struct buf error;
        size_t held = 0;

        buf_init(&error, 100);
        assert_int_equal(f->t->ops->ready(f->t, NULL, NULL), ERR_OK);
        assert_int_equal(next_frame(f, &held).type, FRAME_READY);
        assert_int_equal(buf_append_text(&error, "{}"), ERR_OK);
        assert_int_equal(f->t->ops->ready(f->t, &error, NULL), ERR_OK);
        struct frame frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_FAILED);
        assert_true(str_eq(frame.payload, STR("{}")));
}

static void a_run_over_the_channel(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        const struct agent_reply reply = {
                .status = 201, .content_type = STR_INIT("a/b"), .body = STR_INIT("body")};
        const struct frame_usage usage = {1, 2, 3, 4, 5};
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count, held = 0;

        specialise(f);
        put_request(f, 1, STR("payload"));
        send_all(f);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_true(str_eq(request.body, STR("payload")));
        assert_true(str_eq(request_field(&request, STR(":method")), STR("POST")));
        f->t->ops->log(f->t, 1, 2, STR("line\n"));
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);

        struct frame frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_LOG);
        assert_true(str_eq(frame.payload, STR("\2line\n")));
        frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_HEAD);
        assert_int_equal(frame_parse_fields(frame.payload, fields, &count, NULL), ERR_OK);
        assert_true(str_eq(frame_field_get(fields, count, STR(":status")), STR("201")));
        assert_true(str_eq(frame_field_get(fields, count, STR("content-type")), STR("a/b")));
        frame = next_frame(f, &held);
        assert_true(frame.type == FRAME_DATA && str_eq(frame.payload, STR("body")));
        frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_END);
        assert_int_equal(frame.stream, 1);
}

static void a_large_body_gets_credit_as_it_is_taken(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        own_buf struct buf body;
        size_t held = 0;
        uint32_t credit;

        specialise(f);
        buf_init(&body, FRAME_WINDOW);
        assert_int_equal(buf_reserve(&body, FRAME_WINDOW), ERR_OK);
        memset(body.data, 'b', FRAME_WINDOW);
        assert_int_equal(frame_put_fields(&f->out, FRAME_HEAD, 1, NULL, 0), ERR_OK);
        assert_int_equal(frame_put_data(&f->out, 1, (struct str){body.data, FRAME_WINDOW}), ERR_OK);
        put_request(f, 2, STR("x"));
        for (size_t at = 0; at < f->out.len; at += 32768) {
                size_t piece = f->out.len - at < 32768 ? f->out.len - at : 32768;
                assert_int_equal(ring_peer_send(&f->ring, f->out.data + at, piece), piece);
                assert_true(f->t->ops->poll(f->t));
        }
        buf_clear(&f->out);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_int_equal(request.stream, 2);
        assert_true(f->t->ops->poll(f->t));
        struct frame frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_CREDIT);
        assert_int_equal(frame.stream, 1);
        assert_int_equal(frame_parse_credit(frame.payload, &credit, NULL), ERR_OK);
        assert_true(credit >= FRAME_WINDOW / 2);
}

static void a_reset_is_noticed_during_the_run(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        const struct agent_reply reply = {.status = 200, .body = STR_INIT("nobody hears")};
        const struct frame_usage usage = {0};

        specialise(f);
        put_request(f, 1, STR("x"));
        send_all(f);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_true(f->t->ops->poll(f->t));
        assert_int_equal(frame_put(&f->out, FRAME_RESET, 1, STR("")), ERR_OK);
        send_all(f);
        assert_false(f->t->ops->poll(f->t));
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);
        /* that it was heard, then that it is over, and nothing of the reply */
        size_t held = 0;
        struct frame frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_CREDIT);
        assert_int_equal(frame.stream, 1);
        frame = next_frame(f, &held);
        assert_int_equal(frame.type, FRAME_RESET);
        assert_int_equal(frame.stream, 1);
        char byte;
        assert_int_equal(f->in.len, held);
        assert_int_equal(ring_peer_receive(&f->ring, &byte, 1, false), -1);
}

/* Three requests in hand, whose requests, logs and replies cross. */
static void several_requests_are_in_hand_at_once(void **state)
{
        struct fixture *f = *state;
        struct agent_request requests[3];
        const struct agent_reply reply = {.status = 200, .body = STR_INIT("b")};
        const struct frame_usage usage = {0};
        static const uint32_t order[] = {2, 3, 1};
        size_t held = 0;

        specialise(f);
        f->t->queues = true;
        for (uint32_t i = 1; i <= 3; i++)
                put_request(f, i, STR("payload"));
        send_all(f);
        for (uint32_t i = 0; i < 3; i++) {
                assert_int_equal(f->t->ops->try_next(f->t, &requests[i], NULL), ERR_OK);
                assert_int_equal(requests[i].stream, i + 1);
        }
        assert_int_equal(f->t->ops->try_next(f->t, &requests[0], NULL), ERR_LIMIT);
        for (size_t i = 0; i < 3; i++) {
                f->t->ops->log(f->t, order[i], 1, STR("line\n"));
                assert_int_equal(f->t->ops->reply(f->t, order[i], &reply, &usage, NULL), ERR_OK);
                f->t->ops->log(f->t, order[i], 1, STR("too late\n"));
        }
        static const enum frame_type types[] = {FRAME_LOG, FRAME_HEAD, FRAME_DATA, FRAME_END};
        for (size_t i = 0; i < 12; i++) {
                struct frame frame = next_frame(f, &held);
                assert_int_equal(frame.stream, order[i / 4]);
                assert_int_equal(frame.type, types[i % 4]);
        }
        assert_int_equal(f->in.len, held);
}

/* Of two replies one has no window left: it waits, and nobody else does. */
static void a_reply_without_credit_holds_up_no_other(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        own_buf struct buf large;
        const struct frame_usage usage = {0};
        const struct agent_reply small = {.status = 200, .body = STR_INIT("b")};
        size_t held = 0, body = 0;

        specialise(f);
        f->t->queues = true;
        buf_init(&large, 3 * (size_t)FRAME_WINDOW);
        assert_int_equal(buf_reserve(&large, 3 * (size_t)FRAME_WINDOW), ERR_OK);
        memset(large.data, 'l', 3 * (size_t)FRAME_WINDOW);
        const struct agent_reply big = {.status = 200, .body = {large.data, 3 * (size_t)FRAME_WINDOW}};
        put_request(f, 1, STR("x"));
        put_request(f, 2, STR("x"));
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_OK);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_OK);
        reader_start(f);
        assert_int_equal(f->t->ops->reply(f->t, 1, &big, &usage, NULL), ERR_OK);
        assert_int_equal(f->t->ops->reply(f->t, 2, &small, &usage, NULL), ERR_OK);
        reader_stop(f);
        struct frame frame;
        bool second = false;
        while (!second) {
                frame = next_frame(f, &held);
                assert_true(frame.stream == 2 || frame.type != FRAME_END);
                body += frame.stream == 1 && frame.type == FRAME_DATA ? frame.payload.len : 0;
                second = frame.stream == 2 && frame.type == FRAME_END;
        }
        assert_int_equal(body, FRAME_WINDOW);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(frame_put_credit(&f->out, 1, FRAME_WINDOW), ERR_OK);
                send_all(f);
                reader_start(f);
                assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_LIMIT);
                reader_stop(f);
        }
        do {
                frame = next_frame(f, &held);
                assert_int_equal(frame.stream, 1);
                body += frame.type == FRAME_DATA ? frame.payload.len : 0;
        } while (frame.type != FRAME_END);
        assert_int_equal(body, 3 * (size_t)FRAME_WINDOW);
        assert_int_equal(f->in.len, held);
}

/* One in hand, one that waits and one whose reply waits are given up: each is told, once, and only those. */
static void resets_reach_requests_in_every_state(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        const struct agent_reply reply = {.status = 200, .body = STR_INIT("b")};
        const struct frame_usage usage = {0};
        size_t held = 0;

        specialise(f);
        f->t->queues = true;
        put_request(f, 1, STR("x"));
        put_request(f, 2, STR("x"));
        assert_int_equal(frame_put_fields(&f->out, FRAME_HEAD, 3, NULL, 0), ERR_OK);
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_OK);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_OK);
        assert_int_equal(f->t->ops->cancelled(f->t), 0);
        assert_int_equal(frame_put(&f->out, FRAME_RESET, 1, STR("")), ERR_OK);
        assert_int_equal(frame_put(&f->out, FRAME_RESET, 3, STR("")), ERR_OK);
        assert_int_equal(frame_put(&f->out, FRAME_RESET, 3, STR("")), ERR_OK); /* it is over: no matter */
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_LIMIT);
        assert_int_equal(f->t->ops->cancelled(f->t), 1);
        assert_int_equal(f->t->ops->cancelled(f->t), 0);
        struct frame frame = next_frame(f, &held);
        assert_true(frame.type == FRAME_RESET && frame.stream == 3);
        frame = next_frame(f, &held);
        assert_true(frame.type == FRAME_CREDIT && frame.stream == 1);
        f->t->ops->log(f->t, 1, 1, STR("unheard\n"));
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);
        frame = next_frame(f, &held);
        assert_true(frame.type == FRAME_RESET && frame.stream == 1);
        assert_int_equal(f->t->ops->reply(f->t, 2, &reply, &usage, NULL), ERR_OK);
        assert_int_equal(next_frame(f, &held).stream, 2);
}

static void streams_that_no_server_sends_end_the_channel(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;

        specialise(f);
        put_request(f, 5, STR("x"));
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_OK);
        assert_int_equal(frame_put(&f->out, FRAME_END, 4, STR("")),
                         ERR_OK); /* over, or never was: no matter */
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_LIMIT);
        assert_int_equal(frame_put_data(&f->out, 6, STR("x")), ERR_OK); /* has not begun */
        send_all(f);
        assert_int_equal(f->t->ops->try_next(f->t, &request, NULL), ERR_INVALID);
}

static void closing_and_sigterm_end_the_wait(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;

        specialise(f);
        assert_int_equal(write(f->wake[1], "", 1), 1);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_CANCELLED);
        own_fd_release(&f->ring.write_fd);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_CANCELLED);
}

static uint16_t free_port(void)
{
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(any);
        own_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
        return ntohs(any.sin_port);
}

static int dial(uint16_t port)
{
        struct sockaddr_in to = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        return fd;
}

static int setup_port(void **state)
{
        struct fixture *f = fixture_create();
        struct specialisation special;
        char number[8];

        f->port = free_port();
        snprintf(number, sizeof(number), "%u", f->port);
        setenv("PORT", number, 1);
        assert_int_equal(port_create(f->wake[0], &f->lock, f->capture, &f->t, NULL), ERR_OK);
        assert_int_equal(f->t->ops->specialise(f->t, &special, NULL), ERR_OK);
        assert_int_equal(f->t->ops->ready(f->t, NULL, NULL), ERR_OK);
        f->peer = dial(f->port);
        *state = f;
        return 0;
}

static void send_text(struct fixture *f, const char *text)
{
        assert_int_equal(send(f->peer, text, strlen(text), 0), strlen(text));
}

/* What arrives until `until` is in it. */
static const char *receive_until(struct fixture *f, const char *until)
{
        buf_clear(&f->in);
        do {
                assert_int_equal(buf_reserve(&f->in, 4096), ERR_OK);
                ssize_t n = recv(f->peer, f->in.data + f->in.len, 4096, 0);
                assert_true(n > 0);
                f->in.len += (size_t)n;
        } while (strstr(buf_text(&f->in), until) == NULL);
        return buf_text(&f->in);
}

static void a_run_over_tcp_between_two_probes(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;
        const struct agent_reply reply = {
                .status = 200, .content_type = STR_INIT("a/b"), .body = STR_INIT("<body>")};
        const struct frame_usage usage = {.handler_us = 1500};

        send_text(f, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
                     "POST /p?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nhi"
                     "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_non_null(strstr(receive_until(f, "{}"), "HTTP/1.1 200 OK\r\n"));
        assert_true(str_eq(request_field(&request, STR(":path")), STR("/p?q")));
        assert_true(str_eq(request_field(&request, STR(":source")), STR("endpoint")));
        assert_true(str_eq(request_field(&request, STR("x-a")), STR("1")));
        assert_true(str_eq(request.body, STR("hi")));
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);
        const char *got = receive_until(f, "{}");
        assert_non_null(strstr(
                got,
                "Content-Type: a/b\r\nContent-Length: 6\r\nServer-Timing: handler;dur=1.500\r\n\r\n<body>"));
}

static void two_connections_are_served_in_the_order_of_their_requests(void **state)
{
        struct fixture *f = *state;
        own_fd int second = dial(f->port);
        struct agent_request request;
        const struct agent_reply reply = {.status = 204};
        const struct frame_usage usage = {0};

        send_text(f, "POST /first HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx"); /* not complete yet */
        const char *whole = "GET /second HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_int_equal(send(second, whole, strlen(whole), 0), strlen(whole));
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_true(str_eq(request_field(&request, STR(":path")), STR("/second")));
        send_text(f, "y");
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_OK);
        assert_true(str_eq(request_field(&request, STR(":path")), STR("/first")));
        assert_int_equal(f->t->ops->reply(f->t, 1, &reply, &usage, NULL), ERR_OK);
        assert_null(strstr(receive_until(f, "\r\n\r\n"), "Content-Length"));
}

static void a_bad_request_is_refused_and_told_why(void **state)
{
        struct fixture *f = *state;
        struct agent_request request;

        send_text(f, "GET / HTTP/1.1\r\nHost : h\r\n\r\n");
        assert_int_equal(write(f->wake[1], "", 1), 1); /* so that next ends */
        struct timeval limit = {.tv_sec = 20};
        setsockopt(f->peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        assert_true(f->t->ops->poll(f->t));
        const char *got = receive_until(f, "}");
        assert_non_null(strstr(got, "HTTP/1.1 400 Bad Request\r\n"));
        assert_non_null(strstr(got, "Connection: close"));
        own_fd_release(&f->peer);
        f->peer = -1;
        assert_int_equal(f->t->ops->next(f->t, &request, NULL), ERR_CANCELLED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_channel_brings_the_specialisation, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(the_channel_says_ready_or_failed, setup_channel, teardown),
                cmocka_unit_test_setup_teardown(a_run_over_the_channel, setup_channel, teardown),
                cmocka_unit_test_setup_teardown(a_large_body_gets_credit_as_it_is_taken, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_reset_is_noticed_during_the_run, setup_channel, teardown),
                cmocka_unit_test_setup_teardown(several_requests_are_in_hand_at_once, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_reply_without_credit_holds_up_no_other, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(resets_reach_requests_in_every_state, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(streams_that_no_server_sends_end_the_channel, setup_channel,
                                                teardown),
                cmocka_unit_test_setup_teardown(closing_and_sigterm_end_the_wait, setup_channel, teardown),
                cmocka_unit_test_setup_teardown(a_run_over_tcp_between_two_probes, setup_port, teardown),
                cmocka_unit_test_setup_teardown(two_connections_are_served_in_the_order_of_their_requests,
                                                setup_port, teardown),
                cmocka_unit_test_setup_teardown(a_bad_request_is_refused_and_told_why, setup_port, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
