/* runtimes/agent/peer.c: see peer.h. */
#include "runtimes/agent/peer.h"

#include "base/clock.h"
#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

enum { READ_SIZE = 65536, OUR_FIELDS = 4 };

struct peer *peer_create(int fd)
{
        struct peer *peer = calloc(1, sizeof(*peer));

        if (peer == NULL) {
                close(fd);
                return NULL;
        }
        peer->fd = fd;
        peer->active_ms = clock_mono_ms();
        buf_init(&peer->in, PEER_HEAD_MAX + 2 * READ_SIZE);
        buf_init(&peer->head, FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX);
        buf_init(&peer->body, AGENT_BODY_MAX);
        http_parser_init(&peer->parser, HTTP_PARSE_REQUEST, peer->fields, PEER_FIELDS_MAX, PEER_HEAD_MAX);
        return peer;
}

void peer_destroy(struct peer *peer)
{
        if (peer == NULL)
                return;
        close(peer->fd);
        buf_finish(&peer->in);
        buf_finish(&peer->head);
        buf_finish(&peer->body);
        free(peer);
}

static bool send_all(int fd, struct str bytes)
{
        while (bytes.len > 0) {
                ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0) {
                        bytes = str_slice(bytes, (size_t)n, bytes.len);
                        continue;
                }
                struct pollfd wait = {.fd = fd, .events = POLLOUT};
                if (errno != EINTR && (errno != EAGAIN || poll(&wait, 1, PEER_WRITE_MS) == 0))
                        return false;
        }
        return true;
}

static void refuse(struct peer *peer, int status, const char *reason)
{
        own_buf struct buf body;
        struct peer_reply reply = {.status = status, .content_type = STR("application/json"), .close = true};

        buf_init(&body, 1024);
        if (buf_printf(&body, "{\"code\":%d,\"message\":", status) == ERR_OK &&
            json_put_string(&body, str_of(reason)) == ERR_OK && buf_append(&body, "}", 1) == ERR_OK)
                reply.body = (struct str){body.data, body.len};
        peer_write(peer, &reply);
        shutdown(peer->fd, SHUT_WR);
        peer->closing = true;
        buf_clear(&peer->in);
}

/* Field names in lower case, in `names`. */
static struct str lower_name(struct buf *names, struct str name)
{
        char *to = names->data + names->len;

        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        }
        names->len += name.len;
        return (struct str){to, name.len};
}

/* Copies the head out of the input, in the shape in which the channel brings it. */
static bool keep_head(struct peer *peer)
{
        const struct http_request *request = &peer->parser.request;
        struct frame_field fields[PEER_FIELDS_MAX + OUR_FIELDS];
        own_buf struct buf names;
        size_t count = 0, bytes = 0;

        for (size_t i = 0; i < request->fields.count; i++)
                bytes += request->fields.items[i].name.len;
        buf_init(&names, PEER_HEAD_MAX);
        if (buf_reserve(&names, bytes) != ERR_OK)
                return false;
        fields[count++] = (struct frame_field){STR(":method"), request->method};
        fields[count++] = (struct frame_field){STR(":path"), request->target};
        fields[count++] = (struct frame_field){STR(":scheme"), STR("http")};
        struct str source = http_field_get(request->fields, STR("dispatch-source"));
        fields[count++] = (struct frame_field){STR(":source"),
                                               str_eq(source, STR("run")) ? STR("run") : STR("endpoint")};
        for (size_t i = 0; i < request->fields.count; i++)
                fields[count++] = (struct frame_field){lower_name(&names, request->fields.items[i].name),
                                                       request->fields.items[i].value};
        buf_clear(&peer->head);
        if (frame_put_fields(&peer->head, FRAME_HEAD, 1, fields, count) != ERR_OK)
                return false;
        struct str payload =
                str_slice((struct str){peer->head.data, peer->head.len}, FRAME_HEADER_LEN, peer->head.len);
        return frame_parse_fields(payload, peer->request_fields, &peer->request_field_count, NULL) == ERR_OK;
}

static bool on_head(struct peer *peer)
{
        const struct http_request *request = &peer->parser.request;

        peer->has_head = true;
        peer->keep_alive = peer->parser.keep_alive;
        peer->to_head = str_eq(request->method, STR("HEAD"));
        peer->health = str_eq(request->path, STR("/healthz")) &&
                       (peer->to_head || str_eq(request->method, STR("GET")));
        if (!keep_head(peer)) {
                refuse(peer, 431, "request header is too large");
                return true;
        }
        return !peer->parser.expect_continue || send_all(peer->fd, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static bool on_body(struct peer *peer, struct str piece)
{
        if (peer->too_large)
                return true;
        enum err_code code = buf_append(&peer->body, piece.p, piece.len);
        if (code == ERR_TOO_LARGE) {
                peer->too_large = true;
                buf_finish(&peer->body);
                return true;
        }
        return code == ERR_OK;
}

bool peer_parse(struct peer *peer)
{
        while (!peer->complete) {
                struct str in = {peer->in.data, peer->in.len}, piece = {NULL, 0};
                size_t used = 0;
                bool fine = true;

                enum http_event event = http_parser_next(&peer->parser, in, &used, &piece);
                if (event == HTTP_HEAD)
                        fine = on_head(peer);
                else if (event == HTTP_DATA)
                        fine = on_body(peer, piece);
                else if (event == HTTP_END)
                        peer->complete = true;
                else if (event == HTTP_ERROR)
                        refuse(peer, peer->parser.status, peer->parser.reason);
                if (peer->closing)
                        return true;
                buf_consume(&peer->in, used);
                if (!fine)
                        return false;
                if (event == HTTP_MORE)
                        return !peer->ended;
        }
        return true;
}

static bool drop_rest(struct peer *peer)
{
        char piece[4096];
        ssize_t n;

        while ((n = recv(peer->fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
                peer->dropped += (size_t)n;
                if (peer->dropped > PEER_LINGER_MAX)
                        return false;
        }
        return n < 0 && (errno == EAGAIN || errno == EINTR);
}

bool peer_read(struct peer *peer)
{
        if (peer->closing)
                return drop_rest(peer);
        if (peer->in.max - peer->in.len < READ_SIZE)
                return true; /* enough is waiting */
        if (buf_reserve(&peer->in, READ_SIZE) != ERR_OK)
                return false;
        ssize_t n = recv(peer->fd, peer->in.data + peer->in.len, READ_SIZE, MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                peer->ended = true;
        peer->in.len += (size_t)n;
        peer->active_ms = clock_mono_ms();
        return peer_parse(peer) && (!peer->ended || peer->complete);
}

void peer_next(struct peer *peer)
{
        peer->complete = peer->has_head = peer->too_large = peer->health = false;
        peer->active_ms = clock_mono_ms();
        buf_clear(&peer->body);
        http_parser_reset(&peer->parser, false);
}

void peer_request(const struct peer *peer, struct agent_request *ret)
{
        *ret = (struct agent_request){
                .stream = 1,
                .fields = peer->request_fields,
                .field_count = peer->request_field_count,
                .body = {peer->body.data, peer->body.len},
                .body_too_large = peer->too_large,
        };
}

/* IMF-fixdate (RFC 9110 section 5.6.7), in English whatever the locale. */
static enum err_code put_date(struct buf *out)
{
        static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        time_t now = time(NULL);
        struct tm tm;

        gmtime_r(&now, &tm);
        return buf_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
                          days + (size_t)tm.tm_wday * 3, tm.tm_mday, months + (size_t)tm.tm_mon * 3,
                          tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static enum err_code put_head(struct buf *out, const struct peer_reply *reply, bool bodiless, bool close)
{
        enum err_code code = buf_printf(out, "HTTP/1.1 %d %s\r\n", reply->status, http_reason(reply->status));

        if (code == ERR_OK)
                code = put_date(out);
        if (code == ERR_OK && reply->content_type.p != NULL)
                code = buf_printf(out, "Content-Type: %.*s\r\n", STR_ARG(reply->content_type));
        if (code == ERR_OK && !bodiless)
                code = buf_printf(out, "Content-Length: %zu\r\n", reply->body.len);
        if (code == ERR_OK && reply->error != NULL)
                code = buf_printf(out, "Dispatch-Error: %s\r\n", reply->error);
        if (code == ERR_OK && reply->handler_us > 0)
                code = buf_printf(out, "Server-Timing: handler;dur=%.3f\r\n",
                                  (double)reply->handler_us / 1000);
        for (size_t i = 0; i < reply->field_count && code == ERR_OK; i++)
                code = buf_printf(out, "%.*s: %.*s\r\n", STR_ARG(reply->fields[i].name),
                                  STR_ARG(reply->fields[i].value));
        if (code == ERR_OK && close)
                code = buf_append_text(out, "Connection: close\r\n");
        return code == ERR_OK ? buf_append_text(out, "\r\n") : code;
}

bool peer_write(struct peer *peer, const struct peer_reply *reply)
{
        bool bodiless = reply->status == 204 || reply->status == 304 || reply->status < 200;
        bool close = reply->close || !peer->keep_alive;
        own_buf struct buf out;

        buf_init(&out, 4 * (size_t)PEER_HEAD_MAX);
        if (put_head(&out, reply, bodiless, close) != ERR_OK)
                return false;
        struct str body = bodiless || peer->to_head ? STR("") : reply->body;
        if (body.len > 0 && body.len <= PEER_HEAD_MAX && buf_append(&out, body.p, body.len) == ERR_OK)
                body = STR("");
        return send_all(peer->fd, (struct str){out.data, out.len}) && send_all(peer->fd, body) && !close;
}
