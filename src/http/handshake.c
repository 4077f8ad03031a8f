/*
 * http/handshake.c: a connection's beginning where TLS is spoken. Nothing is allocated for it before the
 * client has sent a byte, and that byte tells who came to the wrong port: a record of TLS begins with 22, a
 * request with a letter.
 */
#include "http/conn.h"

#include <errno.h>
#include <sys/socket.h>

static bool is_letter(unsigned char byte)
{
        return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/* False: not yet, or not any more. */
static bool handshake_begin(struct http_conn *conn)
{
        unsigned char byte;
        ssize_t n = recv(conn->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                return false;
        if (n <= 0) {
                conn_close(conn);
                return false;
        }
        if (is_letter(byte)) {
                conn_refuse(conn, 400, "this port takes HTTPS alone: begin the address with https://");
                return false;
        }
        conn->transport.tls = tls_create(conn->server->tls, conn->transport.fd);
        if (conn->transport.tls == NULL)
                conn_close(conn);
        return conn->transport.tls != NULL;
}

/* The client gets to read the alert. */
static void handshake_fail(struct http_conn *conn)
{
        conn_move(conn, CONN_FINISHING);
        conn->close_after = conn->linger = true;
        conn_advance(conn);
}

void conn_handshake(struct http_conn *conn)
{
        if (conn->transport.tls == NULL && !handshake_begin(conn))
                return;
        enum in_result result = tls_handshake(conn->transport.tls);
        conn_out_result(conn, transport_flush(&conn->transport));
        if (conn->broken || result == IN_END) {
                conn_close(conn);
                return;
        }
        if (result == IN_BROKEN) {
                handshake_fail(conn);
                return;
        }
        if (result == IN_DONE)
                conn_move(conn, CONN_IDLE);
        conn_settle(conn);
}
