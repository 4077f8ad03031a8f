/* http/tls_impl.h: what the parts of TLS share. Only http/tls*.c include it. */
#ifndef DISPATCH_HTTP_TLS_IMPL_H
#define DISPATCH_HTTP_TLS_IMPL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_entry {
        SSL_CTX *ctx; /* a certificate, its chain and its key */
};

struct tls_context {
        atomic_uint refs;
        BIO_METHOD *wire;
        size_t count;
        struct tls_entry entries[];
};

/* How OpenSSL reaches a connection's socket and buffer. NULL: no memory. */
BIO_METHOD *tls_wire_create(void);

#endif
