/*
 * cli/link.h: the Link header field of a list's page, RFC 8288.
 */
#ifndef DISPATCH_CLI_LINK_H
#define DISPATCH_CLI_LINK_H

#include "base/str.h"

#include <stdbool.h>

/* The target of the first link with the relation "next" in a field's value, a view into it; p == NULL when
 * there is none. Only a path below "/v1/" is one: a server does not send its client elsewhere. */
struct str link_next(struct str value);

#endif
