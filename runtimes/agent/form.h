/*
 * runtimes/agent/form.h: application/x-www-form-urlencoded, as a body and as a query, to a JSON object.
 *
 * Decoding as the WHATWG URL standard has it: '&' separates, '+' is a blank, a '%' without two digits stands
 * for itself, a name without '=' has an empty value, bytes that are not UTF-8 become U+FFFD. Values are
 * strings; a repeated name makes an array, in the place of its first.
 */
#ifndef DISPATCH_AGENT_FORM_H
#define DISPATCH_AGENT_FORM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { FORM_FIELDS_MAX = 10000 };

/* Appends the object. ERR_INVALID: more than FORM_FIELDS_MAX fields. */
enum err_code form_to_json(struct str form, struct buf *out, struct err *err);

#endif
