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

/* Reads, or makes, DIR/secret.key. ERR_FORBIDDEN when its mode or owner lets others read it; ERR_CORRUPT when
 * it is not a key. */
enum err_code secrets_open(const char *dir, struct secrets **ret, struct err *err);
void secrets_close(struct secrets *secrets); /* wipes the key; takes NULL */

/* Encrypts the map {key: value}, bound to the secret's organization, project, name and id so that one cannot
 * be swapped for another. *ret: a base64 JSON string for store_row.internal. */
enum err_code secrets_seal(struct secrets *secrets, const struct store_key *key, const char *id,
                           const json_t *map, json_t **ret, struct err *err);
/* ERR_CORRUPT when the text was changed or the key is another one. */
enum err_code secrets_open_sealed(struct secrets *secrets, const struct store_key *key, const char *id,
                                  const json_t *sealed, json_t **ret, struct err *err);

/*
 * What a handler gets of the named secrets, CONTRACT 0.9: the flat map of all keys, later names win, and each
 * secret under its name as JSON text unless a key of that name exists. *ret_fd: a sealed memfd (F_SEAL_WRITE
 * and the rest) with the JSON object. ERR_NOT_FOUND: `error when retrieving secrets from secret store: [Code:
 * 404] secret X not found`.
 */
enum err_code secrets_memfd(struct secrets *secrets, struct store *store, struct str organization,
                            struct str project, const struct str *names, size_t count, int *ret_fd,
                            struct err *err);

#endif
