/*
 * cli/name.h: names for what nobody named.
 */
#ifndef DISPATCH_CLI_NAME_H
#define DISPATCH_CLI_NAME_H

#include "base/arena.h"

/* Two words and six digits, "quiet-otter-004711", in the arena; NULL when out of memory. */
const char *name_random(struct arena *arena);

#endif
