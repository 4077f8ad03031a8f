/* http/tls.c: one connection's encryption. OpenSSL's queue of errors is the thread's: it is emptied before
 * each call. */
#include "http/tls.h"

#include "http/tls_impl.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
        RECORD_BYTES = 16384,          /* of plain text in one record */
        WAITING_BYTES_HIGH = 64 << 10, /* enough for one send */
        WAITING_BYTES_MAX = 256 << 10, /* that, a record, and the longest chain of certificates */
};

struct tls {
        SSL *ssl;
        struct tls_context *context;
        int fd;
        bool input_ended; /* of the socket */
        bool more;
        bool ended, failed;
        struct buf out; /* ciphertext */
        size_t out_at;
};

static int wire_read(BIO *bio, char *bytes, int size)
{
        struct tls *tls = BIO_get_data(bio);
        ssize_t n;

        BIO_clear_retry_flags(bio);
        do {
                n = recv(tls->fd, bytes, (size_t)size, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                BIO_set_retry_read(bio);
        tls->input_ended = n == 0;
        return (int)n;
}

static int wire_write(BIO *bio, const char *bytes, int len)
{
        struct tls *tls = BIO_get_data(bio);

        BIO_clear_retry_flags(bio);
        return buf_append(&tls->out, bytes, (size_t)len) == ERR_OK ? len : -1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
        const struct tls *tls = BIO_get_data(bio);

        (void)number;
        (void)pointer;
        if (command == BIO_CTRL_EOF)
                return tls->input_ended;
        return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_wire_create(void)
{
        BIO_METHOD *wire = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket of dispatch");

        if (wire == NULL || BIO_meth_set_read(wire, wire_read) != 1 ||
            BIO_meth_set_write(wire, wire_write) != 1 || BIO_meth_set_ctrl(wire, wire_ctrl) != 1) {
                BIO_meth_free(wire);
                return NULL;
        }
        return wire;
}

struct tls *tls_create(struct tls_context *context, int fd)
{
        struct tls *tls = calloc(1, sizeof(*tls));
        BIO *bio;

        ERR_clear_error();
        if (tls == NULL)
                return NULL;
        tls->fd = fd;
        buf_init(&tls->out, WAITING_BYTES_MAX);
        tls->ssl = SSL_new(context->entries[0].ctx);
        bio = tls->ssl != NULL ? BIO_new(context->wire) : NULL;
        if (bio == NULL) {
                SSL_free(tls->ssl);
                free(tls);
                return NULL;
        }
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
        SSL_set_bio(tls->ssl, bio, bio);
        SSL_set_accept_state(tls->ssl);
        tls->context = tls_context_ref(context);
        return tls;
}

void tls_destroy(struct tls *tls)
{
        if (tls == NULL)
                return;
        SSL_free(tls->ssl);
        tls_context_unref(tls->context);
        buf_finish(&tls->out);
        free(tls);
}

static enum in_result result_of(struct tls *tls, int returned)
{
        int error = SSL_get_error(tls->ssl, returned);

        tls->more = false;
        if (error == SSL_ERROR_WANT_READ)
                return IN_WAIT;
        if (error == SSL_ERROR_ZERO_RETURN)
                return IN_END;
        tls->failed = true; /* OpenSSL forbids anything further, a close_notify too */
        return tls->input_ended ? IN_END : IN_BROKEN;
}

enum in_result tls_handshake(struct tls *tls)
{
        ERR_clear_error();
        int returned = SSL_do_handshake(tls->ssl);

        if (returned != 1)
                return result_of(tls, returned);
        tls->more = SSL_has_pending(tls->ssl) == 1;
        return IN_DONE;
}

enum in_result tls_read(struct tls *tls, void *bytes, size_t size, size_t *ret)
{
        ERR_clear_error();
        if (tls->failed)
                return tls->input_ended ? IN_END : IN_BROKEN;
        int returned = SSL_read_ex(tls->ssl, bytes, size, ret);

        if (returned != 1)
                return result_of(tls, returned);
        tls->more = SSL_has_pending(tls->ssl) == 1;
        return IN_DONE;
}

bool tls_has_more(const struct tls *tls)
{
        return tls->more;
}

/* The next record's text behind the first `done` bytes: where it lies, if that is in one piece, else copied.
 */
static struct str record_text(const struct iovec *iov, int count, size_t done, char scratch[RECORD_BYTES])
{
        struct str text = {scratch, 0};

        for (int i = 0; i < count && text.len < RECORD_BYTES; i++) {
                size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
                size_t len = iov[i].iov_len - skip, room = RECORD_BYTES - text.len;
                const char *from = (const char *)iov[i].iov_base + skip;

                done -= skip;
                if (len == 0)
                        continue;
                if (text.len == 0 && (len >= RECORD_BYTES || i == count - 1))
                        return (struct str){from, len < RECORD_BYTES ? len : RECORD_BYTES};
                if (len > room)
                        len = room;
                memcpy(scratch + text.len, from, len);
                text.len += len;
        }
        return text;
}

bool tls_encrypt(struct tls *tls, const struct iovec *iov, int count, size_t *done)
{
        char scratch[RECORD_BYTES];

        assert(tls_waiting(tls) == 0);
        while (!tls->failed && tls->out.len < WAITING_BYTES_HIGH) {
                struct str text = record_text(iov, count, *done, scratch);
                size_t written = 0;

                if (text.len == 0)
                        break;
                ERR_clear_error();
                if (SSL_write_ex(tls->ssl, text.p, text.len, &written) != 1)
                        tls->failed = true;
                *done += written;
        }
        return !tls->failed;
}

enum out_result tls_flush(struct tls *tls)
{
        while (tls->out_at < tls->out.len) {
                ssize_t n = send(tls->fd, tls->out.data + tls->out_at, tls->out.len - tls->out_at,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN || errno == EWOULDBLOCK ? OUT_BLOCKED : OUT_BROKEN;
                tls->out_at += (size_t)n;
        }
        buf_finish(&tls->out);
        buf_init(&tls->out, WAITING_BYTES_MAX);
        tls->out_at = 0;
        return OUT_DONE;
}

size_t tls_waiting(const struct tls *tls)
{
        return tls->out.len - tls->out_at;
}

enum out_result tls_end(struct tls *tls)
{
        ERR_clear_error();
        if (!tls_ended(tls) && SSL_shutdown(tls->ssl) < 0)
                tls->failed = true;
        tls->ended = true;
        return tls_flush(tls);
}

bool tls_ended(const struct tls *tls)
{
        return tls->ended || tls->failed || !SSL_is_init_finished(tls->ssl);
}
