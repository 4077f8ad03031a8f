/*
 * secrets/secrets.h: secrets at rest (libsodium, XChaCha20-Poly1305 with a key from a 0600 file in the state
 * directory) and their way into an instance (a sealed memfd). In clear they exist only between these calls
 * and the kernel.
 */
#ifndef DISPATCH_SECRETS_SECRETS_H
#define DISPATCH_SECRETS_SECRETS_H

#include "base/err.h"
#include "model/model.h"
#include "store/store.h"

struct secrets;

enum {
        SECRETS_TEXT_MAX = 1 << 20 /* bytes of one secret as JSON, and of all that one function gets */
};

/* The member of store_row.internal that holds what secrets_seal made. */
#define SECRETS_SEALED "sealed"

/*
 * Reads, or makes, DIR/secret.key: 64 hexadecimal digits and a newline. ERR_FORBIDDEN when its mode or owner
 * lets others read it; ERR_CORRUPT when it is not a key; the texts say what to do. Making it is atomic and
 * durable, and two processes that start at once get the same one. The calls below are of one thread at a
 * time.
 */
enum err_code secrets_open(const char *dir, struct secrets **ret, struct err *err);
/* Before secrets_open: ERR_PRECONDITION when DIR/secret.key is missing although the store holds secrets, for
 * a new key could not open them. Without any secret a new key may be made: the old one's fingerprint is
 * forgotten. */
enum err_code secrets_expect(const char *dir, struct store *store, struct err *err);
/* Compares the key with the one that the store's secrets were sealed with (a fingerprint in its meta table),
 * or notes it on first use. ERR_PRECONDITION: another key; the text says what to do. */
enum err_code secrets_bind(const struct secrets *secrets, struct store *store, struct err *err);
void secrets_close(struct secrets *secrets); /* wipes the key; takes NULL */

/* Encrypts the map {key: value}, bound to the secret's organization, project, name and id so that one cannot
 * be swapped for another (give the row this id before it is inserted). *ret: a base64 JSON string, for the
 * member SECRETS_SEALED of store_row.internal. ERR_TOO_LARGE over SECRETS_TEXT_MAX. */
enum err_code secrets_seal(struct secrets *secrets, const struct store_key *key, const char *id,
                           const json_t *map, json_t **ret, struct err *err);
/* ERR_CORRUPT when the text was changed, belongs to another secret, or the key is another one. Give *ret back
 * to secrets_wipe. */
enum err_code secrets_open_sealed(struct secrets *secrets, const struct store_key *key, const char *id,
                                  const json_t *sealed, json_t **ret, struct err *err);
/* Overwrites the strings of a tree, at any depth, that nobody else holds, and releases it. What is shared is
 * left alone: release the other holders first. Takes NULL. */
void secrets_wipe(json_t *tree);

/*
 * What a handler gets of the named secrets, CONTRACT 0.9: the flat map of all keys, later names win, and each
 * secret under its name as JSON text unless a key of that name exists. *ret_fd: a sealed memfd (F_SEAL_WRITE
 * and the rest), at its start, with the JSON object. ERR_NOT_FOUND: `error when retrieving secrets from
 * secret store: [Code: 404] secret X not found`. ERR_TOO_LARGE over SECRETS_TEXT_MAX.
 */
enum err_code secrets_memfd(struct secrets *secrets, struct store *store, struct str organization,
                            struct str project, const struct str *names, size_t count, int *ret_fd,
                            struct err *err);

#endif
