/*
 * secrets/secrets.c: sealing and opening. What is sealed is the map as JSON text; what authenticates it
 * besides is where it belongs, so that a row of the store that was moved or renamed does not open.
 *
 * The sealed form is base64 of: a version byte, a random nonce, the ciphertext with its tag
 * (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha; random nonces of 192 bits do not collide).
 */
#include "secrets/secrets.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "secrets/key.h"

enum {
        SEALED_VERSION = 1,
        NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
        TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
        HEAD_BYTES = 1 + NONCE_BYTES,
        FINGERPRINT_BYTES = 16,
        PLACE_MAX = 4096 /* names are bounded far below it */
};
static_assert(SECRETS_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the cipher's key");

struct secrets {
        unsigned char key[SECRETS_KEY_BYTES];
};

/* Memory of libsodium's: locked where the system lets us, wiped when freed. */
static void clear_release(void *slot)
{
        sodium_free(*(void **)slot);
}
#define own_clear __attribute__((cleanup(clear_release)))

enum err_code secrets_open(const char *dir, struct secrets **ret, struct err *err)
{
        if (sodium_init() < 0)
                return err_set(err, ERR_SYSTEM, "libsodium cannot start");

        own_clear struct secrets *secrets = sodium_malloc(sizeof(*secrets));
        if (secrets == NULL)
                return err_nomem(err);
        enum err_code code = secrets_key_load(dir, secrets->key, err);
        if (code == ERR_OK)
                *ret = take_ptr(&secrets);
        return code;
}

static const char fingerprint_key[] = "secrets.key";

static bool any_row(void *arg, struct store_row *row)
{
        (void)row;
        *(bool *)arg = true;
        return false;
}

enum err_code secrets_expect(const char *dir, struct store *store, struct err *err)
{
        const struct store_key all = {MODEL_SECRET, STR(""), STR(""), STR("")};
        own_mem char *known = NULL;
        bool any = false;

        if (secrets_key_exists(dir))
                return ERR_OK;
        enum err_code code = store_meta_get(store, fingerprint_key, &known, err);
        if (code == ERR_NOT_FOUND || (code == ERR_OK && known[0] == '\0'))
                return ERR_OK;
        if (code == ERR_OK)
                code = store_list(store, &all, any_row, &any, err);
        if (code != ERR_OK)
                return code;
        if (!any)
                return store_meta_set(store, fingerprint_key, "", err);
        return err_set(
                err, ERR_PRECONDITION,
                "'%s/secret.key' is missing, and nothing else can open the secrets in the store: put the "
                "file back (from a backup, mode 0600, of the server's user)",
                dir);
}

enum err_code secrets_bind(const struct secrets *secrets, struct store *store, struct err *err)
{
        unsigned char hash[FINGERPRINT_BYTES];
        char text[2 * FINGERPRINT_BYTES + 1];
        own_mem char *known = NULL;

        /* Keyed with the key itself: tells nothing about it. */
        crypto_generichash(hash, sizeof(hash), (const unsigned char *)fingerprint_key,
                           sizeof(fingerprint_key), secrets->key, sizeof(secrets->key));
        hex_encode(hash, sizeof(hash), text);
        text[sizeof(text) - 1] = '\0';
        enum err_code code = store_meta_get(store, fingerprint_key, &known, err);
        if (code == ERR_NOT_FOUND || (code == ERR_OK && known[0] == '\0'))
                return store_meta_set(store, fingerprint_key, text, err);
        if (code != ERR_OK)
                return code;
        if (strcmp(known, text) != 0)
                return err_set(err, ERR_PRECONDITION,
                               "secret.key in the state directory is not the key that its secrets were "
                               "sealed with; put the right file "
                               "back (from a backup), nothing else can open them");
        return ERR_OK;
}

void secrets_close(struct secrets *secrets)
{
        sodium_free(secrets);
}

/* Where a secret belongs, each part with its length in front so that no two places read alike. */
static enum err_code make_place(const struct store_key *key, const char *id, struct buf *out)
{
        const struct str parts[] = {STR("dispatch secret 1"), key->organization, key->project, key->name,
                                    str_of(id)};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && code == ERR_OK; i++) {
                code = buf_printf(out, "%zu:", parts[i].len);
                if (code == ERR_OK)
                        code = buf_append(out, parts[i].p, parts[i].len);
        }
        return code;
}

/* The map as text in memory that is wiped. */
static enum err_code clear_text(const json_t *map, char **ret, size_t *ret_len, struct err *err)
{
        size_t len = json_dumpb(map, NULL, 0, JSON_COMPACT);

        if (len > SECRETS_TEXT_MAX)
                return err_set(err, ERR_TOO_LARGE, "a secret is larger than %d KiB", SECRETS_TEXT_MAX >> 10);
        own_clear char *text = len > 0 ? sodium_malloc(len) : NULL;
        if (text == NULL || json_dumpb(map, text, len, JSON_COMPACT) != len)
                return err_nomem(err);
        *ret = take_ptr(&text);
        *ret_len = len;
        return ERR_OK;
}

static json_t *to_base64(const unsigned char *bytes, size_t len)
{
        size_t text_len = base64_encoded_len(len);
        own_mem char *text = malloc(text_len);

        if (text == NULL)
                return NULL;
        base64_encode(bytes, len, text);
        return json_stringn(text, text_len);
}

enum err_code secrets_seal(struct secrets *secrets, const struct store_key *key, const char *id,
                           const json_t *map, json_t **ret, struct err *err)
{
        own_buf struct buf place;
        size_t len = 0;
        unsigned long long cipher_len = 0;

        assert(json_is_object(map) && id != NULL);
        buf_init(&place, PLACE_MAX);
        own_clear char *text = NULL;
        enum err_code code = clear_text(map, &text, &len, err);
        if (code != ERR_OK)
                return code;
        own_mem unsigned char *sealed = malloc(HEAD_BYTES + len + TAG_BYTES);
        if (sealed == NULL || make_place(key, id, &place) != ERR_OK)
                return err_nomem(err);

        sealed[0] = SEALED_VERSION;
        randombytes_buf(sealed + 1, NONCE_BYTES);
        crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + HEAD_BYTES, &cipher_len, (unsigned char *)text,
                                                   len, (unsigned char *)place.data, place.len, NULL,
                                                   sealed + 1, secrets->key);
        json_t *encoded = to_base64(sealed, HEAD_BYTES + (size_t)cipher_len);
        if (encoded == NULL)
                return err_nomem(err);
        *ret = encoded;
        return ERR_OK;
}

static enum err_code not_ours(const struct store_key *key, struct err *err)
{
        return err_set(
                err, ERR_CORRUPT,
                "secret %.*s cannot be opened: it was changed in the store, or sealed with another key than "
                "secret.key holds; restore that file, or set the secret anew",
                STR_ARG(key->name));
}

static enum err_code decrypt(const struct secrets *secrets, const struct store_key *key, const char *id,
                             const unsigned char *sealed, size_t len, json_t **ret, struct err *err)
{
        own_buf struct buf place;
        unsigned long long text_len = 0;
        own_clear unsigned char *text = sodium_malloc(len);

        buf_init(&place, PLACE_MAX);
        if (text == NULL || make_place(key, id, &place) != ERR_OK)
                return err_nomem(err);
        if (len < HEAD_BYTES + TAG_BYTES || sealed[0] != SEALED_VERSION ||
            crypto_aead_xchacha20poly1305_ietf_decrypt(text, &text_len, NULL, sealed + HEAD_BYTES,
                                                       len - HEAD_BYTES, (unsigned char *)place.data,
                                                       place.len, sealed + 1, secrets->key) != 0)
                return not_ours(key, err);

        json_t *map = json_loadb((char *)text, (size_t)text_len, 0, NULL);
        if (map == NULL)
                return err_nomem(err);
        *ret = map;
        return ERR_OK;
}

enum err_code secrets_open_sealed(struct secrets *secrets, const struct store_key *key, const char *id,
                                  const json_t *sealed, json_t **ret, struct err *err)
{
        struct str text = {json_string_value(sealed), json_string_length(sealed)};
        size_t len = 0, bad;

        assert(id != NULL);
        if (!json_is_string(sealed))
                return not_ours(key, err);
        own_mem unsigned char *bytes = malloc((text.len / 4 + 1) * 3);
        if (bytes == NULL)
                return err_nomem(err);
        if (!base64_decode(text, bytes, &len, &bad))
                return not_ours(key, err);
        return decrypt(secrets, key, id, bytes, len, ret, err);
}

/* Behind jansson's back: nobody else holds the string, and its memory is given back next. */
static void wipe_string(json_t *string)
{
        sodium_memzero((char *)json_string_value(string), json_string_length(string));
}

static void wipe(json_t *value)
{
        const char *key;
        json_t *member;
        size_t index;

        if (value->refcount != 1)
                return;
        if (json_is_string(value))
                wipe_string(value);
        json_object_foreach(value, key, member) wipe(member);
        json_array_foreach(value, index, member) wipe(member);
}

void secrets_wipe(json_t *tree)
{
        if (tree == NULL)
                return;
        wipe(tree);
        json_decref(tree);
}
