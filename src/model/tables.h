/*
 * model/tables.h: what parse, print and coerce share about fields, and what the client asks of them.
 */
#ifndef DISPATCH_MODEL_TABLES_H
#define DISPATCH_MODEL_TABLES_H

#include "model/model.h"

/* The field of that name in a table, or NULL. */
const struct model_field *model_field_find(const struct model_field *fields, const char *name);

/* The field of the table that is an object of the document's own fields, or NULL. */
const struct model_field *model_field_nested(const struct model_field *fields);

/*
 * All places where `document` may carry the (canonical) field: its own name, its aliases, the nested object.
 * Calls each(arg, value) for those that are there; stops when it returns false.
 */
void model_field_each(const struct model_field *fields, const struct model_field *field,
                      const json_t *document, bool (*each)(void *arg, const json_t *value), void *arg);

/* The first of these that is not empty, or NULL. Borrowed. */
json_t *model_field_value(const struct model_field *fields, const struct model_field *field,
                          const json_t *document);

/* True for what the original's encoder leaves out of an optional field: absent, null, and the zero value of
 * the types that are no pointers there. */
bool model_field_empty(const struct model_field *field, const json_t *value);

/* The rules on a document whose JSON types are right: ERR_UNPROCESSABLE with err->detail. */
enum err_code model_validate(const struct model_resource *resource, const json_t *document, struct err *err);

#endif
