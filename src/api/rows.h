/*
 * api/rows.h: going over stored rows while changing them: the names are collected first, since a store must
 * not be written while it is read.
 */
#ifndef DISPATCH_API_ROWS_H
#define DISPATCH_API_ROWS_H

#include "api/internal.h"

/* Calls act for every row below `key` (as in store_list) for which match says yes; a row that is gone by then
 * is skipped. `value` is handed to match. */
enum err_code api_rows_each(struct api *api, const struct store_key *key,
                            bool (*match)(const struct store_row *row, struct str value), struct str value,
                            void (*act)(struct api *api, enum model_kind kind, struct store_row *row),
                            struct err *err);

/* Matches: the row's document has `value` at that key; its list of secrets has it; it is not over yet. */
bool api_row_of_base_image(const struct store_row *row, struct str value);
bool api_row_of_image(const struct store_row *row, struct str value);
bool api_row_of_secret(const struct store_row *row, struct str value);
bool api_row_pending(const struct store_row *row, struct str value);
bool api_list_has(const json_t *list, struct str text);

#endif
