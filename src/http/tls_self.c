/* http/tls_self.c: a certificate that signs itself, for a server that was given none. */
#include "http/tls.h"

#include "http/tls_impl.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum {
        VALID_DAYS = 825, /* the longest that every platform takes */
        SPARE_DAYS = 30,  /* one that is so close to its end is replaced */
        DAY_S = 86400,
        NAME_MAX_LEN = 253, /* RFC 1035 */
};

/* Of an address the bytes, as a certificate holds them; 0: it is a name. */
static size_t address_bytes(struct str name, unsigned char out[16])
{
        char text[NAME_MAX_LEN + 1];

        if (name.len == 0 || name.len >= sizeof(text))
                return 0;
        memcpy(text, name.p, name.len);
        text[name.len] = '\0';
        if (inet_pton(AF_INET, text, out) == 1)
                return 4;
        return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool name_add(GENERAL_NAMES *names, struct str name)
{
        unsigned char address[16];
        size_t address_len = address_bytes(name, address);
        GENERAL_NAME *one = GENERAL_NAME_new();
        ASN1_STRING *value = ASN1_STRING_type_new(address_len > 0 ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

        if (one == NULL || value == NULL ||
            ASN1_STRING_set(value, address_len > 0 ? (const void *)address : name.p,
                            (int)(address_len > 0 ? address_len : name.len)) != 1) {
                GENERAL_NAME_free(one);
                ASN1_STRING_free(value);
                return false;
        }
        GENERAL_NAME_set0_value(one, address_len > 0 ? GEN_IPADD : GEN_DNS, value);
        if (sk_GENERAL_NAME_push(names, one) > 0)
                return true;
        GENERAL_NAME_free(one);
        return false;
}

static bool names_set(X509 *certificate, const struct str *names, size_t count)
{
        GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
        bool done = list != NULL;

        for (size_t i = 0; i < count && done; i++)
                done = name_add(list, names[i]);
        done = done && X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, 0) == 1;
        GENERAL_NAMES_free(list);
        return done;
}

static bool extension_set(X509 *certificate, int nid, const char *value)
{
        X509V3_CTX context;

        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
        bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        return done;
}

static bool serial_set(X509 *certificate)
{
        unsigned char bytes[16];
        BIGNUM *number = NULL;

        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
                return false;
        bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, never short */
        number = BN_bin2bn(bytes, sizeof(bytes), NULL);
        bool done = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
        BN_free(number);
        return done;
}

/* Two of one server, say an old and a new one in a client's folder of CAs, are told apart by their key's id.
 */
static bool certificate_fill(X509 *certificate, EVP_PKEY *key, const struct str *names, size_t count)
{
        X509_NAME *name = X509_get_subject_name(certificate);

        return X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
               X509_gmtime_adj(X509_getm_notBefore(certificate), -(long)DAY_S) != NULL &&
               X509_gmtime_adj(X509_getm_notAfter(certificate), (long)VALID_DAYS * DAY_S) != NULL &&
               X509_set_pubkey(certificate, key) == 1 &&
               X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Dispatch", -1, -1,
                                          0) == 1 &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                          (const unsigned char *)"self-signed server", -1, -1, 0) == 1 &&
               X509_set_issuer_name(certificate, name) == 1 && names_set(certificate, names, count) &&
               extension_set(certificate, NID_subject_key_identifier, "hash") &&
               extension_set(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
               extension_set(certificate, NID_key_usage, "critical,digitalSignature") &&
               extension_set(certificate, NID_ext_key_usage, "serverAuth") &&
               X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool text_of(BIO *bio, struct buf *out)
{
        char *text;
        long len = BIO_get_mem_data(bio, &text);

        return len > 0 && buf_append(out, text, (size_t)len) == ERR_OK;
}

enum err_code tls_self_sign(const struct str *names, size_t count, struct buf *certificate, struct buf *key,
                            struct err *err)
{
        own_pkey EVP_PKEY *pair = NULL;
        own_x509 X509 *made = X509_new();
        own_bio BIO *certificate_out = BIO_new(BIO_s_mem());
        own_bio BIO *key_out = BIO_new(BIO_s_secmem());

        ERR_clear_error();
        pair = EVP_EC_gen("P-256");
        bool done = pair != NULL && made != NULL && certificate_out != NULL && key_out != NULL &&
                    certificate_fill(made, pair, names, count) &&
                    PEM_write_bio_X509(certificate_out, made) == 1 &&
                    PEM_write_bio_PrivateKey(key_out, pair, NULL, NULL, 0, NULL, NULL) == 1 &&
                    text_of(certificate_out, certificate) && text_of(key_out, key);
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        ERR_clear_error();
        if (done)
                return ERR_OK;
        buf_clear(certificate);
        buf_clear(key);
        return err_set(err, ERR_NO_MEMORY, "make a certificate: %s",
                       reason != NULL ? reason : "out of memory");
}

/* The name as the certificate holds it; a wildcard stands there for itself. */
static bool names_have(const GENERAL_NAMES *held, struct str name)
{
        unsigned char address[16];
        size_t address_len = address_bytes(name, address);
        struct str wanted = address_len > 0 ? (struct str){(const char *)address, address_len} : name;

        for (int i = 0; i < sk_GENERAL_NAME_num(held); i++) {
                int type;
                const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(held, i), &type);
                if (type != (address_len > 0 ? GEN_IPADD : GEN_DNS))
                        continue;
                struct str have = {(const char *)ASN1_STRING_get0_data(value),
                                   (size_t)ASN1_STRING_length(value)};
                if (str_eq_nocase(have, wanted))
                        return true;
        }
        return false;
}

bool tls_certificate_serves(struct str certificate, const struct str *names, size_t count)
{
        own_bio BIO *in = BIO_new_mem_buf(certificate.p, (int)certificate.len);
        own_x509 X509 *found = in != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
        time_t soon = time(NULL) + (time_t)SPARE_DAYS * DAY_S;

        if (found == NULL || X509_cmp_time(X509_get0_notAfter(found), &soon) < 0 ||
            X509_cmp_current_time(X509_get0_notBefore(found)) > 0) {
                ERR_clear_error();
                return false;
        }
        GENERAL_NAMES *held = X509_get_ext_d2i(found, NID_subject_alt_name, NULL, NULL);
        bool serves = held != NULL;
        for (size_t i = 0; i < count && serves; i++)
                serves = names_have(held, names[i]);
        GENERAL_NAMES_free(held);
        ERR_clear_error();
        return serves;
}
