/* build/sigv4.c: canonical request, string to sign, derived key, signature; in that order. */
#include "build/sigv4.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_LEN = 32, DAY_LEN = 8, SECRET_MAX = 256 };

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* What ends the scope of a key. */
static const char terminator[] = "aws4_request";

static bool is_unreserved(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

enum err_code sigv4_encode(struct buf *out, struct str text, bool keep_slash)
{
        static const char digits[] = "0123456789ABCDEF";
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < text.len && code == ERR_OK; i++) {
                unsigned char c = (unsigned char)text.p[i];
                char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

                if (is_unreserved(text.p[i]) || (keep_slash && c == '/'))
                        code = buf_append(out, &text.p[i], 1);
                else
                        code = buf_append(out, escaped, sizeof(escaped));
        }
        return code;
}

static int str_compare(struct str a, struct str b)
{
        size_t shorter = a.len < b.len ? a.len : b.len;
        int order = shorter > 0 ? memcmp(a.p, b.p, shorter) : 0;

        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* By name, then by value. Encoded and plain text sort alike where it matters to S3: its names and values are
 * of what is not encoded, and '%' sorts before all of that. */
static int field_compare(const void *left, const void *right)
{
        const struct sigv4_field *a = left, *b = right;
        int order = strcmp(a->name, b->name);

        return order != 0 ? order : str_compare(a->value, b->value);
}

static void fields_sort(const struct sigv4_field *fields, size_t count,
                        struct sigv4_field sorted[SIGV4_FIELDS_MAX])
{
        if (count > 0)
                memcpy(sorted, fields, count * sizeof(*fields));
        qsort(sorted, count, sizeof(*sorted), field_compare);
}

enum err_code sigv4_query(struct buf *out, const struct sigv4_field *query, size_t count)
{
        struct sigv4_field sorted[SIGV4_FIELDS_MAX];
        enum err_code code = ERR_OK;

        assert(count <= SIGV4_FIELDS_MAX);
        fields_sort(query, count, sorted);
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                if (i > 0)
                        code = buf_append_text(out, "&");
                if (code == ERR_OK)
                        code = sigv4_encode(out, str_of(sorted[i].name), false);
                if (code == ERR_OK)
                        code = buf_append_text(out, "=");
                if (code == ERR_OK)
                        code = sigv4_encode(out, sorted[i].value, false);
        }
        return code;
}

void sigv4_date(time_t when, char out[SIGV4_DATE_LEN + 1])
{
        struct tm parts;

        gmtime_r(&when, &parts);
        strftime(out, SIGV4_DATE_LEN + 1, "%Y%m%dT%H%M%SZ", &parts);
}

void sigv4_sha256(const void *bytes, size_t len, char out[SIGV4_HEX_LEN + 1])
{
        unsigned char hash[HASH_LEN];

        SHA256(bytes, len, hash);
        hex_encode(hash, sizeof(hash), out);
        out[SIGV4_HEX_LEN] = '\0';
}

/* Without blanks around it, and one for each run of them within. */
static enum err_code value_append(struct buf *out, struct str value)
{
        enum err_code code = ERR_OK;

        value = str_trim(value, " \t");
        for (size_t i = 0; i < value.len && code == ERR_OK; i++) {
                if (value.p[i] == ' ' && value.p[i - 1] == ' ')
                        continue;
                code = buf_append(out, &value.p[i], 1);
        }
        return code;
}

static enum err_code signed_names(struct buf *out, const struct sigv4_field *sorted, size_t count)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < count && code == ERR_OK; i++)
                code = buf_printf(out, "%s%s", i > 0 ? ";" : "", sorted[i].name);
        return code;
}

static enum err_code canonical_append(const struct sigv4_request *request, struct buf *out)
{
        struct sigv4_field sorted[SIGV4_FIELDS_MAX];
        enum err_code code = buf_printf(out, "%s\n", request->method);

        fields_sort(request->headers, request->header_count, sorted);
        if (code == ERR_OK)
                code = sigv4_encode(out, request->path, true);
        if (code == ERR_OK)
                code = buf_append_text(out, "\n");
        if (code == ERR_OK)
                code = sigv4_query(out, request->query, request->query_count);
        if (code == ERR_OK)
                code = buf_append_text(out, "\n");
        for (size_t i = 0; i < request->header_count && code == ERR_OK; i++) {
                code = buf_printf(out, "%s:", sorted[i].name);
                if (code == ERR_OK)
                        code = value_append(out, sorted[i].value);
                if (code == ERR_OK)
                        code = buf_append_text(out, "\n");
        }
        if (code == ERR_OK)
                code = buf_append_text(out, "\n");
        if (code == ERR_OK)
                code = signed_names(out, sorted, request->header_count);
        return code == ERR_OK ? buf_printf(out, "\n%s", request->payload) : code;
}

enum err_code sigv4_canonical(const struct sigv4_request *request, struct buf *out, struct err *err)
{
        assert(request->path.len > 0 && request->path.p[0] == '/');

        if (request->header_count > SIGV4_FIELDS_MAX || request->query_count > SIGV4_FIELDS_MAX)
                return err_set(err, ERR_LIMIT, "a request to the object store has more than %d headers",
                               SIGV4_FIELDS_MAX);
        enum err_code code = canonical_append(request, out);
        return code == ERR_OK ? ERR_OK : err_set(err, code, "a request to the object store is too long");
}

static void hmac(const void *key, size_t key_len, struct str text, unsigned char out[HASH_LEN])
{
        unsigned int len = HASH_LEN;

        HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.p, text.len, out, &len);
}

/* Of a day, region and service: whoever learns it can sign there and then, no more. */
static enum err_code key_derive(const struct sigv4_keys *keys, struct str day, unsigned char out[HASH_LEN],
                                struct err *err)
{
        char secret[SECRET_MAX + 4] = "AWS4";
        size_t len = strlen(keys->secret_key);

        if (len > SECRET_MAX)
                return err_set(err, ERR_LIMIT, "the secret key of the object store is longer than %d bytes",
                               SECRET_MAX);
        memcpy(secret + 4, keys->secret_key, len);
        hmac(secret, len + 4, day, out);
        hmac(out, HASH_LEN, str_of(keys->region), out);
        hmac(out, HASH_LEN, str_of(keys->service), out);
        hmac(out, HASH_LEN, str_of(terminator), out);
        OPENSSL_cleanse(secret, sizeof(secret));
        return ERR_OK;
}

static enum err_code signature_make(const struct sigv4_keys *keys, const struct buf *canonical,
                                    const char *date, struct str scope, char out[SIGV4_HEX_LEN + 1],
                                    struct err *err)
{
        unsigned char key[HASH_LEN], signature[HASH_LEN];
        char hash[SIGV4_HEX_LEN + 1];
        own_buf struct buf text = {.max = SIGV4_TEXT_MAX};
        enum err_code code = key_derive(keys, (struct str){date, DAY_LEN}, key, err);

        if (code != ERR_OK)
                return code;
        sigv4_sha256(canonical->data, canonical->len, hash);
        code = buf_printf(&text, "%s\n%s\n%.*s\n%s", algorithm, date, STR_ARG(scope), hash);
        if (code == ERR_OK)
                hmac(key, sizeof(key), (struct str){text.data, text.len}, signature);
        OPENSSL_cleanse(key, sizeof(key));
        if (code != ERR_OK)
                return err_nomem(err);
        hex_encode(signature, sizeof(signature), out);
        out[SIGV4_HEX_LEN] = '\0';
        return ERR_OK;
}

enum err_code sigv4_authorize(const struct sigv4_keys *keys, const struct sigv4_request *request,
                              const char date[SIGV4_DATE_LEN + 1], struct buf *out, struct err *err)
{
        own_buf struct buf canonical = {.max = SIGV4_TEXT_MAX}, scope = {.max = SIGV4_TEXT_MAX};
        struct sigv4_field sorted[SIGV4_FIELDS_MAX];
        char signature[SIGV4_HEX_LEN + 1];
        enum err_code code = sigv4_canonical(request, &canonical, err);

        if (code != ERR_OK)
                return code;
        if (buf_printf(&scope, "%.*s/%s/%s/%s", DAY_LEN, date, keys->region, keys->service, terminator) !=
            ERR_OK)
                return err_nomem(err);
        code = signature_make(keys, &canonical, date, (struct str){scope.data, scope.len}, signature, err);
        if (code != ERR_OK)
                return code;
        fields_sort(request->headers, request->header_count, sorted);
        code = buf_printf(out, "%s Credential=%s/%.*s,SignedHeaders=", algorithm, keys->access_key,
                          (int)scope.len, scope.data);
        if (code == ERR_OK)
                code = signed_names(out, sorted, request->header_count);
        if (code == ERR_OK)
                code = buf_printf(out, ",Signature=%s", signature);
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}
