/* http/tls_impl.h: what the parts of TLS share. Only http/tls*.c include it. */
#ifndef DISPATCH_HTTP_TLS_IMPL_H
#define DISPATCH_HTTP_TLS_IMPL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#define own_x509 __attribute__((cleanup(tls_x509_release)))
#define own_pkey __attribute__((cleanup(tls_pkey_release)))
#define own_bio  __attribute__((cleanup(tls_bio_release)))

static inline void tls_x509_release(X509 **certificate)
{
        X509_free(*certificate);
}

static inline void tls_pkey_release(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

static inline void tls_bio_release(BIO **bio)
{
        BIO_free_all(*bio);
}

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
