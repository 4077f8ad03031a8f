/*
 * model/place.h: where in a document a value stands, as a chain on the stack, for messages only.
 */
#ifndef DISPATCH_MODEL_PLACE_H
#define DISPATCH_MODEL_PLACE_H

#include <stdbool.h>
#include <stddef.h>

enum { PLACE_TEXT_MAX = 160 };

struct place {
        const struct place *up; /* NULL at the top, whose name is not part of the path */
        const char *name;       /* NULL: an element of a list */
        size_t index;
};

/* "systemDependencies.packages.0.name"; cut when longer. The top is "". Control characters, which a map's
 * key may have, are shown as question marks. */
const char *place_text(const struct place *place, bool with_indexes, char out[PLACE_TEXT_MAX]);

#endif
