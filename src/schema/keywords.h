/* schema/keywords.h: where schemas stand inside a schema. Private to src/schema. */
#ifndef DISPATCH_SCHEMA_KEYWORDS_H
#define DISPATCH_SCHEMA_KEYWORDS_H

#include "schema/program.h"

enum keyword_holds { HOLDS_SCHEMA, HOLDS_LIST, HOLDS_MAP, HOLDS_SCHEMA_OR_LIST };

struct keyword_form {
        const char *name;
        unsigned dialects;
        unsigned vocabulary;
        enum keyword_holds holds;
};
extern const struct keyword_form keyword_forms[]; /* name == NULL at the end */

#endif
