/* http/tls_context.c: certificates and keys, checked when they are read, and which of them answers to which
 * name. */
#include "http/tls.h"
#include "http/tls_impl.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 16, SECURITY_LEVEL = 2 /* RSA of 2048 bits, SHA-2 */ };

struct tls_context *tls_context_ref(struct tls_context *context)
{
        if (context != NULL)
                atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
        return context;
}

void tls_context_unref(struct tls_context *context)
{
        if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (size_t i = 0; i < context->count; i++)
                SSL_CTX_free(context->entries[i].ctx);
        BIO_meth_free(context->wire);
        free(context);
}

/* RFC 7301: who offers protocols and none of ours is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned int in_len, void *arg)
{
        static const unsigned char ours[] = "\x08http/1.1";
        unsigned char *chosen;

        (void)ssl;
        (void)arg;
        if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
            OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
}

static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
        const struct tls_context *context = arg;
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

        (void)alert;
        for (size_t i = 0; name != NULL && i < context->count; i++) {
                if (X509_check_host(SSL_CTX_get0_certificate(context->entries[i].ctx), name, 0, 0, NULL) != 1)
                        continue;
                return SSL_set_SSL_CTX(ssl, context->entries[i].ctx) != NULL ? SSL_TLSEXT_ERR_OK
                                                                             : SSL_TLSEXT_ERR_ALERT_FATAL;
        }
        return SSL_TLSEXT_ERR_OK;
}

/* What OpenSSL says, without its numbers. */
static const char *reason(void)
{
        const char *text = ERR_reason_error_string(ERR_peek_last_error());

        return text != NULL ? text : "out of memory";
}

static SSL_CTX *settings_make(void)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        if (ctx == NULL)
                return NULL;
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
        if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
            SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
            SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1) {
                SSL_CTX_free(ctx);
                return NULL;
        }
        return ctx;
}

/* Nobody is there to be asked. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
        (void)out;
        (void)size;
        (void)writing;
        (void)arg;
        return -1;
}

static BIO *reader(struct str text)
{
        return BIO_new_mem_buf(text.p, (int)text.len);
}

static enum err_code key_read(const struct tls_pair *pair, EVP_PKEY **ret, struct err *err)
{
        own_bio BIO *in = reader(pair->key);

        if (in == NULL)
                return err_nomem(err);
        *ret = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
        if (*ret != NULL)
                return ERR_OK;
        if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ ||
            memmem(pair->key.p, pair->key.len, "ENCRYPTED", 9) != NULL)
                return err_set(
                        err, ERR_INVALID,
                        "the key %s is encrypted; give one without a passphrase, readable by root alone",
                        pair->key_name);
        return err_set(err, ERR_INVALID, "%s holds no private key in PEM form", pair->key_name);
}

static enum err_code too_weak(const struct tls_pair *pair, struct err *err)
{
        return err_set(err, ERR_INVALID,
                       "the certificate %s cannot be used: %s (RSA needs 2048 bits or more)",
                       pair->certificate_name, reason());
}

/* The certificates behind the first. */
static enum err_code chain_read(SSL_CTX *ctx, BIO *in, const struct tls_pair *pair, struct err *err)
{
        for (int i = 0; i < CHAIN_MAX; i++) {
                own_x509 X509 *next = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
                if (next == NULL) {
                        if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
                                return ERR_OK;
                        return err_set(err, ERR_INVALID, "certificate %d of %s is malformed", i + 2,
                                       pair->certificate_name);
                }
                if (SSL_CTX_add1_chain_cert(ctx, next) != 1)
                        return too_weak(pair, err);
        }
        return err_set(err, ERR_INVALID, "%s holds more than %d certificates", pair->certificate_name,
                       CHAIN_MAX);
}

static void times_check(const X509 *certificate, const char *name, void (*warn)(void *arg, const char *text),
                        void *arg)
{
        char text[ERR_TEXT_MAX];

        if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
                snprintf(text, sizeof(text), "the certificate %s has expired: clients will refuse it", name);
        else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
                snprintf(text, sizeof(text), "the certificate %s is not valid yet: clients will refuse it",
                         name);
        else
                return;
        if (warn != NULL)
                warn(arg, text);
}

static enum err_code pair_use(SSL_CTX *ctx, const struct tls_pair *pair,
                              void (*warn)(void *arg, const char *text), void *arg, struct err *err)
{
        own_bio BIO *in = reader(pair->certificate);
        own_pkey EVP_PKEY *key = NULL;
        own_x509 X509 *certificate = NULL;

        if (in == NULL)
                return err_nomem(err);
        certificate = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
        if (certificate == NULL)
                return err_set(err, ERR_INVALID, "%s holds no certificate in PEM form",
                               pair->certificate_name);
        enum err_code code = key_read(pair, &key, err);
        if (code != ERR_OK)
                return code;
        if (SSL_CTX_use_certificate(ctx, certificate) != 1)
                return too_weak(pair, err);
        if (X509_check_private_key(certificate, key) != 1)
                return err_set(err, ERR_INVALID, "the key %s does not belong to the certificate %s",
                               pair->key_name, pair->certificate_name);
        if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
                return err_set(err, ERR_INVALID, "the key %s cannot be used: %s", pair->key_name, reason());
        ERR_clear_error();
        code = chain_read(ctx, in, pair, err);
        if (code == ERR_OK)
                times_check(certificate, pair->certificate_name, warn, arg);
        return code;
}

enum err_code tls_context_create(const struct tls_pair *pairs, size_t count,
                                 void (*warn)(void *arg, const char *text), void *arg,
                                 struct tls_context **ret, struct err *err)
{
        assert(count > 0 && count <= TLS_PAIRS_MAX);
        struct tls_context *context = calloc(1, sizeof(*context) + count * sizeof(context->entries[0]));
        enum err_code code = ERR_OK;

        if (context == NULL)
                return err_nomem(err);
        ERR_clear_error();
        atomic_init(&context->refs, 1);
        context->wire = tls_wire_create();
        if (context->wire == NULL)
                code = err_nomem(err);
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                SSL_CTX *ctx = settings_make();
                if (ctx == NULL) {
                        code = err_set(err, ERR_NO_MEMORY, "prepare TLS: %s", reason());
                        break;
                }
                context->entries[context->count++].ctx = ctx;
                code = pair_use(ctx, &pairs[i], warn, arg, err);
        }
        ERR_clear_error();
        if (code != ERR_OK) {
                tls_context_unref(context);
                return code;
        }
        SSL_CTX_set_tlsext_servername_callback(context->entries[0].ctx, choose_certificate);
        SSL_CTX_set_tlsext_servername_arg(context->entries[0].ctx, context);
        *ret = context;
        return ERR_OK;
}
