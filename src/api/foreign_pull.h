/*
 * api/foreign_pull.h: brings the image that is a function into the layer store.
 */
#ifndef DISPATCH_API_FOREIGN_PULL_H
#define DISPATCH_API_FOREIGN_PULL_H

#include "api/internal.h"
#include "model/json.h"

/* `result`: {"layers": [...], "config": {...}, "digest": ..., "blobs": [...]}, valid during the call; else
 * NULL, and `text` says why. */
typedef void (*foreign_pulled)(void *arg, enum err_code code, const char *text, const json_t *result);

/* The reference's form alone. ERR_UNPROCESSABLE. */
enum err_code foreign_pull_check(const struct api *api, struct str reference, struct err *err);

/* For the row's functionImage, with the credentials of its registrySecret. `done` is called exactly once,
 * later, or before the return when nothing can be asked for (then that is 0, as a rule). The id is for
 * foreign_pull_cancel. */
uint64_t foreign_pull(struct api *api, const struct store_row *row, foreign_pulled done, void *arg);
/* `done` follows, with ERR_CANCELLED unless it was on its way. */
void foreign_pull_cancel(struct api *api, uint64_t id);

#endif
