/*
 * api/cursor.h: places in lists, as callers carry them from one page to the next: opaque and authentic, so
 * that nobody comes to rely on what is in them, nor feeds the store what it did not say.
 *
 * A place is what stands last on a page (a name, a time and id), not a count: entries that come and go
 * meanwhile neither repeat nor hide others. It is bound to the list's collection, organization and project;
 * the key is kept with the store, so a cursor outlives the server.
 */
#ifndef DISPATCH_API_CURSOR_H
#define DISPATCH_API_CURSOR_H

#include "api/call.h"
#include "store/store.h"

enum { CURSOR_KEY_LEN = 32, CURSOR_PLACE_MAX = 128, CURSOR_TEXT_MAX = 2 * (CURSOR_PLACE_MAX + 16) + 1 };

/* The key from the store; made and stored by the first server. */
enum err_code cursor_key_load(struct store *store, unsigned char key[CURSOR_KEY_LEN], struct err *err);

void cursor_print(const struct api_call *call, struct str place, char out[CURSOR_TEXT_MAX]);
/* ERR_INVALID unless it is of this very list. *ret is in the call's arena. */
enum err_code cursor_read(struct api_call *call, struct str text, struct str *ret, struct err *err);

#endif
