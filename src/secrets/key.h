/*
 * secrets/key.h: the key file; only this folder includes it.
 */
#ifndef DISPATCH_SECRETS_KEY_H
#define DISPATCH_SECRETS_KEY_H

#include "base/err.h"

#include <stdbool.h>

enum { SECRETS_KEY_BYTES = 32 };

/* secrets_open says what happens. On failure the key is zeros. */
enum err_code secrets_key_load(const char *dir, unsigned char key[SECRETS_KEY_BYTES], struct err *err);
/* Whether DIR has a file of that name, whatever is in it. */
bool secrets_key_exists(const char *dir);

#endif
