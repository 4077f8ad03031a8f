/* cli/auth.c: signing with a service account's private key, by OpenSSL. */
#include "cli/auth.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/file.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

enum {
        KEY_FILE_MAX = 64 * 1024,
        CLAIM_MAX = 16 * 1024,
        ISSUED_BEFORE_S = 60, /* for a server whose clock is behind */
        VALID_FOR_S = 3600
};

static void release_key(EVP_PKEY **key)
{
        EVP_PKEY_free(*key);
}

static void release_digest(EVP_MD_CTX **digest)
{
        EVP_MD_CTX_free(*digest);
}

/* Base64 for URLs without padding, RFC 4648 section 5. */
static enum err_code append_base64url(struct buf *out, const void *bytes, size_t len)
{
        size_t encoded = base64_encoded_len(len);
        enum err_code code = buf_reserve(out, encoded);

        if (code != ERR_OK)
                return code;
        base64_encode(bytes, len, out->data + out->len);
        for (char *at = out->data + out->len, *end = at + encoded; at < end && *at != '='; at++, out->len++)
                *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
        return ERR_OK;
}

static enum err_code append_claims(const struct settings *settings, struct buf *out, struct err *err)
{
        bool whole = strchr(settings->service_account, '/') != NULL;
        int64_t now_s = clock_wall_s();
        own_buf struct buf issuer = {.max = CLAIM_MAX}, claims = {.max = CLAIM_MAX};
        own_json json_t *object = NULL;
        if (buf_printf(&issuer, "%s%s%s", whole ? "" : settings->organization, whole ? "" : "/",
                       settings->service_account) != ERR_OK ||
            buf_text(&issuer) == NULL)
                return err_nomem(err);
        object = json_pack("{s:s, s:I, s:I}", "iss", buf_text(&issuer), "iat",
                           (json_int_t)(now_s - ISSUED_BEFORE_S), "exp", (json_int_t)(now_s + VALID_FOR_S));
        if (object == NULL)
                return err_set(err, ERR_INVALID, "the service account's name is not UTF-8");

        enum err_code code = json_print(object, &claims, err);
        if (code != ERR_OK)
                return code;
        return append_base64url(out, claims.data, claims.len) == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code read_key(const char *path, EVP_PKEY **ret, struct err *err)
{
        own_buf struct buf text = {.max = KEY_FILE_MAX};
        BIO *bio;

        if (path[0] == '\0')
                return err_set(err, ERR_INVALID, "a service account needs --jwt-private-key FILE");
        enum err_code code = file_read(path, &text, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "error reading key file");
        bio = BIO_new_mem_buf(text.data, (int)text.len);
        if (bio != NULL)
                *ret = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
        BIO_free(bio);
        if (text.data != NULL)
                explicit_bzero(text.data, text.len);
        if (*ret == NULL || EVP_PKEY_base_id(*ret) != EVP_PKEY_RSA)
                return err_set(err, ERR_INVALID, "%s holds no RSA private key in PEM without a passphrase",
                               path);
        return ERR_OK;
}

static enum err_code append_signature(EVP_PKEY *key, struct str signed_text, struct buf *out, struct err *err)
{
        __attribute__((cleanup(release_digest))) EVP_MD_CTX *digest = EVP_MD_CTX_new();
        unsigned char signature[2048];
        size_t len = sizeof(signature);

        if (digest == NULL || EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, key) != 1 ||
            EVP_DigestSign(digest, signature, &len, (const unsigned char *)signed_text.p, signed_text.len) !=
                    1)
                return err_set(err, ERR_SYSTEM, "signing with the service account's key failed");
        if (buf_append_text(out, ".") != ERR_OK || append_base64url(out, signature, len) != ERR_OK)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code auth_sign(const struct settings *settings, struct buf *out, struct err *err)
{
        static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
        __attribute__((cleanup(release_key))) EVP_PKEY *key = NULL;
        own_buf struct buf token = {.max = CLAIM_MAX * 2};
        enum err_code code = read_key(settings->jwt_private_key, &key, err);

        if (code != ERR_OK)
                return code;
        if (append_base64url(&token, header, sizeof(header) - 1) != ERR_OK ||
            buf_append_text(&token, ".") != ERR_OK)
                return err_nomem(err);
        code = append_claims(settings, &token, err);
        if (code == ERR_OK)
                code = append_signature(key, (struct str){token.data, token.len}, &token, err);
        if (code == ERR_OK && buf_append(out, token.data, token.len) != ERR_OK)
                code = err_nomem(err);
        return code;
}
