/* api/cursor.c: places in lists: in hex, with a keyed BLAKE2b before them (RFC 7693, by libsodium). */
#include "api/cursor.h"
#include "api/internal.h"

#include "base/own.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum { MAC_LEN = 16 };

static const char meta_key[] = "cursor-key";

enum err_code cursor_key_load(struct store *store, unsigned char key[CURSOR_KEY_LEN], struct err *err)
{
        own_mem char *text = NULL;
        char made[2 * CURSOR_KEY_LEN + 1];
        enum err_code code = store_meta_get(store, meta_key, &text, err);

        if (code == ERR_OK && strlen(text) == 2 * CURSOR_KEY_LEN && hex_decode(str_of(text), key))
                return ERR_OK;
        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        randombytes_buf(key, CURSOR_KEY_LEN);
        hex_encode(key, CURSOR_KEY_LEN, made);
        made[2 * CURSOR_KEY_LEN] = '\0';
        return store_meta_set(store, meta_key, made, err);
}

static void mac_update(crypto_generichash_state *state, struct str text)
{
        uint64_t len = text.len;

        crypto_generichash_update(state, (const unsigned char *)&len, sizeof(len));
        crypto_generichash_update(state, (const unsigned char *)text.p, text.len);
}

static void mac_make(const struct api_call *call, struct str place, unsigned char mac[MAC_LEN])
{
        const struct caller *caller = &call->caller;
        crypto_generichash_state state;

        crypto_generichash_init(&state, call->api->cursor_key, CURSOR_KEY_LEN, MAC_LEN);
        mac_update(&state, str_of(model_resource(call->route.kind)->collection));
        mac_update(&state, caller->organization);
        mac_update(&state, caller->project);
        mac_update(&state, place);
        crypto_generichash_final(&state, mac, MAC_LEN);
}

void cursor_print(const struct api_call *call, struct str place, char out[CURSOR_TEXT_MAX])
{
        unsigned char mac[MAC_LEN];

        assert(place.len <= CURSOR_PLACE_MAX);
        mac_make(call, place, mac);
        hex_encode(mac, MAC_LEN, out);
        hex_encode(place.p, place.len, out + 2 * MAC_LEN);
        out[2 * (MAC_LEN + place.len)] = '\0';
}

enum err_code cursor_read(struct api_call *call, struct str text, struct str *ret, struct err *err)
{
        unsigned char mac[MAC_LEN], *bytes = arena_alloc(&call->arena, text.len / 2 + 1);

        if (bytes == NULL)
                return err_nomem(err);
        if (text.len > 2 * MAC_LEN && text.len % 2 == 0 && text.len < CURSOR_TEXT_MAX &&
            hex_decode(text, bytes)) {
                struct str place = {(char *)bytes + MAC_LEN, text.len / 2 - MAC_LEN};

                mac_make(call, place, mac);
                if (sodium_memcmp(mac, bytes, MAC_LEN) == 0) {
                        *ret = place;
                        return ERR_OK;
                }
        }
        return err_set(err, ERR_INVALID,
                       "cursor in query is not one that this list gave: begin again without it");
}
