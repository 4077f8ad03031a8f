/*
 * runtimes/agent/port.c: the Function Runtime API over TCP $PORT, as in a pod.
 *
 * Several connections, one invocation at a time, all readiness through one epoll descriptor, so that a
 * runtime that waits for its handler with poll(2) can have /healthz answered meanwhile. What handlers print
 * goes on to the process's own standard output and error, and into the reply where that is a whole message.
 */
#include "runtimes/agent/port_impl.h"

#include "base/clock.h"
#include "base/own.h"
#include "runtimes/agent/message.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BACKLOG = 256, PORT_DEFAULT = 8080, TICK_MS = 1000 };

static struct peer *first_complete(const struct port *port)
{
        struct peer *first = NULL;

        for (struct peer *peer = port->peers; peer != NULL; peer = peer->next) {
                if (peer->complete && (first == NULL || peer->order < first->order))
                        first = peer;
        }
        return first;
}

static bool accepts_message(const struct agent_request *request)
{
        struct str accept = request_field(request, STR("accept"));

        while (accept.len > 0) {
                struct str item = str_cut(&accept, ',');
                if (str_eq_nocase(str_trim(str_cut(&item, ';'), " \t"), STR(MESSAGE_CONTENT_TYPE)))
                        return true;
        }
        return false;
}

static bool is_message(const struct agent_request *request)
{
        struct str type = request_field(request, STR("content-type"));

        return str_eq_nocase(str_trim(str_cut(&type, ';'), " \t"), STR(MESSAGE_CONTENT_TYPE));
}

static bool drained(const struct port *port)
{
        return port_draining(port) && (port->peers == NULL || clock_mono_ms() > port->drain_until_ms);
}

/* When connections that say nothing are looked at again. */
static int port_wait_ms(const struct transport *t)
{
        const struct port *port = (const struct port *)t;

        if (port_draining(port))
                return TICK_MS / 10;
        return port->peers != NULL ? TICK_MS : -1;
}

static void begin(struct port *port, struct peer *peer, struct agent_request *ret)
{
        peer_request(peer, ret);
        ret->envelope = port->message_api || is_message(ret);
        /* what an earlier one left behind must not pass for a part of this one */
        ret->stream = port->last_request = port->last_request % UINT32_MAX + 1;
        pthread_mutex_lock(port->base.lock);
        port->keep_logs = ret->envelope || accepts_message(ret);
        port->current = peer;
        pthread_mutex_unlock(port->base.lock);
}

static enum err_code port_next(struct transport *t, struct agent_request *ret, struct err *err)
{
        struct port *port = port_of(t);
        struct peer *peer;

        while ((peer = first_complete(port)) == NULL) {
                if (drained(port))
                        return err_set(err, ERR_CANCELLED, "told to end");
                enum err_code code = port_step(port, port_wait_ms(t), err);
                if (code != ERR_OK)
                        return code;
        }
        begin(port, peer, ret);
        return ERR_OK;
}

static enum err_code port_try_next(struct transport *t, struct agent_request *ret, struct err *err)
{
        struct port *port = port_of(t);
        struct peer *peer = first_complete(port);

        if (peer == NULL) {
                enum err_code code = port_step(port, 0, err);
                if (code != ERR_OK)
                        return code;
                peer = first_complete(port);
        }
        if (peer == NULL)
                return drained(port) ? err_set(err, ERR_CANCELLED, "told to end")
                                     : err_set(err, ERR_LIMIT, "no request yet");
        begin(port, peer, ret);
        return ERR_OK;
}

static void port_log(struct transport *t, uint32_t request, int stream, struct str text)
{
        struct port *port = port_of(t);
        struct buf *kept = &port->logs[stream - 1];
        int fd = port->originals[stream - 1];

        if (request != 0 && port->current != NULL && port->keep_logs)
                buf_append(kept, text.p, text.len);
        while (text.len > 0) {
                ssize_t n = write(fd, text.p, text.len);
                if (n < 0 && errno != EINTR)
                        return;
                if (n > 0)
                        text = str_slice(text, (size_t)n, text.len);
        }
}

/* The reply as a whole message, always 200. */
static bool write_message(struct port *port, const struct agent_reply *reply, const struct frame_usage *usage)
{
        own_buf struct buf message;
        struct peer_reply whole = {.status = 200,
                                   .content_type = STR(MESSAGE_CONTENT_TYPE),
                                   .handler_us = usage->handler_us,
                                   .close = port_draining(port) || port->base.last};

        buf_init(&message, 6 * (size_t)AGENT_BODY_MAX);
        if (port->message_api)
                whole.content_type = STR("application/json");
        if (message_put(&message, reply, (struct str){port->logs[0].data, port->logs[0].len},
                        (struct str){port->logs[1].data, port->logs[1].len}) != ERR_OK)
                return false;
        whole.body = (struct str){message.data, message.len};
        return peer_write(port->current, &whole);
}

static bool write_plain(struct port *port, const struct agent_reply *reply, const struct frame_usage *usage)
{
        struct peer_reply plain = {.status = reply->status,
                                   .content_type = reply->content_type,
                                   .fields = reply->fields,
                                   .field_count = reply->field_count,
                                   .error = reply->error,
                                   .handler_us = usage->handler_us,
                                   .body = reply->body,
                                   .close = port_draining(port) || port->base.last};

        return peer_write(port->current, &plain);
}

static enum err_code port_reply(struct transport *t, uint32_t request, const struct agent_reply *reply,
                                const struct frame_usage *usage, struct err *err)
{
        struct port *port = port_of(t);
        struct peer *peer = port->current;

        (void)err;
        (void)request; /* the one in hand */
        port_notice_sigterm(port);
        bool alive = port->keep_logs ? write_message(port, reply, usage) : write_plain(port, reply, usage);
        port->current = NULL;
        buf_clear(&port->logs[0]);
        buf_clear(&port->logs[1]);
        if (alive) {
                peer_next(peer);
                alive = port_watch(port, peer->fd, peer) && peer_parse(peer) && port_answer(port, peer);
        }
        if (!alive)
                port_drop(port, peer);
        return ERR_OK;
}

static int port_poll_fd(const struct transport *t)
{
        return ((const struct port *)t)->epoll;
}

static bool port_poll(struct transport *t)
{
        struct port *port = port_of(t);

        return port_step(port, 0, NULL) == ERR_OK;
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
        const char *text = getenv(name);
        uint64_t value;

        return text != NULL && str_to_u64(str_of(text), &value) ? value : otherwise;
}

static enum err_code port_specialise(struct transport *t, struct specialisation *ret, struct err *err)
{
        struct port *port = port_of(t);
        const char *function = getenv("DISPATCH_FUNCTION"), *api = getenv("DISPATCH_RUNTIME_API");

        (void)err;
        port->message_api = api != NULL && strcmp(api, "message") == 0;
        *ret = (struct specialisation){
                .function = function != NULL ? function : "",
                .handler = "",
                .timeout_ms = environment_number("TIMEOUT", 0),
                .log_bytes_max = environment_number("DISPATCH_LOG_BYTES_MAX", AGENT_LOG_MAX),
                .reply_bytes_max = environment_number("DISPATCH_REPLY_BYTES_MAX", AGENT_REPLY_MAX),
        };
        /* room for what lines.c adds: the mark, and line ends */
        buf_init(&port->logs[0], (size_t)ret->log_bytes_max + 1024);
        buf_init(&port->logs[1], (size_t)ret->log_bytes_max + 1024);
        return ERR_OK;
}

static enum err_code port_ready(struct transport *t, const struct buf *error, struct err *err)
{
        struct port *port = port_of(t);

        if (error != NULL) {
                port_log(t, 0, 2, STR("dispatch agent: "));
                port_log(t, 0, 2, (struct str){error->data, error->len});
                port_log(t, 0, 2, STR("\n"));
                return ERR_OK;
        }
        if (listen(port->listener, BACKLOG) < 0)
                return err_sys(err, "listen");
        if (!port_watch(port, port->listener, &port->listener))
                return err_sys(err, "epoll_ctl");
        return ERR_OK;
}

static void port_abandon(struct transport *t)
{
        struct port *port = port_of(t);

        for (struct peer *peer = port->peers; peer != NULL; peer = peer->next)
                close(peer->fd);
        own_fd_release(&port->listener);
        own_fd_release(&port->epoll);
        port->listener = port->epoll = -1;
        port->peers = NULL;
}

static void port_destroy(struct transport *t)
{
        struct port *port = port_of(t);

        while (port->peers != NULL) {
                struct peer *peer = port->peers;
                port->peers = peer->next;
                peer_destroy(peer);
        }
        for (int i = 0; i < 2; i++) {
                if (port->originals[i] >= 0) {
                        dup2(port->originals[i], i + 1);
                        close(port->originals[i]);
                }
                buf_finish(&port->logs[i]);
        }
        own_fd_release(&port->listener);
        own_fd_release(&port->epoll);
        free(port);
}

static const struct transport_ops port_ops = {
        .enforces_timeout = true,
        .specialise = port_specialise,
        .ready = port_ready,
        .next = port_next,
        .try_next = port_try_next,
        .wait_ms = port_wait_ms,
        .log = port_log,
        .reply = port_reply,
        .poll_fd = port_poll_fd,
        .poll = port_poll,
        .abandon = port_abandon,
        .destroy = port_destroy,
};

/* Bound but not listening: a probe fails at once until the handler is loaded. */
static enum err_code bind_port(uint16_t number, int *ret_fd, struct err *err)
{
        struct sockaddr_in6 six = {
                .sin6_family = AF_INET6, .sin6_port = htons(number), .sin6_addr = in6addr_any};
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(number)};
        const int on = 1, off = 0;
        own_fd int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool dual = fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0;

        if (!dual) {
                own_fd_release(&fd);
                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        }
        if (fd < 0)
                return err_sys(err, "socket");
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        int failed = dual ? bind(fd, (struct sockaddr *)&six, sizeof(six))
                          : bind(fd, (struct sockaddr *)&four, sizeof(four));
        if (failed < 0)
                return err_sys(err, "bind port %u", number);
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static enum err_code open_port(struct port *port, struct capture *capture, struct err *err)
{
        uint64_t number = environment_number("PORT", PORT_DEFAULT);

        if (number > UINT16_MAX)
                return err_set(err, ERR_INVALID, "PORT is not a port number");
        port->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (port->epoll < 0 || !port_watch(port, port->base.wake_fd, &port->base))
                return err_sys(err, "epoll");
        enum err_code code = bind_port((uint16_t)number, &port->listener, err);
        for (int i = 0; i < 2 && code == ERR_OK; i++)
                code = capture_replace(&capture[i], i + 1, &port->originals[i], err);
        return code;
}

enum err_code port_create(int wake_fd, pthread_mutex_t *lock, struct capture *capture, struct transport **ret,
                          struct err *err)
{
        struct port *port = calloc(1, sizeof(*port));

        if (port == NULL)
                return err_nomem(err);
        port->base = (struct transport){.ops = &port_ops, .lock = lock, .wake_fd = wake_fd};
        port->epoll = port->listener = port->originals[0] = port->originals[1] = -1;
        enum err_code code = open_port(port, capture, err);
        if (code != ERR_OK) {
                port_destroy(&port->base);
                return code;
        }
        *ret = &port->base;
        return ERR_OK;
}
