/*
 * api/status.h: the life of a resource as a table, and how it is written down: `status` and `reason` in the
 * document, the time of the last move in the row's internal part (for `conditions`).
 */
#ifndef DISPATCH_API_STATUS_H
#define DISPATCH_API_STATUS_H

#include "base/err.h"
#include "model/json.h"
#include "store/store.h"

#include <stdbool.h>

enum status {
        STATUS_NONE, /* not in the store yet */
        STATUS_INITIALIZED,
        STATUS_CREATING,
        STATUS_READY,
        STATUS_UPDATING,
        STATUS_ERROR,
        STATUS_DELETING,
        STATUS_COUNT
};

const char *status_name(enum status status);
/* Of a document; STATUS_NONE when it has none. */
enum status status_of(const json_t *document);
/* Work on it is not over. */
bool status_is_pending(enum status status);

/* Moves a row's parts to a status; asserts that the table allows it. `reasons` (a list of strings, borrowed)
 * replaces what was there; NULL clears it. */
enum err_code status_move(json_t *document, json_t *internal, enum status to, const json_t *reasons,
                          struct err *err);
/* The same, and into the store at once. */
enum err_code status_save(struct store *store, enum model_kind kind, struct store_row *row, enum status to,
                          const json_t *reasons, struct err *err);

/* The `conditions` of a resource: one, Ready. New; NULL: no memory. */
json_t *status_conditions(const json_t *document, const json_t *internal);
/* The reasons as one line, for errors; "" when there are none. */
void status_reason_text(const json_t *document, char *out, size_t size);

/* The row stays in its status, and its reason is what it waits for until it goes on; nothing is written when
 * it says so already. api/explain.h is for callers that write when there may be no room. */
enum err_code status_explain(struct store *store, enum model_kind kind, struct store_row *row,
                             const char *text);

#endif
