/*
 * cli/auth.c: signing with a service account's private key. The key is used by the program openssl, so that
 * the client links no cryptography of its own.
 */
#include "cli/auth.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/file.h"
#include "cli/subprocess.h"

#include <string.h>

enum {
        KEY_FILE_MAX = 64 * 1024,
        CLAIM_MAX = 16 * 1024,
        SIGNATURE_MAX = 2048, /* of a key of 16384 bits */
        SIGN_TIMEOUT_MS = 20000,
        KEY_PATH_MAX = 4096,
        ISSUED_BEFORE_S = 60, /* for a server whose clock is behind */
        VALID_FOR_S = 3600
};

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

/* That the file can be read is found out here, whose words the caller knows. */
static enum err_code check_key(const char *path, struct err *err)
{
        own_buf struct buf text = {.max = KEY_FILE_MAX};

        if (path[0] == '\0')
                return err_set(err, ERR_INVALID, "a service account needs --jwt-private-key FILE");
        enum err_code code = file_read(path, &text, err);
        buf_wipe(&text);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "error reading key file");
}

/* The padding of RS256 (RFC 7518 section 3.3) is asked for by name, which refuses any key but one of RSA. */
static enum err_code append_signature(const char *path, struct str signed_text, struct buf *out,
                                      struct err *err)
{
        char key[KEY_PATH_MAX];
        own_buf struct buf signature = {.max = SIGNATURE_MAX};
        /* A relative path could be taken for an option or a URI. */
        int len = snprintf(key, sizeof(key), "%s%s", path[0] == '/' ? "" : "./", path), status = 0;
        if (len >= (int)sizeof(key))
                return err_set(err, ERR_INVALID, "the path of the key is longer than %d bytes", KEY_PATH_MAX);

        char *const argv[] = {"openssl", "dgst",    "-sha256",
                              "-sign",   key,       "-passin",
                              "pass:",   "-sigopt", "rsa_padding_mode:pkcs1",
                              "-binary", NULL};
        enum err_code code = subprocess_run(argv, signed_text, SIGN_TIMEOUT_MS, &signature, &status, err);
        if (code == ERR_NOT_FOUND)
                return err_set(
                        err, ERR_UNAVAILABLE,
                        "signing for a service account needs the program openssl, which is not on the PATH: "
                        "install it, or give --token");
        if (code != ERR_OK)
                return err_wrap(err, code, "signing with the service account's key");
        if (status != 0 || signature.len == 0)
                return err_set(err, ERR_INVALID, "%s holds no RSA private key in PEM without a passphrase",
                               path);
        if (buf_append_text(out, ".") != ERR_OK ||
            append_base64url(out, signature.data, signature.len) != ERR_OK)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code auth_sign(const struct settings *settings, struct buf *out, struct err *err)
{
        static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
        own_buf struct buf token = {.max = CLAIM_MAX * 2};
        enum err_code code = check_key(settings->jwt_private_key, err);

        if (code != ERR_OK)
                return code;
        if (append_base64url(&token, header, sizeof(header) - 1) != ERR_OK ||
            buf_append_text(&token, ".") != ERR_OK)
                return err_nomem(err);
        code = append_claims(settings, &token, err);
        if (code == ERR_OK)
                code = append_signature(settings->jwt_private_key, (struct str){token.data, token.len},
                                        &token, err);
        if (code == ERR_OK && buf_append(out, token.data, token.len) != ERR_OK)
                code = err_nomem(err);
        return code;
}
